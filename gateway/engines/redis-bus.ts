/**
 * The bus of several machines: publications and notices go over pub/sub of a Redis, each channel only to those that want it. What a
 * process publishes itself it gets at once and without Redis. Redis works as long as what this process sends to itself comes back.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import type { BusReceiver, Notice, SharedBus } from '../core/bus.ts';
import { toMs } from '../core/duration.ts';
import type { ChannelName } from '../core/ids.ts';
import { limits } from '../core/limits.ts';
import type { Log } from '../core/log.ts';
import type { Metrics } from '../core/metrics.ts';
import type { MaybePromise } from '../core/promise.ts';
import type { Publication } from '../core/publication.ts';
import type { Settings } from '../core/settings.ts';
import { decodeBusMessage, encodeBusMessage, isFrom, senderBytes, type BusMessage } from './bus-message.ts';
import { inTime } from './in-time.ts';
import { addressOf, openRedis, reasonOf, type RedisClient } from './redis-client.ts';
import { keepRevocation, keptRevocations } from './redis-revocations.ts';

export interface RedisBusParts {
  readonly settings: Settings['bus'];
  readonly receiver: BusReceiver;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** Makes a bus that is away until it is opened. */
export function redisBus(parts: RedisBusParts): SharedBus {
  return new RedisBus(parts);
}

/** Between two tries to connect: well within the second that a return may take. */
const retryMs = 200;
/** The least time a connection may take to be made. */
const connectMs = 500;
/** How often a process sends something to itself. */
const beatMs = 500;
/** A Redis that comes and goes, or strange messages, shall not fill the log. */
const tellEveryMs = 10_000;
/** Channels of one command, so that others get their turn with Redis. */
const channelsAtOnce = 1000;

class RedisBus implements SharedBus {
  readonly #parts: RedisBusParts;
  readonly #timeoutMs: number;
  readonly #sender = randomBytes(senderBytes);
  readonly #beatChannel: string;
  readonly #noticeChannel: string;
  readonly #itemPrefix: string;
  readonly #revocationsKey: string;
  /** With what is waited for as long as Redis has not confirmed it. */
  readonly #wanted = new Map<ChannelName, Promise<unknown> | undefined>();
  /** Revocations that others have not been told. */
  readonly #untold: Notice[] = [];
  /** Once it is up for the first time. */
  #up: () => void = () => {};
  #publisher: RedisClient | undefined;
  #subscriber: RedisClient | undefined;
  /** Everything wanted is subscribed. */
  #listening = false;
  /** That is under way. */
  #joining = false;
  /** Counts the connections on which it is; what an older one still waits for is of no use. */
  #round = 0;
  #away = true;
  #closed = false;
  /** Others have not got something of this process. */
  #withheld = false;
  #unsentBytes = 0;
  #beats: NodeJS.Timeout | undefined;
  /** Since when an answer is waited for: that of a subscription, or what this process has sent to itself. */
  #askedAt: number | undefined;
  #reason = 'There is no connection.';
  #awaySince = 0;
  #toldAt = -Infinity;
  #strangeAt = -Infinity;

  constructor(parts: RedisBusParts) {
    this.#parts = parts;
    this.#timeoutMs = toMs(parts.settings.timeout);
    const { prefix } = parts.settings;
    this.#beatChannel = `${prefix}beat:${this.#sender.toString('base64url')}`;
    this.#noticeChannel = `${prefix}notice`;
    this.#itemPrefix = `${prefix}item:`;
    this.#revocationsKey = `${prefix}revocations`;
  }

  get away(): boolean {
    return this.#away;
  }

  async open(): Promise<void> {
    const terms = {
      url: this.#parts.settings.url ?? '',
      connectMs: Math.max(connectMs, this.#timeoutMs),
      retryMs,
    };
    const up = new Promise<void>((resolve) => {
      this.#up = resolve;
    });
    [this.#publisher, this.#subscriber] = await Promise.all([
      openRedis({ ...terms, lost: (reason) => this.#leave(reason), ready: () => this.#goOn() }),
      openRedis({
        ...terms,
        lost: (reason) => this.#stopListening(reason),
        ready: () => this.#goOn(),
        got: (channel, message) => this.#got(channel, message),
      }),
    ]);
    this.#beats = setInterval(() => setImmediate(() => this.#look()), beatMs).unref();
    await this.#listen();
    await Promise.race([up, wait(connectMs, undefined, { ref: false })]);
    if (this.#away) this.#begin(this.#reason);
  }

  publish(publication: Publication): void {
    // First to the others: whoever gets it here may publish something itself.
    this.#send(`${this.#itemPrefix}${publication.channel}`, { kind: 'item', publication });
    this.#parts.receiver.deliver(publication);
  }

  want(channel: ChannelName, wanted: boolean): MaybePromise<void> {
    if (!wanted) return this.#giveUp(channel);
    if (!this.#wanted.has(channel)) this.#subscribe(channel);
    const confirmed = this.#wanted.get(channel);
    // Whoever is away says so; nobody has to wait for it.
    return this.#away || confirmed === undefined ? undefined : inTime(confirmed, this.#timeoutMs).then(() => undefined);
  }

  tell(notice: Notice): void {
    this.#send(this.#noticeChannel, { kind: 'notice', notice });
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#away = true;
    clearInterval(this.#beats);
    this.#publisher?.close();
    this.#subscriber?.close();
  }

  #subscribe(channel: ChannelName): void {
    const subscribed = this.#subscriber?.subscribe([`${this.#itemPrefix}${channel}`]);
    const confirmed = subscribed
      ?.catch(() => undefined) // Without a connection; a new one has it.
      .then(() => {
        if (this.#wanted.get(channel) === confirmed) this.#wanted.set(channel, undefined);
      });
    this.#wanted.set(channel, confirmed);
  }

  #giveUp(channel: ChannelName): void {
    if (this.#wanted.delete(channel))
      void this.#subscriber?.unsubscribe([`${this.#itemPrefix}${channel}`]).catch(() => undefined);
  }

  #send(channel: string, message: BusMessage): void {
    if (this.#away || this.#unsentBytes > limits.busUnsentBytes) return this.#withhold(message);
    const bytes = encodeBusMessage(this.#sender, message);
    if (bytes.length > limits.busMessageBytes || this.#publisher === undefined) return this.#withhold(message);
    this.#unsentBytes += bytes.length;
    const settled = (): void => {
      this.#unsentBytes -= bytes.length;
    };
    this.#handOver(this.#publisher, channel, bytes, message).then(settled, () => {
      settled();
      this.#withhold(message);
    });
  }

  #handOver(publisher: RedisClient, channel: string, bytes: Buffer, message: BusMessage): Promise<unknown> {
    if (message.kind !== 'notice' || message.notice.kind !== 'revoke') return publisher.publish(channel, bytes);
    return keepRevocation(publisher, message.notice, { key: this.#revocationsKey, channel, message: bytes });
  }

  /** Others do not get it, at least not now. */
  #withhold(message: BusMessage): void {
    if (this.#closed) return;
    this.#parts.metrics.count('bus_misses');
    const isRevocation = message.kind === 'notice' && message.notice.kind === 'revoke';
    if (isRevocation && this.#untold.length < limits.busUntold) this.#untold.push(message.notice);
    if (!isRevocation) this.#withheld = true;
  }

  #got(channel: string, bytes: Buffer): void {
    if (channel === this.#beatChannel) return this.#heard();
    if (isFrom(this.#sender, bytes)) return undefined;
    const message = bytes.length > limits.busMessageBytes ? undefined : decodeBusMessage(bytes);
    if (message?.kind === 'item') return this.#gotItem(channel, message.publication);
    if (message?.kind === 'notice' && channel === this.#noticeChannel) return this.#parts.receiver.notice(message.notice);
    return this.#strange();
  }

  #gotItem(channel: string, publication: Publication): void {
    if (channel !== `${this.#itemPrefix}${publication.channel}`) return this.#strange();
    if (this.#wanted.has(publication.channel)) this.#parts.receiver.deliver(publication);
  }

  /** Another version of Foregate, or somebody else. */
  #strange(): void {
    this.#parts.metrics.count('bus_ignored');
    const now = performance.now();
    if (now - this.#strangeAt < tellEveryMs) return;
    this.#strangeAt = now;
    this.#parts.log.warn('bus.not-understood', { detail: 'Something came over the bus that no Foregate of this version sends.' });
  }

  /** Subscribes to everything that is wanted, on a new connection. */
  async #listen(): Promise<void> {
    const subscriber = this.#subscriber;
    if (subscriber === undefined || this.#closed) return;
    const round = this.#round;
    this.#joining = true;
    this.#askedAt ??= performance.now();
    try {
      await subscriber.subscribe([this.#beatChannel, this.#noticeChannel]);
      const wanted = [...this.#wanted.keys()];
      for (let i = 0; i < wanted.length; i += channelsAtOnce) {
        const names = wanted.slice(i, i + channelsAtOnce).filter((channel) => this.#wanted.has(channel));
        if (names.length > 0) await subscriber.subscribe(names.map((channel) => `${this.#itemPrefix}${channel}`));
        this.#askedAt = performance.now();
      }
      await this.#recall();
      this.#listening = round === this.#round;
      this.#beat();
    } catch (error) {
      this.#reason = reasonOf(error);
    } finally {
      if (round === this.#round) this.#joining = false;
    }
  }

  /** Revocations that this process may not have heard of. */
  async #recall(): Promise<void> {
    if (this.#publisher === undefined) return;
    for await (const notices of keptRevocations(this.#publisher, this.#revocationsKey)) {
      this.#askedAt = performance.now();
      for (const notice of notices) this.#parts.receiver.notice(notice);
    }
  }

  #stopListening(reason: string): void {
    this.#round += 1;
    this.#listening = false;
    this.#joining = false;
    this.#leave(reason);
  }

  #beat(): void {
    if (!this.#listening) return;
    this.#askedAt ??= performance.now();
    this.#publisher?.publish(this.#beatChannel, this.#sender).catch((error: unknown) => {
      this.#reason = reasonOf(error);
    });
  }

  /** After what has arrived was read: it may be this process that was late. */
  #look(): void {
    if (this.#askedAt !== undefined && performance.now() - this.#askedAt > this.#timeoutMs) {
      this.#leave(`There was no answer within ${this.#timeoutMs} ms.`);
      this.#publisher?.reconnect();
      this.#subscriber?.reconnect();
    } else this.#goOn();
  }

  #goOn(): void {
    if (this.#listening) this.#beat();
    else if (!this.#joining) void this.#listen();
  }

  #heard(): void {
    this.#askedAt = undefined;
    if (this.#away && !this.#closed) this.#return();
  }

  #leave(reason: string): void {
    this.#reason = reason;
    this.#askedAt = undefined;
    if (this.#away) return;
    this.#away = true;
    this.#begin(reason);
  }

  /** Begins a time without Redis. */
  #begin(reason: string): void {
    this.#awaySince = performance.now();
    if (this.#awaySince - this.#toldAt < tellEveryMs) return;
    this.#toldAt = this.#awaySince;
    this.#parts.log.warn('bus.away', { address: addressOf(this.#parts.settings.url ?? ''), reason });
  }

  #return(): void {
    this.#away = false;
    this.#up();
    if (this.#awaySince > 0 && this.#toldAt === this.#awaySince)
      this.#parts.log.info('bus.back', { ms: Math.round(performance.now() - this.#awaySince) });
    for (const notice of this.#untold.splice(0)) this.tell(notice);
    if (this.#withheld) this.tell({ kind: 'recover' });
    this.#withheld = false;
    // What others published meanwhile has not come.
    if (this.#awaySince > 0) this.#parts.receiver.notice({ kind: 'recover' });
  }
}

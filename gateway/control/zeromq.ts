/**
 * Publishing and commands over ZeroMQ, as Pushpin has them (GRIP 6.6): PULL and SUB sockets take items, a REP socket answers
 * commands. The package is an optional one and loaded only where sockets are configured. ZeroMQ asks nobody who he is, so these
 * sockets stay on the machine unless the configuration says otherwise.
 */
import { setImmediate } from 'node:timers/promises';
import type * as zeromq from 'zeromq';
import type { Pull, Reply, Subscriber } from 'zeromq';
import type { ControlHost } from '../core/control-host.ts';
import { toForegateError } from '../core/errors.ts';
import { isChannelName, type ChannelName } from '../core/ids.ts';
import { limits } from '../core/limits.ts';
import type { Metrics } from '../core/metrics.ts';
import type { Publisher } from '../core/policy.ts';
import { isPromise, type MaybePromise } from '../core/promise.ts';
import type { Publication } from '../core/publication.ts';
import type { Denial } from '../core/session.ts';
import type { Settings } from '../core/settings.ts';
import { parsePublishFrame } from '../wire/publish-frames.ts';
import { publish, type PublishParts } from './publish.ts';
import { answerCommand, type CommandParts } from './zeromq-commands.ts';

export type ZeroMqSettings = NonNullable<Settings['control']['zeromq']>;

export interface ZeroMqParts extends Pick<PublishParts, 'hooks' | 'limits' | 'log'> {
  readonly host: ControlHost;
  readonly metrics: Metrics;
  readonly settings: ZeroMqSettings;
}

type Library = Pick<typeof zeromq, 'Pull' | 'Subscriber' | 'Reply'>;

/**
 * Opens the sockets; undefined if the package is not there and need not be.
 * @throws Error with what to install, or which socket could not be opened
 */
export async function openZeroMq(parts: ZeroMqParts): Promise<ZeroMqSockets | undefined> {
  const library = await loadLibrary(parts);
  if (library === undefined) return undefined;
  const sockets = new ZeroMqSockets(library, parts);
  try {
    await sockets.open();
  } catch (thrown) {
    sockets.close();
    throw thrown;
  }
  return sockets;
}

async function loadLibrary({ settings, log }: ZeroMqParts): Promise<Library | undefined> {
  try {
    return await import('zeromq');
  } catch (cause) {
    if (!settings.optional) throw new Error(missing, { cause });
    log.warn('zeromq.missing', { message: missing });
    return undefined;
  }
}

const missing =
  'control.zeromq needs the package zeromq, which cannot be loaded: run "npm install zeromq@6" where Foregate is installed, or take control.zeromq out.';

/** Refused items are told of at most so often: nobody shall fill the log. */
const tellEveryMs = 1000;

class ZeroMqSockets {
  readonly #parts: ZeroMqParts;
  readonly #pull: Pull | undefined;
  readonly #subscriber: Subscriber | undefined;
  readonly #reply: Reply | undefined;
  /** Channels asked for at publishers: ZeroMQ counts how often one is. */
  readonly #wanted = new Set<ChannelName>();
  #untold = 0;
  #toldAt = -Infinity;

  constructor({ Pull, Subscriber, Reply }: Library, parts: ZeroMqParts) {
    const { pull, subscribe, commands } = parts.settings;
    const bounds = {
      receiveHighWaterMark: limits.zeroMqWaiting,
      maxMessageSize: parts.limits.publishBytes,
      linger: 0,
      ipv6: [pull, ...subscribe, commands].some((spec) => spec?.startsWith('tcp://[')),
    };
    this.#parts = parts;
    this.#pull = pull === undefined ? undefined : new Pull(bounds);
    this.#subscriber = subscribe.length === 0 ? undefined : new Subscriber(bounds);
    this.#reply = commands === undefined ? undefined : new Reply(bounds);
  }

  async open(): Promise<void> {
    const { pull = '', subscribe, connect, commands = '' } = this.#parts.settings;
    await this.#openAt(pull, 'listening', () => this.#pull?.bind(pull));
    for (const spec of subscribe) {
      if (connect) await this.#openAt(spec, 'connecting', () => this.#subscriber?.connect(spec));
      else await this.#openAt(spec, 'listening', () => this.#subscriber?.bind(spec));
    }
    await this.#openAt(commands, 'listening', () => this.#reply?.bind(commands));
    if (this.#pull !== undefined) void this.#serve(this.#pull, (frames) => this.#pulled(frames));
    if (this.#subscriber !== undefined) void this.#serve(this.#subscriber, (frames) => this.#heard(frames));
    if (this.#reply !== undefined) this.#serveCommands(this.#reply);
  }

  /** First subscriber of a channel came, or the last one has been gone for a while. */
  want(channel: ChannelName, wanted: boolean): void {
    // Sessions that end last leave their channels when the sockets are closed already.
    if (this.#subscriber === undefined || this.#subscriber.closed || this.#wanted.has(channel) === wanted) return;
    if (wanted) {
      this.#wanted.add(channel);
      this.#subscriber.subscribe(channel);
    } else {
      this.#wanted.delete(channel);
      this.#subscriber.unsubscribe(channel);
    }
  }

  close(): void {
    for (const socket of [this.#pull, this.#subscriber, this.#reply]) socket?.close();
  }

  async #openAt(spec: string, event: 'listening' | 'connecting', run: () => MaybePromise<void> | undefined): Promise<void> {
    if (spec === '') return;
    try {
      await run();
      this.#parts.log.info(event, { for: 'zeromq', address: spec });
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new Error(`control.zeromq: ${spec} cannot be opened: ${reason}.`, { cause });
    }
  }

  /** Messages of one socket one after the other, until it is closed. */
  async #serve(socket: Pull | Subscriber | Reply, take: (frames: readonly Buffer[]) => MaybePromise<void>): Promise<void> {
    let taken = 0;
    try {
      for await (const frames of socket) {
        const taking = take(frames);
        if (isPromise(taking)) await taking;
        taken += 1;
        // A flood is read without a turn of the loop between: others shall have theirs.
        if (taken % limits.zeroMqBurst === 0) await setImmediate();
      }
    } catch (error) {
      if (!socket.closed) this.#parts.log.error('zeromq.failed', { error });
    }
  }

  #serveCommands(reply: Reply): void {
    const { settings, host, log } = this.#parts;
    const parts: CommandParts = {
      host,
      log,
      limits: this.#parts.limits,
      publish: (items) => this.#publish(items),
      uris: urisOf(settings),
    };
    void this.#serve(reply, async ([request, ...more]) => {
      const whole = more.length === 0 && request !== undefined ? request : Buffer.alloc(0);
      await reply.send(await answerCommand(parts, whole));
    });
  }

  #pulled([frame, ...more]: readonly Buffer[]): MaybePromise<void> {
    if (frame === undefined || more.length > 0) return this.#refuse('pull', 'A message must have one frame.');
    return this.#take('pull', () => this.#publish([parsePublishFrame(frame)]));
  }

  /** The channel of the first frame counts. */
  #heard([channel, frame, ...more]: readonly Buffer[]): MaybePromise<void> {
    if (channel === undefined || frame === undefined || more.length > 0)
      return this.#refuse('subscribe', 'A message must have two frames.');
    const name = channel.toString();
    // ZeroMQ goes by the beginning of a name, and may bring others.
    if (!isChannelName(name) || !this.#wanted.has(name)) return undefined;
    return this.#take('subscribe', () => this.#publish([parsePublishFrame(frame, name)]));
  }

  #publish(items: readonly Publication[]): MaybePromise<Denial | undefined> {
    return publish(this.#parts, items, nobody);
  }

  #take(socket: string, run: () => MaybePromise<Denial | undefined>): MaybePromise<void> {
    const settled = (denial: Denial | undefined): void => {
      if (denial !== undefined) this.#refuse(socket, denial.detail);
    };
    const failed = (thrown: unknown): void => this.#refuse(socket, toForegateError(thrown).message);
    try {
      const denial = run();
      return isPromise(denial) ? denial.then(settled).catch(failed) : settled(denial);
    } catch (thrown) {
      return failed(thrown);
    }
  }

  /** Nobody can be told but the log. */
  #refuse(socket: string, reason: string): void {
    this.#parts.metrics.count('publications_refused');
    this.#untold += 1;
    const now = performance.now();
    if (now - this.#toldAt < tellEveryMs) return;
    this.#parts.log.warn('zeromq.refused', { socket, reason, messages: this.#untold });
    this.#untold = 0;
    this.#toldAt = now;
  }
}

/** ZeroMQ does not say who a publisher is, nor where. */
const nobody: Publisher = { identity: undefined, address: '', headers: [] };

function urisOf({ pull, subscribe: [subscribe], connect, commands }: ZeroMqSettings): Readonly<Record<string, string>> {
  return {
    ...(commands !== undefined && { command: commands }),
    ...(pull !== undefined && { 'publish-pull': pull }),
    ...(subscribe !== undefined && !connect && { 'publish-sub': subscribe }),
  };
}

/**
 * The primary's part: passes publications on to the workers that want their channel, in one order for all; notices and questions to
 * all others; keeps the counts and leases. It knows no routes and sees no client.
 */
import type { Notice } from '../core/bus.ts';
import type { Clock } from '../core/clock.ts';
import type { ChannelName } from '../core/ids.ts';
import { limits } from '../core/limits.ts';
import type { Log } from '../core/log.ts';
import { isPromise } from '../core/promise.ts';
import type { Publication } from '../core/publication.ts';
import type { Revocation } from '../core/revocation.ts';
import type { Store } from '../core/store.ts';
import type { Call, Calls, CallKind, Frame, ToPrimary, ToWorker } from './cluster-messages.ts';
import { memoryStore } from './memory-store.ts';
import { OpenQuestions } from './open-questions.ts';
import { Outbox, type SendFrame } from './outbox.ts';
import { bytesOf } from './publication-bytes.ts';
import { RevocationList } from './revocation-list.ts';

export interface PrimaryParts {
  readonly clock: Clock;
  readonly log: Log;
}

/** One worker, as the primary sees it. */
interface Port {
  readonly number: number;
  readonly outbox: Outbox<ToWorker>;
  readonly wants: Set<ChannelName>;
  /** Keys by the holders of this worker. */
  readonly leases: Map<string, Set<string>>;
  /** It hears of everything. */
  joined: boolean;
  collector: boolean;
  /** Publications it did not get, since the last line about it. */
  dropped: number;
}

export interface Connected {
  /** Takes a frame of the worker. */
  readonly take: (frame: Frame<ToPrimary>) => void;
  /** The worker is gone: its leases are free, and nobody waits for its answers. */
  readonly gone: () => void;
}

export class ClusterPrimary {
  readonly #log: Log;
  readonly #store: Store = memoryStore();
  readonly #ports = new Set<Port>();
  /** Who wants a channel. */
  readonly #wanting = new Map<ChannelName, Set<Port>>();
  readonly #questions: OpenQuestions<Port>;
  /** For workers that come later. */
  readonly #revocations: RevocationList;
  #complete = false;

  constructor({ clock, log }: PrimaryParts) {
    this.#revocations = new RevocationList(clock);
    this.#log = log;
    this.#questions = new OpenQuestions(clock);
  }

  /** A worker was started. */
  connect(number: number, send: SendFrame<ToWorker>): Connected {
    const port: Port = {
      number,
      outbox: new Outbox(send),
      wants: new Set(),
      leases: new Map(),
      joined: false,
      collector: false,
      dropped: 0,
    };
    this.#ports.add(port);
    return {
      take: (frame) => {
        for (const message of frame) this.#heed(port, message);
      },
      gone: () => this.#disconnect(port),
    };
  }

  /** All workers are up. */
  complete(): void {
    this.#complete = true;
    for (const { outbox, joined } of this.#ports) if (joined) outbox.push({ kind: 'complete' });
  }

  async close(): Promise<void> {
    this.#questions.close();
    await this.#store.close();
  }

  #disconnect(port: Port): void {
    if (!this.#ports.delete(port)) return;
    for (const channel of port.wants) this.#unwant(port, channel);
    for (const [holder, keys] of port.leases) for (const key of keys) this.#store.release(key, holder);
    port.leases.clear();
    this.#questions.forget(port);
  }

  #heed(port: Port, message: ToPrimary): void {
    switch (message.kind) {
      case 'tell':
        return this.#tell(port, message.notice);
      case 'release':
        return this.#release(port, message.key, message.holder);
      case 'answer':
        return this.#questions.answered(message.question, port, message);
      default:
        return this.#call(port, message);
    }
  }

  #call(port: Port, message: Call): void {
    switch (message.kind) {
      case 'join':
        this.#join(port, message.collector);
        return reply(port, message, undefined);
      case 'publish':
        this.#publish(message.publication);
        return reply(port, message, undefined);
      case 'want':
        if (message.wanted) this.#want(port, message.channel);
        else this.#unwant(port, message.channel);
        return reply(port, message, undefined);
      case 'take':
        return this.#settle(port, message, this.#store.take(message.key, message.budget, message.cost));
      case 'lease':
        return this.#lease(port, message);
      case 'ask':
        return this.#ask(port, message);
    }
  }

  /** The store in memory answers at once, whatever its interface allows. */
  #settle<Kind extends CallKind>(
    port: Port,
    call: CallOf<Kind>,
    value: Promise<Calls[Kind]['reply']> | Calls[Kind]['reply'],
  ): void {
    if (isPromise(value)) throw new TypeError('The store of the primary must answer at once.');
    reply(port, call, value);
  }

  #join(port: Port, collector: boolean): void {
    port.joined = true;
    port.collector = collector;
    for (const revocation of this.#revocations.all())
      port.outbox.push({ kind: 'notice', notice: { kind: 'revoke', revocation } });
    if (collector) for (const channel of this.#wanting.keys()) port.outbox.push({ kind: 'wanted', channel, wanted: true });
    if (this.#complete) port.outbox.push({ kind: 'complete' });
  }

  /** Who does not want it is told that it was, without its content. */
  #publish(publication: Publication): void {
    const { channel, id } = publication;
    const wanting = this.#wanting.get(channel);
    const passed: Notice = { kind: 'passed', channel, ...(id !== undefined && { id }) };
    for (const port of this.#ports) {
      if (wanting?.has(port)) this.#deliver(port, publication);
      else if (port.joined) port.outbox.push({ kind: 'notice', notice: passed });
    }
  }

  #deliver(port: Port, publication: Publication): void {
    const bytes = bytesOf(publication);
    if (port.outbox.waitingBytes + bytes > limits.ipcBytes) return this.#drop(port);
    if (port.dropped > 0) this.#log.warn('worker.behind', { worker: port.number, dropped: port.dropped, state: 'ended' });
    port.dropped = 0;
    port.outbox.push({ kind: 'deliver', publication }, bytes);
  }

  #drop(port: Port): void {
    port.dropped += 1;
    if (port.dropped === 1) this.#log.error('worker.behind', { worker: port.number, dropped: 1, state: 'began' });
  }

  #tell(teller: Port, notice: Notice): void {
    if (notice.kind === 'revoke') this.#remember(notice.revocation);
    for (const port of this.#ports) if (port !== teller && port.joined) port.outbox.push({ kind: 'notice', notice });
  }

  #want(port: Port, channel: ChannelName): void {
    const wanting = this.#wanting.get(channel) ?? new Set();
    if (wanting.size === 0) {
      this.#wanting.set(channel, wanting);
      this.#tellCollectors(channel, true);
    }
    wanting.add(port);
    port.wants.add(channel);
  }

  #unwant(port: Port, channel: ChannelName): void {
    const wanting = this.#wanting.get(channel);
    port.wants.delete(channel);
    if (wanting?.delete(port) !== true || wanting.size > 0) return;
    this.#wanting.delete(channel);
    this.#tellCollectors(channel, false);
  }

  #tellCollectors(channel: ChannelName, wanted: boolean): void {
    for (const { collector, outbox } of this.#ports) if (collector) outbox.push({ kind: 'wanted', channel, wanted });
  }

  #lease(port: Port, call: CallOf<'lease'>): void {
    const { key, holder, terms } = call;
    const lost = (): void => {
      forgetLease(port, key, holder);
      port.outbox.push({ kind: 'lost', key, holder });
    };
    const granted = this.#store.lease(key, { id: holder, lost }, terms);
    if (granted === true) keepLease(port, key, holder);
    this.#settle(port, call, granted);
  }

  #release(port: Port, key: string, holder: string): void {
    forgetLease(port, key, holder);
    this.#store.release(key, holder);
  }

  #ask(asker: Port, call: CallOf<'ask'>): void {
    const { question: asked } = call;
    if (asked.kind === 'revoke') this.#remember(asked.revocation);
    const others = [...this.#ports].filter((port) => port !== asker && port.joined);
    const question = this.#questions.open(others, (all) => reply(asker, call, all));
    for (const { outbox } of others) outbox.push({ kind: 'question', question, asked });
  }

  /** Workers refuse one too many before they tell anybody, so there is room for what they tell. */
  #remember(revocation: Revocation): void {
    try {
      this.#revocations.add(revocation);
    } catch (error) {
      this.#log.error('revocation.not-kept', { error });
    }
  }
}

type CallOf<Kind extends CallKind> = Extract<Call, { readonly kind: Kind }>;

function reply<Kind extends CallKind>({ outbox }: Port, { call }: CallOf<Kind>, value: Calls[Kind]['reply']): void {
  outbox.push({ kind: 'reply', call, value });
}

function keepLease({ leases }: Port, key: string, holder: string): void {
  const keys = leases.get(holder);
  if (keys === undefined) leases.set(holder, new Set([key]));
  else keys.add(key);
}

function forgetLease({ leases }: Port, key: string, holder: string): void {
  const keys = leases.get(holder);
  keys?.delete(key);
  if (keys?.size === 0) leases.delete(holder);
}

/**
 * Between the bus and the hub: drops items that come twice, and lets items that come too early wait for those before them, by
 * their ids and previous ids (GRIP 6.4).
 */
import type { Clock } from '../core/clock.ts';
import type { BusReceiver } from '../core/bus.ts';
import type { ChannelName } from '../core/ids.ts';
import { limits } from '../core/limits.ts';
import type { Metrics } from '../core/metrics.ts';
import type { Publication } from '../core/publication.ts';
import { RecentIds } from './recent-ids.ts';

export interface SequencerSettings {
  /** So long a second item with the same id is dropped; 0: never. Default {@link limits.duplicateMemoryMs}. */
  readonly duplicateMemoryMs: number;
  /** So long an item waits for the one before it. Default {@link limits.sequenceWaitMs}. */
  readonly waitMs: number;
  /** Items of one channel that may wait. Default {@link limits.sequenceWaiting}. */
  readonly waitingMax: number;
}

export interface SequencerParts {
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** Takes items in their order. */
  readonly deliver: BusReceiver['deliver'];
  /** Items of a channel without subscribers are not put in order. */
  readonly hasSubscribers: (channel: ChannelName) => boolean;
  readonly settings?: Partial<SequencerSettings>;
}

export interface Sequencer {
  /** Delivers the item, now or later, and those that have waited for it; or drops it. */
  receive(publication: Publication): void;
  /** Notes the id of an item that went by without its content: it is not taken any more. False if it was known already. */
  pass(channel: ChannelName, id: string | undefined): boolean;
  /** The id of the last item that was delivered in order, if it had one and the channel has not been forgotten since. */
  lastId(channel: ChannelName): string | undefined;
  /** The last subscriber has left: what is known of the channel and what waits in it is gone. Ids are still not taken twice. */
  forget(channel: ChannelName): void;
  /** Forgets all last ids (`POST /recover/`): until the next item nothing is known to be missing. What waits goes on waiting. */
  forgetAll(): void;
}

export function createSequencer(parts: SequencerParts): Sequencer {
  return new PreviousIdSequencer(parts);
}

interface Waiting {
  readonly publication: Publication;
  /** The id it waits for. */
  readonly after: string;
  readonly dueMs: number;
}

/** Timers fire at most so often, however the items that wait are spread. */
const expireEveryMs = 100;

class PreviousIdSequencer implements Sequencer {
  readonly #parts: SequencerParts;
  readonly #settings: SequencerSettings;
  readonly #recent: RecentIds;
  readonly #lastIds = new Map<ChannelName, string>();
  /** What waits in a channel, by the id it waits for. */
  readonly #waiting = new Map<ChannelName, Map<string, Waiting>>();
  /** All that waits, in the order of arrival, which is that of the times too. */
  readonly #arrivals = new Set<Waiting>();
  #scheduled = false;

  constructor(parts: SequencerParts) {
    const { duplicateMemoryMs, sequenceWaitMs: waitMs, sequenceWaiting: waitingMax } = limits;
    this.#parts = parts;
    this.#settings = { duplicateMemoryMs, waitMs, waitingMax, ...parts.settings };
    this.#recent = new RecentIds(parts.clock, { memoryMs: this.#settings.duplicateMemoryMs, max: limits.duplicateIds });
  }

  receive(publication: Publication): void {
    // Most items have no ids: for them there is nothing to do but to deliver, and to forget the id of the one before.
    if (publication.id === undefined && publication.previousId === undefined) this.#receivePlain(publication);
    else this.#receiveWithIds(publication);
  }

  pass(channel: ChannelName, id: string | undefined): boolean {
    return id === undefined || this.#recent.add(recentKey(channel, id));
  }

  lastId(channel: ChannelName): string | undefined {
    return this.#lastIds.get(channel);
  }

  forget(channel: ChannelName): void {
    this.#lastIds.delete(channel);
    for (const waiting of this.#waiting.get(channel)?.values() ?? []) this.#arrivals.delete(waiting);
    this.#waiting.delete(channel);
  }

  forgetAll(): void {
    this.#lastIds.clear();
  }

  #receivePlain(publication: Publication): void {
    if (this.#lastIds.size > 0 && publication.unsequenced !== true) this.#lastIds.delete(publication.channel);
    this.#parts.deliver(publication);
  }

  #receiveWithIds(publication: Publication): void {
    const { channel, id, previousId } = publication;
    if (id !== undefined && !this.#recent.add(recentKey(channel, id))) return this.#drop();
    if (publication.unsequenced === true || !this.#parts.hasSubscribers(channel)) return this.#parts.deliver(publication);
    const lastId = this.#lastIds.get(channel);
    if (lastId === undefined || previousId === undefined || previousId === lastId) this.#send(publication);
    else this.#wait(publication, previousId);
  }

  /** Delivers the item, then what has waited for it, then what has waited for that. */
  #send(publication: Publication): void {
    for (let next: Publication | undefined = publication; next !== undefined; next = this.#released(next)) {
      this.#remember(next);
      this.#parts.deliver(next);
    }
  }

  #remember({ channel, id }: Publication): void {
    if (id === undefined) this.#lastIds.delete(channel);
    else if (this.#lastIds.size < limits.lastIds || this.#lastIds.has(channel)) this.#lastIds.set(channel, id);
  }

  #released({ channel, id }: Publication): Publication | undefined {
    const waiting = id === undefined ? undefined : this.#waiting.get(channel)?.get(id);
    if (waiting !== undefined) this.#remove(waiting);
    return waiting?.publication;
  }

  #wait(publication: Publication, after: string): void {
    const { channel } = publication;
    const inChannel = this.#waiting.get(channel) ?? new Map<string, Waiting>();
    if (inChannel.has(after) || inChannel.size >= this.#settings.waitingMax) return this.#drop();
    const waiting: Waiting = { publication, after, dueMs: this.#parts.clock.now() + this.#settings.waitMs };
    this.#waiting.set(channel, inChannel.set(after, waiting));
    this.#arrivals.add(waiting);
    if (!this.#scheduled) this.#schedule(this.#settings.waitMs);
  }

  #remove(waiting: Waiting): void {
    const { channel } = waiting.publication;
    const inChannel = this.#waiting.get(channel);
    inChannel?.delete(waiting.after);
    if (inChannel?.size === 0) this.#waiting.delete(channel);
    this.#arrivals.delete(waiting);
  }

  #schedule(ms: number): void {
    this.#scheduled = true;
    this.#parts.clock.after(ms, () => {
      this.#scheduled = false;
      this.#expire(this.#parts.clock.now());
    });
  }

  /** Delivers what has waited long enough: what it waited for is taken for lost. */
  #expire(nowMs: number): void {
    for (const waiting of this.#arrivals) {
      if (waiting.dueMs > nowMs) return this.#schedule(Math.max(waiting.dueMs - nowMs, expireEveryMs));
      this.#remove(waiting);
      this.#send(waiting.publication);
    }
  }

  #drop(): void {
    this.#parts.metrics.count('publications_dropped');
  }
}

/** No channel name has a line feed. */
function recentKey(channel: ChannelName, id: string): string {
  return `${channel}\n${id}`;
}

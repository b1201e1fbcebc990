/**
 * When each channel last had an item, whoever was subscribed then: so a hold knows whether one was published between its request
 * and its subscription, when the backend may not have had it yet (GRIP 4.5).
 */
import type { Clock } from '../core/clock.ts';
import type { ChannelName } from '../core/ids.ts';
import { limits } from '../core/limits.ts';
import type { Publication } from '../core/publication.ts';

interface LastItem {
  readonly at: number;
  readonly id: string | undefined;
}

export class LastItems {
  readonly #clock: Clock;
  /** Two halves that change places: what is old goes without a timer, and without a look at each entry. */
  #young = new Map<ChannelName, LastItem>();
  #old = new Map<ChannelName, LastItem>();
  #turnAt = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  note({ channel, id }: Pick<Publication, 'channel' | 'id'>): void {
    const at = this.#clock.now();
    if (at >= this.#turnAt || this.#young.size >= limits.lastItems / 2) this.#turn(at);
    this.#young.set(channel, { at, id });
  }

  /** True if the channel had an item since then, and it is not the one that the subscriber has. */
  isMissed(channel: ChannelName, sinceMs: number, previousId: string | undefined): boolean {
    const last = this.#young.get(channel) ?? this.#old.get(channel);
    return last !== undefined && last.at >= sinceMs && (previousId === undefined || last.id !== previousId);
  }

  forget(): void {
    this.#young.clear();
    this.#old.clear();
  }

  #turn(now: number): void {
    this.#old = this.#young;
    this.#young = new Map();
    this.#turnAt = now + limits.lastItemsMs;
  }
}

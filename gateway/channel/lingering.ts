/**
 * Channels that are remembered for a while after their last subscriber has left, so that a client that polls in a loop finds out
 * what was published in between (GRIP 4.5, 6.4).
 */
import type { Clock, Timer } from '../core/clock.ts';
import type { ChannelName } from '../core/ids.ts';
import { limits } from '../core/limits.ts';

export class Lingering {
  readonly #clock: Clock;
  readonly #lingerMs: number;
  readonly #forget: (channel: ChannelName) => void;
  readonly #timers = new Map<ChannelName, Timer>();

  constructor(clock: Clock, lingerMs: number, forget: (channel: ChannelName) => void) {
    this.#clock = clock;
    this.#lingerMs = lingerMs;
    this.#forget = forget;
  }

  has(channel: ChannelName): boolean {
    return this.#timers.has(channel);
  }

  /** The last subscriber has left. */
  left(channel: ChannelName): void {
    if (this.#timers.size >= limits.lingering) {
      this.#forget(channel);
      return;
    }
    const timer = this.#clock.after(this.#lingerMs, () => {
      this.#timers.delete(channel);
      this.#forget(channel);
    });
    this.#timers.set(channel, timer);
  }

  /** There is a subscriber again. */
  joined(channel: ChannelName): void {
    this.#timers.get(channel)?.cancel();
    this.#timers.delete(channel);
  }

  close(): void {
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
  }
}

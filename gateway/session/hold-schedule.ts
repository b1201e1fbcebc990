/**
 * When a hold, or a channel inside a socket, asks its backend (GRIP 4.5, 4.6): after its link's time, at once, or a pace after the request before, and never twice
 * at the same time.
 */
import type { Clock, Timer } from '../core/clock.ts';
import type { ChannelName } from '../core/ids.ts';

/** Requests that only the ids of items ask for are made so far apart: a backend that is behind would be asked without a pause. */
const paceMs = 1000;

export class HoldSchedule {
  readonly #clock: Clock;
  readonly #ask: () => void;
  /** Of the hold: its timeout, or its link's. */
  #timer: Timer | undefined;
  #pacing: Timer | undefined;
  /** Channels that had no item since the link's time began. */
  #silent = new Set<ChannelName>();
  #again: (() => void) | undefined;
  #asking = false;
  #askedAt = 0;

  /** `ask` makes the request, if this schedule {@link begins} it. */
  constructor(clock: Clock, ask: () => void) {
    this.#clock = clock;
    this.#ask = ask;
  }

  /** True if a request may be made now: none is on its way. */
  begins(): boolean {
    if (this.#asking) return false;
    this.#pacing?.cancel();
    this.#pacing = undefined;
    this.#timer?.cancel();
    this.#asking = true;
    this.#askedAt = this.#clock.now();
    return true;
  }

  /** What the last request brought is in force. */
  ended(): void {
    this.#asking = false;
  }

  /** For gaps in ids. */
  askInTime(): void {
    if (this.#asking || this.#pacing !== undefined) return;
    const waitMs = this.#askedAt + paceMs - this.#clock.now();
    if (waitMs <= 0) this.#ask();
    else this.#pacing = this.#clock.after(waitMs, this.#ask);
  }

  /** After so long in which not every channel had an item. */
  askAfterSilence(timeoutMs: number, channels: () => Iterable<ChannelName>): void {
    this.#silent = new Set(channels());
    this.#again = () => this.askAfterSilence(timeoutMs, channels);
    this.#after(timeoutMs, this.#ask);
  }

  /** An item of the channel went to the client. */
  heard(channel: ChannelName): void {
    if (this.#silent.delete(channel) && this.#silent.size === 0) this.#again?.();
  }

  /** A response hold ends after so long. */
  endAfter(timeoutMs: number, end: () => void): void {
    this.#after(timeoutMs, end);
  }

  cancel(): void {
    this.#timer?.cancel();
    this.#pacing?.cancel();
  }

  #after(ms: number, run: () => void): void {
    this.#timer?.cancel();
    this.#timer = this.#clock.after(ms, run);
  }
}

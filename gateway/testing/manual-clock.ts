/** A clock that a test turns by hand, so that nothing waits. */
import type { Clock, Timer } from '../core/clock.ts';

interface Waiting {
  readonly due: number;
  readonly run: () => void;
}

/** Starts at a fixed time of the year 2023 unless told otherwise. */
export class ManualClock implements Clock {
  #now: number;
  readonly #waiting = new Set<Waiting>();

  constructor(startMs = 1_700_000_000_000) {
    this.#now = startMs;
  }

  now(): number {
    return this.#now;
  }

  after(ms: number, run: () => void): Timer {
    const waiting = { due: this.#now + Math.max(0, ms), run };
    this.#waiting.add(waiting);
    return { cancel: () => void this.#waiting.delete(waiting) };
  }

  /** Timers that have neither run nor been cancelled. */
  get pending(): number {
    return this.#waiting.size;
  }

  /** Goes forward and runs what falls due on the way, each at its own time; what those set, too. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (let next = this.#next(end); next !== undefined; next = this.#next(end)) {
      this.#now = next.due;
      this.#waiting.delete(next);
      next.run();
    }
    this.#now = end;
  }

  #next(end: number): Waiting | undefined {
    let next: Waiting | undefined;
    for (const waiting of this.#waiting) if (waiting.due <= end && (next === undefined || waiting.due < next.due)) next = waiting;
    return next;
  }
}

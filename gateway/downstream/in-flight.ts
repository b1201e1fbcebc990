/** A cap on the requests in flight to one target. Those over it wait in the order of their arrival: so many, and so long. */
import type { Clock, Timer } from '../core/clock.ts';
import { ForegateError } from '../core/errors.ts';
import type { TargetReport } from '../core/target-guard.ts';
import { AdaptiveLimit, type AdaptiveTerms } from './adaptive-limit.ts';

export interface InFlightTerms {
  readonly max: number;
  /** Requests that may wait. */
  readonly queue: number;
  /** How long each may. */
  readonly waitMs: number;
  /** Undefined: `max` is the limit. */
  readonly adaptive: Omit<AdaptiveTerms, 'max'> | undefined;
}

interface Waiter {
  readonly timer: Timer;
  readonly enter: () => void;
}

export class InFlight {
  readonly #terms: InFlightTerms;
  readonly #clock: Clock;
  readonly #adaptive: AdaptiveLimit | undefined;
  readonly #waiting = new Set<Waiter>();
  #running = 0;

  constructor(terms: InFlightTerms, clock: Clock) {
    this.#terms = terms;
    this.#clock = clock;
    this.#adaptive = terms.adaptive && new AdaptiveLimit({ ...terms.adaptive, max: terms.max });
  }

  report(): NonNullable<TargetReport['inFlight']> {
    return { running: this.#running, waiting: this.#waiting.size, limit: this.limit };
  }

  get limit(): number {
    return this.#adaptive?.value ?? this.#terms.max;
  }

  /** Takes a place, at once (undefined) or in its turn. @throws ForegateError `overloaded`, at once or when it waited too long */
  enter(): Promise<void> | undefined {
    if (this.#waiting.size === 0 && this.#running < this.limit) {
      this.#running += 1;
      return undefined;
    }
    if (this.#waiting.size >= this.#terms.queue) throw overloaded();
    return this.#turn();
  }

  /** What an answer tells of the limit. Its place is not left yet. */
  learn(beganAt: number, failed: boolean): void {
    this.#adaptive?.take({ beganAt, endedAt: this.#clock.now(), failed, inFlight: this.#running });
  }

  leave(): void {
    this.#running -= 1;
    for (const waiter of this.#waiting) {
      if (this.#running >= this.limit) return;
      this.#running += 1;
      waiter.enter();
    }
  }

  #turn(): Promise<void> {
    return new Promise((resolve, reject) => {
      const gone = (): void => {
        waiter.timer.cancel();
        this.#waiting.delete(waiter);
      };
      const waiter: Waiter = {
        timer: this.#clock.after(this.#terms.waitMs, () => {
          gone();
          reject(overloaded());
        }),
        enter: () => {
          gone();
          resolve();
        },
      };
      this.#waiting.add(waiter);
    });
  }
}

function overloaded(): ForegateError {
  return new ForegateError('overloaded', 'Too many requests to this target are in flight.');
}

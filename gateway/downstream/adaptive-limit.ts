/**
 * A limit that finds itself: up while it is used and answers are good, twice as high with each round at first and by one later; down
 * by a factor at the first bad one of a round (AIMD with slow start, as TCP finds its window; RFC 5681 section 3.1).
 */
export interface AdaptiveTerms {
  /** It begins here and never goes below. */
  readonly min: number;
  readonly max: number;
  /** A slower answer is a bad one; undefined: only failures are. */
  readonly latencyMs: number | undefined;
  /** What is left of the limit after a bad answer: between 0 and 1. */
  readonly backoff: number;
}

export interface Sample {
  readonly beganAt: number;
  readonly endedAt: number;
  readonly failed: boolean;
  /** Requests in flight when it ended, itself included. */
  readonly inFlight: number;
}

export class AdaptiveLimit {
  readonly #terms: AdaptiveTerms;
  #limit: number;
  /** What began before says nothing of the limit since: one overload must not count many times. */
  #loweredAt = -Infinity;

  constructor(terms: AdaptiveTerms) {
    this.#terms = terms;
    this.#limit = terms.min;
  }

  get value(): number {
    return Math.floor(this.#limit);
  }

  take(sample: Sample): void {
    if (this.#isBad(sample)) this.#lower(sample);
    else if (sample.inFlight * 2 >= this.#limit) this.#raise();
  }

  /** A round has as many answers as the limit. */
  #raise(): void {
    const step = this.#loweredAt === -Infinity ? 1 : 1 / this.#limit;
    this.#limit = Math.min(this.#terms.max, this.#limit + step);
  }

  #isBad({ failed, beganAt, endedAt }: Sample): boolean {
    return failed || endedAt - beganAt > (this.#terms.latencyMs ?? Infinity);
  }

  #lower({ beganAt, endedAt }: Sample): void {
    if (beganAt <= this.#loweredAt) return;
    this.#loweredAt = endedAt;
    this.#limit = Math.max(this.#terms.min, this.#limit * this.#terms.backoff);
  }
}

/**
 * A circuit breaker: where too many requests to a target have failed, it is left alone for a time; then a few may try, and their
 * fate decides. What a request tells counts only in the state in which it was let through.
 */
import type { Clock } from '../core/clock.ts';
import { ForegateError } from '../core/errors.ts';
import type { CircuitState } from '../core/target-guard.ts';
import { FailureWindow } from './failure-window.ts';

export interface BreakerTerms {
  /** Above 0, at most 1: the circuit opens when this share of the requests has failed. */
  readonly failureRatio: number;
  /** Fewer requests in the window open nothing. */
  readonly minimum: number;
  readonly windowMs: number;
  readonly openForMs: number;
  /** Requests that try while it is half-open; when all are answered it closes. */
  readonly probes: number;
}

/** Told on each change, with the failures and requests that led to an opening. */
export type CircuitChange = (state: CircuitState, was: CircuitState, seen: { failures: number; requests: number }) => void;

export class Breaker {
  readonly #terms: BreakerTerms;
  readonly #clock: Clock;
  readonly #changed: CircuitChange;
  readonly #window: FailureWindow;
  #state: CircuitState = 'closed';
  /** Counts the changes: a request of an earlier state has no say. */
  #era = 0;
  #openUntil = 0;
  #trying = 0;
  #answered = 0;
  readonly #waiting = new Set<() => void>();

  constructor(terms: BreakerTerms, clock: Clock, changed: CircuitChange) {
    this.#terms = terms;
    this.#clock = clock;
    this.#changed = changed;
    this.#window = new FailureWindow(terms.windowMs);
  }

  get state(): CircuitState {
    return this.#state;
  }

  /** @throws ForegateError `circuit-open` where a request would not be let through now */
  check(): void {
    if (!this.#refuses()) return;
    const retryAfterMs = Math.max(this.#openUntil - this.#clock.now(), 1000);
    throw new ForegateError('circuit-open', undefined, { retryAfterMs });
  }

  /** Lets a request through; the era is to be given back with its fate. @throws ForegateError `circuit-open` */
  enter(): number {
    this.check();
    if (this.#state === 'half-open') this.#trying += 1;
    return this.#era;
  }

  judge(era: number, failed: boolean): void {
    if (era !== this.#era) return;
    if (this.#state === 'half-open') this.#judgeProbe(failed);
    else this.#count(failed);
  }

  /** A request that told nothing: another may try in its place. */
  abandon(era: number): void {
    if (era !== this.#era || this.#state !== 'half-open') return;
    this.#trying -= 1;
    this.#wake(1);
  }

  /** Resolves true when requests may try, false after `ms`. */
  ready(ms: number): Promise<boolean> | true {
    if (!this.#refuses()) return true;
    return new Promise((resolve) => {
      const settle = (isReady: boolean): void => {
        timer.cancel();
        this.#waiting.delete(wake);
        resolve(isReady);
      };
      const wake = (): void => settle(true);
      const timer = this.#clock.after(ms, () => settle(false));
      this.#waiting.add(wake);
    });
  }

  #refuses(): boolean {
    return this.#state === 'open' || (this.#state === 'half-open' && this.#trying >= this.#terms.probes);
  }

  #count(failed: boolean): void {
    const { failures, requests } = this.#window.add(failed, this.#clock.now());
    if (failed && requests >= this.#terms.minimum && failures >= this.#terms.failureRatio * requests)
      this.#open({ failures, requests });
  }

  #judgeProbe(failed: boolean): void {
    this.#answered += 1;
    if (failed) this.#open({ failures: 1, requests: this.#answered });
    else if (this.#answered >= this.#terms.probes) this.#change('closed');
  }

  #open(seen: { failures: number; requests: number }): void {
    const { openForMs } = this.#terms;
    this.#openUntil = this.#clock.now() + openForMs;
    this.#window.clear();
    this.#change('open', seen);
    this.#clock.after(openForMs, () => this.#change('half-open'));
  }

  #change(state: CircuitState, seen = { failures: 0, requests: 0 }): void {
    const was = this.#state;
    this.#state = state;
    this.#era += 1;
    this.#trying = 0;
    this.#answered = 0;
    this.#changed(state, was, seen);
    if (state === 'half-open') this.#wake(this.#terms.probes);
    if (state === 'closed') this.#wake(this.#waiting.size);
  }

  /** No more than may try: the others would only be refused. */
  #wake(count: number): void {
    for (const wake of [...this.#waiting].slice(0, count)) wake();
  }
}

/** What stands before a target that may be left alone or spared: its breaker and its cap on requests in flight. */
import type { MaybePromise } from './promise.ts';

export type CircuitState = 'closed' | 'half-open' | 'open';

/** One request that was let through. */
export interface Pass {
  /** How the target did, as soon as it is known; the first word counts. Unsaid: it had no chance to show, such as when the client left. */
  judge(result: 'answered' | 'failed'): void;
  /** The request is over. */
  leave(): void;
}

export interface TargetGuard {
  /**
   * Lets a request through, now or when its turn has come.
   * @throws ForegateError `circuit-open`, or `overloaded` where no more may wait or it waited too long
   */
  enter(): MaybePromise<Pass>;
  /** Requests may be let through again: true at once, or when it is so; false after `ms`. */
  ready(ms: number): MaybePromise<boolean>;
  report(): TargetReport;
}

/** How a target with a guard is, for metrics and statistics. */
export interface TargetReport {
  /** Scheme, host and port. */
  readonly target: string;
  /** Not there without a breaker. */
  readonly circuit?: CircuitState;
  /** Not there without a cap. */
  readonly inFlight?: { readonly running: number; readonly waiting: number; readonly limit: number };
}

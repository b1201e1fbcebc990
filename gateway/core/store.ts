/** Numbers that sessions, and later processes, share. */
import type { MaybePromise } from './promise.ts';

/** So many points in a window; the window of a key starts with its first point. */
export interface Budget {
  readonly limit: number;
  readonly windowMs: number;
  /** Instead of windows there is a bucket of so many points, full at first, into which `limit` points flow evenly in each `windowMs`. */
  readonly burst?: number;
  /** Points of a bucket that are not there yet may be taken, if they will be in so many milliseconds. */
  readonly waitMs?: number;
}

export type BucketBudget = Budget & { readonly burst: number };

export interface Taken {
  readonly allowed: boolean;
  /** Points left in the window; 0 when refused. */
  readonly remaining: number;
  /** Until the window of this key ends; of a bucket, until it is full, or if refused, until there are enough points. */
  readonly resetMs: number;
  /** Until points of a bucket that were taken in advance are there. */
  readonly waitMs?: number;
}

/** Who has a lease: something of this process that lives as long as it has it, or until it is told that it has lost it. */
export interface LeaseHolder {
  /** Unique among all holders of all processes. */
  readonly id: string;
  /** A newcomer, here or in another process, has its lease now; there is nothing to release. */
  lost(): void;
}

export interface LeaseTerms {
  /** Holders that a key may have at the same time. */
  readonly max: number;
  /** Whether one more gets none, or the one that came first loses its own. */
  readonly over: 'refuse' | 'evict';
}

export interface Store {
  /**
   * Takes `cost` points from the key's budget. Refused points count too, so who keeps trying keeps waiting no longer than the window;
   * not those of a bucket, which would never have any again.
   */
  take(key: string, budget: Budget, cost: number): MaybePromise<Taken>;
  /**
   * Gives a lease of the key, for as long as it is not released and this process lives; false: there are as many as may be. Never
   * are there more at a time, however many ask at once. A holder that asks again has the one it had.
   */
  lease(key: string, holder: LeaseHolder, terms: LeaseTerms): MaybePromise<boolean>;
  /** Gives a lease back; nothing happens where the holder has none. */
  release(key: string, holderId: string): void;
  close(): Promise<void>;
}

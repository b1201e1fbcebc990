/**
 * The store of one process: counts with the memory limiter of rate-limiter-flexible, but asks the limiter's storage, which answers
 * without a promise, since every message of every client comes through here.
 */
import { RateLimiterMemory } from 'rate-limiter-flexible';
import { ForegateError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import type { BucketBudget, Budget, Store, Taken } from '../core/store.ts';
import { MemoryBuckets } from './memory-buckets.ts';
import { MemoryLeases } from './memory-leases.ts';
import { MemoryWindows } from './memory-windows.ts';

/**
 * Makes an empty store; it answers at once, never by a promise. Keys beyond `keysMax` (default: `storeKeys` of the limits) are not
 * counted apart: newcomers share one budget per kind of budget until windows end, so that a flood of keys costs neither memory
 * nor the count of anybody who was there before.
 */
export function memoryStore(options: { readonly keysMax?: number } = {}): Store {
  const keysMax = options.keysMax ?? limits.storeKeys;
  const counts = new Counts(keysMax);
  const buckets = new MemoryBuckets(keysMax);
  const longWindows = new MemoryWindows(keysMax);
  const leases = new MemoryLeases(limits.storeLeases);
  return {
    take: (key, budget, cost) => {
      const points = cost > 0 ? Math.ceil(cost) : 0;
      if (hasBucket(budget)) return buckets.take(key, budget, points);
      if (budget.windowMs > longestTimerMs) return longWindows.take(key, budget, points);
      return points > 0 ? counts.take(key, budget, points) : counts.look(key, budget);
    },
    lease: (key, holder, terms) => leases.lease(key, holder, terms),
    release: (key, holderId) => leases.release(key, holderId),
    close: async () => {
      counts.clear();
      buckets.clear();
      longWindows.clear();
      leases.clear();
    },
  };
}

function hasBucket(budget: Budget): budget is BucketBudget {
  return budget.burst !== undefined;
}

class Counts {
  readonly #storage = openStorage();
  readonly #keysMax: number;

  constructor(keysMax: number) {
    this.#keysMax = keysMax;
  }

  take(key: string, budget: Budget, cost: number): Taken {
    const count = this.#storage.incrby(key, cost, budget.windowMs / 1000);
    if (count.isFirstInDuration && this.#storage.size() > this.#keysMax) return this.#takeTogether(key, budget, cost);
    return taken(count, budget);
  }

  /** What a key has left, without taking any and without beginning a window. */
  look(key: string, budget: Budget): Taken {
    const count = this.#storage.get(key);
    if (count === null || count.msBeforeNext <= 0) return { allowed: true, remaining: budget.limit, resetMs: 0 };
    return taken(count, budget);
  }

  clear(): void {
    for (const key of this.#storage.keys()) this.#storage.delete(key);
  }

  #takeTogether(key: string, budget: Budget, cost: number): Taken {
    this.#storage.delete(key);
    return taken(this.#storage.incrby(`${together}${budget.limit}:${budget.windowMs}`, cost, budget.windowMs / 1000), budget);
  }
}

// The library ends a window with setTimeout, which fires at once for anything longer.
const longestTimerMs = 0x7fff_ffff;

// No key of a policy begins with a control character.
const together = '\0together:';

function taken(count: Count, budget: Budget): Taken {
  const remaining = budget.limit - count.consumedPoints;
  return { allowed: remaining >= 0, remaining: remaining > 0 ? remaining : 0, resetMs: count.msBeforeNext };
}

interface Count {
  readonly consumedPoints: number;
  readonly msBeforeNext: number;
  /** True for the first points of a window. */
  readonly isFirstInDuration: boolean;
}

interface Storage {
  incrby(key: string, points: number, windowSeconds: number): Count;
  get(key: string): Count | null;
  delete(key: string): boolean;
  keys(): Iterable<string>;
  size(): number;
}

/**
 * The storage inside the library's limiter. It is no part of the library's interface, so its version is pinned and its absence told;
 * the limiter's own `consume` does the same count, but costs a promise, and a rejected one for each refusal.
 */
function openStorage(): Storage {
  // Limit and window differ from call to call: those of the limiter itself are never used.
  const limiter = new RateLimiterMemory({ points: 0, duration: 0, keyPrefix: '' });
  const inner: Omit<Storage, 'keys' | 'size'> | undefined = Reflect.get(limiter, '_memoryStorage');
  const records: ReadonlyMap<string, unknown> | undefined = inner && Reflect.get(inner, '_storage');
  if (inner === undefined || records === undefined)
    throw new ForegateError('internal', 'This version of rate-limiter-flexible is not supported.');
  return {
    incrby: (key, points, windowSeconds) => inner.incrby(key, points, windowSeconds),
    get: (key) => inner.get(key),
    delete: (key) => inner.delete(key),
    keys: () => records.keys(),
    size: () => records.size,
  };
}

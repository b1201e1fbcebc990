/**
 * Buckets of one process, by the generic cell rate algorithm: of each key it is enough to know when its bucket will be full again.
 * What is taken in advance makes that time later than an empty bucket would.
 */
import type { BucketBudget, Taken } from '../core/store.ts';
import { Expiring } from './expiring.ts';

export class MemoryBuckets {
  /** `endsAt`: when the bucket is full, and need not be known any more. */
  readonly #buckets: Expiring<{ endsAt: number }>;

  /** Keys beyond `keysMax` share one bucket per kind of budget until there is room. */
  constructor(keysMax: number) {
    this.#buckets = new Expiring(keysMax);
  }

  take(key: string, budget: BucketBudget, cost: number): Taken {
    const now = Date.now();
    const bucket = this.#buckets.find(key, now);
    if (bucket !== undefined) return pour(bucket, budget, cost, now);
    const full = { endsAt: now };
    return cost === 0 || this.#buckets.add(key, full, now)
      ? pour(full, budget, cost, now)
      : this.#takeTogether(budget, cost, now);
  }

  clear(): void {
    this.#buckets.clear();
  }

  #takeTogether(budget: BucketBudget, cost: number, now: number): Taken {
    const key = `${together}${budget.limit}:${budget.windowMs}:${budget.burst}`;
    const bucket = this.#buckets.find(key, now) ?? { endsAt: now };
    this.#buckets.force(key, bucket);
    return pour(bucket, budget, cost, now);
  }
}

// No key of a policy begins with a control character.
const together = '\0together:';

/** Takes `cost` points out, if there are enough by the time that the budget allows to wait for them. */
function pour(
  bucket: { endsAt: number },
  { limit, windowMs, burst, waitMs = 0 }: BucketBudget,
  cost: number,
  now: number,
): Taken {
  const pointMs = windowMs / limit;
  const emptyMs = burst * pointMs;
  const fullAt = bucket.endsAt + cost * pointMs;
  const missingMs = Math.ceil(fullAt - now - emptyMs - rounding);
  if (missingMs > waitMs || cost > burst) return { allowed: false, remaining: 0, resetMs: Math.max(missingMs, 1) };
  bucket.endsAt = fullAt;
  const remaining = Math.max(0, Math.floor((emptyMs - (fullAt - now)) / pointMs + rounding));
  return { allowed: true, remaining, resetMs: Math.ceil(fullAt - now - rounding), waitMs: Math.max(0, missingMs) };
}

/** A point may take a third of a millisecond: sums of those are not exact. */
const rounding = 1e-6;

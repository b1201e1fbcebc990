/**
 * The store of several machines, in Redis: its counts are here, its leases in `redis-leases.ts`. Where Redis is away or does not answer
 * in time, `whenAway` decides.
 */
import type { Log } from '../core/log.ts';
import type { Metrics } from '../core/metrics.ts';
import type { MaybePromise } from '../core/promise.ts';
import type { Settings } from '../core/settings.ts';
import type { Budget, LeaseHolder, LeaseTerms, SharedStore, Store, Taken } from '../core/store.ts';
import { memoryStore } from './memory-store.ts';
import { Batch } from './redis-batch.ts';
import { digest } from './redis-key.ts';
import { RedisLeases } from './redis-leases.ts';
import { RedisLink } from './redis-link.ts';

export interface RedisStoreParts {
  readonly settings: Settings['store'];
  readonly log: Log;
  readonly metrics: Metrics;
}

/** Makes a store that is away until it is opened. */
export function redisStore(parts: RedisStoreParts): SharedStore {
  return new RedisStore(parts);
}

/** Who is refused since Redis is away may come again after that. */
const comeAgainMs = 1000;

interface Take {
  readonly key: string;
  readonly budget: Budget;
  readonly cost: number;
}

class RedisStore implements SharedStore {
  readonly #parts: RedisStoreParts;
  readonly #local: Store = memoryStore();
  readonly #link: RedisLink;
  readonly #leases: RedisLeases;
  readonly #takes: Batch<Take, Taken>;

  constructor(parts: RedisStoreParts) {
    this.#parts = parts;
    this.#link = new RedisLink({
      ...parts,
      // It takes a point of its own, since nothing less shows that Redis counts.
      trial: () => this.#run([{ key: tryKey, budget: tryBudget, cost: 1 }]),
      returned: () => this.#leases.enter(),
    });
    this.#leases = new RedisLeases({ ...parts, link: this.#link });
    this.#takes = new Batch({ ask: (takes, settled) => this.#ask(takes, settled), decide: (take) => this.#decide(take) });
  }

  get away(): boolean {
    return this.#link.away;
  }

  open(): Promise<void> {
    return this.#link.open();
  }

  take(key: string, budget: Budget, cost: number): MaybePromise<Taken> {
    if (this.#link.away || this.#takes.full) return this.#decide({ key, budget, cost });
    return this.#takes.add({ key, budget, cost });
  }

  lease(key: string, holder: LeaseHolder, terms: LeaseTerms): MaybePromise<boolean> {
    return this.#leases.lease(key, holder, terms);
  }

  release(key: string, holderId: string): void {
    this.#leases.release(key, holderId);
  }

  async close(): Promise<void> {
    await this.#leases.close();
    this.#link.close();
    await this.#local.close();
  }

  async #ask(takes: readonly Take[], settled: () => void): Promise<readonly Taken[] | undefined> {
    const running = this.#run(takes);
    running.then(settled, settled);
    const counts = await this.#link.answer(running);
    return counts && takes.map(({ budget }, index) => takenOf(counts, index, budget));
  }

  async #run(takes: readonly Take[]): Promise<readonly number[]> {
    const { prefix } = this.#parts.settings;
    const keys = takes.map(({ key }) => `${prefix}${digest(key)}`);
    return (await this.#link.run(script, keys, takes.flatMap(termsOf))) as readonly number[]; // It is our own script that answers.
  }

  #decide({ key, budget, cost }: Take): MaybePromise<Taken> {
    this.#parts.metrics.count('store_misses');
    switch (this.#parts.settings.whenAway) {
      case 'local':
        return this.#local.take(key, budget, cost);
      case 'allow':
        return { allowed: true, remaining: budget.limit, resetMs: 0 };
      case 'deny':
        return { allowed: false, remaining: 0, resetMs: comeAgainMs };
    }
  }
}

// No key of a policy begins with a control character.
const tryKey = '\0try';
const tryBudget: Budget = { limit: 1, windowMs: 1000 };

/**
 * For each key: whether the points may be taken, how many are left, until when, and how long to wait for them (see `Taken`).
 *
 * A window begins with its first points; a count over its limit does not grow, since it could refuse no more than everything. Of a
 * bucket it is known when it will be full again (the generic cell rate algorithm), as in `memory-buckets.ts`.
 */
const script = `
local time = redis.call('time')
local now = time[1] * 1000 + time[2] / 1000
local answer = {}

local function window(key, limit, length, cost)
  local count = tonumber(redis.call('get', key) or 0)
  if cost > 0 and count <= limit then count = redis.call('incrby', key, cost) end
  local left = redis.call('pttl', key)
  if left == -1 then
    redis.call('pexpire', key, length)
    left = length
  end
  return count <= limit and 1 or 0, math.max(0, limit - count), math.max(left, 0), 0
end

local function bucket(key, limit, length, cost, burst, wait)
  local point = length / limit
  local full = math.max(tonumber(redis.call('get', key) or 0), now) + cost * point
  local missing = math.max(0, math.ceil(full - now - burst * point - 0.001))
  if missing > wait or cost > burst then return 0, 0, math.max(missing, 1), 0 end
  local left = math.ceil(full - now - 0.001)
  if cost > 0 then redis.call('set', key, string.format('%.3f', full), 'px', math.max(left, 1)) end
  return 1, math.max(0, math.floor((burst * point - (full - now)) / point + 0.001)), math.max(left, 0), missing
end

for i, key in ipairs(KEYS) do
  local terms = {}
  for j = 1, 5 do terms[j] = tonumber(ARGV[5 * i - 5 + j]) end
  local limit, length, cost, burst, wait = unpack(terms)
  local take = burst < 0 and window or bucket
  local allowed, remaining, reset, delay = take(key, limit, length, cost, burst, wait)
  for _, number in ipairs({allowed, remaining, reset, delay}) do answer[#answer + 1] = number end
end
return answer
`;

/** Numbers that Redis and Lua can count with. A cost beyond the limit is as good as the next one; no burst is -1. */
function termsOf({ budget: { limit, windowMs, burst = -1, waitMs = 0 }, cost }: Take): number[] {
  const points = Math.min(Math.floor(limit), Number.MAX_SAFE_INTEGER - 1);
  const most = Math.max(points, burst);
  const wanted = Math.ceil(cost) > Math.max(limit, burst) ? most + 1 : Math.min(Math.ceil(cost), most);
  return [points, Math.max(1, Math.ceil(windowMs)), Math.max(0, wanted), burst, waitMs];
}

function takenOf(numbers: readonly number[], index: number, { burst }: Budget): Taken {
  const [allowed = 0, remaining = 0, resetMs = 0, waitMs = 0] = numbers.slice(4 * index, 4 * index + 4);
  return { allowed: allowed === 1, remaining, resetMs, ...(burst !== undefined && allowed === 1 && { waitMs }) };
}

/**
 * The store of several machines: counts in Redis. What a turn of the event loop brought is asked in one call, so that a burst costs one
 * round trip. Without an answer in time `whenAway` decides, and Redis is left alone until it counts again: nobody waits for it meanwhile.
 */
import { hash } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { toMs } from '../core/duration.ts';
import { limits } from '../core/limits.ts';
import type { Log } from '../core/log.ts';
import type { Metrics } from '../core/metrics.ts';
import type { MaybePromise } from '../core/promise.ts';
import type { Settings } from '../core/settings.ts';
import type { Budget, LeaseHolder, LeaseTerms, SharedStore, Store, Taken } from '../core/store.ts';
import { memoryStore } from './memory-store.ts';
import { openRedis, type RedisClient } from './redis-client.ts';

export interface RedisStoreParts {
  readonly settings: Settings['store'];
  readonly log: Log;
  readonly metrics: Metrics;
}

/** Makes a store that is away until it is opened. */
export function redisStore(parts: RedisStoreParts): SharedStore {
  return new RedisStore(parts);
}

/** Between two tries to connect, or to count again: twice is well within the second that a return may take. */
const retryMs = 200;
/** The least time a connection may take to be made: enough between machines of one place, and short within that second. */
const connectMs = 500;
/** Tries in vain before a connection is taken for dead: its other end may be gone without a word, or may only be read any more. */
const triesPerConnection = 4;
/** Who is refused since Redis is away may come again after that. */
const comeAgainMs = 1000;
/** A Redis that comes and goes shall not fill the log. */
const tellEveryMs = 10_000;

interface Take {
  readonly key: string;
  readonly budget: Budget;
  readonly cost: number;
}

interface Waiting extends Take {
  readonly answer: (taken: MaybePromise<Taken>) => void;
}

class RedisStore implements SharedStore {
  readonly #parts: RedisStoreParts;
  readonly #timeoutMs: number;
  readonly #local: Store = memoryStore();
  #client: RedisClient | undefined;
  #away = true;
  #closed = false;
  /** Takes of this turn. */
  #batch: Waiting[] = [];
  /** Takes that Redis has not answered, those included that wait no longer. */
  #unanswered = 0;
  /** When an answer came in time for the last time. */
  #inTimeAt = -Infinity;
  #awaySince = 0;
  #toldAt = -Infinity;

  constructor(parts: RedisStoreParts) {
    this.#parts = parts;
    this.#timeoutMs = toMs(parts.settings.timeout);
  }

  get away(): boolean {
    return this.#away;
  }

  async open(): Promise<void> {
    const { url = '' } = this.#parts.settings;
    this.#client = await openRedis({
      url,
      connectMs: Math.max(connectMs, this.#timeoutMs),
      retryMs,
      lost: (reason) => this.#leave(reason),
    });
    const trouble = await this.#try();
    if (trouble === undefined) this.#away = false;
    else this.#begin(trouble);
  }

  take(key: string, budget: Budget, cost: number): MaybePromise<Taken> {
    if (this.#away || this.#unanswered >= limits.storeWaiting) return this.#decide({ key, budget, cost });
    return new Promise((answer) => this.#gather({ key, budget, cost, answer }));
  }

  /** Places of this process alone: a process that is gone could not give back those it had elsewhere. */
  lease(key: string, holder: LeaseHolder, terms: LeaseTerms): MaybePromise<boolean> {
    return this.#local.lease(key, holder, terms);
  }

  release(key: string, holderId: string): void {
    this.#local.release(key, holderId);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#away = true;
    this.#client?.close();
    await this.#local.close();
  }

  #gather(waiting: Waiting): void {
    this.#unanswered += 1;
    this.#batch.push(waiting);
    if (this.#batch.length === 1) setImmediate(() => void this.#send());
    else if (this.#batch.length === limits.storeBatch) void this.#send();
  }

  async #send(): Promise<void> {
    const batch = this.#batch;
    if (batch.length === 0) return;
    this.#batch = [];
    const sentAt = performance.now();
    const taken = await this.#ask(batch).catch((error: unknown) => this.#leave(reasonOf(error)));
    if (taken !== undefined) this.#inTimeAt = performance.now();
    else if (this.#inTimeAt < sentAt) this.#leave(this.#silence);
    for (const [index, waiting] of batch.entries()) waiting.answer(taken?.[index] ?? this.#decide(waiting));
  }

  /** Undefined where no answer came in time. @throws whatever Redis or the connection to it complains of */
  async #ask(takes: readonly Take[]): Promise<readonly Taken[] | undefined> {
    const { prefix } = this.#parts.settings;
    const running = this.#run(
      takes.map(({ key }) => `${prefix}${hash('sha256', key, 'base64url')}`),
      takes.flatMap(termsOf),
    );
    const settled = (): void => {
      this.#unanswered -= takes.length;
    };
    running.then(settled, settled);
    const counts = await inTime(running, this.#timeoutMs);
    return counts && takes.map(({ budget }, index) => takenOf(counts, index, budget));
  }

  async #run(keys: readonly string[], terms: readonly number[]): Promise<readonly number[]> {
    if (this.#client === undefined || this.#closed) throw new Error('The store is not open.');
    return (await this.#client.run(script, keys, terms)) as readonly number[]; // It is our own script that answers.
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

  #leave(reason: string): undefined {
    if (this.#away) return;
    this.#away = true;
    this.#begin(reason);
  }

  /** Begins a time without Redis. */
  #begin(reason: string): void {
    this.#awaySince = performance.now();
    if (this.#awaySince - this.#toldAt >= tellEveryMs) {
      this.#toldAt = this.#awaySince;
      const { url = '', whenAway } = this.#parts.settings;
      this.#parts.log.warn('store.away', { address: addressOf(url), reason, whenAway });
    }
    void this.#seek();
  }

  async #seek(): Promise<void> {
    for (let tries = 1; !this.#closed; tries += 1) {
      if ((await this.#try()) === undefined) return this.#return();
      if (tries % triesPerConnection === 0) this.#client?.reconnect();
      await wait(retryMs, undefined, { ref: false });
    }
  }

  #return(): void {
    if (this.#closed) return;
    this.#away = false;
    // Only for a time that was told of.
    if (this.#toldAt === this.#awaySince)
      this.#parts.log.info('store.back', { ms: Math.round(performance.now() - this.#awaySince) });
  }

  /** Takes a point of its own, since nothing less shows that Redis counts; what is wrong, if it does not. */
  async #try(): Promise<string | undefined> {
    this.#unanswered += 1;
    try {
      return (await this.#ask([{ key: tryKey, budget: tryBudget, cost: 1 }])) === undefined ? this.#silence : undefined;
    } catch (error) {
      return reasonOf(error);
    }
  }

  get #silence(): string {
    return `There was no answer within ${this.#timeoutMs} ms.`;
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

/** Undefined after the time. What has arrived by then still counts: it was this process that was late. */
function inTime<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => setImmediate(() => resolve(undefined)), ms);
    const settled = (): void => clearTimeout(timer);
    promise.then(resolve, reject).then(settled, settled);
  });
}

/** The text alone: errors of the library hold the command. */
function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Without user and password. */
function addressOf(url: string): string {
  return new URL(url).host;
}

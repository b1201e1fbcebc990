/**
 * The store of several machines: counts in Redis. What a turn of the event loop brought is asked in one call, so that a burst costs one
 * round trip. Without an answer in time `whenAway` decides, and Redis is left alone until it counts again: nobody waits for it meanwhile.
 */
import { hash } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { toMs } from '../core/duration.ts';
import { ForegateError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import type { Log } from '../core/log.ts';
import type { Metrics } from '../core/metrics.ts';
import type { MaybePromise } from '../core/promise.ts';
import type { Settings } from '../core/settings.ts';
import type { Budget, SharedStore, Store, Taken } from '../core/store.ts';
import { longestWindowMs, memoryStore } from './memory-store.ts';
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
    if (budget.windowMs > longestWindowMs) throw new ForegateError('internal', 'A window may have at most 24 days.');
    if (this.#away || this.#unanswered >= limits.storeWaiting) return this.#decide({ key, budget, cost });
    return new Promise((answer) => this.#gather({ key, budget, cost, answer }));
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
 * For each key: the count after taking, and how long its window still lasts. The window begins with the first points. A count over its
 * limit does not grow: it could refuse no more than everything, and would be without bounds.
 */
const script = `
local answer = {}
for i, key in ipairs(KEYS) do
  local limit, window, cost = tonumber(ARGV[3 * i - 2]), ARGV[3 * i - 1], ARGV[3 * i]
  local count = tonumber(redis.call('get', key) or 0)
  if cost ~= '0' and count <= limit then count = redis.call('incrby', key, cost) end
  local left = redis.call('pttl', key)
  if left == -1 then
    redis.call('pexpire', key, window)
    left = tonumber(window)
  end
  answer[2 * i - 1] = count
  answer[2 * i] = math.max(left, 0)
end
return answer
`;

/** Whole numbers that Redis and Lua can count with: limit, window and cost. A cost beyond the limit is as good as the next one. */
function termsOf({ budget, cost }: Take): number[] {
  const limit = Math.min(Math.floor(budget.limit), Number.MAX_SAFE_INTEGER - 1);
  return [limit, Math.max(1, Math.ceil(budget.windowMs)), cost > 0 ? Math.min(Math.ceil(cost), limit + 1) : 0];
}

function takenOf(counts: readonly number[], index: number, { limit }: Budget): Taken {
  const [count = 0, resetMs = 0] = counts.slice(2 * index, 2 * index + 2);
  return { allowed: count <= limit, remaining: Math.max(0, limit - count), resetMs };
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

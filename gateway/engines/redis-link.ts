/**
 * The connection of a store to its Redis, and whether Redis does its work. Without an answer in time, or without a connection, it is
 * away and left alone until a trial shows that it works again: nobody waits for it meanwhile.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { toMs } from '../core/duration.ts';
import type { Log } from '../core/log.ts';
import type { Settings } from '../core/settings.ts';
import { inTime } from './in-time.ts';
import { addressOf, openRedis, reasonOf, type RedisClient } from './redis-client.ts';

export interface RedisLinkParts {
  readonly settings: Settings['store'];
  readonly log: Log;
  /** Asks Redis for what the store needs of it. Rejects if it does not do that. */
  readonly trial: () => Promise<unknown>;
  /** Redis works again: what must be done before anybody asks it. Rejects if it was not done. */
  readonly returned: () => Promise<void>;
}

/** Between two tries to connect, or of the trial: twice is well within the second that a return may take. */
const retryMs = 200;
/** The least time a connection may take to be made: enough between machines of one place, and short within that second. */
const connectMs = 500;
/** Tries in vain before a connection is taken for dead: its other end may be gone without a word, or may only be read any more. */
const triesPerConnection = 4;
/** A Redis that comes and goes shall not fill the log. */
const tellEveryMs = 10_000;

export class RedisLink {
  readonly #parts: RedisLinkParts;
  readonly #timeoutMs: number;
  #client: RedisClient | undefined;
  #away = true;
  #closed = false;
  /** When an answer came in time for the last time. */
  #inTimeAt = -Infinity;
  #awaySince = 0;
  #toldAt = -Infinity;

  constructor(parts: RedisLinkParts) {
    this.#parts = parts;
    this.#timeoutMs = toMs(parts.settings.timeout);
  }

  get away(): boolean {
    return this.#away;
  }

  /** Resolves also if Redis is away. @throws Error with what to install */
  async open(): Promise<void> {
    const { url = '' } = this.#parts.settings;
    this.#client = await openRedis({
      url,
      connectMs: Math.max(connectMs, this.#timeoutMs),
      retryMs,
      lost: (reason) => this.leave(reason),
    });
    const trouble = await this.#try();
    if (trouble === undefined) this.#away = false;
    else this.#begin(trouble);
  }

  close(): void {
    this.#closed = true;
    this.#away = true;
    this.#client?.close();
  }

  /** Runs a script, however long that takes. @throws whatever Redis or the connection to it complains of */
  async run(script: string, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
    if (this.#client === undefined || this.#closed) throw new Error('The store is not open.');
    return this.#client.run(script, keys, args);
  }

  /** What was answered; undefined where that failed or was late, which is noted: Redis may count as away from then on. */
  async answer<Answer>(running: Promise<Answer>): Promise<Answer | undefined> {
    const sentAt = performance.now();
    const answer = await inTime(running, this.#timeoutMs).catch((error: unknown) => this.leave(reasonOf(error)));
    if (answer !== undefined) this.#inTimeAt = performance.now();
    else if (this.#inTimeAt < sentAt) this.leave(this.#silence);
    return answer;
  }

  /** Leaves Redis alone until it works again. */
  leave(reason: string): undefined {
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

  /** What is wrong, if Redis does not work. */
  async #try(): Promise<string | undefined> {
    try {
      if ((await inTime(this.#parts.trial(), this.#timeoutMs)) === undefined) return this.#silence;
      await this.#parts.returned();
      return undefined;
    } catch (error) {
      return reasonOf(error);
    }
  }

  get #silence(): string {
    return `There was no answer within ${this.#timeoutMs} ms.`;
  }
}

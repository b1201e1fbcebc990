/**
 * The leases of the store in Redis. A process says there that it lives, and nothing else is renewed: what its holders have stands or
 * falls with that. Whatever is not known for sure, such as after an answer that never came, is mended in one way: the process takes a
 * new name in Redis, under which all its holders are registered anew, and what was held under the old one is given back.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { limits } from '../core/limits.ts';
import type { Metrics } from '../core/metrics.ts';
import type { MaybePromise } from '../core/promise.ts';
import type { Settings } from '../core/settings.ts';
import type { LeaseHolder, LeaseTerms } from '../core/store.ts';
import { HeldLeases, type Held } from './held-leases.ts';
import { Batch } from './redis-batch.ts';
import { openRedis, type RedisClient } from './redis-client.ts';
import { digest } from './redis-key.ts';
import { givenBackAtOnce, leaseScript, lifeScript, partHeld, processName } from './redis-lease-scripts.ts';
import type { RedisLink } from './redis-link.ts';

export interface RedisLeasesParts {
  readonly settings: Settings['store'];
  readonly metrics: Metrics;
  readonly link: RedisLink;
}

type Operation = Held & { readonly what: 'lease' | 'register' | 'release' };

/** Of `leaseScript`. */
type LeaseAnswer = readonly [since: readonly number[], lost: readonly string[]] | readonly [];

/** Of `lifeScript`. */
type LifeAnswer = readonly [known: number, more: number, lost: readonly string[]];

const renewMs = 1000;
/** A process that has not said for so long that it lives has lost its leases; a living one finds that within `renewMs`. */
const lifeMs = 5000;
/** A connection for what others take from us is made anew after that; meanwhile it is found with the next renewal. */
const listenRetryMs = 1000;

export class RedisLeases {
  readonly #parts: RedisLeasesParts;
  readonly #held = new HeldLeases();
  readonly #operations: Batch<Operation, boolean>;
  /** The name of this process in Redis; empty as long as it never had leases. */
  #own = '';
  /** Settled when Redis knows all leases of this process; undefined where it is not known whether it does. */
  #entered: Promise<void> | undefined;
  #entering: Promise<unknown> = Promise.resolve();
  #renewal: NodeJS.Timeout | undefined;
  #renewing = false;
  #closed = false;
  #listener: Promise<RedisClient | undefined> | undefined;

  constructor(parts: RedisLeasesParts) {
    this.#parts = parts;
    this.#operations = new Batch({
      ask: (operations, settled) => this.#ask(operations, settled),
      decide: (operation) => this.#decide(operation),
    });
  }

  lease(key: string, holder: LeaseHolder, terms: LeaseTerms): MaybePromise<boolean> {
    const [name, id] = [digest(key), digest(holder.id)];
    if (this.#held.find(name, id) !== undefined) return true;
    if (this.#held.size >= limits.storeLeases) return false;
    const operation: Operation = { what: 'lease', name, id, holder, terms, since: 0, at: '' };
    if (this.#parts.link.away) return this.#decide(operation);
    return this.#operations.full ? this.#refuse() : this.#operations.add(operation);
  }

  release(key: string, holderId: string): void {
    const held = this.#held.remove(digest(key), digest(holderId));
    if (held !== undefined) this.#giveBack(held);
  }

  /** Makes Redis know all leases of this process, after a time in which it may have forgotten them. Rejects if it does not answer. */
  async enter(): Promise<void> {
    if (this.#own === '' && this.#held.size === 0) return;
    this.#entered = undefined;
    await this.#member();
  }

  /** Gives everything back; nobody gets anything any more. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#renewal);
    await this.#entering;
    (await this.#listener)?.close();
    if (this.#own !== '' && !this.#parts.link.away) await this.#parts.link.answer(this.#live('leave', this.#own));
  }

  #giveBack(held: Held): void {
    if (this.#closed) return;
    if (this.#parts.link.away || this.#operations.full) this.#entered = undefined;
    else void this.#operations.add({ ...held, what: 'release' });
  }

  async #ask(operations: readonly Operation[], settled: () => void): Promise<readonly boolean[] | undefined> {
    const running = this.#run(operations);
    running.then(settled, settled);
    const answer = await this.#parts.link.answer(running);
    // It may have been done, or be done later.
    if (answer === undefined) this.#entered = undefined;
    return answer && this.#take(operations, answer);
  }

  /** Once more where Redis has forgotten this process. */
  async #run(operations: readonly Operation[]): Promise<Granted> {
    for (let tries = 0; tries < 2; tries += 1) {
      if (this.#closed) return { own: '', since: [], lost: [] };
      await this.#member();
      const own = this.#own;
      const [since, lost] = await this.#call(own, operations);
      if (since !== undefined && lost !== undefined) return { own, since, lost };
      this.#entered = undefined;
    }
    throw new Error('Redis forgets at once who has leases.');
  }

  #take(operations: readonly Operation[], { own, since, lost }: Granted): readonly boolean[] {
    const granted = operations.map(({ what, ...held }, index) => {
      const at = since[index] ?? 0;
      if (what === 'lease' && at > 0) this.#held.add({ ...held, since: at, at: own });
      return at > 0;
    });
    this.#lose(lost);
    return granted;
  }

  /** Redis is there, so to decide without it could let in more than may be. */
  #refuse(): boolean {
    this.#parts.metrics.count('store_misses');
    return false;
  }

  /** Without Redis. */
  #decide({ what, ...held }: Operation): boolean {
    if (what !== 'lease') return true;
    this.#parts.metrics.count('store_misses');
    const { whenAway } = this.#parts.settings;
    if (whenAway === 'deny') return false;
    const here: Held = { ...held, since: Date.now() * 1000 };
    if (whenAway === 'local') return this.#held.addIfFits(here);
    this.#held.add(here);
    return true;
  }

  /** Others have the leases now. Who was registered anew meanwhile has one of its own, which is given back. */
  #lose(lost: readonly string[]): void {
    for (const text of lost) {
      const { name, id } = partHeld(text);
      const held = this.#held.remove(name, id);
      if (held === undefined) continue;
      this.#giveBack(held);
      held.holder.lost();
    }
  }

  #member(): Promise<void> {
    if (this.#entered !== undefined) return this.#entered;
    const entered = this.#entering.then(() => this.#enter());
    this.#entered = entered;
    this.#entering = entered.catch(() => {
      if (this.#entered === entered) this.#entered = undefined;
    });
    return entered;
  }

  async #enter(): Promise<void> {
    const before = this.#own;
    const own = processName();
    await this.#soon(this.#live('join', own));
    this.#own = own;
    // What was granted under the old name has been answered by now, and is noted in this turn.
    await turn();
    await this.#registerAll();
    if (before !== '') await this.#soon(this.#live('leave', before));
    if (this.#closed) return;
    this.#renewal ??= setInterval(() => void this.#renew(), renewMs).unref();
    void this.#listen();
  }

  /** Those of holders that Redis does not know under the present name. */
  async #registerAll(): Promise<void> {
    const own = this.#own;
    const missing = [...this.#held.all()].filter(({ at }) => at !== own);
    for (let i = 0; i < missing.length; i += limits.storeBatch)
      await this.#register(own, missing.slice(i, i + limits.storeBatch));
  }

  async #register(own: string, missing: readonly Held[]): Promise<void> {
    // Who has left by now is not to be registered.
    const present = missing.filter((held) => this.#held.find(held.name, held.id) === held);
    if (present.length === 0) return;
    const [, lost] = await this.#soon(
      this.#call(
        own,
        present.map((held) => ({ ...held, what: 'register' })),
      ),
    );
    if (lost === undefined) throw new Error('Redis has forgotten who has leases.');
    for (const held of present) held.at = own;
    this.#lose(lost);
    // Those that left meanwhile were not known under this name when they did.
    for (const held of present) if (this.#held.find(held.name, held.id) !== held) this.#giveBack(held);
  }

  async #renew(): Promise<void> {
    if (this.#renewing || this.#closed || this.#parts.link.away) return;
    this.#renewing = true;
    try {
      await this.#member();
      for (let more = 1; more === 1 && !this.#parts.link.away;) more = await this.#sayThatItLives();
      await this.#registerAll();
    } catch {
      // The link has noted it, or the next renewal finds it again.
    } finally {
      this.#renewing = false;
    }
  }

  /** 1 where there is more to give back of what ended processes held. */
  async #sayThatItLives(): Promise<number> {
    const [known, more, lost] = await this.#soon(this.#live('renew', this.#own));
    this.#lose(lost);
    if (known === 0 && !this.#closed) await this.enter();
    return more;
  }

  /** Hears at once of what others take; nothing depends on it. */
  async #listen(): Promise<void> {
    this.#listener ??= openRedis({
      url: this.#parts.settings.url ?? '',
      connectMs: listenRetryMs,
      retryMs: listenRetryMs,
      lost: () => {},
      ready: () => void this.#listen(),
      got: (_channel, message) => this.#lose([message.toString()]),
    }).catch(() => undefined);
    const listener = await this.#listener;
    await listener?.subscribe([`${this.#parts.settings.prefix}lost:${this.#own}`]).catch(() => undefined);
  }

  async #call(own: string, operations: readonly Operation[]): Promise<LeaseAnswer> {
    const terms = operations.flatMap(({ what, name, id, terms: { max, over }, since, at }) => [
      what,
      over,
      name,
      id,
      max,
      since,
      at,
    ]);
    const { prefix } = this.#parts.settings;
    return (await this.#parts.link.run(leaseScript, [], [prefix, own, ...terms])) as LeaseAnswer; // It is our own script that answers.
  }

  async #live(what: 'join' | 'renew' | 'leave', name: string): Promise<LifeAnswer> {
    const { prefix } = this.#parts.settings;
    return (await this.#parts.link.run(lifeScript, [], [prefix, name, what, lifeMs * 1000, givenBackAtOnce])) as LifeAnswer; // Likewise.
  }

  /** @throws Error where no answer came in time */
  async #soon<Answer>(running: Promise<Answer>): Promise<Answer> {
    const answer = await this.#parts.link.answer(running);
    if (answer === undefined) throw new Error('Redis did not answer in time who has leases.');
    return answer;
  }
}

interface Granted {
  readonly own: string;
  readonly since: readonly number[];
  readonly lost: readonly string[];
}

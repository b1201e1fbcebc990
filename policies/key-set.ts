/**
 * The public keys of an identity provider (JWKS, RFC 7517), fetched by jwks-rsa and kept here: the library's own cache spends one
 * allowance of requests on known and unknown key ids alike, so invented ids could keep known keys from being renewed.
 */
import { createPublicKey, type KeyObject } from 'node:crypto';
import { JwksClient, type SigningKey } from 'jwks-rsa';
import type { Clock } from '../gateway/core/clock.ts';
import { ForegateError } from '../gateway/core/errors.ts';
import { limits } from '../gateway/core/limits.ts';
import type { Log } from '../gateway/core/log.ts';
import type { MaybePromise } from '../gateway/core/promise.ts';
import { fetchJson } from './fetch-json.ts';

export interface PublicKey {
  readonly key: KeyObject;
  /** The only algorithm this key may be used with, where its set says so. */
  readonly algorithm: string | undefined;
}

/** A set is used for so long before it is read again; a key that was taken back is refused after it. */
const freshMs = 600_000;
/** While the provider is away known keys are good for so long. */
const staleMs = 3_600_000;
/** Between two readings that unknown ids or failures set off. */
const pauseMs = 10_000;

/** Where the set is, or how that is found out. @throws Error if it cannot be found out now */
export type KeySetPlace = string | { readonly url: string; find(timeoutMs: number): Promise<string> };

interface KeySetTerms {
  readonly clock: Clock;
  readonly log: Log;
  /** For a whole answer; default: five seconds. */
  readonly timeoutMs?: number;
}

export class KeySet {
  readonly #place: KeySetPlace;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #client: JwksClient;
  #keys: ReadonlyMap<string | undefined, PublicKey> = new Map();
  #readAt = -Infinity;
  #triedAt = -Infinity;
  #failed = false;
  #reading: Promise<void> | undefined;

  constructor(place: KeySetPlace, { clock, log, timeoutMs = 5_000 }: KeySetTerms) {
    this.#place = place;
    this.#clock = clock;
    this.#log = log;
    // The place may move: the library's own URL is not used.
    this.#client = new JwksClient({
      jwksUri: 'https://unused.invalid/',
      fetcher: () => fetchSet(place, timeoutMs),
      cache: false,
    });
  }

  /**
   * The key with this id, or the only key of the set for a token without one; undefined: there is no such key. At once while the
   * set is fresh.
   * @throws ForegateError `policy-failed` when the set cannot be read and the key is not known from before.
   */
  keyFor(id: string | undefined): MaybePromise<PublicKey | undefined> {
    const key = this.#ageMs() < freshMs ? this.#keys.get(id) : undefined;
    if (key !== undefined) return key;
    const pausing = this.#reading === undefined && this.#clock.now() - this.#triedAt < pauseMs;
    if (pausing) return this.#known(id);
    this.#reading ??= this.#read();
    return this.#reading.then(() => this.#known(id));
  }

  #known(id: string | undefined): PublicKey | undefined {
    const key = this.#ageMs() < staleMs ? this.#keys.get(id) : undefined;
    if (key === undefined && this.#failed) throw new ForegateError('policy-failed', 'The key set cannot be read.');
    return key;
  }

  #ageMs(): number {
    return this.#clock.now() - this.#readAt;
  }

  async #read(): Promise<void> {
    this.#triedAt = this.#clock.now();
    try {
      this.#keys = keysById(await this.#client.getSigningKeys());
      this.#readAt = this.#clock.now();
      this.#failed = false;
    } catch (thrown) {
      this.#failed = true;
      this.#log.warn('jwt.keys-unreachable', { url: withoutQuery(this.#place), error: thrown });
    } finally {
      this.#reading = undefined;
    }
  }
}

function keysById(signingKeys: readonly SigningKey[]): Map<string | undefined, PublicKey> {
  const keys = new Map<string | undefined, PublicKey>();
  for (const signingKey of signingKeys.slice(0, limits.keySetKeys)) {
    const key = { key: createPublicKey(signingKey.getPublicKey()), algorithm: 'alg' in signingKey ? signingKey.alg : undefined };
    if (signingKey.kid !== undefined) keys.set(signingKey.kid, key);
    if (signingKeys.length === 1) keys.set(undefined, key);
  }
  return keys;
}

async function fetchSet(place: KeySetPlace, timeoutMs: number): Promise<{ keys: unknown }> {
  const url = typeof place === 'string' ? place : await place.find(timeoutMs);
  const set = await fetchJson(url, timeoutMs);
  return { keys: typeof set === 'object' && set !== null && 'keys' in set && Array.isArray(set.keys) ? set.keys : [] };
}

function withoutQuery(place: KeySetPlace): string {
  const url = typeof place === 'string' ? place : place.url;
  return url.split('?', 1)[0] ?? '';
}

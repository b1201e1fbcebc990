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

interface KeySetTerms {
  readonly clock: Clock;
  readonly log: Log;
  /** For a whole answer; default: five seconds. */
  readonly timeoutMs?: number;
}

export class KeySet {
  readonly #url: string;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #client: JwksClient;
  #keys: ReadonlyMap<string | undefined, PublicKey> = new Map();
  #readAt = -Infinity;
  #triedAt = -Infinity;
  #failed = false;
  #reading: Promise<void> | undefined;

  constructor(url: string, { clock, log, timeoutMs = 5_000 }: KeySetTerms) {
    this.#url = url;
    this.#clock = clock;
    this.#log = log;
    this.#client = new JwksClient({ jwksUri: url, fetcher: () => fetchSet(url, timeoutMs), cache: false });
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
      this.#log.warn('jwt.keys-unreachable', { url: withoutQuery(this.#url), error: thrown });
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

/** With a deadline for the whole answer and a limit for its size, which the library's own request has not. */
async function fetchSet(url: string, timeoutMs: number): Promise<{ keys: unknown }> {
  const response = await fetch(url, {
    redirect: 'error',
    signal: AbortSignal.timeout(timeoutMs),
    headers: { accept: 'application/json' },
  });
  if (!response.ok) throw new Error(`The key set was answered with ${response.status}.`);
  const set: unknown = JSON.parse(await readText(response));
  return { keys: typeof set === 'object' && set !== null && 'keys' in set && Array.isArray(set.keys) ? set.keys : [] };
}

async function readText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > limits.keySetBytes) throw new Error('The key set is too large.');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function withoutQuery(url: string): string {
  return url.split('?', 1)[0] ?? '';
}

/**
 * Verifies JSON Web Tokens (RFC 7519, RFC 8725): algorithms are an explicit list that fits the kind of key, never taken from the
 * token, and keys are objects made once, since a key given as text costs sixty times as much per token.
 */
import { createPublicKey, createSecretKey, type KeyObject } from 'node:crypto';
import jsonwebtoken, { type JwtHeader, type JwtPayload } from 'jsonwebtoken';
import type { Clock } from '../gateway/core/clock.ts';
import { ForegateError } from '../gateway/core/errors.ts';
import type { Log } from '../gateway/core/log.ts';
import { isPromise, type MaybePromise } from '../gateway/core/promise.ts';
import { secretBytes } from '../gateway/core/secret.ts';
import { claimCheck, type ClaimRules } from './claim-rules.ts';
import { discovery } from './discovery.ts';
import { KeySet, type KeySetPlace, type PublicKey } from './key-set.ts';

export const secretAlgorithms = ['HS256', 'HS384', 'HS512'] as const;
export const publicAlgorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512'] as const;
export type Algorithm = (typeof secretAlgorithms)[number] | (typeof publicAlgorithms)[number];

/** How the tokens of one issuer are checked. */
export interface VerifierOptions extends ClaimRules {
  readonly secret?: string | undefined;
  readonly publicKey?: string | undefined;
  readonly jwks?: string | undefined;
  readonly discovery?: string | undefined;
  readonly algorithms?: readonly Algorithm[] | undefined;
  readonly issuer?: string | readonly string[] | undefined;
  readonly audience?: string | readonly string[] | undefined;
  readonly clockToleranceMs: number;
}

export type CheckedToken =
  | { readonly kind: 'valid'; readonly claims: JwtPayload }
  /** `detail` is a sentence that says why, without the token. */
  | { readonly kind: 'invalid'; readonly detail: string }
  /** A valid token that does not say enough. */
  | { readonly kind: 'insufficient'; readonly detail: string };

/** At once for a key that is at hand; a promise only while a key set is read. May throw `policy-failed` when that fails. */
export type TokenVerifier = (token: string) => MaybePromise<CheckedToken>;

/** @throws ForegateError `bad-request` for keys and algorithms that do not go together. */
export function tokenVerifier(options: VerifierOptions, context: { readonly clock: Clock; readonly log: Log }): TokenVerifier {
  const given = [options.secret, options.publicKey, options.jwks, options.discovery].filter((key) => key !== undefined);
  if (given.length !== 1)
    throw new ForegateError('bad-request', 'Give exactly one of "secret", "publicKey", "jwks" and "discovery".');
  const algorithms = algorithmsFor(options);
  if (options.discovery !== undefined) return byDiscovery(options.discovery, { ...options, algorithms }, context);
  const check = checker(options, context.clock);
  if (options.jwks !== undefined) return byKeySet(checkedUrl(options.jwks), algorithms, check, context);
  const key =
    options.secret === undefined
      ? publicKey(options.publicKey ?? '', algorithms)
      : secretKey(options.secret, algorithms, context.log);
  return (token) => check(token, key, algorithms);
}

type Check = (token: string, key: KeyObject, algorithms: readonly Algorithm[]) => CheckedToken;

function algorithmsFor({ secret, algorithms }: VerifierOptions): readonly Algorithm[] {
  if (algorithms === undefined) return secret === undefined ? ['RS256', 'ES256'] : ['HS256'];
  // A public key is no secret: whoever has it could sign with it as if it were one (RFC 8725 section 2.1).
  const allowed: readonly string[] = secret === undefined ? publicAlgorithms : secretAlgorithms;
  const wrong = algorithms.find((algorithm) => !allowed.includes(algorithm));
  if (wrong === undefined && algorithms.length > 0) return algorithms;
  const kind = secret === undefined ? 'a public key' : 'a secret';
  throw new ForegateError(
    'bad-request',
    `The algorithm ${wrong ?? 'list'} cannot be used with ${kind}; possible are ${allowed.join(', ')}.`,
  );
}

function secretKey(secret: string, algorithms: readonly Algorithm[], log: Log): KeyObject {
  const bytes = secretBytes(secret);
  if (bytes.length === 0) throw new ForegateError('bad-request', 'The secret is empty.');
  const neededBytes = Math.max(...algorithms.map((algorithm) => Number(algorithm.slice(2)) / 8));
  if (bytes.length < neededBytes) log.warn('jwt.short-secret', { bytes: bytes.length, neededBytes });
  return createSecretKey(bytes);
}

function publicKey(pem: string, algorithms: readonly Algorithm[]): KeyObject {
  if (pem.includes('PRIVATE KEY'))
    throw new ForegateError('bad-request', 'The publicKey holds a private key; only its public half belongs here.');
  const key = readPublicKey(pem);
  const type = key.asymmetricKeyType ?? '';
  const fits = algorithms.some((algorithm) => keyTypesOf(algorithm).includes(type));
  if (!fits)
    throw new ForegateError(
      'bad-request',
      `None of the algorithms ${algorithms.join(', ')} can be used with a publicKey of type ${type}.`,
    );
  return key;
}

function readPublicKey(pem: string): KeyObject {
  try {
    return createPublicKey(pem);
  } catch (cause) {
    throw new ForegateError('bad-request', 'The publicKey is not a public key or certificate in PEM form.', { cause });
  }
}

function keyTypesOf(algorithm: Algorithm): readonly string[] {
  if (algorithm.startsWith('ES')) return ['ec'];
  return algorithm.startsWith('PS') ? ['rsa', 'rsa-pss'] : ['rsa'];
}

function byDiscovery(
  address: string,
  options: VerifierOptions & { readonly algorithms: readonly Algorithm[] },
  context: { clock: Clock; log: Log },
): TokenVerifier {
  const [given, ...more] = options.issuer === undefined ? [] : listOf(options.issuer);
  if (more.length > 0)
    throw new ForegateError('bad-request', 'A discovery document is of one issuer; list others under "issuers".');
  const { issuer, place } = discovery(address, given);
  return byKeySet(place, options.algorithms, checker({ ...options, issuer }, context.clock), context);
}

function byKeySet(
  place: KeySetPlace,
  algorithms: readonly Algorithm[],
  check: Check,
  context: { clock: Clock; log: Log },
): TokenVerifier {
  const keys = new KeySet(place, context);
  return (token) => {
    const header = headerOf(token);
    if (header === undefined) return { kind: 'invalid', detail: details.malformed };
    // Before the keys are asked for, or anybody could make this server read key sets.
    if (!algorithms.some((algorithm) => algorithm === header.alg)) return { kind: 'invalid', detail: details.algorithm };
    const checkWith = (key: PublicKey | undefined): CheckedToken => {
      if (key === undefined) return { kind: 'invalid', detail: details.key };
      const allowed = algorithms.filter((algorithm) => key.algorithm === undefined || key.algorithm === algorithm);
      return check(token, key.key, allowed);
    };
    const key = keys.keyFor(header.kid);
    return isPromise(key) ? key.then(checkWith) : checkWith(key);
  };
}

function checkedUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if ((url?.protocol === 'https:' || url?.protocol === 'http:') && url.username === '' && url.password === '') return url.href;
  throw new ForegateError('bad-request', 'The jwks must be an http or https URL without a user name.');
}

function headerOf(token: string): JwtHeader | undefined {
  try {
    return jsonwebtoken.decode(token, { complete: true })?.header;
  } catch {
    // Thrown for a payload that is not JSON; the signature is not worth checking then.
    return undefined;
  }
}

function checker({ issuer, audience, clockToleranceMs, ...rules }: VerifierOptions, clock: Clock): Check {
  const lacksOf = claimCheck(rules);
  const terms = {
    complete: true as const,
    clockTolerance: clockToleranceMs / 1000,
    ...(issuer === undefined ? {} : { issuer: listOf(issuer) }),
    ...(audience === undefined ? {} : { audience: listOf(audience) }),
  };
  return (token, key, algorithms) => {
    try {
      const clockTimestamp = Math.floor(clock.now() / 1000);
      const { header, payload } = jsonwebtoken.verify(token, key, { ...terms, algorithms: [...algorithms], clockTimestamp });
      // Critical header parameters must be understood (RFC 7515 section 4.1.11); the library ignores them.
      if (header.crit !== undefined || typeof payload === 'string' || Array.isArray(payload))
        return { kind: 'invalid', detail: details.malformed };
      const lacks = lacksOf?.(payload);
      return lacks === undefined ? { kind: 'valid', claims: payload } : { kind: 'insufficient', detail: lacks };
    } catch (thrown) {
      return { kind: 'invalid', detail: detailOf(thrown) };
    }
  };
}

function listOf(value: string | readonly string[]): [string, ...string[]] {
  const [first, ...rest] = typeof value === 'string' ? [value] : value;
  if (first === undefined) throw new ForegateError('bad-request', 'A list of issuers or audiences must not be empty.');
  return [first, ...rest];
}

const details = {
  malformed: 'The token is malformed.',
  expired: 'The token has expired.',
  early: 'The token is not valid yet.',
  signature: 'The signature of the token is not valid.',
  algorithm: 'The algorithm of the token is not allowed.',
  key: 'The key of the token is not known.',
  issuer: 'The token comes from another issuer.',
  audience: 'The token is meant for another audience.',
  other: 'The token is not valid.',
} as const;

/** The library tells its errors apart by class and wording only. */
function detailOf(thrown: unknown): string {
  if (thrown instanceof jsonwebtoken.TokenExpiredError) return details.expired;
  if (thrown instanceof jsonwebtoken.NotBeforeError) return details.early;
  const message = thrown instanceof Error ? thrown.message : '';
  return wordings.find(([wording]) => wording.test(message))?.[1] ?? details.other;
}

const wordings: readonly (readonly [RegExp, string])[] = [
  [/^jwt audience/, details.audience],
  [/^jwt issuer/, details.issuer],
  [/signature/, details.signature],
  [/algorithm|"alg"|when using|key type/, details.algorithm],
  [/malformed|invalid token|JSON/, details.malformed],
];

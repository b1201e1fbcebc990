/** Checks `Grip-Sig`: did this request come through our gateway (GRIP 8.4)? Without the check anybody who reaches the backend can play gateway. */
import type { IncomingMessage } from 'node:http';
import jsonwebtoken from 'jsonwebtoken';
import { algorithmOf, verifyingKey, type KeyInput, type SigningAlgorithm } from './signing-key.ts';

export interface GripSigOptions {
  /** The gateway's secret, or its public key as PEM text. */
  readonly key: KeyInput;
  /** The `iss` that the gateway writes; undefined: any. */
  readonly issuer?: string;
  /** Default: HS256 for a secret, RS256 or ES256 for a public key. */
  readonly algorithms?: readonly SigningAlgorithm[];
}

/** What the gateway says of itself. */
export interface GripSigClaims {
  readonly iss?: string | undefined;
  /** Seconds since 1970. */
  readonly exp: number;
  readonly [claim: string]: unknown;
}

export type GripSigResult =
  | { readonly kind: 'valid'; readonly claims: GripSigClaims }
  /** 401: there is none; 403: it is not good. The text can be shown. */
  | { readonly kind: 'refused'; readonly status: 401 | 403; readonly text: string };

/**
 * Checks the signature, the issuer and the time of a request's `Grip-Sig`. Pass the same options object each time: the key is
 * read once per object.
 * @throws TypeError where the key itself cannot be used.
 * @example
 * const signature = verifyGripSig(request, { key: process.env.GRIP_KEY, issuer: 'foregate' });
 * if (signature.kind === 'refused') return response.status(signature.status).send(signature.text);
 */
export function verifyGripSig(request: Pick<IncomingMessage, 'headers'>, options: GripSigOptions): GripSigResult {
  const token = request.headers['grip-sig'];
  if (typeof token !== 'string' || token === '')
    return refused(401, 'The request has no Grip-Sig: it did not come through the gateway.');
  const verifier = verifierOf(options);
  try {
    const claims = jsonwebtoken.verify(token, verifier.key, verifier.options);
    if (typeof claims === 'string' || claims.exp === undefined) return refused(403, 'The Grip-Sig has no time of expiry.');
    return { kind: 'valid', claims: { ...claims, exp: claims.exp } };
  } catch (error) {
    return refused(403, reasonOf(error));
  }
}

function refused(status: 401 | 403, text: string): GripSigResult {
  return { kind: 'refused', status, text };
}

/** The library's own messages name the expected issuer, so they are not passed on. */
function reasonOf(error: unknown): string {
  if (error instanceof jsonwebtoken.TokenExpiredError) return 'The Grip-Sig has expired.';
  if (error instanceof jsonwebtoken.NotBeforeError) return 'The Grip-Sig is not valid yet.';
  if (error instanceof jsonwebtoken.JsonWebTokenError) return 'The Grip-Sig is not valid: wrong key, issuer or form.';
  throw error;
}

interface Verifier {
  readonly key: ReturnType<typeof verifyingKey>;
  readonly options: jsonwebtoken.VerifyOptions & { readonly complete?: false };
}

const verifiers = new WeakMap<GripSigOptions, Verifier>();

function verifierOf(options: GripSigOptions): Verifier {
  const known = verifiers.get(options);
  if (known) return known;
  const key = verifyingKey(options.key);
  const made: Verifier = {
    key,
    options: {
      algorithms: [...(options.algorithms ?? [algorithmOf(key)])],
      ...(options.issuer !== undefined && { issuer: options.issuer }),
    },
  };
  verifiers.set(options, made);
  return made;
}

/**
 * Tokens of several issuers, each by rules of its own. What a token says of its issuer before it is verified only chooses the rules;
 * they then verify it whole, that word included (RFC 8725 section 3.8).
 */
import jsonwebtoken from 'jsonwebtoken';
import type { Clock } from '../gateway/core/clock.ts';
import { ForegateError } from '../gateway/core/errors.ts';
import type { Log } from '../gateway/core/log.ts';
import { tokenVerifier, type CheckedToken, type TokenVerifier, type VerifierOptions } from './token-verifier.ts';

export interface IssuerOptions extends VerifierOptions {
  readonly issuer: string;
}

/** @throws ForegateError `bad-request` for rules that make no sense, and for two of one issuer */
export function issuersVerifier(
  issuers: readonly IssuerOptions[],
  context: { readonly clock: Clock; readonly log: Log },
): TokenVerifier {
  const verifiers = new Map(issuers.map((options) => [options.issuer, tokenVerifier(options, context)]));
  if (verifiers.size < issuers.length) throw new ForegateError('bad-request', 'Each issuer must be listed only once.');
  return (token) => {
    const claimed = claimedIssuer(token);
    if (claimed === undefined) return malformed;
    return verifiers.get(claimed)?.(token) ?? unknownIssuer;
  };
}

const malformed: CheckedToken = { kind: 'invalid', detail: 'The token is malformed.' };
const unknownIssuer: CheckedToken = { kind: 'invalid', detail: 'The token comes from another issuer.' };

/** An empty text where it names none; undefined for what is no token. */
function claimedIssuer(token: string): string | undefined {
  try {
    const payload = jsonwebtoken.decode(token);
    if (payload === null || typeof payload === 'string') return undefined;
    return typeof payload.iss === 'string' ? payload.iss : '';
  } catch {
    // Thrown for a payload that is not JSON.
    return undefined;
  }
}

/** What the claims of a valid token must say besides: values of claims, and scopes (RFC 6749 section 3.3, RFC 9068 section 2.2.3). */
import { ForegateError } from '../gateway/core/errors.ts';

export interface ClaimRules {
  /** Each claim must have one of its values. */
  readonly claims?: Readonly<Record<string, ClaimValue | readonly ClaimValue[]>> | undefined;
  /** All are needed. */
  readonly scopes?: readonly string[] | undefined;
}

export type ClaimValue = string | number | boolean;

type Claims = Readonly<Record<string, unknown>>;

/** A sentence about what the claims lack, or undefined. */
export type ClaimCheck = (claims: Claims) => string | undefined;

/** Undefined where nothing is asked for. @throws ForegateError `bad-request` for a scope that no token can have */
export function claimCheck({ claims = {}, scopes = [] }: ClaimRules): ClaimCheck | undefined {
  const wrong = scopes.find((scope) => !/^[\x21\x23-\x5b\x5d-\x7e]+$/.test(scope));
  if (wrong !== undefined) throw new ForegateError('bad-request', `${JSON.stringify(wrong)} is not one scope.`);
  const wanted = Object.entries(claims).map(([name, values]) => ({ name, values: new Set([values].flat()) }));
  if (wanted.length === 0 && scopes.length === 0) return undefined;
  return (given) => {
    const lacking = wanted.find(({ name, values }) => !valuesOf(given, name).some((value) => values.has(value as ClaimValue)));
    if (lacking !== undefined) return `The claim ${lacking.name} of the token does not allow this.`;
    const granted = scopesOf(given);
    const missing = scopes.find((scope) => !granted.includes(scope));
    return missing === undefined ? undefined : `The token lacks the scope ${missing}.`;
  };
}

function valuesOf(claims: Claims, name: string): readonly unknown[] {
  return Object.hasOwn(claims, name) ? [claims[name]].flat() : [];
}

/** A text of them, as OAuth has it, or a list. */
function scopesOf(claims: Claims): readonly unknown[] {
  return ['scope', 'scp'].flatMap((name) =>
    valuesOf(claims, name).flatMap((value) => (typeof value === 'string' ? value.split(' ') : [])),
  );
}

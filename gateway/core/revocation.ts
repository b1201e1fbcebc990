/** Credentials that are taken back before their time. */
import type { Identity } from './session.ts';

export interface Revocation {
  /** Whose, or which: `jti` is the id of one token, `key` the name of API keys. */
  readonly of: 'subject' | 'key' | 'jti';
  readonly value: string;
  /** Milliseconds since 1970. Of a subject only what was issued before is meant; credentials that do not say when are. */
  readonly issuedBefore: number;
  /** Milliseconds since 1970: so long it is remembered. */
  readonly until: number;
}

/** What is revoked at this time. */
export interface Revocations {
  covers(identity: Identity): boolean;
}

export const noRevocations: Revocations = { covers: () => false };

/** Whether the revocation, while it holds, is about this identity. */
export function isRevokedBy({ of, value, issuedBefore }: Revocation, { subject, by, claims }: Identity): boolean {
  if (of === 'jti') return claims?.['jti'] === value;
  if (subject !== value || (of === 'key' && by !== 'api-key')) return false;
  const issuedAt = claims?.['iat'];
  return typeof issuedAt !== 'number' || issuedAt * 1000 < issuedBefore;
}

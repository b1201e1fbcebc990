/** How clients are told of a limit: the fields of draft-ietf-httpapi-ratelimit-headers-11, and those that came before them. */
import type { Taken } from '../gateway/core/store.ts';

export interface ToldLimit {
  /** What is limited: the name of the policy in the fields. */
  readonly name: string;
  readonly limit: number;
  readonly windowMs: number;
  readonly legacy: boolean;
}

/** The draft counts in whole seconds; a partial one is rounded up, so that nobody comes back too early. */
export function limitFields({ name, limit, windowMs, legacy }: ToldLimit, { remaining, resetMs }: Taken): string[] {
  const quotaUnit = name === 'bytes' ? ';qu="content-bytes"' : '';
  const reset = seconds(resetMs);
  const fields = [
    'RateLimit-Policy',
    `"${name}";q=${limit};w=${seconds(windowMs)}${quotaUnit}`,
    'RateLimit',
    `"${name}";r=${remaining};t=${reset}`,
  ];
  if (legacy)
    fields.push('X-RateLimit-Limit', `${limit}`, 'X-RateLimit-Remaining', `${remaining}`, 'X-RateLimit-Reset', `${reset}`);
  return fields;
}

export function seconds(ms: number): number {
  return Math.ceil(ms / 1000);
}

/** Who is meant by "one caller" where something is counted. */
import { isIPv6 } from 'node:net';
import type { SessionView } from '../gateway/core/session.ts';

/** `key` is the API key that `api-key` has accepted; `subject` whoever any policy has recognised. */
export const callerKinds = ['session', 'address', 'subject', 'key'] as const;
export type CallerKind = (typeof callerKinds)[number];

/** A text that is the same for all requests of one caller. Without the identity asked for, the caller is the address. */
export function callerOf(session: SessionView, kind: CallerKind): string {
  if (kind === 'session') return `session:${session.id}`;
  const { identity } = session;
  const known =
    identity !== undefined && identity.subject !== '' && (kind === 'subject' || (kind === 'key' && identity.by === 'api-key'));
  return known ? `${identity.by}:${identity.subject}` : `address:${networkOf(session.request.address)}`;
}

/** An IPv4 address as it is; of an IPv6 address its /64, since whoever has one address of it has them all (RFC 6177). */
export function networkOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined || !isIPv6(address)) return mapped ?? address;
  const [head = '', tail] = address.split('%', 1)[0]?.split('::') ?? [];
  const groups = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.replace(/\d+\.\d+\.\d+\.\d+$/, '0:0').split(':');
  const zeros = Array.from({ length: Math.max(0, 8 - groups.length - after.length) }, () => '0');
  const network = [...groups, ...zeros, ...after].slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16));
  return `${network.join(':')}::/64`;
}

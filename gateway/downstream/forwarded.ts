/**
 * Who the client is, told to the backend: one `X-Forwarded-*` set (GRIP 8.2) and the rule which of such fields a client may
 * send itself. A peer that the route trusts is a proxy of ours: what it says is kept and its chain goes on. Anybody else
 * starts a new chain.
 */
import { unixAddress } from '../core/address-list.ts';
import { headerValues, type HeaderDraft, type HeaderList } from '../core/headers.ts';
import type { ClientRequest } from '../core/session.ts';

/** Fields by which proxies tell where a request came from. `lowerName` has `-` for `_`. */
export function isForwardingField(lowerName: string): boolean {
  return lowerName.startsWith('x-forwarded') || addressFields.has(lowerName);
}

const addressFields: ReadonlySet<string> = new Set([
  'forwarded',
  'x-real-ip',
  'x-client-ip',
  'x-cluster-client-ip',
  'true-client-ip',
]);

/**
 * The forwarding fields of a request downstream. The scheme is `https` or `http`, for WebSockets too: gateways and frameworks
 * do not know `wss`.
 * @param host the client's own `Host`, or undefined if it sent none
 * @param said forwarding fields of a trusted peer, as they came; empty for everybody else
 */
export function forwardingFields(request: ClientRequest, host: string | undefined, said: HeaderList): HeaderDraft {
  if (said.length === 0) return ownFields(request, host);
  const kept = said.filter((_, i) => !isChain(said[i - (i % 2)] ?? ''));
  const names = new Set(kept.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase()));
  const fields = ['X-Forwarded-For', chain(headerValues(said, 'x-forwarded-for'), shown(request.address)), ...kept];
  const own = ownFields(request, host);
  for (let i = 2; i < own.length; i += 2) {
    const name = own[i] ?? '';
    if (!names.has(name.toLowerCase())) fields.push(name, own[i + 1] ?? '');
  }
  const forwarded = headerValues(said, 'forwarded');
  if (forwarded.length > 0) fields.push('Forwarded', chain(forwarded, `for=${node(shown(request.address))}`));
  return fields;
}

function ownFields(request: ClientRequest, host: string | undefined): HeaderDraft {
  const fields = ['X-Forwarded-For', shown(request.address), 'X-Forwarded-Proto', request.secure ? 'https' : 'http'];
  if (host !== undefined) fields.push('X-Forwarded-Host', host);
  fields.push('X-Forwarded-Port', portOf(host) ?? (request.secure ? '443' : '80'));
  return fields;
}

/** Lists that grow with every proxy; written again as one field. */
function isChain(name: string): boolean {
  const lower = name.toLowerCase().replaceAll('_', '-');
  return lower === 'x-forwarded-for' || lower === 'forwarded';
}

function chain(before: readonly string[], last: string): string {
  return [...before, last].join(', ');
}

/** A peer without address is one all the same: backends count their trusted proxies (RFC 7239 section 6.2). */
function shown(address: string): string {
  return address === unixAddress ? 'unknown' : address;
}

/** An address as `Forwarded` wants it (RFC 7239 section 6). */
function node(address: string): string {
  return address.includes(':') ? `"[${address}]"` : address;
}

function portOf(host: string | undefined): string | undefined {
  return host === undefined ? undefined : /:(\d+)$/.exec(host)?.[1];
}

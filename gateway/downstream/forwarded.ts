/**
 * Who the client is, told to the backend: one `X-Forwarded-*` set (GRIP 8.2) and the rule which of such fields a client may
 * send itself. Usually a peer that the route trusts is a proxy of ours: what it says is kept and its chain goes on, while anybody
 * else starts a new chain. The setting `forwarded` has other rules.
 */
import { unixAddress } from '../core/address-list.ts';
import { headerValues, withoutHeaders, type HeaderDraft, type HeaderList } from '../core/headers.ts';
import type { ChainRule, ForwardedRules, ForwardedTerms } from '../core/route.ts';
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

/** True for a proxy or gateway of ours. */
export function isTrusted({ fromGateway, address }: ClientRequest, { trusts }: ForwardedTerms): boolean {
  return fromGateway === true || trusts(address);
}

/** True if `X-Forwarded-Proto` or `X-Forwarded-Protocol` says so. */
export function saysTls(headers: HeaderList): boolean {
  return [...headerValues(headers, 'x-forwarded-proto'), ...headerValues(headers, 'x-forwarded-protocol')].some(
    (scheme) => scheme === 'https' || scheme === 'wss',
  );
}

export interface Told {
  /** The client's own `Host`, or undefined if it sent none. */
  readonly host: string | undefined;
  /** Forwarding fields of a peer that is believed, as they came; empty for everybody else. */
  readonly said: HeaderList;
  readonly trusted: boolean;
  /** The scheme of a request over TLS. */
  readonly scheme: 'https' | 'wss';
}

/** The forwarding fields of a request downstream. */
export function forwardingFields(request: ClientRequest, told: Told, rules: ForwardedRules | undefined): HeaderDraft {
  return rules === undefined ? usualFields(request, told.host, told.said) : ruledFields(request, told, rules);
}

function ruledFields(request: ClientRequest, { host, said, trusted, scheme }: Told, rules: ForwardedRules): HeaderDraft {
  const rule = (request.fromGateway === true ? rules.forSigned : rules.for) ?? (trusted ? goesOn : startsAfresh);
  const came = headerValues(said, 'x-forwarded-for');
  const others = rules.others === 'pass' ? said : usualFields(request, host, trusted ? said : []);
  const fields = chainField(ruledChain(rule, came, shown(request.address)));
  const { proto } = rules;
  fields.push(...withoutHeaders(others, (name) => isFor(name) || (proto !== undefined && isProto(name))));
  if (request.secure && (proto === 'both' || proto === 'x-forwarded-proto')) fields.push('X-Forwarded-Proto', scheme);
  if (request.secure && proto === 'both') fields.push('X-Forwarded-Protocol', scheme);
  return fields;
}

const goesOn: ChainRule = { append: true };
const startsAfresh: ChainRule = { keep: 0, append: true };

function ruledChain({ keep, append }: ChainRule, came: readonly string[], address: string): string {
  const entries = came.flatMap((value) => value.split(',')).flatMap((entry) => entry.trim() || []);
  const kept = keep === undefined ? entries : entries.slice(Math.max(0, entries.length - keep));
  return (append ? [...kept, address] : kept).join(', ');
}

function chainField(value: string): HeaderDraft {
  return value === '' ? [] : ['X-Forwarded-For', value];
}

/**
 * Without rules. The scheme is `https` or `http`, for WebSockets too: gateways and frameworks do not know `wss`.
 * @param said fields of a trusted peer
 */
function usualFields(request: ClientRequest, host: string | undefined, said: HeaderList): HeaderDraft {
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
  const lower = name.toLowerCase();
  return isFor(lower) || lower === 'forwarded';
}

function isFor(lowerName: string): boolean {
  return lowerName.replaceAll('_', '-') === 'x-forwarded-for';
}

function isProto(lowerName: string): boolean {
  const name = lowerName.replaceAll('_', '-');
  return name === 'x-forwarded-proto' || name === 'x-forwarded-protocol';
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

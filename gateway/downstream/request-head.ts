/**
 * Header fields on their way through: what of a client's request goes downstream, what is added to it, and what of a reply goes
 * to clients (GRIP 2.2, 8.1-8.3). Names are compared in lower case with `_` as `-`, because backends that see both as the same
 * name would else take a forged field for a real one.
 *
 * Runs for every connect and every plain request: one pass, names looked up in a set and one pattern made once per target.
 */
import type { RequestHead } from '../core/exchange.ts';
import {
  beginsWith,
  header,
  headerValues,
  isHeaderValue,
  isHopByHop,
  normalName,
  withoutHeaders,
  type HeaderDraft,
  type HeaderList,
} from '../core/headers.ts';
import type { Profile } from '../core/profile.ts';
import type { PathChange, Route, Target } from '../core/route.ts';
import type { ClientRequest, ConsumedCredential } from '../core/session.ts';
import { offersGrip } from '../wire/grip-socket.ts';
import { forwardingFields, isForwardingField, isTrusted } from './forwarded.ts';

/** What this gateway does for a backend that speaks GRIP, in the words of `Grip-Feature` (GRIP 8.3). */
export const gripFeatures =
  'status, link:next, link:gone, filter:skip-self, filter:skip-users, filter:require-sub, filter:build-id, filter:var-subst';

/** Where filters may ask the backend. */
const askingFeatures = `${gripFeatures}, filter:http-check, filter:http-modify`;

/**
 * What all requests of a WebSocket session share: the client's handshake, cleaned, with its forwarding fields, the route's own
 * and, on a GRIP route, those of GRIP. `Grip-Sig`, `Connection-Id`, `Accept`, `Content-*` and `Meta-*` are of single requests
 * and not in it.
 */
export function buildHead(
  request: ClientRequest,
  route: Route,
  target: Target,
  consumed: readonly ConsumedCredential[],
): RequestHead {
  const kind = request.gripInFront === true ? 'gateway-session' : 'session';
  const { path, headers } = build(request, rulesOf(route, target, kind), consumed);
  return { path, headers: headers.slice() }; // It is kept as long as the session: without the room an array that grew has to spare.
}

/** The same for a plain request: `Accept` and `Content-*` stay as the client sent them. */
export function buildPlainHead(
  request: ClientRequest,
  route: Route,
  target: Target,
  consumed: readonly ConsumedCredential[],
): RequestHead {
  return build(request, rulesOf(route, target, request.gripInFront === true ? 'gateway-plain' : 'plain'), consumed);
}

/** What of a reply goes to a client: no fields of this hop, nothing meant for Foregate, no value that would break the head. */
export function cleanReplyHeaders(headers: HeaderList, hides?: Route['hides']): HeaderDraft {
  return passedHeaders(headers, hides === undefined ? isForGateway : (name) => isForGateway(name) || hides(name));
}

/** The same for a gateway in front, which is who the backend speaks to (GRIP 8.5). */
export function gatewayReplyHeaders(headers: HeaderList, hides?: Route['hides']): HeaderDraft {
  return passedHeaders(headers, hides ?? (() => false));
}

/** With the own names of fields that the gateway behind has renamed: clients, and GRIP, look for those. */
export function withOwnNames(headers: HeaderList, { renamed }: Profile): HeaderList {
  if (renamed === undefined) return headers;
  return headers.map((text, i) => (i % 2 === 0 ? (renamed.get(text.toLowerCase()) ?? text) : text));
}

function passedHeaders(headers: HeaderList, drop: (lowerName: string) => boolean): HeaderDraft {
  const named = connectionNames(headers);
  const kept: HeaderDraft = [];
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i] ?? '';
    const value = headers[i + 1] ?? '';
    const lower = normalName(name);
    if (isHopByHop(lower) || drop(lower) || named?.has(lower) || !isHeaderValue(value)) continue;
    kept.push(name, value);
  }
  return kept;
}

/** The host of a target without the scheme, as `Host` wants it. */
export function hostOf(origin: string): string {
  return origin.slice(origin.indexOf('//') + 2);
}

interface HeadRules {
  readonly route: Route;
  /** Of a request over TLS. */
  readonly scheme: 'https' | 'wss';
  /** A gateway in front may speak GRIP over its socket with the backend. */
  readonly passesGrip: boolean;
  readonly cdnLoop: string | undefined;
  /** Instead of the client's own. */
  readonly host: string | undefined;
  /** Where the client named none. */
  readonly targetHost: string;
  readonly dropped: ReadonlySet<string>;
  readonly droppedPrefix: RegExp;
  /** Forwarding fields that the route says itself, or that no backend shall get; undefined: none. */
  readonly unforwarded: ReadonlySet<string> | undefined;
  readonly added: HeaderList;
}

const makers = {
  session: sessionRules,
  plain: plainRules,
  'gateway-session': gatewaySessionRules,
  'gateway-plain': gatewayPlainRules,
} as const satisfies Record<string, (route: Route, target: Target) => HeadRules>;

type TargetRules = { -readonly [Kind in keyof typeof makers]?: HeadRules };

const compiled = new WeakMap<Route, WeakMap<Target, TargetRules>>();

function rulesOf(route: Route, target: Target, kind: keyof TargetRules): HeadRules {
  let targets = compiled.get(route);
  if (!targets) compiled.set(route, (targets = new WeakMap()));
  let rules = targets.get(target);
  if (!rules) targets.set(target, (rules = {}));
  return (rules[kind] ??= makers[kind](route, target));
}

/** Of this hop. */
const hopNames = ['host', 'expect'];
/** The gateway's own to say in a session. */
const sessionNames = ['connection-id', 'sec-websocket-extensions', 'keep-alive-interval'];
const sessionPrefixes = ['meta-', 'set-meta-', 'content-bytes-'];
const own: Dropped = { names: [...hopNames, ...sessionNames], prefixes: [...sessionPrefixes, 'grip-'] };
/** About the body of one request, which a dialect makes itself. */
const bodyNames = ['accept', 'accept-encoding', 'content-encoding', 'content-type', 'content-length'];

/** A client's own key would be the same for every request of its session. */
function keyNames({ retry }: Target): readonly string[] {
  return retry === 'idempotent' ? ['idempotency-key'] : [];
}

function sessionRules(route: Route, target: Target): HeadRules {
  const added = [...routeFields(route), ...gripFields(route)];
  if (route.grip) added.push('Sec-WebSocket-Extensions', 'grip');
  // Gateways ask for gzip themselves where nothing is said, and some of their filters then compress event bodies.
  if (target.dialect) added.push('Accept-Encoding', 'identity');
  return { ...compile(route, target, withNames(own, [...bodyNames, ...keyNames(target)]), added), scheme: 'wss' };
}

/** Its events are carried as those of any client, and what it says of GRIP goes on (GRIP 8.5). */
function gatewaySessionRules(route: Route, target: Target): HeadRules {
  const dropped = { names: [...own.names, ...bodyNames, ...keyNames(target)], prefixes: sessionPrefixes };
  const added = [...routeFields(route), ...(target.dialect ? ['Accept-Encoding', 'identity'] : [])];
  return { ...compile(route, target, dropped, added), scheme: 'wss', passesGrip: route.grip !== undefined };
}

/** Nothing of what a gateway in front says to the backend is for this one. */
function gatewayPlainRules(route: Route, target: Target): HeadRules {
  return compile(route, target, { names: hopNames, prefixes: [] }, routeFields(route));
}

/**
 * Instructions in a reply can be read only if it is not compressed, so GRIP routes ask for that. The other routes' replies are
 * not looked into: there the client and its backend agree on a coding between themselves. A reply that is compressed against
 * the wish goes through with its `Content-Encoding`, since its bytes do, too.
 */
function plainRules(route: Route, target: Target): HeadRules {
  if (!route.grip) return compile(route, target, own, routeFields(route));
  const added = [...routeFields(route), ...gripFields(route), 'Accept-Encoding', 'identity'];
  return compile(route, target, withNames(own, ['accept-encoding']), added);
}

/** Fields without value are only taken out. */
function routeFields(route: Route): HeaderDraft {
  return withoutHeaders(route.headers, (name, value) => name === 'host' || value === '');
}

function gripFields(route: Route): HeaderDraft {
  return route.grip ? ['Grip-Feature', route.filterRequests > 0 ? askingFeatures : gripFeatures] : [];
}

/** Fields of the client that do not go on. */
interface Dropped {
  readonly names: readonly string[];
  readonly prefixes: readonly string[];
}

function withNames({ names, prefixes }: Dropped, more: readonly string[]): Dropped {
  return { names: [...names, ...more], prefixes };
}

function compile(route: Route, target: Target, given: Dropped, added: HeaderList): HeadRules {
  const { strip, cdnLoop } = route.forwarded;
  const identity = [...strip, ...target.profile.identityHeaders].map(normalName);
  const prefixes = [...given.prefixes, ...identity.filter((name) => name.endsWith('*')).map((name) => name.slice(0, -1))];
  const setNames = namesOf(route.headers);
  const unforwarded = setNames.filter(isForwardingField);
  return {
    route,
    scheme: 'https',
    passesGrip: false,
    // A route that sets the field itself has the last word.
    cdnLoop: setNames.includes('cdn-loop') ? undefined : cdnLoop,
    host: header(route.headers, 'host') ?? target.host,
    targetHost: hostOf(target.origin),
    dropped: new Set([
      ...given.names,
      ...identity,
      ...namesOf(added),
      ...setNames,
      ...(cdnLoop === undefined ? [] : ['cdn-loop']),
    ]),
    droppedPrefix: beginsWith(prefixes),
    unforwarded: unforwarded.length === 0 ? undefined : new Set(unforwarded),
    added,
  };
}

function namesOf(headers: HeaderList): string[] {
  return headers.filter((_, i) => i % 2 === 0).map(normalName);
}

function build(request: ClientRequest, rules: HeadRules, consumed: readonly ConsumedCredential[]): RequestHead {
  const clientHost = header(request.headers, 'host')?.toLowerCase() || undefined;
  const host = validHost(clientHost);
  const headers: HeaderDraft = ['Host', rules.host ?? host ?? rules.targetHost];
  const { unforwarded, scheme, route } = rules;
  const trusted = isTrusted(request, route.forwarded);
  const said = pickHeaders({ request, rules, consumed, trusted }, headers);
  const told = forwardingFields(request, { host, said, trusted, scheme }, route.forwarded.rules);
  headers.push(...(unforwarded ? withoutHeaders(told, (name) => unforwarded.has(name)) : told), ...rules.added);
  if (rules.passesGrip && offersGrip(request.headers)) headers.push('Sec-WebSocket-Extensions', 'grip');
  if (rules.cdnLoop !== undefined) headers.push('CDN-Loop', loopField(request.headers, rules.cdnLoop));
  return { path: pathOf(request, rules.route, consumed), headers };
}

function loopField(headers: HeaderList, id: string): string {
  return [...headerValues(headers, 'cdn-loop').filter((value) => value !== '' && isHeaderValue(value)), id].join(', ');
}

function pathOf({ path }: ClientRequest, route: Route, consumed: readonly ConsumedCredential[]): string {
  const left = consumed.length === 0 ? path : withoutParameters(path, namesIn('query', consumed));
  return route.path === undefined ? left : changedPath(left, route.path, route.match.path);
}

/** Works on the text, as all routing does: nothing is decoded. */
function changedPath(path: string, change: PathChange, matched: string): string {
  const end = path.indexOf('?');
  const bare = end < 0 ? path : path.slice(0, end);
  const changed = 'remove' in change ? bare.slice(change.remove) : replacedPath(bare, change.replace, matched);
  return `${changed.startsWith('/') ? '' : '/'}${changed}${end < 0 ? '' : path.slice(end)}`;
}

/** A route that was chosen by its id may get any path. */
function replacedPath(path: string, replacement: string, matched: string): string {
  return path.startsWith(matched) ? replacement + path.slice(matched.length) : path;
}

interface Picking {
  readonly request: ClientRequest;
  readonly rules: HeadRules;
  readonly consumed: readonly ConsumedCredential[];
  readonly trusted: boolean;
}

/** Copies the client's fields that go on to `headers`; returns the forwarding fields of a peer that is believed. */
function pickHeaders({ request, rules, consumed, trusted }: Picking, headers: HeaderDraft): HeaderDraft {
  const said: HeaderDraft = [];
  const believed = trusted || rules.route.forwarded.rules?.believesAll === true;
  const named = connectionNames(request.headers);
  for (let i = 0; i + 1 < request.headers.length; i += 2) {
    const name = request.headers[i] ?? '';
    const lower = normalName(name);
    if (isHopByHop(lower) || rules.dropped.has(lower) || rules.droppedPrefix.test(lower)) continue;
    const sent = request.headers[i + 1] ?? '';
    const value = consumed.length === 0 ? sent : withoutCredentials(lower, sent, consumed);
    if (value === undefined || !isHeaderValue(value)) continue;
    if (isForwardingField(lower)) {
      if (believed) said.push(name, value);
    } else if (!named?.has(lower) && (lower !== 'x-request-id' || trusted || isSaneId(value))) {
      headers.push(name, value);
    }
  }
  return said;
}

/** A host and port, as URLs have them: what else could a backend take for one that it is not? */
function validHost(host: string | undefined): string | undefined {
  return host !== undefined && /^(?:[a-z0-9._~-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/.test(host) ? host : undefined;
}

function isSaneId(value: string): boolean {
  return /^[\w.:@/+=-]{1,128}$/.test(value);
}

/** Names that `Connection` lists; undefined where it says only what it usually says. */
function connectionNames(headers: HeaderList): ReadonlySet<string> | undefined {
  let names: Set<string> | undefined;
  for (let i = 0; i + 1 < headers.length; i += 2) {
    if (headers[i]?.length !== 10 || headers[i]?.toLowerCase() !== 'connection') continue;
    const value = headers[i + 1] ?? '';
    if (usualConnection.test(value)) continue;
    names ??= new Set();
    for (const name of value.split(',')) names.add(normalName(name.trim()));
  }
  return names;
}

const usualConnection = /^(?:keep-alive|close|upgrade|keep-alive, upgrade)$/i;

/** Said to Foregate by a backend, not to the client. */
function isForGateway(lowerName: string): boolean {
  switch (lowerName) {
    case 'sec-websocket-extensions':
    case 'keep-alive-interval':
    case 'content-bytes-accepted':
      return true;
    default:
      return lowerName.startsWith('grip-') || lowerName.startsWith('set-meta-');
  }
}

/** The value without what was used up here; undefined if nothing is left of the field. */
function withoutCredentials(lowerName: string, value: string, consumed: readonly ConsumedCredential[]): string | undefined {
  if (namesIn('header', consumed).some((name) => normalName(name) === lowerName)) return undefined;
  if (lowerName === 'cookie') return withoutCookies(value, namesIn('cookie', consumed));
  if (lowerName === 'sec-websocket-protocol') return withoutProtocols(value, namesIn('subprotocol', consumed));
  return value;
}

function namesIn(place: ConsumedCredential['in'], consumed: readonly ConsumedCredential[]): string[] {
  return consumed.filter((credential) => credential.in === place).map((credential) => credential.name);
}

function withoutCookies(value: string, names: readonly string[]): string | undefined {
  return withoutItems(value, ';', (item) => names.includes(item.split('=', 1)[0]?.trim() ?? ''));
}

function withoutProtocols(value: string, names: readonly string[]): string | undefined {
  return withoutItems(value, ',', (item) => names.includes(item.trim()));
}

function withoutItems(value: string, separator: string, drop: (item: string) => boolean): string | undefined {
  const items = value.split(separator);
  const kept = items.filter((item) => !drop(item));
  if (kept.length === items.length) return value;
  return kept.join(separator).trim() || undefined;
}

/** Works on the text: the bytes of what stays are the client's own. */
function withoutParameters(path: string, names: readonly string[]): string {
  const start = path.indexOf('?');
  if (start < 0 || names.length === 0) return path;
  const parameters = path.slice(start + 1).split('&');
  const kept = parameters.filter((parameter) => !isNamed(parameter.split('=', 1)[0] ?? '', names));
  if (kept.length === parameters.length) return path;
  return kept.length === 0 ? path.slice(0, start) : `${path.slice(0, start)}?${kept.join('&')}`;
}

function isNamed(written: string, names: readonly string[]): boolean {
  return names.includes(written) || names.includes(decoded(written));
}

function decoded(written: string): string {
  try {
    return decodeURIComponent(written.replaceAll('+', ' '));
  } catch {
    return written;
  }
}

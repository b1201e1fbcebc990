/**
 * What a schema cannot say: ids are unique, addresses are addresses, a url is an origin. Reads the file as it was written, with
 * mistakes in it, so that these findings stand beside those of the schema; what has the wrong type is left to the schema.
 */
import { isIP } from 'node:net';
import { algorithmOf, signingKey } from '../backend/signing-key.ts';
import { unixAddress } from '../core/address-list.ts';
import { realClock } from '../core/clock.ts';
import { isSendableCloseCode } from '../core/close-code.ts';
import { toMs } from '../core/duration.ts';
import { isHeaderName, isHeaderValue, isHopByHop } from '../core/headers.ts';
import { isChannelName } from '../core/ids.ts';
import { limits } from '../core/limits.ts';
import { templateFault } from '../core/path-template.ts';
import { SettingsSchema } from '../core/settings.ts';
import { createSignatureCheck, createSigner } from '../wire/grip-signature.ts';
import { withDefaults } from './defaults.ts';
import { isMapping, type Mapping } from '../core/mapping.ts';
import type { JsonSchema } from './json-schema.ts';
import { finding, type Finding } from './report.ts';
import { plain } from './schema.ts';
import type { Path } from '../core/problem.ts';
import { testBackendUrl } from '../core/target-settings.ts';

/** All findings about a file in which short forms are written out. */
export function checkRules(file: Mapping): Finding[] {
  const defaults = mapping(file['defaults']);
  return [
    ...checkPorts(file),
    ...list(file['listen']).flatMap((port, index) => checkClientCertificates(mapping(mapping(port)['tls']), index)),
    ...checkControl(mapping(file['control'])),
    ...checkZeroMq(mapping(mapping(file['control'])['zeromq'])),
    ...checkShared('store', mapping(file['store'])),
    ...checkShared('bus', mapping(file['bus'])),
    ...checkBusOfWorkers(file),
    ...checkGrip(mapping(file['grip'])),
    ...checkUpstreamKey(mapping(file['grip'])),
    ...checkRouteHeader(file),
    ...['waitForEarlier', 'rememberIds'].flatMap((key) => checkTimer(mapping(file['publish']), key, ['publish'])),
    ...checkTimer(mapping(file['holds']), 'linger', ['holds']),
    ...checkSignatures(file),
    ...texts(file['trustedProxies']).flatMap(([proxy, index]) => checkRange(proxy, ['trustedProxies', index])),
    ...texts(file['stripHeaders']).flatMap(([name, index]) => checkStripped(name, ['stripHeaders', index])),
    ...checkOptions(defaults, ['defaults']),
    ...checkThere(file),
    ...checkIds(list(file['routes'])),
    ...checkPath({}, mapping(defaults['path']), ['defaults', 'path']),
    ...list(file['routes']).flatMap((route, index) => [
      ...checkRoute(mapping(route), ['routes', index]),
      ...checkMatch(mapping(mapping(route)['match']), ['routes', index, 'match']),
      ...checkPath(mapping(defaults['path']), mapping(mapping(route)['path']), ['routes', index, 'path']),
      ...checkSockJs(defaults, mapping(route), ['routes', index, 'sockjs']),
      ...checkDelays(defaults, mapping(route), ['routes', index]),
    ]),
  ];
}

function checkThere(file: Mapping): Finding[] {
  const named = ['routes', 'openapi', 'asyncapi'].some(
    (key) => key in file && !(Array.isArray(file[key]) && file[key].length === 0),
  );
  return named ? [] : [finding(['routes'], 'is missing')];
}

function checkRoute(route: Mapping, path: Path): Finding[] {
  const targets = list(route['targets']).map((target, index) => [target, [...path, 'targets', index]] as const);
  const all = 'target' in route ? [[route['target'], [...path, 'target']] as const, ...targets] : targets;
  return [
    ...checkTargetKeys(route, path),
    ...checkOptions(route, path),
    ...all.flatMap(([target, targetPath]) => checkTarget(mapping(target), targetPath)),
  ];
}

function checkMatch({ path: beginning, template, transports, methods }: Mapping, path: Path): Finding[] {
  const fault = typeof template === 'string' ? templateFault(template) : undefined;
  const noPlain = Array.isArray(transports) && !transports.includes('http');
  return [
    ...(template !== undefined && beginning !== undefined
      ? [{ path: [...path, 'template'], message: 'stands beside "path"; a route has one or the other', at: 'key' } as const]
      : []),
    ...(fault === undefined ? [] : [finding([...path, 'template'], fault)]),
    ...(methods !== undefined && noPlain
      ? [finding([...path, 'methods'], 'are of plain requests, which this route does not take')]
      : []),
  ];
}

function checkTargetKeys(route: Mapping, path: Path): Finding[] {
  const both = 'target' in route && 'targets' in route;
  if (both) return [{ path: [...path, 'targets'], message: 'stands beside "target"; a route has one or the other', at: 'key' }];
  if ('target' in route || 'targets' in route) return [];
  return [finding(path, 'has no "target": say where its requests go')];
}

/** What a route and `defaults` have in common. */
function checkOptions(options: Mapping, path: Path): Finding[] {
  const prefix = options['channelPrefix'];
  const badPrefix = typeof prefix === 'string' && prefix !== '' && !isChannelName(prefix);
  return [
    ...checkHeaders(mapping(options['headers']), [...path, 'headers']),
    ...checkPositive(options, 'idle', path),
    ...['longest', 'usual'].flatMap((key) => checkFaultDelay(mapping(options['faultDelay']), key, [...path, 'faultDelay'])),
    ...checkPositive(mapping(options['eventStream']), 'heartbeat', [...path, 'eventStream']),
    ...checkTimer(mapping(options['eventStream']), 'heartbeat', [...path, 'eventStream']),
    ...list(options['closeCodes']).flatMap((rule, index) => checkCloseCode(mapping(rule), [...path, 'closeCodes', index])),
    ...(badPrefix ? [finding([...path, 'channelPrefix'], 'must be short and without control characters')] : []),
  ];
}

function checkFaultDelay(delay: Mapping, key: string, path: Path): Finding[] {
  return [...checkPositive(delay, key, path), ...checkTimer(delay, key, path)];
}

function checkCloseCode({ code }: Mapping, path: Path): Finding[] {
  const isOdd = typeof code === 'number' && code >= 1000 && code <= 4999 && !isSendableCloseCode(code);
  return isOdd ? [finding([...path, 'code'], `must be a code that may be sent (RFC 6455 section 7.4.1), found ${code}`)] : [];
}

function checkIds(routes: readonly unknown[]): Finding[] {
  const first = new Map<unknown, number>();
  return routes.flatMap((route, index) => {
    const { id } = mapping(route);
    const other = first.get(id);
    if (other === undefined) first.set(id, index);
    return typeof id === 'string' && other !== undefined
      ? [finding(['routes', index, 'id'], `is the id of routes[${other}] too: ${JSON.stringify(id)}`)]
      : [];
  });
}

function checkTarget(target: Mapping, path: Path): Finding[] {
  const tls = mapping(target['tls']);
  const halfCertificate = 'cert' in tls !== 'key' in tls;
  return [
    ...(typeof target['url'] === 'string' ? checkOrigin(target['url'], target['dialect'], [...path, 'url']) : []),
    ...checkPositive(target, 'timeout', path),
    ...checkGuard(mapping(target['breaker']), mapping(target['inFlight']), path),
    ...texts(target['channels']).flatMap(([channel, index]) =>
      channel === '' || isChannelName(channel)
        ? []
        : [finding([...path, 'channels', index], 'must be short and without control characters')],
    ),
    ...(halfCertificate ? [finding([...path, 'tls'], 'needs both "cert" and "key", or neither')] : []),
  ];
}

function checkGuard(breaker: Mapping, inFlight: Mapping, path: Path): Finding[] {
  const adaptive = mapping(inFlight['adaptive']);
  const [min = limits.inFlightMin, max] = [adaptive['min'], inFlight['max']];
  const crossed = 'adaptive' in inFlight && typeof min === 'number' && typeof max === 'number' && min > max;
  return [
    ...['window', 'openFor'].flatMap((key) => checkPositive(breaker, key, [...path, 'breaker'])),
    ...checkTimer(breaker, 'openFor', [...path, 'breaker']),
    ...checkTimer(inFlight, 'wait', [...path, 'inFlight']),
    ...(crossed
      ? [finding([...path, 'inFlight', 'adaptive'], `begins at ${min}, above "max" (${max}): give a smaller "min"`)]
      : []),
  ];
}

const schemes = ['http:', 'https:', 'ws:', 'wss:'];

/** Workers have a bus of their own, which nothing joins to that of machines. */
function checkBusOfWorkers(file: Mapping): Finding[] {
  const [workers, bus] = [file['workers'], mapping(file['bus'])];
  if (bus['use'] !== 'redis' || typeof workers !== 'number' || workers <= 1) return [];
  return [finding(['workers'], 'must be 1 with a bus in Redis; start several programs behind a balancer instead')];
}

/** Messages never show the url: it may hold a password. */
function checkOrigin(url: string, dialect: unknown, path: Path): Finding[] {
  if (url === testBackendUrl)
    return dialect === 'relay' ? [finding(path, 'has no WebSocket of its own; leave the dialect out')] : [];
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (!parsed || !schemes.includes(parsed.protocol))
    return [finding(path, 'must be a url such as http://127.0.0.1:8080 (http, https, ws or wss)')];
  if (parsed.username !== '' || parsed.password !== '')
    return [finding(path, 'must not hold a user or password; use "headers" for credentials')];
  if (parsed.search !== '' || parsed.hash !== '' || url.includes('?') || url.includes('#'))
    return [finding(path, 'must not hold a query')];
  if (parsed.pathname !== '/')
    return [
      finding(
        path,
        `must end after host and port (the client's own path is used), found the path ${JSON.stringify(parsed.pathname)}`,
      ),
    ];
  const forWebSocket = parsed.protocol === 'ws:' || parsed.protocol === 'wss:';
  if (!forWebSocket || dialect !== 'websocket-over-http') return [];
  return [
    finding(
      path,
      `names a WebSocket backend, but the dialect is "websocket-over-http"; write ${parsed.protocol === 'ws:' ? 'http' : 'https'}://`,
    ),
  ];
}

/** `base` is what `defaults` say. */
function checkPath(base: Mapping, change: Mapping, path: Path): Finding[] {
  const wrong = (key: string, other: string): Finding[] =>
    key in change && (other in change || other in base)
      ? [{ path: [...path, key], message: `stands beside "${other}"; a path has one or the other`, at: 'key' }]
      : [];
  const replace = wrong('replace', 'remove');
  return replace.length > 0 ? replace : wrong('remove', 'replace');
}

/** Else no request of a SockJS client would come to the route, or its path would be cut in a place that means nothing. */
function checkSockJs(defaults: Mapping, route: Mapping, path: Path): Finding[] {
  const merged = (key: string): Mapping => ({ ...mapping(defaults[key]), ...mapping(route[key]) });
  const { path: base, asPath } = merged('sockjs') as { readonly path?: unknown; readonly asPath?: unknown };
  const { template, path: matched = '/' } = mapping(route['match']);
  if (template !== undefined && base !== undefined)
    return [finding(path, 'needs a route with match.path, below which it has paths')];
  if (typeof base !== 'string' || typeof matched !== 'string') return [];
  const inMatch = `must begin with match.path: ${JSON.stringify(matched)}`;
  if (!base.startsWith(matched)) return [finding([...path, 'path'], inMatch)];
  const isCut = 'replace' in merged('path') && typeof asPath === 'string' && !asPath.startsWith(matched);
  return isCut ? [finding([...path, 'asPath'], `${inMatch}, in whose place path.replace stands`)] : [];
}

/** What failed behind the gateway may have arrived: without a key the backend would take the request for a new one. */
function checkDelays(defaults: Mapping, route: Mapping, path: Path): Finding[] {
  const { upstream } = { ...mapping(defaults['onFault']), ...mapping(route['onFault']) } as { readonly upstream?: unknown };
  const targets = 'target' in route ? [route['target']] : list(route['targets']);
  if (upstream !== 'delay' || targets.every((target) => mapping(target)['retry'] === 'idempotent')) return [];
  const at = 'onFault' in route ? [...path, 'onFault', 'upstream'] : path;
  return [finding(at, 'is "delay" for "upstream", so each target needs "retry: idempotent": the request may have arrived')];
}

function checkHeaders(headers: Mapping, path: Path): Finding[] {
  return Object.entries(headers).flatMap(([name, value]): Finding[] => {
    const at = [...path, name];
    if (!isHeaderName(name)) return [{ path: at, message: 'is not the name of a header field', at: 'key' }];
    if (isOurs(name.toLowerCase())) return [{ path: at, message: 'is a header field that Foregate writes itself', at: 'key' }];
    return typeof value === 'string' && !isHeaderValue(value)
      ? [finding(at, 'has characters that a header field cannot hold')]
      : [];
  });
}

/** Fields that are not a route's to set. */
export function isOurs(lowerName: string): boolean {
  return (
    isHopByHop(lowerName) ||
    lowerName === 'content-length' ||
    lowerName === 'host' ||
    lowerName === 'connection-id' ||
    lowerName.startsWith('grip-')
  );
}

function checkStripped(name: string, path: Path): Finding[] {
  return isHeaderName(name) && /^[^*]+\*?$/.test(name)
    ? []
    : [finding(path, `is not the name of a header field, with or without a "*" at its end: ${JSON.stringify(name)}`)];
}

function checkRange(range: string, path: Path): Finding[] {
  if (range === unixAddress) return [];
  const [address = '', bits, ...more] = range.split('/');
  const family = isIP(address);
  const sound =
    family !== 0 &&
    more.length === 0 &&
    (bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128)));
  return sound ? [] : [finding(path, `must be an address or a range such as 10.0.0.0/8, found ${JSON.stringify(range)}`)];
}

function checkPorts(file: Mapping): Finding[] {
  const places = listeners(file);
  return places.flatMap(({ path, host, port }, index) => {
    const other = places.slice(0, index).find((earlier) => earlier.port === port && overlap(earlier.host, host));
    return other ? [finding([...path, 'port'], `is taken by another listener of this file: ${port}`)] : [];
  });
}

function checkClientCertificates(tls: Mapping, index: number): Finding[] {
  if (!('clientCertificates' in tls) || 'ca' in tls) return [];
  return [finding(['listen', index, 'tls', 'clientCertificates'], 'needs "ca": the authority that signs them')];
}

function listenerSchema(): JsonSchema {
  const { listen, control, metrics } = plain(SettingsSchema).properties ?? {};
  return { properties: { ...(listen && { listen }), ...(control && { control }), ...(metrics && { metrics }) } };
}

/** Everything that will listen on a fixed port. */
function listeners(file: Mapping): { readonly path: Path; readonly host: string; readonly port: number }[] {
  const { listen, control, metrics } = file;
  const written = Object.fromEntries(Object.entries({ listen, control, metrics }).filter(([, value]) => value !== undefined));
  const complete = mapping(withDefaults(written, listenerSchema()));
  const clients = list(complete['listen']).map((entry, index) => [entry, ['listen', index]] as const);
  const others = ['control', 'metrics'].map((key) => [complete[key], [key]] as const);
  return [...clients, ...others].flatMap(([entry, path]) => {
    const { host, port, socket } = mapping(entry) as {
      readonly host?: unknown;
      readonly port?: unknown;
      readonly socket?: unknown;
    };
    if (socket !== undefined) return [];
    return typeof host === 'string' && typeof port === 'number' && port !== 0 ? [{ path, host, port }] : [];
  });
}

function overlap(one: string, other: string): boolean {
  return one === other || [one, other].some((host) => host === '0.0.0.0' || host === '::');
}

function checkControl(control: Mapping): Finding[] {
  const host = control['host'];
  if (typeof host !== 'string' || isLoopback(host) || 'ca' in mapping(control['tls'])) return [];
  const entries = Object.values(mapping(control['auth'])).flatMap(list);
  if (entries.length > 0) return [];
  return [
    finding(['control', 'host'], `is open to others, so "auth" or "tls.ca" must say who may call, found ${JSON.stringify(host)}`),
  ];
}

function checkZeroMq(zeromq: Mapping): Finding[] {
  const base = ['control', 'zeromq'];
  const connects = zeromq['connect'] === true;
  const single = ['pull', 'commands'].flatMap((key) => checkSpec(zeromq[key], [...base, key], zeromq['unprotected'] !== true));
  const guarded = !connects && zeromq['unprotected'] !== true;
  return [
    ...single,
    ...texts(zeromq['subscribe']).flatMap(([spec, index]) => checkSpec(spec, [...base, 'subscribe', index], guarded)),
  ];
}

/** `guarded`: others must not reach it. What does not look like a spec is left to the schema. */
function checkSpec(spec: unknown, path: Path, guarded: boolean): Finding[] {
  const [, host = '', port = ''] = /^tcp:\/\/(.+):(\d{1,5})$/.exec(typeof spec === 'string' ? spec : '') ?? [];
  if (host === '') return [];
  if (Number(port) < 1 || Number(port) > 65_535) return [finding(path, `must end in a port, found ${JSON.stringify(spec)}`)];
  if (!guarded || isLoopback(host.replace(/^\[(.*)\]$/, '$1'))) return [];
  return [
    finding(
      path,
      `is open to others, who may then publish and are not asked who they are; only with "unprotected: true", found ${JSON.stringify(spec)}`,
    ),
  ];
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

/** Of what may be in a Redis. */
function checkShared(name: 'store' | 'bus', settings: Mapping): Finding[] {
  const path = [name];
  const used = settings['use'] === 'redis';
  if (used && !('url' in settings)) return [finding(path, 'uses Redis, so it needs a "url"')];
  if (!used && 'url' in settings) return [{ path: [...path, 'url'], message: 'is of no use without "use: redis"', at: 'key' }];
  return [
    ...(typeof settings['url'] === 'string' ? checkRedisUrl(settings['url'], [...path, 'url']) : []),
    ...checkPositive(settings, 'timeout', path),
    ...checkTimer(settings, 'timeout', path),
  ];
}

/** Messages never show the url: it may hold a password. */
function checkRedisUrl(url: string, path: Path): Finding[] {
  if (isUnread(url)) return [];
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  const sound =
    parsed !== undefined &&
    /^rediss?:$/.test(parsed.protocol) &&
    parsed.hostname !== '' &&
    /^(\/\d*)?$/.test(parsed.pathname) &&
    !/[?#]/.test(url);
  return sound ? [] : [finding(path, 'must be a url such as redis://:password@127.0.0.1:6379/0 (redis or rediss)')];
}

function checkGrip(grip: Mapping): Finding[] {
  const { key, algorithm } = grip as { readonly key?: unknown; readonly algorithm?: unknown };
  if (typeof key !== 'string')
    return algorithm === undefined || 'key' in grip ? [] : [finding(['grip', 'algorithm'], 'needs a "key"')];
  if (isUnread(key)) return [];
  const fitting = algorithmFor(key);
  if (fitting === undefined) return [finding(['grip', 'key'], noKey)];
  if (algorithm === undefined || algorithm === fitting) return [];
  return [finding(['grip', 'algorithm'], `does not fit the key, which is for ${fitting}`)];
}

function checkUpstreamKey({ upstreamKey: key }: { readonly upstreamKey?: unknown }): Finding[] {
  if (typeof key !== 'string' || isUnread(key)) return [];
  try {
    createSignatureCheck(key, realClock);
    return [];
  } catch {
    return [finding(['grip', 'upstreamKey'], 'is not a public key (PEM, RSA or P-256) that can be read')];
  }
}

/** Without the field nobody could name a route. */
function checkRouteHeader(file: Mapping): Finding[] {
  const name = file['routeHeader'];
  if (typeof name === 'string' && name !== '')
    return isHeaderName(name) && !isOurs(name.toLowerCase())
      ? []
      : [finding(['routeHeader'], `is not the name of a field that a client can use for it: ${JSON.stringify(name)}`)];
  return list(file['routes']).flatMap((route, index) =>
    ['also', 'only'].includes(String(mapping(mapping(route)['match'])['byId']))
      ? [finding(['routes', index, 'match', 'byId'], 'needs "routeHeader", the field in which clients name the id')]
      : [],
  );
}

/** Without a key anywhere an issuer says nothing. */
function checkSignatures(file: Mapping): Finding[] {
  const base = mapping(mapping(file['defaults'])['signature']);
  const keyed = 'key' in mapping(file['grip']) || 'key' in base;
  const routes = list(file['routes']).map((route, index) => [mapping(route)['signature'], ['routes', index]] as const);
  const checkIssuer = (own: Mapping, path: Path): Finding[] =>
    'issuer' in own && !keyed && !('key' in own) ? [finding(path, 'needs a "key", here or in "grip"')] : [];
  return [...checkSigningKey(base, ['defaults', 'signature', 'key'])].concat(
    routes.flatMap(([signature, path]) => [
      ...checkSigningKey(mapping(signature), [...path, 'signature', 'key']),
      ...checkIssuer(mapping(signature), [...path, 'signature']),
    ]),
  );
}

function checkSigningKey({ key }: { readonly key?: unknown }, path: Path): Finding[] {
  return typeof key !== 'string' || isUnread(key) || algorithmFor(key) !== undefined ? [] : [finding(path, noKey)];
}

const noKey = 'is not a private key (PEM, RSA or P-256) that can be read';

/** A variable or file that could not be read is reported already. */
export function isUnread(key: string): boolean {
  return key.startsWith('${') || key.startsWith('file:');
}

/** Undefined for a key that cannot sign. */
function algorithmFor(key: string): string | undefined {
  try {
    createSigner({ issuer: '', key }, realClock);
    return algorithmOf(signingKey(key));
  } catch {
    return undefined;
  }
}

function checkPositive(options: Mapping, key: string, path: Path): Finding[] {
  const value = options[key];
  const none = typeof value === 'string' && /^\d+(ms|s|m|h|d)$/.test(value) && toMs(value) === 0;
  return none ? [finding([...path, key], `must be longer than nothing, found ${JSON.stringify(value)}`)] : [];
}

/** Timers of Node end at once when they are longer. */
const timerMaxMs = 24 * 86_400_000;

function checkTimer(options: Mapping, key: string, path: Path): Finding[] {
  const value = options[key];
  const tooLong = typeof value === 'string' && /^\d+(ms|s|m|h|d)$/.test(value) && toMs(value) > timerMaxMs;
  return tooLong ? [finding([...path, key], `must be at most 24d, found ${JSON.stringify(value)}`)] : [];
}

function mapping(value: unknown): Mapping {
  return isMapping(value) ? value : {};
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function texts(value: unknown): (readonly [text: string, index: number])[] {
  return list(value).flatMap((entry, index) => (typeof entry === 'string' ? [[entry, index] as const] : []));
}

/** Writes a whole `haproxy.cfg`, and `keys.map` beside it: a frontend for each address, a backend for each route. */
import { isIP } from 'node:net';
import type { CredentialPlace, Exporter, GatewayLimit, GatewayModel, GatewayRoute, Remark } from '../conversion/gateway-route.ts';
import type { ProxyListener } from '../conversion/proxy-routes.ts';
import { refused } from '../conversion/remark.ts';
import {
  basePath,
  eventsType,
  firstLine,
  keyLines,
  literally,
  portOf,
  proxyListeners,
  proxyRemarks,
} from '../conversion/proxy-routes.ts';

interface Numbered {
  readonly route: GatewayRoute;
  /** From 1. */
  readonly number: number;
}

export const haproxyExporter: Exporter = {
  name: 'haproxy',
  summary: 'Writes haproxy.cfg, and keys.map for the keys of callers.',
  write(model) {
    const remarks = [...proxyRemarks(model), ...model.routes.flatMap(ownRemarks)];
    if (remarks.some(({ verdict }) => verdict === 'refused')) return { files: [], remarks };
    const config = { name: 'haproxy.cfg', content: configOf(model) };
    const needsKeys = model.routes.some(({ auth }) => auth.kind === 'key');
    return { files: needsKeys ? [config, { name: 'keys.map', content: keysOf(model), once: true }] : [config], remarks };
  },
};

/** HAProxy comes with three counters for a request, and counts windows in milliseconds of 31 bits. */
const trackersMax = 3;
const windowSecondsMax = 2_000_000;

function ownRemarks({ id, limits, eventsOnly }: GatewayRoute): readonly Remark[] {
  return [
    ...(limits.length > trackersMax
      ? [refused(id, `has ${limits.length} limits; HAProxy counts ${trackersMax} for a request`)]
      : []),
    ...limits
      .filter(({ windowSeconds }) => windowSeconds > windowSecondsMax)
      .map(({ windowSeconds }) => refused(id, `limits within ${windowSeconds} s; HAProxy counts ${windowSecondsMax} s at most`)),
    ...(eventsOnly
      ? []
      : [{ about: id, verdict: 'tightened', text: 'a body without Content-Length is refused with 411' } as const]),
  ];
}

/** A word, a space, a name: what has a space in it cannot be said, and is refused before. */
function keysOf({ callers }: GatewayModel): string {
  const head = ['# Keys of callers, for haproxy.cfg: KEY NAME, one a line. "foregate export" never overwrites this file.'];
  return `${head.join('\n')}\n${keyLines(callers, (key, name) => `${key} ${name}`)}`;
}

function configOf(model: GatewayModel): string {
  const routes = model.routes.map((route, index) => ({ route, number: index + 1 }));
  return [
    firstLine('haproxy'),
    '# Start: haproxy -db -f haproxy.cfg',
    ...section('global', ['default-path config']),
    ...section('defaults', general),
    ...proxyListeners(model).flatMap((listener, index) => frontend(listener, index + 1, routes, model.trusted)),
    ...routes.flatMap(backend),
    ...section('backend no_route', ['http-request deny deny_status 404']),
    '',
  ].join('\n');
}

const general = [
  'mode http',
  'option http-no-delay',
  'http-reuse safe',
  'retries 0',
  'timeout connect 2s',
  'timeout client 75s',
  'timeout server 30s',
  'timeout http-request 10s',
  'timeout http-keep-alive 75s',
];

function frontend(listener: ProxyListener, number: number, all: readonly Numbered[], trusted: readonly string[]): string[] {
  const own = all.filter(({ route }) => listener.routes.includes(route));
  return section(`frontend gateway_${number}`, [
    `bind ${listener.host}:${listener.port}`,
    // Backends may resolve these, and would then see a path that was not checked.
    `http-request deny deny_status 400 if { path -m reg -i -- '(^|/|%2f|%5c)(\\.|%2e){1,2}(/|%2f|%5c|$)' }`,
    'http-request del-header Upgrade',
    ...trust(trusted, listener.port),
    ...own.map(({ route, number: nth }) => `use_backend route_${nth}${conditions(route)}`),
    'default_backend no_route',
  ]);
}

/** `X-Forwarded-*` of anybody else is replaced by what HAProxy sees itself. */
function trust(trusted: readonly string[], port: number): readonly string[] {
  const isKnown = trusted.length === 0 ? '{ always_false }' : `{ src ${trusted.join(' ')} }`;
  return [
    'http-request set-var(txn.client) src',
    `http-request set-var(txn.client) req.hdr_ip(x-forwarded-for,-1) if ${isKnown}`,
    ...['X-Forwarded-For', 'X-Forwarded-Proto', 'X-Forwarded-Host', 'X-Forwarded-Port', 'Forwarded'].map(
      (name) => `http-request del-header ${name} unless ${isKnown}`,
    ),
    'http-request add-header X-Forwarded-For %[src]',
    ...[
      ['X-Forwarded-Proto', 'http'],
      ['X-Forwarded-Host', '%[req.hdr(host)]'],
      ['X-Forwarded-Port', String(port)],
    ].map(([name = '', value]) => `http-request set-header ${name} ${value} unless { req.hdr(${name.toLowerCase()}) -m found }`),
    'http-request set-header X-Real-IP %[var(txn.client)]',
    'http-request del-header X-Consumer-Username',
  ];
}

function conditions({ hosts, path, eventsOnly }: GatewayRoute): string {
  const host = hosts.map((name) => hostTest(name.toLowerCase())).join(' ');
  const tests = [
    ...(path === '/' ? [] : [`{ path -m beg -- ${quoted(path)} }`]),
    ...(eventsOnly ? ['{ method POST }', `{ req.hdr(content-type),lower -m str ${eventsType} }`] : []),
    ...(host === '' ? [] : [host]),
  ];
  return tests.length === 0 ? '' : ` if ${tests.join(' ')}`;
}

function hostTest(name: string): string {
  const [kind, value] = name.startsWith('*.') ? ['end', name.slice(1)] : ['str', name];
  return `{ req.hdr(host),lower,field(1,:) -m ${kind} -- ${value} }`;
}

function backend({ route, number }: Numbered): string[] {
  const tables = route.limits.map((limit, index) =>
    section(`backend limit_${number}_${index + 1}`, [
      `stick-table type ${limit.by === 'address' ? 'ipv6' : 'string len 128'} size 1m expire ${limit.windowSeconds}s store gpc0,gpc0_rate(${limit.windowSeconds}s)`,
    ]),
  );
  const rules = [
    `# ${route.id}`,
    ...keyCheck(route),
    ...bodyCheck(route),
    ...limitRules(route, number),
    ...hide(route),
    ...rewrites(route),
    `timeout connect ${route.connectMs}ms`,
    `timeout server ${route.readMs}ms`,
    server(route),
  ];
  return [...tables.flat(), ...section(`backend route_${number}`, rules)];
}

function keyCheck({ auth }: GatewayRoute): readonly string[] {
  if (auth.kind !== 'key') return [];
  return [
    `http-request set-var(txn.caller) ${fetch(auth.place)},map_str(keys.map)`,
    `http-request return status 401 content-type application/json hdr WWW-Authenticate 'Key realm="api"' string '{"message":"No API key found in request"}' unless { var(txn.caller) -m found }`,
    'http-request set-header X-Consumer-Username %[var(txn.caller)]',
  ];
}

function fetch({ in: where, name }: CredentialPlace): string {
  return where === 'header' ? `req.fhdr(${name})` : `url_param(${name}),url_dec(1)`;
}

/** HAProxy does not count what comes in chunks. */
function bodyCheck({ bodyBytes }: GatewayRoute): readonly string[] {
  return [
    `http-request return status 411 content-type text/plain string 'Length required' if { req.hdr(transfer-encoding) -m found }`,
    `http-request deny deny_status 413 if { req.hdr_val(content-length) gt ${bodyBytes} }`,
  ];
}

/** What is refused does not count: first all are asked, then all are raised. */
function limitRules({ limits }: GatewayRoute, number: number): readonly string[] {
  const table = (index: number): string => `limit_${number}_${index + 1}`;
  return [
    ...limits.map((limit, index) => `http-request track-sc${index} ${keyOf(limit)} table ${table(index)}`),
    ...limits.map(
      (limit, index) =>
        `http-request return status 429 content-type application/json hdr Retry-After ${retryAfter(limit)} string '{"message":"API rate limit exceeded"}' if { sc${index}_gpc0_rate(${table(index)}) ge ${limit.count} }`,
    ),
    ...limits.map((_, index) => `http-request sc-inc-gpc0(${index})`),
  ];
}

function keyOf({ by }: GatewayLimit): string {
  return { caller: 'var(txn.caller)', address: 'var(txn.client)', route: 'str(all)' }[by];
}

function retryAfter({ count, windowSeconds }: GatewayLimit): number {
  return Math.ceil(windowSeconds / count);
}

/** A parameter that stands there twice would be taken away once. */
function hide({ auth }: GatewayRoute): readonly string[] {
  if (auth.kind !== 'key' || !auth.hidden) return [];
  const { in: where, name } = auth.place;
  if (where === 'header') return [`http-request del-header ${name}`];
  return [
    `http-request deny deny_status 400 if { query -m reg -- '(^|&)${name}=([^&]*&)(.*&)?${name}=' }`,
    `http-request replace-pathq '^([^?]*)\\?${name}=[^&]*&(.*)$' '\\1?\\2'`,
    `http-request replace-pathq '^([^?]*)\\?${name}=[^&]*$' '\\1'`,
    `http-request replace-pathq '^([^?]*\\?.*)&${name}=[^&]*(.*)$' '\\1\\2'`,
  ];
}

function rewrites(route: GatewayRoute): readonly string[] {
  const base = basePath(route).replaceAll('%', '%%');
  if (route.stripPath) return [`http-request replace-path '^${literally(route.path)}/?(.*)$' ${quoted(`${base}/\\1`)}`];
  return base === '' ? [] : [`http-request replace-path '^(.*)$' ${quoted(`${base}\\1`)}`];
}

function server({ backend: url }: GatewayRoute): string {
  const { hostname, protocol } = url;
  const address = `${hostname}:${portOf(url)}`;
  if (protocol === 'http:') return `server backend ${address}`;
  // An address is no name to ask for.
  const name = isIP(hostname.replaceAll(/[[\]]/g, '')) === 0 ? ` sni str(${hostname})` : '';
  return `server backend ${address} ssl verify required ca-file @system-ca verifyhost ${hostname}${name}`;
}

function section(head: string, lines: readonly string[]): string[] {
  return ['', head, ...lines.map((line) => `  ${line}`)];
}

/** Between single quotes HAProxy reads nothing but characters. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

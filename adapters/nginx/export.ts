/** Writes a whole `nginx.conf`, and `keys.conf` beside it, for an nginx that comes without further modules. */
import type { Exporter, GatewayLimit, GatewayModel, GatewayRoute, Remark } from '../conversion/gateway-route.ts';
import {
  basePath,
  eventsType,
  firstLine,
  hexOf,
  keyLines,
  literally,
  portOf,
  proxyListeners,
  proxyRemarks,
} from '../conversion/proxy-routes.ts';
import { refused } from '../conversion/remark.ts';
import { authorities, serversOf, sharedLocations } from './export-server.ts';
import { argsVariable, callerVariable, indent, uriVariable, zoneName, type Numbered } from './export-names.ts';
import { bucketOf } from './bucket.ts';

export const nginxExporter: Exporter = {
  name: 'nginx',
  summary: 'Writes nginx.conf, and keys.conf for the keys of callers.',
  write(model) {
    const remarks = [...proxyRemarks(model), ...model.routes.flatMap(ownRemarks), ...smallerBodies(model)];
    if (remarks.some(({ verdict }) => verdict === 'refused')) return { files: [], remarks };
    const config = { name: 'nginx.conf', content: configOf(model) };
    const needsKeys = model.routes.some(({ auth }) => auth.kind === 'key');
    return { files: needsKeys ? [{ name: 'keys.conf', content: keysOf(model), once: true }, config] : [config], remarks };
  },
};

function ownRemarks({ id, auth, limits, backend, path }: GatewayRoute): readonly Remark[] {
  return [
    ...(backend.pathname.includes('$')
      ? [refused(id, 'has a "$" in the path of its backend, which nginx takes for a variable')]
      : []),
    ...(path.includes('//') ? [refused(id, 'has "//" in its path, which nginx may read as "/"')] : []),
    ...(auth.kind === 'key' && auth.place.in === 'query' && auth.place.name.includes('-')
      ? [refused(id, 'looks for the key in a parameter with "-", for which nginx has no variable')]
      : []),
    ...(backend.protocol === 'https:'
      ? [{ about: id, verdict: 'told', text: `trusts the authorities in ${authorities} for its backend` } as const]
      : []),
    ...limits.flatMap((limit) => limitRemarks(id, limit)),
  ];
}

function smallerBodies(model: GatewayModel): readonly Remark[] {
  return proxyListeners(model)
    .flatMap(sharedLocations)
    .filter(([first, next]) => first.bodyBytes !== next.bodyBytes)
    .map(([first, next]) => ({
      about: first.id,
      verdict: 'tightened',
      text: `shares its path with ${next.id}; below it both take bodies of ${Math.min(first.bodyBytes, next.bodyBytes)} bytes at most`,
    }));
}

function limitRemarks(id: string, limit: GatewayLimit): readonly Remark[] {
  const { count, windowSeconds } = limit;
  const bucket = bucketOf(limit);
  const said = `${count} in ${windowSeconds} s`;
  if (bucket === undefined) return [refused(id, `limits to ${said}; the slowest rate of nginx is one a minute`)];
  const text = `${said} is a bucket at nginx: ${count} at once, then one every ${bucket.retryAfterSeconds} s or less (${bucket.rate}); ${2 * count - 1} in the busiest ${windowSeconds} s`;
  return [{ about: id, verdict: bucket.isExact ? 'told' : 'tightened', text }];
}

/** Keys as regular expressions: nginx would compare strings without their case. */
function keysOf({ callers }: GatewayModel): string {
  const head = [
    '# Keys of callers, for nginx.conf. "foregate export" never overwrites this file.',
    '# One a line: "~^KEY$" NAME; with each character of KEY but letters and digits as \\x and its two digits, - as \\x2d.',
  ];
  return `${head.join('\n')}\n${keyLines(callers, (key, name) => `"~^${keyPattern(key)}$" ${name};`)}`;
}

/** In a query a client may write a character as it is or percent-encoded, and nginx decodes neither. */
function keyPattern(key: string): string {
  return key.replace(/[^A-Za-z0-9._~-]|[._~-]/g, (character) =>
    /[._~-]/.test(character) ? literally(character) : `(?:${literally(character)}|(?i:%${hexOf(character)}))`,
  );
}

function configOf(model: GatewayModel): string {
  const routes = model.routes.map((route, index) => ({ route, number: index + 1 }));
  const hasQueryKeys = model.routes.some(({ auth }) => auth.kind === 'key' && auth.place.in === 'query');
  return [
    firstLine('nginx'),
    `# Start: nginx -p "$PWD" -c nginx.conf -e stderr -g 'daemon off;'`,
    'worker_processes auto;',
    'pid nginx.pid;',
    // A line of an error has the request in it, with its query.
    `error_log stderr ${hasQueryKeys ? 'crit' : 'error'};`,
    'events {',
    '  worker_connections 4096;',
    '}',
    'http {',
    ...indent([
      ...general,
      ...trust(model.trusted),
      ...callerMaps(routes),
      ...routes.flatMap(rewriteMaps),
      ...routes.flatMap(zones),
      ...upstreams(routes),
      ...proxyListeners(model).flatMap((listener) => serversOf(listener, routes)),
    ]),
    '}',
    '',
  ].join('\n');
}

const general = [
  ...['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path temp_${name};`),
  'access_log off;',
  'server_tokens off;',
  'server_names_hash_bucket_size 512;',
  'variables_hash_max_size 8192;',
  'variables_hash_bucket_size 128;',
  'default_type text/plain;',
  'gzip off;',
  'merge_slashes off;',
  'keepalive_timeout 75s;',
  'keepalive_requests 100000;',
  'limit_req_status 429;',
  // Both, or every request opens a connection.
  'proxy_http_version 1.1;',
  'proxy_buffering off;',
  'proxy_next_upstream off;',
  'proxy_redirect off;',
  `map "$request_method:$content_type" $foregate_events { default ""; "POST:${eventsType}" 1; }`,
];

/** `X-Forwarded-*` of anybody else is replaced by what nginx sees itself. */
function trust(trusted: readonly string[]): readonly string[] {
  return [
    ...trusted.map((address) => `set_real_ip_from ${address};`),
    'real_ip_header X-Forwarded-For;',
    'real_ip_recursive on;',
    `geo $realip_remote_addr $from_foregate { default 0; ${trusted.map((address) => `${address} 1; `).join('')}}`,
    forwarded('for', '$realip_remote_addr', '$said_for, $realip_remote_addr'),
    forwarded('proto', '$scheme', '$said_proto'),
    forwarded('host', '$http_host', '$said_host'),
    forwarded('port', '$server_port', '$said_port'),
    'map "$from_foregate$http_forwarded" $forwarded { default ""; "~^1(?<said_forwarded>.+)$" $said_forwarded; }',
  ];
}

function forwarded(name: string, own: string, said: string): string {
  return `map "$from_foregate$http_x_forwarded_${name}" $forwarded_${name} { default ${own}; "~^1(?<said_${name}>.+)$" "${said}"; }`;
}

/** Who calls, for each place in which keys are looked for. */
function callerMaps(routes: readonly Numbered[]): readonly string[] {
  const maps = routes.flatMap(({ route: { auth } }) => {
    if (auth.kind !== 'key') return [];
    const source = `$${auth.place.in === 'header' ? 'http' : 'arg'}_${auth.place.name.toLowerCase().replaceAll('-', '_')}`;
    return [`map ${source} ${callerVariable(auth.place)} { default ""; include keys.conf; }`];
  });
  return [...new Set(maps)];
}

/** The path and query for the backend, byte for byte as they came; without them where nothing is changed. */
function rewriteMaps({ route, number }: Numbered): readonly string[] {
  const { path, stripPath, auth } = route;
  const base = basePath(route);
  const uri = uriVariable({ route, number });
  if (uri === undefined) return [];
  const [pattern, value] = stripPath
    ? [`~^${literally(path)}/?(?<rest_${number}>[^?]*)`, `${base}/$rest_${number}`]
    : [`~^(?<rest_${number}>/[^?]*)`, `${base}$rest_${number}`];
  const paths = `map $request_uri ${uri} { default ""; "${pattern}" "${value}"; }`;
  const args = argsVariable({ route, number });
  if (args === undefined || auth.kind !== 'key') return [paths];
  const { name } = auth.place;
  const before = `"~*^${name}=[^&]*&(?<after_${number}>.*)$" "?$after_${number}";`;
  const within = `"~*^(?<first_${number}>.*)&${name}=[^&]*(?<second_${number}>.*)$" "?$first_${number}$second_${number}";`;
  return [paths, `map $args ${args} { default $is_args$args; "~*^${name}=[^&]*$" ""; ${before} ${within} }`];
}

function zones({ route, number }: Numbered): readonly string[] {
  return route.limits.map((limit, index) => {
    const key = { caller: callerOf(route), address: '$binary_remote_addr', route: `"${number}"` }[limit.by];
    return `limit_req_zone ${key} zone=${zoneName(number, index)}:10m rate=${bucketOf(limit)?.rate ?? ''};`;
  });
}

function callerOf({ auth }: GatewayRoute): string {
  return auth.kind === 'key' ? callerVariable(auth.place) : '""';
}

function upstreams(routes: readonly Numbered[]): readonly string[] {
  return routes.map(
    ({ route: { backend }, number }) =>
      `upstream backend_${number} { server ${backend.hostname}:${portOf(backend)}; keepalive 64; }`,
  );
}

/** The `server` blocks of an exported `nginx.conf`: one for each host, with a location for each path. */
import type { GatewayRoute } from '../conversion/gateway-route.ts';
import type { ProxyListener } from '../conversion/proxy-routes.ts';
import { bucketOf } from './bucket.ts';
import { argsVariable, callerVariable, indent, uriVariable, zoneName, type Numbered } from './export-names.ts';

export function serversOf({ host, port, routes }: ProxyListener, numbered: readonly Numbered[]): readonly string[] {
  const own = numbered.filter(({ route }) => routes.includes(route));
  const hosts = [...new Set(own.flatMap(({ route }) => route.hosts.map((name) => name.toLowerCase())))];
  const listen = `listen ${host}:${port}`;
  return [
    ...serverOf(
      `${listen} default_server;`,
      '_',
      own.filter(({ route }) => route.hosts.length === 0),
    ),
    ...hosts.flatMap((name) =>
      serverOf(
        `${listen};`,
        name,
        own.filter(({ route }) => covers(route, name)),
      ),
    ),
  ];
}

/** nginx asks one server only, so that it also has the routes for wider hosts. */
function covers({ hosts }: GatewayRoute, name: string): boolean {
  const names = hosts.map((host) => host.toLowerCase());
  return names.length === 0 || names.some((host) => host === name || (host.startsWith('*.') && name.endsWith(host.slice(1))));
}

function serverOf(listen: string, name: string, routes: readonly Numbered[]): readonly string[] {
  const paths = [...new Set(routes.map(({ route }) => route.path))];
  const named = new Map(paths.flatMap((path) => chainAt(path, routes).slice(1)).map((next) => [next.number, next]));
  return [
    'server {',
    ...indent([
      listen,
      `server_name ${name};`,
      'recursive_error_pages on;',
      'set $retry_after 1;',
      ...pages(undefined),
      ...paths.flatMap((path) => locationsAt(path, routes)),
      ...[...named.values()].flatMap((next) => block(`location @route_${next.number}`, bodyOf(next, undefined))),
      ...(paths.includes('/') ? [] : ['location / { return 404; }']),
      ...refusals,
    ]),
    '}',
  ];
}

/** nginx would redirect `/chat` to `/chat/` where only that is a location. */
function locationsAt(path: string, routes: readonly Numbered[]): readonly string[] {
  const bare = path.slice(0, -1);
  const exact = path.length > 1 && path.endsWith('/') ? block(`location = ${quoted(bare)}`, chainBody(bare, routes)) : [];
  return [...exact, ...block(`location ^~ ${quoted(path)}`, chainBody(path, routes))];
}

function chainBody(path: string, routes: readonly Numbered[]): readonly string[] {
  const [first, next] = chainAt(path, routes);
  return first === undefined ? ['return 404;'] : bodyOf(first, next);
}

/** The route for a path and, if that takes nothing but events, the one for other requests. */
function chainAt(path: string, routes: readonly Numbered[]): readonly Numbered[] {
  const fitting = routes.filter(({ route }) => path.startsWith(route.path));
  const [first] = fitting;
  const next = fitting.find(({ route }) => !route.eventsOnly);
  if (first === undefined) return [];
  return next === undefined || first === next ? [first] : [first, next];
}

/** Routes that share a location, of which the second takes what is no event: nginx looks at the size of a body before it knows. */
export function sharedLocations({ routes }: ProxyListener): readonly (readonly [GatewayRoute, GatewayRoute])[] {
  return routes
    .filter(({ eventsOnly }) => eventsOnly)
    .flatMap((first) => {
      const next = routes.find((route) => !route.eventsOnly && first.path.startsWith(route.path));
      return next === undefined ? [] : [[first, next] as const];
    });
}

function bodyOf(one: Numbered, next: Numbered | undefined): readonly string[] {
  const { route } = one;
  const bodyBytes = Math.min(route.bodyBytes, next?.route.bodyBytes ?? Infinity);
  return [
    `# ${route.id}`,
    ...(route.eventsOnly ? onlyEvents(next) : []),
    ...access(one),
    ...limitsOf(one),
    `client_max_body_size ${bodyBytes};`,
    // In memory rather than in a file, up to a mebibyte.
    `client_body_buffer_size ${Math.min(bodyBytes, 1_048_576)};`,
    `proxy_connect_timeout ${route.connectMs}ms;`,
    `proxy_read_timeout ${route.readMs}ms;`,
    `proxy_send_timeout ${route.readMs}ms;`,
    ...fields(route),
    ...pass(one),
  ];
}

function onlyEvents(next: Numbered | undefined): readonly string[] {
  if (next === undefined) return ['if ($foregate_events = "") { return 404; }'];
  return [...pages(next.number), 'if ($foregate_events = "") { return 418; }'];
}

/** In the order of nginx: nothing is counted before the key is known. */
function access(one: Numbered): readonly string[] {
  const { auth } = one.route;
  const uri = uriVariable(one);
  return [
    ...(auth.kind === 'key' ? [`if (${callerVariable(auth.place)} = "") { return 401; }`] : []),
    ...(auth.kind === 'key' && argsVariable(one) !== undefined
      ? [`if ($args ~* "(?:^|&)${auth.place.name}=(?:.*&)?${auth.place.name}=") { return 400; }`]
      : []),
    ...(uri === undefined ? [] : [`if (${uri} = "") { return 404; }`]),
  ];
}

function limitsOf({ route: { limits }, number }: Numbered): readonly string[] {
  const buckets = limits.flatMap((limit) => bucketOf(limit) ?? []);
  if (buckets.length === 0) return [];
  return [
    `set $retry_after ${Math.max(...buckets.map(({ retryAfterSeconds }) => retryAfterSeconds))};`,
    ...buckets.map(
      ({ burst }, index) => `limit_req zone=${zoneName(number, index)}${burst === 0 ? '' : ` burst=${burst} nodelay`};`,
    ),
  ];
}

function fields({ auth }: GatewayRoute): readonly string[] {
  return [
    'Connection ""',
    'Host $http_host',
    'Forwarded $forwarded',
    'X-Forwarded-For $forwarded_for',
    'X-Forwarded-Proto $forwarded_proto',
    'X-Forwarded-Host $forwarded_host',
    'X-Forwarded-Port $forwarded_port',
    'X-Real-IP $remote_addr',
    // Also where there is no caller: nobody's own word is to be taken for it.
    `X-Consumer-Username ${auth.kind === 'key' ? callerVariable(auth.place) : '""'}`,
    ...(auth.kind === 'key' && auth.hidden && auth.place.in === 'header' ? [`${auth.place.name} ""`] : []),
  ].map((field) => `proxy_set_header ${field};`);
}

function pass(one: Numbered): readonly string[] {
  const { backend } = one.route;
  const uri = uriVariable(one);
  const rest = uri === undefined ? '' : `${uri}${argsVariable(one) ?? '$is_args$args'}`;
  return [
    ...(backend.protocol === 'https:' ? tls(backend) : []),
    `proxy_pass ${backend.protocol}//backend_${one.number}${rest};`,
  ];
}

/** Where Debian and its relatives keep them; nginx has no default. */
export const authorities = '/etc/ssl/certs/ca-certificates.crt';

function tls({ hostname }: URL): readonly string[] {
  return [
    'proxy_ssl_server_name on;',
    `proxy_ssl_name ${hostname};`,
    'proxy_ssl_verify on;',
    'proxy_ssl_verify_depth 5;',
    `proxy_ssl_trusted_certificate ${authorities};`,
  ];
}

/** `next`: the number of the route for what is no event. A location with one page of its own has no other any more. */
function pages(next: number | undefined): readonly string[] {
  return [
    ...['401', '413', '429'].map((status) => `error_page ${status} = @refused_${status};`),
    ...(next === undefined ? [] : [`error_page 418 = @route_${next};`]),
  ];
}

const refusals = [
  `location @refused_401 { default_type application/json; add_header WWW-Authenticate 'Key realm="api"' always; return 401 '{"message":"No API key found in request"}'; }`,
  `location @refused_413 { default_type application/json; return 413 '{"message":"Request size limit exceeded"}'; }`,
  `location @refused_429 { default_type application/json; add_header Retry-After $retry_after always; return 429 '{"message":"API rate limit exceeded"}'; }`,
];

function block(head: string, lines: readonly string[]): readonly string[] {
  return [`${head} {`, ...indent(lines), '}'];
}

/** For places where nginx reads no variables. */
function quoted(text: string): string {
  return `"${text.replace(/[\\"]/g, '\\$&')}"`;
}

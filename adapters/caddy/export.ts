/** Writes a whole `Caddyfile`, and `keys.caddy` beside it, for a Caddy without plugins. */
import type { Exporter, GatewayModel, GatewayRoute, Remark } from '../conversion/gateway-route.ts';
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

export const caddyExporter: Exporter = {
  name: 'caddy',
  summary: 'Writes a Caddyfile, and keys.caddy for the keys of callers. Caddy has no limits without a plugin.',
  write(model) {
    const remarks = [...proxyRemarks(model), ...model.routes.flatMap(ownRemarks)];
    if (remarks.some(({ verdict }) => verdict === 'refused')) return { files: [], remarks };
    const config = { name: 'Caddyfile', content: configOf(model) };
    const needsKeys = model.routes.some(({ auth }) => auth.kind === 'key');
    return needsKeys
      ? { files: [config, { name: 'keys.caddy', content: keysOf(model), once: true }], remarks: [...remarks, copy] }
      : { files: [config], remarks };
  },
};

const copy: Remark = {
  about: 'keys.caddy',
  verdict: 'told',
  text: 'Caddy keeps a copy of all that it runs, with these keys, in the autosave.json of its own configuration folder',
};

function ownRemarks(route: GatewayRoute): readonly Remark[] {
  const { id, auth, limits, path, backend } = route;
  return [
    ...(limits.length === 0 ? [] : [refused(id, 'has limits, for which Caddy needs a plugin')]),
    ...(auth.kind === 'key' && auth.hidden && auth.place.in === 'query'
      ? [refused(id, 'hides a key in the query, and Caddy takes no parameter out of it; set "hideCredential: false"')]
      : []),
    ...(changesPath(route)
      ? [
          {
            about: id,
            verdict: 'tightened',
            text: 'percent-encoded reserved characters in its paths, such as %2F, are refused with 400',
          } as const,
        ]
      : []),
    // Braces would be placeholders, and the others are percent-encoded before Caddy compares them.
    ...(/["<>\\^`{|}]/.test(path + backend.pathname)
      ? [refused(id, 'has a character in a path that Caddy does not compare as it is')]
      : []),
  ];
}

/** Keys as regular expressions, so that no character in them means anything to Caddy. */
function keysOf({ callers }: GatewayModel): string {
  const head = [
    '# Keys of callers, for the Caddyfile. "foregate export" never overwrites this file.',
    '# One a line: "~^KEY$" NAME; each character of KEY but letters and digits as \\x and its two digits, - as \\x2d.',
  ];
  return `${head.join('\n')}\n${keyLines(callers, (key, name) => `"~^${literally(key)}$" ${name}`)}`;
}

function configOf(model: GatewayModel): string {
  return [
    firstLine('caddy'),
    '# Start: caddy run --config Caddyfile --adapter caddyfile',
    ...block('', globals),
    ...proxyListeners(model).flatMap((listener) => site(listener, model)),
    '',
  ].join('\n');
}

/** No port for its administration, and no header fields or queries in the log: keys are in them. */
const globals = [
  'admin off',
  'auto_https off',
  ...block('log', [
    'level ERROR',
    ...block('format filter', ['wrap json', ...block('fields', ['request>headers delete', 'request>uri delete'])]),
  ]),
  ...block('servers', ['protocols h1']),
];

function site({ host, port, routes }: ProxyListener, model: GatewayModel): readonly string[] {
  return block(`http://:${port}`, [
    `bind ${host.replaceAll(/[[\]]/g, '')}`,
    // Backends may resolve these, and would then see a path that was not checked.
    `@dots vars_regexp {http.request.uri} "(?i)^[^?]*(/|%2f|%5c)(\\.|%2e)(\\.|%2e)?(/|%2f|%5c|[?]|$)"`,
    ...block('route', [
      'respond @dots 400',
      'request_header -Upgrade',
      'request_header -X-Consumer-Username',
      ...routes.flatMap((route) => handler(route, model.routes.indexOf(route) + 1, model.trusted)),
      'respond 404',
    ]),
    ...routes.flatMap((route) => matchers(route, model.routes.indexOf(route) + 1)),
  ]);
}

function matchers(route: GatewayRoute, number: number): readonly string[] {
  const { hosts, path, eventsOnly, auth, bodyBytes, id } = route;
  const host = hosts.map(hostPattern).join('|');
  const length = '{http.request.header.Content-Length}';
  return [
    ...block(`@route_${number}`, [
      `# ${id}`,
      // Caddy's own matcher for paths knows no case.
      `vars_regexp {http.request.uri} "^${literally(path)}"`,
      ...(host === '' ? [] : [`header_regexp Host "(?i)^(${host})(:[0-9]+)?$"`]),
      ...(eventsOnly ? ['method POST', `header Content-Type ${eventsType}`] : []),
    ]),
    ...block(`@large_${number}`, [`expression \`${length} != "" && int(${length}) > ${bodyBytes}\``]),
    ...(changesPath(route) ? [`@encoded_${number} vars_regexp {http.request.uri} "(?i)^[^?]*%${reserved}"`] : []),
    ...(auth.kind === 'key' ? [`@nokey_${number} vars {caller_${number}} ""`] : []),
  ];
}

/** The numbers of characters that mean something else than their percent-encoding, and of controls. */
const reserved = '([01][0-9a-f]|2[13-9a-cef]|3[abdf]|40|5[bcd]|7f)';

/** Caddy decodes a path that it changes. */
function changesPath(route: GatewayRoute): boolean {
  return route.stripPath || basePath(route) !== '';
}

function hostPattern(host: string): string {
  return host.startsWith('*.') ? `.+${literally(host.slice(1))}` : literally(host);
}

function handler(route: GatewayRoute, number: number, trusted: readonly string[]): readonly string[] {
  return block(`route @route_${number}`, [
    ...keyCheck(route, number),
    `respond @large_${number} 413`,
    ...block('request_body', [`max_size ${route.bodyBytes}`]),
    ...rewrites(route, number),
    ...proxy(route, number, trusted),
  ]);
}

function keyCheck({ auth }: GatewayRoute, number: number): readonly string[] {
  if (auth.kind !== 'key') return [];
  const { in: where, name } = auth.place;
  const source = where === 'header' ? `{http.request.header.${name}}` : `{http.request.uri.query.${name}}`;
  return [
    ...block(`map ${source} {caller_${number}}`, ['import keys.caddy', 'default ""']),
    `header @nokey_${number} WWW-Authenticate "Key realm=\\"api\\""`,
    `respond @nokey_${number} 401`,
  ];
}

function rewrites(route: GatewayRoute, number: number): readonly string[] {
  const base = basePath(route);
  return [
    ...(changesPath(route) ? [`respond @encoded_${number} 400`] : []),
    ...(route.stripPath && route.path !== '/' ? [`uri strip_prefix ${quoted(route.path.replace(/\/$/, ''))}`] : []),
    ...(base === '' ? [] : [`rewrite * ${quoted(`${base}{http.request.uri}`)}`]),
  ];
}

function proxy(
  { backend, auth, connectMs, readMs }: GatewayRoute,
  number: number,
  trusted: readonly string[],
): readonly string[] {
  return block(`reverse_proxy ${backend.protocol}//${backend.hostname}:${portOf(backend)}`, [
    ...(trusted.length === 0 ? [] : [`trusted_proxies ${trusted.join(' ')}`]),
    'flush_interval -1',
    ...(auth.kind === 'key' ? [`header_up X-Consumer-Username {caller_${number}}`] : []),
    ...(auth.kind === 'key' && auth.hidden ? [`header_up -${auth.place.name}`] : []),
    ...block('transport http', [
      `dial_timeout ${connectMs}ms`,
      `response_header_timeout ${readMs}ms`,
      'compression off',
      'versions 1.1',
      'keepalive_idle_conns_per_host 64',
    ]),
  ]);
}

function block(head: string, lines: readonly string[]): readonly string[] {
  return [`${head} {`.trimStart(), ...lines.map((line) => `\t${line}`), '}'];
}

/** Quotes are the only thing to escape; braces are refused before. */
function quoted(text: string): string {
  return `"${text.replaceAll('"', String.raw`\"`)}"`;
}

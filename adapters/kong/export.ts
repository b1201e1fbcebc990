/** Writes a declarative file of Kong (`_format_version` 3.0): one service with one route for each of ours. */
import { Document } from 'yaml';
import { comment } from '../conversion/comment.ts';
import type { Exporter, GatewayCaller, GatewayModel, GatewayRoute, Remark } from '../conversion/gateway-route.ts';
import { misplaced } from '../conversion/overlap.ts';
import { present, presentOrNone, type Raw } from '../conversion/present.ts';
import { refused, told } from '../conversion/remark.ts';
import { pluginRemarks, plugins } from './plugins.ts';
import { compareMatches, type KongMatch } from './precedence.ts';

export const kongExporter: Exporter = {
  name: 'kong',
  summary: 'Writes kong.yaml: a declarative configuration (format 3.0) for Kong Gateway 3.',
  write: (model) => ({ files: [{ name: 'kong.yaml', content: text(model) }], remarks: remarks(model) }),
};

const tags = ['foregate'];
const made = 'Made by "foregate export kong": change foregate.yaml instead, and write it again.';

function text({ routes, callers }: GatewayModel): string {
  const document = new Document(
    present({
      _format_version: '3.0',
      services: routes.map(service),
      consumers: callers.length === 0 ? undefined : callers.map(consumer),
    }),
    { aliasDuplicateObjects: false },
  );
  document.commentBefore = comment(made);
  return document.toString({ lineWidth: 0, singleQuote: true });
}

function service(route: GatewayRoute): Raw {
  return {
    name: route.id,
    url: route.backend.href.replace(/\/$/, ''),
    connect_timeout: route.connectMs,
    write_timeout: route.readMs,
    read_timeout: route.readMs,
    retries: 0,
    tags,
    routes: [kongRoute(route)],
  };
}

function kongRoute(route: GatewayRoute): Raw {
  const { id, hosts, path, eventsOnly, stripPath } = route;
  return present({
    name: id,
    hosts: hosts.length === 0 ? undefined : hosts,
    paths: [path],
    methods: eventsOnly ? ['POST'] : undefined,
    headers: eventsOnly ? { 'content-type': ['application/websocket-events'] } : undefined,
    strip_path: stripPath,
    preserve_host: true,
    response_buffering: eventsOnly ? undefined : false,
    tags,
    plugins: plugins(route),
  });
}

function consumer({ name, key }: GatewayCaller): Raw {
  return present({
    username: name,
    tags,
    keyauth_credentials: key === undefined ? undefined : [presentOrNone({ key })],
  });
}

function remarks({ routes, callers, trusted }: GatewayModel): Remark[] {
  return [
    ...routes.flatMap((route) => [...pathRemarks(route), ...timeoutRemarks(route), ...pluginRemarks(route)]),
    ...issuerRemarks(routes),
    ...orderRemarks(routes),
    ...keylessRemarks(callers),
    told(
      'kong.conf',
      `set trusted_ips = ${trusted.join(',')}, real_ip_header = X-Forwarded-For and real_ip_recursive = on; else Kong writes X-Forwarded-* itself, and counts all clients as one address`,
    ),
    ...(routes.some(({ limits }) => limits.length > 0)
      ? [told('rate-limiting', 'each node of Kong counts for itself (policy: local); with several, set policy: redis')]
      : []),
  ];
}

/** Kong compares normalised paths, and takes no others. */
function pathRemarks({ id, path }: GatewayRoute): Remark[] {
  const odd = /[^A-Za-z0-9\-._~!$&'()*+,;=:@/]/.exec(path)?.[0] ?? (path.includes('//') ? '//' : undefined);
  return odd === undefined ? [] : [refused(id, `Kong compares no path that has ${JSON.stringify(odd)}: ${path}`)];
}

const timeoutMax = 2 ** 31 - 2;

function timeoutRemarks({ id, connectMs, readMs }: GatewayRoute): Remark[] {
  const isFit = [connectMs, readMs].every((ms) => ms >= 1 && ms <= timeoutMax);
  return isFit ? [] : [refused(id, `timeouts of Kong have 1 to ${timeoutMax} milliseconds`)];
}

/** Kong finds the caller by the issuer, and whom it knows it lets in everywhere. */
function issuerRemarks(routes: readonly GatewayRoute[]): Remark[] {
  const jwt = routes.flatMap(({ id, auth }) => (auth.kind === 'jwt' ? [{ id, issuer: auth.issuer }] : []));
  const [first] = jwt;
  const other = jwt.find(({ issuer }) => issuer !== first?.issuer);
  if (first === undefined || other === undefined) return [];
  return [refused(other.id, `has another issuer than ${first.id}, and Kong takes tokens of any issuer that it knows`)];
}

function orderRemarks(routes: readonly GatewayRoute[]): Remark[] {
  return misplaced(routes, (a, b) => compareMatches(matchOf(a), matchOf(b))).map(({ first, second }) =>
    refused(first.id, `Kong would not try it before ${second.id}, which fits some of the same requests`),
  );
}

function matchOf({ hosts, path, eventsOnly }: GatewayRoute): KongMatch {
  return {
    hosts,
    path,
    isRegex: false,
    regexPriority: 0,
    hasMethods: eventsOnly,
    headerCount: eventsOnly ? 1 : 0,
    hasSnis: false,
  };
}

function keylessRemarks(callers: readonly GatewayCaller[]): Remark[] {
  const without = callers.filter(({ key }) => key === undefined).map(({ name }) => name);
  if (without.length === 0) return [];
  return [told('consumers', `without keys, which are written only with --with-secrets: ${without.join(', ')}`)];
}

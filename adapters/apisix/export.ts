/**
 * Writes a standalone file of APISIX (`conf/apisix.yaml`): a route with an upstream of its own for each of ours. In block style,
 * since APISIX 2 reads it with a small parser; without `#END` at its end it is not read at all.
 */
import { Document } from 'yaml';
import { comment } from '../conversion/comment.ts';
import type { Exporter, GatewayCaller, GatewayModel, GatewayRoute, Remark } from '../conversion/gateway-route.ts';
import { misplaced } from '../conversion/overlap.ts';
import { present, type Raw } from '../conversion/present.ts';
import { refused, told } from '../conversion/remark.ts';
import { pluginRemarks, plugins } from './plugins.ts';
import { priorityOf } from './precedence.ts';

export const apisixExporter: Exporter = {
  name: 'apisix',
  summary: 'Writes apisix.yaml: a standalone configuration for Apache APISIX 2.15 and later.',
  write: (model) => ({ files: [{ name: 'apisix.yaml', content: text(model) }], remarks: remarks(model) }),
};

const labels = { 'made-by': 'foregate' };
const made = 'Made by "foregate export apisix": change foregate.yaml instead, and write it again.';

function text({ routes, callers }: GatewayModel): string {
  const settings = present({
    upstreams: routes.map(upstream),
    routes: routes.map(apisixRoute),
    consumers: callers.length === 0 ? undefined : callers.map(consumer),
  });
  const document = new Document(settings, { aliasDuplicateObjects: false });
  document.commentBefore = comment(made);
  return `${document.toString({ lineWidth: 0 })}#END\n`;
}

function upstream({ id, backend, connectMs, readMs }: GatewayRoute): Raw {
  const port = backend.port === '' ? (backend.protocol === 'https:' ? '443' : '80') : backend.port;
  return present({
    id,
    type: 'roundrobin',
    scheme: backend.protocol === 'https:' ? 'https' : undefined,
    nodes: { [`${backend.hostname}:${port}`]: 1 },
    pass_host: 'pass',
    retries: 0,
    timeout: { connect: connectMs / 1000, send: readMs / 1000, read: readMs / 1000 },
    labels,
  });
}

function apisixRoute(route: GatewayRoute): Raw {
  const { id, hosts, path, eventsOnly } = route;
  const priority = priorityOf(route);
  return present({
    id,
    name: id,
    labels,
    uri: `${path}*`,
    hosts: hosts.length === 0 ? undefined : hosts,
    priority: priority === 0 ? undefined : priority,
    methods: eventsOnly ? ['POST'] : undefined,
    vars: eventsOnly ? [['http_content_type', '==', 'application/websocket-events']] : undefined,
    upstream_id: id,
    plugins: plugins(route),
  });
}

function consumer({ name, key }: GatewayCaller): Raw {
  return present({ username: name, labels, plugins: key === undefined ? undefined : { 'key-auth': { key } } });
}

function remarks({ routes, callers, trusted }: GatewayModel): Remark[] {
  return [
    ...routes.flatMap((route) => [...matchRemarks(route), ...pluginRemarks(route)]),
    ...orderRemarks(routes),
    ...callerRemarks(callers),
    told(
      'conf/config.yaml',
      `set nginx_config: { http: { real_ip_header: X-Forwarded-For, real_ip_recursive: "on", real_ip_from: [${trusted.map((one) => JSON.stringify(one)).join(', ')}] } }; else APISIX counts all clients as one address`,
    ),
    told('client-control', 'limits bodies only in the nginx that comes with APISIX; elsewhere the routes answer 501'),
    ...(routes.some(({ limits }) => limits.length > 0)
      ? [told('limit-count', 'each node of APISIX counts for itself (policy: local); with several, set policy: redis')]
      : []),
  ];
}

/** `*` and `:` begin patterns. What is encoded is decoded before APISIX compares. */
function matchRemarks({ id, path }: GatewayRoute): Remark[] {
  const odd = /[^A-Za-z0-9\-._~!$&'()+,;=@/]/.exec(path)?.[0] ?? (path.includes('//') ? '//' : undefined);
  return odd === undefined ? [] : [refused(id, `APISIX compares no path that has ${JSON.stringify(odd)}: ${path}`)];
}

function orderRemarks(routes: readonly GatewayRoute[]): Remark[] {
  const byPath = misplaced(routes, (a, b) => b.path.length - a.path.length || priorityOf(b) - priorityOf(a));
  if (byPath.length === 0) return [];
  const pairs = byPath.map(({ first, second }) => `${first.id} before ${second.id}`).join(', ');
  return [
    told(
      'conf/config.yaml',
      `APISIX tries ${pairs} only with apisix: { router: { http: radixtree_host_uri } }, which is usual since 3.0`,
    ),
  ];
}

function callerRemarks(callers: readonly GatewayCaller[]): Remark[] {
  const without = callers.filter(({ key }) => key === undefined).map(({ name }) => name);
  return [
    ...callers
      .filter(({ name }) => !/^[A-Za-z0-9_-]+$/.test(name))
      .map(({ name }) => refused(name, 'callers of APISIX have names of letters, digits, "_" and "-"')),
    ...(without.length === 0
      ? []
      : [told('consumers', `without keys, which are written only with --with-secrets: ${without.join(', ')}`)]),
  ];
}

/** Makes the neutral model of what a gateway is to do from the routes of a `foregate.yaml`. */
import type { Adapter } from '../../gateway/core/adapter.ts';
import { toMs } from '../../gateway/core/duration.ts';
import { limits } from '../../gateway/core/limits.ts';
import type { RouteSettings, TargetSettings } from '../../gateway/core/settings.ts';
import { tightened } from './remark.ts';
import type { GatewayAuth, GatewayCaller, GatewayModel, GatewayRoute, Remark } from './gateway-route.ts';

type GatewaySettings = NonNullable<RouteSettings['adapter']['gateway']>;

export interface ModelOptions {
  /** Addresses of Foregate. */
  readonly trusted: readonly string[];
  /** Whether keys of callers are written. */
  readonly withSecrets: boolean;
}

/**
 * The model for the routes that have `adapter.gateway`; each other one gets a remark. `credentialHeader`: where such a gateway
 * usually looks for keys.
 */
export function gatewayModel(
  routes: readonly RouteSettings[],
  { credentialHeader }: Pick<Adapter, 'credentialHeader'>,
  { trusted, withSecrets }: ModelOptions,
): { readonly model: GatewayModel; readonly remarks: readonly Remark[] } {
  const remarks: Remark[] = [];
  const made = routes.flatMap((route) => {
    const reason = unsaid(route);
    if (reason !== undefined) remarks.push({ about: route.id, ...reason });
    if (reason !== undefined) return [];
    if (route.match.template !== undefined) remarks.push({ about: route.id, ...beginsWith(route) });
    return [gatewayRoute(route, credentialHeader)];
  });
  const { callers, conflicts } = callersOf(routes, withSecrets);
  const together = joined(made);
  return {
    model: { routes: together.routes.toSorted(byPrecedence), callers, trusted },
    remarks: [...remarks, ...together.remarks, ...conflicts],
  };
}

/** Why a route is not written. */
function unsaid({ adapter: { gateway }, targets }: RouteSettings): Omit<Remark, 'about'> | undefined {
  if (gateway === undefined)
    return { verdict: 'told', text: 'has no "adapter.gateway", so it is left out: what the gateway is to do is not known' };
  if (targets.every(({ url }) => !url.startsWith('http')))
    return { verdict: 'refused', text: 'leads to the gateway over WebSockets, which it would pass unseen' };
  return undefined;
}

/** Routes that differ by templates and methods only are one at the gateway: the first. */
function joined(routes: readonly GatewayRoute[]): {
  readonly routes: readonly GatewayRoute[];
  readonly remarks: readonly Remark[];
} {
  const firsts = new Map<string, GatewayRoute>();
  const remarks: Remark[] = [];
  for (const route of routes) {
    const rules = JSON.stringify({ ...route, id: '' });
    const first = firsts.get(rules);
    if (first === undefined) firsts.set(rules, route);
    else remarks.push(tightened(route.id, `is one with the route ${first.id} at the gateway, which counts both together`));
  }
  return { routes: [...firsts.values()], remarks };
}

/** The gateway passes more paths than come from here, under the same rules. */
function beginsWith(route: RouteSettings): Omit<Remark, 'about'> {
  const text = `matches a template; at the gateway it is everything that begins with ${JSON.stringify(pathAtGateway(route))}`;
  return { verdict: 'told', text };
}

function gatewayRoute(route: RouteSettings, credentialHeader: string | undefined): GatewayRoute {
  const { id, match, adapter } = route;
  // `unsaid` has seen that both are there.
  const settings = adapter.gateway as GatewaySettings;
  const target = route.targets.find(({ url }) => url.startsWith('http')) as TargetSettings;
  const host = target.host?.replace(/:\d*$/, '') ?? match.host;
  return {
    id,
    gateway: new URL(target.url),
    hosts: host === undefined ? [] : [host],
    path: pathAtGateway(route),
    eventsOnly: !match.transports.includes('http'),
    backend: new URL(settings.backend.replace(/\/+$/, '')),
    stripPath: settings.stripPath,
    auth: auth(settings, adapter.to, credentialHeader),
    limits: settings.limits.map(({ count, window, by }) => ({ count, windowSeconds: Math.ceil(toMs(window) / 1000), by })),
    bodyBytes: settings.bodyBytes ?? largestRequest(route.limits),
    limitsBody: settings.bodyBytes !== undefined,
    connectMs: toMs(settings.connectTimeout),
    readMs: settings.timeout === undefined ? shorter(toMs(target.timeout)) : toMs(settings.timeout),
  };
}

/** What is left of the path when Foregate has changed it. */
function pathAtGateway({ match, path }: RouteSettings): string {
  const changed = path?.replace ?? match.path.slice(path?.remove ?? 0);
  return changed.startsWith('/') ? changed : `/${changed}`;
}

/** Events of `queueBytes` and one more, each with a line of its own in front (GRIP 2.3). */
function largestRequest({ queueBytes, messageBytes }: RouteSettings['limits']): number {
  const framing = limits.queueEvents * '\r\nTEXT 30d40\r\n'.length;
  return Math.ceil((queueBytes + messageBytes + framing) / 1024) * 1024;
}

/** The gateway gives up first, so that its answer still comes. */
function shorter(timeoutMs: number): number {
  return Math.max(timeoutMs - 1000, Math.ceil(timeoutMs / 2));
}

function auth(settings: GatewaySettings, to: RouteSettings['adapter']['to'], usual: string | undefined): GatewayAuth {
  const { auth: kind, hideCredential: hidden, credential = to, jwt } = settings;
  if (kind === 'none') return { kind };
  if (kind === 'jwt') return { kind, hidden, issuer: jwt?.issuer, audience: jwt?.audience, jwks: jwt?.jwks };
  const header = credential?.header ?? usual ?? 'X-API-Key';
  return {
    kind,
    hidden,
    place: credential?.query === undefined ? { in: 'header', name: header } : { in: 'query', name: credential.query },
  };
}

/** As Foregate's own router tries them: hosts before wildcards before any, then longer paths; then those for events, then by name. */
function byPrecedence(a: GatewayRoute, b: GatewayRoute): number {
  return (
    hostRank(b) - hostRank(a) ||
    b.path.length - a.path.length ||
    Number(b.eventsOnly) - Number(a.eventsOnly) ||
    (a.id < b.id ? -1 : 1)
  );
}

function hostRank({ hosts: [host] }: GatewayRoute): number {
  if (host === undefined) return 0;
  return host.startsWith('*.') ? host.length : 1000 + host.length;
}

function callersOf(
  routes: readonly RouteSettings[],
  withSecrets: boolean,
): { readonly callers: readonly GatewayCaller[]; readonly conflicts: readonly Remark[] } {
  const keys = new Map<string, string | undefined>();
  const conflicts: Remark[] = [];
  for (const { id, adapter } of routes)
    for (const { name, key } of adapter.gateway?.callers ?? []) {
      if (keys.has(name) && keys.get(name) !== key)
        conflicts.push({ about: id, verdict: 'refused', text: `has another key for the caller ${name} than a route before it` });
      keys.set(name, key);
    }
  const callers = [...keys].map(([name, key]) => ({ name, key: withSecrets ? key : undefined }));
  return { callers: callers.toSorted((a, b) => (a.name < b.name ? -1 : 1)), conflicts };
}

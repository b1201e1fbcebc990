/** In which order APISIX tries routes of one path: those with the higher `priority` first. */
import type { GatewayRoute } from '../conversion/gateway-route.ts';

const exactHost = 200;

/** Hosts before wildcards before any, and events before others; 0 is what a route has without one. */
export function priorityOf({ hosts: [host], eventsOnly }: Pick<GatewayRoute, 'hosts' | 'eventsOnly'>): number {
  return 2 * hostRank(host) + (eventsOnly ? 1 : 0);
}

/** The longer of two wildcards first. */
function hostRank(host: string | undefined): number {
  if (host === undefined) return 0;
  return host.startsWith('*.') ? Math.min(host.length, exactHost - 1) : exactHost;
}

/** For `sort`, as the router `radixtree_host_uri` does it: hosts, then longer paths, then `priority`. */
export function compareRoutes(a: Ranked, b: Ranked): number {
  const [{ route: one }, { route: other }] = [a.found, b.found];
  return hostRank(other.hosts[0]) - hostRank(one.hosts[0]) || other.path.length - one.path.length || b.priority - a.priority;
}

interface Ranked {
  readonly priority: number;
  readonly found: { readonly route: Pick<GatewayRoute, 'hosts' | 'path'> };
}

/** Which routes may both fit one request: only among those does it matter which one a gateway tries first. */
import type { GatewayRoute } from './gateway-route.ts';

type Matched = Pick<GatewayRoute, 'hosts' | 'path'>;

export function overlap(a: Matched, b: Matched): boolean {
  return (a.path.startsWith(b.path) || b.path.startsWith(a.path)) && hostsOverlap(a.hosts, b.hosts);
}

function hostsOverlap(a: readonly string[], b: readonly string[]): boolean {
  if (a.length === 0 || b.length === 0) return true;
  return a.some((one) => b.some((other) => hostFits(one, other) || hostFits(other, one)));
}

/** `host` may be a pattern itself: then all that it stands for has to fit. */
function hostFits(host: string, pattern: string): boolean {
  return host === pattern || (pattern.startsWith('*.') && host.endsWith(pattern.slice(1)));
}

/**
 * Pairs that a gateway would try in another order than Foregate: `first` comes first in `routes`, but `second` in the gateway.
 * `compare` sorts as the gateway does.
 */
export function misplaced(
  routes: readonly GatewayRoute[],
  compare: (a: GatewayRoute, b: GatewayRoute) => number,
): { readonly first: GatewayRoute; readonly second: GatewayRoute }[] {
  return routes.flatMap((first, index) =>
    routes
      .slice(index + 1)
      .filter((second) => overlap(first, second) && compare(first, second) >= 0)
      .map((second) => ({ first, second })),
  );
}

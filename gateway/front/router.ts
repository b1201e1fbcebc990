/**
 * Finds the route of a request: by host, path prefix, transport and TLS, where the more exact host wins, then the longer path, then
 * TLS; or by the id that the request names.
 */
import type { Route, Transport } from '../core/route.ts';

export interface RouterSettings {
  /** An exact host with routes never uses those without host. */
  readonly exclusiveHosts: boolean;
  /** What a request without route is told. */
  readonly noRouteStatus: number;
}

/** What a client asked for. */
export interface Asked {
  /** `Host`, may have a port. */
  readonly host: string | undefined;
  /** As received, its query is left out. */
  readonly path: string;
  readonly transport: Transport;
  /** Whether it came over TLS. */
  readonly secure: boolean;
  /** The id of the route it wants: nothing else counts then. */
  readonly routeId?: string | undefined;
}

/** What it looks at of a route. */
export type Routable = Pick<Route, 'id' | 'match'>;

export class Router<R extends Routable = Route> {
  readonly noRouteStatus: number;
  /** In the order in which they are tried. */
  readonly #routes: readonly R[];
  readonly #byId: ReadonlyMap<string, R>;
  /** Exact hosts that never use routes without host. */
  readonly #exclusive: ReadonlySet<string>;

  constructor(routes: readonly R[], { exclusiveHosts, noRouteStatus }: RouterSettings) {
    this.noRouteStatus = noRouteStatus;
    const open = routes.filter(({ match }) => match.byId !== 'only');
    this.#byId = new Map(routes.flatMap((route) => (route.match.byId === 'never' ? [] : [[route.id, route] as const])));
    this.#routes = open.toSorted(
      (a, b) => hostRank(b) - hostRank(a) || b.match.path.length - a.match.path.length || tlsRank(b) - tlsRank(a),
    );
    this.#exclusive = new Set(exclusiveHosts ? open.flatMap(({ match }) => match.host ?? []) : []);
  }

  find({ host, path, transport, secure, routeId }: Asked): R | undefined {
    if (routeId !== undefined) return this.#byId.get(routeId);
    const name = hostName(host);
    const end = path.indexOf('?');
    const bare = end < 0 ? path : path.slice(0, end);
    const exclusive = this.#exclusive.has(name);
    return this.#routes.find(
      ({ match }) =>
        match.transports.includes(transport) &&
        (match.tls === undefined || match.tls === secure) &&
        bare.startsWith(match.path) &&
        (match.host === undefined ? !exclusive : fits(match.host, name)),
    );
  }
}

function tlsRank({ match: { tls } }: Routable): number {
  return tls === undefined ? 0 : 1;
}

/** Exact hosts before wildcards, longer wildcards before shorter, no host last. */
function hostRank({ match: { host } }: Routable): number {
  if (host === undefined) return 0;
  return host.startsWith('*.') ? host.length : 1000 + host.length;
}

function fits(pattern: string, name: string): boolean {
  return pattern.startsWith('*.') ? name.endsWith(pattern.slice(1)) && name.length > pattern.length - 1 : name === pattern;
}

function hostName(host: string | undefined): string {
  return (host ?? '').replace(/:\d*$/, '').toLowerCase();
}

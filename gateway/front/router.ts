/**
 * Finds the route of a request: by host, path, transport, method and TLS, where the more exact host wins, then the more exact path,
 * then TLS; or by the id that the request names. The time does not depend on how many routes there are.
 */
import type { Route, Transport } from '../core/route.ts';
import { PathIndex } from './path-index.ts';

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
  /** Counts for `http`; undefined: any. */
  readonly method?: string | undefined;
  /** Whether it came over TLS. */
  readonly secure: boolean;
  /** The id of the route it wants: nothing else counts then. */
  readonly routeId?: string | undefined;
}

/** What it looks at of a route. */
export type Routable = Pick<Route, 'id' | 'match'>;

export class Router<R extends Routable = Route> {
  readonly noRouteStatus: number;
  readonly #byId: ReadonlyMap<string, R>;
  readonly #exactHosts = new Map<string, PathIndex<R>>();
  /** By what stands behind the `*`: `.example.com`. */
  readonly #wildcards = new Map<string, PathIndex<R>>();
  readonly #anyHost = new PathIndex<R>();
  /** Most programs have routes for all hosts only: then no host has to be read. */
  readonly #knowsHosts: boolean;
  readonly #exclusiveHosts: boolean;

  constructor(routes: readonly R[], { exclusiveHosts, noRouteStatus }: RouterSettings) {
    this.noRouteStatus = noRouteStatus;
    this.#exclusiveHosts = exclusiveHosts;
    this.#byId = new Map(routes.flatMap((route) => (route.match.byId === 'never' ? [] : [[route.id, route] as const])));
    const open = routes.filter(({ match }) => match.byId !== 'only');
    for (const route of open.toSorted((a, b) => tlsRank(b) - tlsRank(a)))
      this.#indexFor(route.match.host).add(route.match, route);
    this.#knowsHosts = this.#exactHosts.size + this.#wildcards.size > 0;
  }

  find(asked: Asked): R | undefined {
    if (asked.routeId !== undefined) return this.#byId.get(asked.routeId);
    return this.#first(asked, (route) => fits(route, asked));
  }

  /** The methods that the routes for this request take, which has none for its own; empty: there are no routes. */
  methods(asked: Asked): readonly string[] {
    const methods = new Set<string>();
    if (asked.routeId !== undefined) return [];
    this.#first({ ...asked, method: undefined }, (route) => {
      if (fits(route, { ...asked, method: undefined })) for (const method of route.match.methods ?? []) methods.add(method);
      return false;
    });
    if (methods.has('GET')) methods.add('HEAD');
    return [...methods];
  }

  #indexFor(host: string | undefined): PathIndex<R> {
    if (host === undefined) return this.#anyHost;
    return host.startsWith('*.') ? indexAt(this.#wildcards, host.slice(1)) : indexAt(this.#exactHosts, host);
  }

  /** Exact hosts before wildcards, longer wildcards before shorter, no host last. */
  #first({ host, path }: Asked, wanted: (route: R) => boolean): R | undefined {
    const end = path.indexOf('?');
    const bare = end < 0 ? path : path.slice(0, end);
    if (!this.#knowsHosts) return this.#anyHost.find(bare, wanted);
    const name = hostName(host);
    const exact = this.#exactHosts.get(name);
    const own = exact?.find(bare, wanted) ?? this.#firstOfWildcards(name, bare, wanted);
    if (own !== undefined) return own;
    return exact !== undefined && this.#exclusiveHosts ? undefined : this.#anyHost.find(bare, wanted);
  }

  #firstOfWildcards(name: string, path: string, wanted: (route: R) => boolean): R | undefined {
    if (this.#wildcards.size === 0) return undefined;
    for (let dot = name.indexOf('.', 1); dot >= 0; dot = name.indexOf('.', dot + 1)) {
      const found = this.#wildcards.get(name.slice(dot))?.find(path, wanted);
      if (found !== undefined) return found;
    }
    return undefined;
  }
}

function fits({ match }: Routable, { transport, secure, method }: Asked): boolean {
  if (!match.transports.includes(transport) || (match.tls !== undefined && match.tls !== secure)) return false;
  return transport === 'websocket' || method === undefined || takes(match.methods, method);
}

/** HEAD is a GET without its body (RFC 9110, 9.3.2). */
function takes(methods: readonly string[] | undefined, method: string): boolean {
  return methods === undefined || methods.includes(method) || (method === 'HEAD' && methods.includes('GET'));
}

function tlsRank({ match: { tls } }: Routable): number {
  return tls === undefined ? 0 : 1;
}

function indexAt<R>(indexes: Map<string, PathIndex<R>>, key: string): PathIndex<R> {
  const index = indexes.get(key) ?? new PathIndex<R>();
  indexes.set(key, index);
  return index;
}

function hostName(host: string | undefined): string {
  return (host ?? '').replace(/:\d*$/, '').toLowerCase();
}

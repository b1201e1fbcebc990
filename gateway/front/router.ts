/** Finds the route of a request: by host, path prefix and transport. The more exact host wins, then the longer path. */
import type { Route, Transport } from '../core/route.ts';

export class Router {
  /** In the order in which they are tried. */
  readonly #routes: readonly Route[];

  constructor(routes: readonly Route[]) {
    this.#routes = routes.toSorted((a, b) => hostRank(b) - hostRank(a) || b.match.path.length - a.match.path.length);
  }

  /** `host` may have a port; `path` is taken as received, its query left out. */
  find(host: string | undefined, path: string, transport: Transport): Route | undefined {
    const name = hostName(host);
    const end = path.indexOf('?');
    const bare = end < 0 ? path : path.slice(0, end);
    return this.#routes.find(
      ({ match }) => match.transports.includes(transport) && bare.startsWith(match.path) && fits(match.host, name),
    );
  }
}

/** Exact hosts before wildcards, longer wildcards before shorter, no host last. */
function hostRank({ match: { host } }: Route): number {
  if (host === undefined) return 0;
  return host.startsWith('*.') ? host.length : 1000 + host.length;
}

function fits(pattern: string | undefined, name: string): boolean {
  if (pattern === undefined) return true;
  return pattern.startsWith('*.') ? name.endsWith(pattern.slice(1)) && name.length > pattern.length - 1 : name === pattern;
}

function hostName(host: string | undefined): string {
  return (host ?? '').replace(/:\d*$/, '').toLowerCase();
}

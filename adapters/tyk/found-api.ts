/** What OAS and classic definitions have in common. */
import { backendOf } from '../conversion/found-backend.ts';
import { foundHosts } from '../conversion/found-host.ts';
import type { FoundRoute, GatewayAuth } from '../conversion/gateway-route.ts';
import { literalOfTemplate } from '../conversion/literal-path.ts';
import type { PlacedMap } from '../conversion/placed.ts';

/** A text of a definition, and where it stands. */
export interface Placed {
  readonly from: PlacedMap;
  readonly key: string;
}

/** The connect timeout of Tyk is one for all; this is what Foregate writes where nothing is said. */
const connectMs = 2000;
/** So long Tyk waits where nothing is said. */
const usualReadMs = 30_000;

export interface Api extends Pick<
  FoundRoute['route'],
  'id' | 'gateway' | 'stripPath' | 'auth' | 'limits' | 'bodyBytes' | 'eventsOnly'
> {
  readonly listenPath: Placed;
  readonly target: Placed;
  readonly domain: Placed | undefined;
  /** Seconds, those of all methods and paths. */
  readonly timeouts: readonly number[];
}

/** None, and a remark, where it leads nowhere. */
export function foundApi(api: Api): Pick<FoundRoute, 'route'>[] {
  const { listenPath, target, domain, timeouts, ...route } = api;
  const backend = backendOf(target.from.text(target.key) ?? '');
  const host = domain?.from.text(domain.key);
  const hosts =
    domain === undefined || host === undefined || host === '' ? [] : foundHosts(domain.from, route.id, [host], domain.key);
  if (backend === undefined) target.from.tell(route.id, 'leads to no HTTP address; the API is left out', target.key);
  if (backend === undefined || hosts === undefined) return [];
  const path = pathOf(listenPath, route.id);
  return [{ route: { ...route, hosts, path, backend, connectMs, readMs: readMs(timeouts, target.from, route.id) } }];
}

function pathOf({ from, key }: Placed, id: string): string {
  const written = from.text(key) ?? '/';
  const absolute = written.startsWith('/') ? written : `/${written}`;
  const path = literalOfTemplate(absolute, '{');
  if (path !== absolute)
    from.tell(id, `the pattern ${written} is left to the gateway; the route here has its beginning, ${path}`, key);
  else if (path.length > 1 && path.endsWith('/'))
    from.tell(id, `Tyk answers ${path.slice(0, -1)}, too; the route here does not`, key);
  return path;
}

/** The shortest, so that none is waited for longer than it was. */
function readMs(timeouts: readonly number[], from: PlacedMap, id: string): number {
  if (new Set(timeouts).size > 1) from.tell(id, 'has several timeouts; the shortest is taken for all');
  return timeouts.length === 0 ? usualReadMs : Math.min(...timeouts) * 1000;
}

/** What stands for a check of credentials that Foregate has no word for. */
export const strictAuth: GatewayAuth = { kind: 'key', place: { in: 'header', name: 'Authorization' }, hidden: true };

export function tellStrictAuth(from: PlacedMap, id: string, how: string, key?: string): GatewayAuth {
  from.tell(id, `checks credentials by ${how}; "auth: key" stands here until somebody changes it`, key);
  return strictAuth;
}

/** The address of the keys, which Tyk writes in base64; undefined, and a remark, where a key itself stands there. */
export function jwksOf(from: PlacedMap, key: string, id: string): string | undefined {
  const source = from.text(key) ?? '';
  const decoded = /^https?:\/\//.test(source) ? source : Buffer.from(source, 'base64').toString();
  if (/^https?:\/\/[\x21-\x7e]+$/.test(decoded)) return decoded;
  if (source !== '') from.tell(id, 'the key that tokens are checked with is not taken over', key);
  return undefined;
}

/** Where the requests lead that Foregate makes by itself (GRIP 4.6, 5), and the header fields that all of them have. */
import type { Hub } from '../channel/hub.ts';
import { fields, header, setHeader, type HeaderDraft, type HeaderList } from '../core/headers.ts';
import type { Subscriber } from '../core/publication.ts';
import type { Route } from '../core/route.ts';
import type { ClientRequest } from '../core/session.ts';
import { gripLast } from '../wire/grip-headers.ts';

/** Where a link leads: a path at the client's own origin, which is the route's target, or at another one. */
export interface Place {
  readonly origin: string | undefined;
  readonly path: string;
}

/** Of a client: its own first; links to any of them go to the route's target. */
export type Origins = readonly [string, ...string[]];

/** Channels, without the route's prefix, and the ids the client has of them. */
export type LastIds = readonly (readonly [channel: string, id: string])[];

/** Where the client thinks it is, and where the backend does, which may have been told another host. */
export function ownOrigins({ secure, headers }: ClientRequest, first: HeaderList): Origins {
  const scheme = secure ? 'https' : 'http';
  const hosts = [header(headers, 'host'), header(first, 'host')];
  const [own = 'http://localhost', ...others] = hosts.flatMap((host) => originOf(`${scheme}://${host ?? ''}`) ?? []);
  return [own, ...others];
}

function originOf(text: string): string | undefined {
  return URL.parse(text)?.origin;
}

/** Resolves a link against the place of the request before it; undefined for what leads nowhere. */
export function resolveLink(uri: string, from: Place, origins: Origins): Place | undefined {
  // Put together first: a path such as `//host/` alone would be read as another host.
  const url = URL.parse(uri, (from.origin ?? origins[0]) + from.path);
  if (url === null || !/^https?:$/.test(url.protocol)) return undefined;
  const path = url.pathname + url.search;
  return origins.includes(url.origin) ? { origin: undefined, path } : { origin: url.origin, path };
}

/** Nothing else of the client goes with them, since a link carries itself whatever identifies the user; but see `dressLink` of profiles. */
export function linkHeaders({ origin }: Place, first: HeaderList): HeaderDraft {
  const headers = [...fields(first)].filter(([name]) => /^(host|grip-feature|cdn-loop)$/i.test(name)).flat();
  if (origin !== undefined) setHeader(headers, 'Host', new URL(origin).host);
  return headers;
}

/** What the client has of all its channels. */
export function lastIdsOf(subscriber: Subscriber & { readonly route: Route }, hub: Pick<Hub, 'currentIds'>): LastIds {
  const { length } = subscriber.route.channelPrefix;
  return [...hub.currentIds(subscriber)].map(([channel, id]) => [channel.slice(length), id]);
}

/** The same, as `Grip-Last`. */
export function lastFields(lastIds: LastIds): HeaderDraft {
  return lastIds.flatMap(([channel, id]) => {
    const value = gripLast(channel, id);
    return value === undefined ? [] : ['Grip-Last', value];
  });
}

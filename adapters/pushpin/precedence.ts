/**
 * Which requests a route of a Pushpin routes file gets (GRIP 7.1, "Selection"), told without precedence: of the routes for one host
 * a rule with `proto` beats one without, then the longer path, then one with `ssl`. Here, where the longest path alone decides, a
 * route that others beat gets less to choose from.
 */
import type { PushpinRoute } from './routes-file.ts';

type Transport = 'websocket' | 'http';

/** A part of the requests. */
export interface Reach {
  readonly transports: readonly Transport[];
  /** Only (not) over TLS; undefined: both. */
  readonly tls: boolean | undefined;
}

/**
 * The requests that are left for `route` beside the `others` (in which it may stand itself): none, one part, or two. Within a
 * part no two routes of a host have the same path.
 */
export function reachOf(route: PushpinRoute, others: readonly PushpinRoute[]): Reach[] {
  const rivals = others.filter(
    (other) => other !== route && other.host === route.host && pathOf(route).startsWith(pathOf(other)),
  );
  const left = cells.filter((cell) => takes(route, cell) && !rivals.some((rival) => takes(rival, cell) && beats(rival, route)));
  return joined(left);
}

interface Cell {
  readonly transport: Transport;
  readonly tls: boolean;
}

const cells: readonly Cell[] = [
  { transport: 'websocket', tls: true },
  { transport: 'websocket', tls: false },
  { transport: 'http', tls: true },
  { transport: 'http', tls: false },
];

function takes({ proto, ssl }: PushpinRoute, { transport, tls }: Cell): boolean {
  const fits = proto === undefined || (proto === 'ws') === (transport === 'websocket');
  return fits && (ssl === undefined || ssl === tls);
}

/** For requests that both take, where the path of `rival` is a beginning of the other's. */
function beats(rival: PushpinRoute, route: PushpinRoute): boolean {
  const byProto = Number(rival.proto !== undefined) - Number(route.proto !== undefined);
  if (byProto !== 0) return byProto > 0;
  if (pathOf(rival) !== pathOf(route)) return false;
  const byPath = rival.pathBeg.length - route.pathBeg.length;
  return byPath > 0 || (byPath === 0 && rival.ssl !== undefined && route.ssl === undefined);
}

/** No path and `/` take the same requests, though Pushpin holds them apart. */
function pathOf({ pathBeg }: PushpinRoute): string {
  return pathBeg === '' ? '/' : pathBeg;
}

/** As few parts as can say it. */
function joined(left: readonly Cell[]): Reach[] {
  const parts = (['websocket', 'http'] as const).flatMap((transport): Reach[] => {
    const own = left.filter((cell) => cell.transport === transport);
    const [first] = own;
    return first === undefined ? [] : [{ transports: [transport], tls: own.length > 1 ? undefined : first.tls }];
  });
  const [one, other] = parts;
  return one && other && one.tls === other.tls ? [{ transports: ['websocket', 'http'], tls: one.tls }] : parts;
}

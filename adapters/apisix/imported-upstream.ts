/** Where a route of APISIX leads, and how long that may take. */
import { backendOf } from '../conversion/found-backend.ts';
import type { PlacedMap } from '../conversion/placed.ts';

export interface Upstream {
  /** Scheme, host and port. */
  readonly origin: string;
  readonly connectMs: number;
  readonly readMs: number;
}

export interface UpstreamTerms {
  readonly service: PlacedMap | undefined;
  readonly upstreams: ReadonlyMap<string, PlacedMap>;
}

const harmless = ['id', 'name', 'type', 'labels', 'desc', 'create_time', 'update_time', 'keepalive_pool'];
const usualSeconds = 60;

/** Undefined if it leads to no address that stands in the file. */
export function readUpstream(route: PlacedMap, name: string, { service, upstreams }: UpstreamTerms): Upstream | undefined {
  const upstream = upstreamOf(route, upstreams) ?? (service && upstreamOf(service, upstreams));
  const origin = upstream && originOf(upstream, name);
  if (upstream === undefined || origin === undefined) return undefined;
  const times = upstream.map('timeout');
  const own = route.map('timeout');
  const milliseconds = (key: string): number => Math.round((own?.number(key) ?? times?.number(key) ?? usualSeconds) * 1000);
  const found = { origin, connectMs: milliseconds('connect'), readMs: milliseconds('read') };
  tellTimes(upstream, name, milliseconds('send'), found.readMs);
  tellManners(upstream, name);
  return found;
}

function upstreamOf(map: PlacedMap, upstreams: ReadonlyMap<string, PlacedMap>): PlacedMap | undefined {
  const id = map.word('upstream_id');
  return map.map('upstream') ?? (id === undefined ? undefined : upstreams.get(id));
}

/** The first of several: balancing stays with the gateway, as it is. */
function originOf(upstream: PlacedMap, name: string): string | undefined {
  const scheme = upstream.text('scheme') ?? 'http';
  const nodes = upstream.isList('nodes') ? listedNodes(upstream) : (upstream.map('nodes')?.keys() ?? []);
  if (nodes.length > 1) upstream.tell(name, 'is balanced over several nodes; "backend" is the first', 'nodes');
  return nodes[0] === undefined ? undefined : backendOf(`${scheme}://${nodes[0]}`)?.origin;
}

function listedNodes(upstream: PlacedMap): string[] {
  return upstream.maps('nodes').flatMap((node) => {
    const host = node.text('host');
    const port = node.number('port');
    return host === undefined ? [] : [port === undefined ? host : `${host}:${port}`];
  });
}

function tellTimes(upstream: PlacedMap, name: string, sendMs: number, readMs: number): void {
  if (sendMs !== readMs) upstream.tell(name, 'the time "send" is not taken over', 'timeout');
}

function tellManners(upstream: PlacedMap, name: string): void {
  if ((upstream.number('retries') ?? 0) > 0) upstream.tell(name, '"retries" is not taken over', 'retries');
  if ((upstream.text('pass_host') ?? 'pass') !== 'pass')
    upstream.tell(name, 'the backend gets another Host; what Foregate writes keeps that of the client', 'pass_host');
  upstream.tellRest(name, harmless);
}

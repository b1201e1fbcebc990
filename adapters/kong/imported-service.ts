/** Where services of Kong lead, and how long they may take. */
import { backendOf } from '../conversion/found-backend.ts';
import type { PlacedMap } from '../conversion/placed.ts';
import { indexOf, type Entities } from './entities.ts';

export interface KongService {
  readonly backend: URL;
  readonly connectMs: number;
  readonly readMs: number;
}

const harmless = ['id', 'tags', 'created_at', 'updated_at'];
const usualMs = 60_000;

/** Those that routes can lead to; each other one is told. */
export function readServices({ services, upstreams }: Entities): ReadonlyMap<PlacedMap, KongService> {
  const pools = indexOf(upstreams);
  return new Map(
    services.flatMap((service) => {
      const backend = readBackend(service, pools);
      return backend === undefined ? [] : [[service, { backend, ...readTimes(service) }] as const];
    }),
  );
}

function nameOf(service: PlacedMap): string {
  return service.word('name') ?? service.word('id') ?? 'service';
}

function readTimes(service: PlacedMap): Omit<KongService, 'backend'> {
  const connectMs = service.number('connect_timeout') ?? usualMs;
  const readMs = service.number('read_timeout') ?? usualMs;
  const writeMs = service.number('write_timeout') ?? readMs;
  const retries = service.number('retries') ?? 0;
  if (writeMs !== readMs) service.tell(nameOf(service), `"write_timeout" is not taken over`, 'write_timeout');
  if (retries > 0) service.tell(nameOf(service), `"retries: ${retries}" is not taken over`, 'retries');
  service.tellRest(nameOf(service), harmless);
  return { connectMs, readMs };
}

function readBackend(service: PlacedMap, pools: ReadonlyMap<string, PlacedMap>): URL | undefined {
  const name = nameOf(service);
  if (service.flag('enabled') === false) {
    service.tell(name, 'is switched off, so its routes are left out', 'enabled');
    return undefined;
  }
  const written = addressOf(service);
  const backend = written === undefined ? undefined : backendOf(written);
  if (backend === undefined) {
    service.tell(name, 'leads to no HTTP address, so its routes are left out', service.has('url') ? 'url' : 'host');
    return undefined;
  }
  const pool = pools.get(backend.hostname);
  return pool === undefined ? backend : fromPool(service, pool, backend);
}

function addressOf(service: PlacedMap): string | undefined {
  const url = service.text('url');
  const host = service.word('host');
  const protocol = service.text('protocol') ?? 'http';
  const port = service.number('port') ?? (protocol === 'https' ? 443 : 80);
  const path = service.text('path') ?? '';
  if (url !== undefined) return url;
  return host === undefined ? undefined : `${protocol}://${host}:${port}${path}`;
}

/** The first of several: balancing stays with the gateway, as it is. */
function fromPool(service: PlacedMap, pool: PlacedMap, backend: URL): URL | undefined {
  const name = nameOf(service);
  const [first] = pool.maps('targets');
  const target = first?.text('target');
  const [host, port = '8000'] = target?.split(':') ?? [];
  const of = host === undefined ? undefined : backendOf(`${backend.protocol}//${host}:${port}${backend.pathname}`);
  pool.tell(
    name,
    of === undefined
      ? `is balanced over ${backend.hostname}, whose targets are not in the file, so its routes are left out`
      : `is balanced over ${backend.hostname}; "backend" is its first target`,
  );
  return of;
}

/** The entities of a declarative file of Kong, whether they stand inside each other or refer to each other. */
import type { PlacedMap } from '../conversion/placed.ts';

export interface RouteEntity {
  readonly map: PlacedMap;
  readonly name: string;
  /** Undefined: it has none, and answers by itself. */
  readonly service: PlacedMap | undefined;
}

export interface PluginEntity {
  readonly map: PlacedMap;
  readonly name: string;
  /** What it is said for; all undefined: for everything. */
  readonly route: PlacedMap | undefined;
  readonly service: PlacedMap | undefined;
}

export interface Entities {
  readonly services: readonly PlacedMap[];
  readonly routes: readonly RouteEntity[];
  readonly plugins: readonly PluginEntity[];
  readonly consumers: readonly PlacedMap[];
  readonly upstreams: readonly PlacedMap[];
}

/** Routes and plugins with references that lead nowhere are told, and left out. */
export function readEntities(file: PlacedMap): Entities {
  const services = file.maps('services');
  const byName = indexOf(services);
  const routes = [
    ...services.flatMap((service) => service.maps('routes').map((map) => named(map, service))),
    ...file.maps('routes').flatMap((map) => separateRoute(map, byName)),
  ];
  const consumers = file.maps('consumers');
  return {
    services,
    routes,
    plugins: [...nestedPlugins(services, routes), ...separatePlugins(file, byName, routes)],
    consumers,
    upstreams: file.maps('upstreams'),
  };
}

function named(map: PlacedMap, service: PlacedMap | undefined): RouteEntity {
  const name = map.word('name') ?? map.word('id') ?? service?.word('name') ?? 'route';
  return { map, name, service };
}

/** By name and by id. */
export function indexOf(maps: readonly PlacedMap[]): ReadonlyMap<string, PlacedMap> {
  return new Map(maps.flatMap((map) => ['id', 'name', 'username'].flatMap((key) => keyed(map, key))));
}

function keyed(map: PlacedMap, key: string): [string, PlacedMap][] {
  const name = map.word(key);
  return name === undefined ? [] : [[name, map]];
}

/** `service: chat`, `service: { name: chat }` or `service: { id: … }`. */
export function reference(map: PlacedMap, key: string): string | undefined {
  if (!map.isMap(key)) return map.word(key);
  const of = map.map(key);
  return of?.word('name') ?? of?.word('username') ?? of?.word('id');
}

function separateRoute(map: PlacedMap, services: ReadonlyMap<string, PlacedMap>): RouteEntity[] {
  const wanted = reference(map, 'service');
  const service = wanted === undefined ? undefined : services.get(wanted);
  const route = named(map, service);
  if (wanted === undefined || service !== undefined) return [route];
  map.tell(route.name, `there is no service ${JSON.stringify(wanted)}; the route is left out`, 'service');
  return [];
}

function nestedPlugins(services: readonly PlacedMap[], routes: readonly RouteEntity[]): PluginEntity[] {
  return [
    ...services.flatMap((service) => service.maps('plugins').map((map) => plugin(map, { service }))),
    ...routes.flatMap((route) => route.map.maps('plugins').map((map) => plugin(map, { route: route.map }))),
  ];
}

function plugin(map: PlacedMap, { route, service }: Partial<Pick<PluginEntity, 'route' | 'service'>>): PluginEntity {
  return { map, name: map.word('name') ?? '', route, service };
}

function separatePlugins(
  file: PlacedMap,
  services: ReadonlyMap<string, PlacedMap>,
  routes: readonly RouteEntity[],
): PluginEntity[] {
  const routesByName = indexOf(routes.map(({ map }) => map));
  return file.maps('plugins').flatMap((map) => {
    const service = found(map, 'service', services);
    const route = found(map, 'route', routesByName);
    return service === null || route === null ? [] : [plugin(map, { route, service })];
  });
}

/** Undefined: it refers to none; null: to one that is not there. */
function found(map: PlacedMap, key: 'service' | 'route', known: ReadonlyMap<string, PlacedMap>): PlacedMap | undefined | null {
  const wanted = reference(map, key);
  if (wanted === undefined) return undefined;
  const one = known.get(wanted);
  if (one === undefined)
    map.tell(`plugin ${map.word('name')}`, `there is no ${key} ${JSON.stringify(wanted)}; the plugin is left out`, key);
  return one ?? null;
}

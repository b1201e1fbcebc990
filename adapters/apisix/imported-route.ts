/** What a route of APISIX matches and where it leads, as routes of ours: one for each path. */
import { foundHosts } from '../conversion/found-host.ts';
import type { FoundRoute } from '../conversion/gateway-route.ts';
import { literalOfTemplate } from '../conversion/literal-path.ts';
import type { PlacedMap } from '../conversion/placed.ts';
import { readRewrite } from './rewrite.ts';
import type { PluginReader } from './imported-plugins.ts';
import { readUpstream } from './imported-upstream.ts';

/** A route, and what APISIX sorts it by. */
export interface ApisixRoute {
  readonly priority: number;
  readonly found: FoundRoute;
}

export interface ReadingTerms {
  readonly gateway: URL;
  readonly plugins: PluginReader;
  readonly services: ReadonlyMap<string, PlacedMap>;
  readonly upstreams: ReadonlyMap<string, PlacedMap>;
}

const harmless = ['labels', 'desc', 'create_time', 'update_time', 'status', 'id'];

/** Empty, and a remark, where Foregate has no such routes. */
export function readRoute(map: PlacedMap, terms: ReadingTerms): ApisixRoute[] {
  const name = map.word('name') ?? map.word('id') ?? 'route';
  const service = serviceOf(map, terms.services);
  const reason = service === null ? 'refers to a service that is not there' : unread(map);
  const hosts = foundHosts(map, name, hostsOf(map, service ?? undefined), map.has('host') ? 'host' : 'hosts');
  const upstream = readUpstream(map, name, { service: service ?? undefined, upstreams: terms.upstreams });
  if (reason !== undefined || hosts === undefined || upstream === undefined) {
    map.tell(
      name,
      `${reason ?? (hosts === undefined ? 'has no host that can be matched here' : 'leads to no address')}; it is left out`,
    );
    return [];
  }
  const eventsOnly = readFits(map, name);
  const { regexUri, ...settings } = terms.plugins.settingsOf(map, service ?? undefined, name);
  const webSockets = map.flag('enable_websocket') ?? service?.flag('enable_websocket') ?? false;
  const priority = map.number('priority') ?? 0;
  const paths = readPaths(map, name);
  map.tellRest(name, harmless);
  service?.tellRest(service.word('name') ?? service.word('id') ?? 'service', harmless);
  return paths.map((path) => {
    const { base, stripPath } = rewritten(map, name, path, regexUri);
    const backend = new URL(`${upstream.origin}${base}`);
    const { connectMs, readMs } = upstream;
    return {
      priority,
      found: {
        webSockets,
        route: { id: name, gateway: terms.gateway, hosts, path, eventsOnly, backend, stripPath, connectMs, readMs, ...settings },
      },
    };
  });
}

/** Undefined: it refers to none; null: to one that is not there. */
function serviceOf(map: PlacedMap, services: ReadingTerms['services']): PlacedMap | undefined | null {
  const id = map.word('service_id');
  return id === undefined ? undefined : (services.get(id) ?? null);
}

function hostsOf(map: PlacedMap, service: PlacedMap | undefined): string[] {
  const host = map.text('host');
  const own = [...(host === undefined ? [] : [host]), ...map.texts('hosts')];
  return own.length > 0 || service === undefined ? own : service.texts('hosts');
}

function unread(map: PlacedMap): string | undefined {
  if (map.number('status') === 0) return 'is switched off';
  if (map.has('filter_func')) return 'is chosen by a function';
  if (map.has('script')) return 'is a script';
  return undefined;
}

const eventVars = JSON.stringify([['http_content_type', '==', 'application/websocket-events']]);

/** Whether nothing but events gets here; what else it matches by is told. */
function readFits(map: PlacedMap, name: string): boolean {
  const methods = map.texts('methods');
  const vars = map.plain('vars');
  const hasEvents = JSON.stringify(vars) === eventVars;
  const eventsOnly = hasEvents && (methods.length === 0 || methods.includes('POST'));
  const further = eventsOnly && methods.length <= 1 ? [] : methods;
  if (further.length > 0) map.tell(name, `matches by ${further.join(', ')} besides, which only the gateway checks`, 'methods');
  if (vars !== undefined && !hasEvents) map.tell(name, 'matches by "vars" besides, which only the gateway checks', 'vars');
  return eventsOnly;
}

function readPaths(map: PlacedMap, name: string): string[] {
  const uri = map.text('uri');
  const all = [...(uri === undefined ? [] : [uri]), ...map.texts('uris')];
  return all.map((written) => readPath(map, name, written, map.has('uri') ? 'uri' : 'uris'));
}

function readPath(map: PlacedMap, name: string, written: string, key: string): string {
  const path = literalOfTemplate(written, '*:');
  if (written === path) map.tell(name, `fits ${path} alone; here ${path} is the beginning of a path`, key);
  else if (written !== `${path}*`)
    map.tell(name, `the pattern ${written} is left to the gateway; the route here has its beginning, ${path}`, key);
  return path;
}

function rewritten(
  map: PlacedMap,
  name: string,
  path: string,
  regexUri: readonly string[] | undefined,
): { readonly base: string; readonly stripPath: boolean } {
  if (regexUri === undefined) return { base: '', stripPath: false };
  const read = readRewrite(path, regexUri);
  if (read === undefined) map.tell(name, 'how "regex_uri" changes the path is not taken over', 'plugins');
  return read ?? { base: '', stripPath: false };
}

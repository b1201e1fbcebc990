/** What a route of Kong matches, as routes of ours: one for each path. */
import { foundHosts } from '../conversion/found-host.ts';
import type { FoundRoute } from '../conversion/gateway-route.ts';
import { literalOfRegex } from '../conversion/literal-path.ts';
import type { PlacedMap } from '../conversion/placed.ts';
import type { RouteEntity } from './entities.ts';
import type { PluginReader } from './imported-plugins.ts';
import type { KongService } from './imported-service.ts';
import type { KongMatch } from './precedence.ts';

/** A route, and what Kong sorts it by. */
export interface KongRoute {
  readonly match: KongMatch;
  readonly found: FoundRoute;
}

export interface ReadingTerms {
  readonly format: string;
  readonly gateway: URL;
  readonly services: ReadonlyMap<PlacedMap, KongService>;
  readonly plugins: PluginReader;
}

const harmless = [
  'id',
  'tags',
  'created_at',
  'updated_at',
  'https_redirect_status_code',
  'request_buffering',
  'response_buffering',
];

/** Empty, and a remark, where Foregate has no such routes. */
export function readRoute(entity: RouteEntity, terms: ReadingTerms): KongRoute[] {
  const { map, name } = entity;
  const service = serviceOf(entity, terms);
  const hosts = foundHosts(map, name, map.texts('hosts'), 'hosts');
  const protocols = map.texts('protocols');
  const reason = unread(entity, protocols, hosts);
  if (service === undefined || hosts === undefined || reason !== undefined) {
    if (reason !== undefined) map.tell(name, `${reason}; the route is left out`);
    return [];
  }
  const fits = readFits(entity);
  const settings = terms.plugins.settingsOf(entity);
  const stripPath = map.flag('strip_path') ?? true;
  if (map.flag('preserve_host') === false)
    map.tell(name, 'the backend gets its own name as Host; what Foregate writes keeps that of the client', 'preserve_host');
  const regexPriority = map.number('regex_priority') ?? 0;
  const paths = readPaths(entity, terms.format);
  map.tellRest(name, harmless);
  return paths.map(({ path, written, isRegex }) => ({
    match: { hosts, path: written, isRegex, regexPriority, ...fits },
    found: {
      webSockets: protocols.some((protocol) => /^wss?$/.test(protocol)),
      route: {
        id: name,
        gateway: terms.gateway,
        hosts,
        path,
        eventsOnly: fits.eventsOnly,
        stripPath,
        ...service,
        ...settings,
      },
    },
  }));
}

function serviceOf({ map, name, service }: RouteEntity, { services }: ReadingTerms): KongService | undefined {
  if (service === undefined) map.tell(name, 'leads to no service; the route is left out');
  // That a service cannot be used was told with it.
  return service === undefined ? undefined : services.get(service);
}

function unread({ map }: RouteEntity, protocols: readonly string[], hosts: readonly string[] | undefined): string | undefined {
  if (map.has('expression')) return 'matches by an expression';
  if (hosts === undefined) return 'matches no host that can be matched here';
  if (protocols.length > 0 && !protocols.some((protocol) => /^(https?|wss?)$/.test(protocol)))
    return `speaks ${protocols.join(', ')}`;
  return undefined;
}

interface Fits {
  readonly eventsOnly: boolean;
  readonly hasMethods: boolean;
  readonly headerCount: number;
  readonly hasSnis: boolean;
}

function readFits({ map, name }: RouteEntity): Fits {
  const methods = map.texts('methods');
  const headers = map.map('headers');
  const snis = map.texts('snis');
  const names = headers?.keys() ?? [];
  const eventsOnly = headers !== undefined && hasEvents(headers) && (methods.length === 0 || methods.includes('POST'));
  if (snis.length > 0) map.tell(name, '"snis" is not taken over: only the gateway checks it', 'snis');
  const isKnown = eventsOnly && names.length === 1 && (methods.length === 0 || methods.length === 1);
  const further = [...methods, ...(eventsOnly ? names.filter((one) => !isContentType(one)) : names)];
  if (!isKnown && further.length > 0)
    map.tell(
      name,
      `matches by ${further.join(', ')} besides, which only the gateway checks`,
      methods.length > 0 ? 'methods' : 'headers',
    );
  return { eventsOnly, hasMethods: methods.length > 0, headerCount: names.length, hasSnis: snis.length > 0 };
}

function isContentType(name: string): boolean {
  return name.toLowerCase() === 'content-type';
}

function hasEvents(headers: PlacedMap): boolean {
  const name = headers.keys().find(isContentType);
  const values = name === undefined ? [] : headers.isList(name) ? headers.texts(name) : [headers.word(name) ?? ''];
  return values.length === 1 && values[0]?.toLowerCase() === 'application/websocket-events';
}

interface ReadPath {
  readonly path: string;
  /** As Kong compares it. */
  readonly written: string | undefined;
  readonly isRegex: boolean;
}

function readPaths({ map, name }: RouteEntity, format: string): ReadPath[] {
  const paths = map.texts('paths');
  if (paths.length === 0) return [{ path: '/', written: undefined, isRegex: false }];
  return paths.map((written) => {
    const regex = regexOf(written, format);
    if (regex === undefined && /^\/[\x21-\x7e]*$/.test(written)) return { path: written, written, isRegex: false };
    const path = literalOfRegex(regex ?? written);
    map.tell(
      name,
      `the regular expression ${written} is left to the gateway; the route here has its beginning, ${path}`,
      'paths',
    );
    return { path, written, isRegex: true };
  });
}

/** Before 3.0 what has other characters than plain paths was one by itself. */
function regexOf(path: string, format: string): string | undefined {
  if (path.startsWith('~')) return path.slice(1);
  return format === '3.0' || /^[A-Za-z0-9.\-_~/%]*$/.test(path) ? undefined : path;
}

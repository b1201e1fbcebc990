/** What the `http` block of an nginx configuration names for its locations: upstreams, zones of limits, maps. */
import { told } from '../conversion/remark.ts';
import type { GatewayLimit, Remark } from '../conversion/gateway-route.ts';
import type { Directive } from './conf-file.ts';
import { rateOf } from './measures.ts';

export interface Zone {
  readonly limit: GatewayLimit;
}

export interface ConfMap {
  /** `$http_apikey` */
  readonly source: string;
  readonly entries: readonly Directive[];
}

export interface HttpNames {
  /** Servers of each upstream, as `host:port`. */
  readonly upstreams: ReadonlyMap<string, readonly string[]>;
  readonly zones: ReadonlyMap<string, Zone>;
  /** By the variable that they make, with its `$`. */
  readonly maps: ReadonlyMap<string, ConfMap>;
  readonly remarks: readonly Remark[];
}

export function httpNames(directives: readonly Directive[]): HttpNames {
  const maps = new Map(
    named(directives, 'map').map(({ args: [source = '', variable = ''], block = [] }) => [variable, { source, entries: block }]),
  );
  const zones = named(directives, 'limit_req_zone').map((directive) => zoneOf(directive, maps));
  return {
    maps,
    upstreams: new Map(named(directives, 'upstream').map(({ args: [name = ''], block = [] }) => [name, serversIn(block)])),
    zones: new Map(zones.flatMap(({ entry }) => (entry === undefined ? [] : [entry]))),
    remarks: zones.flatMap(({ remarks }) => remarks),
  };
}

function named(directives: readonly Directive[], name: string): readonly Directive[] {
  return directives.filter((directive) => directive.name === name);
}

function serversIn(block: readonly Directive[]): readonly string[] {
  return named(block, 'server').flatMap(({ args }) => args.slice(0, 1));
}

interface ReadZone {
  readonly entry?: readonly [string, Zone];
  readonly remarks: readonly Remark[];
}

function zoneOf({ args, place }: Directive, maps: ReadonlyMap<string, ConfMap>): ReadZone {
  const [key = '', ...options] = args;
  const name = option(options, 'zone')?.replace(/:.*$/, '');
  const rate = rateOf(option(options, 'rate') ?? '');
  if (name === undefined || rate === undefined) return { remarks: [told(place, 'is a zone of limits that is not understood')] };
  const by = keyKind(key, maps);
  const limit = { ...rate, by: by ?? 'route' };
  const remarks = by === undefined ? [told(place, `counts by ${JSON.stringify(key)}; taken for one count of the route`)] : [];
  return { entry: [name, { limit }], remarks };
}

function keyKind(key: string, maps: ReadonlyMap<string, ConfMap>): GatewayLimit['by'] | undefined {
  const source = maps.get(key)?.source ?? key;
  if (['$binary_remote_addr', '$remote_addr', '$realip_remote_addr'].includes(source)) return 'address';
  if (/^\$(?:http|arg|cookie|jwt_claim)_|^\$remote_user$/.test(source)) return 'caller';
  return source.includes('$') && !['$server_name', '$host'].includes(source) ? undefined : 'route';
}

/** `zone=one:10m` */
export function option(args: readonly string[], name: string): string | undefined {
  return args.find((arg) => arg.startsWith(`${name}=`))?.slice(name.length + 1);
}

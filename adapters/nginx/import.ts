/** Reads an nginx configuration: each location that passes requests on by HTTP is a route. */
import type { Importer, Remark } from '../conversion/gateway-route.ts';
import { readConfFiles, type Directive } from './conf-file.ts';
import { told } from '../conversion/remark.ts';
import { httpNames, type ConfMap, type HttpNames } from './conf-http.ts';
import { callersOf } from './conf-keys.ts';
import { isKnownCondition, readLocation, type ReadLocation } from './conf-location.ts';
import { isUnderstood } from './known-directives.ts';
import { Scope } from './scope.ts';

/** More than anybody reads. */
const remarksMax = 300;

export const nginxImporter: Importer = {
  name: 'nginx',
  summary: 'Takes over the locations of an nginx configuration that pass requests on; files that it includes are given too.',
  usualAddress: 'http://127.0.0.1:80',
  read(files, gateway) {
    const conf = readConfFiles(files);
    const http = httpBlocks(conf.directives);
    const names = httpNames(http);
    const servers = http
      .filter(({ name }) => name === 'server')
      .map((server) => readServer(server, new Scope(http), names, gateway));
    const locations = servers.flatMap((server) => server.locations);
    const { callers, remarks } = callersOf(distinct(locations.flatMap(({ callers: map }) => map ?? [])));
    return {
      routes: locations.flatMap(({ found }) => found ?? []),
      callers,
      remarks: bounded([
        ...conf.remarks,
        ...names.remarks,
        ...unknown(http, names),
        ...servers.flatMap((server) => server.remarks),
        ...locations.flatMap((location) => location.remarks),
        ...remarks,
      ]),
    };
  },
};

/** What stands in `http`, and also what stands outside, as in a file of `conf.d` that is given alone. */
function httpBlocks(directives: readonly Directive[]): readonly Directive[] {
  return directives.flatMap((directive) => (directive.name === 'http' ? (directive.block ?? []) : [directive]));
}

interface ReadServer {
  readonly locations: readonly ReadLocation[];
  readonly remarks: readonly Remark[];
}

function readServer({ block = [], place }: Directive, outer: Scope, names: HttpNames, gateway: URL): ReadServer {
  const scope = new Scope(block, outer);
  const all = scope.own.filter(({ name }) => name === 'server_name').flatMap(({ args }) => args);
  const hosts = all.filter((host) => /^(?:\*\.)?[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?$/.test(host));
  const odd = all.filter((host) => !hosts.includes(host) && !['_', '""', ''].includes(host));
  const remarks = [
    ...odd.map((host) => told(place, `has the name ${JSON.stringify(host)}, which is not taken over`)),
    ...portRemarks(block, place, gateway),
    ...unknown(block, names),
  ];
  // Without a name that can be said its routes would take the requests of all other hosts.
  if (hosts.length === 0 && odd.length > 0) return { locations: [], remarks };
  return { locations: locationsIn(block, scope, { gateway, hosts, names }), remarks };
}

function portRemarks(block: readonly Directive[], place: string, gateway: URL): readonly Remark[] {
  const ports = block
    .filter(({ name }) => name === 'listen')
    .map(({ args: [address = ''] }) => Number(/(?:^|:)(\d+)$/.exec(address)?.[1] ?? 80));
  const expected = Number(gateway.port === '' ? (gateway.protocol === 'https:' ? 443 : 80) : gateway.port);
  if (ports.length === 0 || ports.includes(expected)) return [];
  return [
    told(place, `listens at port ${[...new Set(ports)].join(', ')}, and the routes lead to ${gateway.origin}; see --gateway`),
  ];
}

/** Longer paths first, as nginx looks for them; those within others count as their own. */
function locationsIn(
  block: readonly Directive[],
  scope: Scope,
  terms: Parameters<typeof readLocation>[2],
): readonly ReadLocation[] {
  const read = block
    .filter(({ name }) => name === 'location')
    .flatMap((location) => {
      const path = location.args.at(-1) ?? '';
      const inner = new Scope(location.block ?? [], scope);
      const nested = locationsIn(location.block ?? [], inner, terms);
      if (path.startsWith('@')) return nested;
      const reason = unmatchable(location);
      if (reason !== undefined)
        return [{ found: undefined, callers: undefined, remarks: [told(location.place, reason)] }, ...nested];
      const own = readLocation(location, inner, terms);
      return [{ ...own, remarks: [...own.remarks, ...unknown(location.block ?? [], terms.names)] }, ...nested];
    });
  return read.toSorted((a, b) => (b.found?.route.path.length ?? 0) - (a.found?.route.path.length ?? 0));
}

function unmatchable({ args }: Directive): string | undefined {
  const path = args.at(-1) ?? '';
  if (args[0]?.startsWith('~') === true)
    return `fits by the expression ${JSON.stringify(path)}, which routes do not know; left out`;
  return /^\/[\x21-\x7e]*$/.test(path) ? undefined : 'has a path that routes cannot have; left out';
}

function unknown(block: readonly Directive[], names: HttpNames): readonly Remark[] {
  return block
    .filter((directive) => !isUnderstood(directive.name) && !(directive.name === 'if' && isKnownCondition(directive, names)))
    .map(({ name, place }) => told(place, `"${/^\w{1,60}$/.test(name) ? name : '...'}" stays with nginx, and is not taken over`));
}

function distinct(maps: readonly ConfMap[]): readonly ConfMap[] {
  return [...new Set(maps)];
}

function bounded(remarks: readonly Remark[]): readonly Remark[] {
  if (remarks.length <= remarksMax) return remarks;
  return [...remarks.slice(0, remarksMax), told('...', `and ${remarks.length - remarksMax} more`)];
}

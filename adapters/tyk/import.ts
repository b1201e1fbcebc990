/** Reads definitions of Tyk, OAS and classic ones, told apart by what stands in them; `tyk.conf` may stand among them. */
import type { FoundRoute, Importer, InputFile, Remark } from '../conversion/gateway-route.ts';
import { readMapping, type PlacedMap } from '../conversion/placed.ts';
import { remarksOnce } from '../conversion/remark.ts';
import { readClassic } from './imported-classic.ts';
import { readOas } from './imported-oas.ts';

export const tykImporter: Importer = {
  name: 'tyk',
  summary: 'Reads definitions of APIs of Tyk, OAS and classic ones; with tyk.conf among them it knows whether WebSockets passed.',
  usualAddress: 'http://127.0.0.1:8080',
  read(files, gateway) {
    const remarks: Remark[] = [];
    const maps = files.flatMap((file) => {
      const map = readMapping(file, remarks);
      return map === undefined ? [] : [{ file, map }];
    });
    const webSockets = maps.some(({ map }) => isConf(map) && map.map('http_server_options')?.flag('enable_websockets') === true);
    const routes = maps.flatMap(({ file, map }) => readDefinition(map, file, gateway));
    return {
      routes: routes.map(({ route }): FoundRoute => ({ route, webSockets: webSockets && !route.eventsOnly })).toSorted(byPath),
      callers: [],
      remarks: remarksOnce(remarks),
    };
  },
};

function isConf(map: PlacedMap): boolean {
  return map.has('http_server_options') || map.has('app_path') || map.has('listen_port');
}

function readDefinition(map: PlacedMap, { name }: InputFile, gateway: URL): Pick<FoundRoute, 'route'>[] {
  if (map.has('x-tyk-api-gateway')) return readOas(map, gateway);
  if (map.has('proxy')) return readClassic(map, gateway);
  if (!isConf(map)) map.tell(name, 'is no definition of an API: it has neither "x-tyk-api-gateway" nor "proxy"');
  return [];
}

/** As Tyk tries them: with a domain before those without, then longer paths. */
function byPath({ route: a }: FoundRoute, { route: b }: FoundRoute): number {
  return b.hosts.length - a.hosts.length || b.path.length - a.path.length || (a.id < b.id ? -1 : 1);
}

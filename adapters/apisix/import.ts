/** Reads standalone files of APISIX (`conf/apisix.yaml`). */
import { foundCaller } from '../conversion/found-caller.ts';
import type { GatewayCaller, Importer, InputFile, Remark } from '../conversion/gateway-route.ts';
import { readMapping, type PlacedMap } from '../conversion/placed.ts';
import { remarksOnce } from '../conversion/remark.ts';
import { PluginReader } from './imported-plugins.ts';
import { readRoute, type ApisixRoute } from './imported-route.ts';
import { compareRoutes } from './precedence.ts';

export const apisixImporter: Importer = {
  name: 'apisix',
  summary: 'Reads standalone files (apisix.yaml) of Apache APISIX.',
  usualAddress: 'http://127.0.0.1:9080',
  read(files, gateway) {
    const remarks: Remark[] = [];
    const read = files.map((file) => readFile(file, gateway, remarks));
    return {
      routes: read
        .flatMap(({ routes }) => routes)
        .toSorted(compareRoutes)
        .map(({ found }) => found),
      callers: read.flatMap(({ callers }) => callers),
      remarks: remarksOnce(remarks),
    };
  },
};

interface Read {
  readonly routes: readonly ApisixRoute[];
  readonly callers: readonly GatewayCaller[];
}

function readFile(file: InputFile, gateway: URL, remarks: Remark[]): Read {
  const map = readMapping(file, remarks);
  if (map === undefined) return { routes: [], callers: [] };
  if (!/^#END\s*$/m.test(file.text) && !file.name.endsWith('.json'))
    map.tell(file.name, 'has no line "#END" at its end, without which APISIX does not read it');
  const plugins = new PluginReader(map);
  const terms = { gateway, plugins, services: byId(map, 'services'), upstreams: byId(map, 'upstreams') };
  const routes = map.maps('routes').flatMap((route) => readRoute(route, terms));
  const callers = map.maps('consumers').flatMap(readCaller);
  map.tellRest(file.name, ['ssls', 'secrets', 'protos']);
  return { routes, callers };
}

function byId(map: PlacedMap, key: string): ReadonlyMap<string, PlacedMap> {
  return new Map(map.maps(key).map((one) => [one.word('id') ?? '', one]));
}

const aboutCallers = ['labels', 'desc', 'create_time', 'update_time'];

function readCaller(consumer: PlacedMap): GatewayCaller[] {
  const name = consumer.word('username');
  const plugins = consumer.map('plugins');
  const key = plugins?.map('key-auth')?.word('key');
  plugins?.tellRest(name ?? 'consumers');
  consumer.tellRest(name ?? 'consumers', aboutCallers);
  return foundCaller(consumer, name, key);
}

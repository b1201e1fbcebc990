/** Reads declarative files of Kong: the formats 1.1, 2.1 and 3.0. */
import { foundCaller } from '../conversion/found-caller.ts';
import type { GatewayCaller, Importer, InputFile, Remark } from '../conversion/gateway-route.ts';
import { readMapping, type PlacedMap } from '../conversion/placed.ts';
import { remarksOnce } from '../conversion/remark.ts';
import { readEntities, reference, type Entities } from './entities.ts';
import { PluginReader } from './imported-plugins.ts';
import { readRoute, type KongRoute } from './imported-route.ts';
import { compareMatches } from './precedence.ts';
import { readServices } from './imported-service.ts';

export const kongImporter: Importer = {
  name: 'kong',
  summary: 'Reads declarative files of Kong Gateway (formats 1.1, 2.1 and 3.0).',
  usualAddress: 'http://127.0.0.1:8000',
  read(files, gateway) {
    const remarks: Remark[] = [];
    const read = files.map((file) => readFile(file, gateway, remarks));
    const routes = read.flatMap((one) => one.routes).toSorted((a, b) => compareMatches(a.match, b.match));
    return {
      routes: routes.map(({ found }) => found),
      callers: read.flatMap(({ callers }) => callers),
      remarks: remarksOnce(remarks),
    };
  },
};

interface Read {
  readonly routes: readonly KongRoute[];
  readonly callers: readonly GatewayCaller[];
}

const formats = ['1.1', '2.1', '3.0'];
/** They say nothing about routes. */
const harmless = [
  '_transform',
  '_comment',
  '_info',
  '_ignore',
  '_workspace',
  'vaults',
  'certificates',
  'ca_certificates',
  'snis',
];

function readFile(file: InputFile, gateway: URL, remarks: Remark[]): Read {
  const map = readMapping(file, remarks);
  if (map === undefined) return { routes: [], callers: [] };
  const format = formatOf(map, file);
  const entities = readEntities(map);
  const services = readServices(entities);
  const plugins = new PluginReader(entities);
  const routes = entities.routes.flatMap((route) => readRoute(route, { format, gateway, services, plugins }));
  const callers = readCallers(entities, map);
  plugins.tellRest(file.name);
  map.tellRest(file.name, harmless);
  return { routes, callers };
}

/** `3.0` is also a number in YAML. */
function formatOf(map: PlacedMap, { name }: InputFile): string {
  const value = map.word('_format_version');
  const format = value === '3' ? '3.0' : value;
  if (format !== undefined && formats.includes(format)) return format;
  map.tell(name, `"_format_version" should be one of ${formats.join(', ')}; the file is read as 3.0`, '_format_version');
  return '3.0';
}

const aboutCallers = ['id', 'tags', 'created_at', 'custom_id'];

function readCallers({ consumers }: Entities, file: PlacedMap): GatewayCaller[] {
  const separate = byConsumer(file.maps('keyauth_credentials'));
  return consumers.flatMap((consumer) => {
    const [username, id] = [consumer.word('username'), consumer.word('id')];
    const name = username ?? consumer.word('custom_id') ?? id;
    const own = [username, id].flatMap((one) => (one === undefined ? [] : (separate.get(one) ?? [])));
    const [credential, ...more] = [...consumer.maps('keyauth_credentials'), ...own];
    if (more.length > 0) consumer.tell(name ?? 'callers', 'has several keys; only the first is taken over');
    consumer.tellRest(name ?? 'callers', aboutCallers);
    return foundCaller(consumer, name, credential?.word('key'));
  });
}

function byConsumer(credentials: readonly PlacedMap[]): ReadonlyMap<string | undefined, readonly PlacedMap[]> {
  const found = new Map<string | undefined, PlacedMap[]>();
  for (const credential of credentials) {
    const consumer = reference(credential, 'consumer');
    const known = found.get(consumer) ?? [];
    known.push(credential);
    found.set(consumer, known);
  }
  return found;
}

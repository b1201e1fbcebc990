/**
 * What it costs to find the route of a request, beside find-my-way: nanoseconds of one thread, for 20, 200 and 2,000 paths of an API,
 * half of them with a name, and for one that is not there. Run: node bench/micro/router.ts
 */
import createFinder from 'find-my-way';
import { routeId } from '../../gateway/core/ids.ts';
import type { Match } from '../../gateway/core/route.ts';
import { Router } from '../../gateway/front/router.ts';

const sizes = [20, 200, 2_000];
const lookups = 200_000;
const rounds = 5;

/** Like the paths of an API with many kinds of things: `/v1/kind-7/items` and `/v1/kind-7/items/{id}`. */
function templates(count: number): string[] {
  return Array.from({ length: count / 2 }, (_, index) => `/v1/kind-${index}/items`).flatMap((path) => [path, `${path}/{id}`]);
}

function asked(count: number): string[] {
  return templates(count).map((template, index) => `${template.replace('{id}', String(index))}?page=2`);
}

type Find = (path: string) => unknown;

function foregate(count: number): Find {
  const router = new Router(
    templates(count).map((template, index) => ({ id: routeId(`r${index}`), match: matchOf(template) })),
    { exclusiveHosts: false, noRouteStatus: 404 },
  );
  return (path) => router.find({ host: 'api.example.com', path, transport: 'http', method: 'GET', secure: false });
}

function matchOf(template: string): Match {
  const rest = { host: undefined, path: '/', tls: undefined, byId: 'never' } as const;
  return { ...rest, template, transports: ['http'], methods: ['GET'] };
}

function findMyWay(count: number): Find {
  const finder = createFinder();
  for (const template of templates(count)) finder.on('GET', template.replace('{id}', ':id'), () => undefined);
  return (path) => finder.find('GET', path);
}

/** The best of a few rounds: what else the machine does only adds. */
function nanoseconds(find: Find, paths: readonly string[]): number {
  let best = Infinity;
  for (let round = 0; round < rounds; round += 1) {
    const start = process.hrtime.bigint();
    for (let index = 0; index < lookups; index += 1) find(paths[(index * 7) % paths.length] ?? '');
    best = Math.min(best, Number(process.hrtime.bigint() - start) / lookups);
  }
  return best;
}

for (const size of sizes) {
  const [ours, theirs] = [foregate(size), findMyWay(size)];
  for (const [what, paths] of [
    ['found', asked(size)],
    ['not there', ['/v1/kind-1/none/of/them']],
  ] as const) {
    if ((what === 'found') !== (ours(paths[0] ?? '') !== undefined)) throw new Error(`${size} ${what}: the wrong answer`);
    const [own, other] = [nanoseconds(ours, paths), nanoseconds(theirs, paths)];
    const ratio = (own / other).toFixed(2);
    console.log(`${size} paths, ${what}: ${own.toFixed(0)} ns, find-my-way ${other.toFixed(0)} ns, ratio ${ratio}`);
  }
}

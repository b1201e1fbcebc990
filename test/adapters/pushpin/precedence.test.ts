/** GRIP 7.1, "Selection": which of several routes a request gets, and that the longest path alone decides what is left of them. */
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { reachOf } from '../../../adapters/pushpin/precedence.ts';
import { readRoutesFile, type PushpinRoute } from '../../../adapters/pushpin/routes-file.ts';
import { routeId } from '../../../gateway/core/ids.ts';
import { Router } from '../../../gateway/front/router.ts';
import { testRoute } from '../../downstream/routes.ts';

interface Request {
  readonly path: string;
  readonly transport: 'websocket' | 'http';
  readonly tls: boolean;
}

const plain = { transport: 'http', tls: false } as const;
const secure = { transport: 'http', tls: true } as const;
const socket = { transport: 'websocket', tls: false } as const;

/** Conditions of one host, a request, and the number of the condition that gets it; 0: none. */
const cases: readonly (readonly [conditions: readonly string[], request: Request, winner: number])[] = [
  [['*'], { ...plain, path: '/a' }, 1],
  [['*,path_beg=/b'], { ...plain, path: '/a' }, 0],
  [['*', '*,path_beg=/'], { ...plain, path: '/a' }, 2],
  [['*', '*,path_beg=/a'], { ...plain, path: '/a/b' }, 2],
  [['*,path_beg=/a/b', '*,path_beg=/a'], { ...plain, path: '/a/b' }, 1],
  [['*,path_beg=/a'], { ...plain, path: '/ab' }, 1],
  [['*', '*,proto=ws'], { ...socket, path: '/' }, 2],
  [['*', '*,proto=ws'], { ...plain, path: '/' }, 1],
  [['*,path_beg=/a', '*,proto=ws'], { ...socket, path: '/a' }, 2],
  [['*,path_beg=/a', '*,proto=ws'], { ...plain, path: '/a' }, 1],
  [['*,path_beg=/a', '*,proto=ws,path_beg=/a/b'], { ...socket, path: '/a' }, 1],
  [['*,proto=ws', '*,proto=ws,path_beg=/a'], { ...socket, path: '/a' }, 2],
  [['*,proto=ws', '*,proto=http'], { ...plain, path: '/' }, 2],
  [['*', '*,ssl=yes'], { ...secure, path: '/' }, 2],
  [['*', '*,ssl=yes'], { ...plain, path: '/' }, 1],
  [['*,ssl=no', '*,ssl=yes'], { ...plain, path: '/' }, 1],
  [['*,ssl=yes', '*,path_beg=/a'], { ...secure, path: '/a' }, 2],
  [['*,ssl=yes,path_beg=/a', '*,path_beg=/a'], { ...secure, path: '/a' }, 1],
  [['*,proto=http', '*,ssl=yes,path_beg=/a'], { ...secure, path: '/a' }, 1],
  [['*,proto=ws,ssl=yes', '*,path_beg=/a'], { ...socket, path: '/a' }, 2],
  [['*,ssl=yes'], { ...plain, path: '/' }, 0],
];

describe('of routes for one host', () => {
  for (const [conditions, request, winner] of cases) {
    it(`${conditions.join(' | ')}: ${nameOf(request)} gets ${winner === 0 ? 'none' : `number ${winner}`}`, () => {
      const routes = read(conditions);
      assert.equal(routes.indexOf(chosen(routes, request) ?? missing), winner - 1);
      assert.equal(routes.indexOf(byRules(routes, request) ?? missing), winner - 1);
    });
  }

  it('the longest path decides as the rules of Pushpin do, and no two routes are left for one request', () => {
    const condition = fc
      .record({
        proto: fc.constantFrom('', ',proto=ws', ',proto=http'),
        ssl: fc.constantFrom('', ',ssl=yes', ',ssl=no'),
        path: fc.constantFrom('', ',path_beg=/', ',path_beg=/a', ',path_beg=/a/b', ',path_beg=/b'),
      })
      .map(({ proto, ssl, path }) => `*${proto}${ssl}${path}`);
    const request = fc.record({
      path: fc.constantFrom('/', '/a', '/a/b/c', '/b'),
      transport: fc.constantFrom('websocket' as const, 'http' as const),
      tls: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.uniqueArray(condition, { maxLength: 8 }), request, (conditions, asked) => {
        const routes = read(conditions);
        assert.equal(chosen(routes, asked)?.line, byRules(routes, asked)?.line);
        assert.equal(routed(routes, asked), byRules(routes, asked)?.line);
      }),
    );
  });

  it('those for other hosts are no rivals', () => {
    const [any, one] = read(['*', 'a.example,proto=ws']);
    assert.ok(any && one);
    assert.deepEqual(reachOf(any, [any, one]), [{ transports: ['websocket', 'http'], tls: undefined }]);
  });

  it('a route that others leave different parts of two transports has two parts', () => {
    const routes = read(['*,path_beg=/a', '*,proto=ws,ssl=yes']);
    assert.deepEqual(routes[0] && reachOf(routes[0], routes), [
      { transports: ['websocket'], tls: false },
      { transports: ['http'], tls: undefined },
    ]);
  });
});

/** In no list. */
const missing = { line: -1 } as PushpinRoute;

function nameOf({ path, transport, tls }: Request): string {
  return `${transport}${tls ? ' over TLS' : ''} to ${path}`;
}

function read(conditions: readonly string[]): readonly PushpinRoute[] {
  return readRoutesFile(conditions.map((condition) => `${condition} 127.0.0.1:80`).join('\n'), 'routes').routes;
}

/** As Foregate does it: of the routes whose reach the request is in, the one with the longest path. */
function chosen(routes: readonly PushpinRoute[], { path, transport, tls }: Request): PushpinRoute | undefined {
  const fitting = routes.filter(
    (route) =>
      path.startsWith(route.pathBeg) &&
      reachOf(route, routes).some((reach) => reach.transports.includes(transport) && (reach.tls ?? tls) === tls),
  );
  const length = ({ pathBeg }: PushpinRoute): number => Math.max(1, pathBeg.length);
  const [first, second] = fitting.toSorted((a, b) => length(b) - length(a));
  assert.ok(!first || !second || length(first) > length(second), 'two routes with one path');
  return first;
}

/** The line whose route Foregate's own router finds. */
function routed(routes: readonly PushpinRoute[], { path, transport, tls }: Request): number | undefined {
  const made = routes.flatMap((route) =>
    reachOf(route, routes).map((reach) =>
      testRoute({
        id: routeId(String(route.line)),
        match: { ...testRoute().match, path: route.pathBeg || '/', ...reach },
      }),
    ),
  );
  const router = new Router(made, { exclusiveHosts: true, noRouteStatus: 502 });
  const found = router.find({ host: 'a.example', path, transport, secure: tls });
  return found === undefined ? undefined : Number(found.id);
}

/** As Pushpin does it: all that fit, the best by proto, path and ssl. */
function byRules(routes: readonly PushpinRoute[], { path, transport, tls }: Request): PushpinRoute | undefined {
  const fitting = routes.filter(
    ({ proto, ssl, pathBeg }) =>
      path.startsWith(pathBeg) &&
      (proto === undefined || (proto === 'ws') === (transport === 'websocket')) &&
      (ssl ?? tls) === tls,
  );
  const rank = ({ proto, ssl, pathBeg }: PushpinRoute): number =>
    Number(proto !== undefined) * 1000 + pathBeg.length * 2 + Number(ssl !== undefined);
  return fitting.toSorted((a, b) => rank(b) - rank(a))[0];
}

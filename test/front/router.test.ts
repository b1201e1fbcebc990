/** Which route a request belongs to. */
import assert from 'node:assert/strict';
import { routeId } from '../../gateway/core/ids.ts';
import type { Match, Route } from '../../gateway/core/route.ts';
import { Router, type Asked, type RouterSettings } from '../../gateway/front/router.ts';
import { testRoute } from '../downstream/routes.ts';

function route(id: string, match: Partial<Match> = {}) {
  return testRoute({
    id: routeId(id),
    match: { host: undefined, path: '/', transports: ['websocket', 'http'], tls: undefined, byId: 'never', ...match },
  });
}

function router(routes: readonly Route[], settings: Partial<RouterSettings> = {}): Router {
  return new Router(routes, { exclusiveHosts: false, noRouteStatus: 404, ...settings });
}

function ask(path: string, host = 'x', asked: Partial<Asked> = {}): Asked {
  return { host, path, transport: 'websocket', secure: false, ...asked };
}

describe('the router', () => {
  const all = router([
    route('any'),
    route('chat', { path: '/chat/' }),
    route('deep', { path: '/chat/deep' }),
    route('below', { host: '*.example.com' }),
    route('further', { host: '*.eu.example.com', path: '/x' }),
    route('exact', { host: 'a.example.com' }),
    route('exact-path', { host: 'a.example.com', path: '/chat' }),
    route('sockets', { path: '/sockets', transports: ['websocket'] }),
  ]);
  const table: readonly [string | undefined, string, string][] = [
    [undefined, '/', 'any'],
    ['x', '/', 'any'],
    ['x', '/chat/', 'chat'],
    ['x', '/chat', 'any'],
    ['x', '/chat/deep', 'deep'],
    ['x', '/chat/deeper', 'deep'],
    ['x', '/chat/a?b', 'chat'],
    ['x', '/?/chat/', 'any'],
    ['a.example.com', '/', 'exact'],
    ['A.Example.COM:8080', '/', 'exact'],
    ['a.example.com', '/chat/deep', 'exact-path'],
    ['b.example.com', '/chat/deep', 'below'],
    ['b.a.example.com', '/', 'below'],
    ['example.com', '/', 'any'],
    ['.example.com', '/', 'any'],
    ['notexample.com', '/', 'any'],
    ['b.eu.example.com', '/x', 'further'],
    ['b.eu.example.com', '/', 'below'],
    ['[::1]:80', '/', 'any'],
    ['a.example.com.evil.org', '/', 'any'],
    ['x', '/%63hat/deep', 'any'],
    ['x', '/sockets', 'sockets'],
    ['x', '//chat/deep', 'any'],
  ];
  for (const [host, path, expected] of table) {
    it(`sends ${String(host)} ${path} to ${expected}`, () => assert.equal(all.find({ ...ask(path), host })?.id, expected));
  }

  it('looks at the transport', () => assert.equal(all.find(ask('/sockets', 'x', { transport: 'http' }))?.id, 'any'));
  it('finds nothing where nothing fits', () => assert.equal(router([route('a', { path: '/a' })]).find(ask('/b')), undefined));
  it('takes the first of equals', () => assert.equal(router([route('one'), route('two')]).find(ask('/'))?.id, 'one'));
  it('takes a route for TLS before one of the same path for all, and after a longer path', () => {
    const some = router([route('all'), route('tls', { tls: true }), route('long', { path: '/a' })]);
    const idOf = (path: string, secure: boolean): string | undefined => some.find(ask(path, 'x', { secure }))?.id;
    assert.deepEqual([idOf('/', true), idOf('/', false), idOf('/a', true)], ['tls', 'all', 'long']);
  });
  it('gives an exact host no route without host where hosts are exclusive, but one of a wildcard', () => {
    const routes = [route('any'), route('wild', { host: '*.b', path: '/w' }), route('own', { host: 'a.b', path: '/o' })];
    const some = router(routes, { exclusiveHosts: true });
    const idOf = (host: string, path: string): string | undefined => some.find(ask(path, host))?.id;
    assert.deepEqual(
      [idOf('a.b', '/o'), idOf('a.b', '/w'), idOf('a.b', '/'), idOf('c.b', '/')],
      ['own', 'wild', undefined, 'any'],
    );
  });
});

/** Which route a request belongs to. */
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { routeId } from '../../gateway/core/ids.ts';
import type { Match, Route } from '../../gateway/core/route.ts';
import { Router, type Asked, type RouterSettings } from '../../gateway/front/router.ts';
import { testRoute } from '../downstream/routes.ts';

function route(id: string, match: Partial<Match> = {}) {
  return testRoute({
    id: routeId(id),
    match: { ...testRoute().match, ...match },
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

  describe('templates', () => {
    const templates = router([
      route('prefix', { path: '/chat/' }),
      route('room', { template: '/chat/{room}' }),
      route('lobby', { template: '/chat/lobby' }),
      route('events', { template: '/chat/{room}/events' }),
      route('format', { template: '/report.{format}' }),
      route('named', { template: '/{name}' }),
      route('pair', { template: '/{a}-{b}/x' }),
      route('any-x', { template: '/{a}/x' }),
      route('root', { template: '/' }),
      route('text', { template: '/books/{id}' }),
      route('me', { template: '/{entity}/me' }),
    ]);
    const fitting: readonly [string, string | undefined][] = [
      ['/chat/lobby', 'lobby'],
      ['/chat/lobby?x=/', 'lobby'],
      ['/chat/a', 'room'],
      ['/chat/', 'prefix'],
      ['/chat/a/', 'prefix'],
      ['/chat/a/events', 'events'],
      ['/chat/lobby/events', 'events'],
      ['/chat/a/events/', 'prefix'],
      ['/chat', 'named'],
      ['/report.pdf', 'format'],
      ['/report.', 'named'],
      ['/a-b/x', 'pair'],
      ['/a--b/x', 'pair'],
      ['/-b/x', 'any-x'],
      ['/a-/x', 'any-x'],
      ['/', 'root'],
      ['//', undefined],
      ['/books/me', 'text'],
      ['/cars/me', 'me'],
      ['/cars/you', undefined],
      ['/a/x/y', undefined],
    ];
    for (const [path, expected] of fitting)
      it(`sends ${path} to ${String(expected)}`, () => assert.equal(templates.find(ask(path))?.id, expected));

    it('goes on where text fits and what follows does not', () => {
      const some = router([route('deep', { template: '/a/b/{c}/d' }), route('other', { template: '/a/{b}/c' })]);
      assert.equal(some.find(ask('/a/b/c'))?.id, 'other');
    });

    it('takes text before a name in the same segment, and a longer text before a shorter', () => {
      const some = router([
        route('short', { template: '/v{n}' }),
        route('long', { template: '/v{n}.json' }),
        route('all', { template: '/{n}' }),
      ]);
      const ids = ['/v1.json', '/v1', '/w'].map((path) => some.find(ask(path))?.id);
      assert.deepEqual(ids, ['long', 'short', 'all']);
    });

    it('finds what the definition says, whatever the templates', () => {
      const segment = fc.constantFrom('a', 'b', '{x}', 'a{x}', '{x}b', 'a{x}b', '{x}a{y}');
      const paths = fc.array(fc.array(segment, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 6 });
      const asked = fc.array(fc.constantFrom('a', 'b', 'ab', 'aab', 'bab', ''), { minLength: 1, maxLength: 4 });
      fc.assert(
        fc.property(paths, asked, (written, segments) => {
          const made = written.map((parts, index) => ({ id: `t${index}`, template: `/${parts.join('/')}` }));
          const path = `/${segments.join('/')}`;
          const fits = made.filter(({ template }) => pattern(template).test(path)).map(({ id }) => id);
          const found = router(made.map(({ id, template }) => route(id, { template }))).find(ask(path))?.id;
          assert.ok(fits.length === 0 ? found === undefined : fits.includes(String(found)));
        }),
      );
    });
  });

  describe('methods', () => {
    const byMethod = router([
      route('read', { template: '/orders', methods: ['GET'], transports: ['http'] }),
      route('write', { template: '/orders', methods: ['POST', 'PUT'], transports: ['http'] }),
      route('live', { template: '/orders', transports: ['websocket'] }),
      route('one', { template: '/orders/{id}', methods: ['DELETE'], transports: ['http'] }),
    ]);
    const plain = (path: string, method: string): Asked => ask(path, 'x', { transport: 'http', method });

    it('chooses by the method of a plain request', () => {
      const ids = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH'].map((method) => byMethod.find(plain('/orders', method))?.id);
      assert.deepEqual(ids, ['read', 'read', 'write', 'write', undefined]);
    });
    it('does not ask it of a WebSocket', () => assert.equal(byMethod.find(ask('/orders', 'x', { method: 'GET' }))?.id, 'live'));
    it('names the methods that a path has', () => {
      assert.deepEqual(byMethod.methods(plain('/orders', 'PATCH')), ['GET', 'POST', 'PUT', 'HEAD']);
      assert.deepEqual(byMethod.methods(plain('/orders/1', 'GET')), ['DELETE']);
      assert.deepEqual(byMethod.methods(plain('/other', 'GET')), []);
    });
  });
});

/** The definition itself: a name is one character or more of one segment. */
function pattern(template: string): RegExp {
  return new RegExp(`^${template.replaceAll(/\{\w+\}/g, '[^/]+')}$`);
}

/** Which route a request belongs to. */
import assert from 'node:assert/strict';
import { routeId } from '../../gateway/core/ids.ts';
import type { Match } from '../../gateway/core/route.ts';
import { Router } from '../../gateway/front/router.ts';
import { testRoute } from '../downstream/routes.ts';

function route(id: string, match: Partial<Match> = {}) {
  return testRoute({ id: routeId(id), match: { host: undefined, path: '/', transports: ['websocket', 'http'], ...match } });
}

describe('the router', () => {
  const router = new Router([
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
    it(`sends ${String(host)} ${path} to ${expected}`, () => assert.equal(router.find(host, path, 'websocket')?.id, expected));
  }

  it('looks at the transport', () => assert.equal(router.find('x', '/sockets', 'http')?.id, 'any'));
  it('finds nothing where nothing fits', () =>
    assert.equal(new Router([route('a', { path: '/a' })]).find('x', '/b', 'http'), undefined));
  it('takes the first of equals', () => assert.equal(new Router([route('one'), route('two')]).find('x', '/', 'http')?.id, 'one'));
});

import assert from 'node:assert/strict';
import { sessionPath, sockJsPlace, webSocketPlace } from '../../gateway/front/sockjs-place.ts';

const terms = { path: '/sock', asPath: '/ws', clientUrl: undefined, cookie: false };

describe('the places of SockJS', () => {
  for (const [url, kind] of [
    ['/sock', 'greeting'],
    ['/sock/', 'greeting'],
    ['/sock?x', 'greeting'],
    ['/sock/info', 'info'],
    ['/sock/info?t=1', 'info'],
    ['/sock/iframe.html', 'iframe'],
    ['/sock/iframe-a.1_2.html', 'iframe'],
    ['/sock/websocket', 'raw'],
    ['/sock/0/a/xhr', 'session'],
    ['/sock/server-1/a b/xhr_send', 'session'],
    ['/sock/iframe/../x.html', 'unknown'],
    ['/sock/0/a.b/xhr', 'unknown'],
    [`/sock/0/${'a'.repeat(129)}/xhr`, 'unknown'],
    ['/sock/0/a/XHR', 'unknown'],
    ['/sock//', 'unknown'],
    ['/socks', undefined],
    ['/', undefined],
    ['/?/sock/info', undefined],
  ] as const) {
    it(`${url} is ${kind ?? 'none'}`, () => {
      assert.equal(sockJsPlace(url, '/sock')?.kind, kind);
    });
  }

  it('names the session and its transport', () => {
    assert.deepEqual(sockJsPlace('/sock/0/a-B_1/jsonp?c=x/y/z', '/sock'), { kind: 'session', id: 'a-B_1', transport: 'jsonp' });
  });

  it('of handshakes are frames of its own, plain ones or nothing', () => {
    assert.deepEqual(webSocketPlace('/sock/0/a/websocket?k=v', terms), { framed: true, path: '/ws?k=v' });
    assert.deepEqual(webSocketPlace('/sock/websocket', terms), { framed: false, path: '/ws' });
    assert.deepEqual(webSocketPlace('/sock?x', terms), { framed: false, path: '/sock?x' });
    assert.deepEqual(webSocketPlace('/other', terms), { framed: false, path: '/other' });
    for (const url of ['/sock/info', '/sock/0/a/xhr', '/sock/iframe.html', '/sock/x'])
      assert.equal(webSocketPlace(url, terms), undefined);
  });
});

describe('the path of a SockJS session towards the backend', () => {
  for (const [query, kept] of [
    ['', ''],
    ['?', '?'],
    ['?a=1&b=%20', '?a=1&b=%20'],
    ['?a=1&t=1700000000000', '?a=1'],
    ['?t=1700000000000', ''],
    ['?t=1&a=1', '?t=1&a=1'],
    ['?t=soon', '?t=soon'],
    ['?a=1&c=_jp.x', '?a=1'],
    ['?c=x', ''],
    ['?cc=x', '?cc=x'],
  ] as const) {
    it(`has of the query ${query || 'of nothing'} ${kept || 'nothing'}`, () => {
      assert.equal(sessionPath(`/sock/0/a/xhr${query}`, terms), `/ws${kept}`);
    });
  }
});

import assert from 'node:assert/strict';
import { header, headerValues, type HeaderList } from '../../gateway/core/headers.ts';
import type { Dialect } from '../../gateway/core/dialect.ts';
import type { Route, Target } from '../../gateway/core/route.ts';
import type { ClientRequest, ConsumedCredential } from '../../gateway/core/session.ts';
import { buildHead, buildPlainHead, cleanReplyHeaders, gripFeatures, hostOf } from '../../gateway/downstream/request-head.ts';
import { lines, plainProfile, testRequest, testRoute, testTarget, usualForwarding } from './routes.ts';

const grip = { signer: undefined };

interface Given {
  readonly request?: Partial<ClientRequest>;
  readonly route?: Partial<Route>;
  readonly target?: Partial<Target>;
  readonly consumed?: readonly ConsumedCredential[];
}

function headOf(headers: HeaderList, given: Given = {}): HeaderList {
  return buildHead(testRequest(headers, given.request), testRoute(given.route), testTarget(given.target), given.consumed ?? [])
    .headers;
}

function plainHeadOf(headers: HeaderList, given: Given = {}): HeaderList {
  return buildPlainHead(
    testRequest(headers, given.request),
    testRoute(given.route),
    testTarget(given.target),
    given.consumed ?? [],
  ).headers;
}

function pathOf(path: string, consumed: readonly ConsumedCredential[]): string {
  return buildHead(testRequest([], { path }), testRoute(), testTarget(), consumed).path;
}

describe('the head that all requests of a session share', () => {
  it('keeps what the client said, in its order and spelling', () => {
    const sent = [
      'Origin',
      'https://app.example',
      'COOKIE',
      'a=1; b=2',
      'Authorization',
      'Bearer x',
      'User-Agent',
      'test',
      'Sec-WebSocket-Key',
      'k',
      'Sec-WebSocket-Version',
      '13',
      'Sec-WebSocket-Protocol',
      'chat, v2',
      'X-Two',
      '1',
      'X-Two',
      '2',
      'Via',
      '1.1 a',
    ];
    assert.deepEqual(headOf(['Host', 'api.example', ...sent]).slice(2, 2 + sent.length), sent);
  });

  it('adds the host and the forwarding fields', () => {
    assert.deepEqual(lines(headOf(['Host', 'API.example:8080'])), [
      'Host: api.example:8080',
      'X-Forwarded-For: 192.0.2.7',
      'X-Forwarded-Proto: http',
      'X-Forwarded-Host: api.example:8080',
      'X-Forwarded-Port: 8080',
    ]);
  });

  const removed = [
    'Connection',
    'Keep-Alive',
    'Proxy-Connection',
    'Proxy-Authorization',
    'TE',
    'Trailer',
    'Transfer-Encoding',
    'Upgrade',
    'Accept',
    'Accept-Encoding',
    'Content-Encoding',
    'Content-Type',
    'Content-Length',
    'Expect',
    'Connection-Id',
    'Sec-WebSocket-Extensions',
    'Meta-User',
    'Set-Meta-User',
    'Grip-Sig',
    'Grip-Feature',
    'Grip-Hold',
    'Keep-Alive-Interval',
    'Content-Bytes-Accepted',
    'Content-Bytes-Replayed',
    'Forwarded',
    'X-Forwarded-Anything',
    'X-Real-IP',
  ];
  for (const name of removed) {
    it(`removes ${name} of the client, also with underscores and in other cases`, () => {
      for (const written of [name, name.toUpperCase(), name.replaceAll('-', '_')]) {
        const headers = headOf([written, 'forged-value', 'X-Rest', '1']);
        assert.ok(!headers.includes('forged-value'), `${written} went through`);
        assert.equal(header(headers, 'x-rest'), '1');
      }
    });
  }

  it('removes what the connection field names, and nothing of our own', () => {
    const headers = headOf(
      [
        'Host',
        'a',
        'Connection',
        'upgrade, X-Secret',
        'connection',
        'X_Other,host,x-forwarded-for,x-route,grip-feature',
        'X-Secret',
        '1',
        'X-Other',
        '2',
      ],
      { route: { headers: ['X-Route', 'r'], grip } },
    );
    assert.equal(header(headers, 'x-secret'), undefined);
    assert.equal(header(headers, 'x-other'), undefined);
    assert.equal(header(headers, 'host'), 'a');
    assert.equal(header(headers, 'x-forwarded-for'), '192.0.2.7');
    assert.equal(header(headers, 'x-route'), 'r');
    assert.equal(header(headers, 'grip-feature'), gripFeatures);
  });

  it('removes identity fields of the route and of the gateway behind, and only those', () => {
    const profile = { ...plainProfile, identityHeaders: ['x-kong-user', 'x-kong-group-*'] };
    const headers = headOf(
      [
        'X-Consumer-Name',
        '1',
        'x_consumer_id',
        '2',
        'X-Userinfo',
        '3',
        'X-Kong-User',
        '4',
        'X-Kong-Group-Id',
        '5',
        'X-Userinfo-More',
        '6',
        'X-Consumers',
        '7',
      ],
      {
        route: { forwarded: { ...usualForwarding, trusts: () => true, strip: ['x-consumer-*', 'x-userinfo'] } },
        target: { profile },
      },
    );
    assert.deepEqual(
      lines(headers).filter((line) => /^x-(kong|cons|user)/i.test(line)),
      ['X-Userinfo-More: 6', 'X-Consumers: 7'],
    );
  });

  it('lets no client repeat a field that the route sets', () => {
    const headers = headOf(['X-Api-Key', 'mine', 'X_API_Key', 'mine'], { route: { headers: ['X-Api-Key', 'secret'] } });
    assert.deepEqual(
      lines(headers).filter((line) => /api.key/i.test(line)),
      ['X-Api-Key: secret'],
    );
  });

  it('drops values that would start a field of their own', () => {
    const headers = headOf(['X-Bad', 'a\r\nX-Consumer: evil', 'X-Nul', 'a\0b', 'X-Lf', 'a\nb', 'X-Good', 'a\tb \u00e9']);
    assert.deepEqual(
      lines(headers).filter((line) => /^X-(Bad|Nul|Lf|Good)/.test(line)),
      ['X-Good: a\tb \u00e9'],
    );
  });

  it('speaks GRIP where the route does', () => {
    const headers = headOf(['Sec-WebSocket-Extensions', 'permessage-deflate'], { route: { grip } });
    assert.deepEqual(headerValues(headers, 'sec-websocket-extensions'), ['grip']);
    assert.deepEqual(headerValues(headers, 'grip-feature'), [gripFeatures]);
    assert.equal(header(headOf([]), 'grip-feature'), undefined);
    assert.equal(header(headOf([]), 'sec-websocket-extensions'), undefined);
  });

  it('asks for replies that are not compressed where they are read', () => {
    // Only its presence counts here.
    const dialect = {} as Dialect;
    assert.equal(header(headOf(['Accept-Encoding', 'gzip'], { target: { dialect } }), 'accept-encoding'), 'identity');
    assert.equal(header(headOf(['Accept-Encoding', 'gzip']), 'accept-encoding'), undefined);
  });

  it('keeps a request id only if it looks like one', () => {
    assert.equal(header(headOf(['X-Request-Id', 'abc-123']), 'x-request-id'), 'abc-123');
    assert.equal(header(headOf(['X-Request-Id', '${jndi:x}']), 'x-request-id'), undefined);
    assert.equal(header(headOf(['X-Request-Id', 'a'.repeat(129)]), 'x-request-id'), undefined);
  });
});

describe('the host of a request downstream', () => {
  it('is the one of the target, where it has one', () => {
    assert.deepEqual(headerValues(headOf(['Host', 'a.example'], { target: { host: 'kong.internal' } }), 'host'), [
      'kong.internal',
    ]);
  });

  it('is the one of the address when the client sent none', () => {
    for (const sent of [[], ['Host', '']]) assert.equal(header(headOf(sent), 'host'), 'backend.internal:8000');
  });

  it('is never what no URL would have', () => {
    for (const host of ['a b', 'a/b', 'user@a', 'a,b', 'a:port', '[::1', 'a?b']) {
      assert.equal(header(headOf(['Host', host]), 'host'), 'backend.internal:8000', host);
    }
    for (const host of ['[::1]:80', 'a_b.example', '127.0.0.1:1']) assert.equal(header(headOf(['Host', host]), 'host'), host);
  });

  it('is there once, whatever the client sends', () => {
    assert.deepEqual(headerValues(headOf(['Host', 'a', 'HOST', 'b']), 'host'), ['a']);
  });

  it('can be read off an origin', () => {
    assert.equal(hostOf('https://[::1]:8443'), '[::1]:8443');
  });
});

describe('credentials that were used up here', () => {
  it('leave the query, and its other bytes stay', () => {
    const path = '/a/%2e%2e/b?x=%2Fy&token=s3cr3t&z=a%20b';
    assert.equal(pathOf(path, [{ in: 'query', name: 'token' }]), '/a/%2e%2e/b?x=%2Fy&z=a%20b');
    assert.equal(pathOf('/a?token=1', [{ in: 'query', name: 'token' }]), '/a');
    assert.equal(pathOf('/a?t%6Fken=1&token&&b?=%zz', [{ in: 'query', name: 'token' }]), '/a?&b?=%zz');
    assert.equal(pathOf('/token=1?xtoken=1', [{ in: 'query', name: 'token' }]), '/token=1?xtoken=1');
    assert.equal(pathOf(path, [{ in: 'header', name: 'token' }]), path);
  });

  it('leave the cookies, and the field when none is left', () => {
    const consumed: ConsumedCredential[] = [{ in: 'cookie', name: 'sid' }];
    const cookie = (value: string): string | undefined => header(headOf(['Cookie', value], { consumed }), 'cookie');
    assert.equal(cookie('a=1; sid=x; b="2"'), 'a=1; b="2"');
    assert.equal(cookie('sid=x; a=1'), 'a=1');
    assert.equal(cookie('a=1;sid=x'), 'a=1');
    assert.equal(cookie('sid=x'), undefined);
    assert.equal(cookie('asid=x; sida=y'), 'asid=x; sida=y');
  });

  it('leave the offered subprotocols, and the field when none is left', () => {
    const consumed: ConsumedCredential[] = [{ in: 'subprotocol', name: 'bearer.abc' }];
    const protocols = (value: string): string | undefined =>
      header(headOf(['Sec-WebSocket-Protocol', value], { consumed }), 'sec-websocket-protocol');
    assert.equal(protocols('chat, bearer.abc'), 'chat');
    assert.equal(protocols('bearer.abc, chat'), 'chat');
    assert.equal(protocols('bearer.abc'), undefined);
    assert.equal(protocols('chat, bearer.abcd'), 'chat, bearer.abcd');
  });

  it('leave the header fields', () => {
    const headers = headOf(['Authorization', 'Bearer x', 'authorization', 'y', 'X-Auth', 'z'], {
      consumed: [{ in: 'header', name: 'authorization' }],
    });
    assert.equal(header(headers, 'authorization'), undefined);
    assert.equal(header(headers, 'x-auth'), 'z');
  });
});

describe('the head of a plain request', () => {
  const body = ['Accept', 'text/html', 'Content-Type', 'text/plain', 'Content-Encoding', 'br', 'Content-Length', '5'];

  it('keeps what is about the body', () => {
    assert.deepEqual(plainHeadOf(['Host', 'a', ...body]).slice(2, 10), body);
  });

  it('lets client and backend agree on a coding, except where replies are read', () => {
    assert.equal(header(plainHeadOf(['Accept-Encoding', 'br']), 'accept-encoding'), 'br');
    assert.deepEqual(headerValues(plainHeadOf(['Accept-Encoding', 'br'], { route: { grip } }), 'accept-encoding'), ['identity']);
  });

  it('removes what only a gateway says, and offers no WebSocket extension', () => {
    const headers = plainHeadOf(
      ['Grip-Sig', 'x', 'Connection-Id', 'x', 'Meta-A', 'x', 'Sec-WebSocket-Extensions', 'x', 'Expect', 'x'],
      { route: { grip } },
    );
    assert.ok(!headers.includes('x'));
    assert.equal(header(headers, 'grip-feature'), gripFeatures);
  });
});

describe('the fields of a reply on their way to a client', () => {
  it('are those that are meant for it', () => {
    const sent = [
      'Connection',
      'close, X-Hop',
      'X-Hop',
      '1',
      'Keep-Alive',
      'timeout=5',
      'Transfer-Encoding',
      'chunked',
      'Grip-Hold',
      'stream',
      'grip_channel',
      'a',
      'Set-Meta-User',
      '1',
      'Sec-WebSocket-Extensions',
      'grip',
      'Keep-Alive-Interval',
      '20',
      'Content-Bytes-Accepted',
      '1',
      'Trailer',
      'X-T',
      'X-Bad',
      'a\nb',
    ];
    const kept = [
      'Content-Type',
      'text/plain',
      'Set-Cookie',
      'a=1',
      'set-cookie',
      'b=2',
      'Content-Encoding',
      'gzip',
      'ETag',
      '"x"',
      'Content-Length',
      '3',
    ];
    assert.deepEqual(cleanReplyHeaders([...sent, ...kept]), kept);
  });
});

/** What reaches the backend after changes: drafts alone, then requests with events, plain ones and relayed handshakes over real sockets. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import jsonwebtoken from 'jsonwebtoken';
import { WebSocketServer } from 'ws';
import type { RequestDraft } from '../../gateway/core/exchange.ts';
import type { ConnectVerdict } from '../../gateway/core/policy.ts';
import type { Identity } from '../../gateway/core/session.ts';
import { connect, createPolicy, testSession, type TestSessionOptions } from '../../gateway/testing/index.ts';
import { transform } from '../../policies/transform.ts';
import { clearStage, onClear, setStage } from '../protocol/stage.ts';
import { refusedClient } from '../support/client.ts';

afterEach(clearStage);

interface Changed {
  readonly verdict: ConnectVerdict;
  readonly draft: RequestDraft;
}

const ann: Identity = { subject: 'ann', by: 'jwt', claims: { org: 'acme & söhne', id: 7 } };

async function changed(
  options: object,
  { headers = [], path = '/', ...more }: TestSessionOptions,
  identity?: Identity,
): Promise<Changed> {
  const policy = await createPolicy(transform, options);
  const session = testSession({ headers, path, ...more });
  session.identity = identity;
  const draft: RequestDraft = { method: 'POST', path, headers: [...headers], body: undefined };
  const { verdict } = await connect(policy, session);
  return { verdict: verdict ?? (await policy.request?.(session, draft)), draft };
}

describe('transform of header fields', () => {
  const cases: readonly (readonly [name: string, headers: object, given: readonly string[], after: readonly string[]])[] = [
    [
      'removes a field, however often and however it is written',
      { remove: ['X-A'] },
      ['x-a', '1', 'X_A', '2', 'X-B', '3'],
      ['X-B', '3'],
    ],
    [
      'renames a field and keeps its values and place',
      { rename: { 'X-A': 'X-B' } },
      ['x-a', '1', 'X-C', '2', 'X-A', '3'],
      ['X-B', '1', 'X-C', '2', 'X-B', '3'],
    ],
    ['leaves out what a client sends under a new name', { rename: { 'X-A': 'X-B' } }, ['X_b', 'forged'], []],
    ['exchanges two names', { rename: { 'X-A': 'X-B', 'X-B': 'X-A' } }, ['X-A', '1', 'X-B', '2'], ['X-B', '1', 'X-A', '2']],
    [
      'sets a field in place of what the client sent',
      { set: { 'X-A': 'b' } },
      ['x_a', '1', 'X-A', '2', 'X-C', '3'],
      ['X-C', '3', 'X-A', 'b'],
    ],
    [
      'sets a field of claims',
      { set: { 'X-User': '{sub}', 'X-Org': '{claims.id}: {claims.org}' } },
      [],
      ['X-User', 'ann', 'X-Org', '7: acme & söhne'],
    ],
    ['lets nobody forge a claim that is missing', { set: { 'X-Role': '{claims.role}' } }, ['X-Role', 'admin'], []],
    ['may set a field empty', { set: { 'X-A': '' } }, [], ['X-A', '']],
  ];
  for (const [name, headers, given, after] of cases) {
    it(name, async () => {
      const { verdict, draft } = await changed({ headers }, { headers: given }, ann);
      assert.equal(verdict, undefined);
      assert.deepEqual(draft.headers, after);
    });
  }

  for (const subject of ['a\r\nX-Admin: yes', 'a\0', 'a\tb', 'a\u007f', 'a\u0085', '\u0141ukasz', 'a\ud800']) {
    it(`refuses ${JSON.stringify(subject)} as a value`, async () => {
      const { verdict } = await changed({ headers: { set: { 'X-User': '{sub}' } } }, {}, { subject, by: 'jwt' });
      assert.ok(verdict?.kind === 'deny');
      assert.equal(verdict.code, 'bad-request');
    });
  }
});

describe('transform of query parameters', () => {
  const cases: readonly (readonly [name: string, query: object, path: string, after: string])[] = [
    ['removes one, however its name is written', { remove: ['a b'] }, '/p?a+b=1&c=2&a%20b=3&a%20b', '/p?c=2'],
    ['leaves no question mark behind', { remove: ['a'] }, '/p?a=1', '/p'],
    ['keeps the bytes of what stays', { remove: ['a'] }, '/p/../%41?%62=%63&a&&b=%zz', '/p/../%41?%62=%63&&b=%zz'],
    ['does not change a path without one', { remove: ['a'] }, '/p?', '/p?'],
    ['renames one and keeps the bytes of its value', { rename: { a: 'b c' } }, '/p?a=%2b+&a', '/p?b%20c=%2b+&b%20c'],
    ['leaves out what a client sends under a new name', { rename: { a: 'b' } }, '/p?b=forged&%62=forged', '/p'],
    ['sets one in place of what the client sent', { set: { a: '1' } }, '/p?a=2&b=3&%61=4', '/p?b=3&a=1'],
    ['sets one where there was none', { set: { a: '1' } }, '/p', '/p?a=1'],
    ['encodes claims', { set: { org: '{claims.org}' } }, '/p', '/p?org=acme%20%26%20s%C3%B6hne'],
    ['lets nobody forge a claim that is missing', { set: { role: '{claims.role}' } }, '/p?role=admin', '/p'],
    ['takes names as they are written, large and small', { remove: ['a'] }, '/p?A=1', '/p?A=1'],
  ];
  for (const [name, query, path, after] of cases) {
    it(name, async () => {
      const { verdict, draft } = await changed({ query }, { path }, ann);
      assert.equal(verdict, undefined);
      assert.equal(draft.path, after);
    });
  }

  it('refuses control characters', async () => {
    const { verdict } = await changed({ query: { set: { user: '{sub}' } } }, {}, { subject: 'a\r\nb', by: 'jwt' });
    assert.equal(verdict?.kind, 'deny');
  });
});

describe('transform of credentials', () => {
  const move = [{ from: { query: 'token' }, to: 'Authorization', prefix: 'Bearer ' }];

  it('puts one into a field in place of the client’s own', async () => {
    const { draft } = await changed({ move }, { path: '/?token=abc', headers: ['authorization', 'Basic x', 'X-A', '1'] });
    assert.deepEqual(draft.headers, ['X-A', '1', 'Authorization', 'Bearer abc']);
  });

  it('leaves the field alone where there is none', async () => {
    const { verdict, draft } = await changed({ move }, { headers: ['Authorization', 'Basic x'] });
    assert.deepEqual([verdict, draft.headers], [undefined, ['Authorization', 'Basic x']]);
  });

  for (const path of ['/?token=a&token=b', '/?token=', '/?token=a%0d%0aX-Admin:%20yes', '/?token=a%00', '/?token=%C5%81']) {
    it(`refuses ${path}`, async () => {
      const { verdict } = await changed({ move }, { path });
      assert.ok(verdict?.kind === 'deny');
      assert.equal(verdict.code, 'bad-request');
    });
  }
});

const secret = 'a secret of thirty-two bytes or more';
const token = jsonwebtoken.sign({ sub: 'ann' }, secret);

describe('the policy transform over sockets', () => {
  const policies = [
    { use: 'jwt', secret, from: { query: 'token' } },
    {
      use: 'transform',
      headers: { remove: ['User-Agent'], rename: { 'X-Trace': 'X-Request-Trace' }, set: { 'X-User': '{sub}' } },
      query: { set: { user: '{sub}' }, remove: ['debug'] },
      move: [{ from: { query: 'token' }, to: 'Authorization', prefix: 'Bearer ' }],
    },
  ];
  const headers = { 'X-Trace': 't1', X_User: 'root', 'User-Agent': 'test' };
  const path = `/a?debug=1&token=${token}&b=%2F`;

  it('changes every request with events, and the protocol still works', async () => {
    const { backend, open } = await setStage({ route: { policies } });
    const client = await open(path, { headers });
    client.send('x');
    assert.equal(await client.nextText(), 'x');
    assert.equal(backend.requests.length, 2);
    for (const request of backend.requests) {
      assert.equal(request.path, '/a?b=%2F&user=ann');
      assert.deepEqual(seen(request.headers), ['t1', 'ann', `Bearer ${token}`, undefined, undefined, undefined]);
      assert.ok(request.headers['connection-id']);
    }
  });

  it('changes plain requests', async () => {
    const { backend, url } = await setStage({ answer: () => ({ body: 'plain' }), route: { policies } });
    assert.equal(await (await fetch(url + path, { method: 'POST', body: 'hello', headers })).text(), 'plain');
    const [request] = backend.requests;
    assert.equal(request?.path, '/a?b=%2F&user=ann');
    assert.equal(request.body.toString(), 'hello');
    assert.deepEqual(seen(request.headers), ['t1', 'ann', `Bearer ${token}`, undefined, undefined, undefined]);
  });

  it('changes the handshake with a WebSocket backend', async () => {
    const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
    onClear(() => server.close());
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo; // A TCP server has no other kind of address.
    const { open } = await setStage({ targets: [{ url: `ws://127.0.0.1:${port}` }], route: { policies } });
    const connected = once(server, 'connection') as Promise<[unknown, IncomingMessage]>;
    await open(path, { headers });
    const [, handshake] = await connected;
    assert.equal(handshake.url, '/a?b=%2F&user=ann');
    assert.deepEqual(seen(handshake.headers), ['t1', 'ann', `Bearer ${token}`, undefined, undefined, undefined]);
  });

  it('takes a credential out of a cookie and out of the subprotocols', async () => {
    const { backend, open } = await setStage({
      route: {
        policies: [
          {
            use: 'transform',
            move: [
              { from: { cookie: 'sid' }, to: 'X-Session' },
              { from: { subprotocol: 'key' }, to: 'X-Key' },
            ],
          },
        ],
      },
    });
    const client = await open('/', { headers: { Cookie: 'a=b; sid=s1' }, protocols: ['key', 'k1'] });
    assert.equal(client.socket.protocol, 'key');
    const [request] = backend.requests;
    assert.deepEqual([request?.headers['x-session'], request?.headers['x-key']], ['s1', 'k1']);
    assert.equal(request?.headers.cookie, 'a=b');
    assert.equal(request.headers['sec-websocket-protocol'], undefined);
  });

  it('refuses a credential that would break out of its field, before anything reaches the backend', async () => {
    const { backend, url } = await setStage({ route: { policies: [policies[1]] } });
    const bad = '/?token=a%0d%0aX-Admin:%20yes';
    assert.equal((await refusedClient(url.replace('http', 'ws') + bad)).status, 400);
    assert.equal((await fetch(url + bad)).status, 400);
    assert.equal(backend.requests.length, 0);
  });

  it('refuses a claim that cannot be sent on', async () => {
    const { backend, url } = await setStage({ route: { policies } });
    const bad = `/?token=${jsonwebtoken.sign({ sub: 'a\r\nX-Admin: yes' }, secret)}`;
    assert.equal((await refusedClient(url.replace('http', 'ws') + bad)).status, 400);
    assert.equal((await fetch(url + bad)).status, 400);
    assert.equal(backend.requests.length, 0);
  });
});

function seen(headers: Readonly<Record<string, string | string[] | undefined>>) {
  return ['x-request-trace', 'x-user', 'authorization', 'x-trace', 'x_user', 'user-agent'].map((name) => headers[name]);
}

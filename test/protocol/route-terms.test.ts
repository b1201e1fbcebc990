/** What a route changes on the way to its backend, over real sockets: the path, header fields, the signature; and the order of items. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import jsonwebtoken from 'jsonwebtoken';
import { WebSocketServer } from 'ws';
import type { BackendRequest } from '../support/backend.ts';
import { clearStage, onClear, setStage } from './stage.ts';

afterEach(clearStage);

/** A WebSocket backend that keeps the handshakes. */
async function startRelayed(): Promise<{ readonly url: string; readonly handshakes: readonly IncomingMessage[] }> {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  const handshakes: IncomingMessage[] = [];
  server.on('connection', (socket, handshake) => {
    handshakes.push(handshake);
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
  await once(server, 'listening');
  onClear(() => {
    for (const client of server.clients) client.terminate();
    server.close();
  });
  return { url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`, handshakes }; // A TCP server has no other kind of address.
}

interface Seen {
  readonly path: string | undefined;
  readonly headers: IncomingMessage['headers'];
}

/** What backends see of one path, asked for as events, as a plain request and through a relay. */
async function seenOf(route: object, path: string, headers: Readonly<Record<string, string>> = {}): Promise<Seen[]> {
  const { backend, url, open } = await setStage({ route });
  const client = await open(path, { headers });
  client.send('x');
  await client.nextText();
  const { path: openPath, headers: openHeaders } = last(backend.requests);
  backend.answer = () => ({ body: 'plain' });
  assert.equal(await (await fetch(url + path, { headers })).text(), 'plain');
  const plain = last(backend.requests);
  const relayed = await startRelayed();
  const stage = await setStage({ route, targets: [{ url: relayed.url }] });
  const other = await stage.open(path, { headers });
  other.send('x');
  assert.equal(await other.nextText(), 'x');
  const handshake = last(relayed.handshakes);
  return [
    { path: openPath, headers: openHeaders },
    { path: plain.path, headers: plain.headers },
    { path: handshake.url, headers: handshake.headers },
  ];
}

function last<Entry>(all: readonly Entry[]): Entry {
  const entry = all.at(-1);
  assert.ok(entry !== undefined, 'Nothing reached the backend.');
  return entry;
}

describe('the path of a route', () => {
  const cases: readonly (readonly [name: string, route: object, asked: string, seen: string])[] = [
    ['loses its beginning', { path: { remove: 4 } }, '/old/a?b=/old', '/a?b=/old'],
    ['begins with "/" whatever is cut off', { path: { remove: 5 } }, '/old/a?b', '/a?b'],
    ['is "/" where nothing is left', { path: { remove: 9 } }, '/old?b/old', '/?b/old'],
    [
      'may begin with two slashes, and still leads to the same backend',
      { path: { remove: 4 } },
      '/old//else.example/a',
      '//else.example/a',
    ],
    ['is never decoded', { path: { remove: 4 } }, '/old/%41//a%2fb', '/%41//a%2fb'],
    ['has something else for what was matched', { match: { path: '/v1/' }, path: { replace: '/v2/' } }, '/v1/v1/a', '/v2/v1/a'],
    ['may lose what was matched', { match: { path: '/v1' }, path: { replace: '' } }, '/v1/a?q', '/a?q'],
    ['begins with "/" when it lost it', { match: { path: '/v1/' }, path: { replace: '' } }, '/v1/a', '/a'],
    ['gets something in front where all is matched', { path: { replace: '/in/' } }, '/a', '/in/a'],
    ['stays as it is', {}, '/old//a?b', '/old//a?b'],
  ];
  for (const [name, route, asked, seen] of cases) {
    it(`${name}, for events, plain requests and a relay`, async () => {
      const paths = (await seenOf(route, asked)).map(({ path }) => path);
      assert.deepEqual(paths, [seen, seen, seen]);
    });
  }

  it('changes before a credential is taken from the query', async () => {
    const policies = [{ use: 'api-key', keys: [{ key: 'k1', name: 'ann' }], from: { query: 'key' } }];
    const [events] = await seenOf({ policies, path: { remove: 4 } }, '/old/a?key=k1&b=1');
    assert.equal(events?.path, '/a?b=1');
  });
});

describe('the headers of a route', () => {
  it('replace those of the client, and remove them where the value is empty', async () => {
    const headers = { 'X-Set': 'ours', Cookie: '', 'x-gone': '', 'X-Forwarded-Port': '', 'X-Forwarded-Proto': 'wss' };
    const sent = { 'x-set': 'theirs', Cookie: 'a=1', 'X-Gone': '1', X_Gone: '2', 'X-Kept': 'yes' };
    for (const { headers: seen } of await seenOf({ headers }, '/a', sent)) {
      assert.deepEqual(
        ['x-set', 'cookie', 'x-gone', 'x_gone', 'x-forwarded-port', 'x-forwarded-proto', 'x-kept'].map((name) => seen[name]),
        ['ours', undefined, undefined, undefined, undefined, 'wss', 'yes'],
      );
      assert.equal(seen['x-forwarded-for'], '127.0.0.1');
    }
  });
});

describe('the signature of a route', () => {
  const claims = ({ headers }: Pick<BackendRequest, 'headers'>, key: string): unknown =>
    jsonwebtoken.verify(String(headers['grip-sig']), key, { algorithms: ['HS256'] });
  const settings = { grip: { issuer: 'all', key: 'key-of-all-routes' } };

  for (const [name, signature, issuer, key] of [
    ['has an issuer and key of its own', { issuer: 'own', key: 'own-key' }, 'own', 'own-key'],
    ['may change the issuer alone', { issuer: 'own' }, 'own', 'key-of-all-routes'],
    ['may change the key alone', { key: 'base64:b3duLWtleQ==' }, 'all', 'own-key'],
    ['is that of all routes where nothing is said', undefined, 'all', 'key-of-all-routes'],
  ] as const) {
    it(name, async () => {
      const { backend, open, url } = await setStage({ settings, route: signature === undefined ? {} : { signature } });
      await open('/');
      await fetch(url);
      assert.ok(backend.requests.length >= 2);
      for (const request of backend.requests) assert.equal((claims(request, key) as { iss: string }).iss, issuer); // A JWT with `iss`.
    });
  }

  it('may be the only one', async () => {
    const { backend, url } = await setStage({ route: { signature: { key: 'own-key' } } });
    await fetch(url);
    assert.equal((claims(last(backend.requests), 'own-key') as { iss: string }).iss, 'foregate'); // A JWT with `iss`.
  });

  it('is not sent without GRIP', async () => {
    const { backend, url } = await setStage({ route: { grip: false, signature: { key: 'own-key' } } });
    await fetch(url);
    assert.equal(last(backend.requests).headers['grip-sig'], undefined);
  });
});

describe('the settings of publishing', () => {
  it('say how long an item waits for the one before it', async () => {
    const { open, publish } = await setStage({
      target: { channels: ['c'] },
      settings: { publish: { waitForEarlier: '150ms' } },
    });
    const client = await open();
    await publish('c', { content: 'one' }, { id: '1' });
    assert.equal(await client.nextText(), 'one');
    const since = Date.now();
    await publish('c', { content: 'three' }, { id: '3', 'prev-id': '2' });
    assert.equal(await client.nextText(1500), 'three');
    assert.ok(Date.now() - since >= 140, 'It did not wait.');
  });

  it('say how long ids are remembered', async () => {
    for (const [rememberIds, texts] of [
      ['60s', ['first', 'end']],
      ['0s', ['first', 'again', 'end']],
    ] as const) {
      const { open, publish } = await setStage({
        target: { channels: ['c'] },
        settings: { publish: { rememberIds } },
      });
      const client = await open();
      await publish('c', { content: 'first' }, { id: '1' });
      await publish('c', { content: 'again' }, { id: '1' });
      await publish('c', { content: 'end' });
      for (const text of texts) assert.equal(await client.nextText(), text, rememberIds);
    }
  });
});

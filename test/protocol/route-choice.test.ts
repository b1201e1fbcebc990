/** Which requests find a route, over real sockets: TLS, hosts with routes of their own, and what the others are told. */
import assert from 'node:assert/strict';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { serverCertificate, serverKey } from '../downstream/certificates.ts';
import { startBackend } from '../support/backend.ts';
import { openClient, refusedClient } from '../support/client.ts';
import { loadSettings, startForegate } from '../support/gateway.ts';
import { clearStage, onClear } from './stage.ts';

afterEach(clearStage);

interface Answered {
  readonly status: number;
  readonly body: string;
}

/** A GET; `host` is the field `Host`. */
async function ask(url: string, host: string, headers: Readonly<Record<string, string>> = {}): Promise<Answered> {
  const send = url.startsWith('https') ? httpsRequest : httpRequest;
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const request = send(url, { headers: { Host: host, ...headers }, rejectUnauthorized: false, agent: false }, resolve);
    request.once('error', reject).end();
  });
  const chunks: Buffer[] = [];
  for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk); // No encoding is set, so chunks are buffers.
  return { status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() };
}

/** Answers every plain request with its name. */
async function named(name: string): Promise<string> {
  const backend = await startBackend(() => ({ body: name }));
  onClear(() => backend.stop());
  return backend.origin;
}

/** Addresses of the ports for clients, in the order of `listen`. */
async function start(settings: object): Promise<readonly string[]> {
  const { foregate, stop } = await startForegate(settings);
  onClear(stop);
  return foregate.addresses.clients;
}

const loopback = { host: '127.0.0.1', port: 0 };
const tlsPort = { ...loopback, tls: { cert: serverCertificate, key: serverKey } };

describe('match.tls', () => {
  it('takes what came over TLS, or what did not, and says nothing of the rest', async () => {
    const [plain = '', tls = ''] = await start({
      listen: [loopback, tlsPort],
      routes: [
        { id: 'any', target: await named('any') },
        { id: 'secure', match: { tls: true }, target: await named('secure') },
        { id: 'open', match: { path: '/open', tls: false }, target: await named('open') },
      ],
    });
    assert.equal((await ask(`${tls}/x`, 'h')).body, 'secure');
    assert.equal((await ask(`${plain}/x`, 'h')).body, 'any');
    assert.equal((await ask(`${plain}/open`, 'h')).body, 'open');
    assert.equal((await ask(`${tls}/open`, 'h')).body, 'secure');
  });

  it('does not believe what a client or proxy says of TLS', async () => {
    const [plain = ''] = await start({
      listen: [loopback],
      trustedProxies: ['127.0.0.1'],
      routes: [{ id: 'secure', match: { tls: true }, target: await named('secure') }],
    });
    const said = { 'X-Forwarded-Proto': 'https', Forwarded: 'proto=https' };
    assert.equal((await ask(plain, 'h', said)).status, 404);
  });

  it('holds for WebSockets too', async () => {
    const backend = await startBackend();
    onClear(() => backend.stop());
    const routes = [{ id: 'secure', match: { tls: true }, target: backend.origin }];
    const [plain = '', tls = ''] = await start({ listen: [loopback, tlsPort], routes });
    assert.equal((await refusedClient(plain.replace('http', 'ws'))).status, 404);
    const client = await openClient(tls.replace('http', 'ws'), { rejectUnauthorized: false });
    client.send('x');
    assert.equal(await client.nextText(), 'x');
    await client.close();
  });
});

describe('exclusiveHosts', () => {
  const routes = async (): Promise<object[]> => [
    { id: 'any', target: await named('any') },
    { id: 'own', match: { host: 'Own.example', path: '/in' }, target: await named('own') },
    { id: 'below', match: { host: '*.wild.example', path: '/in' }, target: await named('below') },
    { id: 'sockets', match: { host: 'sockets.example', transports: ['websocket'] }, target: await named('sockets') },
  ];
  const table: readonly (readonly [host: string, path: string, without: string, exclusive: string])[] = [
    ['own.example', '/in', 'own', 'own'],
    ['OWN.example:80', '/out', 'any', 'Route not found\n'],
    ['other.example', '/out', 'any', 'any'],
    ['a.wild.example', '/out', 'any', 'any'],
    ['sockets.example', '/out', 'any', 'Route not found\n'],
  ];

  for (const exclusiveHosts of [false, true]) {
    it(`${exclusiveHosts ? 'keeps' : 'does not keep'} a host with routes of its own from those without host: ${exclusiveHosts}`, async () => {
      const [url = ''] = await start({ exclusiveHosts, routes: await routes() });
      for (const [host, path, without, exclusive] of table)
        assert.equal((await ask(url + path, host)).body, exclusiveHosts ? exclusive : without, `${host}${path}`);
    });
  }
});

describe('noRouteStatus', () => {
  it('is the status of what no route fits, for requests and handshakes, and follows a reload', async () => {
    const route = { id: 'a', match: { path: '/a' }, target: await named('a') };
    const { foregate, url, socketUrl, stop } = await startForegate({ noRouteStatus: 502, routes: [route] });
    onClear(stop);
    assert.deepEqual(await ask(`${url}/b`, 'h'), { status: 502, body: 'Route not found\n' });
    assert.equal((await refusedClient(`${socketUrl}/b`)).status, 502);
    assert.equal((await ask(`${url}/a`, 'h')).status, 200);
    await foregate.reload(await loadSettings({ routes: [route] }));
    assert.equal((await ask(`${url}/b`, 'h')).status, 404);
  });
});

describe('routeHeader', () => {
  const settings = async (): Promise<object> => ({
    routeHeader: 'X-Route',
    noRouteStatus: 502,
    exclusiveHosts: true,
    routes: [
      { id: 'any', match: { byId: 'also' }, target: await named('any') },
      { id: 'closed', match: { path: '/closed' }, target: await named('closed') },
      { id: 'hidden', match: { byId: 'only', host: 'own.example' }, target: await named('hidden') },
      {
        id: 'other',
        match: { host: 'other.example', path: '/in', transports: ['websocket'], tls: true, byId: 'also' },
        target: await named('other'),
      },
    ],
  });

  it('leads to the route of that id, whatever match says', async () => {
    const [url = ''] = await start(await settings());
    for (const id of ['hidden', 'other', 'any']) assert.equal((await ask(url, 'x', { 'X-Route': id })).body, id);
    assert.equal((await ask(url, 'other.example', { 'x-route': 'hidden' })).body, 'hidden');
  });

  it('leads nowhere with an id that is none', async () => {
    const [url = ''] = await start(await settings());
    for (const id of ['none', 'ANY', '__proto__', 'closed'])
      assert.deepEqual(await ask(url, 'x', { 'X-Route': id }), { status: 502, body: 'Route not found\n' }, id);
    assert.equal((await refusedClient(url.replace('http', 'ws'), { headers: { 'X-Route': 'none' } })).status, 502);
  });

  it('is the only way to a route that has no other, whose host is no host of its own', async () => {
    const [url = ''] = await start(await settings());
    assert.equal((await ask(url, 'own.example')).body, 'any');
    assert.equal((await ask(url, 'own.example', { 'X-Route': '' })).body, 'any');
  });

  it('does not go on', async () => {
    const backend = await startBackend();
    onClear(() => backend.stop());
    const [url = ''] = await start({
      routeHeader: 'X-Route',
      routes: [{ id: 'a', match: { byId: 'only' }, target: backend.origin }],
    });
    const client = await openClient(url.replace('http', 'ws'), { headers: { 'X-Route': 'a', X_Route: 'a' } });
    client.send('x');
    assert.equal(await client.nextText(), 'x');
    backend.answer = () => ({ body: 'plain' });
    assert.equal((await ask(url, 'x', { 'X-Route': 'a' })).body, 'plain');
    for (const { rawHeaders } of backend.requests) assert.ok(!rawHeaders.some((name) => /route/i.test(name)));
  });

  it('leaves a path that does not begin as the route says', async () => {
    const backend = await startBackend(({ path }) => ({ body: path }));
    onClear(() => backend.stop());
    const route = { id: 'a', match: { path: '/old', byId: 'also' }, path: { replace: '/new' }, target: backend.origin };
    const [url = ''] = await start({ routeHeader: 'X-Route', routes: [route] });
    assert.equal((await ask(`${url}/old/x?y`, 'h', { 'X-Route': 'a' })).body, '/new/x?y');
    assert.equal((await ask(`${url}/x?y`, 'h', { 'X-Route': 'a' })).body, '/x?y');
  });

  it('is an ordinary field unless it is set', async () => {
    const backend = await startBackend(({ headers }) => ({ body: String(headers['pushpin-route']) }));
    onClear(() => backend.stop());
    const [url = ''] = await start({ routes: [{ id: 'a', target: backend.origin }] });
    assert.equal((await ask(url, 'x', { 'Pushpin-Route': 'none' })).body, 'none');
  });
});

describe('match.template and match.methods', () => {
  it('choose by the whole path and the method, and say which methods there are', async () => {
    const [plain = ''] = await start({
      listen: [loopback],
      routes: [
        { id: 'read', match: { template: '/orders/{id}', methods: ['GET'] }, cors: true, target: await named('read') },
        {
          id: 'change',
          match: { template: '/orders/{id}', methods: ['PATCH'], transports: ['http'] },
          target: await named('change'),
        },
      ],
    });
    const asked = async (method: string, path: string, headers: Readonly<Record<string, string>> = {}): Promise<Response> =>
      fetch(`${plain}${path}`, { method, headers });
    assert.equal(await (await asked('GET', '/orders/7?x=1')).text(), 'read');
    assert.equal(await (await asked('PATCH', '/orders/7')).text(), 'change');
    assert.equal(await (await asked('OPTIONS', '/orders/7', { 'Access-Control-Request-Method': 'PATCH' })).text(), 'change');
    assert.equal((await asked('GET', '/orders/7/items')).status, 404);
    const refused = await asked('DELETE', '/orders/7');
    assert.deepEqual([refused.status, refused.headers.get('allow')], [405, 'GET, PATCH, HEAD']);
    assert.equal((await asked('DELETE', '/orders')).status, 404);
  });

  it('cut from the path what stands before the first name', async () => {
    const backend = await startBackend(({ path }) => ({ body: path }));
    onClear(() => backend.stop());
    const [plain = ''] = await start({
      listen: [loopback],
      routes: [{ id: 'room', match: { template: '/v1/chat/{room}' }, path: { replace: '/rooms/' }, target: backend.origin }],
    });
    assert.equal((await ask(`${plain}/v1/chat/a?x=1`, 'h')).body, '/rooms/a?x=1');
  });
});

/** What the gateway behind gets for a credential, with every request of a session: the client's, the service's, or none. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';
import { adapters } from '../../adapters/index.ts';
import type { BackendRequest } from '../support/backend.ts';
import { refusedClient } from '../support/client.ts';
import { clearStage, onClear, setStage, type Stage } from './stage.ts';

describe("the client's credential (`credentials: relay`)", () => {
  afterEach(clearStage);

  for (const { name, credentialHeader } of adapters) {
    if (credentialHeader === undefined) continue;
    it(`${name}: goes from a query parameter to ${credentialHeader}, with OPEN and every message`, async () => {
      const stage = await setStage({ route: { adapter: { use: name, from: { query: 'k' } } } });
      await talk(stage, '/chat?a=%2Fx&k=ke%79-1&b=c%20d');
      assert.deepEqual(
        stage.backend.requests.map(({ path, headers }) => [path, headers[credentialHeader.toLowerCase()]]),
        Array.from({ length: 3 }, () => ['/chat?a=%2Fx&b=c%20d', 'key-1']),
      );
    });
  }

  it('goes on as it came without `from`, in fields and parameters', async () => {
    const stage = await setStage({ route: { adapter: 'kong' } });
    await talk(stage, '/?apikey=k1', { headers: { apikey: 'k2' } });
    for (const { path, headers } of stage.backend.requests) assert.deepEqual([path, headers['apikey']], ['/?apikey=k1', 'k2']);
  });

  it('goes from a cookie, and the other cookies stay', async () => {
    const stage = await setStage({ route: { adapter: { use: 'aws', from: { cookie: 'key' } } } });
    await talk(stage, '/', { headers: { Cookie: 'a=1; key=k1; b=2' } });
    for (const { headers } of stage.backend.requests)
      assert.deepEqual([headers['x-api-key'], headers['cookie']], ['k1', 'a=1; b=2']);
  });

  it('goes from an offered subprotocol with a prefix, and the 101 answers the marker', async () => {
    const stage = await setStage({ route: { adapter: { use: 'tyk', from: { subprotocol: 'token' }, prefix: 'Bearer ' } } });
    const client = await talk(stage, '/', { protocols: ['token', 'abc.def'] });
    assert.equal(client.socket.protocol, 'token');
    for (const { headers } of stage.backend.requests) {
      assert.equal(headers['authorization'], 'Bearer abc.def');
      assert.equal(headers['sec-websocket-protocol'], undefined);
    }
  });

  it('goes from one field to another, whatever stands there in any spelling', async () => {
    const stage = await setStage({ route: { adapter: { use: 'azure', from: { header: 'Authorization' } } } });
    const headers = { Authorization: 'Bearer k1', OCP_APIM_SUBSCRIPTION_KEY: 'x', 'ocp-apim-Subscription_Key': 'y' };
    await talk(stage, '/', { headers });
    for (const request of stage.backend.requests) {
      assert.deepEqual(spellings(request, 'ocp-apim-subscription-key'), ['k1']);
      assert.equal(request.headers['authorization'], undefined);
    }
  });

  it('goes to a query parameter in place of what stands there', async () => {
    const adapter = { use: 'apigee', from: { header: 'X-Key' }, to: { query: 'apikey' } };
    const stage = await setStage({ route: { adapter } });
    await talk(stage, '/chat?apik%65y=mine&a=1', { headers: { 'X-Key': 'k 1&x' } });
    for (const { path } of stage.backend.requests) assert.equal(path, '/chat?a=1&apikey=k%201%26x');
  });

  it('is moved for plain requests, too', async () => {
    const stage = await setStage({
      route: { adapter: { use: 'kong', from: { query: 'k' } } },
      answer: ({ path, headers }) => ({ status: 200, body: `${path} ${String(headers['apikey'])}` }),
    });
    assert.equal(await (await fetch(`${stage.url}/plain?k=k1&a=1`)).text(), '/plain?a=1 k1');
  });

  it('is moved for the handshake with a WebSocket backend, too', async () => {
    const sockets = new WebSocketServer({ host: '127.0.0.1', port: 0 });
    onClear(() => {
      for (const socket of sockets.clients) socket.terminate();
      sockets.close();
    });
    await once(sockets, 'listening');
    const asked: IncomingMessage[] = [];
    sockets.on('connection', (_socket, request) => asked.push(request));
    const { port } = sockets.address() as AddressInfo; // A TCP server has no other kind of address.
    const route = { adapter: { use: 'kong', from: { query: 'k' } } };
    await (await setStage({ route, targets: [{ url: `ws://127.0.0.1:${port}` }] })).open('/chat?k=k1');
    assert.deepEqual(
      asked.map(({ url, headers }) => [url, headers['apikey']]),
      [['/chat', 'k1']],
    );
  });

  it('is moved for clients of SockJS, who show it with every request', async () => {
    const stage = await setStage({ route: { adapter: { use: 'kong', from: { query: 'k' } }, sockjs: { path: '/sock' } } });
    const poll = (query: string) => fetch(`${stage.url}/sock/0/one/xhr${query}`, { method: 'POST' });
    assert.equal(await (await poll('?k=k1')).text(), 'o\n');
    assert.equal(stage.backend.requests[0]?.headers['apikey'], 'k1');
    assert.equal((await poll('?k=k2')).status, 404);
    assert.equal((await poll('')).status, 404);
  });

  it('may be missing: then the gateway says what it thinks of that', async () => {
    const stage = await setStage({ route: { adapter: { use: 'kong', from: { query: 'k' } } } });
    await talk(stage, '/', { headers: { apikey: 'own' } });
    assert.equal(stage.backend.requests[0]?.headers['apikey'], 'own');
  });

  it('is refused where two stand in one place, or it cannot be sent', async () => {
    const stage = await setStage({ route: { adapter: { use: 'kong', from: { query: 'k' } } } });
    for (const query of ['k=1&k=2', 'k=', 'k=a%0d%0aX-Consumer-Id:%20admin', 'k=%00', 'k=%e2%82%ac', `k=${'x'.repeat(9000)}`]) {
      const { status } = await refusedClient(`${stage.url.replace('http', 'ws')}/?${query}`);
      assert.equal(status, 400, query);
    }
    assert.equal(stage.backend.requests.length, 0);
  });

  it('does not come back when a policy has used it up, and goes on when that forwards it', async () => {
    for (const forward of [false, true]) {
      const policies = [{ use: 'api-key', keys: [{ name: 'ann', key: 'k1' }], from: { query: 'k' }, forward }];
      const stage = await setStage({ route: { adapter: { use: 'kong', from: { query: 'k' } }, policies } });
      await talk(stage, '/?k=k1');
      for (const { path, headers } of stage.backend.requests)
        assert.deepEqual([path, headers['apikey']], ['/', forward ? 'k1' : undefined]);
      await clearStage();
    }
  });
});

describe("the service's credential (`credentials: replace`)", () => {
  afterEach(clearStage);
  const policies = [{ use: 'api-key', keys: [{ name: 'ann', key: 'k1' }], from: { query: 'k' } }];
  const replace = { use: 'kong', credentials: 'replace', secret: 'the-service', consumer: 'X-App-User' };

  it("stands in place of the client's, with the verified caller beside it, in every request", async () => {
    const stage = await setStage({ route: { adapter: replace, policies } });
    const headers = { apikey: 'mine', ApiKey: 'mine', 'X-App-User': 'admin', x_app_user: 'admin' };
    await talk(stage, '/?k=k1', { headers });
    assert.equal(stage.backend.requests.length, 3);
    for (const request of stage.backend.requests) {
      assert.deepEqual(spellings(request, 'apikey'), ['the-service']);
      assert.deepEqual(spellings(request, 'x-app-user'), ['ann']);
      assert.equal(request.path, '/');
    }
  });

  it('is not lent to who is not known, where the gateway is to be told who it is', async () => {
    const stage = await setStage({ route: { adapter: replace, policies: [{ ...policies[0], required: false }] } });
    assert.equal((await refusedClient(`${stage.url.replace('http', 'ws')}/`)).status, 401);
    assert.equal((await fetch(`${stage.url}/`)).status, 401);
    assert.equal(stage.backend.requests.length, 0);
  });

  it('takes a prefix and a field of its own', async () => {
    const adapter = { use: 'generic', credentials: 'replace', secret: 's1', to: { header: 'X-Gateway' }, prefix: 'Key ' };
    const stage = await setStage({ route: { adapter } });
    await talk(stage, '/', { headers: { x_gateway: 'mine' } });
    for (const request of stage.backend.requests) assert.deepEqual(spellings(request, 'x-gateway'), ['Key s1']);
  });

  it("is all there is of it in the query, too: the client's own goes away", async () => {
    const adapter = { use: 'apigee', credentials: 'replace', secret: 's 1', to: { query: 'apikey' } };
    const stage = await setStage({ route: { adapter } });
    await talk(stage, '/?apikey=mine&a=1');
    for (const { path } of stage.backend.requests) assert.equal(path, '/?a=1&apikey=s%201');
  });
});

describe('no credential (`credentials: none`)', () => {
  afterEach(clearStage);

  it("takes the client's from where the gateway looks, and from where `from` says", async () => {
    const adapter = { use: 'tyk', credentials: 'none', from: { query: 'key', cookie: 'key', header: 'X-Key' } };
    const stage = await setStage({ route: { adapter } });
    await talk(stage, '/?key=1&a=1', { headers: { Authorization: 'Basic eA==', Cookie: 'key=2; b=1', x_key: '3' } });
    for (const request of stage.backend.requests) {
      assert.deepEqual([request.path, request.headers['cookie']], ['/?a=1', 'b=1']);
      assert.deepEqual([...spellings(request, 'authorization'), ...spellings(request, 'x-key')], []);
    }
  });
});

/** OPEN and two messages that come back. */
async function talk(stage: Stage, path: string, options: Parameters<Stage['open']>[1] = {}) {
  const client = await stage.open(path, options);
  for (const text of ['one', 'two']) {
    client.send(text);
    assert.equal(await client.nextText(), text);
  }
  return client;
}

/** The values of a field in all its spellings. */
function spellings({ headers }: BackendRequest, name: string): unknown[] {
  const found = Object.entries(headers).filter(([key]) => key.replaceAll('_', '-') === name);
  return found.map(([, value]) => value);
}

/** Fields of the gateway behind on their way to clients: those it renamed (`renamed` of adapters), and those that a route hides. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';
import { reply, startBackend, type BackendReply } from '../support/backend.ts';
import { openClient, refusedClient } from '../support/client.ts';
import { setHoldStage, takeAnswer, type HoldStage } from './holds.ts';
import { clearStage, isOpening, onClear, setStage } from './stage.ts';

type Fields = Readonly<Record<string, string>>;

/** Gets the fields that a client sees of a reply that has these. */
type Way = (sent: Fields, route: object) => Promise<ReadonlyMap<string, unknown>>;

/** Every way by which a reply of the gateway comes to a client. */
const ways: Readonly<Record<string, Way>> = {
  'an accepted handshake': async (headers, route) => {
    const stage = await setStage({ route, answer: () => reply([{ kind: 'open' }], headers) });
    return mapOf((await stage.open()).headers);
  },
  'a refused handshake': async (headers, route) => {
    const stage = await setStage({ route, answer: () => ({ status: 401, headers }) });
    return mapOf((await refusedClient(stage.url.replace('http', 'ws'))).headers);
  },
  'an accepted handshake of a WebSocket backend': async (headers, route) => {
    const origin = await startSockets(headers);
    const { url } = await setStage({ route, targets: [{ url: origin }] });
    const client = await openClient(url.replace('http', 'ws'));
    onClear(() => client.socket.terminate());
    return mapOf(client.headers);
  },
  'a refused handshake of a WebSocket backend': async (headers, route) => {
    const backend = await startBackend(() => ({ status: 401, headers }));
    onClear(() => backend.stop());
    const stage = await setStage({ route, targets: [{ url: backend.origin.replace('http', 'ws') }] });
    return mapOf((await refusedClient(stage.url.replace('http', 'ws'))).headers);
  },
  'a plain answer': async (headers, route) => (await answered({ status: 401, headers }, route)).headers,
  'the trailer of a plain answer': async (headers, route) => {
    const stage = await setHoldStage({
      route,
      answer: ({ response }) => {
        response.writeHead(200, { 'Transfer-Encoding': 'chunked' });
        response.write('body');
        response.addTrailers(headers);
        response.end();
        return undefined;
      },
    });
    const socket = await stage.request('/');
    await socket.takeUntil('\r\n0\r\n');
    const lines = (await socket.takeUntil('\r\n\r\n')).toString().trim().split('\r\n');
    return new Map(lines.map((line) => [line.split(':', 1)[0]?.toLowerCase() ?? '', line.split(': ')[1]]));
  },
  'an answer with instructions': async (headers, route) =>
    (await answered({ headers: { ...headers, 'Grip-Status': '401' }, body: 'no' }, route)).headers,
  'the end of a held response': async (headers, route) => {
    const stage = await setHoldStage({ route, answer: () => holding(headers) });
    return (await released(stage, (one) => one.answered('c', 'item'))).headers;
  },
  'an answer that takes the place of a held response': async (headers, route) => {
    const stage = await setHoldStage({ route, answer: () => holding({}) });
    return (
      await released(stage, (one) => {
        stage.backend.answer = () => ({ status: 401, headers });
        return one.recover();
      })
    ).headers;
  },
  'a held stream': async (headers, route) => {
    const fields = { 'Grip-Hold': 'stream', 'Grip-Channel': 'c', ...headers };
    const socket = await (await setHoldStage({ route, answer: () => ({ headers: fields }) })).request('/');
    return (await socket.takeHead()).headers;
  },
};

const ofGateways = {
  Via: '1.1 kong/3.4.2',
  Server: 'kong/3.4.2',
  'X-Kong-Upstream-Latency': '3',
  'X-Generator': 'tyk.io',
  'X-APISIX-Upstream-Status': '200',
  'X-Tyk-Trace-Id': 'x',
  'X-Varnish': '12',
  target_sent_start_timestamp: '1',
};

describe('fields in which gateways show themselves', () => {
  afterEach(clearStage);

  for (const [name, seenBy] of Object.entries(ways))
    it(`are left out of ${name} with \`hideGateway\`, and only then`, async () => {
      const sent = { ...ofGateways, 'X-Kongo': 'stays', 'X-Server': 'stays' };
      const names = Object.keys(ofGateways).map((field) => field.toLowerCase());
      const shown = await seenBy(sent, {});
      for (const field of names) assert.ok(shown.has(field), field);
      const seen = await seenBy(sent, { hideGateway: true });
      for (const field of names) assert.equal(seen.get(field), undefined, field);
      assert.deepEqual([seen.get('x-kongo'), seen.get('x-server')], ['stays', 'stays']);
    });
});

describe('fields that a gateway renames', () => {
  afterEach(clearStage);
  const sent = { 'x-amzn-Remapped-Authorization': 'Bearer new' };

  for (const [name, seenBy] of Object.entries(ways)) {
    if (name.includes('trailer')) continue; // Such gateways have none.
    it(`have their own names in ${name}, where its adapter knows them`, async () => {
      const known = await seenBy(sent, { adapter: 'aws' });
      assert.deepEqual([known.get('authorization'), known.get('x-amzn-remapped-authorization')], ['Bearer new', undefined]);
      const unknown = await seenBy(sent, {});
      assert.deepEqual([unknown.get('authorization'), unknown.get('x-amzn-remapped-authorization')], [undefined, 'Bearer new']);
    });
  }

  it('are meant by `Grip-Expose-Headers` under their own names', async () => {
    const headers = { ...sent, 'X-Own': '1', 'Grip-Expose-Headers': 'Authorization', 'Grip-Status': '200' };
    const seen = (await answered({ headers }, { adapter: 'aws' })).headers;
    assert.deepEqual([seen.get('authorization'), seen.get('x-own')], ['Bearer new', undefined]);
  });
});

function holding(headers: Fields): BackendReply {
  return { headers: { 'Grip-Hold': 'response', 'Grip-Channel': 'c', ...headers } };
}

async function answered(answer: BackendReply, route: object) {
  const stage = await setHoldStage({ route, answer: (request) => (isOpening(request) ? { status: 500 } : answer) });
  return takeAnswer(await stage.request('/'));
}

async function released(stage: HoldStage, release: (stage: HoldStage) => Promise<void>) {
  const socket = await stage.request('/');
  await stage.joined('c');
  await release(stage);
  return takeAnswer(socket);
}

/** A WebSocket backend whose handshakes have these fields. */
async function startSockets(headers: Fields): Promise<string> {
  const server = createServer();
  const sockets = new WebSocketServer({ server });
  sockets.on('headers', (lines) => void lines.push(...Object.entries(headers).map(([name, value]) => `${name}: ${value}`)));
  onClear(() => {
    for (const socket of sockets.clients) socket.terminate();
    server.close();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `ws://127.0.0.1:${(server.address() as AddressInfo).port}`; // A TCP server has no other kind of address.
}

function mapOf(headers: IncomingHttpHeaders): ReadonlyMap<string, unknown> {
  return new Map(Object.entries(headers));
}

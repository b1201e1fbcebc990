/** Breakers and caps of targets, over real sockets: who is left alone, who takes over, and what everybody is told. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { Type } from 'typebox';
import { WebSocketServer } from 'ws';
import type { Log } from '../../gateway/core/log.ts';
import { silentLog } from '../../gateway/core/log.ts';
import { definePolicy } from '../../gateway/core/policy.ts';
import { echo, startBackend, type Answer } from '../support/backend.ts';
import { refusedClient } from '../support/client.ts';
import { byPath, held, setHoldStage } from './holds.ts';
import { clearStage, eventually, gate, onClear, setStage, stageConfig, type Stage } from './stage.ts';

afterEach(clearStage);

const breaker = { minimum: 3, window: '60s', openFor: '1s' };
const sick: Answer = () => ({ status: 503, body: 'sick' });

const failingPolicy = definePolicy({
  name: 'failing',
  summary: 'Cannot be made.',
  options: Type.Object({}),
  create: () => {
    throw new Error('not today');
  },
});

interface Told {
  readonly event: string;
  readonly state: unknown;
  readonly was: unknown;
  readonly target: unknown;
}

function listen(): { readonly log: Log; readonly told: Told[] } {
  const told: Told[] = [];
  const tell: Log['info'] = (event, { state, was, target } = {}) => {
    if (event === 'circuit.changed') told.push({ event, state, was, target });
  };
  return { log: { ...silentLog, warn: tell, info: tell }, told };
}

async function metric(stage: Stage, name: string): Promise<number[]> {
  const text = await (await fetch(`${stage.controlUrl}/metrics`)).text();
  return [...text.matchAll(new RegExp(`^foregate_${name}(?:\\{[^}]*\\})? (\\d+)$`, 'gm'))].map(([, value]) => Number(value));
}

/** Plain requests, one after the other; their statuses. */
async function ask(stage: Stage, times: number, path = '/'): Promise<number[]> {
  const statuses = [];
  for (let i = 0; i < times; i += 1) {
    const response = await fetch(`${stage.url}${path}`);
    await response.text();
    statuses.push(response.status);
  }
  return statuses;
}

describe('a target with a breaker', () => {
  it('is left alone when it fails too often, tried again after a time, and used when it has recovered', async () => {
    const { log, told } = listen();
    const stage = await setStage({ answer: sick, target: { breaker }, log });
    assert.deepEqual(await ask(stage, 3), [503, 503, 503]);
    const refused = await fetch(stage.url);
    assert.equal(refused.status, 503);
    assert.equal(refused.headers.get('retry-after'), '1');
    assert.equal(await refused.text(), 'Error while proxying to origin.\n');
    assert.equal(stage.backend.requests.length, 3);
    assert.deepEqual(await metric(stage, 'target_circuit'), [2]);
    const { targets } = (await (await fetch(`${stage.controlUrl}/stats`)).json()) as { readonly targets: unknown };
    assert.deepEqual(targets, [{ target: stage.backend.origin, circuit: 'open' }]);
    await eventually(async () => (await metric(stage, 'target_circuit'))[0] === 1);
    assert.deepEqual(await ask(stage, 1), [503]); // The probe; it fails.
    assert.equal(stage.backend.requests.length, 4);
    assert.deepEqual(await metric(stage, 'target_circuit'), [2]);
    stage.backend.answer = () => ({ body: 'well' });
    await eventually(async () => (await metric(stage, 'target_circuit'))[0] === 1);
    assert.deepEqual(await ask(stage, 2), [200, 200]);
    assert.deepEqual(await metric(stage, 'target_circuit'), [0]);
    assert.deepEqual(await metric(stage, 'circuit_refusals_total'), [1]);
    assert.deepEqual(
      told.map(({ was, state }) => [was, state].join(' ')),
      ['closed open', 'open half-open', 'half-open open', 'open half-open', 'half-open closed'],
    );
    assert.ok(told.every(({ target }) => target === stage.backend.origin));
  });

  it('gives its clients to the next target: plain requests, handshakes and events alike', async () => {
    const second = await startBackend((request) => (request.method === 'GET' ? { body: 'second' } : echo(request)));
    onClear(() => second.stop());
    const first = await startBackend(sick);
    onClear(() => first.stop());
    const stage = await setStage({
      targets: [{ url: first.origin, breaker: { ...breaker, openFor: '1h' } }, { url: second.origin }],
    });
    assert.deepEqual(await ask(stage, 4), [503, 503, 503, 200]);
    const client = await stage.open();
    client.send('hello');
    assert.equal(await client.nextText(), 'hello');
    assert.equal(first.requests.length, 3);
  });

  it('counts refused connections, answers that do not come and connections that break', async () => {
    for (const [answer, target] of [
      [undefined, { url: 'http://127.0.0.1:1' }],
      [() => undefined, { timeout: '40ms' }],
      [({ response }) => void response.destroy(), {}],
    ] as readonly (readonly [Answer | undefined, object])[]) {
      const backend = await startBackend(answer);
      onClear(() => backend.stop());
      const stage = await setStage({ targets: [{ url: backend.origin, breaker: { ...breaker, openFor: '1h' }, ...target }] });
      const statuses = await ask(stage, 4);
      assert.ok([502, 504].includes(statuses[2] ?? 0), String(statuses));
      assert.equal(statuses[3], 503);
      const socket = await refusedClient(stage.url.replace('http', 'ws'));
      assert.deepEqual([socket.status, socket.headers['retry-after']], [503, '3600']);
      await clearStage();
    }
  });

  it('does not count what clients do, nor other statuses', async () => {
    const stage = await setStage({ answer: () => ({ status: 500 }), target: { breaker: { ...breaker, openFor: '1h' } } });
    assert.deepEqual(await ask(stage, 5), Array(5).fill(500));
    const waits = gate();
    stage.backend.answer = async () => {
      await waits.passed;
      return {};
    };
    for (let i = 0; i < 4; i += 1) {
      const leaving = new AbortController();
      const asked = fetch(stage.url, { signal: leaving.signal });
      await stage.backend.until(() => stage.backend.requests.length === 6 + i);
      leaving.abort();
      await assert.rejects(asked);
    }
    waits.open();
    assert.deepEqual(await ask(stage, 1), [200]);
  });

  it('keeps the events of open sockets until it is back, in their order', async () => {
    const stage = await setStage({ target: { breaker } });
    const client = await stage.open();
    stage.backend.answer = (request) => (request.method === 'GET' ? sick(request) : echo(request));
    await ask(stage, 3);
    assert.deepEqual(await metric(stage, 'target_circuit'), [2]);
    for (const text of ['1', '2']) client.send(text);
    assert.equal(await client.nextText(), '1');
    assert.equal(await client.nextText(), '2');
    assert.deepEqual(await metric(stage, 'target_circuit'), [0]);
  });

  it('is not asked for holds either while it is left alone', async () => {
    const stage = await setHoldStage({
      answer: byPath({ '/poll': held('p'), '/sick': { status: 503 } }),
      target: { breaker: { ...breaker, openFor: '1h' } },
    });
    const polling = await stage.request('/poll');
    await stage.joined('p');
    assert.deepEqual(await ask(stage, 4, '/sick'), Array(4).fill(503));
    await stage.recover(); // The held request is asked for again.
    const { status, headers } = await polling.takeHead();
    assert.deepEqual([status, headers.get('retry-after')], [503, '3600']);
    assert.equal(stage.at('/poll').length, 1);
  });

  it('has the same breaker after a reload with the same terms, whatever its route is called', async () => {
    const stage = await setStage({ answer: sick, target: { breaker: { ...breaker, openFor: '1h' } } });
    const { requests, origin } = stage.backend;
    await ask(stage, 3);
    await stage.foregate.reload(
      await stageConfig({ route: { id: 'renamed' } }, [{ url: origin, breaker: { ...breaker, openFor: '1h' } }]),
    );
    assert.deepEqual(await ask(stage, 1), [503]);
    assert.equal(requests.length, 3);
    await stage.foregate.reload(await stageConfig({}, [{ url: origin }]));
    await ask(stage, 1);
    assert.equal(requests.length, 4);
    assert.deepEqual(await metric(stage, 'target_circuit'), []);
  });

  it('leaves nothing behind when a configuration comes to nothing', async () => {
    const stage = await setStage({ target: { breaker } });
    const target = { url: stage.backend.origin, breaker };
    const loaded = await stageConfig({}, [target, { url: 'http://other.internal', breaker }]);
    const failing = { use: 'failing', definition: failingPolicy, options: {}, place: { file: '', line: 0, column: 0, path: '' } };
    await assert.rejects(
      stage.foregate.reload({ ...loaded, routes: loaded.routes.map((route) => ({ ...route, policies: [failing] })) }),
      /not today/,
    );
    assert.deepEqual(await metric(stage, 'target_circuit'), [0]);
  });

  it('counts the handshakes of WebSocket backends, and refuses them while it is open', async () => {
    let isSick = true;
    const server = createServer();
    const sockets = new WebSocketServer({ noServer: true });
    server.on('upgrade', (request, socket, head) => {
      if (isSick) socket.end('HTTP/1.1 503 Sick\r\nContent-Length: 0\r\n\r\n');
      else sockets.handleUpgrade(request, socket, head, (accepted) => accepted.on('message', (data) => accepted.send(data)));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    onClear(() => {
      for (const socket of sockets.clients) socket.terminate();
      server.close();
      server.closeAllConnections();
    });
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const stage = await setStage({ targets: [{ url: `ws://127.0.0.1:${port}`, breaker }] });
    const url = stage.url.replace('http', 'ws');
    for (let i = 0; i < 3; i += 1) assert.equal((await refusedClient(url)).headers['retry-after'], undefined);
    assert.equal((await refusedClient(url)).headers['retry-after'], '1');
    isSick = false;
    await eventually(async () => (await metric(stage, 'target_circuit'))[0] === 1);
    await stage.open();
    assert.deepEqual(await metric(stage, 'target_circuit'), [0]);
  });
});

describe('a target with a cap on requests in flight', () => {
  /** Answers nothing until the gate is open; counts the most at once. */
  function busy() {
    const waits = gate();
    let now = 0;
    let most = 0;
    const answer: Answer = async (request) => {
      most = Math.max(most, (now += 1));
      await waits.passed;
      now -= 1;
      return request.method === 'GET' ? { body: 'done' } : echo(request);
    };
    return { answer, open: () => waits.open(), most: () => most };
  }

  it('has no more at once; some wait, and the rest is refused as overloaded', async () => {
    const { answer, open, most } = busy();
    const stage = await setStage({ answer, target: { inFlight: { max: 2, queue: 1, wait: '1h' } } });
    const asked = [ask(stage, 1), ask(stage, 1)];
    await eventually(async () => (await metric(stage, 'target_in_flight'))[0] === 2);
    const client = stage.open(); // A handshake of events waits in the same queue.
    await eventually(async () => (await metric(stage, 'target_waiting'))[0] === 1);
    assert.deepEqual(await ask(stage, 1), [503]);
    assert.equal((await refusedClient(stage.url.replace('http', 'ws'))).status, 503);
    open();
    assert.deepEqual(await Promise.all(asked), [[200], [200]]);
    (await client).send('x');
    assert.equal(await (await client).nextText(), 'x');
    assert.equal(most(), 2);
    assert.deepEqual(await metric(stage, 'target_overloads_total'), [2]);
    await eventually(async () => (await metric(stage, 'target_in_flight'))[0] === 0);
  });

  it('closes an open socket with 1013 where its events find no room', async () => {
    const { answer, open } = busy();
    const stage = await setStage({ target: { inFlight: { max: 1, queue: 0 } } });
    const client = await stage.open();
    stage.backend.answer = answer;
    const asked = ask(stage, 1);
    await eventually(async () => (await metric(stage, 'target_in_flight'))[0] === 1);
    client.send('x');
    assert.equal((await client.closed()).code, 1013);
    open();
    assert.deepEqual(await asked, [200]);
  });

  it('tells those who wait at once when the circuit opens', async () => {
    const waits = gate();
    const stage = await setStage({
      answer: async () => {
        await waits.passed;
        return { status: 503 };
      },
      target: { inFlight: { max: 1, queue: 9, wait: '1h' }, breaker: { minimum: 1, openFor: '1h' } },
    });
    const asked = Array.from({ length: 4 }, () => fetch(stage.url));
    await eventually(async () => (await metric(stage, 'target_waiting'))[0] === 3);
    waits.open();
    const told = (await Promise.all(asked)).map(({ headers }) => headers.get('retry-after'));
    assert.deepEqual([told.filter((after) => after === '3600').length, told.includes(null)], [3, true]);
    assert.equal(stage.backend.requests.length, 1);
    await eventually(async () => (await metric(stage, 'target_in_flight'))[0] === 0);
  });

  it('lets nobody wait longer than it should', async () => {
    const { answer, open } = busy();
    const stage = await setStage({ answer, target: { inFlight: { max: 1, queue: 5, wait: '50ms' } } });
    const asked = ask(stage, 1);
    await eventually(async () => (await metric(stage, 'target_in_flight'))[0] === 1);
    assert.deepEqual(await ask(stage, 1), [503]);
    open();
    assert.deepEqual(await asked, [200]);
    assert.deepEqual(await ask(stage, 1), [200]);
  });

  it('takes back the place of a client that left while it waited or was served', async () => {
    const { answer, open } = busy();
    const stage = await setStage({ answer, target: { inFlight: { max: 1, queue: 5, wait: '1h' } } });
    const leaving = new AbortController();
    const asked = [0, 1].map(() => fetch(stage.url, { signal: leaving.signal }));
    await eventually(async () => (await metric(stage, 'target_waiting'))[0] === 1);
    leaving.abort();
    await Promise.allSettled(asked);
    open();
    assert.deepEqual(await ask(stage, 2), [200, 200]);
    await eventually(async () => (await metric(stage, 'target_in_flight'))[0] === 0);
    assert.deepEqual(await metric(stage, 'target_waiting'), [0]);
  });

  it('finds the limit by itself where it is adaptive', async () => {
    const stage = await setStage({
      answer: () => ({ body: 'well' }),
      target: { inFlight: { max: 50, queue: 1000, wait: '1h', adaptive: { min: 2, backoff: 0.5 } } },
    });
    assert.deepEqual(await metric(stage, 'target_in_flight_limit'), [2]);
    await Promise.all(Array.from({ length: 20 }, () => ask(stage, 5)));
    const [grown = 0] = await metric(stage, 'target_in_flight_limit');
    assert.ok(grown > 10, String(grown));
    stage.backend.answer = sick;
    await ask(stage, 1);
    const [fallen = 0] = await metric(stage, 'target_in_flight_limit');
    assert.equal(fallen, Math.floor(grown / 2));
  });
});

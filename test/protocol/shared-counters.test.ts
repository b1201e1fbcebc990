/** Limits that several Foregates share by a real redis-server, and what they say when it is away. */
import assert from 'node:assert/strict';
import jsonwebtoken from 'jsonwebtoken';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { startSlowLink } from '../support/slow-link.ts';
import { clearStage, eventually, onClear, setStage, stageConfig, type Stage } from './stage.ts';

afterEach(clearStage);

describe('limits shared by Redis', function () {
  this.timeout(20_000);

  it('hold for all Foregates together, for messages and for connections', async () => {
    const { url } = await redis();
    const route = {
      policies: [
        { use: 'rate-limit', messages: 5, window: '1h' },
        { use: 'rate-limit', connections: 2, window: '1h' },
      ],
    };
    const stages = [await stageWith({ url }, route), await stageWith({ url }, route)];
    const clients = [];
    for (const stage of stages) clients.push(await stage.open());
    for (let i = 0; i < 5; i += 1) {
      clients[i % 2]?.send(String(i));
      assert.equal(await clients[i % 2]?.nextText(), String(i));
    }
    for (const client of clients) {
      client.send('one more');
      assert.equal((await client.closed()).code, 4429);
    }
    for (const { url: gateway } of stages) {
      const refused = await fetch(gateway);
      assert.equal(refused.status, 429);
      assert.ok(Number(refused.headers.get('retry-after')) > 3500);
    }
  });

  it('hold for the connections that are open at all Foregates together, wherever one of them ends', async () => {
    const { url } = await redis();
    const route = { policies: [{ use: 'concurrency', max: 2 }] };
    const [one, two] = [await stageWith({ url }, route), await stageWith({ url }, route)];
    const clients = [await one.open(), await two.open()];
    for (const stage of [one, two]) await assert.rejects(stage.open(), /429/);
    clients[0]?.socket.terminate();
    await eventually(async () =>
      two.open().then(
        () => true,
        () => false,
      ),
    );
    await assert.rejects(one.open(), /429/);
  });

  it('end the oldest connection of all Foregates for the newest, if so wished', async () => {
    const { url } = await redis();
    const route = { policies: [{ use: 'concurrency', max: 1, over: 'evict', code: 4100 }] };
    const [one, two] = [await stageWith({ url }, route), await stageWith({ url }, route)];
    const old = await one.open();
    const young = await two.open();
    assert.equal((await old.closed()).code, 4100);
    young.send('x');
    assert.equal(await young.nextText(), 'x');
  });

  it('let one of many in that bring the same ticket to two Foregates at the same moment', async () => {
    const { url } = await redis();
    const secret = 'a secret of thirty-two bytes or more';
    const route = {
      policies: [
        { use: 'jwt', secret, required: false },
        { use: 'ticket', secret },
      ],
    };
    const [one, two] = [await stageWith({ url }, route), await stageWith({ url }, route)];
    const headers = { Authorization: `Bearer ${jsonwebtoken.sign({ sub: 'ann' }, secret)}` };
    for (let round = 0; round < 5; round += 1) {
      const { ticket } = (await (await fetch(`${one.url}/tickets`, { method: 'POST', headers })).json()) as { ticket: string };
      const attempts = Array.from({ length: 10 }, () =>
        [one, two].map((stage) => fetch(`${stage.url}/?ticket=${ticket}`)),
      ).flat();
      const statuses = (await Promise.all(attempts)).map(({ status }) => status);
      assert.deepEqual(
        [200, 401].map((status) => statuses.filter((each) => each === status).length),
        [1, 19],
      );
    }
  });

  it('go on after a reload', async () => {
    const { url } = await redis();
    const route = { policies: [{ use: 'rate-limit', messages: 2, window: '1h' }] };
    const stage = await stageWith({ url }, route);
    assert.equal((await fetch(stage.url)).status, 200);
    await stage.foregate.reload(await stageConfig({ route }, [{ url: stage.backend.origin }]));
    assert.equal((await fetch(stage.url)).status, 200);
    assert.equal((await fetch(stage.url)).status, 429);
    assert.deepEqual(await readiness(stage), [200, { status: 'ready', store: 'up' }]);
  });

  it('cost a burst of one session about one round trip, and its order stays', async () => {
    const { port } = await redis();
    const link = await startSlowLink(port);
    onClear(() => link.stop());
    const stage = await stageWith(
      { url: `redis://127.0.0.1:${link.port}` },
      { policies: [{ use: 'rate-limit', messages: 1000, window: '1h' }] },
    );
    const client = await stage.open();
    const pieces = link.pieces;
    link.delayMs = 100;
    for (let i = 0; i < 100; i += 1) client.send(String(i));
    for (let i = 0; i < 100; i += 1) assert.equal(await client.nextText(), String(i));
    assert.ok(link.pieces - pieces <= 10, `${link.pieces - pieces} calls`);
  });

  it('are kept by each for itself while Redis is away, and told of', async () => {
    const server = await redis();
    const stage = await stageWith({ url: server.url }, { policies: [{ use: 'rate-limit', messages: 1, window: '1h' }] });
    assert.deepEqual(await readiness(stage), [200, { status: 'ready', store: 'up' }]);
    assert.match(await metrics(stage), /^foregate_store_up 1$/m);
    assert.equal((await fetch(stage.url)).status, 200);
    await server.kill();
    await eventually(async () => (await metrics(stage)).includes('foregate_store_up 0'));
    assert.deepEqual(await readiness(stage), [200, { status: 'ready', store: 'away' }]);
    assert.equal((await fetch(stage.url)).status, 200);
    assert.equal((await fetch(stage.url)).status, 429);
    assert.match(await metrics(stage), /^foregate_store_misses_total 2$/m);
  });

  it('refuse everything while Redis is away, if so wished, and then nobody shall be sent there', async () => {
    const server = await redis();
    const stage = await stageWith(
      { url: server.url, whenAway: 'deny' },
      { policies: [{ use: 'rate-limit', messages: 1000, window: '1h' }] },
    );
    const client = await stage.open();
    assert.equal((await fetch(stage.url)).status, 200);
    await server.kill();
    await eventually(async () => (await readiness(stage))[0] === 503);
    assert.deepEqual(await readiness(stage), [503, { status: 'unavailable', store: 'away' }]);
    const refused = await fetch(stage.url);
    assert.deepEqual([refused.status, refused.headers.get('retry-after')], [429, '1']);
    client.send('x');
    assert.equal((await client.closed()).code, 4429);
    await server.start();
    await eventually(async () => (await readiness(stage))[0] === 200);
    assert.equal((await fetch(stage.url)).status, 200);
  });

  it('say nothing of a store where each counts for itself', async () => {
    const stage = await setStage();
    assert.deepEqual(await readiness(stage), [200, { status: 'ready' }]);
    assert.match(await metrics(stage), /^foregate_store_up 1$/m);
  });
});

async function redis(): Promise<RedisServer> {
  const server = await startRedis();
  onClear(() => server.kill());
  return server;
}

/** The time is long, so that a busy machine does not make Redis seem away. */
function stageWith(store: object, route: object): Promise<Stage> {
  return setStage({ route, settings: { store: { use: 'redis', timeout: '5s', ...store } } });
}

async function readiness({ controlUrl }: Stage): Promise<[status: number, body: unknown]> {
  const response = await fetch(`${controlUrl}/health/ready`);
  return [response.status, await response.json()];
}

async function metrics({ controlUrl }: Stage): Promise<string> {
  return (await fetch(`${controlUrl}/metrics`)).text();
}

/** What several Foregates with one Redis tell each other: published items, revocations, and what all shall do. */
import assert from 'node:assert/strict';
import { Redis } from 'ioredis';
import jsonwebtoken from 'jsonwebtoken';
import { text, type Answer, type BackendRequest } from '../support/backend.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { byPath, held, setHoldStage, stream, takeAnswer, takeChunk, type HoldStage } from './holds.ts';
import { acceptedWithGrip, afterOpen, clearStage, eventually, nothing, onClear } from './stage.ts';

const secret = 'a secret of thirty-two bytes or more';
const headers = { Authorization: `Bearer ${jsonwebtoken.sign({ sub: 'ann' }, secret)}` };

afterEach(clearStage);

describe('Foregates with one bus in Redis', function () {
  this.timeout(20_000);

  it('deliver what was published at one of them to the clients of all, once', async () => {
    const stages = await twoStages((await redis()).url);
    const clients = await Promise.all(stages.map((stage) => stage.open()));
    const events = await Promise.all(stages.map((stage) => stage.request('/events')));
    for (const socket of events) await socket.takeHead();
    await joined(stages, 2);
    for (const [index, stage] of stages.entries())
      await stage.item('c', { 'ws-message': { content: `m${index}` }, 'http-stream': { content: `s${index}` } });
    for (const client of clients) assert.deepEqual([await client.nextText(), await client.nextText()].toSorted(), ['m0', 'm1']);
    for (const socket of events) assert.deepEqual([await takeChunk(socket), await takeChunk(socket)].toSorted(), ['s0', 's1']);
  });

  it('end the sessions of who was revoked at one of them within a second, and let nobody in with it anywhere', async () => {
    const stages = await twoStages((await redis()).url, { policies: [{ use: 'jwt', secret }] });
    const clients = await Promise.all(stages.map((stage) => stage.open('/', { headers })));
    const closed = Promise.all(clients.map((client) => client.closed()));
    const startedAt = performance.now();
    const response = await fetch(`${stages[0].controlUrl}/revoke`, { method: 'POST', body: JSON.stringify({ subject: 'ann' }) });
    assert.equal(response.status, 200);
    assert.deepEqual(
      (await closed).map(({ code }) => code),
      [4401, 4401],
    );
    assert.ok(performance.now() - startedAt <= 1000);
    for (const stage of stages) await assert.rejects(stage.open('/', { headers }), /401/);
  });

  it('keep out who was revoked before they started', async () => {
    const { url } = await redis();
    const route = { policies: [{ use: 'jwt', secret }] };
    const [one] = await twoStages(url, route);
    await fetch(`${one.controlUrl}/revoke`, { method: 'POST', body: JSON.stringify({ subject: 'ann' }) });
    await one.foregate.stop();
    for (const stage of await twoStages(url, route)) await assert.rejects(stage.open('/', { headers }), /401/);
  });

  it('make what is held ask its backend at all of them', async () => {
    const stages = await twoStages((await redis()).url);
    for (const stage of stages) await stage.request('/poll');
    await joined(stages, 1);
    await stages[0].recover();
    for (const stage of stages) await eventually(() => stage.at('/poll').length === 2);
  });

  it('notice what was published elsewhere while a client that polls was about to come back', async () => {
    const asked: string[] = [];
    const [one, two]: HoldStage[] = await twoStages((await redis()).url, {}, async ({ path }) => {
      // It publishes at the other one while it answers, as if it had read its data before.
      if (asked.push(path) === 2) await two?.answered('c', 'nobody gets this');
      return asked.length === 3 ? { body: 'the item' } : held('c');
    });
    assert.ok(one && two);
    const poll = await one.request('/poll');
    await one.joined('c');
    await two.answered('c', 'first');
    assert.equal((await takeAnswer(poll)).body, 'first');
    await one.joined('c', 0);
    assert.equal((await takeAnswer(await one.request('/poll'))).body, 'the item');
  });

  it('give a channel up some time after its last subscriber has left', async () => {
    const { url } = await redis();
    const client = new Redis(url);
    onClear(() => client.disconnect());
    const wanted = async (): Promise<unknown> => client.call('PUBSUB', 'CHANNELS', '*item:*');
    const stages = await twoStages(url, {}, paths, { holds: { linger: '300ms' } });
    const clients = await Promise.all(stages.map((stage) => stage.open()));
    await joined(stages, 1);
    assert.deepEqual(await wanted(), ['foregate:item:c']);
    for (const { socket } of clients) socket.terminate();
    await eventually(async () => JSON.stringify(await wanted()) === '[]');
  });

  it('say how their bus is, and deliver their own items while it is away', async () => {
    const server = await redis();
    const [one, two] = await twoStages(server.url);
    assert.deepEqual(await readiness(one), [200, { status: 'ready', bus: 'up' }]);
    const client = await one.open();
    await one.joined('c');
    await server.kill();
    await eventually(async () => (await metrics(one)).includes('foregate_bus_up 0'));
    assert.deepEqual(await readiness(one), [200, { status: 'ready', bus: 'away' }]);
    await one.say('c', 'own');
    assert.equal(await client.nextText(), 'own');
    assert.match(await metrics(one), /^foregate_bus_misses_total 1$/m);
    await server.start();
    await eventually(async () => (await metrics(one)).includes('foregate_bus_up 1') && (await metrics(two)).includes('bus_up 1'));
    await two.say('c', 'from elsewhere');
    assert.equal(await client.nextText(), 'from elsewhere');
  });
});

async function redis(): Promise<RedisServer> {
  const server = await startRedis();
  onClear(() => server.kill());
  return server;
}

/** WebSockets join the channel `c`; so do `/events` and `/poll`. */
async function twoStages(
  url: string,
  route: object = {},
  plain: Answer = paths,
  more: object = {},
): Promise<[HoldStage, HoldStage]> {
  const terms = {
    route,
    settings: { bus: { use: 'redis', url, timeout: '5s' }, ...more },
    answer: (request: BackendRequest) => (request.events.length > 0 ? sockets(request) : plain(request)),
  };
  return [await setHoldStage(terms), await setHoldStage(terms)];
}

const paths = byPath({ '/events': stream('c'), '/poll': held('c') });
const sockets = afterOpen(() => nothing, acceptedWithGrip([text('c:{"type":"subscribe","channel":"c"}')]));

async function joined(stages: readonly HoldStage[], count: number): Promise<void> {
  for (const stage of stages) await stage.joined('c', count);
}

async function readiness({ controlUrl }: HoldStage): Promise<[status: number, body: unknown]> {
  const response = await fetch(`${controlUrl}/health/ready`);
  return [response.status, await response.json()];
}

async function metrics({ controlUrl }: HoldStage): Promise<string> {
  return (await fetch(`${controlUrl}/metrics`)).text();
}

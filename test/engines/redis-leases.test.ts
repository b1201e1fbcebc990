/** Leases in Redis, beyond what every store keeps: exact in a storm of several processes, and none outlives its process. */
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { limits } from '../../gateway/core/limits.ts';
import { silentLog } from '../../gateway/core/log.ts';
import { isPromise } from '../../gateway/core/promise.ts';
import type { Settings } from '../../gateway/core/settings.ts';
import type { LeaseHolder, LeaseTerms, SharedStore } from '../../gateway/core/store.ts';
import { redisStore } from '../../gateway/engines/redis-store.ts';
import { clearStage, eventually, onClear, pause } from '../protocol/stage.ts';
import { startProcess, type Process } from '../support/processes.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { startSlowLink } from '../support/slow-link.ts';

interface Report {
  readonly rateLimit: number;
  readonly concurrency: number;
  readonly misses: number;
}

const program = fileURLToPath(new URL('redis-storm-process.ts', import.meta.url));
/** Its life sign ends after 5 s, and another process looks every second. */
const fallMs = 6000;

afterEach(clearStage);

describe('leases in redis', function () {
  this.timeout(60_000);

  it('are exactly as many as may be when 10000 come at once to 4 processes, and fall with theirs alone', async () => {
    const { url } = await redis();
    const processes = Array.from({ length: 4 }, () => storm(url, 2500));
    const reports = await Promise.all(processes.map(reportOf));
    assert.deepEqual([sumOf(reports, 'rateLimit'), sumOf(reports, 'concurrency'), sumOf(reports, 'misses')], [100, 100, 0]);
    const [fullest] = reports.toSorted((one, two) => two.concurrency - one.concurrency);
    const victim = processes[reports.findIndex((report) => report === fullest)];
    assert.ok(victim !== undefined && fullest !== undefined);
    await victim.stop('SIGKILL');
    await pause(fallMs);
    assert.equal((await reportOf(storm(url, 200))).concurrency, fullest.concurrency);
  });

  it('are never too many while holders come and go at several processes', async () => {
    const { url } = await redis();
    const stores = await Promise.all(Array.from({ length: 4 }, () => open({ url, whenAway: 'deny', timeout: '10s' })));
    const holding = new Map<string, SharedStore>();
    let most = 0;
    const come = async (store: SharedStore): Promise<void> => {
      const one = holder();
      if (!(await store.lease('key', one, atMost(7)))) return;
      holding.set(one.id, store);
      most = Math.max(most, holding.size);
    };
    for (let round = 0; round < 200; round += 1) {
      await Promise.all(stores.flatMap((store) => [come(store), come(store), come(store)]));
      for (const [id, store] of [...holding].slice(0, round % 5)) {
        holding.delete(id);
        store.release('key', id);
      }
    }
    assert.equal(most, 7);
    const client = redisClient(url);
    await eventually(async () => (await holdersInRedis(client)) === holding.size);
  });

  it('are not renewed one by one', async () => {
    const { port } = await redis();
    const link = await startSlowLink(port);
    onClear(() => link.stop());
    const store = await open({ url: `redis://127.0.0.1:${link.port}` });
    for (let i = 0; i < 1000; i += 1) assert.equal(await store.lease(`key-${i}`, holder(), atMost(1)), true);
    const before = link.pieces;
    await pause(3000);
    assert.ok(link.pieces - before <= 4, `${link.pieces - before} calls`);
  });

  it('leave nothing in Redis when they were given back', async () => {
    const { url } = await redis();
    const [one, two] = [await open({ url }), await open({ url })];
    const client = redisClient(url);
    for (let i = 0; i < 10; i += 1) {
      for (const store of [one, two]) {
        const terms = { max: 1, over: 'evict' } as const;
        assert.equal(await store.lease(`key-${i}`, { ...holder(), lost: () => {} }, terms), true);
      }
    }
    await one.close();
    await two.close();
    await eventually(async () => (await client.keys('*')).every((name) => /^foregate:[\w-]{43}$/.test(name)));
  });

  it('are shown to Redis as digests', async () => {
    const { url } = await redis();
    const store = await open({ url });
    assert.equal(await store.lease('concurrency:192.0.2.1', { ...holder(), id: 'session-id' }, atMost(1)), true);
    const client = redisClient(url);
    const names = await client.keys('foregate:lease:*');
    assert.equal(names.length, 1);
    const seen = JSON.stringify([names, await client.zrange(names[0] ?? '', '0', '-1')]);
    for (const hidden of ['192.0.2.1', 'session-id']) assert.ok(!seen.includes(hidden), seen);
  });

  it('stand again within a second after Redis has come back without its memory', async () => {
    const server = await redis();
    const [own, other] = [await open({ url: server.url }), await open({ url: server.url })];
    const [one, two] = [holder(), holder()];
    for (const each of [one, two]) assert.equal(await own.lease('key', each, atMost(2)), true);
    await server.kill();
    await eventually(() => own.away && other.away);
    own.release('key', two.id); // While nobody could be told.
    await server.start();
    const startedAt = performance.now();
    await eventually(() => !own.away && !other.away, 10_000);
    assert.ok(performance.now() - startedAt <= 1000);
    assert.equal(await other.lease('key', holder(), atMost(2)), true);
    assert.equal(await other.lease('key', holder(), atMost(2)), false);
    own.release('key', one.id);
    await eventually(async () => other.lease('key', holder(), atMost(2)));
  });

  it('stand again after Redis has forgotten them without going away', async () => {
    const { url } = await redis();
    const [own, other] = [await open({ url }), await open({ url })];
    assert.equal(await own.lease('key', holder(), atMost(1)), true);
    await redisClient(url).flushall();
    await eventually(async () => (await redisClient(url).keys('foregate:lease:*')).length === 1);
    assert.equal(await other.lease('key', holder(), atMost(1)), false);
  });

  it('stand again, beside those who came instead, when their process was silent for too long', async () => {
    const { url } = await redis();
    const [own, other] = [await open({ url }), await open({ url })];
    const [one, two] = [holder(), holder()];
    assert.equal(await own.lease('key', one, atMost(1)), true);
    const client = redisClient(url);
    const [name = ''] = await client.zrange('foregate:processes', '0', '-1');
    await pause(500); // The two say that they live at different times, so that there is one between them.
    assert.equal(await other.lease('another', holder(), atMost(1)), true);
    // Another process finds that this one should have said long ago that it lives.
    await eventually(async () => {
      await client.zadd('foregate:processes', 'XX', '1', name);
      return other.lease('key', two, atMost(1));
    }, 10_000);
    await eventually(async () => (await holdersInRedis(client)) === 3);
    other.release('key', two.id);
    await eventually(async () => (await holdersInRedis(client)) === 2);
    assert.equal(await other.lease('key', holder(), atMost(1)), false);
  });

  it('tell who lost one to another process at once, and with the next renewal where that was not heard', async () => {
    const { url, port } = await redis();
    const link = await startSlowLink(port);
    onClear(() => link.stop());
    const [own, other] = [await open({ url: `redis://127.0.0.1:${link.port}` }), await open({ url })];
    const client = redisClient(url);
    const terms = { max: 1, over: 'evict' } as const;
    for (const deaf of [false, true]) {
      const key = `key-${deaf}`;
      let lost = 0;
      assert.equal(await own.lease(key, { ...holder(), lost: () => (lost += 1) }, terms), true);
      await eventually(async () => hearing(client));
      if (deaf) await client.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
      assert.equal(await other.lease(key, holder(), terms), true);
      await eventually(() => lost === 1);
      await pause(1200);
      assert.equal(lost, 1);
    }
  });

  describe('while Redis is away', () => {
    it('are given by each process for itself, beside those it had', async () => {
      const server = await redis();
      const [own, other] = [await open({ url: server.url }), await open({ url: server.url })];
      assert.equal(await own.lease('key', holder(), atMost(2)), true);
      assert.equal(await other.lease('key', holder(), atMost(2)), true);
      await server.kill();
      await eventually(() => own.away && other.away);
      const [late, lost] = [holder(), { id: 'evicted', count: 0 }];
      assert.equal(now(own, late, atMost(2)), true);
      assert.equal(now(own, holder(), atMost(2)), false);
      assert.equal(now(own, { id: lost.id, lost: () => (lost.count += 1) }, { max: 1, over: 'evict' }, 'other'), true);
      assert.equal(now(own, holder(), { max: 1, over: 'evict' }, 'other'), true);
      assert.equal(lost.count, 1);
      await server.start();
      await eventually(() => !own.away && !other.away, 10_000);
      const client = redisClient(server.url);
      assert.equal(await holdersInRedis(client), 4);
      // There is one more than may be, until it goes.
      assert.equal(await other.lease('key', holder(), atMost(2)), false);
      own.release('key', late.id);
      await eventually(async () => (await holdersInRedis(client)) === 3);
      assert.equal(await other.lease('key', holder(), atMost(2)), false);
    });

    it('are given to all, or to nobody, if so wished', async () => {
      const server = await redis();
      const stores = [await open({ url: server.url, whenAway: 'allow' }), await open({ url: server.url, whenAway: 'deny' })];
      await server.kill();
      for (const [store, granted] of [[stores[0], true] as const, [stores[1], false] as const]) {
        assert.ok(store !== undefined);
        await eventually(() => store.away);
        for (let i = 0; i < 5; i += 1) assert.equal(now(store, holder(), atMost(1)), granted);
      }
      await server.start();
      await eventually(() => stores.every(({ away }) => !away), 10_000);
      assert.equal(await stores[1]?.lease('key', holder(), atMost(5)), false);
      assert.equal(await stores[1]?.lease('key', holder(), atMost(6)), true);
    });

    it('are refused to those for whom there is no room to wait', async () => {
      const server = await redis();
      const store = await open({ url: server.url, timeout: '10s' });
      process.kill(server.pid, 'SIGSTOP');
      const waiting = Array.from({ length: limits.storeWaiting }, async () => store.lease('key', holder(), atMost(3)));
      assert.equal(now(store, holder(), atMost(3)), false);
      process.kill(server.pid, 'SIGCONT');
      assert.equal((await Promise.all(waiting)).filter(Boolean).length, 3);
    });

    it('are not lost to an answer that comes too late', async () => {
      const server = await redis();
      const [own, other] = [await open({ url: server.url, timeout: '200ms', whenAway: 'deny' }), await open({ url: server.url })];
      const first = holder();
      assert.equal(await own.lease('another', first, atMost(1)), true);
      process.kill(server.pid, 'SIGSTOP');
      try {
        assert.equal(await own.lease('key', holder(), atMost(1)), false);
      } finally {
        process.kill(server.pid, 'SIGCONT');
      }
      await eventually(() => !own.away, 10_000);
      // Redis gave it when it went on, and got it back.
      await eventually(async () => other.lease('key', holder(), atMost(1)));
      assert.equal(await other.lease('another', holder(), atMost(1)), false);
    });
  });
});

async function redis(): Promise<RedisServer> {
  const server = await startRedis();
  onClear(() => server.kill());
  return server;
}

async function open(settings: Partial<Settings['store']>): Promise<SharedStore> {
  const store = redisStore({
    // A busy machine shall not make Redis seem away.
    settings: { use: 'redis', prefix: 'foregate:', whenAway: 'local', timeout: '2s', ...settings },
    log: silentLog,
    metrics: { count: () => {} },
  });
  onClear(() => store.close());
  await store.open();
  return store;
}

function redisClient(url: string): Redis {
  const client = new Redis(url);
  client.on('error', () => {});
  onClear(() => client.disconnect());
  return client;
}

/** Whether some process can be told at once of what it has lost. */
async function hearing(client: Redis): Promise<boolean> {
  const channels: unknown = await client.call('PUBSUB', 'CHANNELS', 'foregate:lost:*');
  return Array.isArray(channels) && channels.length > 0;
}

async function holdersInRedis(client: Redis): Promise<number> {
  const names = await client.keys('foregate:lease:*');
  const counts = await Promise.all(names.map((name) => client.zcard(name)));
  return counts.reduce((sum, count) => sum + count, 0);
}

/** What is answered at once. */
function now(store: SharedStore, one: LeaseHolder, terms: LeaseTerms, key = 'key'): boolean {
  const granted = store.lease(key, one, terms);
  if (isPromise(granted)) assert.fail('This should not have to wait.');
  return granted;
}

function storm(url: string, attempts: number): Process {
  const started = startProcess(process.execPath, [program, url, String(attempts)]);
  onClear(() => started.stop());
  return started;
}

async function reportOf(started: Process): Promise<Report> {
  await eventually(() => started.output().endsWith('\n'), 30_000);
  return JSON.parse(started.output()) as Report;
}

function sumOf(reports: readonly Report[], member: keyof Report): number {
  return reports.reduce((sum, report) => sum + report[member], 0);
}

let holders = 0;

function holder(): LeaseHolder {
  holders += 1;
  return { id: `holder-${holders}`, lost: () => assert.fail('a lease was lost') };
}

function atMost(max: number): LeaseTerms {
  return { max, over: 'refuse' };
}

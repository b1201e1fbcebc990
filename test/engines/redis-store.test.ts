/** The store in Redis, beyond what every store keeps: exact among several processes, and prompt whatever becomes of Redis. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { limits } from '../../gateway/core/limits.ts';
import type { Log } from '../../gateway/core/log.ts';
import { isPromise } from '../../gateway/core/promise.ts';
import type { Settings } from '../../gateway/core/settings.ts';
import type { SharedStore, Taken } from '../../gateway/core/store.ts';
import { redisStore } from '../../gateway/engines/redis-store.ts';
import { serverCertificate, serverKey } from '../downstream/certificates.ts';
import { clearStage, eventually, onClear, pause } from '../protocol/stage.ts';
import { freePort, runProcess } from '../support/processes.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { startSlowLink } from '../support/slow-link.ts';

interface Report {
  readonly remained: readonly number[];
  readonly misses: number;
}

const program = fileURLToPath(new URL('redis-takes-process.ts', import.meta.url));
const hour = { limit: 10, windowMs: 3_600_000 };

afterEach(clearStage);

describe('redis store', function () {
  this.timeout(30_000);

  it('lets exactly the limit of 1000 pass in each of ten windows of a second, taken from by 4 processes', async () => {
    const { url } = await redis();
    const outputs = await Promise.all(Array.from({ length: 4 }, () => runProcess(process.execPath, [program, url, '12'])));
    const reports = outputs.map((output) => JSON.parse(output) as Report);
    const told = Array.from({ length: 1000 }, (_, points) => reports.reduce((sum, one) => sum + (one.remained[points] ?? 0), 0));
    const begun = told[999] ?? 0; // The first take of a window leaves 999.
    assert.ok(begun > 10 && begun <= 14, `${begun} windows`);
    // Each number was told once in each window, but for the last one, which may have been left early.
    assert.deepEqual(
      [...new Set(told)].filter((times) => times !== begun && times !== begun - 1),
      [],
    );
    assert.ok(
      reports.every(({ remained }) => remained.some((times) => times > 0)),
      'all of them took part',
    );
    assert.deepEqual(
      reports.map(({ misses }) => misses),
      [0, 0, 0, 0],
    );
  });

  it('asks for all that one turn brings in a single round trip', async () => {
    const { port } = await redis();
    const link = await slowLink(port, 50);
    const { store } = await open({ url: `redis://127.0.0.1:${link.port}`, timeout: '10s' });
    const before = link.pieces;
    const taken = await Promise.all(Array.from({ length: 100 }, async () => store.take('key', hour, 1)));
    assert.equal(taken.filter(({ allowed }) => allowed).length, 10);
    assert.equal(link.pieces - before, 1);
  });

  it('does not blame Redis for being late itself', async () => {
    const { url } = await redis();
    const { store, misses } = await open({ url, timeout: '100ms' });
    const waiting = store.take('key', hour, 1);
    await new Promise((resolve) => setImmediate(resolve)); // Now it is sent.
    const until = performance.now() + 300;
    while (performance.now() < until);
    assert.equal((await waiting).remaining, 9);
    assert.deepEqual([misses(), store.away], [0, false]);
  });

  it('speaks TLS to a Redis whose certificate is trusted, and to no other', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'foregate-redis-'));
    onClear(() => rm(folder, { recursive: true }));
    const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
    await writeFile(cert, serverCertificate);
    await writeFile(key, serverKey);
    const { url } = await redis({ password: 'right', tls: { cert, key } });
    const output = await runProcess(process.execPath, [program, url, '0.2'], { env: { NODE_EXTRA_CA_CERTS: cert } });
    assert.equal((JSON.parse(output) as Report).misses, 0);
    const { told } = await open({ url });
    assert.match(JSON.stringify(told), /store\.away.*self-signed certificate/);
  });

  it('counts on under the same keys after it was opened anew, and apart under another prefix', async () => {
    const { url } = await redis();
    const first = await open({ url });
    await first.store.take('key', hour, 7);
    await first.store.close();
    const [second, other] = [await open({ url }), await open({ url, prefix: 'other:' })];
    assert.equal((await second.store.take('key', hour, 1)).remaining, 2);
    assert.equal((await other.store.take('key', hour, 1)).remaining, 9);
  });

  it('shows Redis nothing of keys but a digest, however long and odd they are', async () => {
    const { url } = await redis();
    const { store } = await open({ url });
    const keys = ['a', 'a\n', 'a\r\nFLUSHALL\r\n', 'a\0', '', '{a}', 'ü'.repeat(10_000), `${'ü'.repeat(9999)}u`];
    for (const key of keys) assert.equal((await store.take(key, hour, 1)).remaining, 9, JSON.stringify(key.slice(0, 20)));
    const client = redisClient(url);
    const stored = await client.keys('*');
    assert.ok(stored.length >= keys.length);
    for (const name of stored) assert.match(name, /^foregate:[\w-]{43}$/);
    assert.ok((await Promise.all(stored.map((name) => client.pttl(name)))).every((ms) => ms > 0));
  });

  it('keeps counting whatever costs and limits are asked for', async () => {
    const { url } = await redis();
    const { store, misses } = await open({ url, whenAway: 'deny' });
    const huge = { limit: Number.MAX_VALUE, windowMs: 60_000 };
    const asked = Array.from({ length: 2000 }, async () => store.take('huge', huge, Number.MAX_VALUE));
    const over = Array.from({ length: 2000 }, async () => store.take('over', hour, Number.MAX_SAFE_INTEGER));
    assert.deepEqual(new Set((await Promise.all(over)).map(({ allowed }) => allowed)), new Set([false]));
    assert.ok((await Promise.all(asked)).some(({ allowed }) => allowed));
    assert.equal((await store.take('half', { limit: 2.5, windowMs: 0.5 }, 1.5)).allowed, true);
    assert.equal(misses(), 0);
  });

  describe('while Redis is away', () => {
    it('starts, counts by itself, tells so once, and uses Redis within a second of its coming', async () => {
      const port = await freePort();
      const { store, told, misses } = await open({ url: `redis://:hidden@127.0.0.1:${port}` });
      assert.equal(store.away, true);
      const taken = Array.from({ length: 12 }, () => now(store.take('key', hour, 1)));
      assert.equal(taken.filter(({ allowed }) => allowed).length, 10);
      assert.equal(misses(), 12);
      await pause(500);
      assert.deepEqual(
        told.map(({ event }) => event),
        ['store.away'],
      );
      assert.match(JSON.stringify(told), /127\.0\.0\.1:\d+.*ECONNREFUSED.*local/);
      assert.doesNotMatch(JSON.stringify(told), /hidden/);
      await redis({ port, password: 'hidden' });
      await backWithin(store, 1000);
      assert.deepEqual(
        told.map(({ event }) => event),
        ['store.away', 'store.back'],
      );
      assert.equal((await store.take('key', hour, 1)).remaining, 9);
    });

    it('lets everything pass, or nothing, if so wished', async () => {
      const url = `redis://127.0.0.1:${await freePort()}`;
      const [allowing, denying] = [await open({ url, whenAway: 'allow' }), await open({ url, whenAway: 'deny' })];
      for (let i = 0; i < 20; i += 1) {
        assert.equal(now(allowing.store.take('key', hour, 1)).allowed, true);
        assert.deepEqual(now(denying.store.take('key', hour, 1)), { allowed: false, remaining: 0, resetMs: 1000 });
      }
    });

    it('is told of a wrong password, which is not told on', async () => {
      const { port } = await redis({ password: 'right' });
      const { store, told } = await open({ url: `redis://:wrong-one@127.0.0.1:${port}` });
      assert.equal(store.away, true);
      assert.match(JSON.stringify(told), /WRONGPASS/);
      assert.doesNotMatch(JSON.stringify(told), /wrong-one/);
    });
  });

  describe('when Redis goes', () => {
    it('never lets more pass than the limit once more for each start of Redis and for its absence, and is back within a second', async () => {
      const server = await redis();
      const { store, told } = await open({ url: server.url });
      const budget = { limit: 50, windowMs: 3_600_000 };
      let allowed = 0;
      const load = new AbortController();
      onClear(() => load.abort());
      const loading = (async () => {
        while (!load.signal.aborted) {
          const taken = await Promise.all(Array.from({ length: 10 }, async () => store.take('key', budget, 1)));
          allowed += taken.filter((one) => one.allowed).length;
          await pause(5);
        }
      })();
      await eventually(() => allowed === 50);
      // The window of this process goes on from one absence to the next.
      for (const [whileAway, whenBack] of [
        [100, 150],
        [150, 200],
      ]) {
        await server.kill();
        await eventually(() => store.away && allowed === whileAway);
        await server.start();
        await backWithin(store, 1000);
        await eventually(() => allowed === whenBack);
      }
      await pause(100);
      load.abort();
      await loading;
      assert.equal(allowed, 200);
      // The second absence came so soon that the log need not have it.
      assert.deepEqual(
        told.map(({ event }) => event),
        ['store.away', 'store.back'],
      );
    });

    it('waits for a silent Redis only as long as it may, and only once', async () => {
      const server = await redis();
      const { store, told } = await open({ url: server.url, timeout: '100ms' });
      assert.equal((await store.take('key', hour, 1)).remaining, 9);
      process.kill(server.pid, 'SIGSTOP');
      onClear(() => void process.kill(server.pid, 'SIGCONT'));
      const startedAt = performance.now();
      assert.equal((await store.take('key', hour, 1)).remaining, 9);
      assert.ok(performance.now() - startedAt >= 99);
      for (let left = 8; left >= 0; left -= 1) assert.equal(now(store.take('key', hour, 1)).remaining, left);
      assert.match(JSON.stringify(told), /no answer within 100 ms/);
      process.kill(server.pid, 'SIGCONT');
      await backWithin(store, 1000);
    });

    it('gives up a connection that has died without a word', async () => {
      const { port } = await redis();
      const link = await slowLink(port);
      const { store } = await open({ url: `redis://127.0.0.1:${link.port}`, timeout: '50ms' });
      link.mute();
      await store.take('key', hour, 1);
      assert.equal(store.away, true);
      await backWithin(store, 5000);
    });

    it('leaves a Redis alone that is too slow, until it is quick again', async () => {
      const { port } = await redis();
      const link = await slowLink(port);
      const { store } = await open({ url: `redis://127.0.0.1:${link.port}`, timeout: '150ms' });
      link.delayMs = 300;
      await store.take('key', hour, 1);
      await pause(1500);
      assert.equal(store.away, true);
      now(store.take('key', hour, 1));
      link.delayMs = 0;
      await backWithin(store, 5000);
    });

    it('takes a Redis that may only be read as away', async () => {
      const { url } = await redis();
      const { store, told } = await open({ url });
      const client = redisClient(url);
      await client.replicaof('127.0.0.1', 1);
      assert.equal((await store.take('key', hour, 1)).remaining, 9);
      assert.equal(store.away, true);
      assert.match(JSON.stringify(told), /READONLY/);
      await client.replicaof('NO', 'ONE');
      await backWithin(store, 5000);
    });

    it('lets no more takes wait than it may', async () => {
      const server = await redis();
      const { store } = await open({ url: server.url, timeout: '10s' });
      process.kill(server.pid, 'SIGSTOP');
      const waiting = Array.from({ length: limits.storeWaiting }, () => store.take('key', hour, 1));
      assert.ok(waiting.every(isPromise));
      assert.equal(now(store.take('key', hour, 1)).remaining, 9);
      process.kill(server.pid, 'SIGCONT');
      const taken = await Promise.all(waiting);
      assert.equal(taken.filter(({ allowed }) => allowed).length, 10);
      assert.equal(isPromise(store.take('key', hour, 1)), true);
    });

    it('answers who waits when it is closed', async () => {
      const server = await redis();
      const { store } = await open({ url: server.url, timeout: '10s' });
      process.kill(server.pid, 'SIGSTOP');
      onClear(() => void process.kill(server.pid, 'SIGCONT'));
      const waiting = store.take('key', hour, 1);
      await pause(20);
      await store.close();
      assert.equal((await waiting).allowed, true);
    });
  });

  it('says what to install if the package is not there', async () => {
    const client = new URL('../../gateway/engines/redis-client.ts', import.meta.url).href;
    const script = `
      import { registerHooks } from 'node:module';
      registerHooks({
        resolve(specifier, context, next) {
          if (specifier === 'ioredis') throw new Error('not found');
          return next(specifier, context);
        },
      });
      const { openRedis } = await import('${client}');
      await openRedis({ url: 'redis://127.0.0.1' }).catch((error) => console.log(error.message));`;
    const output = await runProcess(process.execPath, ['--input-type=module', '--eval', script]);
    assert.match(output, /needs the package ioredis.*npm install ioredis@6/);
  });
});

async function redis(terms: Parameters<typeof startRedis>[0] = {}): Promise<RedisServer> {
  const server = await startRedis(terms);
  onClear(() => server.kill());
  return server;
}

async function slowLink(port: number, delayMs = 0) {
  const link = await startSlowLink(port, delayMs);
  onClear(() => link.stop());
  return link;
}

function redisClient(url: string): Redis {
  const client = new Redis(url);
  onClear(() => client.disconnect());
  return client;
}

async function open(settings: Partial<Settings['store']>) {
  const told: { readonly event: string; readonly fields: unknown }[] = [];
  const tell: Log['info'] = (event, fields) => void told.push({ event, fields });
  let misses = 0;
  const store = redisStore({
    // A busy machine shall not make Redis seem away.
    settings: { use: 'redis', prefix: 'foregate:', whenAway: 'local', timeout: '2s', ...settings },
    log: { error: tell, warn: tell, info: tell, debug: tell },
    metrics: { count: () => (misses += 1) },
  });
  onClear(() => store.close());
  await store.open();
  return { store, told, misses: () => misses };
}

/** What was answered at once. */
function now(taken: ReturnType<SharedStore['take']>): Taken {
  if (isPromise(taken)) assert.fail('This should not have to wait.');
  return taken;
}

async function backWithin(store: SharedStore, ms: number): Promise<void> {
  const startedAt = performance.now();
  await eventually(() => !store.away, 10_000);
  const took = performance.now() - startedAt;
  assert.ok(took <= ms, `back after ${Math.round(took)} ms`);
}

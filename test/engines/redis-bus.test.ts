/** The bus in Redis, beyond what every bus keeps: what it does while Redis is away, and with what strangers send. */
import assert from 'node:assert/strict';
import { Redis } from 'ioredis';
import type { Notice } from '../../gateway/core/bus.ts';
import { channelName } from '../../gateway/core/ids.ts';
import { limits } from '../../gateway/core/limits.ts';
import type { Log } from '../../gateway/core/log.ts';
import type { Publication } from '../../gateway/core/publication.ts';
import { noMetadata } from '../../gateway/core/session.ts';
import type { Settings } from '../../gateway/core/settings.ts';
import { redisBus } from '../../gateway/engines/redis-bus.ts';
import { clearStage, eventually, onClear } from '../protocol/stage.ts';
import { freePort } from '../support/processes.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';
import { startSlowLink } from '../support/slow-link.ts';

const news = channelName('news');
const revoke: Notice = { kind: 'revoke', revocation: { of: 'subject', value: 'ann', issuedBefore: 1, until: 2 } };

afterEach(clearStage);

describe('redis bus', function () {
  this.timeout(30_000);

  it('brings a process only what it wants', async () => {
    const { url } = await redis();
    const [own, other] = [await open({ url }), await open({ url })];
    await other.bus.want(news, true);
    await own.bus.publish(item('other', 'x'));
    await own.bus.publish(item('news', 'a'));
    await eventually(() => other.got.length > 0);
    assert.deepEqual(other.got, ['a']);
    const channels: unknown = await redisClient(url).call('PUBSUB', 'CHANNELS', '*item*');
    assert.deepEqual(channels, ['foregate:item:news']);
  });

  it('does not ask again for what it has', async () => {
    const { url } = await redis();
    const { bus } = await open({ url });
    await bus.want(news, true);
    assert.equal(bus.want(news, true), undefined);
    await bus.want(news, false);
    assert.notEqual(bus.want(news, true), undefined);
  });

  it('keeps groups of another prefix apart', async () => {
    const { url } = await redis();
    const [own, other, last] = [await open({ url }), await open({ url, prefix: 'other:' }), await open({ url })];
    for (const { bus } of [other, last]) await bus.want(news, true);
    await own.bus.publish(item('news', 'a'));
    own.bus.tell(revoke);
    await eventually(() => last.got.length > 0 && last.noticed.length > 0);
    assert.deepEqual([other.got, other.noticed], [[], []]);
  });

  it('ignores what it does not understand, counts it, and tells so once', async () => {
    const { url } = await redis();
    const [own, other] = [await open({ url }), await open({ url })];
    await other.bus.want(news, true);
    const client = redisClient(url);
    const strange = [
      '',
      'x',
      '\u0001'.repeat(21),
      '\u0001'.repeat(25),
      '\u0001'.repeat(17) + '\0\0\0\u0002{}',
      '{"kind":"notice"}',
    ];
    for (const text of strange) {
      await client.publish('foregate:item:news', Buffer.from(text));
      await client.publish('foregate:notice', Buffer.from(text));
    }
    await own.bus.publish(item('news', 'a'));
    await eventually(() => other.got.length > 0);
    assert.deepEqual([other.got, other.noticed, other.counted('bus_ignored')], [['a'], [], 2 * strange.length]);
    assert.deepEqual(
      other.told.map(({ event }) => event),
      ['bus.not-understood'],
    );
  });

  it('does not take an item from the channel of another, nor a notice from that of an item', async () => {
    const { url } = await redis();
    const [own, other] = [await open({ url }), await open({ url })];
    await other.bus.want(news, true);
    const [client, spy] = [redisClient(url), redisClient(url)];
    const seen: Buffer[] = [];
    spy.on('messageBuffer', (_channel: Buffer, message: Buffer) => void seen.push(message));
    await spy.subscribe('foregate:item:sport', 'foregate:notice');
    await own.bus.publish(item('sport', 'a'));
    own.bus.tell(revoke);
    await eventually(() => seen.length === 2 && other.noticed.length === 1);
    for (const message of seen) await client.publish('foregate:item:news', message);
    for (const message of seen.slice(0, 1)) await client.publish('foregate:notice', message);
    await eventually(() => other.counted('bus_ignored') === 3);
    assert.deepEqual([other.got, other.noticed.length], [[], 1]);
  });

  it('keeps items to itself that are too large for it', async () => {
    const { url } = await redis();
    const [own, other] = [await open({ url }), await open({ url })];
    await other.bus.want(news, true);
    await own.bus.publish(item('news', 'x'.repeat(limits.busMessageBytes)));
    await own.bus.publish(item('news', 'a'));
    await eventually(() => other.got.length > 0);
    assert.deepEqual([other.got, own.got.length, own.counted('bus_misses')], [['a'], 2, 1]);
  });

  it('starts without Redis, tells so without the password, and works within a second of its coming', async () => {
    const port = await freePort();
    const { bus, told, got } = await open({ url: `redis://:hidden@127.0.0.1:${port}` });
    assert.equal(bus.away, true);
    await bus.want(news, true);
    await bus.publish(item('news', 'alone'));
    assert.deepEqual(got, ['alone']);
    const { url } = await redis({ port, password: 'hidden' });
    await backWithin(bus, 1000);
    assert.deepEqual(
      told.map(({ event }) => event),
      ['bus.away', 'bus.back'],
    );
    assert.match(JSON.stringify(told), /127\.0\.0\.1:\d+.*ECONNREFUSED/);
    assert.doesNotMatch(JSON.stringify(told), /hidden/);
    const other = await open({ url });
    await other.bus.publish(item('news', 'b'));
    await eventually(() => got.length === 2);
  });

  it('tells revocations that still hold to those that come later, and to no others', async () => {
    const { url } = await redis();
    const own = await open({ url });
    const holds: Notice[] = [];
    for (let i = 0; i < 1500; i += 1)
      holds.push({
        kind: 'revoke',
        revocation: { of: 'jti', value: `größe-${i}`, issuedBefore: 1, until: Date.now() + 60_000 + i },
      });
    for (const notice of [...holds, revoke]) own.bus.tell(notice);
    const client = redisClient(url);
    await eventually(async () => (await client.zcard('foregate:revocations')) === 1500);
    const later = await open({ url });
    assert.deepEqual(later.noticed, holds.toReversed());
    assert.ok((await client.pttl('foregate:revocations')) > 55_000);
  });

  it('is not led astray by what else stands among the revocations', async () => {
    const { url } = await redis();
    const client = redisClient(url);
    const recover = JSON.stringify({ kind: 'notice', notice: { kind: 'recover' } });
    for (const text of ['x', '{}', recover]) await client.zadd('foregate:revocations', String(Date.now() + 60_000), text);
    const { bus, noticed } = await open({ url });
    assert.deepEqual([bus.away, noticed], [false, []]);
  });

  describe('when Redis goes', () => {
    it('serves its own process on, and after that all again, who are told that they may have missed something', async () => {
      const server = await redis();
      const [own, other] = [await open({ url: server.url }), await open({ url: server.url })];
      for (const { bus } of [own, other]) await bus.want(news, true);
      await server.kill();
      await eventually(() => own.bus.away && other.bus.away);
      await own.bus.publish(item('news', 'a'));
      own.bus.tell(revoke);
      own.bus.tell({ kind: 'refresh-channel', channel: news });
      await other.bus.want(channelName('later'), true);
      assert.deepEqual([own.got, own.counted('bus_misses')], [['a'], 3]);
      await server.start();
      const startedAt = performance.now();
      await eventually(() => !own.bus.away && !other.bus.away, 10_000);
      assert.ok(performance.now() - startedAt <= 1000);
      await own.bus.publish(item('news', 'b'));
      await own.bus.publish(item('later', 'c'));
      await eventually(() => other.got.length === 2);
      assert.deepEqual(other.got, ['b', 'c']);
      assert.ok(own.noticed.some(({ kind }) => kind === 'recover'));
      assert.ok(other.noticed.some(({ kind }) => kind === 'recover'));
    });

    it('tells a revocation from that time when it is back', async () => {
      const server = await redis();
      const [own, other] = [await open({ url: server.url }), await open({ url: server.url })];
      const link = await startSlowLink(server.port);
      onClear(() => link.stop());
      const cut = await open({ url: `redis://127.0.0.1:${link.port}`, timeout: '100ms' });
      link.mute();
      await eventually(() => cut.bus.away);
      cut.bus.tell(revoke);
      await eventually(() => !cut.bus.away, 10_000);
      for (const { noticed } of [own, other]) await eventually(() => noticed.length > 0);
      assert.deepEqual(own.noticed, [revoke]);
    });

    it('takes a silent Redis for away, and makes nobody wait for it for longer than it may', async () => {
      const server = await redis();
      const { bus, told } = await open({ url: server.url, timeout: '300ms' });
      process.kill(server.pid, 'SIGSTOP');
      onClear(() => void process.kill(server.pid, 'SIGCONT'));
      await bus.want(news, true);
      await bus.publish(item('news', 'a'));
      await eventually(() => bus.away);
      assert.match(JSON.stringify(told), /no answer within 300 ms/);
      process.kill(server.pid, 'SIGCONT');
      await backWithin(bus, 5000);
    });

    it('bounds what Redis does not take', async () => {
      const server = await redis();
      const { bus, counted } = await open({ url: server.url, timeout: '20s' });
      process.kill(server.pid, 'SIGSTOP');
      try {
        const large = item('news', 'x'.repeat(8_000_000));
        for (let i = 0; i < 12; i += 1) await bus.publish(large);
        assert.equal(counted('bus_misses'), 3);
      } finally {
        process.kill(server.pid, 'SIGCONT');
      }
    });
  });
});

async function redis(terms: Parameters<typeof startRedis>[0] = {}): Promise<RedisServer> {
  const server = await startRedis(terms);
  onClear(() => server.kill());
  return server;
}

function redisClient(url: string): Redis {
  const client = new Redis(url);
  client.on('error', () => {});
  onClear(() => client.disconnect());
  return client;
}

async function open(settings: Partial<Settings['bus']>) {
  const told: { readonly event: string; readonly fields: unknown }[] = [];
  const tell: Log['info'] = (event, fields) => void told.push({ event, fields });
  const got: string[] = [];
  const noticed: Notice[] = [];
  const counts = new Map<string, number>();
  const bus = redisBus({
    // A busy machine shall not make Redis seem away.
    settings: { use: 'redis', prefix: 'foregate:', timeout: '5s', ...settings },
    receiver: { deliver: (publication) => void got.push(textOf(publication)), notice: (notice) => void noticed.push(notice) },
    log: { error: tell, warn: tell, info: tell, debug: tell },
    metrics: { count: (name, by = 1) => void counts.set(name, (counts.get(name) ?? 0) + by) },
  });
  onClear(() => bus.close());
  await bus.open();
  return { bus, got, noticed, told, counted: (name: string) => counts.get(name) ?? 0 };
}

function item(channel: string, content: string): Publication {
  const message = { action: 'send', type: 'text', content: Buffer.from(content) } as const;
  return { channel: channelName(channel), meta: noMetadata, formats: { message } };
}

function textOf({ formats: { message } }: Publication): string {
  return message?.action === 'send' ? message.content.toString() : '';
}

async function backWithin(bus: { readonly away: boolean }, ms: number): Promise<void> {
  const startedAt = performance.now();
  await eventually(() => !bus.away, 10_000);
  const took = performance.now() - startedAt;
  assert.ok(took <= ms, `back after ${Math.round(took)} ms`);
}

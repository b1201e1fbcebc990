import assert from 'node:assert/strict';
import { channelName, newSessionId, type ChannelName } from '../../gateway/core/ids.ts';
import { limits } from '../../gateway/core/limits.ts';
import { silentLog, type LogFields } from '../../gateway/core/log.ts';
import type { Route } from '../../gateway/core/route.ts';
import { Backlog, isSlow, type Sink } from '../../gateway/session/backlog.ts';
import { RequestSession } from '../../gateway/session/request-session.ts';
import { ManualClock } from '../../gateway/testing/index.ts';
import { testRequest, testRoute } from '../downstream/routes.ts';

const [a, b] = [channelName('a'), channelName('b')];

/** Takes what it is told to. */
class SlowSink implements Sink {
  written = '';
  unsentBytes = 0;
  #waiting: (() => void)[] = [];

  writeFrames(frames: Buffer): void {
    this.written += frames.toString();
    this.unsentBytes += frames.length;
  }

  drained(then: () => void): void {
    this.#waiting.push(then);
  }

  /** The client takes everything that was written. */
  drain(): void {
    this.unsentBytes = 0;
    for (const then of this.#waiting.splice(0)) then();
  }
}

function made(slowClients: Route['slowClients'], unsentBytes = 10) {
  const route = testRoute({ slowClients, limits: { ...testRoute().limits, unsentBytes } });
  const sink = new SlowSink();
  const clock = new ManualClock();
  const lines: LogFields[] = [];
  const lost: Record<string, number> = {};
  const note = (event: string, fields?: LogFields): void => void lines.push({ event, ...fields });
  const happened: string[] = [];
  const backlog: Backlog = new Backlog(
    {
      id: newSessionId(),
      route,
      view: new RequestSession(route, testRequest([]), 0, () => {}),
      get unsentBytes() {
        return sink.unsentBytes + backlog.bytes;
      },
      published: () => happened.push('published'),
      tooSlow: () => happened.push('too slow'),
    },
    sink,
    {
      hub: { countDropped: (name: ChannelName, items: number) => (lost[name] = (lost[name] ?? 0) + items) },
      metrics: { count: (name, by = 1, at = '') => (lost[`${name} ${at}`] = (lost[`${name} ${at}`] ?? 0) + by) },
      log: { ...silentLog, warn: note, info: note },
      clock,
    },
  );
  const publish = (text: string, channel = a, follows = false): boolean =>
    backlog.publish(Buffer.from(text), text.length, channel, follows);
  return { backlog, sink, clock, lines, lost, happened, publish };
}

describe('a backlog', () => {
  it('begins where a client has left some bytes, which depends on what may be left out', () => {
    const close = testRoute({ slowClients: 'close' });
    const latest = testRoute({ slowClients: 'latest' });
    assert.equal(isSlow(0, 1_000_000, latest), false);
    assert.equal(isSlow(1, limits.handedBytes, latest), true);
    assert.equal(isSlow(1, limits.handedBytes - 1, latest), false);
    assert.equal(isSlow(1, limits.unsentBytes - 1, close), false);
    assert.equal(isSlow(1, limits.unsentBytes, close), true);
    const small = testRoute({ slowClients: 'latest', limits: { ...latest.limits, unsentBytes: 1000 } });
    assert.equal(isSlow(1, 499, small), false);
    assert.equal(isSlow(1, 500, small), true);
  });

  it('hands over what the client has taken, in order, replies in their place', () => {
    const { backlog, sink, publish, lost } = made('drop-oldest');
    publish('12345678');
    publish('abc');
    backlog.keep(Buffer.from('-'));
    publish('def', b);
    assert.equal(sink.written, '12345678');
    sink.drain();
    assert.equal(sink.written, '12345678-def');
    assert.equal(lost['a'], 3);
    assert.equal(backlog.waits, false);
    assert.equal(backlog.bytes, 0);
  });

  it('leaves out the newest, the oldest, or all but the latest', () => {
    for (const [policy, written, lostOfA] of [
      ['drop-newest', 'AAAA1122', 4],
      ['drop-oldest', 'AAAA3344', 2],
      ['latest', 'AAAA2244', 4],
    ] as const) {
      const { sink, publish, lost } = made(policy, 8);
      publish('AAAA');
      publish('11');
      publish('22', b);
      publish('33');
      publish('44');
      for (let i = 0; i < 3; i += 1) sink.drain();
      assert.equal(sink.written, written);
      assert.equal(lost['a'], lostOfA);
    }
  });

  it('lets a write wait alone that is larger than the limit, but not the newest where that is left out', () => {
    const large = 'x'.repeat(50);
    for (const policy of ['drop-oldest', 'latest'] as const) {
      const { sink, publish, backlog } = made(policy);
      publish('12345678');
      publish('abcd', b);
      publish(large);
      assert.equal(backlog.bytes, 50);
      publish('efgh', b);
      assert.equal(backlog.bytes, 4); // The large one has gone for it.
      publish(large, a);
      sink.drain();
      assert.equal(sink.written, `12345678${large}`);
    }
    const { publish, backlog } = made('drop-newest');
    publish('12345678');
    publish(large);
    assert.equal(backlog.bytes, 0);
  });

  it('is bounded in writes too', () => {
    const { publish, lost, sink, backlog } = made('drop-oldest', 1_000_000);
    sink.unsentBytes = limits.handedBytes;
    for (let i = 0; i < limits.backlogWrites + 5; i += 1) publish('x');
    assert.equal(backlog.bytes, limits.backlogWrites);
    assert.equal(lost['a'], 5);
  });

  it('refuses what can be fetched later, and never leaves out what it has taken of it', () => {
    for (const policy of ['drop-newest', 'drop-oldest', 'latest'] as const) {
      const { publish, sink, lost } = made(policy);
      publish('1234');
      sink.unsentBytes = 7;
      assert.equal(publish('ABC', a, true), true);
      assert.equal(publish('DEFG', a, true), false);
      publish('ghi', b);
      publish('jk', a);
      sink.drain();
      sink.drain();
      assert.ok(sink.written.startsWith('1234ABC'), sink.written);
      assert.ok(!sink.written.includes('DEFG'));
      assert.ok((lost['a'] ?? 0) < 4);
    }
  });

  it('tells who waits, in turn, though everything around is left out', () => {
    const { backlog, sink, publish } = made('drop-oldest');
    const told: string[] = [];
    publish('12345678');
    assert.ok(publish('ab'));
    backlog.drained(() => told.push(sink.written));
    for (const text of ['cd', 'ef', 'gh']) publish(text);
    sink.drain();
    assert.equal(told.length, 0);
    sink.drain();
    assert.deepEqual(told, ['12345678gh']);
    backlog.drained(() => told.push('now'));
    sink.drain();
    assert.equal(told[1], 'now');
  });

  it('hands everything over before something final, and tells who waits', () => {
    const { backlog, sink, publish } = made('drop-oldest', 20);
    let told = 0;
    publish('12345678901234567890');
    publish('ab');
    backlog.drained(() => (told += 1));
    backlog.flush();
    assert.equal(sink.written, '12345678901234567890ab');
    assert.equal(backlog.bytes, 0);
    sink.drain();
    assert.equal(told, 1);
  });

  it('ends the session where the route says so', () => {
    const { publish, happened, lost } = made('close');
    publish('12345678');
    assert.equal(publish('abc'), true);
    assert.deepEqual(happened, ['published', 'too slow']);
    assert.equal(lost['a'], 3);
  });

  it('tells the log of a slow time when it begins and when it is over, not of each item', () => {
    const { publish, sink, clock, lines, lost } = made('drop-newest');
    const loseOne = (): void => {
      publish('12345678');
      publish('abc');
      sink.drain();
    };
    loseOne();
    clock.advance(limits.slowQuietMs - 1);
    loseOne();
    clock.advance(limits.slowQuietMs - 1);
    assert.deepEqual(
      lines.map(({ state, dropped, channel, unsentBytes }) => ({ state, dropped, channel, unsentBytes })),
      [{ state: 'began', dropped: 3, channel: 'a', unsentBytes: 8 }],
    );
    clock.advance(1);
    assert.equal(lines.length, 2);
    assert.equal(lines[1]?.['state'], 'ended');
    assert.equal(lines[1]?.['dropped'], 6);
    assert.equal(lines[1]?.['ms'], 2 * limits.slowQuietMs - 1);
    assert.equal(lost['slow_client_drops test'], 6);
    assert.equal(lost['deliveries_dropped '], 6);
    loseOne();
    assert.equal(lines.length, 3);
    assert.equal(lines[2]?.['dropped'], 3);
  });

  it('has no timer left when the client is gone', () => {
    const { backlog, publish, sink, clock, lines } = made('drop-newest');
    publish('12345678');
    publish('abc');
    sink.drain();
    assert.equal(clock.pending, 1);
    backlog.end();
    assert.equal(clock.pending, 0);
    assert.equal(lines.length, 2);
  });
});

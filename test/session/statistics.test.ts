/** Counting connections by the second, and routes that come and go. */
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { routeId } from '../../gateway/core/ids.ts';
import type { TargetReport } from '../../gateway/core/target-guard.ts';
import { ConnectionCount } from '../../gateway/core/route-statistics.ts';
import { mergeReports, Statistics } from '../../gateway/session/statistics.ts';
import { testRoute } from '../downstream/routes.ts';

const start = 1_000_000_000;

describe('a count of connections', () => {
  it('counts each begun minute of each connection', () => {
    const count = new ConnectionCount(start);
    count.opened(start);
    assert.equal(count.minutes(start + 59_000), 1);
    assert.equal(count.minutes(start + 60_000), 2);
    count.opened(start + 90_000);
    assert.equal(count.minutes(start + 119_000), 3);
    count.closed(start, start + 119_000);
    assert.equal(count.minutes(start + 149_000), 3);
    assert.equal(count.minutes(start + 150_000), 4);
    count.closed(start + 90_000, start + 200_000);
    assert.equal(count.minutes(start + 9_000_000), 4);
    assert.equal(count.open, 0);
  });

  it('counts the same, whenever it is asked', () => {
    const life = fc.record({ openedS: fc.nat(400), forS: fc.nat(400) });
    fc.assert(
      fc.property(fc.array(life, { maxLength: 20 }), fc.array(fc.nat(900)), (lives, asked) => {
        const count = new ConnectionCount(start);
        const events = lives.flatMap(({ openedS, forS }) => [
          { at: openedS, run: (at: number) => count.opened(at) },
          { at: openedS + forS, run: (at: number) => count.closed(start + openedS * 1000, at) },
        ]);
        const asks = asked.map((at) => ({ at, run: (ms: number) => void count.minutes(ms) }));
        for (const { at, run } of [...events, ...asks].toSorted((a, b) => a.at - b.at)) run(start + at * 1000);
        const expected = lives.reduce((sum, { forS }) => sum + 1 + Math.floor(forS / 60), 0);
        assert.equal(count.minutes(start + 900_000), expected);
        assert.equal(count.open, 0);
      }),
    );
  });

  it('knows the most at once in this interval and the one before', () => {
    const count = new ConnectionCount(start);
    count.opened(start);
    count.opened(start);
    count.closed(start, start + 1000);
    assert.equal(count.highest(start + 2000), 2);
    assert.equal(count.highest(start + 19_000), 2);
    assert.equal(count.highest(start + 20_000), 1);
    count.closed(start, start + 25_000);
    assert.equal(count.highest(start + 39_000), 1);
    assert.equal(count.highest(start + 90_000), 0);
  });

  it('survives a clock that is set back', () => {
    const count = new ConnectionCount(start);
    count.opened(start + 100_000);
    assert.equal(count.minutes(start), 1);
    count.closed(start + 100_000, start + 5000);
    assert.equal(count.open, 0);
    assert.equal(count.minutes(start + 500_000), 1);
  });
});

describe('the statistics of all routes', () => {
  const sources = { now: () => start, sessions: () => [], channels: () => 0, subscriptions: () => 0, targets: () => [] };
  const [a, b] = [routeId('a'), routeId('b')];
  const routesOf = (statistics: Statistics) => statistics.report().routes.map(({ route }) => route);

  it('go on counting through a reload', () => {
    const statistics = new Statistics(sources);
    statistics.of(a).counts.sent += 3;
    statistics.keep([a]);
    statistics.of(a).counts.sent += 4;
    statistics.keep([a]);
    assert.equal(statistics.report().routes[0]?.sent, 7);
  });

  it('keep what a route has counted that is gone, but not the route', () => {
    const statistics = new Statistics(sources);
    const gone = statistics.of(a);
    gone.counts.sent += 3;
    gone.connections.opened(start);
    gone.connections.closed(start, start);
    statistics.of(b).counts.sent += 1;
    statistics.keep([b]);
    assert.deepEqual(routesOf(statistics), [b]);
    const { sent, connectionMinutes, connections } = statistics.report().total;
    assert.deepEqual([sent, connectionMinutes, connections], [4, 1, 0]);
    assert.equal(statistics.pushpinNumbers().messageSent, 4);
    assert.equal(statistics.pushpinNumbers().connectionMinute, 1);
  });

  it('keep a route to which clients are still connected', () => {
    const statistics = new Statistics(sources);
    const { connections, counts } = statistics.of(a);
    connections.opened(start);
    statistics.keep([b]);
    assert.deepEqual(routesOf(statistics), [a]);
    counts.sent += 1;
    connections.closed(start, start);
    assert.deepEqual(routesOf(statistics), []);
    assert.equal(statistics.report().total.sent, 1);
  });

  it('do not grow with routes of configurations that came to nothing', () => {
    const statistics = new Statistics(sources);
    statistics.keep([a]);
    for (let i = 0; i < 100; i += 1) statistics.of(routeId(`r${i}`));
    assert.deepEqual(routesOf(statistics), []);
  });

  it('count sessions by route and transport', () => {
    const route = testRoute({ id: a });
    const transports = ['websocket', 'stream', 'stream'] as const;
    const statistics = new Statistics({ ...sources, sessions: () => transports.map((transport) => ({ route, transport })) });
    statistics.of(a);
    statistics.keep([a]);
    assert.deepEqual(statistics.report().routes[0]?.sessions, { websocket: 1, stream: 2, response: 0 });
    assert.deepEqual(statistics.report().total.sessions, { websocket: 1, stream: 2, response: 0 });
  });

  it('of several processes show each target once: its worst circuit, and all that is in flight', () => {
    const reportOf = (...targets: TargetReport[]) => ({ ...new Statistics(sources).report(), targets });
    const one = reportOf(
      { target: 'http://a', circuit: 'closed', inFlight: { running: 1, waiting: 0, limit: 10 } },
      { target: 'http://b' },
    );
    const other = reportOf(
      { target: 'http://a', circuit: 'open', inFlight: { running: 2, waiting: 3, limit: 20 } },
      { target: 'http://b' },
    );
    assert.deepEqual(mergeReports([one, other]).targets, [
      { target: 'http://a', circuit: 'open', inFlight: { running: 3, waiting: 3, limit: 30 } },
      { target: 'http://b' },
    ]);
    assert.equal(mergeReports([one, reportOf({ target: 'http://b' })]).targets.length, 3, 'in the middle of a reload');
  });
});

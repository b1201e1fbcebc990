/** When the bytes of a stream's keep-alive are due (GRIP 4.6). */
import assert from 'node:assert/strict';
import type { StreamKeepAlive } from '../../gateway/core/hold.ts';
import { StreamKeepAliveTimer } from '../../gateway/session/stream-keep-alive.ts';
import { ManualClock } from '../../gateway/testing/index.ts';

const every = (seconds: number, mode: StreamKeepAlive['mode']): StreamKeepAlive => ({
  data: Buffer.from('k'),
  mode,
  timeoutMs: seconds * 1000,
});

describe('the keep-alive of a stream (GRIP 4.6)', () => {
  let clock: ManualClock;
  let writtenAt: number[];
  let timer: StreamKeepAliveTimer;

  beforeEach(() => {
    clock = new ManualClock(0);
    writtenAt = [];
    timer = new StreamKeepAliveTimer(clock, (data) => {
      assert.equal(data.toString(), 'k');
      writtenAt.push(clock.now());
    });
  });

  for (const mode of ['idle', 'interval'] as const) {
    it(`comes again and again in silence, each time up to a second early: ${mode}`, () => {
      timer.set(every(20, mode));
      clock.advance(100_000);
      const periods = writtenAt.map((at, i) => at - (writtenAt[i - 1] ?? 0));
      assert.ok(periods.length >= 5);
      for (const period of periods) assert.ok(period >= 19_000 && period <= 20_000, `${period} ms`);
    });
  }

  it('waits for silence if it is idle, and does not if it is an interval', () => {
    for (const [mode, count] of [
      ['idle', 0],
      ['interval', 3],
    ] as const) {
      writtenAt = [];
      timer.set(every(20, mode));
      for (let i = 0; i < 60; i += 1) {
        clock.advance(1000);
        timer.sent();
      }
      assert.equal(writtenAt.length, count, mode);
    }
    timer.set(every(20, 'idle'));
    clock.advance(10_000);
    timer.sent();
    const since = clock.now();
    writtenAt = [];
    clock.advance(20_000);
    assert.equal(writtenAt.length, 1);
    assert.ok((writtenAt[0] ?? 0) - since >= 19_000);
  });

  it('is never a flood at the shortest time there is', () => {
    timer.set(every(1, 'interval'));
    clock.advance(60_000);
    assert.ok(writtenAt.length >= 60 && writtenAt.length <= 120, `${writtenAt.length} times`);
  });

  it('ends, and the last one set counts', () => {
    timer.set(every(5, 'idle'));
    timer.set(every(50, 'idle'));
    clock.advance(48_999);
    assert.deepEqual(writtenAt, []);
    clock.advance(1001);
    assert.equal(writtenAt.length, 1);
    timer.set(undefined);
    clock.advance(500_000);
    assert.equal(writtenAt.length, 1);
    assert.equal(clock.pending, 0);
  });
});

import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { RecentIds } from '../../gateway/channel/recent-ids.ts';
import { ManualClock } from '../../gateway/testing/manual-clock.ts';

describe('recent ids', () => {
  it('forget the oldest early where there are too many', () => {
    const ids = new RecentIds(new ManualClock(), { memoryMs: 1000, max: 2 });
    assert.deepEqual(
      ['a', 'b', 'c', 'c', 'b', 'a'].map((id) => ids.add(id)),
      [true, true, true, false, false, true],
    );
    assert.equal(ids.size, 2);
  });

  it('know what came within their time, and nothing else', () => {
    const steps = fc.array(fc.tuple(fc.nat(5_000), fc.integer({ min: 0, max: 3 })), {
      minLength: 1,
      maxLength: 6_000,
      size: 'max',
    });
    fc.assert(
      fc.property(steps, (arrivals) => {
        const clock = new ManualClock();
        const ids = new RecentIds(clock, { memoryMs: 1000, max: 1_000_000 });
        const seen = new Map<number, number>();
        for (const [id, pause] of arrivals) {
          const known = (seen.get(id) ?? -Infinity) > clock.now() - 1000;
          assert.equal(ids.add(`${id}`), !known);
          if (!known) seen.set(id, clock.now());
          clock.advance(pause);
        }
        clock.advance(2_000);
        assert.deepEqual([ids.size, clock.pending], [0, 0]);
      }),
      { numRuns: 20 },
    );
  });
});

import assert from 'node:assert/strict';
import { Pace } from '../../gateway/session/pace.ts';
import { ManualClock } from '../../gateway/testing/index.ts';

function paced(perSecond: number) {
  const clock = new ManualClock();
  const begun: number[] = [];
  let rests = 0;
  const pace = new Pace(clock, perSecond, () => (rests += 1));
  const begin = async (): Promise<void> => {
    await pace.turn();
    pace.began();
    begun.push(clock.now());
  };
  const start = clock.now();
  return { clock, pace, begin, times: () => begun.map((time) => time - start), rests: () => rests };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('a pace', () => {
  it('lets so many begin in any second', async () => {
    const { clock, begin, times, rests } = paced(2);
    for (let i = 0; i < 5; i += 1) void begin();
    for (let i = 0; i < 30; i += 1) {
      await turn();
      clock.advance(100);
    }
    assert.deepEqual(times(), [0, 0, 1000, 1000, 2000]);
    assert.deepEqual([rests(), clock.pending], [1, 0]);
  });

  it('counts the second from when it began, not from its turn', async () => {
    const { clock, pace, begin, times } = paced(1);
    await pace.turn();
    void begin();
    clock.advance(5000);
    await turn();
    assert.deepEqual(times(), []);
    pace.began();
    clock.advance(999);
    await turn();
    assert.deepEqual(times(), []);
    clock.advance(1);
    await turn();
    assert.deepEqual(times(), [6000]);
  });

  it('gives a turn that was not used to the next at once', async () => {
    const { pace, begin, times, rests } = paced(1);
    await pace.turn();
    void begin();
    pace.giveBack();
    await turn();
    assert.deepEqual([times(), rests()], [[0], 0]);
  });
});

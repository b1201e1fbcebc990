/** Channels that are remembered after their last subscriber (GRIP 4.5, 6.4). */
import assert from 'node:assert/strict';
import { Lingering } from '../../gateway/channel/lingering.ts';
import { channelName } from '../../gateway/core/ids.ts';
import { limits } from '../../gateway/core/limits.ts';
import { ManualClock } from '../../gateway/testing/index.ts';

describe('lingering', () => {
  const [a, b] = [channelName('a'), channelName('b')];
  let clock: ManualClock;
  let forgotten: string[];
  let lingering: Lingering;

  beforeEach(() => {
    clock = new ManualClock();
    forgotten = [];
    lingering = new Lingering(clock, limits.lingerMs, (channel) => forgotten.push(channel));
  });

  it('forgets a channel a minute after its last subscriber has left', () => {
    lingering.left(a);
    clock.advance(30_000);
    lingering.left(b);
    clock.advance(29_999);
    assert.deepEqual([lingering.has(a), lingering.has(b), forgotten], [true, true, []]);
    clock.advance(1);
    assert.deepEqual([lingering.has(a), lingering.has(b), forgotten], [false, true, ['a']]);
    clock.advance(30_000);
    assert.deepEqual(forgotten, ['a', 'b']);
  });

  it('starts anew when there was a subscriber in between', () => {
    lingering.left(a);
    clock.advance(59_999);
    lingering.joined(a);
    assert.equal(lingering.has(a), false);
    clock.advance(60_000);
    lingering.left(a);
    clock.advance(59_999);
    assert.deepEqual(forgotten, []);
    clock.advance(1);
    assert.deepEqual(forgotten, ['a']);
  });

  it('does not mind a channel that it does not know', () => {
    lingering.joined(a);
    assert.equal(clock.pending, 0);
  });

  it('forgets at once what is too much', () => {
    for (let i = 0; i < limits.lingering; i += 1) lingering.left(channelName(`c${i}`));
    lingering.left(a);
    assert.deepEqual([lingering.has(a), forgotten], [false, ['a']]);
    lingering.close();
    assert.equal(clock.pending, 0);
    assert.deepEqual(forgotten, ['a']);
  });
});

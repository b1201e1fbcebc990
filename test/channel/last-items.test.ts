/** What is remembered of the last item of each channel (GRIP 4.5). */
import assert from 'node:assert/strict';
import { LastItems } from '../../gateway/channel/last-items.ts';
import { channelName } from '../../gateway/core/ids.ts';
import { limits } from '../../gateway/core/limits.ts';
import { ManualClock } from '../../gateway/testing/index.ts';

describe('last items', () => {
  const channel = channelName('c');
  let clock: ManualClock;
  let items: LastItems;
  const note = (name: string, id?: string): void => items.note({ channel: channelName(name), ...(id !== undefined && { id }) });

  beforeEach(() => {
    clock = new ManualClock();
    items = new LastItems(clock);
  });

  it('misses what came at that time or later', () => {
    const before = clock.now();
    assert.equal(items.isMissed(channel, before, undefined), false);
    note('c');
    assert.equal(items.isMissed(channel, before, undefined), true);
    assert.equal(items.isMissed(channelName('other'), before, undefined), false);
    clock.advance(1);
    assert.equal(items.isMissed(channel, clock.now(), undefined), false);
  });

  it('does not miss the item that the subscriber has', () => {
    note('c', '7');
    assert.equal(items.isMissed(channel, clock.now(), '7'), false);
    assert.equal(items.isMissed(channel, clock.now(), '6'), true);
    note('c');
    assert.equal(items.isMissed(channel, clock.now(), '7'), true);
  });

  it('knows an item for a minute at least, and not for ever', () => {
    const start = clock.now();
    note('c');
    clock.advance(limits.lastItemsMs);
    note('other');
    assert.equal(items.isMissed(channel, start, undefined), true);
    clock.advance(limits.lastItemsMs);
    note('other');
    assert.equal(items.isMissed(channel, start, undefined), false);
  });

  it('knows so many channels, and forgets the oldest first', () => {
    const start = clock.now();
    note('c');
    for (let n = 0; n < limits.lastItems; n += 1) note(`n${n}`);
    assert.equal(items.isMissed(channel, start, undefined), false);
    assert.equal(items.isMissed(channelName(`n${limits.lastItems - 1}`), start, undefined), true);
  });

  it('forgets all when told to', () => {
    note('c');
    items.forget();
    assert.equal(items.isMissed(channel, clock.now(), undefined), false);
  });
});

import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { createSequencer, type Sequencer, type SequencerSettings } from '../../gateway/channel/sequencer.ts';
import { limits } from '../../gateway/core/limits.ts';
import type { Publication } from '../../gateway/core/publication.ts';
import { ManualClock } from '../../gateway/testing/manual-clock.ts';
import { chained, item, news, sport } from './recorder.ts';

/** A sequencer that delivers into a list, with everybody subscribed to everything unless told otherwise. */
class Bench {
  readonly clock = new ManualClock();
  readonly delivered: string[] = [];
  readonly sequencer: Sequencer;
  subscribed = true;
  dropped = 0;

  constructor(settings: Partial<SequencerSettings> = {}) {
    this.sequencer = createSequencer({
      clock: this.clock,
      metrics: { count: (_, by = 1) => (this.dropped += by) },
      deliver: ({ channel, id, formats: { message } }) => {
        const content = message?.action === 'send' ? message.content.toString() : '';
        this.delivered.push(`${channel === news ? '' : `${channel} `}${id ?? content}`);
      },
      hasSubscribers: () => this.subscribed,
      settings,
    });
  }

  receive(...publications: readonly Publication[]): void {
    for (const publication of publications) this.sequencer.receive(publication);
  }
}

/** Items `first` to `last`, each with the id of the one before it. */
function chain(first: number, last: number): Publication[] {
  return Array.from({ length: last - first + 1 }, (_, i) => chained(`${first + i}`, `${first + i - 1}`));
}

function numbers(first: number, last: number): string[] {
  return Array.from({ length: last - first + 1 }, (_, i) => `${first + i}`);
}

describe('sequencer', () => {
  it('passes items without ids on at once, in the order in which they came', () => {
    const bench = new Bench();
    bench.receive(item('a'), item('b'), item('a'));
    assert.deepEqual(bench.delivered, ['a', 'b', 'a']);
    assert.equal(bench.clock.pending, 0);
  });

  describe('duplicates', () => {
    it('are dropped and counted, for a minute after the first', () => {
      const bench = new Bench();
      bench.receive(chained('1', undefined), chained('1', undefined));
      bench.clock.advance(limits.duplicateMemoryMs - 1);
      bench.receive(chained('1', undefined));
      assert.deepEqual([bench.delivered, bench.dropped], [['1'], 2]);
      bench.clock.advance(1);
      bench.receive(chained('1', undefined));
      assert.deepEqual(bench.delivered, ['1', '1']);
    });

    it('are dropped without subscribers and without sequencing too', () => {
      const bench = new Bench();
      bench.subscribed = false;
      bench.receive(chained('1', undefined), chained('1', undefined));
      bench.receive(chained('2', '9', { unsequenced: true }), chained('2', '9', { unsequenced: true }));
      assert.deepEqual(bench.delivered, ['1', '2']);
    });

    it('are of one channel: the same id in another is another item', () => {
      const bench = new Bench();
      bench.receive(chained('1', undefined), chained('1', undefined, { channel: sport }));
      assert.deepEqual(bench.delivered, ['1', 'sport 1']);
    });

    it('are dropped while the first waits', () => {
      const bench = new Bench();
      bench.receive(chained('1', undefined), chained('3', '2'), chained('3', '2'), chained('2', '1'));
      assert.deepEqual([bench.delivered, bench.dropped], [['1', '2', '3'], 1]);
    });

    it('are delivered where the memory is turned off', () => {
      const bench = new Bench({ duplicateMemoryMs: 0 });
      bench.receive(chained('1', undefined), chained('1', undefined));
      assert.deepEqual(bench.delivered, ['1', '1']);
      assert.equal(bench.clock.pending, 0);
    });

    it('leave nothing behind once the minute is over', () => {
      const bench = new Bench();
      bench.receive(chained('1', undefined));
      bench.clock.advance(limits.duplicateMemoryMs / 2);
      bench.receive(chained('2', '1'));
      bench.clock.advance(2 * limits.duplicateMemoryMs);
      assert.equal(bench.clock.pending, 0);
    });
  });

  describe('order', () => {
    it('lets an item wait for the one before it, and those that waited for it', () => {
      const bench = new Bench();
      bench.receive(chained('1', undefined), chained('4', '3'), chained('3', '2'));
      assert.deepEqual(bench.delivered, ['1']);
      bench.receive(chained('2', '1'));
      assert.deepEqual(bench.delivered, ['1', '2', '3', '4']);
      assert.equal(bench.sequencer.lastId(news), '4');
    });

    it('delivers at once where no last id is known, or no previous one is given', () => {
      const bench = new Bench();
      bench.receive(chained('5', '4'), chained('9', undefined), chained('10', '9'));
      assert.deepEqual(bench.delivered, ['5', '9', '10']);
    });

    it('knows no last id after an item without one', () => {
      const bench = new Bench();
      bench.receive(chained('1', undefined), item('a'));
      assert.equal(bench.sequencer.lastId(news), undefined);
      bench.receive(chained('7', '6'));
      bench.receive(chained(undefined, '7'));
      assert.equal(bench.sequencer.lastId(news), undefined);
      assert.deepEqual(bench.delivered, ['1', 'a', '7', '-']);
    });

    it('is not made, and no last id kept, for channels without subscribers', () => {
      const bench = new Bench();
      bench.subscribed = false;
      bench.receive(chained('1', undefined), chained('9', '8'), chained('5', '4'));
      assert.deepEqual(bench.delivered, ['1', '9', '5']);
      assert.equal(bench.sequencer.lastId(news), undefined);
    });

    it('is not made for items that are not to be sequenced, and these change no last id', () => {
      const bench = new Bench();
      const unsequenced = { unsequenced: true };
      bench.receive(chained('1', undefined), chained('9', '8', unsequenced), item('a', unsequenced));
      assert.equal(bench.sequencer.lastId(news), '1');
      bench.receive(chained('2', '1'));
      assert.deepEqual(bench.delivered, ['1', '9', 'a', '2']);
      assert.equal(bench.sequencer.lastId(news), '2');
    });

    it('is one of each channel', () => {
      const bench = new Bench();
      const inSport = { channel: sport };
      bench.receive(chained('1', undefined), chained('a', undefined, inSport), chained('3', '2'), chained('b', 'a', inSport));
      assert.deepEqual(bench.delivered, ['1', 'sport a', 'sport b']);
    });

    it('ends the wait after its time, in the order of arrival, with those who waited for what comes then', () => {
      const bench = new Bench();
      bench.receive(chained('1', undefined), chained('9', '8'));
      bench.clock.advance(1000);
      bench.receive(chained('6', '5'), chained('10', '9'), chained('7', '6'));
      bench.clock.advance(limits.sequenceWaitMs - 1001);
      assert.deepEqual(bench.delivered, ['1']);
      bench.clock.advance(1);
      assert.deepEqual(bench.delivered, ['1', '9', '10']);
      bench.clock.advance(1000);
      assert.deepEqual(bench.delivered, ['1', '9', '10', '6', '7']);
      assert.equal(bench.sequencer.lastId(news), '7');
      bench.clock.advance(2 * limits.duplicateMemoryMs);
      assert.equal(bench.clock.pending, 0);
    });

    it('delivers an item late whose place has been given up', () => {
      const bench = new Bench();
      bench.receive(chained('1', undefined), chained('3', '2'));
      bench.clock.advance(limits.sequenceWaitMs);
      bench.receive(chained('2', '1'));
      assert.deepEqual(bench.delivered, ['1', '3']);
      bench.clock.advance(limits.sequenceWaitMs);
      assert.deepEqual(bench.delivered, ['1', '3', '2']);
    });

    it('drops a second item that waits for the same one', () => {
      const bench = new Bench();
      bench.receive(chained('1', undefined), chained('3', '2'), chained('3b', '2'), chained('2', '1'));
      assert.deepEqual([bench.delivered, bench.dropped], [['1', '2', '3'], 1]);
    });

    it('drops what has no room to wait, channel by channel', () => {
      const bench = new Bench({ waitingMax: 2 });
      bench.receive(chained('1', undefined), chained('3', '2'), chained('4', '3'), chained('5', '4'));
      bench.receive(chained('a', undefined, { channel: sport }), chained('c', 'b', { channel: sport }));
      assert.equal(bench.dropped, 1);
      bench.receive(chained('2', '1'), chained('b', 'a', { channel: sport }));
      assert.deepEqual(bench.delivered, ['1', 'sport a', '2', '3', '4', 'sport b', 'sport c']);
    });

    it('forgets a channel with what waits in it, but not its ids', () => {
      const bench = new Bench();
      bench.receive(chained('1', undefined), chained('3', '2'));
      bench.receive(chained('a', undefined, { channel: sport }), chained('c', 'b', { channel: sport }));
      bench.sequencer.forget(news);
      assert.equal(bench.sequencer.lastId(news), undefined);
      bench.clock.advance(limits.sequenceWaitMs);
      assert.deepEqual(bench.delivered, ['1', 'sport a', 'sport c']);
      bench.receive(chained('1', undefined), chained('8', '7'));
      assert.deepEqual(bench.delivered, ['1', 'sport a', 'sport c', '8']);
    });

    it('forgets all last ids, while what waits goes on waiting', () => {
      const bench = new Bench();
      bench.receive(chained('1', undefined), chained('3', '2'), chained('a', undefined, { channel: sport }));
      bench.sequencer.forgetAll();
      assert.deepEqual([bench.sequencer.lastId(news), bench.sequencer.lastId(sport)], [undefined, undefined]);
      bench.receive(chained('2', '1'));
      assert.deepEqual(bench.delivered, ['1', 'sport a', '2', '3']);
    });

    it('is that of the chain, each item once, in whatever order and however often they come', () => {
      const arrivals = fc
        .integer({ min: 1, max: limits.sequenceWaiting })
        .chain((length) =>
          fc.tuple(
            fc.shuffledSubarray(chain(1, length), { minLength: length }),
            fc.array(fc.nat(length - 1), { maxLength: 20 }),
            fc.array(fc.integer({ min: 0, max: 40 }), { minLength: length, maxLength: length }),
          ),
        );
      fc.assert(
        fc.property(arrivals, ([shuffled, again, pauses]) => {
          const bench = new Bench();
          bench.receive(chained('0', undefined));
          for (const [i, publication] of shuffled.entries()) {
            bench.receive(publication);
            for (const twice of again) if (twice < i) bench.receive(...shuffled.slice(twice, twice + 1));
            bench.clock.advance(pauses[i] ?? 0);
          }
          assert.deepEqual(bench.delivered, numbers(0, shuffled.length));
        }),
      );
    });

    it('loses nothing of a chain with holes: what can follow follows, the rest comes after the wait', () => {
      const arrivals = fc.shuffledSubarray(chain(1, 60), { minLength: 1 });
      fc.assert(
        fc.property(arrivals, (shuffled) => {
          const bench = new Bench();
          bench.receive(chained('0', undefined), ...shuffled);
          const reached = bench.delivered.length - 1;
          assert.deepEqual(bench.delivered, numbers(0, reached));
          assert.ok(!shuffled.some(({ id }) => id === `${reached + 1}`));
          bench.clock.advance(limits.sequenceWaitMs);
          assert.deepEqual(bench.delivered.toSorted(), ['0', ...shuffled.map(({ id }) => id ?? '')].toSorted());
        }),
      );
    });
  });
});

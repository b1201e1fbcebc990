/** Filters that ask (GRIP 5), as the hub sees them: one question at a time for a subscriber, everything else behind it. */
import assert from 'node:assert/strict';
import { limits } from '../../gateway/core/limits.ts';
import type { FilterAnswer } from '../../gateway/core/publication.ts';
import { chained, closeItem, item, news, Recorder, sport, TestHub, turns } from './recorder.ts';

/** Answers that a test gives one by one. */
function asking(behaviour: ConstructorParameters<typeof Recorder>[0] = {}) {
  const waiting: { answer(answer: FilterAnswer): void; fail(): void }[] = [];
  const subscriber = new Recorder({
    ...behaviour,
    answer: () => new Promise((resolve, reject) => waiting.push({ answer: resolve, fail: () => reject(new Error('no answer')) })),
  });
  const next = async (act: (one: (typeof waiting)[number]) => void): Promise<void> => {
    const one = waiting.shift();
    assert.ok(one, 'Nobody asks.');
    act(one);
    await turns();
  };
  return {
    subscriber,
    pass: () => next((one) => one.answer('pass')),
    drop: () => next((one) => one.answer('drop')),
    change: (content: string) => next((one) => one.answer(Buffer.from(content))),
    fail: () => next((one) => one.fail()),
  };
}

async function publish(hub: TestHub, ...publications: Parameters<TestHub['receive']>[0][]): Promise<void> {
  for (const publication of publications) hub.receive(publication);
  await turns(2);
}

describe('a subscriber with filters that ask', () => {
  it('gets what passes, in order; others get theirs at once', async () => {
    const hub = new TestHub();
    const { subscriber: ann, pass, drop, change } = asking();
    const bob = new Recorder();
    void hub.join(ann, news, ['http-modify']);
    void hub.join(ann, sport, []);
    for (const name of [news, sport]) void hub.join(bob, name, []);
    await publish(hub, item('a'), item('s', { channel: sport }), item('b'), item('c'));
    assert.deepEqual([bob.text.length, ann.given, ann.asked], [8, [], ['http-modify a']]);
    await change('A');
    assert.deepEqual(ann.asked.length, 2);
    await drop();
    await pass();
    assert.deepEqual([...ann.given].toSorted(), ['A;', 'c;', 's;']);
    await publish(hub, item('t', { channel: sport }));
    assert.equal(ann.given.at(-1), 't;');
    assert.deepEqual(hub.counted, { deliveries: 9 });
  });

  it('loses an item whose question fails: counted, and told in the log', async () => {
    const hub = new TestHub();
    const { subscriber: ann, fail, pass } = asking();
    void hub.join(ann, news, ['http-check']);
    await publish(hub, item('a'), item('b'));
    await fail();
    await pass();
    assert.deepEqual([ann.given, hub.logged], [['b;'], ['filter.failed']]);
    assert.deepEqual(hub.counted, { deliveries: 1, deliveries_dropped: 1 });
  });

  it('has the id of an item when it got it or lost it, not while it is asked about', async () => {
    const hub = new TestHub();
    const { subscriber: ann, drop, pass } = asking();
    void hub.join(ann, news, ['http-check'], '1');
    await publish(hub, chained('2', '1'), chained('3', '2'), chained('5', '4'));
    assert.deepEqual([...hub.currentIds(ann)], [[news, '1']]);
    hub.release(ann); // Nothing was held.
    await drop();
    assert.deepEqual([...hub.currentIds(ann)], [[news, '2']]);
    await pass();
    assert.deepEqual([...hub.currentIds(ann)], [[news, '3']]);
    assert.deepEqual(ann.given, ['3;', '<missed in news>']);
  });

  it('builds ids from those that count at the turn of the item', async () => {
    const hub = new TestHub();
    const { subscriber: ann, pass } = asking({ meta: { id_format: '%(news)s-%(sport)s' } });
    void hub.join(ann, news, ['http-check', 'build-id'], '1');
    void hub.join(ann, sport, [], '7');
    await publish(hub, chained('2', '1', item('%I')));
    await publish(hub, chained('8', '7', { channel: sport }));
    await pass();
    assert.deepEqual(ann.given, ['2-7;', '8;']);
  });

  it('is asked about again where it was held meanwhile', async () => {
    const hub = new TestHub();
    const { subscriber: ann, pass } = asking();
    void hub.join(ann, news, ['http-check'], '1');
    await publish(hub, chained('2', '1'), chained('3', '2'));
    hub.hold(ann);
    await pass();
    assert.deepEqual(ann.given, []);
    void hub.join(ann, news, ['http-modify'], '2');
    hub.release(ann);
    assert.deepEqual(ann.asked, ['http-check 2', 'http-modify 3']);
    await pass();
    assert.deepEqual(ann.given, ['3;']);
  });

  it('is asked about again where it was held and released before the answer', async () => {
    const hub = new TestHub();
    const { subscriber: ann, pass } = asking();
    void hub.join(ann, news, ['http-check']);
    await publish(hub, item('a'));
    hub.hold(ann);
    hub.release(ann);
    await pass();
    assert.deepEqual([ann.given, ann.asked.length], [[], 2]);
    await pass();
    assert.deepEqual(ann.given, ['a;']);
  });

  it('is asked about again where the filters have changed', async () => {
    const hub = new TestHub();
    const { subscriber: ann, pass, change } = asking();
    void hub.join(ann, news, ['http-check']);
    await publish(hub, item('a'));
    void hub.join(ann, news, ['http-check']);
    hub.leave(ann, news);
    void hub.join(ann, news, ['http-modify']);
    await pass();
    await change('b');
    assert.deepEqual([ann.given, ann.asked], [['b;'], ['http-check a', 'http-modify a']]);
  });

  it('may be held in one channel alone: others go on, the item in question is asked about again, and what is contained is no gap', async () => {
    const hub = new TestHub();
    const { subscriber: ann, pass } = asking();
    void hub.join(ann, news, ['http-check'], '1');
    void hub.join(ann, sport, []);
    await publish(hub, chained('2', '1'), chained('3', '2'), closeItem);
    await publish(hub, item('s', { channel: sport }));
    hub.holdChannel(ann, news);
    assert.deepEqual(ann.given, ['s;']);
    await publish(hub, chained('4', '3'), item('t', { channel: sport }));
    await pass();
    assert.deepEqual(ann.given, ['s;', 't;']);
    void hub.join(ann, news, ['http-check'], '3');
    hub.releaseChannel(ann, news);
    assert.deepEqual(ann.given, ['s;', 't;', '<close>']);
    await pass();
    assert.deepEqual([ann.given.slice(3), ann.asked], [['4;'], ['http-check 2', 'http-check 4']]);
    assert.deepEqual([...hub.currentIds(ann)], [[news, '4']]);
  });

  it('waits for what is asked about another of its channels, also after one was held alone', async () => {
    const hub = new TestHub();
    const { subscriber: ann, pass } = asking();
    void hub.join(ann, news, ['http-check']);
    void hub.join(ann, sport, []);
    hub.holdChannel(ann, sport);
    await publish(hub, item('s', { channel: sport }), item('a'));
    hub.releaseChannel(ann, sport);
    assert.deepEqual([ann.given, ann.asked], [[], ['http-check a']]);
    await pass();
    await publish(hub, item('t', { channel: sport }));
    assert.deepEqual(ann.given, ['a;', 's;', 't;']);
  });

  it('gets a close of a channel that is held alone, though its line was full, and what it is asked about meanwhile', async () => {
    const hub = new TestHub();
    const { subscriber: ann, pass } = asking();
    void hub.join(ann, news, []);
    void hub.join(ann, sport, ['http-check']);
    hub.holdChannel(ann, news);
    await publish(hub, item('s', { channel: sport }));
    await publish(hub, ...Array.from({ length: limits.heldItems }, (_, i) => item(`${i}`)), closeItem);
    hub.releaseChannel(ann, news);
    await pass();
    assert.deepEqual(ann.given, ['s;', '<close>']);
    assert.deepEqual(hub.counted, { deliveries: 2, deliveries_dropped: limits.heldItems });
  });

  it('keeps its id where it has no room for what has passed, and is told that it missed it', async () => {
    const hub = new TestHub();
    const { subscriber: ann, pass, change } = asking({ refuses: (text) => text === '2;' || text === 'B;' });
    void hub.join(ann, news, ['http-modify'], '1');
    await publish(hub, chained('2', '1'));
    await pass();
    assert.deepEqual([...hub.currentIds(ann)], [[news, '1']]);
    await publish(hub, chained('2', '1'));
    await change('A');
    await publish(hub, chained('3', '2'));
    await change('B');
    assert.deepEqual([...hub.currentIds(ann)], [[news, '2']]);
    assert.deepEqual(ann.given, ['<refused>', '<missed in news>', 'A;', '<refused>', '<missed in news>']);
    assert.deepEqual(hub.counted, { deliveries: 1 });
  });

  it('has missed nothing that waits where a new current id says that it has it', async () => {
    const hub = new TestHub();
    const { subscriber: ann, pass } = asking();
    void hub.join(ann, news, ['http-check'], '1');
    await publish(hub, chained('2', '1'), chained('3', '2'));
    void hub.join(ann, news, ['http-check'], '3');
    await publish(hub, chained('4', '3'));
    await pass();
    await pass();
    assert.deepEqual(ann.given, ['4;']);
    await publish(hub, chained('6', '5'));
    assert.deepEqual(ann.given, ['4;', '<missed in news>']);
  });

  it('will have the id of the last that waits and follows', async () => {
    const hub = new TestHub();
    const { subscriber: ann } = asking();
    void hub.join(ann, news, ['http-check'], '1');
    void hub.join(ann, sport, [], 'a');
    assert.deepEqual([hub.comingId(ann, news), hub.comingId(ann, sport)], ['1', 'a']);
    await publish(hub, chained('2', '1'), closeItem, chained('3', '2'), chained('5', '4'));
    assert.deepEqual([hub.comingId(ann, news), hub.currentId(ann, news)], ['3', '1']);
    hub.holdChannel(ann, news);
    assert.equal(hub.comingId(ann, news), '3');
    await publish(hub, chained(undefined, '3'), chained('7', '6'));
    assert.deepEqual([hub.comingId(ann, news), hub.comingId(ann, sport)], [undefined, 'a']);
    hub.drop(ann);
    assert.equal(hub.comingId(ann, news), undefined);
  });

  it('may join while it is held: what has waited is asked about', async () => {
    const hub = new TestHub();
    const { subscriber: ann, pass } = asking();
    void hub.join(ann, news, []);
    hub.hold(ann);
    await publish(hub, item('a'), item('b'));
    void hub.join(ann, news, ['http-check']);
    hub.release(ann);
    await pass();
    await pass();
    assert.deepEqual(ann.given, ['a;', 'b;']);
  });

  it('gets nothing of an answer that comes when it has left, though it came back', async () => {
    const hub = new TestHub();
    const { subscriber: ann, pass } = asking();
    void hub.join(ann, news, ['http-check']);
    await publish(hub, item('a'), item('b'));
    hub.drop(ann);
    void hub.join(ann, news, ['http-check']);
    await pass();
    assert.deepEqual(ann.given, []);
    await publish(hub, item('c'));
    await pass();
    assert.deepEqual([ann.given, ann.asked], [['c;'], ['http-check a', 'http-check c']]);
  });

  it('is not asked about actions, and may end inside one', async () => {
    const hub = new TestHub();
    const { subscriber: ann, pass } = asking({ inside: (self) => void (self.text.endsWith('<close>') && hub.drop(self)) });
    void hub.join(ann, news, ['http-check']);
    await publish(hub, closeItem);
    assert.deepEqual([ann.given, ann.asked], [['<close>'], []]);
    void hub.join(ann, news, ['http-check']);
    await publish(hub, item('a'), closeItem, item('b'));
    await pass();
    assert.deepEqual([ann.given.slice(1), ann.asked.length], [['a;', '<close>'], 1]);
  });
});

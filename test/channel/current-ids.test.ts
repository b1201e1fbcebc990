import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { limits } from '../../gateway/core/limits.ts';
import { action, chained, closeItem, item, news, PlainShape, plainShape, Recorder, sport, TestHub, turns } from './recorder.ts';

function fill(hub: TestHub, count: number, previousId: string, make = () => new Recorder()): Recorder[] {
  return Array.from({ length: count }, () => {
    const subscriber = make();
    void hub.join(subscriber, news, [], previousId);
    return subscriber;
  });
}

describe('current ids', () => {
  it('go on with each delivered item', async () => {
    const hub = new TestHub();
    const [ann] = fill(hub, 1, '7');
    assert.ok(ann !== undefined);
    assert.deepEqual([...hub.currentIds(ann)], [[news, '7']]);
    hub.receive(chained('8', '7'));
    await turns();
    assert.deepEqual([...hub.currentIds(ann)], [[news, '8']]);
    for (const publication of [chained('9', '8'), chained('10', '9')]) hub.receive(publication);
    await turns();
    assert.deepEqual(ann.given, ['8;', '9;10;']);
    assert.deepEqual([...hub.currentIds(ann)], [[news, '10']]);
  });

  it('keep an item away that does not follow, and tell of it', async () => {
    const hub = new TestHub();
    const [ann] = fill(hub, 1, '7');
    const plain = new Recorder();
    void hub.join(plain, news, []);
    for (const publication of [chained('9', '8'), chained('10', undefined), chained('8', '7')]) hub.receive(publication);
    await turns();
    assert.deepEqual(ann?.given, ['<missed in news>', '<missed in news>', '8;']);
    assert.deepEqual(plain.given, ['9;10;8;']);
    assert.deepEqual([...hub.currentIds(ann)], [[news, '8']]);
  });

  it('are not looked at any more after an item without an id', async () => {
    const hub = new TestHub();
    const [ann] = fill(hub, 1, '7');
    assert.ok(ann !== undefined);
    for (const publication of [chained(undefined, '7'), chained('20', '19'), chained('x', undefined)]) hub.receive(publication);
    await turns();
    assert.deepEqual(ann.given, ['-;20;x;']);
    assert.deepEqual([...hub.currentIds(ann)], []);
  });

  it('are not touched by actions without ids, which take effect; with ids they are items like others', async () => {
    const hub = new TestHub();
    const [ann] = fill(hub, 1, '7');
    assert.ok(ann !== undefined);
    for (const publication of [closeItem, chained('8', '7'), closeItem, { ...closeItem, id: '10', previousId: '9' }])
      hub.receive(publication);
    await turns();
    assert.deepEqual(ann.given, ['<close>', '8;', '<close>', '<missed in news>']);
    assert.deepEqual([...hub.currentIds(ann)], [[news, '8']]);
  });

  it('are not begun by items: who joined without one is told of no gap', async () => {
    const hub = new TestHub();
    const ann = new Recorder();
    void hub.join(ann, news, ['skip-self']);
    for (const publication of [chained('1', undefined), chained('2', undefined), chained('4', '3')]) hub.receive(publication);
    await turns();
    assert.deepEqual(ann.given, ['1;2;4;']);
    assert.deepEqual([...hub.currentIds(ann)], []);
  });

  it('are replaced when a subscriber joins again', async () => {
    const hub = new TestHub();
    const [ann] = fill(hub, 1, '7');
    assert.ok(ann !== undefined);
    void hub.join(ann, news, [], '10');
    void hub.join(ann, sport, [], 'a');
    assert.deepEqual(
      new Map(hub.currentIds(ann)),
      new Map([
        [news, '10'],
        [sport, 'a'],
      ]),
    );
    void hub.join(ann, news, []);
    hub.leave(ann, sport);
    assert.deepEqual([...hub.currentIds(ann)], []);
  });

  it('count for actions too', async () => {
    const hub = new TestHub();
    const [ann] = fill(hub, 1, '7');
    const hint = action({ action: 'hint' });
    for (const publication of [{ ...hint, id: '9', previousId: '8' }, { ...hint, id: '8', previousId: '7' }, chained('9', '8')])
      hub.receive(publication);
    await turns();
    assert.deepEqual(ann?.given, ['<missed in news>', '<hint>', '9;']);
  });

  it('pass over items without the format of the shape', async () => {
    const hub = new TestHub();
    const [ann] = fill(hub, 1, '7');
    const streamOnly = chained('8', '7', { formats: { stream: { action: 'send', content: Buffer.from('x') } } });
    for (const publication of [streamOnly, chained('8', '7'), chained('10', '9'), streamOnly, chained('9', '8')])
      hub.receive(publication);
    await turns();
    assert.deepEqual(ann?.given, ['8;', '<missed in news>', '9;']);
  });

  it('go on past an item that a filter drops', async () => {
    const hub = new TestHub();
    const ann = new Recorder({ meta: { user: 'ann' } });
    void hub.join(ann, news, ['skip-self'], '1');
    const own = { meta: new Map([['sender', 'ann']]) };
    for (const publication of [chained('2', '1', own), chained('3', '2')]) hub.receive(publication);
    await turns();
    hub.receive(chained('4', '3'));
    await turns();
    assert.deepEqual(ann.given, ['3;', '4;']);
  });

  it('make the id of build-id, with that of the item counting already', async () => {
    const hub = new TestHub();
    const ann = new Recorder({ meta: { id_format: '%(news)s-%(sport)s' } });
    void hub.join(ann, news, ['build-id'], '1');
    void hub.join(ann, sport, ['build-id'], '7');
    for (const publication of [chained('2', '1'), chained('3', '2')])
      hub.receive({ ...publication, formats: item('%I').formats });
    await turns();
    hub.receive({ ...chained('8', '7', { channel: sport }), formats: item('%I').formats });
    await turns();
    assert.deepEqual(ann.given, ['2-7;3-7;', '3-8;']);
  });

  it('stay where they were when the subscriber has no room, which is told that it missed the item', async () => {
    const hub = new TestHub();
    let full = true;
    const [ann] = fill(hub, 1, '7', () => new Recorder({ refuses: () => full }));
    assert.ok(ann !== undefined);
    hub.receive(chained('8', '7'));
    hub.receive(chained('9', '8'));
    await turns();
    assert.deepEqual([...hub.currentIds(ann)], [[news, '7']]);
    full = false;
    hub.receive(chained('10', '9'));
    await turns();
    assert.deepEqual(ann.given, ['<refused>', '<missed in news>', '<missed in news>']);
    hub.receive(chained('8', '7'));
    await turns();
    assert.deepEqual(ann.given.slice(3), ['8;']);
    assert.equal(hub.counted.deliveries_dropped, undefined);
  });

  it('stay where they were before an item that would have ended them', async () => {
    const hub = new TestHub();
    const [ann] = fill(hub, 1, '7', () => new Recorder({ refuses: () => true }));
    assert.ok(ann !== undefined);
    hub.receive(chained(undefined, '7'));
    await turns();
    assert.deepEqual([...hub.currentIds(ann)], [[news, '7']]);
  });

  it('go as far as the subscriber had room, where filters make several writes of one', async () => {
    const hub = new TestHub();
    const large = 'x'.repeat(limits.joinedBytes);
    const ann = new Recorder({ meta: { id_format: large }, refuses: (text) => text.endsWith('3;') });
    void hub.join(ann, news, ['build-id'], '0');
    for (let i = 1; i <= 4; i += 1) hub.receive({ ...chained(`${i}`, `${i - 1}`), formats: item(`%I${i}`).formats });
    await turns(3);
    assert.deepEqual(
      ann.given.map((text) => text.replace(large, '')),
      ['1;', '2;', '<refused>', '<missed in news>'],
    );
    assert.deepEqual([...hub.currentIds(ann)], [[news, '2']]);
  });

  it('stay where they were when what has waited finds no room', async () => {
    const hub = new TestHub();
    const [ann] = fill(hub, 1, '7', () => new Recorder({ refuses: (text) => text === '9;' }));
    assert.ok(ann !== undefined);
    hub.hold(ann);
    for (const publication of [chained('8', '7'), chained('9', '8'), chained('10', '9')]) hub.receive(publication);
    await turns();
    hub.release(ann);
    assert.deepEqual(ann.given, ['8;', '<refused>', '<missed in news>']);
    assert.deepEqual([...hub.currentIds(ann)], [[news, '8']]);
  });

  it('do not keep the same bytes from being shared', async () => {
    const hub = new TestHub();
    const shape = new PlainShape();
    const all = fill(hub, 100, '0', () => new Recorder({ shape }));
    for (let i = 1; i <= 5; i += 1) hub.receive(chained(`${i}`, `${i - 1}`));
    await turns(10);
    assert.equal(shape.encoded, 5);
    assert.equal(new Set(all.map(({ buffers }) => buffers[0])).size, 1);
    assert.ok(all.every(({ given }) => given.join() === '1;2;3;4;5;'));
  });

  it('give a subscriber that leaves when it is told nothing more', async () => {
    const hub = new TestHub();
    const [ann] = fill(hub, 1, '7', () => new Recorder({ inside: (self) => hub.drop(self) }));
    const [bob] = fill(hub, 1, '8');
    for (const publication of [chained('9', '8'), chained('8', '7'), chained('10', '9')]) hub.receive(publication);
    await turns(3);
    assert.deepEqual(ann?.given, ['<missed in news>']);
    assert.deepEqual(bob?.given, ['9;', '<missed in news>', '10;']);
  });

  it('go on after a subscriber that fails when it is told', async () => {
    const hub = new TestHub();
    const fails = (): never => {
      throw new Error('broken subscriber');
    };
    fill(hub, 1, '7', () => new Recorder({ inside: fails }));
    const [bob] = fill(hub, 1, '8');
    hub.receive(chained('9', '8'));
    await turns();
    assert.deepEqual(bob?.given, ['9;']);
    assert.deepEqual(hub.logged, ['delivery.failed']);
  });

  it('leave no gap untold: each got what follows, or was told', async () => {
    const ids = fc.array(fc.record({ id: fc.nat(6), previous: fc.nat(6), turn: fc.boolean() }), { maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(ids, async (steps) => {
        const hub = new TestHub();
        const [ann] = fill(hub, 1, '0');
        const expected: string[] = [];
        let current = 0;
        for (const { id, previous, turn } of steps) {
          hub.receive(chained(`${id}`, `${previous}`));
          expected.push(previous === current ? `${id};` : '<missed in news>');
          if (previous === current) current = id;
          if (turn) await turns();
        }
        await turns(3);
        assert.equal(ann?.text, expected.join(''));
      }),
      { numRuns: 100 },
    );
  });
});

describe('items of their own', () => {
  const shape = new PlainShape({ joins: false });

  it('are handed over one by one to subscribers of a shape that does not join', async () => {
    const hub = new TestHub();
    const [ann, bob] = [new Recorder({ shape }), new Recorder()];
    for (const subscriber of [ann, bob]) void hub.join(subscriber, news, []);
    for (const content of ['a', 'b']) hub.receive(item(content));
    hub.receive(action({ action: 'hint' }));
    await turns();
    assert.deepEqual(ann.given, ['<a>', '<b>', '<hint>']);
    assert.deepEqual(bob.given, ['a;b;', '<hint>']);
    assert.equal(shape.encoded, 0);
    assert.deepEqual(hub.counted, { deliveries: 6 });
  });

  it('are filtered', async () => {
    const hub = new TestHub();
    const ann = new Recorder({ shape, meta: { user: 'ann', name: 'Ann' } });
    void hub.join(ann, news, ['skip-self', 'var-subst']);
    hub.receive(item('a', { meta: new Map([['sender', 'ann']]) }));
    hub.receive(item('hi %(name)s'));
    hub.receive(item('plain', { contentFilters: [] }));
    hub.receive(item('%(name)s', { contentFilters: ['var-subst'] }));
    await turns();
    assert.deepEqual(ann.given, ['<hi Ann>', '<Ann>']);
  });

  it('begin or end when a subscriber joins again with another shape', async () => {
    const hub = new TestHub();
    const ann = new Recorder({ shape });
    void hub.join(ann, news, []);
    hub.receive(item('a'));
    await turns();
    ann.shape = plainShape;
    void hub.join(ann, news, []);
    hub.receive(item('b'));
    await turns();
    assert.deepEqual(ann.given, ['<a>', 'b;']);
    assert.deepEqual([hub.subscriptionCount, hub.channelsOf(ann), hub.wants], [1, [news], ['+news']]);
  });

  it('are kept from members without filters where the publisher wants filters', async () => {
    const hub = new TestHub();
    const ann = new Recorder({ shape });
    void hub.join(ann, news, []);
    hub.receive(item('a', { contentFilters: ['var-subst'] }));
    hub.receive(item('b', { contentFilters: [] }));
    await turns();
    assert.deepEqual(ann.given, ['<b>']);
    assert.deepEqual(hub.counted, { deliveries: 1 });
  });

  it('follow the current id', async () => {
    const hub = new TestHub();
    const ann = new Recorder({ shape });
    void hub.join(ann, news, [], '7');
    for (const publication of [chained('9', '8'), chained('8', '7')]) hub.receive(publication);
    await turns();
    assert.deepEqual(ann.given, ['<missed in news>', '<8>']);
  });
});

describe('a held subscriber', () => {
  it('gets nothing until it is released, then everything in order', async () => {
    const hub = new TestHub();
    const [ann, bob] = [new Recorder(), new Recorder()];
    for (const subscriber of [ann, bob]) void hub.join(subscriber, news, []);
    hub.hold(ann);
    hub.hold(ann);
    hub.receive(item('a'));
    await turns();
    hub.receive(action({ action: 'hint' }));
    hub.receive(item('b'));
    await turns();
    assert.deepEqual([ann.given, bob.given], [[], ['a;', '<hint>', 'b;']]);
    hub.release(ann);
    assert.deepEqual(ann.given, ['a;', '<hint>', 'b;']);
    hub.receive(item('c'));
    await turns();
    assert.deepEqual(ann.given, ['a;', '<hint>', 'b;', 'c;']);
    assert.deepEqual(hub.counted, { deliveries: 8 });
  });

  it('may be held in one channel alone: others flow, and what does not follow by then is dropped', async () => {
    const hub = new TestHub();
    const ann = new Recorder();
    void hub.join(ann, news, [], '7');
    void hub.join(ann, sport, []);
    hub.holdChannel(ann, news);
    hub.holdChannel(ann, news);
    for (const publication of [chained('8', '7'), chained('9', '8'), item('s', { channel: sport })]) hub.receive(publication);
    await turns();
    assert.deepEqual(ann.given, ['s;']);
    void hub.join(ann, news, [], '8');
    hub.releaseChannel(ann, news);
    hub.releaseChannel(ann, news);
    assert.deepEqual(ann.given, ['s;', '9;']);
    hub.receive(chained('10', '9'));
    await turns();
    assert.deepEqual(ann.given, ['s;', '9;', '10;']);
  });

  it('that is held in one channel alone gets joined what others bring, and so many items of its own wait', async () => {
    const hub = new TestHub();
    const ann = new Recorder();
    void hub.join(ann, news, []);
    hub.holdChannel(ann, news);
    void hub.join(ann, sport, []);
    for (let i = 0; i < limits.heldItems + 2; i += 1) hub.receive(item(`${i}`));
    for (const content of ['s', 't']) hub.receive(item(content, { channel: sport }));
    await turns(3);
    assert.deepEqual(ann.given, ['s;t;']);
    hub.releaseChannel(ann, news);
    assert.deepEqual([ann.given.length, ann.given.at(-1)], [limits.heldItems + 1, `${limits.heldItems - 1};`]);
    for (const content of ['a', 'b']) hub.receive(item(content));
    await turns();
    assert.equal(ann.given.at(-1), 'a;b;');
    assert.equal(hub.counted.deliveries_dropped, 2);
  });

  it('may be held as a whole while one channel is held alone, and again at what it gets', async () => {
    const hub = new TestHub();
    const ann = new Recorder({ inside: (self) => void (self.text.endsWith('again;') && hub.holdChannel(self, news)) });
    for (const name of [news, sport]) void hub.join(ann, name, []);
    hub.holdChannel(ann, news);
    hub.hold(ann);
    for (const content of ['again', 'b', 'c']) hub.receive(item(content));
    hub.receive(item('s', { channel: sport }));
    await turns(2);
    hub.release(ann);
    assert.deepEqual(ann.given, ['s;']);
    hub.releaseChannel(ann, news);
    assert.deepEqual(ann.given, ['s;', 'again;']);
    hub.receive(item('t', { channel: sport }));
    await turns();
    hub.releaseChannel(ann, news);
    assert.deepEqual(ann.given, ['s;', 'again;', 't;', 'b;', 'c;']);
  });

  it('gets nothing that waited in a channel it has left meanwhile, or leaves at what it gets', async () => {
    const hub = new TestHub();
    const [left, leaving] = [new Recorder(), new Recorder({ inside: (self) => hub.drop(self) })];
    for (const subscriber of [left, leaving]) {
      void hub.join(subscriber, news, []);
      hub.holdChannel(subscriber, news);
    }
    for (const content of ['a', 'b']) hub.receive(item(content));
    await turns();
    hub.leave(left, news);
    void hub.join(left, news, []);
    for (const subscriber of [left, leaving]) hub.releaseChannel(subscriber, news);
    hub.holdChannel(leaving, news);
    assert.deepEqual([left.given, leaving.given], [[], ['a;']]);
  });

  it('may join while it is held', async () => {
    const hub = new TestHub();
    const ann = new Recorder();
    hub.hold(ann);
    void hub.join(ann, news, [], '1');
    hub.receive(chained('2', '1'));
    await turns();
    assert.deepEqual(ann.given, []);
    hub.release(ann);
    assert.deepEqual(ann.given, ['2;']);
    assert.deepEqual([...hub.currentIds(ann)], [[news, '2']]);
  });

  it('does not get what a new current id says it has', async () => {
    const hub = new TestHub();
    const ann = new Recorder();
    void hub.join(ann, news, [], '8');
    void hub.join(ann, sport, []);
    hub.hold(ann);
    for (const publication of [chained('10', '9'), item('s', { channel: sport }), chained('9', '8'), chained('11', '10')])
      hub.receive(publication);
    await turns();
    assert.equal(ann.text, '');
    void hub.join(ann, news, [], '10');
    hub.release(ann);
    assert.deepEqual(ann.given.toSorted(), ['11;', 's;']);
    assert.deepEqual([...hub.currentIds(ann)], [[news, '11']]);
  });

  it('gets what has waited through the filters it has by then', async () => {
    const hub = new TestHub();
    const ann = new Recorder({ meta: { user: 'ann', name: 'Ann' } });
    void hub.join(ann, news, []);
    hub.hold(ann);
    hub.receive(item('a', { meta: new Map([['sender', 'ann']]) }));
    hub.receive(item('%(name)s'));
    await turns();
    void hub.join(ann, news, ['skip-self', 'var-subst']);
    hub.release(ann);
    assert.deepEqual(ann.given, ['Ann;']);
  });

  it('gets nothing of channels it has left, and nothing once it is dropped', async () => {
    const hub = new TestHub();
    const [ann, bob] = [new Recorder(), new Recorder()];
    for (const subscriber of [ann, bob]) {
      void hub.join(subscriber, news, []);
      hub.hold(subscriber);
    }
    hub.receive(item('a'));
    await turns();
    hub.leave(ann, news);
    hub.drop(bob);
    hub.release(ann);
    void hub.join(bob, news, []);
    hub.receive(item('b'));
    await turns();
    assert.deepEqual([ann.given, bob.given], [[], ['b;']]);
  });

  it('keeps the rest where it is held again inside a delivery', async () => {
    const hub = new TestHub();
    const ann = new Recorder({ inside: (self) => void (self.given.length === 1 && hub.hold(self)) });
    void hub.join(ann, news, []);
    hub.hold(ann);
    for (const content of ['a', 'b', 'c']) hub.receive(item(content));
    await turns();
    hub.release(ann);
    assert.deepEqual(ann.given, ['a;']);
    hub.release(ann);
    assert.deepEqual(ann.given, ['a;', 'b;', 'c;']);
  });

  it('keeps the rest of a round where it is held when it is told of a gap', async () => {
    const hub = new TestHub();
    const ann = new Recorder({ inside: (self) => void (self.given.length === 1 && hub.hold(self)) });
    void hub.join(ann, news, [], '7');
    for (const publication of [chained('9', '8'), chained('10', '9')]) hub.receive(publication);
    await turns();
    void hub.join(ann, news, [], '9');
    hub.release(ann);
    assert.deepEqual(ann.given, ['<missed in news>', '10;']);
  });

  it('has room for so many items, and what is dropped is counted', async () => {
    const hub = new TestHub();
    const ann = new Recorder();
    void hub.join(ann, news, []);
    hub.hold(ann);
    for (let i = 0; i < limits.heldItems + 3; i += 1) hub.receive(item(`${i}`));
    await turns(3);
    hub.release(ann);
    assert.equal(ann.items, limits.heldItems);
    assert.deepEqual(hub.counted, { deliveries: limits.heldItems, deliveries_dropped: 3 });
  });
});

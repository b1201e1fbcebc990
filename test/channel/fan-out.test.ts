import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { channelName } from '../../gateway/core/ids.ts';
import { limits } from '../../gateway/core/limits.ts';
import { responseShape } from '../../gateway/wire/response-shape.ts';
import { plainStream } from '../../gateway/wire/stream-shape.ts';
import { action, closeItem, item, news, PlainShape, plainShape, Recorder, TestHub, turns } from './recorder.ts';

function fill(hub: TestHub, count: number, make = () => new Recorder()): Recorder[] {
  return Array.from({ length: count }, () => {
    const subscriber = make();
    void hub.join(subscriber, news, []);
    return subscriber;
  });
}

describe('fan-out', () => {
  it('joins what one turn of the loop brought into one write', async () => {
    const hub = new TestHub();
    const [ann] = fill(hub, 1);
    for (const content of ['a', 'b', 'c']) hub.receive(item(content));
    await turns();
    hub.receive(item('d'));
    await turns();
    assert.deepEqual(ann?.given, ['a;b;c;', 'd;']);
    assert.equal(ann.items, 4);
  });

  it('encodes an item once for a shape and gives all its subscribers the same bytes', async () => {
    const hub = new TestHub();
    const shape = new PlainShape();
    const all = fill(hub, 1_000, () => new Recorder({ shape }));
    hub.receive(item('a'));
    await turns(10);
    assert.equal(shape.encoded, 1);
    assert.equal(new Set(all.map(({ buffers }) => buffers[0])).size, 1);
    assert.ok(all.every(({ text }) => text === 'a;'));
  });

  it('serves subscribers of several shapes', async () => {
    const hub = new TestHub();
    const shapes = [new PlainShape(), new PlainShape(), new PlainShape()];
    const all = fill(hub, 300).concat(shapes.flatMap((shape) => fill(hub, 100, () => new Recorder({ shape }))));
    for (const content of ['a', 'b']) hub.receive(item(content));
    await turns(10);
    assert.ok(all.every(({ given }) => given.join() === 'a;b;'));
    assert.deepEqual(
      shapes.map(({ encoded }) => encoded),
      [2, 2, 2],
    );
  });

  it('serves long-polls first, then streams, then WebSockets, whoever came first', async () => {
    const hub = new TestHub();
    const order: string[] = [];
    const all = { message: plainShape, stream: plainStream, response: responseShape };
    for (const [name, shape] of Object.entries(all))
      fill(hub, 2, () => new Recorder({ shape, inside: () => void order.push(name) }));
    const content = Buffer.from('a');
    const response = { action: 'send', code: 200, headers: [], body: { kind: 'bytes', bytes: content } } as const;
    const { formats, ...rest } = item('a');
    hub.receive({ ...rest, formats: { ...formats, stream: { action: 'send', content }, response } });
    await turns();
    assert.deepEqual(order, ['response', 'response', 'stream', 'stream', 'message', 'message']);
  });

  it('keeps actions in order with the messages before and after them', async () => {
    const hub = new TestHub();
    const [ann] = fill(hub, 1);
    const plain = new Recorder();
    void hub.join(plain, news, ['skip-self']);
    const refresh = action({ action: 'refresh' });
    for (const publication of [item('a'), item('b'), refresh, refresh, item('c'), closeItem]) hub.receive(publication);
    await turns();
    const expected = ['a;b;', '<refresh>', '<refresh>', 'c;', '<close>'];
    assert.deepEqual(ann?.given, expected);
    assert.deepEqual(plain.given, expected);
  });

  it('passes over items without the format of the shape', async () => {
    const hub = new TestHub();
    const [ann] = fill(hub, 1);
    const streamOnly = item('x', { formats: { stream: { action: 'send', content: Buffer.from('x') } } });
    for (const publication of [streamOnly, item('a'), streamOnly, item('b'), streamOnly]) hub.receive(publication);
    await turns();
    assert.deepEqual(ann?.given, ['a;b;']);
    assert.deepEqual(hub.counted, { deliveries: 2 });
  });

  it('gives a session that leaves inside a delivery nothing more', async () => {
    const hub = new TestHub();
    const [ann] = fill(hub, 1, () => new Recorder({ inside: (self) => hub.drop(self) }));
    const [bob] = fill(hub, 1);
    for (const publication of [item('a'), closeItem, item('b')]) hub.receive(publication);
    await turns(3);
    assert.deepEqual(ann?.given, ['a;']);
    assert.deepEqual(bob?.given, ['a;', '<close>', 'b;']);
  });

  it('gives nothing to those whom another delivery made leave, and loses nobody else', async () => {
    const hub = new TestHub();
    const all: Recorder[] = [];
    const leaveTogether = (self: Recorder) => {
      const i = all.indexOf(self);
      if (i % 10 !== 0) return;
      for (const other of all.slice(i + 1, i + 4)) hub.drop(other);
      hub.drop(self);
    };
    all.push(...fill(hub, 1_000, () => new Recorder({ inside: leaveTogether })));
    hub.receive(item('a'));
    await turns(10);
    hub.receive(item('b'));
    await turns(10);
    const expected = (i: number): string => (i % 10 === 0 ? 'a;' : i % 10 < 4 ? '' : 'a;b;');
    assert.deepEqual(
      all.map(({ text }) => text),
      all.map((_, i) => expected(i)),
    );
    assert.equal(hub.subscriptionCount, 600);
  });

  it('gives who comes while a round runs nothing of this round and all of the next', async () => {
    const hub = new TestHub();
    const late = new Recorder();
    const other = new Recorder({ shape: new PlainShape() });
    const [first] = fill(
      hub,
      1,
      () => new Recorder({ inside: () => [late, other].forEach((one) => void hub.join(one, news, [])) }),
    );
    fill(hub, 1_000);
    hub.receive(item('a'));
    await turns(10);
    assert.deepEqual([first?.text, late.text, other.text], ['a;', '', '']);
    hub.receive(item('b'));
    await turns(10);
    assert.deepEqual([first?.text, late.text, other.text], ['a;b;', 'b;', 'b;']);
  });

  it('gives who leaves and comes back while a round runs nothing twice', async () => {
    const hub = new TestHub();
    const comeBack = (self: Recorder): void => {
      hub.leave(self, news);
      void hub.join(self, news, []);
    };
    const all = fill(hub, 600, () => new Recorder({ inside: comeBack }));
    hub.receive(item('a'));
    await turns(10);
    hub.receive(item('b'));
    await turns(10);
    assert.ok(all.every(({ text }) => text === 'a;b;'));
  });

  it('lets the next round of a channel wait for the one that runs, then joins what waited', async () => {
    const hub = new TestHub();
    const all = fill(hub, 600);
    hub.receive(item('a'));
    await turns();
    for (const content of ['b', 'c']) hub.receive(item(content));
    await turns(10);
    assert.ok(all.every(({ given }) => given.join() === 'a;,b;c;'));
  });

  it('delivers what a delivery publishes', async () => {
    const hub = new TestHub();
    const [ann] = fill(
      hub,
      1,
      () => new Recorder({ inside: ({ given }) => void (given.length < 3 && hub.receive(item(`${given.length}`))) }),
    );
    hub.receive(item('0'));
    await turns(5);
    assert.deepEqual(ann?.given, ['0;', '1;', '2;']);
  });

  it('changes filters while a round runs without losing or doubling an item', async () => {
    const hub = new TestHub();
    const all = fill(hub, 600);
    hub.receive(item('a'));
    await turns();
    for (const subscriber of all) void hub.join(subscriber, news, ['skip-self']);
    await turns(10);
    for (const subscriber of all) void hub.join(subscriber, news, []);
    hub.receive(item('b'));
    await turns(10);
    assert.ok(all.every(({ text }) => text === 'a;b;'));
  });

  describe('with filters', () => {
    const fromAnn = { meta: new Map([['sender', 'ann']]) };

    it('filters each item for each subscriber', async () => {
      const hub = new TestHub();
      const [ann, bob] = ['ann', 'bob'].map((user) => new Recorder({ meta: { user } }));
      assert.ok(ann !== undefined && bob !== undefined);
      for (const subscriber of [ann, bob]) void hub.join(subscriber, news, ['skip-self']);
      for (const publication of [item('a'), item('b', fromAnn), item('c')]) hub.receive(publication);
      await turns();
      assert.deepEqual([ann.given, ann.items], [['a;c;'], 2]);
      assert.deepEqual([bob.given, bob.items], [['a;b;c;'], 3]);
    });

    it('filters actions too', async () => {
      const hub = new TestHub();
      const ann = new Recorder({ meta: { user: 'ann' } });
      void hub.join(ann, news, ['skip-self']);
      hub.receive({ ...closeItem, ...fromAnn });
      hub.receive(closeItem);
      await turns();
      assert.deepEqual(ann.given, ['<close>']);
    });

    it('writes the content a filter made', async () => {
      const hub = new TestHub();
      const all = ['ann', 'bob'].map((name) => new Recorder({ meta: { name } }));
      for (const subscriber of all) void hub.join(subscriber, news, ['var-subst']);
      hub.receive(item('hello %(name)s'));
      hub.receive(item('%(unknown)s'));
      hub.receive(item('bye'));
      await turns();
      assert.deepEqual(
        all.map(({ given }) => given),
        [['hello ann;bye;'], ['hello bob;bye;']],
      );
    });

    it('shares the bytes where filters change nothing', async () => {
      const hub = new TestHub();
      const shape = new PlainShape();
      const [plain, filtered] = [new Recorder({ shape }), new Recorder({ shape })];
      void hub.join(plain, news, []);
      void hub.join(filtered, news, ['skip-self', 'var-subst']);
      for (const content of ['a', 'b']) hub.receive(item(content));
      await turns();
      assert.equal(filtered.buffers[0], plain.buffers[0]);
      assert.equal(shape.encoded, 2);
    });

    it('keeps items with content filters from those who do not have these filters', async () => {
      const hub = new TestHub();
      const [plain, filtered] = [new Recorder(), new Recorder({ meta: { name: 'ann' } })];
      void hub.join(plain, news, []);
      void hub.join(filtered, news, ['var-subst']);
      hub.receive(item('for %(name)s', { contentFilters: ['var-subst'] }));
      hub.receive(item('none here', { contentFilters: ['var-subst'] }));
      hub.receive(item('plain', { contentFilters: [] }));
      hub.receive(item('both'));
      await turns();
      assert.deepEqual(plain.given, ['plain;both;']);
      assert.deepEqual(filtered.given, ['for ann;none here;both;']);
      assert.deepEqual(hub.counted, { deliveries: 5 });
    });

    it('gives a filtered session that leaves inside a delivery nothing more', async () => {
      const hub = new TestHub();
      const ann = new Recorder({ meta: { long: 'x'.repeat(limits.joinedBytes) }, inside: (self) => hub.drop(self) });
      void hub.join(ann, news, ['var-subst']);
      for (let i = 0; i < 3; i += 1) hub.receive(item('%(long)s'));
      await turns(5);
      assert.equal(ann.items, 1);
    });
  });

  describe('in trouble', () => {
    it('goes on when a write throws, counts it and logs it', async () => {
      const hub = new TestHub();
      const fails = (): never => {
        throw new Error('broken subscriber');
      };
      const all = fill(hub, 10);
      const [broken] = fill(hub, 1, () => new Recorder({ inside: fails }));
      const after = fill(hub, 10);
      for (const publication of [item('a'), item('b'), closeItem]) hub.receive(publication);
      await turns(3);
      assert.ok(all.concat(after).every(({ given }) => given.join() === 'a;b;,<close>'));
      assert.equal(broken?.given.length, 2);
      assert.deepEqual(hub.logged, ['delivery.failed', 'delivery.failed']);
      assert.deepEqual(hub.counted, { deliveries: 60, deliveries_dropped: 3 });
    });

    it('leaves out an item the shape refuses or fails at, and counts it for each who did not get it', async () => {
      const hub = new TestHub();
      const all = fill(hub, 3);
      const filtered = new Recorder();
      void hub.join(filtered, news, ['skip-self']);
      for (const content of ['a', 'refuse', 'break', 'b']) hub.receive(item(content));
      await turns();
      assert.ok([...all, filtered].every(({ text, items }) => text === 'a;b;' && items === 2));
      assert.deepEqual(hub.counted, { deliveries: 8, deliveries_dropped: 8 });
      assert.deepEqual([...new Set(hub.logged)], ['encoding.failed']);
    });

    it('writes nothing where nothing is left to write', async () => {
      const hub = new TestHub();
      const [ann] = fill(hub, 1);
      hub.receive(item('refuse'));
      await turns();
      assert.deepEqual(ann?.given, []);
      assert.deepEqual(hub.counted, { deliveries_dropped: 1 });
    });

    it('drops an item for one subscriber whose filter throws', async () => {
      const hub = new TestHub();
      const ann = new Recorder();
      ann.joined = () => {
        throw new Error('broken subscriber');
      };
      void hub.join(ann, news, ['require-sub']);
      const [bob] = fill(hub, 1);
      hub.receive(item('a', { meta: new Map([['require_sub', 'x']]) }));
      hub.receive(item('b'));
      await turns();
      assert.deepEqual([ann.text, bob?.text], ['b;', 'a;b;']);
      assert.ok(hub.logged.includes('filter.failed'));
    });
  });

  describe('limits', () => {
    it('does not join more into one write than the limit and the last item', async () => {
      const hub = new TestHub();
      const [ann] = fill(hub, 1);
      const content = 'x'.repeat(10_000);
      for (let i = 0; i < 20; i += 1) hub.receive(item(content));
      await turns(3);
      assert.equal(ann?.items, 20);
      assert.ok(ann.buffers.length > 1);
      assert.ok(ann.buffers.every(({ length }) => length <= limits.joinedBytes + content.length));
      assert.equal(ann.text, `${content};`.repeat(20));
    });

    it('drops the oldest that wait for a round over the limit, and counts them for each subscriber', async () => {
      const hub = new TestHub();
      const all = fill(hub, 2);
      for (let i = 0; i < limits.channelPending + 3; i += 1) hub.receive(item(`${i}`));
      await turns(10);
      assert.ok(all.every(({ items, text }) => items === limits.channelPending && text.startsWith('3;4;')));
      assert.deepEqual([hub.counted.deliveries_dropped, hub.counted.deliveries], [6, 2 * limits.channelPending]);
    });

    it('drops the oldest when too much content waits, but never the latest', async () => {
      const hub = new TestHub();
      const [ann] = fill(hub, 1);
      const half = limits.channelPendingBytes / 2;
      for (const [i, bytes] of [half, half, half, 5].entries()) hub.receive(item(`${i}`.repeat(bytes)));
      await turns(10);
      assert.deepEqual(
        ann?.given.map((text) => text[0]),
        ['2', '3'],
      );
      assert.equal(hub.counted.deliveries_dropped, 2);
      hub.receive(item('x'.repeat(limits.channelPendingBytes + 1)));
      await turns(3);
      assert.equal(ann?.items, 3);
    });
  });

  describe('fairness', () => {
    it('lets the loop turn after each slice', async () => {
      const hub = new TestHub();
      const all = fill(hub, 5_000);
      hub.receive(item('a'));
      const perTurn: number[] = [];
      for (let before = 0; before < all.length;) {
        await turns(); // oxlint-disable-line no-await-in-loop
        const served = all.filter(({ items }) => items > 0).length;
        perTurn.push(served - before);
        before = served;
      }
      assert.equal(Math.max(...perTurn), limits.fanOutSlice);
      assert.equal(perTurn.length, Math.ceil(all.length / limits.fanOutSlice));
    });

    it('lets timers run while a large channel is served', async () => {
      const hub = new TestHub();
      const spin = (): void => {
        for (const end = performance.now() + 0.02; performance.now() < end;);
      };
      const all = fill(hub, 5_000, () => new Recorder({ inside: spin }));
      hub.receive(item('a'));
      let ticks = 0;
      const timer = setInterval(() => (ticks += 1), 1);
      while (all.at(-1)?.items === 0) await turns(); // oxlint-disable-line no-await-in-loop
      clearInterval(timer);
      assert.ok(ticks >= 10, `${ticks} timers in more than 100 ms of deliveries`);
    });

    it('does not keep a small channel waiting for the end of a large one', async () => {
      const hub = new TestHub();
      const large = fill(hub, 5_000);
      const small = new Recorder();
      void hub.join(small, channelName('small'), []);
      hub.receive(item('a'));
      hub.receive(item('b', { channel: channelName('small') }));
      await turns();
      assert.equal(small.text, 'b;');
      assert.equal(large.at(-1)?.text, '');
    });

    it('counts deliveries once per slice', async () => {
      const hub = new TestHub();
      fill(hub, 200);
      for (const content of ['a', 'b', 'c']) hub.receive(item(content));
      await turns(3);
      assert.deepEqual(hub.counted, { deliveries: 600 });
      assert.deepEqual(hub.calls, { deliveries: 1 });
    });

    it('serves many channels of one subscriber from one queue', async () => {
      const hub = new TestHub();
      const names = Array.from({ length: 2_000 }, (_, i) => channelName(`c${i}`));
      const all = names.map((name) => {
        const subscriber = new Recorder();
        void hub.join(subscriber, name, []);
        return subscriber;
      });
      for (const channel of names) hub.receive(item('a', { channel }));
      await turns(Math.ceil(2_000 / limits.fanOutSlice));
      assert.ok(all.every(({ text }) => text === 'a;'));
    });
  });

  it('loses and doubles nothing in random rounds with joins, leaves, drops and filters between and inside deliveries', async function () {
    this.timeout(30_000);
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.record({ kind: fc.constant('publish' as const) }) },
      { weight: 4, arbitrary: fc.record({ kind: fc.constant('turn' as const) }) },
      {
        weight: 4,
        arbitrary: fc.record({ kind: fc.constantFrom('join', 'leave', 'drop', 'filter'), who: fc.nat(1_000), count: fc.nat(80) }),
      },
    );
    const run = fc.record({
      size: fc.integer({ min: 1, max: 1_500 }),
      steps: fc.array(step, { minLength: 10, maxLength: 60, size: 'max' }),
      droppers: fc.array(fc.nat(1_000), { maxLength: 8 }),
    });
    await fc.assert(fc.asyncProperty(run, randomRounds), { numRuns: 200 });
  });
});

interface RandomRun {
  readonly size: number;
  readonly steps: readonly { readonly kind: string; readonly who?: number; readonly count?: number }[];
  /** Subscribers that drop another one inside their deliveries. */
  readonly droppers: readonly number[];
}

async function randomRounds({ size, steps, droppers }: RandomRun): Promise<void> {
  const crowd = new Crowd(size, droppers);
  for (const { kind, who = 0, count = 0 } of steps) {
    if (kind === 'publish') crowd.publish();
    else if (kind === 'turn') await turns(); // oxlint-disable-line no-await-in-loop
    for (let i = who; i < who + count; i += 1) crowd.step(kind, i);
  }
  await turns(200);
  crowd.check();
}

/** Subscribers of two shapes who come and go, and what each of them must have got. */
class Crowd {
  readonly #hub = new TestHub();
  readonly #all: Recorder[] = [];
  /** For each member, how many items were published before it joined. */
  readonly #since = new Map<Recorder, number>();
  #published = 0;

  constructor(size: number, droppers: readonly number[]) {
    const shapes = [new PlainShape(), new PlainShape()] as const;
    for (let i = 0; i < size; i += 1) {
      const inside = droppers.includes(i) ? () => this.step('drop', i * 7 + 1) : () => {};
      this.#all.push(new Recorder({ shape: shapes[i % 3 === 0 ? 1 : 0], inside }));
      if (i % 5 !== 4) this.step('join', i);
    }
  }

  publish(): void {
    this.#hub.receive(item(String(this.#published)));
    this.#published += 1;
  }

  step(kind: string, i: number): void {
    const one = this.#all[i % this.#all.length];
    if (one === undefined) return;
    if (kind === 'join') this.#join(one, []);
    if (kind === 'filter' && this.#since.has(one)) this.#join(one, i % 2 === 0 ? ['skip-self'] : []);
    if (kind === 'leave') this.#hub.leave(one, news);
    if (kind === 'drop') this.#hub.drop(one);
    if (kind === 'leave' || kind === 'drop') this.#since.delete(one);
  }

  #join(one: Recorder, filters: readonly string[]): void {
    if (!this.#since.has(one)) this.#since.set(one, this.#published);
    void this.#hub.join(one, news, filters);
  }

  /** Nobody got an item twice or out of order; who stayed got all that came after it had joined. */
  check(): void {
    assert.equal(this.#hub.subscriptionCount, this.#since.size);
    for (const one of this.#all) {
      const numbers = one.text.split(';').slice(0, -1).map(Number);
      const sorted = [...new Set(numbers)].toSorted((a, b) => a - b);
      assert.deepEqual(numbers, sorted);
      const since = this.#since.get(one) ?? this.#published;
      const due = Array.from({ length: this.#published - since }, (_, i) => since + i);
      assert.deepEqual(
        due.filter((number) => !numbers.includes(number)),
        [],
        'lost',
      );
    }
  }
}

/** GRIP 2.5 and 2.8: one request in flight, and what goes into the next; no network, replies are given by hand. */
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import type { Timer } from '../../gateway/core/clock.ts';
import { ForegateError } from '../../gateway/core/errors.ts';
import { contentBytes, type ClientEvent } from '../../gateway/core/event.ts';
import type { Batch } from '../../gateway/core/exchange.ts';
import type { Step } from '../../gateway/core/instruction.ts';
import { limits } from '../../gateway/core/limits.ts';
import type { MaybePromise } from '../../gateway/core/promise.ts';
import type { Outcome } from '../../gateway/session/exchange.ts';
import { Pump, type PumpHost } from '../../gateway/session/pump.ts';
import { ManualClock } from '../../gateway/testing/index.ts';

const text = (data: string): ClientEvent => ({ kind: 'text', data: Buffer.from(data) });
const close: ClientEvent = { kind: 'close', code: 1000, reason: '' };
const decoded = (remaining: readonly ClientEvent[] = [], steps: readonly Step[] = []): Outcome => ({
  kind: 'decoded',
  steps,
  remaining,
});

/** A session that answers nothing by itself. */
class TestHost implements PumpHost {
  batches = true;
  queueBytes = 1000;
  notifiesAfterFailure = false;
  offersCloseAgain = false;
  goesOn = false;
  /** So often a refused request is made again, a second later. */
  repeats = 0;
  readonly clock = new ManualClock();
  busyClient: Promise<void> | undefined;
  readonly sent: Batch[] = [];
  readonly failures: string[] = [];
  readonly calls: string[] = [];
  paused = false;
  applying: MaybePromise<void> = undefined;
  #waiting: { resolve(outcome: Outcome): void; reject(error: unknown): void } | undefined;

  exchange(batch: Batch): Promise<Outcome> {
    assert.equal(this.#waiting, undefined, 'two requests at a time');
    this.sent.push(batch);
    return new Promise((resolve, reject) => (this.#waiting = { resolve, reject }));
  }
  apply(steps: readonly Step[]): MaybePromise<void> {
    if (steps.length > 0) this.calls.push(`apply ${steps.length}`);
    return this.applying;
  }
  repeatsAfter(_outcome: unknown, sent: number): number | undefined {
    return sent > this.repeats ? undefined : 1000;
  }
  after(ms: number, run: () => void): Timer {
    return this.clock.after(ms, run);
  }
  refused(): boolean {
    this.calls.push('refused');
    return this.goesOn;
  }
  failed(error: ForegateError): void {
    this.failures.push(error.code);
  }
  closeUnanswered(): boolean {
    this.calls.push('close unanswered');
    return this.offersCloseAgain;
  }
  upstreamFinished(): void {
    this.calls.push('finished');
  }
  rested(): void {
    this.calls.push('rested');
  }
  pause(): void {
    assert.equal(this.paused, false);
    this.paused = true;
  }
  resume(): void {
    assert.equal(this.paused, true);
    this.paused = false;
  }
  room(): Promise<void> | undefined {
    return this.busyClient;
  }

  get inFlight(): boolean {
    return this.#waiting !== undefined;
  }
  async answer(outcome: Outcome = decoded()): Promise<void> {
    await turn();
    const waiting = this.#waiting;
    assert.ok(waiting, 'nothing is in flight');
    this.#waiting = undefined;
    waiting.resolve(outcome);
    await turn();
  }
  async fail(error: unknown): Promise<void> {
    await turn();
    const waiting = this.#waiting;
    assert.ok(waiting, 'nothing is in flight');
    this.#waiting = undefined;
    waiting.reject(error);
    await turn();
  }
  /** Each batch as text. */
  get bodies(): string[] {
    return this.sent.map(({ events }) => events.map((event) => ('data' in event ? event.data.toString() : event.kind)).join());
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

async function begun(changes: Partial<TestHost> = {}): Promise<{ host: TestHost; pump: Pump }> {
  const host = Object.assign(new TestHost(), changes);
  const pump = new Pump(host);
  await pump.begin([]);
  host.calls.length = 0;
  return { host, pump };
}

describe('the pump (GRIP 2.5)', () => {
  it('sends nothing before it has begun, then what has come meanwhile', async () => {
    const host = new TestHost();
    const pump = new Pump(host);
    pump.push(text('early'));
    await turn();
    assert.equal(host.sent.length, 0);
    let applied = (): void => undefined;
    host.applying = new Promise<void>((resolve) => (applied = resolve));
    const beginning = pump.begin([{ kind: 'detach' }]);
    await turn();
    assert.equal(host.sent.length, 0);
    applied();
    await beginning;
    await turn();
    assert.deepEqual(host.bodies, ['early']);
  });

  it('sends together what one turn brought, and later what came during a request', async () => {
    const { host, pump } = await begun();
    for (const data of ['a', 'b', 'c']) pump.push(text(data));
    await turn();
    assert.deepEqual(host.bodies, ['a,b,c']);
    pump.push(text('d'));
    pump.push(text('e'));
    await turn();
    assert.equal(host.sent.length, 1);
    await host.answer();
    assert.deepEqual(host.bodies, ['a,b,c', 'd,e']);
    await host.answer();
    assert.deepEqual(host.calls, ['rested']);
  });

  it('sends one event at a time where it must', async () => {
    const { host, pump } = await begun({ batches: false });
    for (const data of ['a', 'b']) pump.push(text(data));
    pump.push(close);
    for (let i = 0; i < 2; i += 1) await host.answer();
    assert.deepEqual(host.bodies, ['a', 'b', 'close']);
  });

  it('fills a request up to the limit and says that more waits', async () => {
    const { host, pump } = await begun();
    for (let i = 0; i < 5; i += 1) pump.push(text('x'.repeat(400)));
    await turn();
    assert.deepEqual(
      host.sent.map(({ events, more }) => [events.length, more]),
      [[3, true]],
    );
    await host.answer();
    assert.deepEqual(
      host.sent.map(({ events, more }) => [events.length, more]),
      [
        [3, true],
        [2, false],
      ],
    );
  });

  it('stops reading over the limit of bytes, and goes on below it', async () => {
    const { host, pump } = await begun();
    pump.push(text('in flight'));
    await turn();
    pump.push(text('x'.repeat(1000)));
    assert.equal(host.paused, false);
    pump.push(text('y'));
    assert.equal(host.paused, true);
    await host.answer();
    assert.equal(host.paused, false);
  });

  it('stops reading over the limit of events, though they have no content', async () => {
    const { host, pump } = await begun();
    pump.push(text('in flight'));
    await turn();
    for (let i = 0; i < limits.queueEvents; i += 1) pump.push(text(''));
    assert.equal(host.paused, false);
    pump.push(text(''));
    assert.equal(host.paused, true);
    await host.answer();
    assert.equal(host.paused, false);
  });

  it('asks with an empty request, once for several wishes, and remembers them during a request', async () => {
    const { host, pump } = await begun();
    pump.ask();
    pump.ask();
    await turn();
    assert.deepEqual(host.bodies, ['']);
    pump.ask();
    await turn();
    assert.equal(host.sent.length, 1);
    await host.answer();
    assert.deepEqual(host.bodies, ['', '']);
  });

  it('makes no request while the client has not taken enough', async () => {
    let room = (): void => undefined;
    const { host, pump } = await begun({ busyClient: new Promise<void>((resolve) => (room = resolve)) });
    pump.push(text('a'));
    await turn();
    assert.equal(host.sent.length, 0);
    pump.push(text('b'));
    room();
    await turn();
    assert.deepEqual(host.bodies, ['a,b']);
  });

  it('gives up after a failure, and makes DISCONNECT only where asked to', async () => {
    for (const notifiesAfterFailure of [false, true]) {
      const { host, pump } = await begun({ notifiesAfterFailure });
      pump.push(text('a'));
      await turn();
      pump.push(text('b'));
      await host.fail(new ForegateError('downstream-lost'));
      assert.deepEqual(host.failures, ['downstream-lost']);
      assert.deepEqual(host.bodies, notifiesAfterFailure ? ['a', 'disconnect'] : ['a']);
      if (notifiesAfterFailure) await host.answer();
      assert.equal(pump.finished, true);
      pump.push(text('c'));
      pump.lost();
      await turn();
      assert.equal(host.inFlight, false);
    }
  });

  it('goes on after a refusal where the session says so', async () => {
    const { host, pump } = await begun({ goesOn: true });
    pump.push(text('a'));
    await turn();
    pump.push(text('b'));
    await host.answer({ kind: 'deny', code: 'rate-limited', detail: '' });
    assert.deepEqual(host.bodies, ['a', 'b']);
  });

  it('takes a refused close for one that was not answered', async () => {
    const { host, pump } = await begun({ goesOn: true });
    pump.push(close);
    await host.answer({ kind: 'deny', code: 'rate-limited', detail: '' });
    assert.ok(host.calls.includes('close unanswered'));
  });

  it('replaces what waits by DISCONNECT when the client is lost, once, after the request in flight', async () => {
    const { host, pump } = await begun();
    pump.push(text('a'));
    await turn();
    pump.push(text('b'));
    pump.lost();
    pump.lost();
    pump.push(text('c'));
    await host.answer(decoded([text('a')]));
    await host.answer();
    assert.deepEqual(host.bodies, ['a', 'disconnect']);
    assert.equal(pump.finished, true);
  });

  it('does not care what is said to a farewell', async () => {
    for (const farewell of ['lost', 'detach'] as const) {
      const { host, pump } = await begun();
      pump[farewell]();
      await host.answer({ kind: 'decoded', steps: [{ kind: 'disconnect' }], remaining: [] });
      assert.deepEqual(host.calls, ['finished']);
      assert.equal(host.sent.length, 1);
      assert.equal(pump.finished, true);
    }
  });

  it('offers a close again with the next request where the session says so', async () => {
    const { host, pump } = await begun({ offersCloseAgain: true });
    pump.push(close);
    await host.answer();
    assert.deepEqual(host.bodies, ['close']);
    pump.ask();
    await host.answer();
    assert.deepEqual(host.bodies, ['close', 'close']);
  });

  it('sends nothing more once it is stopped, also from within a reply', async () => {
    const { host, pump } = await begun();
    pump.push(text('a'));
    await turn();
    pump.push(text('b'));
    pump.stop();
    assert.equal(pump.finished, false);
    await host.answer();
    assert.deepEqual(host.bodies, ['a']);
    assert.deepEqual(host.calls, ['finished']);
  });
});

describe('a request that the gateway refused for now', () => {
  const fault: Outcome = {
    kind: 'fault',
    fault: { kind: 'throttled', code: 'rate-limited', detail: '' },
    reply: { status: 429, reason: '', headers: [], body: Buffer.alloc(0) },
  };

  /** Refused once; it waits, and `b` waits behind it. */
  async function waiting(changes: Partial<TestHost> = {}): Promise<{ host: TestHost; pump: Pump }> {
    const { host, pump } = await begun({ repeats: 1, ...changes });
    pump.push(text('a'));
    await host.answer(fault);
    pump.push(text('b'));
    await turn();
    assert.deepEqual(host.bodies, ['a']);
    return { host, pump };
  }

  it('is made again after the wait and not before, with what came meanwhile behind it', async () => {
    const { host } = await waiting();
    host.clock.advance(999);
    await turn();
    assert.deepEqual(host.bodies, ['a']);
    host.clock.advance(1);
    await host.answer();
    await host.answer();
    assert.deepEqual(host.bodies, ['a', 'a', 'b']);
    assert.deepEqual(
      host.sent.map(({ repeated }) => repeated),
      [undefined, true, undefined],
    );
    assert.deepEqual(host.calls, ['rested']);
  });

  it('is a refusal in the end, when it may not be made again', async () => {
    const { host, pump } = await waiting();
    host.clock.advance(1000);
    await host.answer(fault);
    assert.deepEqual(host.calls, ['refused', 'finished']);
    assert.equal(pump.finished, true);
  });

  it('lets reading pause at its bound', async () => {
    const { host, pump } = await waiting();
    pump.push(text('x'.repeat(1000)));
    assert.equal(host.paused, true);
    host.clock.advance(1000);
    await host.answer();
    assert.equal(host.paused, false);
  });

  it('is tried at once when the client closes, once, with the close behind it', async () => {
    const { host, pump } = await waiting({ repeats: 9 });
    pump.push(close);
    await host.answer();
    assert.deepEqual(host.bodies, ['a', 'a', 'b,close']);
    assert.equal(host.clock.pending, 0);
    const refused = await waiting({ repeats: 9 });
    refused.pump.push(close);
    await refused.host.answer(fault);
    assert.deepEqual(refused.host.bodies, ['a', 'a']);
    assert.deepEqual(refused.host.calls, ['refused', 'finished']);
  });

  for (const [farewell, last] of [
    ['lost', 'disconnect'],
    ['detach', 'close'],
  ] as const) {
    it(`is not made again after ${farewell}, which ends the wait`, async () => {
      const { host, pump } = await waiting();
      pump[farewell]();
      await host.answer();
      assert.deepEqual(host.bodies, ['a', last]);
      assert.equal(host.clock.pending, 0);
      assert.equal(pump.finished, true);
    });
  }

  it('is not made again once nothing more is to be sent', async () => {
    const { host, pump } = await waiting();
    pump.stop();
    await turn();
    assert.deepEqual([host.bodies, host.clock.pending, pump.finished], [['a'], 0, true]);
  });
});

describe('what a backend hands back (GRIP 2.8)', () => {
  it('goes first with the next event, not by itself', async () => {
    const { host, pump } = await begun();
    pump.push(text('abc'));
    await host.answer(decoded([text('c')]));
    assert.equal(host.inFlight, false);
    pump.push(text('d'));
    await turn();
    assert.deepEqual(host.bodies, ['abc', 'c,d']);
    assert.equal(host.sent[1]?.replayedBytes, 1);
  });

  it('goes by itself when the backend is to be asked', async () => {
    const { host, pump } = await begun();
    pump.push(text('abc'));
    await host.answer(decoded([text('abc')]));
    pump.ask();
    await turn();
    assert.deepEqual(host.bodies, ['abc', 'abc']);
    assert.equal(host.sent[1]?.replayedBytes, 3);
  });

  it('ends the session when it is all there was and the queue is full', async () => {
    const { host, pump } = await begun();
    pump.push(text('x'.repeat(600)));
    await turn();
    pump.push(text('y'.repeat(600)));
    await host.answer(decoded([text('x'.repeat(600))]));
    assert.deepEqual(host.failures, ['bad-reply']);
  });

  it('does not when a part was taken', async () => {
    const { host, pump } = await begun();
    pump.push(text('x'.repeat(600)));
    await turn();
    pump.push(text('y'.repeat(600)));
    await host.answer(decoded([text('x'.repeat(599))]));
    assert.deepEqual(host.failures, []);
    assert.deepEqual(host.sent.at(-1)?.events.map(contentBytes), [599, 600]);
  });

  it('loses nothing and changes no order, whatever is handed back when', async () => {
    const actions = fc.array(fc.oneof(fc.constant('push' as const), fc.nat(5)), { maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(actions, async (list) => {
        const { host, pump } = await begun();
        let pushed = '';
        let taken = '';
        for (const action of list) {
          if (action === 'push') {
            const data = String.fromCodePoint(97 + (pushed.length % 26));
            pushed += data;
            pump.push(text(data));
          } else if (host.inFlight) {
            const events = host.sent.at(-1)?.events ?? [];
            taken += events
              .slice(0, action)
              .map((event) => ('data' in event ? event.data.toString() : ''))
              .join('');
            await host.answer(decoded(events.slice(action)));
          }
          await turn();
        }
        pump.ask();
        await turn();
        while (host.inFlight) {
          taken += host.bodies.at(-1)?.replaceAll(',', '') ?? '';
          await host.answer();
        }
        assert.equal(taken, pushed);
      }),
      { numRuns: 60 },
    );
  });
});

import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { AdaptiveLimit } from '../../gateway/downstream/adaptive-limit.ts';
import { InFlight, type InFlightTerms } from '../../gateway/downstream/in-flight.ts';
import { ManualClock } from '../../gateway/testing/manual-clock.ts';

const usual: InFlightTerms = { max: 2, queue: 2, waitMs: 1000, adaptive: undefined };

function setCap(terms: Partial<InFlightTerms> = {}) {
  const clock = new ManualClock();
  return { clock, cap: new InFlight({ ...usual, ...terms }, clock) };
}

describe('a cap on requests in flight', () => {
  it('lets as many through as it should, the others in their order', async () => {
    const { cap, clock } = setCap();
    assert.deepEqual([cap.enter(), cap.enter()], [undefined, undefined]);
    const order: string[] = [];
    const waits = ['a', 'b'].map(async (name) => {
      await cap.enter();
      order.push(name);
    });
    assert.equal(cap.report().waiting, 2);
    cap.leave();
    await waits[0];
    assert.deepEqual(order, ['a']);
    cap.leave();
    await waits[1];
    assert.deepEqual([cap.report().running, cap.report().waiting, clock.pending], [2, 0, 0]);
  });

  it('lets nobody overtake those who wait', async () => {
    const { cap } = setCap({ max: 1 });
    assert.equal(cap.enter(), undefined);
    const first = cap.enter();
    cap.leave();
    const second = cap.enter();
    assert.notEqual(second, undefined);
    await first;
    cap.leave();
    await second;
  });

  it('refuses who finds no room or waits too long', async () => {
    const { cap, clock } = setCap({ max: 1, queue: 1 });
    assert.equal(cap.enter(), undefined);
    const waiting = cap.enter();
    assert.throws(() => cap.enter(), { code: 'overloaded' });
    clock.advance(1000);
    await assert.rejects(Promise.resolve(waiting), { code: 'overloaded' });
    assert.deepEqual([cap.report().running, cap.report().waiting], [1, 0]);
    cap.leave();
    assert.equal(cap.report().running, 0);
  });

  it('never runs more than the limit, loses nobody and keeps its queue, whatever comes', async () => {
    const acts = fc.array(fc.constantFrom('enter', 'leave', 'bad', 'time'), { maxLength: 150 });
    await fc.assert(
      fc.asyncProperty(acts, fc.boolean(), async (steps, adapts) => {
        const adaptive = adapts ? { min: 1, latencyMs: 500, backoff: 0.5 } : undefined;
        const { cap, clock } = setCap({ max: 4, queue: 3, adaptive });
        let entered = 0;
        let refused = 0;
        let asked = 0;
        let most = 0;
        for (const step of steps) {
          if (step === 'time') clock.advance(300);
          else if (step === 'enter') {
            asked += 1;
            try {
              const turn = cap.enter();
              if (turn === undefined) entered += 1;
              else
                turn.then(
                  () => (entered += 1),
                  () => (refused += 1),
                );
            } catch {
              refused += 1;
            }
          } else if (cap.report().running > 0) {
            cap.learn(clock.now() - 1, step === 'bad');
            cap.leave();
          }
          most = Math.max(most, cap.report().running);
          assert.ok(cap.report().waiting <= 3);
          assert.ok(cap.report().limit >= 1 && cap.report().limit <= 4);
        }
        while (cap.report().running > 0) cap.leave();
        await new Promise(setImmediate);
        assert.ok(most <= 4);
        assert.equal(cap.report().waiting, 0);
        assert.equal(entered + refused, asked);
        assert.equal(clock.pending, 0);
      }),
    );
  });
});

describe('an adaptive limit', () => {
  const terms = { min: 2, max: 100, latencyMs: 100, backoff: 0.9 };

  it('stays within its bounds, whatever it is told', () => {
    const sample = fc.record({
      beganAt: fc.integer({ min: 0, max: 10_000 }),
      endedAt: fc.integer({ min: 0, max: 10_000 }),
      failed: fc.boolean(),
      inFlight: fc.integer({ min: 0, max: 200 }),
    });
    fc.assert(
      fc.property(fc.array(sample, { maxLength: 500 }), (samples) => {
        const limit = new AdaptiveLimit(terms);
        for (const one of samples) {
          limit.take(one);
          assert.ok(limit.value >= terms.min && limit.value <= terms.max);
        }
      }),
    );
  });

  it('does not grow while it is not used', () => {
    const limit = new AdaptiveLimit({ ...terms, min: 10 });
    for (let i = 0; i < 100; i += 1) limit.take({ beganAt: i, endedAt: i + 1, failed: false, inFlight: 2 });
    assert.equal(limit.value, 10);
  });

  it('falls once for one overload, however many requests see it', () => {
    const limit = new AdaptiveLimit({ ...terms, min: 1 });
    for (let i = 0; i < 200; i += 1) limit.take({ beganAt: i, endedAt: i + 1, failed: false, inFlight: 100 });
    assert.equal(limit.value, 100);
    for (let i = 0; i < 50; i += 1) limit.take({ beganAt: 300, endedAt: 350, failed: true, inFlight: 100 });
    assert.equal(limit.value, 90);
    limit.take({ beganAt: 351, endedAt: 460, failed: false, inFlight: 50 });
    assert.equal(limit.value, 81);
  });

  for (const capacity of [5, 20, 60])
    it(`finds what a backend that is fast with ${capacity} at once can do`, () => {
      const limit = new AdaptiveLimit(terms);
      let now = 0;
      const seen: number[] = [];
      for (let round = 0; round < 400; round += 1) {
        const inFlight = limit.value;
        const tookMs = inFlight > capacity ? 150 : 50;
        for (let i = 0; i < inFlight; i += 1) limit.take({ beganAt: now, endedAt: now + tookMs, failed: false, inFlight });
        now += tookMs + 1;
        if (round > 200) seen.push(inFlight);
      }
      assert.ok(Math.max(...seen) <= capacity + 1, `up to ${Math.max(...seen)}`);
      assert.ok(Math.min(...seen) >= Math.floor((capacity + 1) * 0.9) - 1, `down to ${Math.min(...seen)}`);
    });
});

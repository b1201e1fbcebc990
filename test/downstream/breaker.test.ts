import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { ForegateError } from '../../gateway/core/errors.ts';
import { Breaker, type BreakerTerms } from '../../gateway/downstream/breaker.ts';
import { ManualClock } from '../../gateway/testing/manual-clock.ts';

const usual: BreakerTerms = { failureRatio: 0.5, minimum: 4, windowMs: 1000, openForMs: 5000, probes: 2 };

function setBreaker(terms: Partial<BreakerTerms> = {}) {
  const clock = new ManualClock();
  const changes: string[] = [];
  const breaker = new Breaker({ ...usual, ...terms }, clock, (state, was, { failures, requests }) =>
    changes.push(`${was} ${state} ${failures}/${requests}`),
  );
  return { clock, changes, breaker };
}

/** As many requests as signs: `+` is answered, `-` fails. */
function run(breaker: Breaker, fates: string): void {
  for (const fate of fates) breaker.judge(breaker.enter(), fate === '-');
}

function refusal(breaker: Breaker): ForegateError {
  try {
    breaker.enter();
  } catch (thrown) {
    assert.ok(thrown instanceof ForegateError);
    return thrown;
  }
  return assert.fail('It was let through.');
}

describe('a breaker', () => {
  for (const [fates, state] of [
    ['---', 'closed'], // Fewer than the minimum.
    ['----', 'open'],
    ['++--', 'open'],
    ['+++--', 'closed'],
    ['+++---', 'open'],
    ['--++++++', 'closed'], // Success opens nothing.
  ] as const)
    it(`is ${state} after ${fates}`, () => {
      const { breaker } = setBreaker();
      run(breaker, fates);
      assert.equal(breaker.state, state);
    });

  it('forgets what lies behind the window', () => {
    const { breaker, clock } = setBreaker();
    run(breaker, '---');
    clock.advance(1100);
    run(breaker, '-');
    assert.equal(breaker.state, 'closed');
    clock.advance(500);
    run(breaker, '---');
    assert.equal(breaker.state, 'open');
  });

  it('refuses while it is open, and tells how long it will', () => {
    const { breaker, clock } = setBreaker();
    run(breaker, '----');
    assert.equal(refusal(breaker).code, 'circuit-open');
    clock.advance(2000);
    assert.equal(refusal(breaker).retryAfterMs, 3000);
  });

  it('lets as many try as it should, and closes when all were answered', () => {
    const { breaker, clock, changes } = setBreaker();
    run(breaker, '----');
    clock.advance(5000);
    const probes = [breaker.enter(), breaker.enter()];
    assert.equal(refusal(breaker).code, 'circuit-open');
    for (const era of probes) breaker.judge(era, false);
    breaker.enter();
    assert.deepEqual(changes, ['closed open 4/4', 'open half-open 0/0', 'half-open closed 0/0']);
  });

  it('opens again at the first of them that fails, and waits as long once more', () => {
    const { breaker, clock } = setBreaker();
    run(breaker, '----');
    clock.advance(5000);
    run(breaker, '+-');
    assert.equal(breaker.state, 'open');
    clock.advance(4999);
    assert.equal(breaker.state, 'open');
    clock.advance(1);
    assert.equal(breaker.state, 'half-open');
  });

  it('gives the place of one that told nothing to another', () => {
    const { breaker, clock } = setBreaker({ probes: 1 });
    run(breaker, '----');
    clock.advance(5000);
    breaker.abandon(breaker.enter());
    run(breaker, '+');
    assert.equal(breaker.state, 'closed');
  });

  it('does not listen to requests of an earlier state', () => {
    const { breaker, clock } = setBreaker({ probes: 1 });
    const early = [breaker.enter(), breaker.enter()];
    run(breaker, '----');
    clock.advance(5000);
    for (const era of early) breaker.judge(era, false);
    assert.equal(breaker.state, 'half-open');
    for (const era of early) breaker.abandon(era);
    breaker.enter();
    assert.equal(refusal(breaker).code, 'circuit-open');
  });

  it('wakes as many as may try, the others when it closes, and nobody for longer than asked', async () => {
    const { breaker, clock } = setBreaker({ probes: 1 });
    run(breaker, '----');
    const woken: string[] = [];
    const waits = ['a', 'b', 'c'].map(async (name, i) => {
      const isReady = await breaker.ready(i === 2 ? 1000 : 60_000);
      woken.push(`${name} ${isReady}`);
    });
    clock.advance(1000);
    await waits[2];
    clock.advance(4000);
    await waits[0];
    assert.deepEqual(woken, ['c false', 'a true']);
    run(breaker, '+');
    await waits[1];
    assert.deepEqual(woken, ['c false', 'a true', 'b true']);
    assert.equal(breaker.ready(1), true);
    assert.equal(clock.pending, 0);
  });

  it('never has more than its probes on the way while it is half-open, whatever comes', () => {
    const acts = fc.array(fc.constantFrom('enter', 'good', 'bad', 'leave', 'time'), { maxLength: 200 });
    fc.assert(
      fc.property(acts, fc.integer({ min: 1, max: 4 }), (steps, probes) => {
        const { breaker, clock } = setBreaker({ probes });
        let changed = 0;
        let onTheWay: number[] = [];
        for (const step of steps) {
          const before = breaker.state;
          if (step === 'time') clock.advance(1700);
          else if (step === 'enter') {
            try {
              onTheWay.push(breaker.enter());
            } catch {
              assert.notEqual(breaker.state, 'closed');
            }
          } else {
            const era = onTheWay.shift();
            if (era === undefined) continue;
            if (step === 'leave') breaker.abandon(era);
            else breaker.judge(era, step === 'bad');
          }
          if (breaker.state !== before) {
            changed += 1;
            onTheWay = [];
          }
          if (breaker.state === 'half-open') assert.ok(onTheWay.length <= probes, `${onTheWay.length} after ${changed} changes`);
        }
      }),
    );
  });
});

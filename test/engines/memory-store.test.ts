/** The store in memory, beyond what every store keeps: promptness, bounds, and an end. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { mock } from 'node:test';
import { promisify } from 'node:util';
import * as fc from 'fast-check';
import { isPromise } from '../../gateway/core/promise.ts';
import type { Budget, Store, Taken } from '../../gateway/core/store.ts';
import { memoryStore } from '../../gateway/engines/memory-store.ts';

const minute = { limit: 10, windowMs: 60_000 };

describe('memory store', () => {
  it('answers without a promise', () => {
    assert.equal(isPromise(memoryStore().take('key', minute, 1)), false);
  });

  it('never lets more than the limit pass in a window, whatever is asked for, and loses nothing that fits', () => {
    const asks = fc.array(fc.tuple(fc.constantFrom('a', 'b'), fc.integer({ min: 0, max: 12 })), { maxLength: 60 });
    fc.assert(
      fc.property(asks, fc.integer({ min: 1, max: 40 }), (costs, limit) => {
        const store = memoryStore();
        const asked = new Map<string, number>();
        for (const [key, cost] of costs) {
          const total = (asked.get(key) ?? 0) + cost;
          asked.set(key, total);
          const { allowed, remaining } = now(store, key, { limit, windowMs: 60_000 }, cost);
          assert.equal(allowed, total <= limit);
          assert.equal(remaining, Math.max(0, limit - total));
        }
        void store.close();
      }),
      { numRuns: 200 },
    );
  });

  it('lets exactly the limit pass in each of several windows under steady pressure', () => {
    mock.timers.enable({ apis: ['Date', 'setTimeout'], now: 1_000_000 });
    try {
      const store = memoryStore();
      const budget = { limit: 7, windowMs: 40 };
      const passed: number[] = [];
      for (let ms = 0; ms < 200; ms += 1) {
        for (let i = 0; i < 20; i += 1) if (now(store, 'key', budget, 1).allowed) passed.push(ms);
        mock.timers.tick(1);
      }
      assert.deepEqual(
        passed,
        [0, 40, 80, 120, 160].flatMap((start) => Array.from({ length: 7 }, () => start)),
      );
    } finally {
      mock.timers.reset();
    }
  });

  it('counts what is left of a point as a whole one', () => {
    const store = memoryStore();
    const allowed = Array.from({ length: 11 }, () => now(store, 'key', minute, 0.1).allowed);
    assert.deepEqual(allowed, [...Array.from({ length: 10 }, () => true), false]);
  });

  it('takes nothing for a cost that is no number or negative', () => {
    const store = memoryStore();
    now(store, 'key', minute, 9);
    now(store, 'key', minute, -100);
    now(store, 'key', minute, NaN);
    assert.equal(now(store, 'key', minute, 2).allowed, false);
  });

  it('counts newcomers together when it is full, and goes on counting the others apart', () => {
    const store = memoryStore({ keysMax: 3 });
    for (const key of ['a', 'b', 'c']) now(store, key, minute, 4);
    assert.equal(now(store, 'd', minute, 6).remaining, 4);
    assert.equal(now(store, 'e', minute, 6).allowed, false);
    assert.equal(now(store, 'a', minute, 1).remaining, 5);
  });

  it('counts newcomers apart again when windows have ended', async () => {
    const store = memoryStore({ keysMax: 1 });
    now(store, 'a', { limit: 10, windowMs: 30 }, 1);
    now(store, 'b', { limit: 10, windowMs: 30 }, 5);
    await wait(60);
    assert.equal(now(store, 'c', minute, 1).remaining, 9);
    assert.equal(now(store, 'c', minute, 1).remaining, 8);
  });

  it('counts newcomers together in buckets and in long windows, too, when it is full', () => {
    for (const budget of [
      { limit: 10, windowMs: 86_400_000, burst: 10 },
      { limit: 10, windowMs: 31 * 86_400_000 },
    ]) {
      const store = memoryStore({ keysMax: 2 });
      for (const key of ['a', 'b']) now(store, key, budget, 4);
      assert.equal(now(store, 'c', budget, 6).remaining, 4);
      assert.equal(now(store, 'd', budget, 6).allowed, false);
      assert.equal(now(store, 'a', budget, 1).remaining, 5);
    }
  });

  it('makes room for newcomers of buckets when others are full again', async () => {
    const store = memoryStore({ keysMax: 1 });
    const quick = { limit: 100, windowMs: 100, burst: 100 };
    now(store, 'a', quick, 10);
    await wait(30);
    now(store, 'b', quick, 100);
    assert.equal(now(store, 'c', { ...quick, windowMs: 100_000 }, 1).remaining, 99);
    assert.equal(now(store, 'c', { ...quick, windowMs: 100_000 }, 1).remaining, 98);
  });

  it('ends windows and fills buckets to the millisecond', () => {
    mock.timers.enable({ apis: ['Date', 'setTimeout'], now: 1_000_000 });
    try {
      const store = memoryStore();
      const budgets = [
        { limit: 1, windowMs: 1000 },
        { limit: 1, windowMs: 1000, burst: 1 },
        { limit: 1, windowMs: 31 * 86_400_000 },
      ];
      for (const budget of budgets) {
        const key = JSON.stringify(budget);
        assert.equal(now(store, key, budget, 1).allowed, true);
        mock.timers.tick(budget.windowMs - 1);
        assert.equal(now(store, key, budget, 1).allowed, false, `${key} before the edge`);
        mock.timers.tick(1);
        assert.equal(now(store, key, budget, 1).allowed, true, `${key} at the edge`);
        assert.equal(now(store, key, budget, 1).allowed, false, key);
      }
    } finally {
      mock.timers.reset();
    }
  });

  it('never lets more than the burst and what flows in pass, whenever it is asked', () => {
    mock.timers.enable({ apis: ['Date'], now: 1_000_000 });
    const asks = fc.array(fc.tuple(fc.integer({ min: 0, max: 700 }), fc.integer({ min: 1, max: 4 })), { maxLength: 80 });
    try {
      fc.assert(
        fc.property(asks, fc.integer({ min: 1, max: 7 }), fc.integer({ min: 1, max: 9 }), (steps, limit, burst) => {
          const store = memoryStore();
          const start = Date.now();
          let passed = 0;
          for (const [ms, cost] of steps) {
            mock.timers.tick(ms);
            const { allowed, resetMs } = now(store, 'key', { limit, windowMs: 1000, burst }, cost);
            if (allowed) passed += cost;
            assert.ok(passed <= burst + ((Date.now() - start) * limit) / 1000 + 1e-6);
            // What it says of the wait is enough, and exact.
            if (allowed || cost > burst) continue;
            mock.timers.tick(resetMs - 1);
            assert.equal(now(store, 'key', { limit, windowMs: 1000, burst }, cost).allowed, false);
            mock.timers.tick(1);
            assert.equal(now(store, 'key', { limit, windowMs: 1000, burst }, cost).allowed, true);
            passed += cost;
          }
        }),
        { numRuns: 200 },
      );
    } finally {
      mock.timers.reset();
    }
  });

  it('forgets everything when it is closed', async () => {
    const store = memoryStore();
    now(store, 'key', minute, 10);
    await store.close();
    assert.equal(now(store, 'key', minute, 1).allowed, true);
  });

  it('does not keep a process alive', async () => {
    const url = new URL('../../gateway/engines/memory-store.ts', import.meta.url).href;
    const script = `const { memoryStore } = await import(${JSON.stringify(url)}); memoryStore().take('key', { limit: 1, windowMs: 60000 }, 1);`;
    const run = promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script], {
      cwd: fileURLToPath(new URL('../..', import.meta.url)),
      timeout: 8_000,
    });
    await assert.doesNotReject(run);
  });
});

function now(store: Store, key: string, budget: Budget, cost: number): Taken {
  const taken = store.take(key, budget, cost);
  if (isPromise(taken)) throw new Error('a promise');
  return taken;
}

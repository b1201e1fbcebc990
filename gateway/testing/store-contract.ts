/** What every store must keep. Windows are short and real, since an engine has a clock of its own. */
import assert from 'node:assert/strict';
import { setTimeout as wait } from 'node:timers/promises';
import type { Budget, LeaseHolder, LeaseTerms, Store } from '../core/store.ts';
import { describe, it } from './suite.ts';

/**
 * Declares the suite; `open` makes a store with no counts, which the suite closes.
 * @param openTogether where processes share a store: makes what so many of them have, likewise with no counts
 */
export function storeContract(
  name: string,
  open: () => Store | Promise<Store>,
  openTogether?: (processes: number) => Promise<readonly Store[]>,
): void {
  const using = (test: (store: Store) => Promise<void>) => async (): Promise<void> => {
    const store = await open();
    try {
      await test(store);
    } finally {
      await store.close();
    }
  };

  describe(`store: ${name}`, () => {
    it(
      'allows exactly the limit and refuses what comes after it',
      using(async (store) => {
        assert.deepEqual(await takeTimes(store, 5, threePerMinute), [true, true, true, false, false]);
      }),
    );

    it(
      'says how many points remain, and none when it refuses',
      using(async (store) => {
        const remaining: number[] = [];
        for (let i = 0; i < 4; i += 1) remaining.push((await store.take('key', threePerMinute, 1)).remaining);
        assert.deepEqual(remaining, [2, 1, 0, 0]);
      }),
    );

    it(
      'says when the window ends',
      using(async (store) => {
        const { resetMs } = await store.take('key', threePerMinute, 1);
        assert.ok(resetMs > 55_000 && resetMs <= 60_000, `${resetMs} ms`);
      }),
    );

    it(
      'allows exactly the limit to takers that come at the same moment',
      using(async (store) => {
        const taken = await Promise.all(
          Array.from({ length: 50 }, async () => store.take('key', { limit: 20, windowMs: 60_000 }, 1)),
        );
        assert.equal(taken.filter(({ allowed }) => allowed).length, 20);
      }),
    );

    it(
      'counts each key apart',
      using(async (store) => {
        await takeTimes(store, 4, threePerMinute);
        assert.equal((await store.take('another', threePerMinute, 1)).allowed, true);
      }),
    );

    it(
      'takes as many points as asked for',
      using(async (store) => {
        assert.deepEqual(await take(store, threePerMinute, 2), { allowed: true, remaining: 1 });
        assert.deepEqual(await take(store, threePerMinute, 2), { allowed: false, remaining: 0 });
      }),
    );

    it(
      'refuses a cost above the limit, and counts it',
      using(async (store) => {
        assert.deepEqual(await take(store, threePerMinute, 4), { allowed: false, remaining: 0 });
        assert.deepEqual(await take(store, threePerMinute, 1), { allowed: false, remaining: 0 });
      }),
    );

    it(
      'takes nothing for a cost of zero',
      using(async (store) => {
        assert.deepEqual(await take(store, threePerMinute, 0), { allowed: true, remaining: 3 });
        await takeTimes(store, 3, threePerMinute);
        assert.deepEqual(await take(store, threePerMinute, 0), { allowed: true, remaining: 0 });
        await takeTimes(store, 1, threePerMinute);
        assert.deepEqual(await take(store, threePerMinute, 0), { allowed: false, remaining: 0 });
      }),
    );

    it(
      'gives the whole budget back when the window ends, however often it was asked in vain',
      using(async (store) => {
        const budget = { limit: 2, windowMs: 60 };
        const { resetMs } = await store.take('key', budget, 1);
        await takeTimes(store, 10, budget);
        await wait(resetMs + 5);
        assert.deepEqual(await takeTimes(store, 3, budget), [true, true, false]);
      }),
    );

    it(
      'begins a window with its first points, not with the end of the one before',
      using(async (store) => {
        const budget = { limit: 1, windowMs: 60 };
        await store.take('key', budget, 1);
        await wait(100);
        const { resetMs } = await store.take('key', budget, 1);
        assert.ok(resetMs > 30 && resetMs <= 60, `${resetMs} ms`);
      }),
    );

    it(
      'takes windows of a month, and counts no point too many in them',
      using(async (store) => {
        const month = { limit: 2, windowMs: 31 * 86_400_000 };
        assert.ok((await store.take('key', month, 0)).allowed);
        const { resetMs } = await store.take('key', month, 1);
        assert.ok(resetMs > 30 * 86_400_000, `${resetMs} ms`);
        assert.deepEqual(await takeTimes(store, 3, month), [true, false, false]);
      }),
    );

    it(
      'allows the burst of a bucket at once, and refused points cost nothing',
      using(async (store) => {
        const budget = { limit: 60, windowMs: 60_000, burst: 3 };
        assert.deepEqual(await takeTimes(store, 30, budget), [true, true, true, ...Array.from({ length: 27 }, () => false)]);
        const { resetMs } = await store.take('key', budget, 1);
        assert.ok(resetMs > 0 && resetMs <= 1000, `${resetMs} ms`);
        assert.equal((await store.take('other', budget, 4)).allowed, false);
      }),
    );

    it(
      'fills a bucket evenly',
      using(async (store) => {
        const budget = { limit: 10, windowMs: 1000, burst: 2 };
        assert.deepEqual(await takeTimes(store, 3, budget), [true, true, false]);
        const { resetMs } = await store.take('key', budget, 1);
        await wait(resetMs + 5);
        assert.equal((await store.take('key', budget, 1)).allowed, true);
      }),
    );

    it(
      'lets points of a bucket be taken in advance, one behind the other, up to the longest wait',
      using(async (store) => {
        const budget = { limit: 1, windowMs: 10_000, burst: 1, waitMs: 20_000 };
        const waits: (number | undefined)[] = [];
        for (let i = 0; i < 4; i += 1) {
          const { allowed, waitMs = 0 } = await store.take('key', budget, 1);
          waits.push(allowed ? Math.round(waitMs / 10_000) : undefined);
        }
        assert.deepEqual(waits, [0, 1, 2, undefined]);
        assert.equal((await store.take('key', { limit: 1, windowMs: 10_000, burst: 1 }, 1)).allowed, false);
      }),
    );

    it(
      'gives exactly as many leases as may be to holders that come at the same moment',
      using(async (store) => {
        const granted = await Promise.all(Array.from({ length: 50 }, async () => store.lease('key', holder(), atMost(20))));
        assert.equal(granted.filter(Boolean).length, 20);
        assert.equal(await store.lease('another', holder(), atMost(1)), true);
      }),
    );

    it(
      'gives a lease again when it was released, once, and not to those who had none',
      using(async (store) => {
        const [one, two, three] = [holder(), holder(), holder()];
        assert.equal(await store.lease('key', one, atMost(1)), true);
        assert.equal(await store.lease('key', two, atMost(1)), false);
        store.release('key', two.id);
        assert.equal(await store.lease('key', two, atMost(1)), false);
        store.release('key', one.id);
        store.release('key', one.id);
        assert.equal(await store.lease('key', two, atMost(1)), true);
        assert.equal(await store.lease('key', three, atMost(1)), false);
      }),
    );

    it(
      'gives a holder that asks again the lease it has',
      using(async (store) => {
        const one = holder();
        assert.equal(await store.lease('key', one, atMost(1)), true);
        assert.equal(await store.lease('key', one, atMost(1)), true);
        store.release('key', one.id);
        assert.equal(await store.lease('key', holder(), atMost(1)), true);
      }),
    );

    it(
      'takes a lease from who came first, and tells it once, where the terms say so',
      using(async (store) => {
        const lost: string[] = [];
        const [one, two, three] = ['one', 'two', 'three'].map((id) => ({ id, lost: () => void lost.push(id) }));
        assert.ok(one && two && three);
        const terms = { max: 2, over: 'evict' } as const;
        for (const each of [one, two, three]) assert.equal(await store.lease('key', each, terms), true);
        assert.deepEqual(lost, ['one']);
        store.release('key', one.id);
        assert.equal(await store.lease('key', holder(), atMost(2)), false);
      }),
    );

    it(
      'can be closed twice',
      using(async (store) => {
        await store.take('key', threePerMinute, 1);
        await store.close();
      }),
    );

    if (openTogether !== undefined) sharedContract(openTogether);
  });
}

function sharedContract(openTogether: (processes: number) => Promise<readonly Store[]>): void {
  const together = (test: (own: Store, other: Store) => Promise<void>) => async (): Promise<void> => {
    const stores = await openTogether(2);
    const [own, other] = stores;
    assert.ok(own !== undefined && other !== undefined);
    try {
      await test(own, other);
    } finally {
      await Promise.all(stores.map(async (store) => store.close()));
    }
  };

  it(
    'allows exactly the limit to several processes at the same moment',
    together(async (...stores) => {
      const budget = { limit: 20, windowMs: 60_000 };
      const taken = await Promise.all(
        Array.from({ length: 25 }, () => stores.map(async (store) => store.take('key', budget, 1))).flat(),
      );
      assert.equal(taken.filter(({ allowed }) => allowed).length, 20);
    }),
  );

  it(
    'gives several processes exactly as many leases as may be at the same moment',
    together(async (...stores) => {
      const granted = await Promise.all(
        Array.from({ length: 25 }, () => stores.map(async (store) => store.lease('key', holder(), atMost(20)))).flat(),
      );
      assert.equal(granted.filter(Boolean).length, 20);
    }),
  );

  it(
    'gives a lease to another process when it was released, or its process has closed',
    together(async (own, other) => {
      const one = holder();
      assert.equal(await own.lease('key', one, atMost(1)), true);
      assert.equal(await other.lease('key', holder(), atMost(1)), false);
      own.release('key', one.id);
      await eventually(async () => other.lease('key', holder(), atMost(1)));
      await other.close();
      await eventually(async () => own.lease('key', holder(), atMost(1)));
    }),
  );

  it(
    'takes a lease from who came first in another process, and tells it there',
    together(async (own, other) => {
      const lost: string[] = [];
      const telling = (id: string): LeaseHolder => ({ id, lost: () => void lost.push(id) });
      const terms = { max: 2, over: 'evict' } as const;
      assert.equal(await own.lease('key', telling('one'), terms), true);
      assert.equal(await other.lease('key', telling('two'), terms), true);
      assert.equal(await other.lease('key', telling('three'), terms), true);
      await eventually(() => lost.length > 0);
      assert.deepEqual(lost, ['one']);
      own.release('key', 'one');
      assert.equal(await own.lease('key', holder(), atMost(2)), false);
    }),
  );
}

async function eventually(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 10_000; !(await holds());) {
    assert.ok(Date.now() < end, 'it did not come about');
    await wait(5);
  }
}

let holders = 0;

function holder(): LeaseHolder {
  holders += 1;
  return { id: `holder-${holders}`, lost: () => assert.fail('a lease was lost') };
}

function atMost(max: number): LeaseTerms {
  return { max, over: 'refuse' };
}

const threePerMinute: Budget = { limit: 3, windowMs: 60_000 };

async function take(store: Store, budget: Budget, cost: number): Promise<{ allowed: boolean; remaining: number }> {
  const { allowed, remaining } = await store.take('key', budget, cost);
  return { allowed, remaining };
}

async function takeTimes(store: Store, times: number, budget: Budget): Promise<boolean[]> {
  const allowed: boolean[] = [];
  for (let i = 0; i < times; i += 1) allowed.push((await store.take('key', budget, 1)).allowed);
  return allowed;
}

/** GRIP 2.10: what is sent again, how often, and what is not. */
import assert from 'node:assert/strict';
import { ForegateError, type ErrorCode } from '../../gateway/core/errors.ts';
import type { Downstream, Reply, RequestDraft } from '../../gateway/core/exchange.ts';
import type { CounterName } from '../../gateway/core/metrics.ts';
import type { Target } from '../../gateway/core/route.ts';
import { repeatingSend } from '../../gateway/session/repeat.ts';
import { testSession } from '../../gateway/testing/policy-kit.ts';
import { testRoute, testTarget } from '../downstream/routes.ts';

const reply: Reply = { status: 200, reason: 'OK', headers: [], body: Buffer.alloc(0) };
const draft: RequestDraft = { method: 'POST', path: '/', headers: [], body: Buffer.from('x') };

/** A target that fails in these ways, one after another, and then answers. */
class FailingTarget implements Downstream {
  readonly drafts: RequestDraft[] = [];
  readonly waits: number[] = [];
  readonly #failures: (ErrorCode | undefined)[];
  readonly #back: boolean;

  constructor(failures: readonly (ErrorCode | undefined)[], back = false) {
    this.#failures = [...failures];
    this.#back = back;
  }

  send(sent: RequestDraft): Promise<Reply> {
    this.drafts.push(sent);
    const code = this.#failures.shift();
    return code === undefined ? Promise.resolve(reply) : Promise.reject(new ForegateError(code));
  }

  async back(ms: number): Promise<boolean> {
    this.waits.push(ms);
    await new Promise((resolve) => setTimeout(resolve, this.#back ? 0 : ms));
    return this.#back;
  }
}

function send(downstream: FailingTarget, counted: CounterName[] = [], retry: Target['retry'] = 'once'): Promise<Reply> {
  const target = testTarget({ downstream, retry });
  const route = testRoute({ targets: [target] });
  const caller = { ...testSession(), route, target, head: { path: '/', headers: [] }, nextRequest: () => 1 };
  const metrics = { count: (name: CounterName) => void counted.push(name) };
  return repeatingSend(metrics, { delaysMs: [1, 2, 4, 8, 16], jitterMs: 1 })(caller, draft);
}

const unreachable = 'downstream-unreachable';

describe('sending again (GRIP 2.10)', () => {
  it('is not needed where the first attempt is answered', async () => {
    const target = new FailingTarget([]);
    assert.equal(await send(target), reply);
    assert.equal(target.drafts.length, 1);
  });

  it('happens up to five times, with the same draft', async () => {
    const counted: CounterName[] = [];
    const target = new FailingTarget(Array(5).fill(unreachable));
    assert.equal(await send(target, counted), reply);
    assert.equal(target.drafts.length, 6);
    assert.ok(target.drafts.every((one) => one === draft));
    assert.deepEqual(counted, Array(5).fill('exchange_retries'));
  });

  it('happens where the circuit was open: nothing was sent', async () => {
    const target = new FailingTarget(['circuit-open', unreachable, 'circuit-open']);
    assert.equal(await send(target), reply);
    assert.equal(target.drafts.length, 4);
  });

  it('is given up after the fifth', async () => {
    const target = new FailingTarget(Array(20).fill(unreachable));
    await assert.rejects(send(target), { code: unreachable });
    assert.equal(target.drafts.length, 6);
  });

  it('waits longer each time', async () => {
    const target = new FailingTarget(Array(5).fill(unreachable));
    await send(target);
    for (const [i, least] of [1, 2, 4, 8, 16].entries()) {
      const waited = target.waits[i] ?? 0;
      assert.ok(waited > least - 1 && waited <= least + 1, `${waited} ms before attempt ${i + 2}`);
    }
  });

  it('happens at once when the target is back', async () => {
    const target = new FailingTarget([unreachable], true);
    await send(target);
    assert.equal(target.drafts.length, 2);
  });

  it('does not use up the attempts faster when the target comes and goes', async () => {
    const target = new FailingTarget(Array(8).fill(unreachable), true);
    const start = performance.now();
    await send(target).catch(() => undefined);
    assert.ok(performance.now() - start < 500);
    assert.ok(target.drafts.length > 6);
  });

  for (const code of [
    'downstream-lost',
    'downstream-timeout',
    'bad-reply',
    'reply-too-large',
    'overloaded',
    'shutting-down',
    'internal',
  ] as const) {
    it(`does not happen after ${code}`, async () => {
      const target = new FailingTarget([code]);
      await assert.rejects(send(target), { code });
      assert.equal(target.drafts.length, 1);
    });
  }

  describe('to a target that knows requests by their key', () => {
    it('happens after a connection that broke, too, as often and as late as otherwise', async () => {
      const counted: CounterName[] = [];
      const target = new FailingTarget(Array(5).fill('downstream-lost'), true);
      assert.equal(await send(target, counted, 'idempotent'), reply);
      assert.ok(target.drafts.every((one) => one === draft));
      assert.deepEqual(counted, Array(5).fill('exchange_retries'));
      assert.deepEqual(target.waits, []); // It is not woken early.
    });

    it('is given up after the fifth, and after a timeout', async () => {
      const target = new FailingTarget(Array(20).fill('downstream-lost'));
      await assert.rejects(send(target, [], 'idempotent'), { code: 'downstream-lost' });
      assert.equal(target.drafts.length, 6);
      await assert.rejects(send(new FailingTarget(['downstream-timeout']), [], 'idempotent'), { code: 'downstream-timeout' });
    });

    it('goes on with either kind of failure', async () => {
      const target = new FailingTarget(['downstream-lost', unreachable, 'downstream-lost'], true);
      assert.equal(await send(target, [], 'idempotent'), reply);
    });
  });

  it('ends with the first failure of another kind', async () => {
    const target = new FailingTarget([unreachable, unreachable, 'downstream-lost']);
    await assert.rejects(send(target), { code: 'downstream-lost' });
    assert.equal(target.drafts.length, 3);
  });
});

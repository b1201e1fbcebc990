/** What every policy must keep, whoever wrote it. */
import assert from 'node:assert/strict';
import { isPromise } from '../core/promise.ts';
import type { Policy, PolicyDefinition } from '../core/policy.ts';
import { connect, createPolicy, optionErrors, testSession } from './policy-kit.ts';
import { describe, it } from './suite.ts';

export interface PolicySamples {
  /** Options that must be taken; at least one. */
  readonly good: readonly [unknown, ...unknown[]];
  /** Options that must be refused, by the schema or by `create`. */
  readonly bad: readonly unknown[];
}

/** Declares the suite for one policy. */
export function policyContract(definition: PolicyDefinition, { good, bad }: PolicySamples): void {
  describe(`policy: ${definition.name}`, () => {
    it('has a name for "use" and a summary of one sentence', () => {
      assert.match(definition.name, /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/);
      assert.match(definition.summary, /^[A-Z][^\n]*\.$/);
    });

    it('describes each of its options', () => {
      const properties = Object.entries(
        (definition.options as { properties?: Record<string, { description?: string }> }).properties ?? {},
      );
      for (const [option, { description }] of properties) assert.ok(description, `${option} has no description`);
    });

    it('has a schema that survives being written to a file', () => {
      const written: typeof definition.options = JSON.parse(JSON.stringify(definition.options));
      assert.deepEqual(optionErrors({ ...definition, options: written }, good[0]), []);
    });

    it('takes good options and makes a policy with known moments only', async () => {
      for (const options of good)
        for (const moment of Object.keys(await createPolicy(definition, options))) assert.ok(moments.has(moment), moment);
    });

    for (const options of bad) {
      it(`refuses the options ${JSON.stringify(options)}`, async () => {
        await assert.rejects(createPolicy(definition, options));
      });
    }

    it('gives a verdict on a session that brought nothing', async () => {
      const { verdict } = await connect(await createPolicy(definition, good[0]), testSession());
      assert.ok(verdict === undefined || ['deny', 'delay', 'consumed', 'answer'].includes(verdict.kind));
    });

    it('can end a session it never saw, twice, and be disposed of twice', async () => {
      const policy = await createPolicy(definition, good[0]);
      endTwice(policy);
      for (let i = 0; i < 2; i += 1) {
        const disposed = policy.dispose?.();
        if (isPromise(disposed ?? undefined)) await disposed;
      }
    });
  });
}

const moments: ReadonlySet<string> = new Set([
  'connect',
  'held',
  'message',
  'subscribe',
  'request',
  'response',
  'renew',
  'publish',
  'disconnect',
  'dispose',
]);

function endTwice(policy: Policy): void {
  const session = testSession();
  policy.disconnect?.(session);
  policy.disconnect?.(session);
}

/**
 * What every policy that comes with Foregate must do, whatever it is for: with options right and wrong, with clients that it lets in
 * and refuses, when what it needs fails, and under a reload in the middle of connections. Its cases are in `policy-cases.ts`.
 */
import assert from 'node:assert/strict';
import { stringify } from 'yaml';
import { ConfigError, createForegate, loadText, type LoadedConfig } from '../../gateway/index.ts';
import { dryRun } from '../../gateway/core/dry-run.ts';
import { silentLog, type LogFields } from '../../gateway/core/log.ts';
import { noMetrics } from '../../gateway/core/metrics.ts';
import type { Policy, PolicyDefinition } from '../../gateway/core/policy.ts';
import { fields } from '../../gateway/core/headers.ts';
import { playSession, policyContract, type PlayedVerdict, type RecordedEvent } from '../../gateway/testing/index.ts';
import { policies } from '../../policies/index.ts';
import { clearStage, eventually, setStage, stageConfig } from '../protocol/stage.ts';
import { caseFaults, policyCases, type PolicyCases } from './policy-cases.ts';
import { failures } from './policy-failures.ts';

/** In `fileWith`. */
const firstLineOfPolicy = 5;

describe('the list of policies', () => {
  it('has cases for each, and no name twice', () => {
    assert.deepEqual(caseFaults(policies.map(({ name }) => name)), []);
  });

  it('says what is to be added', () => {
    const cases = { a: {}, b: {} };
    assert.deepEqual(caseFaults(['a', 'b'], cases), []);
    assert.match(caseFaults(['a', 'b', 'c'], cases).join(), /^policies\/index.ts lists "c", .* add .*policy-cases.ts$/);
    assert.match(caseFaults(['a'], cases).join(), /"b", which policies\/index.ts does not list$/);
    assert.match(caseFaults(['a', 'a', 'b'], cases).join(), /lists "a" twice$/);
  });
});

function completeContract(policy: PolicyDefinition, { good, bad, allow, deny, noPlainClient }: PolicyCases): void {
  policyContract(policy, { good, bad });

  describe(`policy: ${policy.name}, in the program`, () => {
    afterEach(clearStage);

    for (const options of good) {
      it(`reads from a file ${JSON.stringify(options).slice(0, 60)}`, async () => {
        const foregate = await createForegate(await loadText(fileWith(policy.name, options)));
        await foregate.stop();
      });
    }

    for (const options of bad) {
      it(`tells the line of what is wrong with ${JSON.stringify(options).slice(0, 60)}`, async () => {
        await assert.rejects(
          async () => createForegate(await loadText(fileWith(policy.name, options))),
          (thrown) => {
            assert.ok(thrown instanceof ConfigError, `not told with its place: ${String(thrown)}`);
            for (const { line, column, path } of thrown.problems) {
              assert.ok(line >= firstLineOfPolicy && column > 0, `${line}:${column}`);
              assert.match(path, /^routes\[0\]\.policies\[0\]/);
            }
            return true;
          },
        );
      });
    }

    it('lets pass what it shall, and tidies up', async () => {
      const { verdicts, timersLeft } = await playSession(policy, allow.options, allow.events);
      assert.deepEqual(verdicts.filter(isDenied), []);
      assert.equal(timersLeft, 0);
    });

    if (!('never' in deny)) {
      it('refuses what it shall, and tidies up', async () => {
        const { verdicts, timersLeft } = await playSession(policy, deny.options, deny.events);
        assert.equal(codeOf(verdicts.at(-1)), deny.code);
        assert.deepEqual(verdicts.slice(0, -1).filter(isDenied), []);
        assert.equal(timersLeft, 0);
      });
    }

    if (!('never' in deny)) {
      it('refuses nothing in dry run, and says what it would have refused', async () => {
        const noted: string[] = [];
        const { verdicts, sessions, timersLeft } = await playSession(rehearsed(policy, noted), deny.options, deny.events);
        assert.deepEqual(verdicts.filter(isDenied), []);
        assert.ok(Object.values(sessions).every(({ ended, sent }) => ended === undefined && sent.length === 0));
        assert.ok(noted.includes(`policy.would-deny ${deny.code}`), noted.join());
        assert.equal(timersLeft, 0);
      });
    }

    for (const [kind, failure] of Object.entries(failures)) {
      it(`refuses where ${kind}, if it needs that`, async () => {
        const scenes = 'never' in deny ? [allow] : [allow, deny];
        for (const { options, events } of scenes) {
          const { terms, spoilt, needed } = failure(events);
          const { verdicts } = await playSession(policy, options, spoilt, terms);
          if (needed()) assert.ok(verdicts.some(isDenied), 'it let pass what it could not judge');
        }
      });
    }

    if (noPlainClient !== undefined) return;
    it('goes on under a reload in the middle of connections, and is disposed of after them', async () => {
      const lives = { made: 0, disposed: 0 };
      const watched = watching(policy, lives);
      const settings = async (url: string): Promise<LoadedConfig> => {
        const loaded = await stageConfig({ route: { policies: [{ use: policy.name, ...(allow.options as object) }] } }, [
          { url },
        ]);
        return {
          ...loaded,
          routes: loaded.routes.map((route) => ({
            ...route,
            policies: route.policies.map((used) => ({ ...used, definition: watched })),
          })),
        };
      };
      const { foregate, backend, open } = await setStage();
      await foregate.reload(await settings(backend.origin));
      const { path, headers } = requestOf(allow.events);
      const before = await open(path, { headers });
      before.send('one');
      assert.equal(await before.nextText(), 'one');
      assert.deepEqual(await foregate.reload(await settings(backend.origin)), { routes: 1, kept: 1, drained: 0 });
      const after = await open(path, { headers });
      for (const client of [before, after]) {
        client.send('two');
        assert.equal(await client.nextText(), 'two');
      }
      assert.deepEqual(lives, { made: 2, disposed: 0 });
      await before.close();
      await eventually(() => lives.disposed === 1, 6000);
      after.send('three');
      assert.equal(await after.nextText(), 'three');
      await foregate.stop();
      assert.deepEqual(lives, { made: 2, disposed: 2 });
    });
  });
}

function fileWith(use: string, options: unknown): string {
  const policy = stringify({ use, ...(options as object) }, { lineWidth: 0 });
  const lines = policy.trimEnd().split('\n');
  return [
    'routes:',
    '  - id: a',
    '    target: http://127.0.0.1:1',
    '    policies:',
    `      - ${lines.join('\n        ')}`,
    '',
  ].join('\n');
}

function isDenied(verdict: PlayedVerdict): boolean {
  return codeOf(verdict) !== undefined;
}

function codeOf(verdict: PlayedVerdict): string | undefined {
  return verdict?.kind === 'deny' ? verdict.code : undefined;
}

/** What the first client of a scene asks for, in the form of a WebSocket client. */
function requestOf(events: readonly RecordedEvent[]): { readonly path: string; readonly headers: Record<string, string> } {
  const first = events.find((event) => event.kind === 'connect');
  return { path: first?.request?.path ?? '/', headers: Object.fromEntries(fields(first?.request?.headers ?? [])) };
}

/** The same policy in dry run; what it would have refused, and with which code, is noted. */
function rehearsed(definition: PolicyDefinition, noted: string[]): PolicyDefinition {
  const note = (event: string, more?: LogFields): void => void noted.push(`${event} ${String(more?.['code'])}`);
  return {
    ...definition,
    create: async (options, context) => {
      const rehearse = dryRun({ log: { ...silentLog, info: note }, metrics: noMetrics, clock: context.clock });
      return rehearse(definition.name, await definition.create(options, context));
    },
  };
}

/** The same policy, whose lives are counted. */
function watching(definition: PolicyDefinition, lives: { made: number; disposed: number }): PolicyDefinition {
  return {
    ...definition,
    async create(options, context) {
      const policy = await definition.create(options, context);
      lives.made += 1;
      const moments = Object.keys(policy).map((moment) => [moment, policy[moment as keyof Policy]?.bind(policy)]);
      return {
        ...Object.fromEntries(moments),
        dispose: () => {
          lives.disposed += 1;
          return policy.dispose?.();
        },
      };
    },
  };
}

for (const policy of policies) {
  const cases = policyCases[policy.name];
  if (cases !== undefined) completeContract(policy, cases);
}

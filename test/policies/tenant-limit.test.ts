/** The example of a policy that asks a database. Uses what a stranger has: the entries of the package and the recorded sessions. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createPolicy,
  ManualClock,
  playSession,
  policyContract,
  testSession,
  textMessage,
  type RecordedEvent,
} from 'foregate/testing';
import type { Identity, Policy, PolicyDefinition } from 'foregate/policy';

const directory = join(import.meta.dirname, '../../examples/policies');
const file: { readonly default: PolicyDefinition } = await import(join(directory, 'tenant-limit.mjs'));
const tenantLimit = file.default;

const limits = join(directory, 'tenants.mjs');

policyContract(tenantLimit, {
  good: [{ limits }, { limits, claim: 'org', window: '1h', keep: '0s', timeout: '500ms' }],
  bad: [{}, { limits: '' }, { limits: './missing.mjs' }, { limits, window: 60 }, { limits, tenant: 'a' }],
});

/** A database that a test looks into, by a name of its own, since modules are kept. */
interface Database {
  readonly asked: string[];
  answer(tenant: string): unknown;
}
const databases: Record<string, Database> = {};
Object.assign(globalThis, { databasesOfTenantLimit: databases });

const of = (tenant: string): Identity => ({ subject: 'ann', by: 'jwt', claims: { tenant } });
const message = (at: number | string, session?: string): RecordedEvent => ({
  at,
  kind: 'message',
  message: 'hello',
  ...(session !== undefined && { session }),
});
const codes = (verdicts: readonly ({ kind: string; code?: string } | undefined)[]): string[] =>
  verdicts.map((verdict) => verdict?.code ?? verdict?.kind ?? 'passed');

describe('tenant-limit', () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'foregate-tenants-'));
  });
  after(() => rm(folder, { recursive: true }));

  let count = 0;
  async function database(answer: Database['answer']): Promise<{ readonly path: string; readonly asked: string[] }> {
    const name = `database-${(count += 1)}`;
    const asked: string[] = [];
    databases[name] = { asked, answer };
    const path = join(folder, `${name}.mjs`);
    const code = `const database = globalThis.databasesOfTenantLimit['${name}'];
export default async (tenant) => { database.asked.push(tenant); return database.answer(tenant); };`;
    await writeFile(path, code);
    return { path, asked };
  }

  it('lets each tenant send what its own number says, whoever sends it', async () => {
    const { path } = await database((tenant) => (tenant === 'small' ? 2 : 3));
    const events: RecordedEvent[] = [
      { at: 0, kind: 'connect', session: 'a', identity: of('small') },
      { at: 0, kind: 'connect', session: 'b', identity: of('small') },
      { at: 0, kind: 'connect', session: 'c', identity: of('large') },
      ...['a', 'b', 'a', 'c', 'c', 'c', 'c'].map((session) => message(1, session)),
      message('61s', 'b'),
    ];
    const { verdicts, sessions } = await playSession(tenantLimit, { limits: path }, events);
    const passed = 'passed';
    assert.deepEqual(codes(verdicts.slice(3)), [passed, passed, 'rate-limited', passed, passed, passed, 'rate-limited', passed]);
    assert.equal(sessions['a']?.ended, undefined, 'it is answered, and stays');
  });

  it('asks once for a tenant while the answer is good, and again after it', async () => {
    const { path, asked } = await database(() => 100);
    const events: RecordedEvent[] = [
      { at: 0, kind: 'connect', identity: of('t') },
      message('1s'),
      message('59s'),
      message('61s'),
    ];
    await playSession(tenantLimit, { limits: path }, events);
    assert.deepEqual(asked, ['t', 't']);
  });

  it('asks once for all who come at the same moment', async () => {
    let answer = (_limit: number): void => {};
    const { path, asked } = await database(() => new Promise<number>((settle) => (answer = settle)));
    const policy = await createPolicy(tenantLimit, { limits: path });
    const verdicts = Array.from({ length: 50 }, async () => policy.connect?.(sessionOf('t'), []));
    await turn();
    assert.deepEqual(asked, ['t']);
    answer(1);
    assert.deepEqual(
      codes(await Promise.all(verdicts)),
      Array.from({ length: 50 }, () => 'passed'),
    );
    assert.equal(policy.message?.(sessionOf('t'), textMessage('x')), undefined, 'no promise where the number is known');
  });

  it('refuses who names no tenant, and tenants that do not exist', async () => {
    const { path } = await database(() => undefined);
    const events: RecordedEvent[] = [
      { at: 0, kind: 'connect', session: 'nobody' },
      { at: 0, kind: 'connect', session: 'unknown', identity: of('gone') },
    ];
    assert.deepEqual(codes((await playSession(tenantLimit, { limits: path }, events)).verdicts), ['forbidden', 'forbidden']);
  });

  it('refuses when the database fails, and asks again the next time', async () => {
    let works = false;
    const { path, asked } = await database(() => (works ? 5 : Promise.reject(new Error('The database is away.'))));
    const events: RecordedEvent[] = [{ at: 0, kind: 'connect', identity: of('t') }];
    assert.deepEqual(codes((await playSession(tenantLimit, { limits: path }, events)).verdicts), ['policy-failed']);
    const policy = await createPolicy(tenantLimit, { limits: path });
    await assert.rejects(async () => policy.connect?.(sessionOf('t'), []));
    works = true;
    assert.equal(await policy.connect?.(sessionOf('t'), []), undefined);
    assert.equal(asked.length, 3);
  });

  it('refuses for an answer that is no number', async () => {
    for (const nonsense of ['many', Number.NaN, -1, 1.5, null]) {
      const { path } = await database(() => nonsense);
      const { verdicts } = await playSession(tenantLimit, { limits: path }, [{ at: 0, kind: 'connect', identity: of('t') }]);
      assert.deepEqual(codes(verdicts), ['policy-failed'], String(nonsense));
    }
  });

  it('refuses when no answer comes in time, and leaves no timer', async () => {
    const clock = new ManualClock();
    const { path } = await database(() => new Promise(() => {}));
    const policy = await createPolicy(tenantLimit, { limits: path, timeout: '2s' }, { clock });
    const refused = assert.rejects(async () => policy.connect?.(sessionOf('t'), []), /no answer within 2000 ms/);
    await turn();
    clock.advance(2000);
    await refused;
    assert.equal(clock.pending, 0);
  });

  it('keeps 10,000 answers at most', async () => {
    const { path, asked } = await database(() => 1);
    const policy = await createPolicy(tenantLimit, { limits: path });
    for (let i = 0; i <= 10_000; i += 1) await policy.connect?.(sessionOf(`t${i}`), []);
    await policy.connect?.(sessionOf('t10000'), []);
    assert.equal(asked.length, 10_001, 'the newest is known');
    await policy.connect?.(sessionOf('t0'), []);
    assert.equal(asked.length, 10_002, 'the oldest is not');
  });

  it('refuses when too many are being asked for', async () => {
    const { path } = await database(() => new Promise(() => {}));
    const policy: Policy = await createPolicy(tenantLimit, { limits: path }, { clock: new ManualClock() });
    for (let i = 0; i < 100; i += 1) void policy.connect?.(sessionOf(`t${i}`), []);
    assert.throws(() => policy.connect?.(sessionOf('one more'), []), /Too many tenants/);
    void policy.connect?.(sessionOf('t1'), []);
  });
});

function sessionOf(tenant: string) {
  const session = testSession();
  session.identity = of(tenant);
  return session;
}

async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

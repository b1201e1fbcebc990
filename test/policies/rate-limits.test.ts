/** What `rate-limit` can besides one window: buckets, several limits, waiting, and subscriptions and publications. */
import assert from 'node:assert/strict';
import { mock } from 'node:test';
import { channelName } from '../../gateway/core/ids.ts';
import { runHooks, type Policy, type Publisher, type ConnectVerdict } from '../../gateway/core/policy.ts';
import { isPromise } from '../../gateway/core/promise.ts';
import { noMetadata, type Identity, type SessionView } from '../../gateway/core/session.ts';
import type { Store } from '../../gateway/core/store.ts';
import { memoryStore } from '../../gateway/engines/memory-store.ts';
import { connect, createPolicy, testSession, textMessage } from '../../gateway/testing/index.ts';
import { rateLimit } from '../../policies/rate-limit.ts';
import { acceptedWithGrip, afterOpen, clearStage, eventually, nothing, setStage } from '../protocol/stage.ts';
import { loadSettings } from '../support/gateway.ts';
import { createForegate } from '../../gateway/foregate.ts';

describe('rate-limit with time in the hand', () => {
  beforeEach(() => mock.timers.enable({ apis: ['Date', 'setTimeout'], now: 1_000_000 }));
  afterEach(() => mock.timers.reset());

  it('lets the burst of a bucket pass at once, and the rest evenly', async () => {
    const policy = await createPolicy(rateLimit, { messages: 10, window: '1s', burst: 3 });
    const session = testSession();
    assert.equal(passed(policy, session, 100), 3);
    mock.timers.tick(99);
    assert.equal(passed(policy, session, 5), 0);
    mock.timers.tick(1);
    assert.equal(passed(policy, session, 5), 1);
    mock.timers.tick(10_000);
    assert.equal(passed(policy, session, 100), 3);
  });

  it('keeps all of several limits, and what the shorter refuses costs nothing in the longer', async () => {
    const policy = await createPolicy(rateLimit, {
      limits: [
        { messages: 12, window: '1m' },
        { messages: 5, window: '1s' },
      ],
    });
    const session = testSession();
    const perSecond: number[] = [];
    for (let second = 0; second < 4; second += 1) {
      perSecond.push(passed(policy, session, 1000));
      mock.timers.tick(1000);
    }
    assert.deepEqual(perSecond, [5, 5, 2, 0]);
    mock.timers.tick(56_000);
    assert.equal(passed(policy, session, 1000), 5);
  });

  it('tells of the limit that leaves the least', async () => {
    const policy = await createPolicy(rateLimit, {
      limits: [
        { connections: 3, window: '1s' },
        { connections: 4, window: '1m' },
      ],
    });
    const told: (string | undefined)[] = [];
    for (let i = 0; i < 4; i += 1) {
      if (i === 3) mock.timers.tick(1000);
      told.push((await connect(policy, testSession())).answer[3]);
    }
    assert.deepEqual(told, ['"connections";r=2;t=1', '"connections";r=1;t=1', '"connections";r=0;t=1', '"connections";r=0;t=59']);
    const refused = denialOf((await connect(policy, testSession())).verdict);
    assert.deepEqual(refused.headers?.slice(0, 2), ['RateLimit-Policy', '"connections";q=4;w=60']);
    assert.equal(refused.retryAfterMs, 59_000);
  });

  it('has the older fields where they are wanted, also in refusals', async () => {
    const policy = await createPolicy(rateLimit, { connections: 1, window: '1500ms', legacyFields: true });
    const fields = ['X-RateLimit-Limit', '1', 'X-RateLimit-Remaining', '0', 'X-RateLimit-Reset', '2'];
    assert.deepEqual((await connect(policy, testSession())).answer.slice(4), fields);
    assert.deepEqual(denialOf((await connect(policy, testSession())).verdict).headers?.slice(4), fields);
  });

  it('has messages wait for their turn, and closes who would have to wait too long', async () => {
    const policy = await createPolicy(rateLimit, { messages: 1, window: '10s', over: 'delay' });
    const verdicts = Array.from({ length: 5 }, () => ask(policy, testSession()));
    assert.deepEqual(verdicts.slice(0, 4), [undefined, ...[10_000, 20_000, 30_000].map((ms) => ({ kind: 'delay', ms }))]);
    const { action, retryAfterMs } = denialOf(verdicts[4]);
    assert.deepEqual([action, retryAfterMs], ['close', 40_000]);
    mock.timers.tick(10_000);
    assert.deepEqual(ask(policy, testSession()), { kind: 'delay', ms: 30_000 });
  });

  it('lets nobody wait at the door', async () => {
    const policy = await createPolicy(rateLimit, { messages: 1, window: '10s', over: 'delay' });
    const request = () => connect(policy, testSession({ transport: 'request' }));
    assert.equal((await request()).verdict, undefined);
    assert.equal(denialOf((await request()).verdict).retryAfterMs, 10_000);
  });

  it('answers with the text of the options and the wait in it', async () => {
    const policy = await createPolicy(rateLimit, { messages: 1, window: '90s', over: 'answer', text: 'Wait {wait} or {wait}.' });
    ask(policy, testSession());
    mock.timers.tick(500);
    assert.equal(denialOf(ask(policy, testSession())).text, 'Wait 90 or 90.');
  });
});

describe('rate-limit by several, and of other things', () => {
  const ann: Identity = { subject: 'ann', by: 'jwt', claims: { org: 'acme' } };

  it('counts subscriptions, of each channel apart where that is asked for', async () => {
    const policy = await createPolicy(rateLimit, { subscriptions: 1, window: '1m', by: ['session', 'channel'], over: 'close' });
    const session = testSession();
    const join = (name: string): ConnectVerdict => now(policy.subscribe?.(session, channelName(name)));
    assert.equal(join('a'), undefined);
    assert.equal(join('b'), undefined);
    assert.equal(denialOf(join('a')).action, 'close');
    assert.deepEqual(Object.keys(policy), ['subscribe']);
  });

  it('does not close for a subscription unless told to', async () => {
    const policy = await createPolicy(rateLimit, { subscriptions: 1, window: '1m' });
    assert.equal(now(policy.subscribe?.(testSession(), channelName('a'))), undefined);
    assert.equal(denialOf(now(policy.subscribe?.(testSession(), channelName('b')))).action, undefined);
  });

  it('counts publications by channel or publisher', async () => {
    const cases: readonly (readonly [
      by: unknown,
      one: [string, Partial<Publisher>],
      other: [string, Partial<Publisher>],
      shared: boolean,
    ])[] = [
      ['channel', ['a', {}], ['a', { address: '192.0.2.9' }], true],
      ['channel', ['a', {}], ['b', {}], false],
      ['address', ['a', {}], ['b', {}], true],
      ['subject', ['a', { identity: ann }], ['a', { identity: ann, address: '192.0.2.9' }], true],
      ['claim:org', ['a', { identity: ann }], ['a', {}], false],
      ['header:X-App', ['a', { headers: ['x-app', '1'] }], ['a', { headers: ['X-App', '1'], address: '192.0.2.9' }], true],
      ['route', ['a', {}], ['b', { address: '192.0.2.9' }], true],
      [['subject', 'channel'], ['a', { identity: ann }], ['b', { identity: ann }], false],
    ];
    for (const [by, one, other, shared] of cases) {
      const policy = await createPolicy(rateLimit, { publishes: 1, window: '1m', by });
      const publish = ([channel, from]: [string, Partial<Publisher>]): ConnectVerdict =>
        now(
          policy.publish?.(
            { channel: channelName(channel), meta: noMetadata, formats: {} },
            { identity: undefined, address: '192.0.2.1', headers: [], ...from },
          ),
        );
      assert.equal(publish(one), undefined);
      assert.equal(publish(other)?.kind === 'deny', shared, JSON.stringify([by, one, other]));
    }
  });

  it('counts a storm of reconnecting clients exactly, however many headers they make up', async () => {
    const policy = await createPolicy(rateLimit, { connections: 50, window: '1m', by: ['header:X-Tenant', 'address'] });
    const byAddress = await createPolicy(rateLimit, { connections: 50, window: '1m' }, { scope: 'second' });
    let chosen = 0;
    let both = 0;
    for (let i = 0; i < 10_000; i += 1) {
      const session = testSession({ headers: ['X-Tenant', `made-up-${i}`] });
      if ((await connect(policy, session)).verdict === undefined) chosen += 1;
      if ((await connect(byAddress, session)).verdict === undefined) both += 1;
    }
    // Whoever can send the field chooses whom to be counted as: another limit has to go by what cannot be chosen.
    assert.equal(chosen, 10_000);
    assert.equal(both, 50);
  });

  it('counts those together who make up more keys than the store keeps', async () => {
    const store = memoryStore({ keysMax: 100 });
    const policy = await createPolicy(rateLimit, { connections: 5, window: '1m', by: 'header:X-Tenant' }, { store });
    let passedAll = 0;
    for (let i = 0; i < 10_000; i += 1) {
      const { verdict } = await connect(policy, testSession({ headers: ['X-Tenant', `made-up-${i}`] }));
      if (verdict === undefined) passedAll += 1;
    }
    assert.equal(passedAll, 105);
  });

  it('waits for a store that is somewhere else, one limit after the other', async () => {
    const memory = memoryStore();
    const store: Store = { ...memory, take: async (key, budget, cost) => memory.take(key, budget, cost) };
    const options = {
      limits: [
        { messages: 2, window: '1m' },
        { messages: 3, window: '2m' },
      ],
    };
    const policy = await createPolicy(rateLimit, options, { store });
    const session = testSession();
    const verdicts = await Promise.all(Array.from({ length: 5 }, async () => policy.message?.(session, textMessage('x'))));
    assert.deepEqual(
      verdicts.map((verdict) => verdict?.kind),
      [undefined, undefined, 'deny', 'deny', 'deny'],
    );
  });
});

describe('policies behind one that delays', () => {
  it('are asked, and the stricter verdict holds', () => {
    const delay = (ms: number) => (): ConnectVerdict => ({ kind: 'delay', ms });
    const no: ConnectVerdict = { kind: 'deny', code: 'forbidden', detail: 'No.' };
    const run = (...hooks: (() => ConnectVerdict)[]) => runHooks(hooks, 0, 0);
    assert.deepEqual(
      run(delay(1), () => no),
      no,
    );
    assert.deepEqual(run(delay(1), delay(5), delay(3)), { kind: 'delay', ms: 5 });
    assert.deepEqual(
      run(delay(1), () => ({ kind: 'consumed' })),
      { kind: 'consumed' },
    );
    assert.deepEqual(
      run(delay(1), () => undefined),
      { kind: 'delay', ms: 1 },
    );
    assert.deepEqual(
      run(() => undefined, delay(1)),
      { kind: 'delay', ms: 1 },
    );
  });

  it('are asked also where one takes its time', async () => {
    const hooks = [
      async (): Promise<ConnectVerdict> => ({ kind: 'delay', ms: 1 }),
      async (): Promise<ConnectVerdict> => ({ kind: 'delay', ms: 2 }),
    ];
    assert.deepEqual(await runHooks(hooks, 0, 0), { kind: 'delay', ms: 2 });
  });
});

describe('rate-limit over real sockets', () => {
  afterEach(clearStage);

  const limited = (options: object) => ({ route: { policies: [{ use: 'rate-limit', ...options }] } });

  it('keeps a client waiting, loses nothing and keeps the order', async () => {
    const stage = await setStage(limited({ messages: 50, window: '1s', burst: 1, over: 'delay' }));
    const client = await stage.open();
    const start = performance.now();
    const sent = Array.from({ length: 20 }, (_, i) => `message ${i}`);
    for (const message of sent) client.send(message);
    const received: string[] = [];
    while (received.length < sent.length) received.push(await client.nextText());
    assert.deepEqual(received, sent);
    assert.ok(performance.now() - start >= 19 * 20 - 20, `${performance.now() - start} ms`);
  });

  it('answers with its own text', async () => {
    const stage = await setStage(limited({ messages: 1, window: '1h', over: 'answer', text: '{"slow down":{wait}}' }));
    const client = await stage.open();
    client.send('a');
    assert.equal(await client.nextText(), 'a');
    client.send('b');
    assert.match(await client.nextText(), /^\{"slow down":3(600|59\d)\}$/);
  });

  it('lets exactly so many of 200 that come at once in', async () => {
    const stage = await setStage(limited({ connections: 20, window: '1h' }));
    const answers = await Promise.allSettled(Array.from({ length: 200 }, () => stage.open()));
    assert.equal(answers.filter(({ status }) => status === 'fulfilled').length, 20);
  }).timeout(30_000);

  it('refuses subscriptions of a backend, and the session goes on', async () => {
    const channels = ['a', 'b', 'c'];
    const control = (channel: string) => ({
      kind: 'text' as const,
      data: Buffer.from(`c:${JSON.stringify({ type: 'subscribe', channel })}`),
    });
    const stage = await setStage({
      ...limited({ subscriptions: 2, window: '1h' }),
      answer: afterOpen(() => nothing, acceptedWithGrip(channels.map(control))),
    });
    await stage.open();
    await eventually(async () => (await stage.members('b')) === 1);
    assert.deepEqual([await stage.members('a'), await stage.members('c')], [1, 0]);
  });

  it('refuses publications with 429 and the fields, of each channel apart', async () => {
    const policies = [{ use: 'rate-limit', publishes: 2, window: '1h', by: 'channel' }];
    const stage = await setStage({ settings: { control: { host: '127.0.0.1', port: 0, policies } } });
    for (const channel of ['a', 'a', 'b']) await stage.say(channel, 'x');
    const body = JSON.stringify({ items: [{ channel: 'a', formats: { 'ws-message': { content: 'x' } } }] });
    const refused = await fetch(`${stage.controlUrl}/publish/`, { method: 'POST', body });
    assert.equal(refused.status, 429);
    assert.equal(refused.headers.get('ratelimit-policy'), '"publishes";q=2;w=3600');
    assert.match(refused.headers.get('retry-after') ?? '', /^3(600|59\d)$/);
  });

  it('drops publications without a word where it shall', async () => {
    const policies = [{ use: 'rate-limit', publishes: 1, window: '1h', over: 'drop' }];
    const stage = await setStage({
      settings: { control: { host: '127.0.0.1', port: 0, policies } },
      answer: afterOpen(
        () => nothing,
        acceptedWithGrip([{ kind: 'text', data: Buffer.from('c:{"type":"subscribe","channel":"a"}') }]),
      ),
    });
    const client = await stage.open();
    await eventually(async () => (await stage.members('a')) === 1);
    for (const text of ['one', 'two']) await stage.say('a', text);
    assert.equal(await client.nextText(), 'one');
    await assert.rejects(client.nextText(100));
  });

  it('is refused where it would protect nothing', async () => {
    const policies = [{ use: 'rate-limit', publishes: 1 }];
    const loaded = await loadSettings({ routes: [{ id: 'a', target: 'http://127.0.0.1:1', policies }] });
    await assert.rejects(createForegate(loaded), /has rules for publishers only.*control\.policies/);
  });
});

function passed(policy: Policy, session: SessionView, times: number): number {
  return Array.from({ length: times }, () => ask(policy, session)).filter((verdict) => verdict === undefined).length;
}

function ask(policy: Policy, session: SessionView): ConnectVerdict {
  return now(policy.message?.(session, textMessage('x')));
}

function now(verdict: ConnectVerdict | Promise<ConnectVerdict>): ConnectVerdict {
  assert.ok(!isPromise(verdict), 'a promise');
  return verdict;
}

function denialOf(verdict: ConnectVerdict) {
  assert.ok(verdict?.kind === 'deny', 'not denied');
  return verdict;
}

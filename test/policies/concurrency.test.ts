/** How many connections of one caller are open at the same time: exactly, and none counts for longer than it is open. */
import assert from 'node:assert/strict';
import { deny, type Policy, type ConnectVerdict } from '../../gateway/core/policy.ts';
import { isPromise } from '../../gateway/core/promise.ts';
import type { Identity, SessionView } from '../../gateway/core/session.ts';
import type { Store } from '../../gateway/core/store.ts';
import { memoryStore } from '../../gateway/engines/memory-store.ts';
import { createPolicy, testSession } from '../../gateway/testing/index.ts';
import { concurrency } from '../../policies/concurrency.ts';
import { byPath, held, requestText, setHoldStage, takeAnswer } from '../protocol/holds.ts';
import {
  accepted,
  afterOpen,
  clearStage,
  eventually,
  gate,
  isOpening,
  nothing,
  setStage,
  stageConfig,
} from '../protocol/stage.ts';
import { echo } from '../support/backend.ts';
import { handshakeRequest } from '../support/raw-socket.ts';

describe('concurrency', () => {
  it('lets exactly so many in, of 10000 that come at once, and as many again when those have left', async () => {
    const policy = await createPolicy(concurrency, { max: 100, by: 'route' });
    for (let round = 0; round < 2; round += 1) {
      const sessions = Array.from({ length: 10_000 }, () => testSession());
      assert.equal(sessions.filter((session) => arrive(policy, session) === undefined).length, 100);
      for (const session of sessions) policy.disconnect?.(session);
    }
  });

  it('has exactly so many after a storm that comes and goes at random', async () => {
    const policy = await createPolicy(concurrency, { max: 7 });
    const open = new Set<SessionView>();
    for (let i = 0; i < 10_000; i += 1) {
      const session = testSession();
      const [leaving] = open;
      if (i % 3 === 0 && leaving !== undefined) {
        open.delete(leaving);
        policy.disconnect?.(leaving);
        policy.disconnect?.(leaving);
      }
      const isFull = open.size === 7;
      assert.equal(arrive(policy, session)?.kind, isFull ? 'deny' : undefined);
      if (isFull) policy.disconnect?.(session);
      else open.add(session);
    }
  });

  it('lets the newest in and ends the oldest, never having more', async () => {
    const policy = await createPolicy(concurrency, { max: 2, over: 'evict', code: 4100 });
    const sessions = Array.from({ length: 1000 }, () => testSession());
    for (const session of sessions) assert.equal(arrive(policy, session), undefined);
    assert.equal(sessions.filter(({ ended }) => ended === undefined).length, 2);
    assert.deepEqual(
      sessions.slice(-2).map(({ ended }) => ended),
      [undefined, undefined],
    );
    const [first] = sessions;
    assert.equal(first?.ended?.closeCode, 4100);
    assert.equal(first.ended.code, 'rate-limited');
  });

  it('has no place twice for a session that was evicted and then leaves', async () => {
    const policy = await createPolicy(concurrency, { max: 1, over: 'evict' });
    const [one, two, three] = [testSession(), testSession(), testSession()];
    arrive(policy, one);
    arrive(policy, two);
    policy.disconnect?.(one);
    arrive(policy, three);
    assert.ok(two.ended);
    assert.equal(three.ended, undefined);
  });

  it('refuses who has left before it was asked, and keeps nothing of it', async () => {
    const policy = await createPolicy(concurrency, { max: 1 });
    const left = testSession();
    policy.disconnect?.(left);
    assert.equal(arrive(policy, left)?.kind, 'deny');
    assert.equal(arrive(policy, testSession()), undefined);
  });

  it('gives a lease back that a store somewhere else granted after the client had left', async () => {
    const granted = gate();
    const released: string[] = [];
    const store: Store = {
      ...memoryStore(),
      lease: () => granted.passed.then(() => true),
      release: (_key, id) => void released.push(id),
    };
    const policy = await createPolicy(concurrency, { max: 1 }, { store });
    const session = testSession();
    const verdict = policy.connect?.(session, []);
    assert.ok(isPromise(verdict));
    policy.disconnect?.(session);
    assert.deepEqual(released, []);
    granted.open();
    await verdict;
    assert.deepEqual(released, [session.id]);
  });

  it('counts by what it is told, together or apart', async () => {
    const acme: Identity = { subject: 'ann', by: 'jwt', claims: { org: 'acme', list: ['acme'] } };
    const same: Identity = { subject: 'bob', by: 'jwt', claims: { org: 'acme', list: ['acme'] } };
    const cases: readonly (readonly [by: unknown, one: Who, other: Who, shared: boolean])[] = [
      ['claim:org', { identity: acme }, { identity: same }, true],
      ['claim:org', { identity: acme }, { identity: { ...same, claims: { org: 'other' } } }, false],
      ['claim:toString', { identity: acme, address: '192.0.2.1' }, { identity: same, address: '192.0.2.2' }, false],
      ['claim:list', { identity: acme, address: '192.0.2.1' }, { identity: same, address: '192.0.2.2' }, false],
      ['claim:org', {}, { address: '192.0.2.1' }, true],
      ['header:X-Tenant', { headers: ['x-tenant', 'a'] }, { headers: ['X-TENANT', 'a'], address: '192.0.2.9' }, true],
      ['header:X-Tenant', { headers: ['X-Tenant', 'a'] }, { headers: ['X-Tenant', 'b'] }, false],
      ['header:X-Tenant', { headers: ['X-Tenant', ''] }, {}, true],
      ['route', { address: '192.0.2.1' }, { address: '192.0.2.2' }, true],
      [['subject', 'address'], { identity: acme, address: '192.0.2.1' }, { identity: acme, address: '192.0.2.2' }, false],
      [['subject', 'address'], { identity: acme }, { identity: acme }, true],
      // What clients choose may not look like something else.
      [
        ['header:A', 'header:B'],
        { headers: ['A', 'x","header:y', 'B', 'z'] },
        { headers: ['A', 'x', 'B', 'y","header:z'] },
        false,
      ],
      ['header:X-Tenant', { headers: ['X-Tenant', 'address:192.0.2.1'] }, {}, false],
      [
        'header:X-Tenant',
        { headers: ['X-Tenant', `${'a'.repeat(9000)}1`] },
        { headers: ['X-Tenant', `${'a'.repeat(9000)}2`] },
        false,
      ],
      ['header:X-Tenant', { headers: ['X-Tenant', 'a'.repeat(9000)] }, { headers: ['X-Tenant', 'a'.repeat(9000)] }, true],
    ];
    for (const [by, one, other, shared] of cases) {
      const policy = await createPolicy(concurrency, { max: 1, by });
      arrive(policy, someone(one));
      assert.equal(arrive(policy, someone(other)) !== undefined, shared, JSON.stringify([by, one, other]).slice(0, 200));
    }
  });

  it('counts by address who sends the header field twice: one of the two may be made up', async () => {
    const policy = await createPolicy(concurrency, { max: 1, by: 'header:X-Tenant' });
    arrive(policy, testSession({ headers: ['X-Tenant', 'mine', 'X-Tenant', 'real'] }));
    assert.equal(arrive(policy, testSession({ headers: ['X-Tenant', 'other', 'X-Tenant', 'real'] }))?.kind, 'deny');
    assert.equal(arrive(policy, testSession({ headers: ['X-Tenant', 'real'] })), undefined);
  });

  it('keeps short keys in the store, however long the values are', async () => {
    const keys: string[] = [];
    const memory = memoryStore();
    const store: Store = { ...memory, lease: (key, holder, terms) => (keys.push(key), memory.lease(key, holder, terms)) };
    const policy = await createPolicy(concurrency, { max: 1, by: ['header:X-Tenant', 'address'] }, { store });
    arrive(policy, testSession({ headers: ['X-Tenant', 'a'.repeat(16_000)] }));
    assert.ok((keys[0]?.length ?? 999) < 150);
  });
});

describe('concurrency over real sockets', () => {
  afterEach(clearStage);

  const limited = (more: object = {}) => ({ route: { policies: [{ use: 'concurrency', max: 1, ...more }] } });

  it('refuses with 429 what is too many, and lets in when one has left', async () => {
    const stage = await setStage(limited({ max: 2 }));
    const first = await stage.open();
    await stage.open();
    await assert.rejects(stage.open(), /429/);
    await first.close();
    await eventually(() => opens(stage));
    await assert.rejects(stage.open(), /429/);
  });

  it('lets exactly so many of a storm of handshakes in', async () => {
    const stage = await setStage(limited({ max: 10 }));
    const sockets = await Promise.all(Array.from({ length: 200 }, () => stage.connect()));
    for (const socket of sockets) socket.send(handshakeRequest());
    const heads = await Promise.all(sockets.map((socket) => socket.takeHead(20_000)));
    assert.equal(heads.filter(({ status }) => status === 101).length, 10);
    assert.equal(heads.filter(({ status }) => status === 429).length, 190);
  }).timeout(30_000);

  it('does not count who was refused by a policy behind it, by one that breaks, or by the backend', async () => {
    let verdict: () => ConnectVerdict = () => deny('forbidden', 'No.');
    const stage = await setStage({
      ...limited(),
      answer: (request) => (isOpening(request) ? { status: 402, body: 'pay' } : nothing),
      policy: { connect: () => verdict() },
    });
    for (let i = 0; i < 3; i += 1) await assert.rejects(stage.open(), /403/);
    verdict = () => {
      throw new Error('broken');
    };
    for (let i = 0; i < 3; i += 1) await assert.rejects(stage.open(), /500/);
    verdict = () => undefined;
    for (let i = 0; i < 3; i += 1) await assert.rejects(stage.open(), /402/);
    for (let i = 0; i < 3; i += 1) assert.equal((await fetch(stage.url)).status, 200);
  });

  it('does not count who leaves while the backend has not answered', async () => {
    const waits = gate();
    const stage = await setStage({
      ...limited(),
      answer: async (request) => {
        if (request.path === '/slow') await waits.passed;
        return echo(request);
      },
    });
    const socket = await stage.connect();
    socket.send(handshakeRequest({ path: '/slow' }));
    await stage.backend.until(() => stage.backend.requests.length === 1);
    await assert.rejects(stage.open(), /429/);
    socket.destroy();
    waits.open();
    await eventually(() => opens(stage));
  });

  it('counts long-polls and streams as long as they last', async () => {
    const stage = await setHoldStage({
      ...limited(),
      answer: byPath({ '/poll': held('c'), '/stream': { headers: { 'Grip-Hold': 'stream', 'Grip-Channel': 'c' } } }),
    });
    for (const path of ['/poll', '/stream']) {
      const socket = await stage.request(path);
      await stage.joined('c');
      assert.equal((await takeAnswer(await stage.request('/poll'))).status, 429);
      socket.destroy();
      await stage.joined('c', 0);
    }
    const answered = await stage.request('/poll');
    await stage.joined('c');
    await stage.answered('c', 'done');
    assert.equal((await takeAnswer(answered)).body, 'done');
    const again = await stage.request('/poll');
    await stage.joined('c');
    again.destroy();
  });

  it('forgets requests that were sent one behind the other on a connection that breaks', async () => {
    const stage = await setHoldStage({ ...limited({ max: 5 }), answer: byPath({ '/poll': held('c') }) });
    const socket = await stage.connect();
    socket.send(requestText('/poll').repeat(20));
    await stage.joined('c', 5);
    await eventually(async () => (await takeAnswer(await stage.request('/'))).status === 429);
    socket.destroy();
    await stage.joined('c', 0);
    await Promise.all(Array.from({ length: 5 }, () => stage.request('/poll')));
    await stage.joined('c', 5);
  });

  it('ends the oldest for the newest: a WebSocket with the code, a long-poll with 429, a stream', async () => {
    const stage = await setHoldStage({
      ...limited({ over: 'evict', code: 4100 }),
      answer: (request) => {
        if (request.path === '/poll') return held('c');
        if (request.path === '/stream') return { headers: { 'Grip-Hold': 'stream', 'Grip-Channel': 'c' } };
        return afterOpen(echo)(request);
      },
    });
    const client = await stage.open();
    const poll = await stage.request('/poll');
    assert.deepEqual(await client.closed(), { code: 4100, reason: 'A newer connection took the place of this one.' });
    await stage.joined('c');
    const stream = await stage.request('/stream');
    assert.equal((await takeAnswer(poll)).status, 429);
    assert.equal((await stream.takeHead()).status, 200);
    await stage.joined('c');
    const last = await stage.open();
    await stream.takeUntil('0\r\n\r\n');
    last.send('x');
    assert.equal(await last.nextText(), 'x');
  });

  it('goes on counting over a reload, and ends those from before it', async () => {
    for (const over of ['refuse', 'evict']) {
      const terms = limited({ over });
      const stage = await setStage({ ...terms, answer: afterOpen(() => nothing, accepted()) });
      const old = await stage.open();
      await stage.foregate.reload(await stageConfig(terms, [{ url: stage.backend.origin }]));
      if (over === 'refuse') {
        await assert.rejects(stage.open(), /429/);
        old.socket.terminate();
        await eventually(() => opens(stage));
      } else {
        await stage.open();
        assert.equal((await old.closed()).code, 4429);
      }
    }
  });
});

interface Who {
  readonly address?: string;
  readonly headers?: readonly string[];
  readonly identity?: Identity;
}

function someone({ identity, ...request }: Who): SessionView {
  const session = testSession({ address: '192.0.2.1', ...request });
  session.identity = identity;
  return session;
}

function arrive(policy: Policy, session: SessionView): ConnectVerdict {
  const verdict = policy.connect?.(session, []);
  assert.ok(!isPromise(verdict), 'a promise');
  return verdict;
}

async function opens(stage: { open(): Promise<unknown> }): Promise<boolean> {
  return stage.open().then(
    () => true,
    () => false,
  );
}

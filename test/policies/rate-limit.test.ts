/** What is counted, for whom, and what a client over the limit hears. */
import assert from 'node:assert/strict';
import { setTimeout as wait } from 'node:timers/promises';
import type { Policy, ConnectVerdict } from '../../gateway/core/policy.ts';
import { isPromise } from '../../gateway/core/promise.ts';
import type { Identity, SessionView } from '../../gateway/core/session.ts';
import type { Store } from '../../gateway/core/store.ts';
import { memoryStore } from '../../gateway/engines/memory-store.ts';
import { connect, createPolicy, testSession, textMessage } from '../../gateway/testing/index.ts';
import { networkOf } from '../../policies/caller.ts';
import { rateLimit } from '../../policies/rate-limit.ts';

describe('rate-limit of messages', () => {
  it('lets exactly the limit pass without a promise and closes at the next', async () => {
    const policy = await createPolicy(rateLimit, { messages: 3, window: '1m', by: 'session' });
    const session = testSession();
    const verdicts = send(policy, session, 4);
    assert.deepEqual(verdicts.slice(0, 3), [undefined, undefined, undefined]);
    const denial = denialOf(verdicts[3]);
    assert.equal(denial.code, 'rate-limited');
    assert.equal(denial.action, 'close');
    assert.ok((denial.retryAfterMs ?? 0) > 55_000 && (denial.retryAfterMs ?? 0) <= 60_000);
  });

  it('drops or answers where the options say so', async () => {
    for (const over of ['drop', 'answer']) {
      const policy = await createPolicy(rateLimit, { messages: 1, window: '1m', over });
      assert.equal(denialOf(send(policy, testSession(), 2)[1]).action, over);
    }
  });

  it('begins anew when the window ends', async () => {
    const policy = await createPolicy(rateLimit, { messages: 2, window: '50ms', by: 'session' });
    const session = testSession();
    assert.equal(denied(send(policy, session, 5)), 3);
    await wait(60);
    assert.equal(denied(send(policy, session, 2)), 0);
  });

  it('counts pings and pongs like messages', async () => {
    const policy = await createPolicy(rateLimit, { messages: 1, window: '1m', by: 'session' });
    const session = testSession();
    assert.equal(policy.message?.(session, { kind: 'ping', data: Buffer.alloc(0) }), undefined);
    assert.equal(denied([now(policy.message?.(session, { kind: 'pong', data: Buffer.alloc(0) }))]), 1);
  });

  it('does not count the handshake of a WebSocket and says nothing in it', async () => {
    const policy = await createPolicy(rateLimit, { messages: 1, window: '1m' });
    for (let i = 0; i < 3; i += 1) assert.deepEqual(await arrive(policy), { verdict: undefined, answer: [] });
  });

  it('waits for a store that is somewhere else', async () => {
    const store: Store = { ...memoryStore(), take: async () => ({ allowed: false, remaining: 0, resetMs: 700 }) };
    const policy = await createPolicy(rateLimit, { messages: 1 }, { store });
    const verdict = policy.message?.(testSession(), textMessage('x'));
    assert.ok(isPromise(verdict));
    assert.equal(denialOf(await verdict).retryAfterMs, 700);
  });

  it('counts for each use of the policy apart, in one store', async () => {
    const store = memoryStore();
    const one = await createPolicy(rateLimit, { messages: 1, window: '1m' }, { store, scope: 'one' });
    const two = await createPolicy(rateLimit, { messages: 1, window: '1m' }, { store, scope: 'two' });
    assert.equal(denied([...send(one, testSession(), 1), ...send(two, testSession(), 1)]), 0);
    assert.equal(denied(send(one, testSession(), 1)), 1);
  });
});

describe('rate-limit of bytes', () => {
  it('counts the bytes of messages, and nothing for empty ones', async () => {
    const policy = await createPolicy(rateLimit, { bytes: 10, window: '1m', by: 'session' });
    const session = testSession();
    assert.equal(denied(send(policy, session, 2, 'äöx')), 0);
    assert.equal(denied(send(policy, session, 100, '')), 0);
    assert.equal(denied(send(policy, session, 1, 'x')), 1);
  });

  it('refuses a message that is larger than the whole limit', async () => {
    const policy = await createPolicy(rateLimit, { bytes: 10, window: '1m' });
    assert.equal(denied(send(policy, testSession(), 1, 'x'.repeat(11))), 1);
  });
});

describe('rate-limit by caller', () => {
  const shop: Identity = { subject: 'shop', by: 'api-key' };
  const ann: Identity = { subject: 'ann', by: 'jwt' };
  const cases: readonly (readonly [by: string, what: string, one: Caller, other: Caller, shared: boolean])[] = [
    ['session', 'two sessions of one address', {}, {}, false],
    ['address', 'two sessions of one address', {}, {}, true],
    ['address', 'two addresses', { address: '192.0.2.1' }, { address: '192.0.2.2' }, false],
    ['address', 'an IPv4 address and its mapped form', { address: '192.0.2.1' }, { address: '::ffff:192.0.2.1' }, true],
    ['address', 'two addresses of one /64', { address: '2001:db8::1' }, { address: '2001:db8:0:0:ffff::2' }, true],
    ['address', 'two networks', { address: '2001:db8:0:1::1' }, { address: '2001:db8:0:2::1' }, false],
    [
      'subject',
      'one subject at two addresses',
      { identity: ann, address: '192.0.2.1' },
      { identity: ann, address: '192.0.2.2' },
      true,
    ],
    ['subject', 'two subjects at one address', { identity: ann }, { identity: shop }, false],
    ['subject', 'a token and a key of one name', { identity: ann }, { identity: { subject: 'ann', by: 'api-key' } }, false],
    ['subject', 'two strangers at one address', {}, {}, true],
    ['subject', 'two tokens without a subject', { identity: { subject: '', by: 'jwt' } }, {}, true],
    ['key', 'one key at two addresses', { identity: shop, address: '192.0.2.1' }, { identity: shop, address: '192.0.2.2' }, true],
    ['key', 'two subjects of tokens at one address', { identity: ann }, { identity: { subject: 'bob', by: 'jwt' } }, true],
  ];
  for (const [by, what, one, other, shared] of cases) {
    it(`counts ${what} ${shared ? 'together' : 'apart'} by ${by}`, async () => {
      const policy = await createPolicy(rateLimit, { messages: 1, window: '1m', by });
      assert.equal(denied([...send(policy, caller(one), 1), ...send(policy, caller(other), 1)]), shared ? 1 : 0);
    });
  }

  it('follows a session whose identity changes', async () => {
    const policy = await createPolicy(rateLimit, { messages: 1, window: '1m', by: 'subject' });
    const session = caller({ identity: ann });
    assert.equal(denied(send(policy, session, 2)), 1);
    session.identity = { subject: 'bob', by: 'jwt' };
    assert.equal(denied(send(policy, session, 1)), 0);
  });

  it('takes the /64 of an IPv6 address in every spelling', () => {
    const same = [
      '2001:db8::',
      '2001:DB8::1',
      '2001:0db8:0000:0000:1::',
      '2001:db8:0:0:1:2:3:4',
      '2001:db8::ffff:192.0.2.1',
      '2001:db8::1%eth0',
    ];
    assert.deepEqual(new Set(same.map(networkOf)), new Set(['2001:db8:0:0::/64']));
    assert.equal(networkOf('::1'), '0:0:0:0::/64');
    assert.equal(networkOf('1:2:3:4::'), '1:2:3:4::/64');
    assert.equal(networkOf('192.0.2.1'), '192.0.2.1');
    assert.equal(networkOf('not an address'), 'not an address');
  });
});

describe('rate-limit at arrival', () => {
  it('refuses connections over the limit with the fields of the draft', async () => {
    const policy = await createPolicy(rateLimit, { connections: 2, window: '1m' });
    assert.equal(policy.message, undefined);
    const fields = (remaining: number) => [
      'RateLimit-Policy',
      '"connections";q=2;w=60',
      'RateLimit',
      `"connections";r=${remaining};t=60`,
    ];
    assert.deepEqual(await arrive(policy), { verdict: undefined, answer: fields(1) });
    assert.deepEqual(await arrive(policy), { verdict: undefined, answer: fields(0) });
    const { verdict, answer } = await arrive(policy);
    assert.deepEqual(answer, []);
    const denial = denialOf(verdict);
    assert.equal(denial.code, 'rate-limited');
    assert.deepEqual(denial.headers, fields(0));
    assert.ok((denial.retryAfterMs ?? 0) > 55_000);
  });

  it('counts a plain request as one message', async () => {
    const policy = await createPolicy(rateLimit, { messages: 1, window: '90s' });
    const { verdict, answer } = await request(policy);
    assert.equal(verdict, undefined);
    assert.deepEqual(answer, ['RateLimit-Policy', '"messages";q=1;w=90', 'RateLimit', '"messages";r=0;t=90']);
    assert.equal(denialOf((await request(policy)).verdict).code, 'rate-limited');
  });

  it('counts the announced bytes of a plain request', async () => {
    const policy = await createPolicy(rateLimit, { bytes: 100, window: '1m' });
    const { answer } = await request(policy, ['Content-Length', '60']);
    assert.deepEqual(answer, ['RateLimit-Policy', '"bytes";q=100;w=60;qu="content-bytes"', 'RateLimit', '"bytes";r=40;t=60']);
    assert.equal((await request(policy)).verdict, undefined);
    assert.equal(denialOf((await request(policy, ['content-length', '41'])).verdict).code, 'rate-limited');
  });

  it('refuses bodies of unknown length where bytes count', async () => {
    const policy = await createPolicy(rateLimit, { bytes: 100, window: '1m' });
    for (const headers of [
      ['Transfer-Encoding', 'chunked'],
      ['Content-Length', '-5'],
      ['Content-Length', '1e400'],
    ]) {
      assert.equal(denialOf((await request(policy, headers)).verdict).code, 'bad-request', headers.join(': '));
    }
  });

  it('does not limit plain requests by session, since each is one', async () => {
    const policy = await createPolicy(rateLimit, { messages: 1, window: '1m', by: 'session' });
    for (let i = 0; i < 3; i += 1) assert.deepEqual(await request(policy), { verdict: undefined, answer: [] });
  });

  it('shares the count of messages between requests and WebSockets of one caller', async () => {
    const policy = await createPolicy(rateLimit, { messages: 2, window: '1m' });
    await request(policy);
    assert.equal(denied(send(policy, testSession(), 2)), 1);
  });
});

interface Caller {
  readonly address?: string;
  readonly identity?: Identity;
}

function caller({ identity, ...request }: Caller): SessionView {
  const session = testSession(request);
  session.identity = identity;
  return session;
}

const arrive = async (policy: Policy) => connect(policy, testSession());
const request = async (policy: Policy, headers: readonly string[] = []) =>
  connect(policy, testSession({ transport: 'request', headers }));

function send(policy: Policy, session: SessionView, times: number, text = 'hello'): ConnectVerdict[] {
  return Array.from({ length: times }, () => now(policy.message?.(session, textMessage(text))));
}

function now(verdict: ConnectVerdict | Promise<ConnectVerdict>): ConnectVerdict {
  assert.ok(!isPromise(verdict), 'a promise');
  return verdict;
}

function denied(verdicts: readonly ConnectVerdict[]): number {
  return verdicts.filter((verdict) => verdict?.kind === 'deny').length;
}

function denialOf(verdict: ConnectVerdict) {
  assert.ok(verdict?.kind === 'deny', 'not denied');
  return verdict;
}

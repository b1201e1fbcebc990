/** Quotas by the calendar: when they end, what counts, and what a consumer hears of it. */
import assert from 'node:assert/strict';
import type { Policy, ConnectVerdict } from '../../gateway/core/policy.ts';
import { isPromise } from '../../gateway/core/promise.ts';
import type { Identity, SessionView } from '../../gateway/core/session.ts';
import { memoryStore } from '../../gateway/engines/memory-store.ts';
import { connect, createPolicy, ManualClock, testSession, textMessage } from '../../gateway/testing/index.ts';
import { calendar, type PeriodKind } from '../../policies/calendar.ts';
import { quota } from '../../policies/quota.ts';
import { clearStage, setStage, stageConfig } from '../protocol/stage.ts';

describe('the calendar', () => {
  const cases: readonly (readonly [kind: PeriodKind, zone: string, at: string, start: string, end: string])[] = [
    ['hour', 'UTC', '2026-03-01T10:59:59.999Z', '2026-03-01T10:00Z', '2026-03-01T11:00Z'],
    ['hour', 'Asia/Kolkata', '2026-03-01T10:29:59.999Z', '2026-03-01T09:30Z', '2026-03-01T10:30Z'],
    ['day', 'UTC', '2026-03-01T00:00Z', '2026-03-01T00:00Z', '2026-03-02T00:00Z'],
    ['day', 'UTC', '2026-03-01T23:59:59.999Z', '2026-03-01T00:00Z', '2026-03-02T00:00Z'],
    ['day', 'America/New_York', '2026-01-15T03:00Z', '2026-01-14T05:00Z', '2026-01-15T05:00Z'],
    ['day', 'Pacific/Kiritimati', '2026-01-15T10:00Z', '2026-01-15T10:00Z', '2026-01-16T10:00Z'],
    // A day of 23 hours and one of 25.
    ['day', 'Europe/Berlin', '2026-03-29T12:00Z', '2026-03-28T23:00Z', '2026-03-29T22:00Z'],
    ['day', 'Europe/Berlin', '2026-10-25T12:00Z', '2026-10-24T22:00Z', '2026-10-25T23:00Z'],
    // The hour that comes twice.
    ['hour', 'Europe/Berlin', '2026-10-25T00:30Z', '2026-10-25T00:00Z', '2026-10-25T01:00Z'],
    ['hour', 'Europe/Berlin', '2026-10-25T01:30Z', '2026-10-25T01:00Z', '2026-10-25T02:00Z'],
    // A day that begins at one o'clock.
    ['day', 'America/Sao_Paulo', '2018-11-04T12:00Z', '2018-11-04T03:00Z', '2018-11-05T02:00Z'],
    ['month', 'UTC', '2026-02-28T23:59:59.999Z', '2026-02-01T00:00Z', '2026-03-01T00:00Z'],
    ['month', 'UTC', '2024-02-29T12:00Z', '2024-02-01T00:00Z', '2024-03-01T00:00Z'],
    ['month', 'Asia/Tokyo', '2026-12-31T15:00Z', '2026-12-31T15:00Z', '2027-01-31T15:00Z'],
    ['month', 'Europe/Berlin', '2026-03-31T21:59:59.999Z', '2026-02-28T23:00Z', '2026-03-31T22:00Z'],
  ];
  for (const [kind, zone, at, start, end] of cases) {
    it(`knows the ${kind} of ${at} in ${zone}`, () => {
      const period = calendar(kind, zone)(Date.parse(at));
      assert.deepEqual(
        [new Date(period.start).toISOString(), new Date(period.end).toISOString()],
        [new Date(start).toISOString(), new Date(end).toISOString()],
      );
    });
  }

  it('leaves no instant of a year out, and has none twice', () => {
    for (const zone of ['UTC', 'Europe/Berlin', 'Australia/Lord_Howe', 'America/Havana']) {
      const dayOf = calendar('day', zone);
      let { end } = dayOf(Date.parse('2026-01-01T12:00Z'));
      for (let day = 0; day < 365; day += 1) {
        const next = dayOf(end);
        assert.equal(next.start, end, zone);
        assert.equal(dayOf(end - 1).end, end, zone);
        ({ end } = next);
      }
    }
  });
});

describe('quota', () => {
  const ann: Identity = { subject: 'ann', by: 'api-key' };
  const noon = Date.parse('2026-05-31T12:00Z');

  it('counts messages and plain requests together, and begins anew to the millisecond', async () => {
    const clock = new ManualClock(noon);
    const policy = await createPolicy(quota, { messages: 3, period: 'day', timeZone: 'Europe/Berlin' }, { clock });
    const session = consumer(ann);
    assert.equal(send(policy, session), undefined);
    assert.equal((await request(policy, ann)).verdict, undefined);
    assert.equal(send(policy, session), undefined);
    const denial = denialOf(send(policy, session));
    assert.deepEqual([denial.code, denial.action, denial.retryAfterMs], ['rate-limited', 'close', 10 * 3_600_000]);
    assert.equal(denialOf((await request(policy, ann)).verdict).retryAfterMs, 10 * 3_600_000);
    clock.advance(10 * 3_600_000 - 1);
    denialOf(send(policy, session));
    clock.advance(1);
    for (let i = 0; i < 3; i += 1) assert.equal(send(policy, session), undefined);
    denialOf(send(policy, session));
  });

  it('keeps a month through, whenever in it somebody comes', async () => {
    const clock = new ManualClock(Date.parse('2026-05-01T00:00Z'));
    const policy = await createPolicy(quota, { messages: 2, period: 'month' }, { clock });
    const session = consumer(ann);
    send(policy, session);
    clock.advance(30 * 86_400_000);
    assert.equal(send(policy, session), undefined);
    denialOf(send(policy, session));
    clock.advance(86_400_000);
    assert.equal(send(policy, session), undefined);
  });

  it('tells what is left, at handshakes without using any', async () => {
    const clock = new ManualClock(noon);
    const policy = await createPolicy(quota, { messages: 2, legacyFields: true }, { clock });
    const fields = (left: number) => [
      'RateLimit-Policy',
      '"quota";q=2;w=86400',
      'RateLimit',
      `"quota";r=${left};t=43200`,
      'X-RateLimit-Limit',
      '2',
      'X-RateLimit-Remaining',
      `${left}`,
      'X-RateLimit-Reset',
      '43200',
    ];
    for (let i = 0; i < 3; i += 1) assert.deepEqual((await connect(policy, consumer(ann))).answer, fields(2));
    assert.deepEqual((await request(policy, ann)).answer, fields(1));
    send(policy, consumer(ann));
    const { verdict } = await connect(policy, consumer(ann));
    assert.deepEqual(denialOf(verdict).headers, fields(0));
  });

  it('has a quota for each consumer, and follows one whose identity changes', async () => {
    const policy = await createPolicy(quota, { messages: 1 });
    const session = consumer(ann);
    send(policy, session);
    denialOf(send(policy, session));
    session.identity = { subject: 'bob', by: 'api-key' };
    assert.equal(send(policy, session), undefined);
  });

  it('lets exactly so many pass of 10000 at once', async () => {
    const policy = await createPolicy(quota, { messages: 777 });
    const verdicts = Array.from({ length: 10_000 }, () => send(policy, consumer(ann)));
    assert.equal(verdicts.filter((verdict) => verdict === undefined).length, 777);
  });

  it('answers with its own text', async () => {
    const clock = new ManualClock(noon);
    const policy = await createPolicy(quota, { messages: 1, over: 'answer', text: 'used up for {wait} s' }, { clock });
    send(policy, consumer(ann));
    const { action, text } = denialOf(send(policy, consumer(ann)));
    assert.deepEqual([action, text], ['answer', 'used up for 43200 s']);
  });

  it('waits for a store that is somewhere else', async () => {
    const memory = memoryStore();
    const policy = await createPolicy(
      quota,
      { messages: 1 },
      { store: { ...memory, take: async (...args) => memory.take(...args) } },
    );
    const session = consumer(ann);
    assert.equal(await policy.message?.(session, textMessage('x')), undefined);
    assert.equal((await policy.message?.(session, textMessage('x')))?.kind, 'deny');
  });
});

describe('quota over real sockets', () => {
  afterEach(clearStage);

  const keys = [
    { key: 'k1', name: 'shop' },
    { key: 'k2', name: 'bank' },
  ];
  const terms = {
    route: {
      policies: [
        { use: 'api-key', keys },
        { use: 'quota', messages: 3, period: 'month', by: 'key' },
      ],
    },
  };
  const shop = { headers: { 'x-api-key': 'k1' } };

  it('reaches an idle connection with its next message, and holds over a reload', async () => {
    const stage = await setStage(terms);
    const idle = await stage.open('/', shop);
    assert.match(idle.headers['ratelimit']?.toString() ?? '', /^"quota";r=3;t=\d+$/);
    const busy = await stage.open('/', shop);
    busy.send('a');
    await busy.nextText();
    await stage.foregate.reload(await stageConfig(terms, [{ url: stage.backend.origin }]));
    const plain = await fetch(stage.url, shop);
    assert.match(plain.headers.get('ratelimit') ?? '', /^"quota";r=1;t=\d+$/);
    await fetch(stage.url, shop);
    idle.send('b');
    assert.equal((await idle.closed()).code, 4429);
    await assert.rejects(stage.open('/', shop), /429/);
    const refused = await fetch(stage.url, shop);
    assert.equal(refused.status, 429);
    assert.ok(Number(refused.headers.get('retry-after')) > 0);
    const other = await stage.open('/', { headers: { 'x-api-key': 'k2' } });
    other.send('c');
    assert.equal(await other.nextText(), 'c');
  });
});

function consumer(identity: Identity, transport: SessionView['transport'] = 'websocket'): SessionView {
  const session = testSession({ transport });
  session.identity = identity;
  return session;
}

const request = async (policy: Policy, identity: Identity) => connect(policy, consumer(identity, 'request'));

function send(policy: Policy, session: SessionView): ConnectVerdict {
  const verdict = policy.message?.(session, textMessage('x'));
  assert.ok(!isPromise(verdict), 'a promise');
  return verdict;
}

function denialOf(verdict: ConnectVerdict) {
  assert.ok(verdict?.kind === 'deny', 'not denied');
  return verdict;
}

/** The example of a policy that acts by the clock. Uses what a stranger has: the entries of the package and the recorded sessions. */
import assert from 'node:assert/strict';
import { playSession, policyContract, type Played, type RecordedEvent } from 'foregate/testing';
import type { PolicyDefinition } from 'foregate/policy';

const file = new URL('../../examples/policies/business-hours.mjs', import.meta.url).href;
const { default: businessHours } = (await import(file)) as { readonly default: PolicyDefinition };

policyContract(businessHours, {
  good: [
    { timeZone: 'Europe/Berlin' },
    { timeZone: 'America/New_York', days: ['sat', 'sun'], from: '22:00', to: '06:00', closeCode: 4001, text: 'Bye.' },
  ],
  bad: [
    {},
    { timeZone: 'Mars/Base' },
    { timeZone: 'UTC', from: '9:00' },
    { timeZone: 'UTC', to: '24:00' },
    { timeZone: 'UTC', days: [] },
    { timeZone: 'UTC', days: ['monday'] },
    { timeZone: 'UTC', closeCode: 1000 },
    { timeZone: 'UTC', closed: 'Bye.' },
  ],
});

const everyDay = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];

/** Plays a client that comes at a moment and stays. */
async function visit(options: object, arrival: string, until = '20h'): Promise<Played> {
  return playSession(businessHours, options, [{ at: 0, kind: 'connect' }], { start: arrival, until });
}

async function isLetIn(options: object, arrival: string): Promise<boolean> {
  return (await visit(options, arrival, '0s')).verdicts[0] === undefined;
}

/** When the session of such a client ends, as a moment. */
async function endOf(options: object, arrival: string): Promise<string | undefined> {
  const { verdicts, sessions } = await visit(options, arrival);
  assert.equal(verdicts[0], undefined, `It is closed at ${arrival}.`);
  const { endedAt } = sessions['client'] ?? {};
  return endedAt === undefined ? undefined : new Date(Date.parse(arrival) + endedAt).toISOString();
}

describe('business-hours', () => {
  const berlin = { timeZone: 'Europe/Berlin' };

  it('lets clients in from the first moment to the last, on open days', async () => {
    const moments: readonly (readonly [string, boolean])[] = [
      ['2026-01-09T07:59:59.999Z', false],
      ['2026-01-09T08:00:00Z', true],
      ['2026-01-09T15:59:59.999Z', true],
      ['2026-01-09T16:00:00Z', false],
      ['2026-01-10T10:00:00Z', false],
      ['2026-01-12T10:00:00Z', true],
    ];
    for (const [moment, expected] of moments) assert.equal(await isLetIn(berlin, moment), expected, moment);
  });

  it('ends open sessions at closing time, with its own code and text', async () => {
    const { sessions, verdicts, timersLeft } = await playSession(
      businessHours,
      { ...berlin, closeCode: 4242, text: 'Come back tomorrow.' },
      [
        { at: 0, kind: 'connect', session: 'early' },
        { at: '1h', kind: 'connect', session: 'late' },
        { at: '119m', kind: 'message', session: 'early', message: 'still there' },
        { at: '121m', kind: 'message', session: 'early', message: 'too late' },
        { at: '121m', kind: 'connect', session: 'next' },
      ],
      { start: '2026-01-09T14:00:00Z' },
    );
    const told = { kind: 'deny', code: 'forbidden', detail: 'Come back tomorrow.', closeCode: 4242 };
    for (const name of ['early', 'late']) {
      assert.deepEqual(sessions[name]?.ended, told);
      assert.equal(sessions[name]?.endedAt, 7_200_000);
    }
    assert.deepEqual(verdicts, [undefined, undefined, undefined, { kind: 'over' }, told]);
    assert.equal(timersLeft, 0);
  });

  it('ends a held request as well, and leaves alone a plain one', async () => {
    const request = { transport: 'request' } as const;
    const events: RecordedEvent[] = [
      { at: 0, kind: 'connect', session: 'held', request },
      { at: 0, kind: 'connect', session: 'plain', request },
      { at: 0, kind: 'subscribe', session: 'held', channel: 'news' },
    ];
    const { sessions } = await playSession(businessHours, berlin, events, { start: '2026-01-09T15:00:00Z', until: '2h' });
    assert.equal(sessions['held']?.endedAt, 3_600_000);
    assert.equal(sessions['plain']?.endedAt, undefined);
  });

  it('keeps no timer for sessions that have gone', async () => {
    const events: RecordedEvent[] = [
      { at: 0, kind: 'connect' },
      { at: '1m', kind: 'disconnect' },
    ];
    assert.equal((await playSession(businessHours, berlin, events, { start: '2026-01-09T10:00:00Z' })).timersLeft, 0);
  });

  it('follows the clocks when they are changed', async () => {
    assert.equal(await endOf(berlin, '2026-03-27T12:00:00Z'), '2026-03-27T16:00:00.000Z');
    assert.equal(await endOf(berlin, '2026-03-30T12:00:00Z'), '2026-03-30T15:00:00.000Z');
    assert.equal(await isLetIn(berlin, '2026-03-30T07:00:00Z'), true);
    assert.equal(await isLetIn(berlin, '2026-03-27T07:00:00Z'), false);
  });

  it('has a night of seven hours in spring, and one of nine in autumn', async () => {
    const night = { ...berlin, days: ['sat'], from: '22:00', to: '06:00' };
    assert.equal(await endOf(night, '2026-03-28T21:00:00Z'), '2026-03-29T04:00:00.000Z');
    assert.equal(await endOf(night, '2026-03-29T03:59:00Z'), '2026-03-29T04:00:00.000Z');
    assert.equal(await endOf(night, '2026-10-24T20:00:00Z'), '2026-10-25T05:00:00.000Z');
    assert.equal(await isLetIn(night, '2026-10-25T21:00:00Z'), false);
  });

  it('closes once where closing time comes twice, and does so where it is left out', async () => {
    const late = { ...berlin, days: everyDay, from: '12:00', to: '02:30' };
    assert.equal(await endOf(late, '2026-10-24T23:00:00Z'), '2026-10-25T00:30:00.000Z');
    assert.equal(await isLetIn(late, '2026-10-25T01:10:00Z'), false, 'the second 02:10');
    assert.equal(await endOf(late, '2026-03-28T23:00:00Z'), '2026-03-29T01:30:00.000Z');
  });

  it('knows zones that are half hours apart, and those that change by half an hour', async () => {
    assert.equal(await endOf({ timeZone: 'Asia/Kolkata' }, '2026-01-09T10:00:00Z'), '2026-01-09T11:30:00.000Z');
    const island = { timeZone: 'Australia/Lord_Howe', days: everyDay };
    assert.equal(await endOf(island, '2026-04-04T05:00:00Z'), '2026-04-04T06:00:00.000Z');
    assert.equal(await endOf(island, '2026-04-05T05:00:00Z'), '2026-04-05T06:30:00.000Z');
  });

  it('does not end anybody between two openings without a pause', async () => {
    const always = { timeZone: 'UTC', days: everyDay, from: '09:00', to: '09:00' };
    assert.equal(await endOf(always, '2026-01-09T08:59:00Z'), undefined);
  });
});

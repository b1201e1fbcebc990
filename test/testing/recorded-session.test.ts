/** Recorded sessions are played as the program would play them. */
import assert from 'node:assert/strict';
import { definePolicy, deny, type Policy, type PolicyContext } from 'foregate/policy';
import { playSession, type RecordedEvent } from 'foregate/testing';
import { Type } from 'typebox';

/** A policy that writes down what it is asked, and answers by a table. */
function recorder(answers: (context: PolicyContext, noted: string[]) => Policy) {
  const noted: string[] = [];
  const definition = definePolicy({
    name: 'recorder',
    summary: 'Writes down what it is asked.',
    options: Type.Object({}),
    create: (_options, context): Policy => answers(context, noted),
  });
  return { definition, noted };
}

describe('a recorded session', () => {
  it('asks at each moment, at its time, with what is on the record', async () => {
    const { definition, noted } = recorder(({ clock }, notes) => {
      const started = clock.now();
      const note = (text: string) => void notes.push(`${clock.now() - started} ${text}`);
      return {
        connect: (session, answer) => {
          answer.push('X-Seen', session.request.path);
          note(`connect ${session.identity?.subject ?? ''} ${session.openedAt === clock.now()}`);
          return undefined;
        },
        message: (_session, { kind, data }) => (note(`${kind} ${data.toString()}`), undefined),
        held: (session) => note(`held ${session.request.path}`),
        subscribe: (_session, channel) => (note(`subscribe ${channel}`), undefined),
        publish: ({ channel, formats }, publisher) => {
          const content = formats.message?.action === 'send' ? formats.message.content.toString() : '';
          note(`publish ${channel} ${content} ${publisher.identity?.subject ?? publisher.address}`);
          return undefined;
        },
        disconnect: () => note('disconnect'),
        dispose: () => note('dispose'),
      };
    });
    const { verdicts, sessions } = await playSession(definition, {}, [
      { at: 0, kind: 'connect', request: { path: '/chat' }, identity: { subject: 'ann', by: 'jwt' } },
      { at: '1s', kind: 'message', message: 'hello' },
      { at: 1500, kind: 'message', message: { kind: 'ping', data: Buffer.from('p') } },
      { at: '2s', kind: 'held' },
      { at: '2s', kind: 'subscribe', channel: 'news' },
      { at: '1m', kind: 'publish', channel: 'news', content: 'now', publisher: { identity: { subject: 'bob', by: 'basic' } } },
      { at: '61s', kind: 'publish', channel: 'news', content: 'again' },
      { at: '2m', kind: 'disconnect' },
    ]);
    assert.deepEqual(noted, [
      '0 connect ann true',
      '1000 text hello',
      '1500 ping p',
      '2000 held /chat',
      '2000 subscribe news',
      '60000 publish news now bob',
      '61000 publish news again 192.0.2.9',
      '120000 disconnect',
      '120000 dispose',
    ]);
    assert.deepEqual(
      verdicts,
      Array.from({ length: 8 }, () => undefined),
    );
    assert.deepEqual([sessions['client']?.answer, sessions['client']?.endedAt], [['X-Seen', '/chat'], 120_000]);
  });

  it('ends with a refusal, and disconnects each session once', async () => {
    const { definition, noted } = recorder((_context, notes) => ({
      connect: ({ request }) => (request.path === '/no' ? deny('forbidden', 'No.') : undefined),
      message: (session, { data }) => {
        if (data.toString() === 'end') session.end(deny('idle', 'Enough.'));
        if (data.toString() === 'drop') return deny('forbidden', 'Not this.', { action: 'drop' });
        return data.toString() === 'close' ? deny('rate-limited', 'Too much.') : undefined;
      },
      disconnect: ({ request }) => void notes.push(request.path),
    }));
    const visit = (session: string, ...said: string[]): RecordedEvent[] => [
      { at: 0, kind: 'connect', session, request: { path: `/${session}` } },
      ...said.map((message): RecordedEvent => ({ at: 0, kind: 'message', session, message })),
    ];
    const events = [...visit('no', 'x'), ...visit('a', 'drop', 'close', 'x'), ...visit('b', 'end', 'x'), ...visit('c', 'x')];
    const { verdicts, sessions } = await playSession(definition, {}, events);
    const told = verdicts.map((verdict) => (verdict?.kind === 'deny' ? verdict.code : (verdict?.kind ?? 'passed')));
    assert.deepEqual(told.slice(0, 2), ['forbidden', 'over']);
    assert.deepEqual(told.slice(2, 6), ['passed', 'forbidden', 'rate-limited', 'over']);
    assert.deepEqual(told.slice(6), ['passed', 'passed', 'over', 'passed', 'passed']);
    assert.deepEqual([sessions['a']?.ended?.code, sessions['b']?.ended?.code], ['rate-limited', 'idle']);
    assert.deepEqual([sessions['no']?.ended, sessions['c']?.ended, sessions['c']?.endedAt], [undefined, undefined, undefined]);
    assert.deepEqual(noted, ['/no', '/a', '/b', '/c']);
  });

  it('takes what is thrown for a refusal', async () => {
    const { definition } = recorder(() => ({
      connect: () => Promise.reject(new Error('Cannot say.')),
    }));
    const { verdicts } = await playSession(definition, {}, [{ at: 0, kind: 'connect' }]);
    assert.equal(verdicts[0]?.kind === 'deny' && verdicts[0].code, 'policy-failed');
  });

  it('lets a client come again, under the same name', async () => {
    const { definition } = recorder(() => ({}));
    const again: RecordedEvent[] = [
      { at: 0, kind: 'connect' },
      { at: 1, kind: 'disconnect' },
      { at: 2, kind: 'connect' },
    ];
    assert.equal((await playSession(definition, {}, again)).sessions['client']?.endedAt, undefined);
  });

  it('tells of timers that the policy forgot', async () => {
    const { definition } = recorder(({ clock }) => ({ connect: () => void clock.after(1_000_000, () => {}) }));
    assert.equal((await playSession(definition, {}, [{ at: 0, kind: 'connect' }])).timersLeft, 1);
    assert.equal((await playSession(definition, {}, [{ at: 0, kind: 'connect' }], { until: '20m' })).timersLeft, 0);
  });

  it('has a store whose windows end by its clock', async () => {
    const { definition, noted } = recorder(({ store }, notes) => ({
      message: async (_session, { data }) => {
        const taken = await store.take('key', { limit: 2, windowMs: 60_000 }, Number(data.toString()));
        notes.push(`${taken.allowed} ${taken.remaining} ${taken.resetMs}`);
        return undefined;
      },
    }));
    const take = (at: number, cost: number): RecordedEvent => ({ at, kind: 'message', message: String(cost) });
    await playSession(definition, {}, [
      { at: 0, kind: 'connect' },
      take(0, 0),
      take(1000, 1),
      take(2000, 1),
      take(3000, 1),
      take(60_999, 0),
      take(61_000, 0),
      take(62_000, 3),
    ]);
    const expected = ['true 2 0', 'true 1 60000', 'true 0 59000', 'false 0 58000', 'false 0 1', 'true 2 0', 'false 0 60000'];
    assert.deepEqual(noted, expected);
  });

  it('is refused where it cannot have happened', async () => {
    const { definition } = recorder(() => ({}));
    const connect: RecordedEvent = { at: 5, kind: 'connect' };
    const wrong: readonly (readonly [RecordedEvent[], RegExp])[] = [
      [[{ at: 0, kind: 'message', message: 'x' }], /no "connect" of client before its "message"/],
      [[connect, { at: 6, kind: 'connect' }], /second "connect"/],
      [[connect, { at: 4, kind: 'disconnect' }], /goes back in time, from 5 ms to 4 ms/],
      [[{ at: 'soon', kind: 'connect' }], /not a duration/],
    ];
    for (const [events, message] of wrong) await assert.rejects(playSession(definition, {}, events), message);
    await assert.rejects(playSession(definition, 'none', []), /not valid/);
  });
});

/** A policy in dry run decides, counts and logs, and nobody notices. */
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import type { Log, LogFields } from '../../gateway/core/log.ts';
import { dryRun } from '../../gateway/core/dry-run.ts';
import type { Metrics } from '../../gateway/core/metrics.ts';
import { deny, type Policy, type Publisher } from '../../gateway/core/policy.ts';
import { channelName } from '../../gateway/core/ids.ts';
import { noMetadata } from '../../gateway/core/session.ts';
import { connect, ManualClock, testSession, textMessage } from '../../gateway/testing/index.ts';
import { clearStage, setStage } from '../protocol/stage.ts';

const no = deny('forbidden', 'No.');

describe('a policy in dry run', () => {
  it('lets everything pass, whatever it says at whichever moment', async () => {
    const { policy } = rehearsed(refusing);
    const session = testSession();
    const draft = { method: 'GET', path: '/', headers: [], body: undefined };
    const reply = { status: 200, reason: '', headers: [], body: Buffer.alloc(0) };
    const publication = { channel: channelName('a'), meta: noMetadata, formats: {} };
    assert.deepEqual(await connect(policy, session), { verdict: undefined, answer: [] });
    assert.equal(policy.message?.(session, textMessage('x')), undefined);
    assert.equal(policy.subscribe?.(session, channelName('a')), undefined);
    assert.equal(policy.request?.(session, draft), undefined);
    assert.equal(policy.response?.(session, reply, []), undefined);
    assert.equal(policy.publish?.(publication, publisher()), undefined);
  });

  it('has no moments that the policy has not', () => {
    assert.deepEqual(Object.keys(rehearsed({ message: () => undefined }).policy), ['message']);
  });

  it('tells the log and the metrics what it would have done', () => {
    const { policy, lines, counted } = rehearsed({ message: () => deny('rate-limited', 'Too many.') });
    const session = testSession();
    void policy.message?.(session, textMessage('x'));
    assert.deepEqual(lines, [
      {
        event: 'policy.would-deny',
        policy: 'mine',
        moment: 'message',
        code: 'rate-limited',
        detail: 'Too many.',
        session: session.id,
        route: 'test',
        times: 1,
      },
    ]);
    assert.deepEqual(counted, ['policy_dry_run_denials']);
  });

  it('writes one line in ten seconds, which says for how many it stands, and counts each', () => {
    const { policy, lines, counted, clock } = rehearsed({ message: () => no });
    const session = testSession();
    for (let i = 0; i < 5; i += 1) void policy.message?.(session, textMessage('x'));
    clock.advance(10_000);
    void policy.message?.(session, textMessage('x'));
    assert.deepEqual(
      lines.map(({ times }) => times),
      [1, 5],
    );
    assert.equal(counted.length, 6);
  });

  it('tells of delays and of messages that were meant for it, and neither happens', () => {
    const { policy, lines, counted } = rehearsed({
      message: (_session, { data }) => (data.length > 1 ? { kind: 'delay', ms: 50 } : { kind: 'consumed' }),
    });
    for (const text of ['x', 'xx']) assert.equal(policy.message?.(testSession(), textMessage(text)), undefined);
    assert.deepEqual(
      lines.map(({ event }) => event),
      ['policy.would-consume', 'policy.would-delay'],
    );
    assert.deepEqual(counted, []);
  });

  it('tells of an answer of its own, and goes on without it', async () => {
    const reply = { status: 200, reason: '', headers: ['X-Secret', 'hidden'], body: Buffer.from('hidden') };
    const { policy, lines, counted } = rehearsed({ connect: () => ({ kind: 'answer', reply }) });
    assert.equal((await connect(policy, testSession())).verdict, undefined);
    assert.equal(lines[0]?.['event'], 'policy.would-answer');
    assert.equal(lines[0]['status'], 200);
    assert.doesNotMatch(JSON.stringify(lines), /hidden/);
    assert.deepEqual(counted, []);
  });

  it('hears that a request is held, ends none, and lets it be when it is broken', () => {
    const session = testSession({ transport: 'request' });
    const ending = rehearsed({ held: (given) => given.end(no) });
    ending.policy.held?.(session);
    assert.equal(ending.lines[0]?.['event'], 'policy.would-deny');
    const broken = rehearsed({
      held: () => {
        throw new Error('broken');
      },
    });
    broken.policy.held?.(session);
    assert.equal(broken.lines[0]?.['event'], 'policy.failed');
    assert.equal(session.ended, undefined);
  });

  it('lets pass when it is broken, at once or later, and says so', async () => {
    for (const broken of [
      () => {
        throw new Error('broken');
      },
      async () => {
        throw new Error('broken');
      },
    ]) {
      const { policy, lines, counted } = rehearsed({ connect: broken });
      assert.equal((await connect(policy, testSession())).verdict, undefined);
      assert.equal(lines[0]?.['event'], 'policy.failed');
      assert.equal(lines[0]?.['dryRun'], true);
      assert.deepEqual(counted, ['policy_errors']);
    }
  });

  it('sends nothing, ends nothing, takes no credential away and changes no request', () => {
    const { policy, lines } = rehearsed({
      connect(session) {
        session.consumed.push({ in: 'header', name: 'X-Key' });
        session.send(textMessage('boo'));
        session.end(no);
        return undefined;
      },
      request(_session, draft) {
        draft.headers.push('X-Changed', 'yes');
        draft.path = '/other';
        return undefined;
      },
    });
    const session = testSession();
    const draft = { method: 'GET', path: '/', headers: [], body: undefined };
    void policy.connect?.(session, []);
    void policy.request?.(session, draft);
    assert.deepEqual([session.consumed, session.sent, session.ended], [[], [], undefined]);
    assert.deepEqual(draft, { method: 'GET', path: '/', headers: [], body: undefined });
    assert.equal(lines[0]?.['moment'], 'later');
  });

  it('keeps an identity among the policies in dry run', () => {
    const seen: unknown[] = [];
    const look = (session: { readonly identity: unknown }): undefined => void seen.push(session.identity);
    const put = dryRun(watch().parts);
    const identifies = put('one', {
      connect(session) {
        session.identity = { subject: 'ann', by: 'jwt' };
        return undefined;
      },
    });
    const reads = put('two', { connect: look });
    const session = testSession();
    void identifies.connect?.(session, []);
    void reads.connect?.(session, []);
    assert.deepEqual(seen, [{ subject: 'ann', by: 'jwt' }]);
    assert.equal(session.identity, undefined);
    const other = testSession();
    other.identity = { subject: 'bob', by: 'api-key' };
    void reads.connect?.(other, []);
    assert.deepEqual(seen[1], other.identity);
  });

  it('does not name the publisher', () => {
    const { policy } = rehearsed({
      publish(_publication, from) {
        from.identity = { subject: 'ann', by: 'mine' };
        return undefined;
      },
    });
    const from = publisher();
    void policy.publish?.({ channel: channelName('a'), meta: noMetadata, formats: {} }, from);
    assert.equal(from.identity, undefined);
  });

  it('is told of the end of the sessions it knows, as the same ones', () => {
    const seen: unknown[] = [];
    const { policy } = rehearsed({
      connect: (session) => void seen.push(session),
      disconnect: (session) => void seen.push(session),
    });
    const session = testSession();
    void policy.connect?.(session, []);
    policy.disconnect?.(session);
    assert.equal(seen.length, 2);
    assert.equal(seen[0], seen[1]);
  });
});

describe('dryRun beside use', () => {
  afterEach(clearStage);

  it('lets clients in and messages through that would be refused, tells nobody but the log, and counts', async () => {
    const { log, lines } = watch();
    const stage = await setStage({
      log,
      route: {
        policies: [
          { use: 'jwt', secret, dryRun: true },
          { use: 'rate-limit', connections: 10, window: '1m', dryRun: true },
          { use: 'rate-limit', messages: 1, window: '1m', dryRun: true },
        ],
      },
    });
    const client = await stage.open();
    assert.equal(client.headers['ratelimit'], undefined);
    for (const text of ['a', 'b', 'c']) {
      client.send(text);
      assert.equal(await client.nextText(), text);
    }
    const would = lines.filter(({ event }) => event === 'policy.would-deny');
    assert.deepEqual(
      would.map(({ policy, moment, code }) => [policy, moment, code]),
      [
        ['jwt', 'connect', 'unauthorized'],
        ['rate-limit', 'message', 'rate-limited'],
      ],
    );
    const metrics = await (await fetch(`${stage.controlUrl}/metrics`)).text();
    assert.match(metrics, /^foregate_policy_dry_run_denials_total 3$/m);
  });

  it('does not count by whom it has recognised, nor take the token away', async () => {
    const stage = await setStage({
      route: {
        policies: [
          { use: 'jwt', secret, dryRun: true },
          { use: 'rate-limit', connections: 1, window: '1m', by: 'subject' },
        ],
      },
    });
    await stage.open('/', { headers: { authorization: `Bearer ${tokenOf('ann')}` } });
    assert.equal(stage.backend.requests[0]?.headers['authorization'], `Bearer ${tokenOf('ann')}`);
    await assert.rejects(stage.open('/', { headers: { authorization: `Bearer ${tokenOf('bob')}` } }), /429/);
  });

  it('holds for publishers, too', async () => {
    const stage = await setStage({
      settings: {
        control: {
          host: '127.0.0.1',
          port: 0,
          policies: [{ use: `${import.meta.dirname}/../fixtures/policies/no-publishing.mjs`, dryRun: true }],
        },
      },
    });
    await stage.say('a', 'x');
  });
});

const secret = 'a secret of thirty-two bytes or more';

function tokenOf(sub: string): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${part({ alg: 'HS256' })}.${part({ sub })}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

const refusing: Policy = {
  connect: (_session, answer) => {
    answer.push('X-Limit', '3');
    return no;
  },
  message: () => no,
  subscribe: () => no,
  request: () => no,
  response: () => no,
  publish: () => no,
};

function publisher(): Publisher {
  return { identity: undefined, address: '192.0.2.1', headers: [] };
}

function watch() {
  const lines: Record<string, unknown>[] = [];
  const counted: string[] = [];
  const note = (event: string, fields?: LogFields): void => void lines.push({ event, ...fields });
  const log: Log = { error: note, warn: note, info: note, debug: () => undefined };
  const metrics: Metrics = { count: (name) => void counted.push(name) };
  const clock = new ManualClock();
  return { log, lines, counted, clock, parts: { log, metrics, clock } };
}

function rehearsed(policy: Policy) {
  const { parts, ...rest } = watch();
  return { policy: dryRun(parts)('mine', policy), ...rest };
}

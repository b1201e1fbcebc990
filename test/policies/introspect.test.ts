/** Which tokens get in by the word of their issuer, how long that word counts, and what an issuer that is not well cannot do. */
import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { silentLog, type LogFields } from '../../gateway/core/log.ts';
import { limits } from '../../gateway/core/limits.ts';
import type { Policy, ConnectVerdict } from '../../gateway/core/policy.ts';
import { isPromise } from '../../gateway/core/promise.ts';
import { connect, createPolicy, ManualClock, testSession, type TestSession } from '../../gateway/testing/index.ts';
import { introspect } from '../../policies/introspect.ts';
import { clearStage, eventually, gate, onClear, setStage } from '../protocol/stage.ts';
import { requestText, setHoldStage, stream, takeAnswer, takeText } from '../protocol/holds.ts';
import { startBackend, type Answer, type Backend, type BackendReply } from '../support/backend.ts';
import { refusedClient } from '../support/client.ts';

const client = { clientId: 'gate', clientSecret: 'geheim' };
const says = (claims: object): BackendReply => ({
  headers: { 'Content-Type': 'application/json' },
  body: JSON.stringify(claims),
});
const active = says({ active: true, sub: 'ann' });
const inactive = says({ active: false });

async function startIssuer(answer: Answer): Promise<Backend> {
  const issuer = await startBackend(answer);
  onClear(() => issuer.stop());
  return issuer;
}

describe('introspect, in front of a backend', () => {
  afterEach(clearStage);

  async function setUp(answer: Answer, options: object = {}) {
    const issuer = await startIssuer(answer);
    const policies = [{ use: 'introspect', url: `${issuer.origin}/introspect`, ...client, ...options }];
    return { ...(await setStage({ route: { policies } })), issuer, policies };
  }

  it('asks the issuer as the RFC says, and takes the token out of what goes on', async () => {
    const { open, issuer, backend } = await setUp(() => active, { clientId: 'a:b', clientSecret: 'c d%ü' });
    await open('/', { headers: { Authorization: 'Bearer t0+/=' } });
    const [asked] = issuer.requests;
    assert.equal(asked?.method, 'POST');
    assert.equal(asked.path, '/introspect');
    assert.equal(asked.headers['content-type'], 'application/x-www-form-urlencoded');
    assert.equal(asked.headers.accept, 'application/json');
    assert.equal(asked.headers.authorization, `Basic ${Buffer.from('a%3Ab:c+d%25%C3%BC').toString('base64')}`);
    assert.equal(asked.body.toString(), 'token=t0%2B%2F%3D&token_type_hint=access_token');
    assert.equal(backend.requests.length, 1);
    assert.equal(backend.requests[0]?.headers.authorization, undefined);
  });

  it('takes a token that a browser offers as a subprotocol', async () => {
    const { open, backend } = await setUp(() => active, { from: { subprotocol: 'token' } });
    const { headers } = await open('/', { protocols: ['token', 't0'] });
    assert.equal(headers['sec-websocket-protocol'], 'token');
    assert.equal(backend.requests[0]?.headers['sec-websocket-protocol'], undefined);
  });

  it('leaves the token where it is when it shall go on', async () => {
    const { open, backend } = await setUp(() => active, { forward: true });
    await open('/', { headers: { Authorization: 'Bearer t0' } });
    assert.equal(backend.requests[0]?.headers.authorization, 'Bearer t0');
  });

  it('refuses a client without a token, with two, and with one that is not active', async () => {
    const { url, issuer, connect: connects, backend } = await setUp(() => inactive);
    const none = await refusedClient(url.replace('http', 'ws'));
    assert.equal(none.status, 401);
    assert.equal(none.headers['www-authenticate'], 'Bearer');
    const two = await connects();
    two.send(requestText('/', { headers: ['Authorization: Bearer a', 'Authorization: Bearer b'] }));
    assert.equal((await takeAnswer(two)).status, 401);
    const large = await fetch(url, { headers: { Authorization: `Bearer ${'x'.repeat(limits.credentialBytes + 1)}` } });
    assert.equal(large.status, 401);
    assert.equal(issuer.requests.length, 0);
    const bad = await fetch(url, { headers: { Authorization: 'Bearer t0' } });
    assert.equal(bad.status, 401);
    assert.match(bad.headers.get('www-authenticate') ?? '', /^Bearer error="invalid_token"/);
    assert.doesNotMatch(await bad.text(), /t0/);
    assert.equal(backend.requests.length, 0);
  });

  it('closes a WebSocket with 4401 when its token is not active any more, and leaves the others', async () => {
    let answer = active;
    const isOther = (body: Buffer): boolean => body.toString().includes('t1');
    const { open, issuer } = await setUp(({ body }) => (isOther(body) ? active : answer), { recheck: '50ms', cache: '1h' });
    const socket = await open('/', { headers: { Authorization: 'Bearer t0' } });
    const other = await open('/', { headers: { Authorization: 'Bearer t1' } });
    await issuer.until(() => issuer.requests.length >= 3);
    answer = inactive;
    assert.equal((await socket.closed()).code, 4401);
    other.send('still here');
    assert.equal(await other.nextText(), 'still here');
    assert.equal((await refusedClient(socket.socket.url, { headers: { Authorization: 'Bearer t0' } })).status, 401);
  });

  it('closes it with 4401 when the token ends', async () => {
    const { open } = await setUp(() => says({ active: true, exp: (Date.now() + 1500) / 1000 }));
    const socket = await open('/', { headers: { Authorization: 'Bearer t0' } });
    const { code, reason } = await socket.closed(10_000);
    assert.equal(code, 4401);
    assert.match(reason, /expired/);
  });

  it('ends a held stream when its token is not active any more', async () => {
    let answer = active;
    const issuer = await startIssuer(() => answer);
    const policies = [{ use: 'introspect', url: issuer.origin, ...client, recheck: '50ms' }];
    const stage = await setHoldStage({ answer: () => stream('news', {}, 'begin\n'), route: { policies } });
    const socket = await stage.request('/', { headers: ['Authorization: Bearer t0'] });
    await socket.takeHead();
    await takeText(socket, 'begin\n');
    await stage.joined('news');
    answer = inactive;
    await eventually(async () => (await stage.members('news')) === 0);
  });

  it('is 503 when the issuer is away', async () => {
    const { url } = await setUp(({ response }) => void response.destroy());
    assert.equal((await fetch(url, { headers: { Authorization: 'Bearer t0' } })).status, 503);
  });
});

describe('introspect, by itself', () => {
  let clock: ManualClock;
  let issuer: Backend;
  beforeEach(async () => {
    clock = new ManualClock();
    issuer = await startIssuer(() => active);
  });
  afterEach(clearStage);

  const make = (options: object = {}, log = silentLog): Promise<Policy> =>
    createPolicy(introspect, { url: issuer.origin, ...client, ...options }, { clock, log });
  const bearing = (token: string, more: object = {}) => testSession({ headers: ['Authorization', `Bearer ${token}`], ...more });
  const arrive = async (policy: Policy, token = 't0'): Promise<ConnectVerdict> => (await connect(policy, bearing(token))).verdict;
  const inSeconds = (seconds: number): number => clock.now() / 1000 + seconds;

  it('keeps who the token is for, and what the issuer says of it', async () => {
    const session = bearing('t0');
    assert.equal((await connect(await make(), session)).verdict, undefined);
    assert.deepEqual(session.identity, { subject: 'ann', by: 'introspect', claims: { active: true, sub: 'ann' } });
  });

  const refusals: readonly (readonly [what: string, claims: object, why: RegExp, options?: object])[] = [
    ['one that is not active', { active: false, sub: 'ann', exp: 1e12 }, /not active/],
    ['one that has ended', { active: true, exp: 1_700_000_000 }, /expired/],
    ['one that has not begun', { active: true, nbf: 1_700_000_001 }, /not valid yet/],
    ['one for another audience', { active: true, aud: ['mail'] }, /audience/, { audience: ['chat', 'news'] }],
    ['one for no audience', { active: true }, /audience/, { audience: 'chat' }],
  ];
  for (const [what, claims, why, options] of refusals) {
    it(`refuses ${what}`, async () => {
      issuer.answer = () => says(claims);
      const session = bearing('t0');
      const { verdict } = await connect(await make(options), session);
      assertDenied(verdict, 'unauthorized', why);
      assert.equal(session.identity, undefined);
      assert.equal(clock.pending, 0);
    });
  }

  it('wants one of the audiences and all of the scopes', async () => {
    const policy = await make({ audience: ['chat', 'news'], scopes: ['read', 'write'], cache: '0s' });
    issuer.answer = () => says({ active: true, aud: ['mail', 'news'], scope: 'write admin read' });
    assert.equal(await arrive(policy), undefined);
    for (const scope of ['read', 'read writer', '', 7]) {
      issuer.answer = () => says({ active: true, aud: 'news', scope });
      const verdict = await arrive(policy);
      assertDenied(verdict, 'forbidden', /not allow/);
      assert.deepEqual(verdict?.kind === 'deny' && verdict.headers, [
        'WWW-Authenticate',
        'Bearer error="insufficient_scope", scope="read write"',
      ]);
    }
  });

  it('lets in without a token where none is required, and watches nothing', async () => {
    const { verdict } = await connect(await make({ required: false }), testSession());
    assert.equal(verdict, undefined);
    assert.equal(issuer.requests.length, 0);
    assert.equal(clock.pending, 0);
  });

  const failures: readonly (readonly [what: string, answer: Answer])[] = [
    ['an error', () => ({ status: 500 })],
    ['a refusal of our own credentials', () => ({ status: 401, body: '{"active":true}' })],
    ['a redirect', () => ({ status: 302, headers: { Location: '/' } })],
    ['another 2xx', () => ({ status: 202, body: '{"active":true}' })],
    ['something that is not JSON', () => ({ body: '<html>' })],
    ['a list', () => ({ body: '[{"active":true}]' })],
    ['nothing about the token', () => says({ sub: 'ann' })],
    ['"active" as a text', () => says({ active: 'true' })],
    ['an end that is no number', () => says({ active: true, exp: 'never' })],
    ['an answer that is too large', () => says({ active: true, x: 'x'.repeat(limits.authBodyBytes) })],
    ['an answer without end', ({ response }) => pour(response)],
    ['half an answer', ({ response }) => void response.writeHead(200, { 'Content-Length': 100 }).write('{"active":true}')],
    ['nothing at all', () => undefined],
    ['a broken connection', ({ response }) => void response.destroy()],
  ];
  for (const [what, answer] of failures) {
    it(`cannot decide when the issuer answers with ${what}, and asks again`, async () => {
      issuer.answer = answer;
      const policy = await make({ timeout: '1s' });
      assertDenied(await arrive(policy), 'auth-unavailable', /cannot be found out/);
      issuer.answer = () => active;
      assert.equal(await arrive(policy), undefined);
    });
  }

  it('asks once in the time of the cache, and then answers at once', async () => {
    const policy = await make({ cache: '30s' });
    await arrive(policy);
    clock.advance(29_999);
    assert.equal(isPromise(policy.connect?.(bearing('t0'), [])), false);
    assert.equal(issuer.requests.length, 1);
    clock.advance(1);
    await arrive(policy);
    assert.equal(issuer.requests.length, 2);
  });

  it('remembers a token no longer than it lives', async () => {
    issuer.answer = () => says({ active: true, exp: inSeconds(5) });
    const policy = await make({ cache: '30s', recheck: '0s' });
    assert.equal(await arrive(policy), undefined);
    issuer.answer = () => inactive;
    clock.advance(5000);
    assertDenied(await arrive(policy), 'unauthorized', /not active/);
  });

  it('remembers for ten seconds that a token is not active', async () => {
    issuer.answer = () => inactive;
    const policy = await make();
    for (let i = 0; i < 5; i += 1) await arrive(policy);
    assert.equal(issuer.requests.length, 1);
    issuer.answer = () => active;
    clock.advance(10_000);
    assert.equal(await arrive(policy), undefined);
  });

  it('does not take one token for another, however alike', async () => {
    issuer.answer = ({ body }) => (body.toString().startsWith('token=t0&') ? active : inactive);
    const policy = await make();
    assert.equal(await arrive(policy, 't0'), undefined);
    for (const token of ['t', 't00', 'T0', 't0,', 't0&token=t0'])
      assertDenied(await arrive(policy, token), 'unauthorized', /not active/);
    assert.equal(await arrive(policy, 't0'), undefined);
    assert.equal(issuer.requests.length, 6);
  });

  it('does not let invented tokens push out a good one', async () => {
    const policy = await make({ cache: '1h' });
    await arrive(policy, 't0');
    const { fetch } = globalThis;
    globalThis.fetch = () => Promise.resolve(new Response('{"active":false}')); // Thousands of calls would take their time.
    try {
      for (let i = 0; i <= limits.authAnswers; i += 1) await arrive(policy, `x${i}`);
    } finally {
      globalThis.fetch = fetch;
    }
    assert.equal(await arrive(policy, 't0'), undefined);
    assert.equal(issuer.requests.length, 1);
  }).timeout(60_000);

  it('asks once for many that come with one token at once', async () => {
    const { passed, open } = gate();
    issuer.answer = async () => {
      await passed;
      return active;
    };
    const policy = await make();
    const verdicts = Promise.all(Array.from({ length: 10 }, () => arrive(policy)));
    await issuer.until(() => issuer.requests.length === 1);
    open();
    assert.ok((await verdicts).every((verdict) => verdict === undefined));
    assert.equal(issuer.requests.length, 1);
  });

  it('says in the log what fails, without token and secret', async () => {
    const said: (readonly [string, LogFields | undefined])[] = [];
    const log = { ...silentLog, warn: (event: string, more?: LogFields) => void said.push([event, more]) };
    const policy = await make({}, log);
    const texts: readonly Answer[] = [({ response }) => void response.destroy(), () => ({ body: 'geheim t0' })];
    for (const answer of texts) {
      issuer.answer = answer;
      await arrive(policy);
      clock.advance(10_000);
    }
    assert.equal(said.length, 2);
    assert.doesNotMatch(JSON.stringify(said), /geheim|t0/);
  });

  describe('asking again', () => {
    const turn = async (): Promise<void> => {
      const asked = issuer.requests.length;
      await eventually(() => clock.pending > 0);
      clock.advance(60_000);
      await issuer.until(() => issuer.requests.length > asked);
    };

    it('lets a token that the issuer prolongs live on, and ends with the latest end', async () => {
      issuer.answer = () => says({ active: true, exp: inSeconds(90) });
      const session = bearing('t0');
      await connect(await make(), session);
      await turn();
      await eventually(() => clock.pending === 2);
      issuer.answer = () => ({ status: 500 });
      clock.advance(89_999);
      assertOpen(session);
      clock.advance(1);
      assert.equal(session.ended?.code, 'expired-token');
    });

    it('ends with the third question in a row without an answer', async () => {
      const session = bearing('t0');
      await connect(await make(), session);
      issuer.answer = () => ({ status: 500 });
      await turn();
      await turn();
      await eventually(() => clock.pending > 0);
      assert.equal(session.ended, undefined);
      await turn();
      await eventually(() => session.ended?.code === 'auth-unavailable');
    });

    it('ends when a scope is gone', async () => {
      issuer.answer = () => says({ active: true, scope: 'read' });
      const session = bearing('t0');
      await connect(await make({ scopes: ['read'] }), session);
      issuer.answer = () => says({ active: true, scope: '' });
      await turn();
      await eventually(() => session.ended?.code === 'forbidden');
    });

    it('is not done where it is off, nor for plain requests that are not held, nor after the end', async () => {
      await connect(await make({ recheck: '0s' }), bearing('t0'));
      assert.equal(clock.pending, 0);
      const policy = await make();
      const session = bearing('t0', { transport: 'request' });
      await connect(policy, session);
      assert.equal(clock.pending, 0);
      policy.held?.(session);
      assert.equal(clock.pending, 1);
      policy.disconnect?.(session);
      assert.equal(clock.pending, 0);
    });

    it('does not begin for a client that left while it was asked about', async () => {
      issuer.answer = () => says({ active: true, exp: inSeconds(90) });
      const policy = await make();
      const session = bearing('t0');
      const verdict = policy.connect?.(session, []);
      policy.disconnect?.(session);
      assert.equal(await verdict, undefined);
      assert.equal(clock.pending, 0);
    });
  });
});

function assertOpen(session: TestSession): void {
  assert.equal(session.ended, undefined);
}

function assertDenied(verdict: ConnectVerdict, code: string, why: RegExp): void {
  assert.ok(verdict?.kind === 'deny', 'not denied');
  assert.equal(verdict.code, code);
  assert.match(verdict.detail, why);
}

/** Writes without end, as fast as it is read. */
function pour(response: ServerResponse): undefined {
  while (!response.destroyed && response.write(part));
  if (!response.destroyed) response.once('drain', () => pour(response));
  return undefined;
}

const part = Buffer.alloc(65_536, ' ');

/** Who is asked what about a client, what the answer does, and what a server that is slow, huge or away cannot do. */
import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { silentLog, type LogFields } from '../../gateway/core/log.ts';
import { errors } from '../../gateway/core/errors.ts';
import { limits } from '../../gateway/core/limits.ts';
import type { Policy, ConnectVerdict } from '../../gateway/core/policy.ts';
import { isPromise } from '../../gateway/core/promise.ts';
import { connect, createPolicy, ManualClock, testSession } from '../../gateway/testing/index.ts';
import { forwardAuth } from '../../policies/forward-auth.ts';
import { clearStage, eventually, gate, onClear, setStage, type Stage } from '../protocol/stage.ts';
import { requestText, setHoldStage, stream, takeAnswer, takeText } from '../protocol/holds.ts';
import { startBackend, type Answer, type Backend, type BackendReply } from '../support/backend.ts';
import { refusedClient } from '../support/client.ts';
import { clientFrame, opcodes } from '../support/raw-socket.ts';

const yes: BackendReply = { headers: { 'X-User': 'ann', 'X-Role': 'admin' } };
const no: BackendReply = { status: 403, headers: { 'Content-Type': 'text/plain' }, body: 'not you' };

async function startAuth(answer: Answer): Promise<Backend> {
  const auth = await startBackend(answer);
  onClear(() => auth.stop());
  return auth;
}

describe('forward-auth, in front of a backend', () => {
  afterEach(clearStage);

  async function setUp(answer: Answer, options: object = {}): Promise<Stage & { readonly auth: Backend }> {
    const auth = await startAuth(answer);
    const policies = [{ use: 'forward-auth', url: `${auth.origin}/check?k=1`, forward: ['X-User', 'X-Role'], ...options }];
    return { ...(await setStage({ route: { policies } })), auth };
  }

  it('says who asks for what, and nothing else of the client', async () => {
    const { auth, open } = await setUp(() => yes);
    await open('/chat?room=1', { headers: { Host: 'app.example', Cookie: 'sid=1', Authorization: 'Bearer t', 'X-Other': 'x' } });
    const [asked] = auth.requests;
    assert.equal(asked?.method, 'GET');
    assert.equal(asked.path, '/check?k=1');
    assert.equal(asked.body.length, 0);
    const { headers } = asked;
    assert.equal(headers['x-forwarded-method'], 'GET');
    assert.equal(headers['x-forwarded-proto'], 'http');
    assert.equal(headers['x-forwarded-host'], 'app.example');
    assert.equal(headers['x-forwarded-uri'], '/chat?room=1');
    assert.equal(headers['x-forwarded-for'], '127.0.0.1');
    assert.equal(headers.cookie, 'sid=1');
    assert.equal(headers.authorization, 'Bearer t');
    assert.equal(headers['x-other'], undefined);
    assert.equal(headers['sec-websocket-key'], undefined);
  });

  it('hands the chosen fields of the answer to the backend with every request, in place of what the client claims', async () => {
    const { backend, openRaw, auth } = await setUp(() => ({ headers: { ...yes.headers, 'X-Secret': 'inner' } }));
    const forged = ['X-User: root', 'x-user: root', 'X_USER: root', 'x_role: root', 'X-Role: root'];
    const socket = await openRaw({ headers: forged });
    socket.send(frameOf('hello'));
    await backend.until(() => backend.events().some(({ kind }) => kind === 'text'));
    for (const { rawHeaders } of backend.requests) {
      const told = pairs(rawHeaders).filter(([name]) => /^x.(user|role|secret)$/i.test(name));
      assert.deepEqual(told, [
        ['X-User', 'ann'],
        ['X-Role', 'admin'],
      ]);
    }
    assert.equal(auth.requests.length, 1);
  });

  it('takes away what a client claims also where the answer has no such field', async () => {
    const { backend, connect: connects } = await setUp(() => ({}));
    const socket = await connects();
    socket.send(requestText('/', { headers: ['X-User: root', 'x_user: root'] }));
    assert.equal((await takeAnswer(socket)).status, 200);
    assert.doesNotMatch(JSON.stringify(backend.requests[0]?.rawHeaders), /root/);
  });

  it('hands a refusal to a WebSocket client in the words of the server, with the chosen fields only', async () => {
    const { url, backend } = await setUp(() => ({
      status: 302,
      headers: { Location: 'https://login.example/', 'Content-Type': 'text/html', 'Set-Cookie': 'csrf=1', 'X-Inner': 'db-3' },
      body: '<a>log in</a>',
    }));
    const refusal = await refusedClient(url.replace('http', 'ws'));
    assert.equal(refusal.status, 302);
    assert.equal(refusal.body, '<a>log in</a>');
    assert.equal(refusal.headers.location, 'https://login.example/');
    assert.equal(refusal.headers['content-type'], 'text/html');
    assert.equal(refusal.headers['set-cookie'], undefined);
    assert.equal(refusal.headers['x-inner'], undefined);
    assert.equal(backend.requests.length, 0);
  });

  it('hands it to a plain request, too', async () => {
    const { url, backend } = await setUp(() => ({ ...no, headers: { 'WWW-Authenticate': 'Cookie' }, status: 401 }));
    const response = await fetch(url);
    assert.equal(response.status, 401);
    assert.equal(response.headers.get('www-authenticate'), 'Cookie');
    assert.equal(await response.text(), 'not you');
    assert.equal(backend.requests.length, 0);
  });

  it('cuts off the body of a refusal that is too large, and lives', async () => {
    const { url } = await setUp(({ response }) => {
      response.writeHead(403);
      return pour(response);
    });
    const response = await fetch(url);
    assert.equal(response.status, 403);
    assert.equal(await response.text(), '');
  });

  it('does not follow where a redirect leads', async () => {
    const inner = await startAuth(() => yes);
    const { url } = await setUp(() => ({ status: 307, headers: { Location: inner.origin } }));
    assert.equal((await fetch(url, { redirect: 'manual' })).status, 307);
    assert.equal(inner.requests.length, 0);
  });

  it('refuses two Authorization fields unasked, since the two servers might read different ones', async () => {
    const { connect: connects, auth } = await setUp(() => yes);
    for (const name of ['Authorization', 'authorization']) {
      const socket = await connects();
      socket.send(requestText('/', { headers: ['Authorization: Bearer a', `${name}: Bearer b`] }));
      assert.equal((await takeAnswer(socket)).status, 400);
    }
    assert.equal(auth.requests.length, 0);
  });

  it('joins several Cookie fields as they are meant', async () => {
    const { connect: connects, auth } = await setUp(() => yes);
    const socket = await connects();
    socket.send(requestText('/', { headers: ['Cookie: a=1', 'Cookie: b=2'] }));
    assert.equal((await takeAnswer(socket)).status, 200);
    assert.equal(auth.requests[0]?.headers.cookie, 'a=1; b=2');
  });

  it('refuses credentials unasked that no server would read', async () => {
    const { url, auth } = await setUp(() => yes, { onError: 'allow' });
    const response = await fetch(url, { headers: { Authorization: 'x'.repeat(limits.authQuestionBytes) } });
    assert.equal(response.status, 431);
    assert.equal(auth.requests.length, 0);
  });

  it('asks again while a WebSocket lasts, and closes it with 4401 when the answer has become no', async () => {
    let answer = yes;
    const { open, auth } = await setUp(() => answer, { recheck: '50ms' });
    const client = await open();
    await auth.until(() => auth.requests.length >= 3);
    answer = no;
    assert.equal((await client.closed()).code, 4401);
  });

  it('tells the backend what the latest answer says', async () => {
    let role = 'admin';
    const { open, auth, backend } = await setUp(() => ({ headers: { 'X-Role': role } }), { recheck: '50ms' });
    const client = await open();
    role = 'guest';
    const asked = auth.requests.length;
    await auth.until(() => auth.requests.length > asked + 1);
    client.send('hello');
    await backend.until(() => backend.events().some(({ kind }) => kind === 'text'));
    assert.equal(backend.requests.at(-1)?.headers['x-role'], 'guest');
  });

  it('ends a held stream when the answer has become no', async () => {
    let answer = yes;
    const auth = await startAuth(() => answer);
    const policies = [{ use: 'forward-auth', url: auth.origin, recheck: '50ms' }];
    const stage = await setHoldStage({ answer: () => stream('news', {}, 'begin\n'), route: { policies } });
    const socket = await stage.request('/');
    await socket.takeHead();
    await takeText(socket, 'begin\n');
    await stage.joined('news');
    answer = no;
    await eventually(async () => (await stage.members('news')) === 0);
  });

  it('is 503 when the server is away, and lets in without its fields where that is wished', async () => {
    const closed = await startAuth(() => yes);
    await closed.stop();
    const { url } = await setUp(() => yes, { url: closed.origin });
    const response = await fetch(url);
    assert.equal(response.status, 503);
    assert.equal(((await response.json()) as { detail?: unknown }).detail, errors['auth-unavailable'].text);
    const lenient = await setUp(() => yes, { url: closed.origin, onError: 'allow' });
    assert.equal((await fetch(lenient.url, { headers: { 'X-User': 'root' } })).status, 200);
    assert.equal(lenient.backend.requests[0]?.headers['x-user'], undefined);
  });
});

describe('forward-auth, by itself', () => {
  let clock: ManualClock;
  let auth: Backend;
  beforeEach(async () => {
    clock = new ManualClock();
    auth = await startAuth(() => yes);
  });
  afterEach(clearStage);

  const make = (options: object = {}, log = silentLog): Promise<Policy> =>
    createPolicy(forwardAuth, { url: auth.origin, ...options }, { clock, log });
  const arriving = (token: string, more: object = {}) => testSession({ headers: ['Authorization', token], ...more });
  const arrive = async (policy: Policy, token: string, more: object = {}): Promise<ConnectVerdict> =>
    (await connect(policy, arriving(token, more))).verdict;

  it('asks once in the time of the cache, and then answers at once', async () => {
    const policy = await make({ cache: '30s' });
    assert.equal(await arrive(policy, 'a'), undefined);
    clock.advance(29_999);
    assert.equal(isPromise(policy.connect?.(arriving('a'), [])), false);
    clock.advance(1);
    await arrive(policy, 'a');
    assert.equal(auth.requests.length, 2);
  });

  it('remembers nothing where the cache is off', async () => {
    const policy = await make({ cache: '0s' });
    await arrive(policy, 'a');
    await arrive(policy, 'a');
    assert.equal(auth.requests.length, 2);
  });

  it('keeps no refusal', async () => {
    const policy = await make();
    auth.answer = () => no;
    assertRefused(await arrive(policy, 'a'), 403);
    auth.answer = () => yes;
    assert.equal(await arrive(policy, 'a'), undefined);
  });

  it('never takes the answer for one client, path, host or method for that of another', async () => {
    auth.answer = ({ headers }) => (headers.authorization === 'a' && headers['x-forwarded-uri'] === '/open' ? yes : no);
    const policy = await make({ headers: ['Authorization', 'X-Tenant'] });
    assert.equal(await arrive(policy, 'a', { path: '/open' }), undefined);
    const others: readonly object[] = [
      { path: '/admin' },
      { path: '/open?x' },
      { path: '/open', method: 'DELETE' },
      { path: '/open', address: '192.0.2.2' },
      { path: '/open', secure: false },
      { path: '/open', headers: ['Authorization', 'a', 'Host', 'other.example'] },
      { path: '/open', headers: ['X-Tenant', 'a'] },
      { path: '/open', headers: ['Authorization', 'a", "X-Tenant', 'X-Tenant', '"'] },
      { path: '/open', headers: [] },
    ];
    auth.answer = () => no;
    for (const other of others) assertRefused(await arrive(policy, 'a', other), 403);
    assert.equal(await arrive(policy, 'a', { path: '/open' }), undefined);
  });

  it('asks once for many who ask the same at once, and apart for others', async () => {
    const { passed, open } = gate();
    auth.answer = async ({ headers }) => {
      await passed;
      return headers.authorization === 'a' ? yes : no;
    };
    const policy = await make();
    const verdicts = Promise.all(['a', 'a', 'b', 'a'].map((token) => arrive(policy, token)));
    await auth.until(() => auth.requests.length === 2);
    open();
    assert.deepEqual(
      (await verdicts).map((verdict) => verdict?.kind),
      [undefined, undefined, 'deny', undefined],
    );
    assert.equal(auth.requests.length, 2);
  });

  it('has so many calls at a time, and gives the others their turn', async () => {
    const { passed, open } = gate();
    auth.answer = async () => {
      await passed;
      return yes;
    };
    const policy = await make({ timeout: '30s' });
    const verdicts = Promise.all(Array.from({ length: limits.authCalls + 20 }, (_, i) => arrive(policy, `${i}`)));
    await auth.until(() => auth.requests.length === limits.authCalls, 10_000);
    open();
    assert.ok((await verdicts).every((verdict) => verdict === undefined));
    assert.equal(auth.requests.length, limits.authCalls + 20);
  });

  it('lets only so many wait for their turn, and refuses the others also where failures are let in', async () => {
    auth.answer = () => undefined;
    const policy = await make({ timeout: '500ms', onError: 'allow' });
    const places = limits.authCalls + limits.authWaiting;
    const verdicts = Array.from({ length: places + 3 }, (_, i) => arrive(policy, `${i}`));
    for (const verdict of await Promise.all(verdicts.slice(places))) {
      assert.ok(verdict?.kind === 'deny');
      assert.equal(verdict.code, 'overloaded');
    }
    assert.ok((await Promise.all(verdicts.slice(0, places))).every((verdict) => verdict === undefined));
  }).timeout(60_000);

  it('knows the client by the field that says so', async () => {
    const session = arriving('a');
    await connect(await make({ subject: 'X-User' }), session);
    assert.deepEqual(session.identity, { subject: 'ann', by: 'forward-auth' });
    auth.answer = () => ({});
    const nobody = arriving('b');
    await connect(await make({ subject: 'X-User' }), nobody);
    assert.equal(nobody.identity, undefined);
  });

  const failures: readonly (readonly [what: string, answer: Answer])[] = [
    ['an error', () => ({ status: 500, body: 'stack trace' })],
    ['a broken connection', ({ response }) => void response.destroy()],
    ['no answer', () => undefined],
    ['a head and nothing more', ({ response }) => void response.writeHead(200, { 'Content-Length': 5 }).write('a')],
    ['a field without end', () => ({ headers: { 'X-User': 'x'.repeat(100_000) } })],
  ];
  for (const [what, answer] of failures) {
    it(`counts ${what} as a failure`, async () => {
      auth.answer = answer;
      const verdict = await arrive(await make({ timeout: '100ms' }), 'a');
      assert.ok(verdict?.kind === 'deny');
      assert.equal(verdict.code, 'auth-unavailable');
      assert.equal(verdict.reply, undefined);
      const lenient = await make({ timeout: '100ms', onError: 'allow' });
      assert.equal(await arrive(lenient, 'a'), undefined);
    });
  }

  it('asks again after a failure', async () => {
    const policy = await make();
    auth.answer = ({ response }) => void response.destroy();
    await arrive(policy, 'a');
    auth.answer = () => yes;
    assert.equal(await arrive(policy, 'a'), undefined);
  });

  it('takes the yes of a server that pours out a body, and reads no more of it', async () => {
    auth.answer = ({ response }) => pour(response);
    assert.equal(await arrive(await make({ timeout: '30s' }), 'a'), undefined);
    await eventually(() => auth.requests[0]?.response.destroyed === true);
  });

  it('refuses what cannot be a field, also where failures are let in', async () => {
    const policy = await make({ onError: 'allow' });
    for (const token of ['a\nX-User: root', 'a\rb', 'a\u0000', 'a\u20ac']) {
      const verdict = await arrive(policy, token);
      assert.ok(verdict?.kind === 'deny');
      assert.equal(verdict.code, 'bad-request');
    }
    assert.equal(auth.requests.length, 0);
  });

  it('says in the log that the server fails, now and then and without secrets', async () => {
    const said: (readonly [string, LogFields | undefined])[] = [];
    const log = { ...silentLog, warn: (event: string, more?: LogFields) => void said.push([event, more]) };
    auth.answer = ({ response }) => void response.destroy();
    const policy = await make({ url: `${auth.origin}/check?key=geheim` }, log);
    for (let i = 0; i < 5; i += 1) await arrive(policy, 'geheim');
    assert.equal(said.length, 1);
    assert.doesNotMatch(JSON.stringify(said), /geheim/);
    clock.advance(10_000);
    await arrive(policy, 'geheim');
    assert.equal(said.length, 2);
  });

  it('says in its errors which name of a field is not possible, and refuses them before anything runs', async () => {
    const wrong: readonly object[] = [
      { forward: ['Content-Length'] },
      { forward: ['Transfer_Encoding'] },
      { forward: ['Grip-Sig'] },
      { forward: ['X User'] },
      { headers: ['X-Forwarded-For'] },
      { relay: ['Set-Cookie'] },
      { subject: 'Host' },
    ];
    for (const options of wrong) await assert.rejects(make(options), /which is not possible there/);
  });

  describe('asking again', () => {
    const lasting = async (options: object = {}) => {
      const policy = await make({ recheck: '60s', ...options });
      const session = arriving('a');
      assert.equal((await connect(policy, session)).verdict, undefined);
      return { policy, session };
    };
    const turn = async (): Promise<void> => {
      const asked = auth.requests.length;
      await eventually(() => clock.pending > 0);
      clock.advance(60_000);
      await auth.until(() => auth.requests.length > asked);
    };

    it('goes past the cache, and what was no is forgotten there', async () => {
      const { policy, session } = await lasting({ cache: '1h' });
      auth.answer = () => no;
      await turn();
      await eventually(() => session.ended !== undefined);
      assert.equal(session.ended?.code, 'unauthorized');
      assert.equal(errors.unauthorized.close, 4401);
      assertRefused(await arrive(policy, 'a'), 403);
    });

    it('renews its own word on who the client is, and leaves that of a later policy', async () => {
      const { session } = await lasting({ subject: 'X-User' });
      auth.answer = () => ({ headers: { 'X-User': 'bob' } });
      await turn();
      await eventually(() => session.identity?.subject === 'bob');
      session.identity = { subject: 'eve', by: 'jwt' };
      await turn();
      await eventually(() => clock.pending > 0);
      assert.equal(session.identity.subject, 'eve');
    });

    it('bears two failures, and ends with the third in a row', async () => {
      const { session } = await lasting();
      auth.answer = () => ({ status: 500 });
      await turn();
      await turn();
      auth.answer = () => yes;
      await turn();
      auth.answer = () => ({ status: 500 });
      for (let i = 0; i < 2; i += 1) await turn();
      await eventually(() => clock.pending > 0);
      assert.equal(session.ended, undefined);
      await turn();
      await eventually(() => session.ended?.code === 'auth-unavailable');
    });

    it('bears any number of failures where they are let in', async () => {
      const { session } = await lasting({ onError: 'allow' });
      auth.answer = () => ({ status: 500 });
      for (let i = 0; i < 5; i += 1) await turn();
      await eventually(() => clock.pending > 0);
      assert.equal(session.ended, undefined);
    });

    it('ends with the session, also in the midst of a question', async () => {
      const { policy, session } = await lasting();
      policy.disconnect?.(session);
      assert.equal(clock.pending, 0);
      const late = await lasting();
      const { passed, open } = gate();
      auth.answer = async () => {
        await passed;
        return no;
      };
      await turn();
      late.policy.disconnect?.(late.session);
      open();
      auth.answer = () => no;
      assertRefused(await arrive(late.policy, 'b'), 403);
      assert.equal(late.session.ended, undefined);
      assert.equal(clock.pending, 0);
    });

    it('begins for a plain request only when it is held', async () => {
      const policy = await make({ recheck: '60s' });
      const session = arriving('a', { transport: 'request' });
      await connect(policy, session);
      assert.equal(clock.pending, 0);
      policy.held?.(session);
      assert.equal(clock.pending, 1);
    });

    it('is not done unless wished', async () => {
      const policy = await make();
      await arrive(policy, 'a');
      assert.equal(clock.pending, 0);
      assert.equal(policy.subscribe, undefined);
    });
  });
});

function assertRefused(verdict: ConnectVerdict, status: number): void {
  assert.ok(verdict?.kind === 'deny');
  assert.equal(verdict.code, 'unauthorized');
  assert.equal(verdict.reply?.status, status);
}

/** Writes without end, as fast as it is read. */
function pour(response: ServerResponse): undefined {
  while (!response.destroyed && response.write(part));
  if (!response.destroyed) response.once('drain', () => pour(response));
  return undefined;
}

const part = Buffer.alloc(65_536, 'x');

function pairs(rawHeaders: readonly string[]): [string, string][] {
  return rawHeaders.flatMap((name, i) => (i % 2 === 0 ? [[name, rawHeaders[i + 1] ?? ''] as [string, string]] : []));
}

function frameOf(message: string): Buffer {
  return clientFrame(opcodes.text, message);
}

/** Tokens on open connections: their end, their renewal, what the backend hears of them, and their revocation. */
import assert from 'node:assert/strict';
import jsonwebtoken from 'jsonwebtoken';
import { effectiveSettings } from '../../gateway/config/effective.ts';
import type { Log } from '../../gateway/core/log.ts';
import { isMessage } from '../../gateway/core/event.ts';
import { echo } from '../support/backend.ts';
import { refusedClient, type Client } from '../support/client.ts';
import { byPath, held, setHoldStage, stream, takeAnswer, takeChunk, type HoldStage } from './holds.ts';
import { clearStage, eventually, setStage, stageConfig, type Stage, type StageTerms } from './stage.ts';

const secret = 'a secret of thirty-two bytes or more';
const now = (): number => Math.floor(Date.now() / 1000);
const token = (claims: object, key = secret): string => jsonwebtoken.sign({ sub: 'ann', iat: now() - 60, ...claims }, key);
const bearing = (presented: string) => ({ headers: { Authorization: `Bearer ${presented}` } });
const line = (presented: string): string[] => [`Authorization: Bearer ${presented}`];
const withJwt = (options: object = {}): StageTerms => ({ route: { policies: [{ use: 'jwt', secret, ...options }] } });
/** Long enough for a machine that is busy; what is awaited comes in a second or two. */
const patience = 15_000;
const longest = 40_000;

afterEach(clearStage);

describe('the end of a token', () => {
  const answers = byPath({
    '/events': { headers: { 'Grip-Hold': 'stream', 'Content-Type': 'text/plain' }, body: 'first' },
    '/joined': stream('c'),
    '/poll': { headers: { 'Grip-Hold': 'response', 'Content-Type': 'text/plain' }, body: 'nothing' },
  });

  it('ends a WebSocket with 4401, in the second that it says, and leaves the others', async () => {
    const stage = await setStage(withJwt());
    const end = now() + 4;
    const client = await stage.open('/', bearing(token({ exp: end })));
    const other = await stage.open('/', bearing(token({ exp: end + 3600 })));
    assert.deepEqual(await client.closed(patience), { code: 4401, reason: 'The token has expired.' });
    assert.ok(Date.now() >= end * 1000, 'it ended too early');
    other.send('still here');
    assert.equal(await other.nextText(), 'still here');
  }).timeout(longest);

  it('ends a stream that joined no channel, and one that did', async () => {
    const stage = await setHoldStage({ ...withJwt(), answer: answers });
    const headers = line(token({ exp: now() + 4 }));
    const [alone, joined] = [await stage.request('/events', { headers }), await stage.request('/joined', { headers })];
    for (const socket of [alone, joined]) assert.equal((await socket.takeHead()).status, 200);
    assert.equal(await takeChunk(alone), 'first');
    for (const socket of [alone, joined]) assert.equal(await takeChunk(socket, patience), '');
  }).timeout(longest);

  it('answers a held request that joined no channel with 401', async () => {
    const stage = await setHoldStage({ ...withJwt(), answer: answers });
    const socket = await stage.request('/poll', { headers: line(token({ exp: now() + 4 })) });
    assert.equal((await takeAnswer(socket, patience)).status, 401);
  }).timeout(longest);

  it('is announced to a WebSocket where the route says so', async () => {
    const stage = await setStage(withJwt({ warn: { before: '1h', text: '{"type":"expiring"}' } }));
    const client = await stage.open('/', bearing(token({ exp: now() + 60 })));
    // Less is left than that, so there is nothing to warn of any more.
    client.send('hello');
    assert.equal(await client.nextText(), 'hello');
    const early = await setStage(withJwt({ warn: { before: '1s', text: 'soon' } }));
    const warned = await early.open('/', bearing(token({ exp: now() + 5 })));
    assert.equal(await warned.nextText(patience), 'soon');
    assert.equal((await warned.closed(patience)).code, 4401);
  }).timeout(longest);
});

describe('the renewal of a token', () => {
  const form = { member: 'type', value: 'auth', token: 'token', answer: '{"type":"renewed"}' };
  const renewing = (options: object = {}): Promise<Stage> =>
    setStage(withJwt({ renewal: form, forwardClaims: { 'X-Role': 'role' }, ...options }));
  const renew = (client: Client, presented: unknown): void => client.send(JSON.stringify({ type: 'auth', token: presented }));

  it('keeps the session open beyond the end of its first token, and is not heard of by the backend', async () => {
    const stage = await renewing();
    const client = await stage.open('/', bearing(token({ exp: now() + 4, role: 'guest' })));
    const end = now() + 6;
    renew(client, token({ exp: end, role: 'admin' }));
    assert.equal(await client.nextText(), '{"type":"renewed"}');
    client.send('hello');
    assert.equal(await client.nextText(), 'hello');
    assert.equal((await client.closed(patience)).code, 4401);
    assert.ok(Date.now() >= end * 1000, 'it was closed at the end of the new token');
    const texts = stage.backend.events().flatMap((event) => (isMessage(event) ? [event.data.toString()] : []));
    assert.deepEqual(texts, ['hello']);
    assert.deepEqual(
      stage.backend.requests.slice(0, 2).map(({ headers }) => headers['x-role']),
      ['guest', 'admin'],
    );
  }).timeout(longest);

  it('replaces the token that goes on to the backend, where it stands in a header field', async () => {
    const stage = await renewing({ forward: true });
    const [first, second] = [token({ n: 1 }), token({ n: 2 })];
    const client = await stage.open('/', bearing(first));
    for (const text of ['before', 'after']) {
      client.send(text);
      assert.equal(await client.nextText(), text);
      if (text === 'before') renew(client, second);
      if (text === 'before') assert.equal(await client.nextText(), '{"type":"renewed"}');
    }
    assert.deepEqual(
      stage.backend.requests.map(({ headers }) => headers.authorization),
      [`Bearer ${first}`, `Bearer ${first}`, `Bearer ${second}`],
    );
  });

  it('may also shorten it', async () => {
    const stage = await renewing();
    const client = await stage.open('/', bearing(token({ exp: now() + 3600 })));
    renew(client, token({ exp: now() + 4 }));
    assert.equal((await client.closed(patience)).code, 4401);
  }).timeout(longest);

  const refused: readonly (readonly [what: string, presented: () => unknown])[] = [
    ['of another subject', () => token({ sub: 'bob', exp: now() + 60 })],
    ['of another issuer', () => token({ iss: 'https://other.example', exp: now() + 60 })],
    ['without a subject', () => jsonwebtoken.sign({ exp: now() + 60 }, secret)],
    ['that has expired', () => token({ exp: now() - 1 })],
    ['of the future', () => token({ nbf: now() + 60 })],
    ['signed with another key', () => token({}, 'another secret of thirty-two bytes')],
    ['without a signature', () => jsonwebtoken.sign({ sub: 'ann' }, null, { algorithm: 'none' })],
    ['that is a number', () => 1],
    ['that is empty', () => ''],
    ['that is too long', () => 'x'.repeat(9000)],
  ];
  for (const [what, presented] of refused) {
    it(`ends the session with 4401 for a token ${what}`, async () => {
      const stage = await renewing();
      const client = await stage.open('/', bearing(token({ exp: now() + 60 })));
      renew(client, presented());
      assert.equal((await client.closed()).code, 4401);
      assert.deepEqual(
        stage.backend.events().filter((event) => isMessage(event)),
        [],
      );
    });
  }

  it('is not for who came without a token', async () => {
    const stage = await renewing({ required: false });
    const client = await stage.open();
    renew(client, token({ exp: now() + 60 }));
    assert.equal((await client.closed()).code, 4401);
  });

  it('leaves all other messages to the backend', async () => {
    const stage = await renewing();
    const client = await stage.open('/', bearing(token({ exp: now() + 60 })));
    for (const text of ['{"type":"other","auth":1}', '{"type":"auth"', '["auth"]', '"auth"', '{"type":["auth"]}', 'auth']) {
      client.send(text);
      assert.equal(await client.nextText(), text);
    }
    const binary = Buffer.from('{"type":"auth","token":"x"}');
    client.send(binary);
    assert.deepEqual((await client.next()).data, binary);
  });
});

describe('renewal by the control API', () => {
  const renew = async (stage: Stage, cid: string, presented: string): Promise<readonly [number, string]> => {
    const body = JSON.stringify({ cid, token: presented });
    const response = await fetch(`${stage.controlUrl}/renew`, { method: 'POST', body });
    const { detail = '', message = detail } = (await response.json()) as { readonly detail?: string; readonly message?: string };
    return [response.status, message];
  };
  const onlyId = async ({ controlUrl }: Stage): Promise<string> => {
    const sessions = (await (await fetch(`${controlUrl}/connections`)).json()) as readonly { readonly id: string }[];
    assert.equal(sessions.length, 1);
    return sessions[0]?.id ?? '';
  };

  it('keeps a WebSocket beyond the end of its first token, and the backend gets the new one', async () => {
    const stage = await setStage(withJwt({ forward: true }));
    const end = now() + 4;
    const client = await stage.open('/', bearing(token({ exp: end })));
    const later = token({ exp: now() + 3600 });
    assert.deepEqual(await renew(stage, await onlyId(stage), later), [200, 'Renewed']);
    await eventually(() => now() >= end + 1, patience);
    client.send('still here');
    assert.equal(await client.nextText(), 'still here');
    assert.equal(stage.backend.requests.at(-1)?.headers['authorization'], `Bearer ${later}`);
  }).timeout(longest);

  it('may also shorten it, and moves the end of a held stream', async () => {
    const stage = await setHoldStage({ ...withJwt(), answer: byPath({ '/events': stream('c') }) });
    const socket = await stage.request('/events', { headers: line(token({ exp: now() + 3600 })) });
    await socket.takeHead();
    await stage.joined('c', 1);
    assert.equal((await renew(stage, await onlyId(stage), token({ exp: now() + 2 })))[0], 200);
    assert.equal(await takeChunk(socket, patience), '');
  }).timeout(longest);

  it('refuses what the handshake would refuse, another subject and what was revoked, and the session goes on', async () => {
    const stage = await setStage(withJwt());
    const client = await stage.open('/', bearing(token({ exp: now() + 3600 })));
    const id = await onlyId(stage);
    await fetch(`${stage.controlUrl}/revoke`, { method: 'POST', body: '{"jti":"gone"}' });
    const refused: readonly (readonly [presented: string, why: RegExp])[] = [
      [token({ exp: now() - 10 }), /expired/],
      [token({ exp: now() + 10 }, 'another secret of thirty-two bytes'), /signature/],
      [token({ sub: 'eve', exp: now() + 10 }), /another subject/],
      [token({ iss: 'another', exp: now() + 10 }), /another subject/],
      [token({ jti: 'gone', exp: now() + 10 }), /revoked/],
      ['planted-token', /malformed/],
    ];
    for (const [presented, why] of refused) {
      const [status, detail] = await renew(stage, id, presented);
      assert.equal(status, 422, detail);
      assert.match(detail, why);
      assert.ok(!detail.includes(presented));
    }
    client.send('still here');
    assert.equal(await client.nextText(), 'still here');
  });

  it('is not for sessions that came without a token, nor for those that are not there', async () => {
    const stage = await setStage(withJwt({ required: false }));
    await stage.open();
    assert.equal((await renew(stage, await onlyId(stage), token({})))[0], 409);
    assert.equal((await renew(stage, 'nobody', token({})))[0], 404);
  });
});

describe('the claims of a token', () => {
  const fields = { 'X-User': 'sub', 'X-Roles': 'roles', 'X-Age': 'age' };

  it('reach the backend in place of what the client says, in any spelling', async () => {
    const stage = await setHoldStage({ ...withJwt({ forwardClaims: fields }), answer: () => ({ body: 'ok' }) });
    const headers = ['x-user: root', 'X_USER: root', 'X-USER: root', 'X_Age: 99', 'X-Roles: admin'];
    const socket = await stage.request('/', { headers: [...headers, ...line(token({ sub: 'Łukasz', roles: ['a', 'b'] }))] });
    assert.equal((await takeAnswer(socket)).status, 200);
    const { rawHeaders } = stage.backend.requests[0] ?? assert.fail('no request');
    const seen = rawHeaders.flatMap((name, i) =>
      i % 2 === 0 && /^x[-_](user|age|roles)$/i.test(name) ? [name, rawHeaders[i + 1]] : [],
    );
    assert.deepEqual(seen, ['X-User', Buffer.from('Łukasz').toString('latin1'), 'X-Roles', 'a,b']);
  });

  it('go with every exchange of a WebSocket, and without a token nothing does', async () => {
    const stage = await setStage(withJwt({ forwardClaims: fields, required: false }));
    const client = await stage.open('/', { headers: { ...bearing(token({})).headers, 'X-User': 'root' } });
    client.send('hello');
    await client.nextText();
    assert.deepEqual(
      stage.backend.requests.map(({ headers }) => headers['x-user']),
      ['ann', 'ann'],
    );
    const nobody = await stage.open('/', { headers: { 'X-User': 'root' } });
    nobody.send('hello');
    await nobody.nextText();
    assert.deepEqual(
      stage.backend.requests.slice(2).map(({ headers }) => headers['x-user']),
      [undefined, undefined],
    );
  });

  const harmful: readonly (readonly [what: string, sub: unknown])[] = [
    ['a new line', 'ann\r\nX-Admin: 1'],
    ['a line feed', 'ann\nX-Admin: 1'],
    ['a NUL', 'ann\0'],
    ['a C1 control', 'ann\u0085'],
    ['a space at its end', 'ann '],
    ['half a character', 'ann\ud800'],
    ['an item with a comma', ['ann', 'a,b']],
    ['an object', { name: 'ann' }],
  ];
  for (const [what, name] of harmful) {
    it(`refuse a token where one has ${what}`, async () => {
      const stage = await setStage(withJwt({ forwardClaims: { 'X-Name': 'name' } }));
      const refusal = await refusedClient(stage.url.replace('http', 'ws'), bearing(token({ name })));
      assert.equal(refusal.status, 401);
      assert.equal(stage.backend.requests.length, 0);
    });
  }
});

describe('a revocation', () => {
  const answers = byPath({ '/events': stream('c'), '/poll': held('c'), '/': { body: 'ok' } });
  const revoke = async (stage: Stage, body: object): Promise<number> => {
    const response = await fetch(`${stage.controlUrl}/revoke`, { method: 'POST', body: JSON.stringify(body) });
    assert.equal(response.status, 200);
    return ((await response.json()) as { readonly ended: number }).ended;
  };
  const handshake = (stage: Stage): string => stage.url.replace('http', 'ws');

  it('ends the sessions of a subject of every kind, and no others', async () => {
    const stage: HoldStage = await setHoldStage({
      ...withJwt(),
      answer: (request) => (request.path === '/' ? echo(request) : answers(request)),
    });
    const ann = bearing(token({}));
    const sockets = [await stage.open('/', ann), await stage.open('/', ann)];
    const bob = await stage.open('/', bearing(token({ sub: 'bob' })));
    const events = await stage.request('/events', { headers: line(token({})) });
    await events.takeHead();
    const poll = await stage.request('/poll', { headers: line(token({})) });
    const others = await stage.request('/poll', { headers: line(token({ sub: 'bob' })) });
    await stage.joined('c', 3);
    assert.equal(await revoke(stage, { subject: 'ann' }), 4);
    for (const socket of sockets) assert.equal((await socket.closed()).code, 4401);
    assert.equal(await takeChunk(events), '');
    assert.equal((await takeAnswer(poll)).status, 401);
    bob.send('still here');
    assert.equal(await bob.nextText(), 'still here');
    await stage.answered('c', 'news');
    assert.equal((await takeAnswer(others)).body, 'news');
  });

  it('of a subject refuses what was issued before, and takes what is issued after', async () => {
    const stage = await setStage(withJwt());
    const time = now() - 30;
    await revoke(stage, { subject: 'ann', issuedBefore: new Date(time * 1000).toISOString() });
    const refusal = await refusedClient(handshake(stage), bearing(token({ iat: time - 1 })));
    assert.deepEqual([refusal.status, JSON.parse(refusal.body).detail], [401, 'The credentials were revoked.']);
    const undated = jsonwebtoken.sign({ sub: 'ann' }, secret, { noTimestamp: true });
    assert.equal((await refusedClient(handshake(stage), bearing(undated))).status, 401);
    await stage.open('/', bearing(token({ iat: time })));
    await stage.open('/', bearing(token({ sub: 'bob', iat: time - 1 })));
  });

  it('of a token ends what came with it, and leaves the other tokens of the subject', async () => {
    const stage = await setStage(withJwt());
    const lost = await stage.open('/', bearing(token({ jti: 't1' })));
    const kept = await stage.open('/', bearing(token({ jti: 't2' })));
    assert.equal(await revoke(stage, { jti: 't1' }), 1);
    assert.deepEqual(await lost.closed(), { code: 4401, reason: 'The credentials were revoked.' });
    assert.equal((await refusedClient(handshake(stage), bearing(token({ jti: 't1' })))).status, 401);
    kept.send('hello');
    assert.equal(await kept.nextText(), 'hello');
  });

  it('ends the sessions of SockJS clients, whichever way they came', async () => {
    const { route } = withJwt();
    const stage = await setStage({ route: { ...route, sockjs: { path: '/sock' } } });
    const headers = { Authorization: `Bearer ${token({})}` };
    const framed = await stage.open('/sock/000/one/websocket', { headers });
    const poll = async (): Promise<string> => (await fetch(`${stage.url}/sock/000/two/xhr`, { method: 'POST', headers })).text();
    assert.equal(await poll(), 'o\n');
    const waiting = poll();
    assert.equal(await revoke(stage, { subject: 'ann' }), 2);
    assert.equal((await framed.closed()).code, 4401);
    assert.equal(await waiting, 'c[4401,"The credentials were revoked."]\n');
  });

  it('of a key is about keys only', async () => {
    const keyed = { use: 'api-key', keys: [{ key: 'the-key-of-ann', name: 'ann' }] };
    const stage = await setStage({ route: { policies: [keyed] } });
    const client = await stage.open('/', { headers: { 'X-API-Key': 'the-key-of-ann' } });
    assert.equal(await revoke(stage, { key: 'ann' }), 1);
    assert.equal((await client.closed()).code, 4401);
    const tokens = await setStage(withJwt());
    await tokens.open('/', bearing(token({})));
    assert.equal(await revoke(tokens, { key: 'ann' }), 0);
  });

  it('refuses a renewal with what was revoked', async () => {
    const stage = await setStage(withJwt({ renewal: { value: 'auth' } }));
    const client = await stage.open('/', bearing(token({ jti: 't2' })));
    await revoke(stage, { jti: 't1' });
    client.send(JSON.stringify({ type: 'auth', token: token({ jti: 't1' }) }));
    assert.equal((await client.closed()).code, 4401);
  });

  it('holds until the time that was given', async () => {
    const stage = await setStage(withJwt());
    await revoke(stage, { jti: 't1', until: new Date(Date.now() + 3000).toISOString() });
    assert.equal((await refusedClient(handshake(stage), bearing(token({ jti: 't1' })))).status, 401);
    await eventually(async () => {
      const response = await fetch(stage.url, bearing(token({ jti: 't1' })));
      return response.status !== 401;
    }, patience);
  }).timeout(longest);

  it('reaches a session whose backend has not answered yet', async () => {
    let answered = (): void => undefined;
    const waiting = new Promise<void>((resolve) => (answered = resolve));
    const stage = await setStage({
      ...withJwt(),
      answer: async (request) => {
        await waiting;
        return echo(request);
      },
    });
    const refusal = refusedClient(handshake(stage), bearing(token({})));
    await stage.backend.until(() => stage.backend.requests.length === 1);
    await revoke(stage, { subject: 'ann' });
    answered();
    assert.equal((await refusal).status, 401);
  });

  it('reaches a request whose hold has not begun', async () => {
    let answered = (): void => undefined;
    const waiting = new Promise<void>((resolve) => (answered = resolve));
    const stage = await setHoldStage({
      ...withJwt(),
      answer: async () => {
        await waiting;
        return stream('c');
      },
    });
    const socket = await stage.request('/', { headers: line(token({})) });
    await stage.backend.until(() => stage.backend.requests.length === 1);
    await revoke(stage, { subject: 'ann' });
    answered();
    assert.equal((await takeAnswer(socket)).status, 401);
  });

  const wrong: readonly (readonly [what: string, body: object])[] = [
    ['nothing', {}],
    ['two at once', { subject: 'ann', jti: 't1' }],
    ['an empty subject', { subject: '' }],
    ['a time that is over', { jti: 't1', until: '2020-01-01T00:00:00Z' }],
    ['a time that is none', { jti: 't1', until: 'tomorrow' }],
    ['a number', { subject: 1 }],
  ];
  for (const [what, body] of wrong) {
    it(`is refused for ${what}`, async () => {
      const stage = await setStage(withJwt());
      const response = await fetch(`${stage.controlUrl}/revoke`, { method: 'POST', body: JSON.stringify(body) });
      assert.equal(response.status, 400);
    });
  }
});

describe('tokens and keys', () => {
  it('stand in no log, no metric, no error and no printed settings', async () => {
    const lines: string[] = [];
    const note = (event: string, fields?: object): void => void lines.push(event, JSON.stringify(fields, plainErrors));
    const log: Log = { error: note, warn: note, info: note, debug: note };
    const terms: StageTerms = {
      ...withJwt({ from: { header: 'Authorization', query: 'token' }, renewal: { value: 'auth' } }),
      settings: { control: { host: '127.0.0.1', port: 0 } },
      log,
    };
    const stage = await setStage(terms);
    const planted = [token({ jti: 'planted-1' }), token({ sub: 'planted', exp: now() - 1 }), token({ jti: 'planted-2' })];
    const [good = '', expired = '', other = ''] = planted;
    const client = await stage.open(`/?token=${good}`);
    const shown: string[] = [];
    shown.push((await refusedClient(`${stage.url.replace('http', 'ws')}/?token=${expired}`)).body);
    shown.push(await (await fetch(`${stage.url}/?token=${expired}`)).text());
    const [{ id: cid }] = (await (await fetch(`${stage.controlUrl}/connections`)).json()) as [{ readonly id: string }];
    for (const one of [other, expired, `${other}x`, 5])
      shown.push(
        await (await fetch(`${stage.controlUrl}/renew`, { method: 'POST', body: JSON.stringify({ cid, token: one }) })).text(),
      );
    client.send(JSON.stringify({ type: 'auth', token: other }));
    client.send(JSON.stringify({ type: 'auth', token: `${other}x` }));
    await client.closed();
    shown.push(await (await fetch(`${stage.controlUrl}/metrics`)).text());
    shown.push(await (await fetch(`${stage.controlUrl}/connections`)).text());
    shown.push(effectiveSettings(await stageConfig(terms, [{ url: stage.backend.origin }])));
    assert.ok(lines.length > 0 && shown.every((text) => text !== ''));
    for (const text of [...lines, ...shown])
      for (const hidden of [...planted, ...planted.map((one) => one.split('.')[2] ?? one), secret])
        assert.ok(!text.includes(hidden), `${text} holds a secret`);
    assert.ok(stage.backend.requests.every(({ path }) => !path.includes('token')));
  });
});

function plainErrors(_key: string, value: unknown): unknown {
  return value instanceof Error ? { message: value.message, stack: value.stack, cause: value.cause } : value;
}

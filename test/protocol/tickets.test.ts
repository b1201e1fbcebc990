/** Tickets in URLs: given to who has proved itself, good once, for seconds, on their route, and gone from what the backend sees. */
import assert from 'node:assert/strict';
import jsonwebtoken from 'jsonwebtoken';
import type { Log } from '../../gateway/core/log.ts';
import { echo } from '../support/backend.ts';
import { refusedClient } from '../support/client.ts';
import { byPath, held, requestText, setHoldStage, stream, takeAnswer, takeChunk, type HoldStage } from './holds.ts';
import { clearStage, setStage, stageConfig, type StageTerms } from './stage.ts';

const secret = 'a secret of thirty-two bytes or more';
const now = (): number => Math.floor(Date.now() / 1000);
const token = (claims: object = {}): string =>
  jsonwebtoken.sign({ sub: 'ann', iat: now() - 60, role: 'editor', ...claims }, secret);
const patience = 15_000;
const longest = 40_000;
const policies = (options: object = {}, jwt: object = {}): object[] => [
  {
    use: 'jwt',
    secret,
    required: false,
    forwardClaims: { 'X-User': 'sub', 'X-Role': 'role' },
    renewal: { value: 'auth' },
    ...jwt,
  },
  { use: 'ticket', ...options },
];

function setTicketStage(options: object = {}, more: StageTerms = {}): Promise<HoldStage> {
  const others = byPath({ '/events': stream('c'), '/poll': held('c') });
  const answer: StageTerms['answer'] = (request) =>
    request.path.startsWith('/?') || request.path === '/' ? echo(request) : others(request);
  return setHoldStage({ route: { policies: policies(options) }, answer, ...more });
}

async function askTicket(stage: HoldStage, presented = token(), path = '/tickets'): Promise<string> {
  const socket = await stage.request(path, { method: 'POST', headers: [`Authorization: Bearer ${presented}`], body: 'x=1' });
  const { status, headers, body } = await takeAnswer(socket);
  assert.equal(status, 200, body);
  assert.equal(headers.get('content-type'), 'application/json');
  assert.equal(headers.get('cache-control'), 'no-store');
  const { ticket, expiresIn } = JSON.parse(body) as { readonly ticket: string; readonly expiresIn: number };
  assert.equal(typeof expiresIn, 'number');
  assert.match(ticket, /^[\w-]{43,}$/);
  return ticket;
}

const socketUrl = (stage: HoldStage): string => stage.url.replace('http', 'ws');

afterEach(clearStage);

describe('a ticket', () => {
  it('opens a WebSocket as who asked for it, and does not reach the backend', async () => {
    const stage = await setTicketStage();
    const ticket = await askTicket(stage);
    assert.equal(stage.backend.requests.length, 0);
    const client = await stage.open(`/?room=1&ticket=${ticket}`);
    client.send('hello');
    assert.equal(await client.nextText(), 'hello');
    for (const { path, headers } of stage.backend.requests)
      assert.deepEqual([path, headers['x-user'], headers['x-role']], ['/?room=1', 'ann', 'editor']);
    const [session] = (await (await fetch(`${stage.controlUrl}/connections`)).json()) as [{ readonly subject: string }];
    assert.equal(session.subject, 'ann');
  });

  it('opens an event stream and a long-poll', async () => {
    const stage = await setTicketStage();
    const events = await stage.request(`/events?ticket=${await askTicket(stage)}`);
    assert.equal((await events.takeHead()).status, 200);
    const poll = await stage.request(`/poll?ticket=${await askTicket(stage)}`);
    await stage.joined('c', 2);
    await stage.item('c', { 'http-stream': { content: 'one' }, 'http-response': { body: 'two' } });
    assert.equal(await takeChunk(events), 'one');
    assert.equal((await takeAnswer(poll)).body, 'two');
    assert.deepEqual(
      stage.backend.requests.map(({ path }) => path),
      ['/events', '/poll'],
    );
  });

  it('is good once, for whatever it was used', async () => {
    const stage = await setTicketStage();
    const ticket = await askTicket(stage);
    await stage.open(`/?ticket=${ticket}`);
    const again = await refusedClient(`${socketUrl(stage)}/?ticket=${ticket}`);
    assert.deepEqual([again.status, JSON.parse(again.body).detail], [401, 'The ticket was used before.']);
    assert.equal((await takeAnswer(await stage.request(`/events?ticket=${ticket}`))).status, 401);
  });

  it('is good for one of many that bring it at the same moment', async () => {
    const stage = await setTicketStage();
    const ticket = await askTicket(stage);
    const sockets = await Promise.all(Array.from({ length: 20 }, () => stage.connect()));
    for (const socket of sockets) socket.send(requestText(`/events?ticket=${ticket}`));
    const statuses = await Promise.all(sockets.map(async (socket) => (await socket.takeHead()).status));
    assert.deepEqual(
      [200, 401].map((status) => statuses.filter((one) => one === status).length),
      [1, 19],
    );
  });

  it('is good over a reload in the middle of connections, and what was used stays used', async () => {
    const options = { secret };
    const stage = await setTicketStage(options);
    const [used, unused] = [await askTicket(stage), await askTicket(stage)];
    const before = await stage.open(`/?ticket=${used}`);
    const next = await stageConfig({ route: { policies: policies(options) } }, [{ url: stage.backend.origin }]);
    assert.deepEqual(await stage.foregate.reload(next), { routes: 1, kept: 1, drained: 0 });
    const after = await stage.open(`/?ticket=${unused}`);
    for (const client of [before, after]) {
      client.send('hello');
      assert.equal(await client.nextText(), 'hello');
    }
    assert.equal((await refusedClient(`${socketUrl(stage)}/?ticket=${used}`)).status, 401);
  });

  it('expires', async () => {
    const stage = await setTicketStage({ lifetime: '1s' });
    const ticket = await askTicket(stage);
    await new Promise((resolve) => setTimeout(resolve, 1100));
    const refusal = await refusedClient(`${socketUrl(stage)}/?ticket=${ticket}`);
    assert.deepEqual([refusal.status, JSON.parse(refusal.body).detail], [401, 'The ticket has expired.']);
  });

  it('ends its session with the token that it was asked for with', async () => {
    const stage = await setTicketStage();
    const brief = token({ exp: now() + 5 });
    const client = await stage.open(`/?ticket=${await askTicket(stage, brief)}`);
    const events = await stage.request(`/events?ticket=${await askTicket(stage, brief)}`);
    await events.takeHead();
    assert.equal((await client.closed(patience)).code, 4401);
    assert.equal(await takeChunk(events, patience), '');
  }).timeout(longest);

  it('gives a session whose token can be renewed', async () => {
    const stage = await setTicketStage();
    const client = await stage.open(`/?ticket=${await askTicket(stage, token({ exp: now() + 4 }))}`);
    const end = now() + 6;
    client.send(JSON.stringify({ type: 'auth', token: token({ exp: end }) }));
    assert.equal((await client.closed(patience)).code, 4401);
    assert.ok(Date.now() >= end * 1000);
  }).timeout(longest);

  it('is worth nothing when who asked for it has been revoked', async () => {
    const stage = await setTicketStage();
    const ticket = await askTicket(stage);
    const body = JSON.stringify({ subject: 'ann' });
    assert.equal((await fetch(`${stage.controlUrl}/revoke`, { method: 'POST', body })).status, 200);
    assert.equal((await refusedClient(`${socketUrl(stage)}/?ticket=${ticket}`)).status, 401);
    const socket = await stage.request('/tickets', { method: 'POST', headers: [`Authorization: Bearer ${token()}`] });
    assert.equal((await takeAnswer(socket)).status, 401);
  });

  it('is given to nobody who has not proved itself, nor for another ticket', async () => {
    const stage = await setTicketStage();
    const ticket = await askTicket(stage);
    for (const path of ['/tickets', `/tickets?ticket=${ticket}`, '/tickets?x=1'])
      assert.equal((await takeAnswer(await stage.request(path, { method: 'POST' }))).status, 401, path);
    const headers = ['Authorization: Bearer abc'];
    assert.equal((await takeAnswer(await stage.request('/tickets', { method: 'POST', headers }))).status, 401);
    assert.equal(stage.backend.requests.length, 0);
    await stage.open(`/?ticket=${ticket}`);
  });

  it('is needed by who has no other credential, and only by those', async () => {
    const stage = await setTicketStage();
    assert.equal((await refusedClient(socketUrl(stage))).status, 401);
    const headers = { Authorization: `Bearer ${token()}` };
    await stage.open('/', { headers });
    await stage.open(`/?ticket=${await askTicket(stage)}`, { headers });
    const mixed = `${socketUrl(stage)}/?ticket=${await askTicket(stage, token({ sub: 'bob' }))}`;
    assert.equal((await refusedClient(mixed, { headers })).status, 401);
  });

  it('leaves other methods and paths to the backend', async () => {
    const stage = await setTicketStage({ path: '/chat/tickets' });
    const headers = [`Authorization: Bearer ${token()}`];
    for (const [method, path] of [
      ['GET', '/chat/tickets'],
      ['POST', '/tickets'],
      ['POST', '/chat/tickets/'],
    ] as const)
      assert.equal((await takeAnswer(await stage.request(path, { method, headers }))).status, 404);
    assert.equal(stage.backend.requests.length, 3);
    assert.ok(await askTicket(stage, token(), '/chat/tickets?x=1'));
  });

  it('is refused if anything of it was changed, or was never a ticket', async () => {
    const stage = await setTicketStage();
    const ticket = await askTicket(stage);
    const flip = (at: number): string => ticket.slice(0, at) + (ticket[at] === 'A' ? 'B' : 'A') + ticket.slice(at + 1);
    const wrong = [
      flip(0),
      flip(30),
      flip(ticket.length - 3),
      ticket.slice(0, -4),
      `${ticket}AAAA`,
      `${ticket}=`,
      'abc',
      '',
      'x'.repeat(9000),
    ];
    for (const text of wrong) assert.equal((await refusedClient(`${socketUrl(stage)}/?ticket=${text}`)).status, 401, text);
    assert.equal((await refusedClient(`${socketUrl(stage)}/?ticket=${ticket}&ticket=${ticket}`)).status, 401);
    await stage.open(`/?ticket=${ticket}`);
  });

  it('is good on the route that gave it', async () => {
    const shared = { policies: policies() };
    const stage = await setTicketStage();
    const other = await setHoldStage({ route: { id: 'other', ...shared } });
    assert.equal((await refusedClient(`${socketUrl(other)}/?ticket=${await askTicket(stage)}`)).status, 401);
  });

  it('is good at another process that has the secret, and at none with another', async () => {
    const stage = await setTicketStage({ secret: 'x'.repeat(32) });
    const same = await setTicketStage({ secret: 'x'.repeat(32) });
    const different = await setTicketStage({ secret: 'y'.repeat(32) });
    const ticket = await askTicket(stage);
    assert.equal((await refusedClient(`${socketUrl(different)}/?ticket=${ticket}`)).status, 401);
    await same.open(`/?ticket=${ticket}`);
  });

  it('stands in no log and no list, and says nothing of its token', async () => {
    const lines: string[] = [];
    const note = (event: string, fields?: object): void => void lines.push(event, JSON.stringify(fields) ?? '');
    const log: Log = { error: note, warn: note, info: note, debug: note };
    const stage = await setTicketStage({}, { log });
    const presented = token({ planted: 'planted-claim' });
    const ticket = await askTicket(stage, presented);
    assert.ok(!Buffer.from(ticket, 'base64url').includes('planted'));
    const client = await stage.open(`/?ticket=${ticket}`);
    const refusal = await refusedClient(`${socketUrl(stage)}/?ticket=${ticket}`);
    await client.close();
    for (const path of ['/metrics', '/connections', '/stats']) lines.push(await (await fetch(stage.controlUrl + path)).text());
    for (const text of [...lines, refusal.body, JSON.stringify(refusal.headers)])
      for (const hidden of [ticket, presented, 'planted']) assert.ok(!text.includes(hidden), text);
  });

  it('is refused for a token with more claims than a URL has room for', async () => {
    // The longest token there may be; its ticket is a little longer.
    const stage = await setTicketStage();
    const headers = [`Authorization: Bearer ${token({ blob: 'x'.repeat(6005) })}`];
    const socket = await stage.request('/tickets', { method: 'POST', headers });
    assert.equal((await takeAnswer(socket)).status, 400);
  });
});

describe('an answer of a policy itself', () => {
  const reply = { status: 418, reason: '', headers: ['X-Own', '1'], body: Buffer.from('tea') };
  const policy = { connect: () => ({ kind: 'answer' as const, reply }) };

  it('is what a plain request and a handshake get, and nothing goes downstream', async () => {
    const stage = await setStage({ policy });
    const response = await fetch(stage.url);
    assert.deepEqual([response.status, response.headers.get('x-own'), await response.text()], [418, '1', 'tea']);
    const refusal = await refusedClient(stage.url.replace('http', 'ws'));
    assert.deepEqual([refusal.status, refusal.headers['x-own'], refusal.body], [418, '1', 'tea']);
    assert.equal(stage.backend.requests.length, 0);
  });
});

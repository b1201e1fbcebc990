/** Who the caller is, read back from replies of the gateway behind (`adapter.identity`). */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';
import type { Policy } from '../../gateway/core/policy.ts';
import { silentLog } from '../../gateway/core/log.ts';
import type { Identity } from '../../gateway/core/session.ts';
import { echo, reply, type BackendRequest } from '../support/backend.ts';
import { refusedClient, type Client } from '../support/client.ts';
import { held, setHoldStage, stream, takeAnswer } from './holds.ts';
import { clearStage, eventually, isOpening, onClear, setStage, type Stage, type StageTerms } from './stage.ts';

const identity = { subject: 'X-Caller', groups: 'X-Caller-Groups', claims: { plan: 'X-Caller-Plan' } };
const adapter = { use: 'kong', identity };

describe('the identity that replies tell', () => {
  afterEach(clearStage);

  it('is that of the session: in lists, the log and policies, with groups and claims', async () => {
    const lines: unknown[] = [];
    const seen: (Identity | undefined)[] = [];
    const stage = await setTold(() => ({ 'X-Caller': 'ann', 'X-Caller-Groups': 'a, b,,a', 'X-Caller-Plan': 'gold' }), {
      policy: { message: (session) => void seen.push(session.identity) },
      route: { adapter, log: { connections: true } },
      log: { ...silentLog, info: (event, fields) => void (event === 'connection.closed' && lines.push(fields?.['subject'])) },
    });
    const client = await stage.open();
    assert.deepEqual(await subjects(stage), ['ann']);
    await said(client);
    assert.deepEqual(seen, [{ subject: 'ann', by: 'adapter kong', claims: { plan: 'gold', groups: ['a', 'b'] } }]);
    await client.close();
    await eventually(() => lines.length === 1);
    assert.deepEqual(lines, ['ann']);
  });

  it('neither comes from clients nor goes to them', async () => {
    const stage = await setTold(() => ({ 'X-Caller': 'ann', X_Caller_Plan: 'gold', 'X-Other': 'seen' }));
    const { headers } = await stage.open('/', { headers: { 'X-Caller': 'admin', x_caller_groups: 'admin' } });
    assert.deepEqual([headers['x-caller'], headers['x_caller_plan'], headers['x-other']], [undefined, undefined, 'seen']);
    stage.backend.answer = () => ({ status: 403, headers: { 'X-Caller': 'ann', 'X-Other': 'seen' }, body: 'no' });
    const refusal = await refusedClient(stage.url.replace('http', 'ws'));
    assert.deepEqual([refusal.headers['x-caller'], refusal.headers['x-other']], [undefined, 'seen']);
    const plain = await fetch(stage.url, { headers: { x_caller: 'admin' } });
    assert.deepEqual([plain.headers.get('x-caller'), plain.headers.get('x-other')], [null, 'seen']);
    for (const request of stage.backend.requests)
      assert.deepEqual(
        Object.keys(request.headers).filter((name) => name.includes('caller')),
        [],
      );
  });

  it('may change with a later reply; one that is silent, or says two things, takes nothing back', async () => {
    const told: Record<string, string | string[]>[] = [
      { 'X-Caller': 'ann' },
      {},
      { 'X-Caller': ['eve', 'bob'] },
      { 'X-Caller': 'bob' },
    ];
    const stage = await setTold(() => told.shift() ?? {});
    const client = await stage.open();
    const found: unknown[] = [];
    for (let i = 0; i < 4; i += 1) {
      found.push(...(await subjects(stage)));
      await said(client);
    }
    assert.deepEqual(found, ['ann', 'ann', 'ann', 'bob']);
  });

  it('adds to what a policy vouches for, and takes nothing of it away', async () => {
    const seen: (Identity | undefined)[] = [];
    const groups = ['a', 'b'];
    const stage = await setTold(() => ({ 'X-Caller': 'eve', 'X-Caller-Plan': 'gold', 'X-Caller-Groups': groups.shift() ?? '' }), {
      policy: {
        connect: (session) => void (session.identity = { subject: 'ann', by: 'jwt', claims: { plan: 'free' } }),
        message: (session) => void seen.push(session.identity),
      },
    });
    const client = await stage.open();
    await said(client);
    await said(client);
    assert.deepEqual(await subjects(stage), ['ann']);
    assert.deepEqual(seen, [
      { subject: 'ann', by: 'jwt', claims: { plan: 'free', groups: ['a'] } },
      { subject: 'ann', by: 'jwt', claims: { plan: 'free', groups: ['b'] } },
    ]);
  });

  it('is asked about by revocations: at the handshake, with a later reply, and while the session lasts', async () => {
    let name = 'ann';
    const stage = await setTold(() => ({ 'X-Caller': name }));
    const [lasting, changing] = [await stage.open(), await stage.open()];
    name = 'bob';
    await said(changing);
    await revoke(stage, 'ann');
    assert.equal((await lasting.closed()).code, 4401);
    assert.deepEqual(await subjects(stage), ['bob']);
    name = 'ann';
    changing.send('hello');
    assert.deepEqual(await changing.closed(), { code: 4401, reason: 'The credentials were revoked.' });
    assert.equal((await refusedClient(stage.url.replace('http', 'ws'))).status, 401);
  });

  it('is whom limits count', async () => {
    const policies = [{ use: 'rate-limit', messages: 2, window: '1h', by: 'subject', over: 'answer' }];
    const stage = await setTold(({ path }) => ({ 'X-Caller': path.slice(1) }), { route: { adapter, policies } });
    const [one, two, other] = [await stage.open('/ann'), await stage.open('/ann'), await stage.open('/bob')];
    await said(one);
    await said(two);
    one.send('more');
    assert.match(await one.nextText(), /rate-limited/);
    await said(other);
  });

  it('is nobody, where the reply is a refusal or came from a cache', async () => {
    const stage = await setTold(() => ({ 'X-Caller': 'ann', Age: '5' }), { route: { adapter, onFault: { forbidden: 'drop' } } });
    const client = await stage.open();
    assert.deepEqual(await subjects(stage), [undefined]);
    stage.backend.answer = () => ({ status: 403, headers: { 'X-Caller': 'ann' } });
    client.send('refused');
    await eventually(() => stage.backend.requests.length === 2);
    stage.backend.answer = echo;
    await said(client);
    assert.deepEqual(await subjects(stage), [undefined]);
  });

  it('is told by holds, and hidden from their clients', async () => {
    const stage = await setHoldStage({
      route: { adapter },
      answer: ({ path }) => (path === '/poll' ? held : stream)('c', { 'X-Caller': path.slice(1), 'X-Other': 'seen' }),
    });
    const streaming = await stage.request('/stream');
    const polling = await stage.request('/poll');
    await stage.joined('c', 2);
    assert.deepEqual(new Set(await subjects(stage)), new Set(['poll', 'stream']));
    const { headers } = await streaming.takeHead();
    assert.deepEqual([headers.get('x-caller'), headers.get('x-other')], [undefined, 'seen']);
    await revoke(stage, 'poll');
    assert.equal((await takeAnswer(polling)).status, 401);
    assert.equal((await takeAnswer(await stage.request('/poll'))).status, 401);
  });

  it('is told by the handshake of a WebSocket backend', async () => {
    const sockets = new WebSocketServer({ host: '127.0.0.1', port: 0 });
    onClear(() => {
      for (const socket of sockets.clients) socket.terminate();
      sockets.close();
    });
    await once(sockets, 'listening');
    sockets.on('headers', (lines) => void lines.push('X-Caller: ann', 'X-Other: seen'));
    const { port } = sockets.address() as AddressInfo; // A TCP server has no other kind of address.
    const stage = await setStage({ targets: [{ url: `ws://127.0.0.1:${port}` }], route: { adapter } });
    const { headers } = await stage.open();
    assert.deepEqual([headers['x-caller'], headers['x-other']], [undefined, 'seen']);
    assert.deepEqual(await subjects(stage), ['ann']);
  });
});

describe('the caller that requests name (`adapter.consumer`)', () => {
  afterEach(clearStage);
  const route = { adapter: { use: 'kong', credentials: 'replace', secret: 's', consumer: 'X-App-User' } };

  it('is the one whom the policies know by now', async () => {
    const names = ['ann', 'bob'];
    const rename = (session: { identity: Identity | undefined }): undefined => {
      session.identity = { subject: names.shift() ?? '', by: 'of-the-test' };
    };
    const stage = await setStage({ route, policy: { connect: rename, message: rename } });
    await said(await stage.open());
    assert.deepEqual(
      stage.backend.requests.map(({ headers }) => headers['x-app-user']),
      ['ann', 'bob'],
    );
  });

  it('ends the session where they know none any more', async () => {
    const stage = await setStage({
      route,
      policy: {
        connect: (session) => void (session.identity = { subject: 'ann', by: 'of-the-test' }),
        message: (session) => void (session.identity = undefined),
        disconnect: () => undefined,
      },
    });
    const client = await stage.open();
    client.send('hello');
    assert.equal((await client.closed()).code, 4401);
    assert.equal(stage.backend.events().filter(({ kind }) => kind === 'text').length, 0);
  });
});

type Told = (request: BackendRequest) => Readonly<Record<string, string | string[]>>;

/** A gateway that sends events back with these fields, and everything else with an empty answer. */
function setTold(told: Told, terms: Omit<StageTerms, 'answer'> & { readonly policy?: Policy } = {}): Promise<Stage> {
  return setStage({
    route: { adapter },
    ...terms,
    answer: (request) => {
      const events = request.events.filter(({ kind }) => kind === 'text' || kind === 'close' || isOpening(request));
      const { headers, ...rest } = reply(events);
      return { ...rest, headers: { ...headers, ...told(request) } };
    },
  });
}

async function said(client: Client): Promise<void> {
  client.send('hello');
  assert.equal(await client.nextText(), 'hello');
}

/** Of all sessions, as `GET /connections` has them. */
async function subjects({ controlUrl }: Stage): Promise<unknown[]> {
  const sessions: unknown = await (await fetch(`${controlUrl}/connections?limit=1000`)).json();
  assert.ok(Array.isArray(sessions));
  return sessions.map((session: { readonly subject?: string }) => session.subject);
}

async function revoke({ controlUrl }: Stage, subject: string): Promise<void> {
  const response = await fetch(`${controlUrl}/revoke`, { method: 'POST', body: JSON.stringify({ subject }) });
  assert.ok(response.ok, await response.text());
}

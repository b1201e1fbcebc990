import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createGateway, type GatewayTerms } from '../../examples/gateway/gateway.ts';
import type { LogEntry } from '../../examples/gateway/request-log.ts';
import { listen, sendEvents, stopServers, text } from '../backend/event-request.ts';
import { startBackend, type Backend } from '../support/backend.ts';

describe('the gateway stand-in', () => {
  let backend: Backend;
  beforeEach(async () => {
    backend = await startBackend();
  });
  afterEach(async () => {
    await stopServers();
    await backend.stop();
  });

  const start = (terms: Partial<GatewayTerms> = {}): Promise<string> =>
    listen(createGateway({ backend: backend.origin, ...terms }));
  const key = { apikey: 'demo-alice' };

  it('passes a request with a key on, with the name of the caller and without the key', async () => {
    const origin = await start();
    await sendEvents(`${origin}/chat?a=1&apikey=ignored&b=%2F`, [text('hi')], {
      headers: { ...key, 'x-consumer-username': 'root' },
    });
    const answer = await sendEvents(`${origin}/chat?apikey=demo-bob`, [{ kind: 'open' }]);
    assert.deepEqual(answer.events, ['open']);
    const [first, second] = backend.requests;
    assert.deepEqual(
      [first?.path, first?.headers['x-consumer-username'], first?.headers['apikey']],
      ['/chat?a=1&b=%2F', 'alice', undefined],
    );
    assert.deepEqual([second?.path, second?.headers['x-consumer-username']], ['/chat', 'bob']);
  });

  it('refuses a request without a key, or with one it does not know', async () => {
    const origin = await start();
    const none = await fetch(`${origin}/chat`);
    assert.equal(none.status, 401);
    assert.equal(none.headers.get('www-authenticate'), 'Key realm="demo"');
    assert.deepEqual(await none.json(), { message: 'No API key found in request' });
    for (const wrong of ['demo-nobody', 'toString', '']) {
      const { status } = await fetch(`${origin}/chat?apikey=${wrong}`);
      assert.equal(status, 401);
    }
    assert.equal((await fetch(`${origin}/chat?apikey=demo-alice&apikey=demo-bob`)).status, 401);
    assert.equal(backend.requests.length, 0);
  });

  it('counts each key for itself, says what is left, and takes requests again after the window', async () => {
    const origin = await start({ limit: 2, windowMs: 150 });
    const call = (apikey: string): Promise<Response> => fetch(`${origin}/x`, { headers: { apikey } });
    const first = await call('demo-alice');
    assert.deepEqual(
      [first.status, first.headers.get('ratelimit-limit'), first.headers.get('ratelimit-remaining')],
      [200, '2', '1'],
    );
    await call('demo-alice');
    const refused = await call('demo-alice');
    assert.deepEqual(
      [refused.status, refused.headers.get('retry-after'), refused.headers.get('ratelimit-remaining')],
      [429, '1', '0'],
    );
    assert.deepEqual(await refused.json(), { message: 'API rate limit exceeded' });
    assert.equal((await call('demo-bob')).status, 200);
    await new Promise((resolve) => setTimeout(resolve, 160));
    assert.equal((await call('demo-alice')).status, 200);
  });

  it('answers 502 where the backend is away', async () => {
    const origin = await start();
    await backend.stop();
    assert.equal((await fetch(`${origin}/x`, { headers: key })).status, 502);
    backend = await startBackend();
  });

  it('passes an answer on as it comes', async () => {
    const origin = await start();
    backend.answer = ({ response }) => {
      response.writeHead(200, { 'Content-Type': 'text/event-stream' });
      response.write('data: 1\n\n');
      return undefined;
    };
    const answer = await fetch(`${origin}/x`, { headers: key });
    const reader = answer.body?.getReader();
    assert.equal(Buffer.from((await reader?.read())?.value ?? []).toString(), 'data: 1\n\n');
    await reader?.cancel();
  });

  it('notes what it saw, without keys', async () => {
    const origin = await start({ limit: 1 });
    await sendEvents(`${origin}/chat?apikey=demo-alice`, [text('hi'), { kind: 'close', code: 1000, reason: '' }]);
    await sendEvents(`${origin}/chat?apikey=demo-alice`, [text('again')]);
    await fetch(`${origin}/other`);
    const entries = await logged(origin, 3);
    assert.deepEqual(
      entries.map(({ n, method, path, consumer, connection, bytes, status, verdict }) => [
        n,
        method,
        path,
        consumer,
        connection,
        bytes,
        status,
        verdict,
      ]),
      [
        [1, 'POST', '/chat', 'alice', 'connection-1', 25, 200, 'forwarded'],
        [2, 'POST', '/chat', 'alice', 'connection-1', 15, 429, 'rate limited'],
        [3, 'GET', '/other', null, null, 0, 401, 'no key'],
      ],
    );
    assert.deepEqual(
      entries[0]?.events.map(({ line }) => line),
      ['TEXT 2', 'CLOSE 2'],
    );
    assert.deepEqual(entries[1]?.events, [{ line: 'TEXT 5', content: 'again' }]);
    assert.doesNotMatch(JSON.stringify(entries), /demo-/);
    assert.equal((await logged(origin, 1, 2))[0]?.n, 3);
  });

  it('keeps the last 200 requests', async () => {
    const origin = await start({ limit: 1000 });
    for (let i = 0; i < 21; i += 1) await Promise.all(Array.from({ length: 10 }, () => fetch(`${origin}/x`, { headers: key })));
    const entries = await logged(origin, 200);
    assert.deepEqual([entries.length, entries[0]?.n], [200, 11]);
  });

  it('serves its log as an event stream, what was missed first', async () => {
    const origin = await start();
    await fetch(`${origin}/one`, { headers: key });
    await logged(origin, 1);
    const stream = await fetch(`${origin}/_log`, { headers: { accept: 'text/event-stream' } });
    assert.equal(stream.headers.get('content-type'), 'text/event-stream');
    const reader = stream.body?.getReader();
    let received = '';
    const until = async (pattern: RegExp): Promise<void> => {
      while (!pattern.test(received)) received += Buffer.from((await reader?.read())?.value ?? []).toString();
    };
    await until(/id: 1\ndata: .*"path":"\/one"/);
    await fetch(`${origin}/two`, { headers: key });
    await until(/id: 2\ndata: .*"path":"\/two"/);
    await reader?.cancel();
  });

  it('serves pages without a key, and nothing outside their folder', async () => {
    const origin = await start({ pages: 'examples/demo/page' });
    assert.match(await (await fetch(`${origin}/`)).text(), /Foregate demo/);
    assert.equal((await fetch(`${origin}/..%2fforegate.yaml`)).status, 401); // As any other address.
  });

  it('goes on when a client leaves before the answer', async () => {
    const origin = await start();
    let arrived: (() => void) | undefined;
    const arrival = new Promise<void>((resolve) => (arrived = resolve));
    backend.answer = ({ response }) => {
      arrived?.();
      void once(response, 'close');
      return undefined;
    };
    const leaving = new AbortController();
    const call = fetch(`${origin}/x`, { headers: key, signal: leaving.signal }).catch(() => 'left');
    await arrival;
    leaving.abort();
    assert.equal(await call, 'left');
    backend.answer = () => ({ status: 204 });
    assert.equal((await fetch(`${origin}/x`, { headers: key })).status, 204);
  });
});

/** The log once it has so many entries: an entry is written when its request is over, which is just after its answer. */
async function logged(origin: string, count: number, since = 0): Promise<LogEntry[]> {
  for (let i = 0; i < 100; i += 1) {
    const { entries } = (await (await fetch(`${origin}/_log?since=${since}`)).json()) as { entries: LogEntry[] };
    if (entries.length >= count) return entries;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error('The log stayed short.');
}

/** What exported configurations do with hosts, keys in the query, clients that nobody trusts, and requests that are no events. */
import assert from 'node:assert/strict';
import { request as httpRequest } from 'node:http';
import { text } from 'node:stream/consumers';
import { stringify } from 'yaml';
import { startBackend, type Backend } from '../support/backend.ts';
import { startExported, type ExportedProxy, type ProxyName } from './exported.ts';

const key = 'a+b/c=%&d';

/** Paths of any characters that the program compares as they are. */
const oddPaths: Readonly<Record<ProxyName, string>> = {
  nginx: `/o;d'"$(x)\\|^{}ab[]<>*+~@!&=,:`,
  haproxy: `/o;d'"$(x)\\|^{}ab[]<>*+~@!&=,:`,
  caddy: `/o;d'$(x)ab[]*+~@!&=,:`,
};

interface Sent {
  readonly status: number;
  readonly body: string;
  readonly retryAfter: string | undefined;
}

function settings(name: ProxyName, backend: string, origin: string): string {
  const route = (id: string, match: object, more: object): object => ({
    id,
    match,
    target: origin,
    adapter: { use: name, gateway: { backend: `${backend}/${id}`, auth: 'none', ...more } },
  });
  const callers = [{ name: 'alice', key }];
  const events = ['websocket'];
  return stringify({
    listen: [{ host: '127.0.0.1', port: 0 }],
    control: { host: '127.0.0.1', port: 0 },
    routes: [
      route(
        'events',
        { path: '/shared', transports: events },
        { limits: name === 'caddy' ? [] : [{ count: 2, window: '2m', by: 'route' }] },
      ),
      route('plain', { path: '/shared/', host: 'a.example' }, {}),
      route('rest', { path: '/shared/rest' }, {}),
      route('wild', { host: '*.wild.example' }, {}),
      route(
        'query',
        { path: '/query/' },
        { auth: 'key', credential: { query: 'apikey' }, callers, hideCredential: name !== 'caddy' },
      ),
      route('odd', { path: oddPaths[name] }, {}),
      route('slow', { path: '/slow' }, { timeout: '300ms' }),
      route('address', { path: '/address' }, { limits: name === 'caddy' ? [] : [{ count: 1, window: '1m', by: 'address' }] }),
    ],
  });
}

for (const name of ['nginx', 'haproxy', 'caddy'] as const) {
  describe(`${name} on its exported rules`, () => {
    let backend: Backend;
    let proxy: ExportedProxy;

    before(async function () {
      this.timeout(20_000);
      backend = await startBackend(() => ({ body: 'ok' }));
      proxy = await startExported(name, (origin) => settings(name, backend.origin, origin));
    });
    after(async () => {
      await proxy.stop();
      await backend.stop();
    });

    function send(
      path: string,
      headers: Readonly<Record<string, string>> = {},
      method = 'GET',
      from = '127.0.0.1',
    ): Promise<Sent> {
      return new Promise((resolve, reject) => {
        const sent = httpRequest(
          { host: '127.0.0.1', port: proxy.port, path, method, headers, localAddress: from, agent: false },
          (response) => {
            const retryAfter = response.headers['retry-after'];
            text(response).then((body) => resolve({ status: response.statusCode ?? 0, body, retryAfter }), reject);
          },
        );
        sent.on('error', reject);
        sent.end();
      });
    }

    async function pathFor(path: string, headers: Readonly<Record<string, string>> = {}, method = 'GET'): Promise<string> {
      const { status } = await send(path, headers, method);
      return status === 200 ? (backend.requests.at(-1)?.path ?? '') : String(status);
    }

    const event = { 'Content-Type': 'application/websocket-events', 'Content-Length': '0' };

    it('tries hosts first, then longer paths, and passes what is no event to the next route', async () => {
      assert.equal(await pathFor('/shared', event, 'POST'), '/events/shared');
      assert.equal(await pathFor('/shared/rest'), '/rest/shared/rest');
      assert.equal(await pathFor('/shared/rest', { ...event, 'Content-Type': 'text/plain' }, 'POST'), '/rest/shared/rest');
      assert.equal(await pathFor('/shared'), '404');
      assert.equal(await pathFor('/shared/', { Host: 'a.example' }), '/plain/shared/');
      assert.equal(await pathFor('/shared/rest', { Host: 'A.example:8080' }), '/plain/shared/rest');
      assert.equal(await pathFor('/anything', { Host: 'a.b.wild.example' }), '/wild/anything');
      assert.equal(await pathFor('/anything', { Host: 'wild.example' }), '404');
      assert.equal(await pathFor('/anything', { Host: 'unknown.example' }), '404');
      assert.equal(await pathFor('/anything'), '404');
    });

    it('finds a key in the query, and takes it out where it is told to', async () => {
      const credential = `apikey=${encodeURIComponent(key)}`;
      const hidden = name !== 'caddy';
      for (const [query, rest] of [
        [credential, ''],
        [`a=1&${credential}`, 'a=1'],
        [`${credential}&b=%2F`, 'b=%2F'],
        [`a=1&${credential}&b=2&myapikey=3`, 'a=1&b=2&myapikey=3'],
      ]) {
        const expected = hidden ? (rest === '' ? '' : `?${rest}`) : `?${query}`;
        assert.equal(await pathFor(`/query/a%20b/%C3%A9?${query}`), `/query/query/a%20b/%C3%A9${expected}`);
      }
      assert.equal(backend.requests.at(-1)?.headers['x-consumer-username'], 'alice');
      assert.equal(await pathFor('/query/?apikey=wrong'), '401');
      assert.equal(await pathFor('/query/?myapikey=a'), '401');
      assert.match(await pathFor(`/query/?${credential}&apikey=x&${credential}`), /^40[01]$/);
    });

    it('has paths of any characters', async () => {
      const odd = oddPaths[name];
      assert.match(await pathFor(`${odd}er`), /^\/odd\/o;d/);
      for (const path of ['/o', "/o;d'", odd.slice(0, -1), odd.toUpperCase()]) assert.equal(await pathFor(path), '404', path);
    });

    it('does not redirect to a path with a slash', async () => {
      assert.equal(await pathFor('/query'), '404');
    });

    it('refuses paths that lead elsewhere when they are resolved, and changes no other encoding', async () => {
      for (const path of [
        '/shared/rest/../../query/x',
        '/shared/rest/%2e%2E/.%2e/query/x',
        '/shared/rest%2F..%2f..%2Fquery/x',
        '/shared/rest/..',
        '/shared/../other',
      ])
        assert.match(await pathFor(path), /^40[014]$/, path);
      const slash = await pathFor('/shared/rest/a%2Fb%3Fc%25');
      assert.equal(slash, name === 'caddy' ? '400' : '/rest/shared/rest/a%2Fb%3Fc%25');
    });

    it('takes X-Forwarded fields from Foregate, and from nobody else', async () => {
      const said = {
        'X-Forwarded-For': '192.0.2.1',
        'X-Forwarded-Proto': 'https',
        'X-Forwarded-Host': 'said.example',
        Host: 'x.wild.example',
      };
      await send('/', said);
      const trusted = backend.requests.at(-1)?.headers ?? {};
      assert.equal(String(trusted['x-forwarded-for']).replaceAll(' ', ''), '192.0.2.1,127.0.0.1');
      assert.deepEqual([trusted['x-forwarded-proto'], trusted['x-forwarded-host']], ['https', 'said.example']);
      await send('/', said, 'GET', '127.0.0.2');
      const other = backend.requests.at(-1)?.headers ?? {};
      assert.equal(other['x-forwarded-for'], '127.0.0.2');
      assert.deepEqual([other['x-forwarded-proto'], other['x-forwarded-host']], ['http', 'x.wild.example']);
    });

    it('gives up when the backend does not answer', async () => {
      backend.answer = () => undefined;
      const { status } = await send('/slow');
      backend.answer = () => ({ body: 'ok' });
      assert.ok([502, 504].includes(status), String(status));
    });

    if (name === 'caddy') return;

    it('counts for a route and for each address of a client, and says when to come again', async () => {
      assert.equal((await send('/shared', event, 'POST')).status, 200);
      const { status, retryAfter } = await send('/shared', event, 'POST');
      assert.deepEqual([status, retryAfter], [429, '60']);
      for (const address of ['192.0.2.1', '192.0.2.2']) {
        assert.equal((await send('/address', { 'X-Forwarded-For': address })).status, 200);
        assert.equal((await send('/address', { 'X-Forwarded-For': address })).status, 429);
      }
      assert.equal((await send('/address', { 'X-Forwarded-For': '192.0.2.3' }, 'GET', '127.0.0.2')).status, 200);
      assert.equal((await send('/address', { 'X-Forwarded-For': '192.0.2.4' }, 'GET', '127.0.0.2')).status, 429);
    });
  });
}

/** Foregate, a proxy on its exported configuration, unedited, and a backend: what `adapter.gateway` says is what happens. */
import assert from 'node:assert/strict';
import { stringify } from 'yaml';
import { startBackend, type Backend, type BackendRequest } from '../support/backend.ts';
import { openClient, refusedClient, type Client } from '../support/client.ts';
import { startForegate, type RunningForegate } from '../support/gateway.ts';
import { startExported, type ExportedProxy, type ProxyName } from './exported.ts';

/** Awkward in every one of the three formats. */
const awkward = `b;}$x"y'#{z}\\n~,{$HOME}`;
const keys = { header: { apikey: 'key-of-alice' }, other: { apikey: awkward } };
/** So long that no room is made for one more while a test runs. */
const limit = { count: 5, window: '5m' };

function settings(name: ProxyName, backend: string, origin: string): string {
  const gateway = {
    backend,
    credential: { header: 'apikey' },
    callers: [
      { name: 'alice', key: keys.header.apikey },
      { name: 'bob', key: awkward },
    ],
  };
  const route = (id: string, path: string, more: object, transports = ['websocket']): object => ({
    id,
    match: { path, transports },
    target: origin,
    adapter: { use: name, gateway: { ...gateway, ...more } },
  });
  return stringify({
    listen: [{ host: '127.0.0.1', port: 0 }],
    control: { host: '127.0.0.1', port: 0 },
    drain: '1s',
    routes: [
      route('chat', '/chat', name === 'caddy' ? {} : { limits: [limit] }),
      route('free', '/free', { bodyBytes: 4096 }),
      route('kept', '/kept', { hideCredential: false, backend: `${backend}/base`, stripPath: true }),
      route('open', '/open', { auth: 'none', callers: [] }, ['http']),
    ],
  });
}

for (const name of ['nginx', 'haproxy', 'caddy'] as const) {
  describe(`through ${name} on its exported configuration`, () => {
    let backend: Backend;
    let proxy: ExportedProxy;
    let foregate: RunningForegate;

    before(async function () {
      this.timeout(20_000);
      backend = await startBackend();
      proxy = await startExported(name, (origin) => settings(name, backend.origin, origin));
      foregate = await startForegate(proxy.config);
    });
    after(async () => {
      await foregate.stop();
      await proxy.stop();
      await backend.stop();
    });

    function open(path: string, headers: Readonly<Record<string, string>> = keys.header): Promise<Client> {
      return openClient(`${foregate.socketUrl}${path}`, { headers });
    }

    async function echoed(client: Client, message: string): Promise<string> {
      client.send(message);
      return client.nextText();
    }

    /** Not simply the last: that of a client before may still be on its way. */
    function arrived(path: string): BackendRequest {
      return backend.requests.findLast((request) => request.path === path) ?? assert.fail(`Nothing came to ${path}.`);
    }

    function direct(path: string, init: RequestInit = {}): Promise<Response> {
      return fetch(`${proxy.origin}${path}`, init);
    }

    const events = { method: 'POST', headers: { ...keys.header, 'Content-Type': 'application/websocket-events' } };

    it('refuses a handshake without a key, with one that is unknown, and with one in another case', async () => {
      const before = backend.requests.length;
      for (const headers of [
        {},
        { apikey: 'unknown' },
        { apikey: 'KEY-OF-ALICE' },
        { apikey: 'key-of-alice2' },
        { apikey: '' },
      ]) {
        const refusal = await refusedClient(`${foregate.socketUrl}/free`, { headers });
        assert.equal(refusal.status, 401);
      }
      const { headers, status } = await direct('/free', {
        ...events,
        headers: { 'Content-Type': events.headers['Content-Type'] },
      });
      assert.deepEqual([status, headers.get('www-authenticate')], [401, 'Key realm="api"']);
      assert.equal(backend.requests.length, before);
    });

    it('lets the caller in, says who it is, and hides the key', async () => {
      const client = await open('/free/room', { ...keys.other, 'X-Consumer-Username': 'admin' });
      assert.equal(await echoed(client, 'hello'), 'hello');
      const { headers } = arrived('/free/room');
      assert.deepEqual([headers['x-consumer-username'], headers['apikey']], ['bob', undefined]);
      client.socket.terminate();
    });

    if (name !== 'caddy')
      it('counts the OPEN and every message, refuses the sixth of five, and keeps a count for each caller', async () => {
        const client = await open('/chat');
        for (let i = 1; i < limit.count; i += 1) assert.equal(await echoed(client, `message ${i}`), `message ${i}`);
        client.send('one too many');
        assert.equal((await client.closed()).code, 4429);
        const refusal = await direct('/chat', { ...events, body: 'OPEN\r\n' });
        assert.equal(refusal.status, 429);
        assert.match(refusal.headers.get('retry-after') ?? '', /^60$/);
        const other = await open('/chat', keys.other);
        assert.equal(await echoed(other, 'mine'), 'mine');
        other.socket.terminate();
      });

    it('refuses a body that is too large, which closes the WebSocket with 1009', async () => {
      const client = await open('/free');
      client.send(Buffer.alloc(5000));
      assert.equal((await client.closed()).code, 1009);
    });

    it('brings every byte through, in both directions', async () => {
      const client = await open('/kept');
      const bytes = Buffer.from(Array.from({ length: 60 * 1024 }, (_, i) => (i + (i >> 8)) & 0xff));
      client.send(bytes);
      const { data, binary } = await client.next();
      assert.ok(binary && data.equals(bytes));
      client.socket.terminate();
    });

    it('uses the beginning of paths as Foregate does, strips it, and puts that of the backend in front', async () => {
      const client = await open('/kept/a%20b/%C3%A9?x=%2Fy&z=1');
      assert.equal(arrived('/base/a%20b/%C3%A9?x=%2Fy&z=1').headers['apikey'], 'key-of-alice');
      client.socket.terminate();
      const longer = await open('/freedom/a%2Fb%3f');
      arrived('/freedom/a%2Fb%3f');
      longer.socket.terminate();
    });

    it('keeps Host, and believes what Foregate says of its client', async () => {
      const client = await open('/free/host', { ...keys.header, Host: 'chat.example' });
      const { headers } = arrived('/free/host');
      assert.equal(headers.host, 'chat.example');
      assert.match(String(headers['x-forwarded-for']), /^127\.0\.0\.1, ?127\.0\.0\.1$/);
      assert.equal(headers['x-forwarded-proto'], 'http');
      client.socket.terminate();
    });

    it('has nothing but 404 for other paths, and for what is no event', async () => {
      assert.equal((await direct('/other', events)).status, 404);
      assert.equal((await direct('/FREE', events)).status, 404);
      assert.equal((await direct('/fre', events)).status, 404);
      assert.equal((await direct('/free/none', { headers: keys.header })).status, 404);
      assert.equal((await direct('/free/none', { method: 'POST', headers: keys.header, body: 'x' })).status, 404);
      const paths = backend.requests.map(({ path }) => path);
      assert.ok(['/other', '/FREE', '/fre', '/free/none'].every((path) => !paths.includes(path)));
    });

    it('takes the caller of a route without keys from nobody', async () => {
      backend.answer = () => ({ body: 'ok' });
      const answer = await direct('/open', { headers: { 'X-Consumer-Username': 'admin' } });
      assert.deepEqual([answer.status, await answer.text()], [200, 'ok']);
      assert.ok([undefined, ''].includes(arrived('/open').headers['x-consumer-username'] as string | undefined));
    });

    it('sends a request that the backend has dropped once only', async () => {
      const from = backend.requests.length;
      backend.answer = ({ response }) => void response.destroy();
      // HAProxy closes its own connection instead, where the one to the backend had served others.
      const status = await direct('/free/dropped', { ...events, body: 'OPEN\r\n' }).then(
        (answer) => answer.status,
        () => 502,
      );
      assert.ok(status >= 500);
      assert.equal(backend.requests.slice(from).filter(({ path }) => path === '/free/dropped').length, 1);
    });
  });
}

/** What holds through every gateway: client (`ws`), Foregate, gateway, backend, each a real program with real sockets. */
import assert from 'node:assert/strict';
import { startBackend, type Backend } from '../support/backend.ts';
import { openClient, refusedClient, type Client } from '../support/client.ts';
import { startForegate, type RunningForegate } from '../support/gateway.ts';
import { allowance, type ChainGateway } from './chain-gateway.ts';
import { installGateways, installTimeoutMs } from './gateways.ts';

/** The OPEN is a request like every message: so many messages are left. */
const messages = allowance - 1;

export interface Chain<Gateway extends ChainGateway> {
  readonly backend: Backend;
  readonly gateway: Gateway;
  readonly foregate: RunningForegate;
  /** Opens a WebSocket with a key nobody has used, or with the one given. */
  open(path?: string, key?: string): Promise<Client>;
}

/** Runs the suite for one gateway; `more` adds what only this gateway can show. */
export function chainSuite<Gateway extends ChainGateway>(
  name: string,
  start: (backendOrigin: string) => Promise<Gateway>,
  more: (chain: () => Chain<Gateway>) => void = () => {},
): void {
  describe(`through ${name}`, () => {
    let chain: Chain<Gateway>;

    before(async function () {
      this.timeout(installTimeoutMs);
      await installGateways();
      chain = await startChain(start);
    });
    after(() => stopChain(chain));

    it("answers a handshake without a key with the gateway's own refusal", async () => {
      const refusal = await refusedClient(`${chain.foregate.socketUrl}/close/room`);
      assert.deepEqual({ status: refusal.status, body: refusal.body }, chain.gateway.noKey);
    });

    it('answers a handshake with an unknown key with a refusal, and the backend hears nothing', async () => {
      const before = chain.backend.requests.length;
      const headers = { [chain.gateway.keyHeader]: 'unknown' };
      const { status } = await refusedClient(`${chain.foregate.socketUrl}/close/room`, { headers });
      assert.match(String(status), /^40[13]$/);
      assert.equal(chain.backend.requests.length, before);
    });

    it('counts every message of an open WebSocket, refuses exactly the one too many, and closes with 4429', async () => {
      const client = await chain.open();
      for (let i = 1; i <= messages; i += 1) assert.equal(await echoed(client, `message ${i}`), `message ${i}`);
      client.send('one too many');
      assert.equal((await client.closed()).code, 4429);
      assert.ok(!seen(chain.backend).includes('one too many'));
    });

    it('tells the client in a frame where the route says `answer`, and the WebSocket stays open', async () => {
      const client = await chain.open('/answer/room');
      for (let i = 1; i <= messages; i += 1) await echoed(client, `message ${i}`);
      client.send('refused');
      assert.deepEqual(errorOf(await client.nextText()), { type: 'error', code: 'rate-limited' });
      client.send('refused again');
      assert.deepEqual(errorOf(await client.nextText()), { type: 'error', code: 'rate-limited' });
      assert.equal(client.closing, undefined);
      assert.ok(!seen(chain.backend).some((message) => message.startsWith('refused')));
      client.socket.terminate();
    });

    it('sends the credential with every message', async () => {
      const key = await chain.gateway.newKey();
      const from = chain.backend.requests.length;
      const client = await chain.open('/close/credential', key);
      for (let i = 1; i <= messages; i += 1) await echoed(client, `message ${i}`);
      const mine = chain.backend.requests.slice(from).filter(({ path }) => path === '/close/credential');
      assert.equal(mine.length, allowance);
      assert.equal(new Set(mine.map(({ headers }) => headers['connection-id'])).size, 1);
      client.send('and one more');
      assert.equal((await client.closed()).code, 4429);
    });

    it('counts a burst message by message where the route says `oneEventPerRequest`', async () => {
      const client = await chain.open('/single/burst');
      for (let i = 1; i <= messages + 1; i += 1) client.send(`in a burst ${i}`);
      for (let i = 1; i <= messages; i += 1) assert.equal(await client.nextText(), `in a burst ${i}`);
      assert.equal((await client.closed()).code, 4429);
      assert.equal(chain.backend.requests.filter(({ path }) => path === '/single/burst').length, allowance);
    });

    it('keeps two WebSockets of one key within one allowance', async () => {
      const key = await chain.gateway.newKey();
      const [first, second] = [await chain.open('/close/room', key), await chain.open('/close/room', key)];
      for (let i = 1; i <= allowance - 2; i += 1) await echoed(i % 2 === 0 ? first : second, `message ${i}`);
      first.send('one too many');
      assert.equal((await first.closed()).code, 4429);
      second.send('one too many');
      assert.equal((await second.closed()).code, 4429);
    });

    it('brings every byte through unchanged, in both directions', async () => {
      const client = await chain.open();
      const bytes = Buffer.from(Array.from({ length: 60 * 1024 }, (_, i) => (i + (i >> 8)) & 0xff));
      client.send(bytes);
      const { data, binary } = await client.next();
      assert.ok(binary);
      assert.ok(data.equals(bytes));
      const received = chain.backend.events().findLast((event) => event.kind === 'binary');
      assert.ok(received?.kind === 'binary' && received.data.equals(bytes));
      client.socket.terminate();
    });

    it('tells the backend of the close, and gives its answer to the client', async () => {
      const client = await chain.open('/close/goodbye');
      client.socket.close(4000, 'bye');
      assert.deepEqual(await client.closed(), { code: 4000, reason: 'bye' });
      const last = chain.backend.requests.findLast(({ path }) => path === '/close/goodbye');
      assert.deepEqual(last?.events, [{ kind: 'close', code: 4000, reason: 'bye' }]);
    });

    more(() => chain);
  });
}

async function startChain<Gateway extends ChainGateway>(start: (origin: string) => Promise<Gateway>): Promise<Chain<Gateway>> {
  const backend = await startBackend();
  const gateway = await start(backend.origin);
  const route = { target: gateway.origin, match: { transports: ['websocket'] } };
  const foregate = await startForegate({
    routes: [
      { ...route, id: 'close', match: { ...route.match, path: '/close/' } },
      { ...route, id: 'answer', match: { ...route.match, path: '/answer/' }, onFault: { throttled: 'answer' } },
      {
        ...route,
        id: 'never',
        match: { ...route.match, path: '/never/' },
        target: { url: gateway.origin, retry: 'never' },
      },
      {
        ...route,
        id: 'single',
        match: { ...route.match, path: '/single/' },
        target: { url: gateway.origin, oneEventPerRequest: true },
      },
    ],
  });
  const open = async (path = '/close/room', key?: string): Promise<Client> =>
    openClient(`${foregate.socketUrl}${path}`, { headers: { [gateway.keyHeader]: key ?? (await gateway.newKey()) } });
  return { backend, gateway, foregate, open };
}

async function stopChain(chain: Chain<ChainGateway>): Promise<void> {
  await chain.foregate.stop();
  await chain.gateway.stop();
  await chain.backend.stop();
}

/** Sends a message and gives the next that comes. */
export async function echoed(client: Client, message: string): Promise<string> {
  client.send(message);
  return client.nextText();
}

/** The parts of an error frame that do not depend on the gateway. */
function errorOf(frame: string): unknown {
  const { type, code } = JSON.parse(frame) as { type: unknown; code: unknown }; // Compared as a whole, whatever it is.
  return { type, code };
}

/** The text messages that reached the backend. */
export function seen(backend: Backend): string[] {
  return backend.events().flatMap((event) => (event.kind === 'text' ? [event.data.toString()] : []));
}

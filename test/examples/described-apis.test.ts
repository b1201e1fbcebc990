/** APIs that an OpenAPI document alone describes, from their clients through Foregate and nginx to their backends and back. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EventSource } from 'eventsource';
import jsonwebtoken from 'jsonwebtoken';
import { createBackend } from '../../examples/described-chat/backend.ts';
import { createTicker, type Ticker } from '../../examples/stock-ticker/backend.ts';
import { eventually } from '../protocol/stage.ts';
import { openClient, refusedClient, type Client } from '../support/client.ts';
import { need } from '../support/debian.ts';
import { freePort, startProcess, waitForPort, type Process } from '../support/processes.ts';

const examples = join(import.meta.dirname, '../../examples');
const secret = '0123456789abcdef0123456789abcdef';

function tokenFor(audience: string, more: object = {}): string {
  return jsonwebtoken.sign({ sub: 'alice', ...more }, secret, { algorithm: 'HS256', audience, expiresIn: 600 });
}

describe('APIs described by a document alone, behind nginx', () => {
  let folder: string;
  let origin: string;
  let controlUrl: string;
  let ticker: Ticker;
  let processes: Process[];
  let servers: Server[];

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'foregate-described-'));
    processes = [];
    servers = [];
    const [port, controlPort] = [await freePort(), await freePort()];
    origin = `http://127.0.0.1:${port}`;
    controlUrl = `http://127.0.0.1:${controlPort}`;
    ticker = createTicker(controlUrl);
    const stocks = await startNginx(await listen(ticker.server));
    const chat = await startNginx(await listen(createBackend(controlUrl)));
    const settings = {
      listen: [{ host: '127.0.0.1', port }],
      control: { host: '127.0.0.1', port: controlPort },
      openapi: [
        { file: join(examples, 'stock-ticker/ticker.openapi.yaml'), target: stocks },
        { file: join(examples, 'described-chat/chat.openapi.yaml'), target: chat },
      ],
    };
    await writeFile(join(folder, 'foregate.json'), JSON.stringify(settings));
    const args = ['bin/foregate.ts', 'run', '--config', join(folder, 'foregate.json')];
    const foregate = startProcess(process.execPath, args, { env: { TOKEN_SECRET: secret } });
    processes.push(foregate);
    await waitForPort(port, foregate);
  });

  after(async () => {
    await Promise.all(processes.map((running) => running.stop()));
    for (const server of servers) {
      server.closeAllConnections();
      server.close();
    }
    await rm(folder, { recursive: true });
  });

  async function listen(server: Server): Promise<number> {
    servers.push(server.listen(0, '127.0.0.1'));
    await once(server, 'listening');
    return (server.address() as AddressInfo).port; // A TCP server has no other kind of address.
  }

  /** With the settings of the examples, on a port of its own; its origin. */
  async function startNginx(backendPort: number): Promise<string> {
    const port = await freePort();
    const text = await readFile(join(examples, 'nginx.conf'), 'utf8');
    const prefix = await mkdtemp(join(folder, 'nginx-'));
    const file = join(prefix, 'nginx.conf');
    await writeFile(
      file,
      text.replace('127.0.0.1:8000', `127.0.0.1:${port}`).replace('127.0.0.1:9000', `127.0.0.1:${backendPort}`),
    );
    const nginx = startProcess(need('nginx'), ['-p', prefix, '-c', file, '-e', 'stderr']);
    processes.push(nginx);
    await waitForPort(port, nginx);
    return `http://127.0.0.1:${port}`;
  }

  /** Waits until Foregate has so many subscribers of it. */
  async function joined(channel: string, subscribers: number): Promise<void> {
    await eventually(async () => {
      const channels = (await (await fetch(`${controlUrl}/channels`)).json()) as { channel: string; subscribers: number }[];
      return (channels.find((each) => each.channel === channel)?.subscribers ?? 0) === subscribers;
    });
  }

  describe('the stock ticker', () => {
    const get = (path: string, token?: string): Promise<Response> =>
      fetch(`${origin}${path}`, { headers: token === undefined ? {} : { authorization: `Bearer ${token}` } });

    /** The events that an event source has had, which sends the token. */
    function watch(path: string, token: string): { readonly quotes: { symbol: string; price: number }[]; close(): void } {
      const withToken: ConstructorParameters<typeof EventSource>[1] = {
        fetch: (url, init) => fetch(url, { ...init, headers: { accept: 'text/event-stream', authorization: `Bearer ${token}` } }),
      };
      const source = new EventSource(`${origin}${path}`, withToken);
      const quotes: { symbol: string; price: number }[] = [];
      source.addEventListener('quote', ({ data }) => {
        const { symbol, price } = JSON.parse(String(data)) as { symbol: string; price: number };
        quotes.push({ symbol, price });
      });
      return { quotes, close: () => source.close() };
    }

    it('answers a quote through nginx', async () => {
      const answer = await get('/stocks/ACME', tokenFor('ticker'));
      assert.equal(answer.status, 200);
      assert.match(answer.headers.get('server') ?? '', /^nginx/);
      const { at, ...quote } = (await answer.json()) as { at: string };
      assert.deepEqual(quote, { type: 'quote', symbol: 'ACME', price: 12.5 });
      assert.ok(!Number.isNaN(Date.parse(at)));
    });

    it('streams the last quote and each that comes, to all who watch', async () => {
      const [one, other] = [watch('/stocks/GLOBE/quotes', tokenFor('ticker')), watch('/stocks/GLOBE/quotes', tokenFor('ticker'))];
      await joined('quotes-GLOBE', 2);
      await ticker.trade('GLOBE', 102.25);
      await ticker.trade('GLOBE', 99);
      const expected = [101, 102.25, 99].map((price) => ({ symbol: 'GLOBE', price }));
      for (const { quotes } of [one, other]) {
        await eventually(() => quotes.length === 3);
        assert.deepEqual(quotes, expected);
      }
      one.close();
      other.close();
      await joined('quotes-GLOBE', 0);
    });

    it('publishes nothing that is no quote, and says where', async () => {
      const { quotes, close } = watch('/stocks/ACME/quotes', tokenFor('ticker'));
      await joined('quotes-ACME', 1);
      await assert.rejects(ticker.trade('ACME', 0), { status: 400, body: /^\/price must be > 0/ });
      await ticker.trade('ACME', 13);
      await eventually(() => quotes.length === 2);
      assert.deepEqual(
        quotes.map(({ price }) => price),
        [12.5, 13],
      );
      close();
    });

    for (const [name, token] of [
      ['no token', undefined],
      ['a token for somebody else', tokenFor('chat')],
      ['a token that is over', tokenFor('ticker', { iat: 1_000_000 })],
    ] as const) {
      it(`lets nobody in with ${name}`, async () => {
        for (const path of ['/stocks/ACME', '/stocks/ACME/quotes']) assert.equal((await get(path, token)).status, 401);
      });
    }

    it('has the paths, methods and parameters of the document, and no more', async () => {
      const token = tokenFor('ticker');
      const bad = await get('/stocks/acme', token);
      assert.deepEqual([bad.status, /symbol/.test(await bad.text())], [400, true]);
      assert.equal((await get('/stocks/NONE', token)).status, 404);
      for (const path of ['/', '/stocks', '/stocks/ACME/', '/stocks/ACME/quotes/1']) {
        const answer = await get(path, token);
        assert.deepEqual([answer.status, answer.headers.get('server')], [404, null], path);
      }
      const posted = await fetch(`${origin}/stocks/ACME`, { method: 'POST', headers: { authorization: `Bearer ${token}` } });
      assert.equal(posted.headers.get('server'), null, String(posted.status));
    });
  });

  describe('the chat', () => {
    const token = tokenFor('chat');
    const enter = (room: string): Promise<Client> =>
      openClient(`${origin.replace('http', 'ws')}/rooms/${room}`, { headers: { authorization: `Bearer ${token}` } });
    const say = (client: Client, message: unknown): void => client.send(JSON.stringify(message));
    const heard = async (client: Client): Promise<unknown> => JSON.parse(await client.nextText());

    it('lets all in a room hear what one says', async () => {
      const [ann, bob, eve] = await Promise.all([enter('lobby'), enter('lobby'), enter('cellar')]);
      await Promise.all([joined('room-lobby', 2), joined('room-cellar', 1)]);
      say(ann, { type: 'rename', name: 'ann' });
      say(ann, { type: 'say', text: 'hello' });
      for (const client of [ann, bob]) assert.deepEqual(await heard(client), { type: 'said', name: 'ann', text: 'hello' });
      say(eve, { type: 'say', text: 'anybody?' });
      assert.deepEqual(await heard(eve), { type: 'said', name: 'guest', text: 'anybody?' });
      await Promise.all([ann, bob, eve].map((client) => client.close()));
    });

    it('answers a message that the document does not have, with the place of the fault, and goes on', async () => {
      const client = await enter('hall');
      await joined('room-hall', 1);
      for (const [message, detail] of [
        [{ type: 'rename', name: 'no name' }, /^\/name must match pattern/],
        [{ type: 'say', text: 'x', quotes: { name: 'bob' } }, /^\/quotes must have required property 'text'/],
        [{ type: 'shout', text: 'x' }, /of no known kind/],
      ] as const) {
        say(client, message);
        const { type, code, detail: told } = (await heard(client)) as Record<string, string>;
        assert.deepEqual([type, code], ['error', 'bad-request']);
        assert.match(told ?? '', detail);
      }
      say(client, { type: 'say', text: 'still here' });
      assert.deepEqual(await heard(client), { type: 'said', name: 'guest', text: 'still here' });
      await client.close();
    });

    it('lets nobody in without a token for it, into a room that cannot be, or without a WebSocket', async () => {
      const url = `${origin.replace('http', 'ws')}/rooms`;
      const authorization = `Bearer ${token}`;
      assert.equal((await refusedClient(`${url}/lobby`)).status, 401);
      const other = { authorization: `Bearer ${tokenFor('ticker')}` };
      assert.equal((await refusedClient(`${url}/lobby`, { headers: other })).status, 401);
      assert.equal((await refusedClient(`${url}/No%20Room`, { headers: { authorization } })).status, 400);
      assert.equal((await fetch(`${origin}/rooms/lobby`, { method: 'POST', headers: { authorization } })).status, 404);
    });
  });
});

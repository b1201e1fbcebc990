import assert from 'node:assert/strict';
import { on, once } from 'node:events';
import { rm, writeFile, mkdtemp } from 'node:fs/promises';
import type { Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import jsonwebtoken from 'jsonwebtoken';
import { WebSocket } from 'ws';
import * as withForegate from '../../examples/chat/with-foregate.ts';
import * as withGripLibraries from '../../examples/chat/with-grip-libraries.ts';
import * as withoutLibrary from '../../examples/chat/without-library.ts';
import type { ClientEvent } from '../../gateway/core/event.ts';
import { listen, sendEvents, stopServers, text, type RequestTerms } from '../backend/event-request.ts';
import { startBackend, type Backend } from '../support/backend.ts';
import { freePort, startProcess, waitForPort, type Process } from '../support/processes.ts';

const key = 'changeme-0123456789abcdef0123456789';
const signed = { 'grip-sig': jsonwebtoken.sign({ iss: 'foregate' }, key, { algorithm: 'HS256', expiresIn: 3600 }) };
const open: ClientEvent = { kind: 'open' };

interface Example {
  readonly name: string;
  readonly createBackend: (options: { readonly controlUrl: string; readonly gripKey?: string }) => Server;
  readonly checksSignature: boolean;
}

const examples: readonly Example[] = [
  { name: 'with-foregate', ...withForegate, checksSignature: true },
  { name: 'with-grip-libraries', ...withGripLibraries, checksSignature: true },
  { name: 'without-library', ...withoutLibrary, checksSignature: false },
];

afterEach(stopServers);

for (const { name, createBackend, checksSignature } of examples) {
  describe(`examples/chat/${name}`, () => {
    let control: Backend;
    let url: string;
    const send = (events: readonly ClientEvent[], terms: RequestTerms = {}) =>
      sendEvents(url, events, {
        ...terms,
        headers: { ...signed, 'x-consumer-username': 'alice', 'meta-name': 'alice', ...terms.headers },
      });
    const published = (): unknown[] =>
      control.requests
        .flatMap(({ body }) => (JSON.parse(String(body)) as { items: Item[] }).items)
        .map(({ channel, formats }) => [channel, JSON.parse(formats['ws-message'].content)]);

    beforeEach(async () => {
      control = await startBackend(() => ({ body: 'Published\n' }));
      url = `${await listen(createBackend({ controlUrl: `${control.origin}/`, ...(checksSignature && { gripKey: key }) }))}/chat`;
    });
    afterEach(() => control.stop());

    it('accepts and subscribes', async () => {
      const answer = await send([open]);
      assert.equal(answer.status, 200);
      assert.equal(answer.headers.get('content-type'), 'application/websocket-events');
      assert.match(answer.headers.get('sec-websocket-extensions') ?? '', /^grip/);
      const [first, second, ...more] = answer.events;
      assert.deepEqual([first, more], ['open', []]);
      assert.deepEqual(JSON.parse(second?.replace('text c:', '') ?? ''), { type: 'subscribe', channel: 'room' });
    });

    it('publishes what somebody says, with the name that the gateway gave, in order', async () => {
      const answer = await send([text('good morning'), text('und schöne Grüße 👋')]);
      assert.deepEqual([answer.status, answer.events], [200, []]);
      assert.deepEqual(published(), [
        ['room', { name: 'alice', text: 'good morning' }],
        ['room', { name: 'alice', text: 'und schöne Grüße 👋' }],
      ]);
    });

    it('answers a ping, also between messages', async () => {
      const answer = await send([text('a'), { kind: 'ping', data: Buffer.alloc(0) }, text('b')]);
      assert.deepEqual(answer.events, ['pong']);
      assert.equal(published().length, 2);
    });

    it('answers a close with the same code', async () => {
      assert.deepEqual((await send([text('bye'), { kind: 'close', code: 4000, reason: '' }])).events, ['close 4000']);
      assert.equal(published().length, 1);
    });

    it('takes note of a lost client', async () => {
      const answer = await send([{ kind: 'disconnect' }]);
      assert.deepEqual([answer.status, answer.events], [200, []]);
    });

    it('answers an error where the control API is away', async () => {
      control.answer = () => ({ status: 503 });
      const answer = await withoutStderr(() => send([text('a')])); // The example and Express report the error there, as they should.
      assert.equal(answer.status, 500);
    });

    it('has nothing for other requests', async () => {
      for (const terms of [{ method: 'GET' }, { headers: { 'content-type': 'text/plain' } }]) {
        const { status } = await send([], terms);
        assert.ok(status === 404 || status === 415, String(status));
      }
    });

    if (!checksSignature) return;

    it('takes nothing that the gateway has not signed', async () => {
      const forged = jsonwebtoken.sign({ iss: 'foregate' }, 'another key', { algorithm: 'HS256', expiresIn: 3600 });
      for (const signature of [undefined, forged]) {
        const { status } = await send([text('psst')], { headers: { 'grip-sig': signature } });
        assert.ok(status === 401 || status === 403, String(status));
      }
      assert.deepEqual(published(), []);
    });
  });
}

/** What is written to standard error meanwhile, and right after it, is dropped. */
async function withoutStderr<T>(work: () => Promise<T>): Promise<T> {
  const { stderr } = process;
  const write = stderr.write.bind(stderr);
  stderr.write = () => true;
  try {
    return await work();
  } finally {
    await new Promise((resolve) => setTimeout(resolve, 5));
    stderr.write = write;
  }
}

interface Item {
  readonly channel: string;
  readonly formats: { readonly 'ws-message': { readonly content: string } };
}

for (const { name, createBackend } of examples) {
  describe(`examples/chat/${name} behind foregate run`, () => {
    let folder: string;
    let foregate: Process;
    let url: string;

    before(async () => {
      folder = await mkdtemp(join(tmpdir(), 'foregate-chat-'));
      const [port, controlPort] = [await freePort(), await freePort()];
      const backend = await listen(createBackend({ controlUrl: `http://127.0.0.1:${controlPort}/`, gripKey: key }));
      await writeFile(join(folder, 'foregate.json'), JSON.stringify(configuration({ port, controlPort, backend })));
      foregate = startProcess(process.execPath, ['bin/foregate.ts', 'run', '--config', join(folder, 'foregate.json')]);
      await waitForPort(port, foregate);
      url = `ws://127.0.0.1:${port}/chat`;
    });
    after(async () => {
      await foregate?.stop();
      await rm(folder, { recursive: true });
    });

    it('lets two clients talk, ping and leave', async () => {
      const [alice, bob] = await Promise.all([enter(url), enter(url)]);
      alice.socket.send('hello, room');
      assert.deepEqual(await Promise.all([alice.next(), bob.next()]), [said('hello, room'), said('hello, room')]);
      bob.socket.ping('x');
      await once(bob.socket, 'pong');
      bob.socket.send('hello, Alice');
      assert.equal(await alice.next(), said('hello, Alice'));
      alice.socket.close(4001, '');
      assert.deepEqual((await once(alice.socket, 'close'))[0], 4001);
      bob.socket.close(1000);
      assert.deepEqual((await once(bob.socket, 'close'))[0], 1000);
    });
  });
}

const said = (what: string): string => JSON.stringify({ name: 'guest', text: what });

function configuration({ port, controlPort, backend }: { port: number; controlPort: number; backend: string }): object {
  return {
    listen: [{ host: '127.0.0.1', port }],
    control: { host: '127.0.0.1', port: controlPort },
    grip: { issuer: 'foregate', key },
    routes: [{ id: 'chat', match: { path: '/chat' }, target: backend }],
  };
}

interface Client {
  readonly socket: WebSocket;
  /** The next message, also one that has come already. */
  next(): Promise<string>;
}

async function enter(url: string): Promise<Client> {
  const socket = new WebSocket(url);
  const messages = on(socket, 'message');
  await once(socket, 'open');
  return { socket, next: async () => String(((await messages.next()).value as unknown[])[0]) };
}

/**
 * Backends written with the public packages `@fanoutio/grip` and `@fanoutio/serve-grip`, on Express and on Koa, in the shape of
 * the examples that come with them: a stream, a long-poll, a recoverable stream, a WebSocket, and publishing.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  createServer,
  get,
  type ClientRequest,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { Channel, HttpStreamFormat, Publisher, WebSocketMessageFormat, type WebSocketContext } from '@fanoutio/grip';
import { ServeGrip } from '@fanoutio/serve-grip';
import express from 'express';
import jsonwebtoken from 'jsonwebtoken';
import Koa from 'koa';
import { WebSocket } from 'ws';
import { startForegate, type RunningForegate } from '../support/gateway.ts';
import { eventually } from '../protocol/stage.ts';

const key = 'changeme-0123456789abcdef0123456789';

type GripRequest = IncomingMessage & { grip?: { readonly isProxied: boolean; readonly wsContext: WebSocketContext | null } };
type GripResponse = ServerResponse & { grip?: { startInstruct(): Instruct } };
interface Instruct {
  addChannel(channel: string | Channel): void;
  setHoldStream(): void;
  setHoldLongPoll(seconds: number): void;
  setNextLink(uri: string, seconds: number): void;
}

/** What all frameworks do alike: by path. The body that is to be sent, if any. */
async function serve(serveGrip: ServeGrip, request: GripRequest, response: GripResponse, body: string): Promise<string | null> {
  const [path = ''] = (request.url ?? '').split('?', 1);
  response.setHeader('Content-Type', 'text/plain');
  if (request.grip?.isProxied !== true) return '[not proxied]\n';
  const publisher = serveGrip.getPublisher();
  if (path === '/api/websocket') return answerSocket(request.grip.wsContext);
  if (path === '/api/publish') {
    await publisher.publishHttpStream('test', `${body}\n`);
    await publisher.publishHttpResponse('test', `${body}\n`);
    await publisher.publishFormats('test', new WebSocketMessageFormat(body));
    return 'Ok\n';
  }
  const instruct = response.grip?.startInstruct();
  if (path === '/api/poll') instruct?.setHoldLongPoll(20);
  else instruct?.setHoldStream();
  if (path === '/api/items') instruct?.setNextLink('/api/items?after=9', 60);
  instruct?.addChannel(
    path === '/api/items' ? new Channel('items', request.url?.includes('after') === true ? '9' : '1') : 'test',
  );
  return `[${request.url}]\n`;
}

/** The middleware writes the body itself. */
function answerSocket(socket: WebSocketContext | null): null {
  if (socket === null) throw new Error('Not a request of WebSocket events.');
  if (socket.isOpening()) {
    socket.accept();
    socket.subscribe('test');
  }
  while (socket.canRecv()) {
    const message = socket.recv();
    if (message === null) socket.close();
    if (message === null) break;
    socket.send(message);
  }
  return null;
}

const frameworks: readonly { readonly name: string; readonly make: (serveGrip: ServeGrip) => RequestListener }[] = [
  {
    name: 'Express',
    make: (serveGrip) => {
      const app = express();
      app.use(serveGrip);
      app.use(express.text({ type: '*/*' }));
      // oxlint-disable-next-line no-async-endpoint-handlers -- Express 5 hands a rejection to its error handler
      app.use(async (request, response) => {
        response.end(
          (await serve(serveGrip, request as GripRequest, response as GripResponse, String(request.body))) ?? undefined,
        );
      });
      return app;
    },
  },
  {
    name: 'Koa',
    make: (serveGrip) => {
      const app = new Koa();
      app.use(serveGrip.koa);
      app.use(async (context) => {
        const isText = context.path === '/api/publish';
        const parts: Buffer[] = isText ? await context.req.toArray() : [];
        context.body = await serve(serveGrip, context.req, context.res, Buffer.concat(parts).toString());
      });
      const handle = app.callback();
      return (request, response) => void handle(request, response);
    },
  },
  {
    name: 'the server of Node, as routes of Next.js use them',
    make: (serveGrip) => (request, response) => void serveAlone(serveGrip, request, response),
  },
];

/** The middleware is run by hand, and its rejection answered. */
async function serveAlone(serveGrip: ServeGrip, request: GripRequest, response: GripResponse): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      serveGrip(request, response, (error?: unknown) => {
        if (error instanceof Error) reject(error);
        else resolve();
      });
    });
    const isText = request.url === '/api/publish';
    const parts: Buffer[] = isText ? await request.toArray() : [];
    response.end((await serve(serveGrip, request, response, Buffer.concat(parts).toString())) ?? undefined);
  } catch {
    if (!response.headersSent) response.writeHead(500).end();
  }
}

for (const { name, make } of frameworks)
  describe(`a backend of the GRIP packages on ${name}`, () => {
    let backend: Server;
    let running: RunningForegate;

    beforeEach(async () => {
      let listener: RequestListener | undefined;
      backend = createServer((request, response) => listener?.(request, response));
      await once(backend.listen(0, '127.0.0.1'), 'listening');
      running = await startForegate({
        listen: [{ host: '127.0.0.1', port: 0 }],
        control: { port: 0, auth: { jwt: [{ issuer: 'test', key }] } },
        grip: { issuer: 'gw', key },
        publish: { waitForEarlier: '200ms' },
        routes: [{ id: 'all', target: `http://127.0.0.1:${(backend.address() as AddressInfo).port}` }],
      });
      const grip = { control_uri: `${running.controlUrl}/`, control_iss: 'test', key, verify_key: key, verify_iss: 'gw' };
      listener = make(new ServeGrip({ grip }));
    });
    afterEach(async () => {
      await running.stop();
      backend.close();
      backend.closeAllConnections();
    });

    const token = jsonwebtoken.sign({ iss: 'test' }, key, { algorithm: 'HS256', expiresIn: 3600 });
    const joined = (channel: string, count: number): Promise<void> =>
      eventually(async () => {
        const response = await fetch(`${running.controlUrl}/channels`, { headers: { Authorization: `Bearer ${token}` } });
        const channels = (await response.json()) as { readonly channel: string; readonly subscribers: number }[];
        return channels.some((one) => one.channel === channel && one.subscribers === count);
      });

    it('streams, answers a long-poll, echoes, and publishes to all three', async () => {
      const socket = new WebSocket(`${running.socketUrl}/api/websocket`);
      const said: string[] = [];
      socket.on('message', (data: Buffer) => said.push(data.toString()));
      await once(socket, 'open');
      const stream = new Reading(`${running.url}/api/stream`);
      const poll = fetch(`${running.url}/api/poll`);
      socket.send('hello');
      await eventually(() => said.length === 1);
      await joined('test', 3);
      const published = await fetch(`${running.url}/api/publish`, { method: 'POST', body: 'news' });
      assert.equal(await published.text(), 'Ok\n');
      assert.equal(await (await poll).text(), 'news\n');
      await eventually(() => stream.text === '[/api/stream]\nnews\n' && said.length === 2);
      assert.deepEqual(said, ['hello', 'news']);
      socket.close(4001);
      const [code] = (await once(socket, 'close')) as [number];
      assert.equal(code, 4001);
      stream.stop();
    });

    it('recovers a stream by the next link when an item is missed', async () => {
      const stream = new Reading(`${running.url}/api/items`);
      await joined('items', 1);
      const publisher = new Publisher({ control_uri: `${running.controlUrl}/`, control_iss: 'test', key });
      await publisher.publishHttpStream('items', 'two\n', '2', '1');
      await publisher.publishFormats('items', new HttpStreamFormat('never\n'), '9', '8');
      await eventually(() => stream.text === '[/api/items]\ntwo\n[/api/items?after=9]\n', 9000);
      await publisher.publishHttpStream('items', 'ten\n', '10', '9');
      await eventually(() => stream.text.endsWith('ten\n'));
      stream.stop();
    });

    it('refuses a request that did not come through the gateway', async () => {
      const { port } = backend.address() as AddressInfo;
      assert.equal(await (await fetch(`http://127.0.0.1:${port}/api/stream`)).text(), '[not proxied]\n');
    });
  });

/** A stream, read as it comes. */
class Reading {
  text = '';
  readonly #request: ClientRequest;

  constructor(url: string) {
    this.#request = get(url, (response) =>
      response
        .setEncoding('utf8')
        .on('data', (part: string) => (this.text += part))
        .on('error', ignore),
    );
    this.#request.on('error', ignore);
  }

  stop(): void {
    this.#request.destroy();
  }
}

function ignore(): void {}

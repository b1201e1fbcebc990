/**
 * The backend that comes with the program, so that a gateway can be tried without one (GRIP 7.1, the target `test`): `/` greets,
 * `/response` holds for an answer, `/stream` for a stream, `/ws` is a WebSocket that echoes. They are on the channels that the
 * query names (`?channel=news`), or on `test`. It listens on the loopback, at a port that the system chooses.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isChannelName } from '../core/ids.ts';
import { webSocketEvents } from './event-middleware.ts';

export interface TestBackend {
  /** `http://127.0.0.1:40123` */
  readonly origin: string;
  close(): void;
}

/** As many as a client of Pushpin may join. */
const channelsMax = 20;

/** @throws the system's error where no port can be had */
export async function openTestBackend(): Promise<TestBackend> {
  const server = createServer(serve).listen(0, '127.0.0.1');
  await once(server, 'listening');
  server.unref();
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, // A TCP server that listens has a port.
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

const resources: Readonly<Record<string, (request: IncomingMessage, response: ServerResponse) => void>> = {
  '/': (_request, response) => say(response, 200, 'Hello from the test backend of Foregate!\n'),
  '/response': (request, response) => hold(response, 'response', request, 'nothing for now\n'),
  '/stream': (request, response) => hold(response, 'stream', request, '[stream opened]\n'),
  '/ws': (request, response) => echo(request, response),
};

function serve(request: IncomingMessage, response: ServerResponse): void {
  const [path = ''] = (request.url ?? '').split('?', 1);
  const resource = Object.hasOwn(resources, path) ? resources[path] : undefined;
  if (resource === undefined) say(response, 404, 'no such test resource\n');
  else resource(request, response);
}

function say(response: ServerResponse, status: number, text: string, type = 'text/plain'): void {
  response.writeHead(status, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(text) });
  response.end(text);
}

function hold(response: ServerResponse, mode: 'response' | 'stream', request: IncomingMessage, body: string): void {
  const instruct = {
    hold: { mode, channels: channelsOf(request).map((name) => ({ name })) },
    response: { headers: { 'Content-Type': 'text/plain' }, body },
  };
  say(response, 200, JSON.stringify(instruct), 'application/grip-instruct');
}

const echo = webSocketEvents({
  open: (socket) => {
    for (const channel of channelsOf(socket.request)) socket.subscribe(channel);
  },
  text: (socket, text) => socket.send(text),
  binary: (socket, bytes) => socket.send(bytes),
});

function channelsOf(request: IncomingMessage): readonly string[] {
  const named = new URL(request.url ?? '/', 'http://test').searchParams.getAll('channel').filter(isChannelName);
  return named.length === 0 ? ['test'] : named.slice(0, channelsMax);
}

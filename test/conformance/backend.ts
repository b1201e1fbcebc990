/**
 * The backend of all cases: one HTTP server, asked by the gateway on one port. Each case sees the requests whose path has the
 * case's name as a segment, and answers them by a function of its own.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as after } from 'node:timers/promises';

export interface BackendRequest {
  readonly method: string;
  /** With the query, as received. */
  readonly path: string;
  /** Lower-case names; repeated fields are joined, as Node does it. */
  readonly headers: IncomingMessage['headers'];
  /** Names and values in turn, as received. */
  readonly rawHeaders: readonly string[];
  /** One character for each byte. */
  readonly body: string;
  /** When it was complete, in milliseconds of `performance.now()`. */
  readonly at: number;
  /** Counts the gateway's connections to the backend. */
  readonly connection: number;
  /** For answers that no description fits: broken, slow or none. */
  readonly response: ServerResponse;
}

export interface Reply {
  /** Default: 200. */
  readonly status?: number;
  readonly reason?: string;
  /** As pairs where a name is repeated. */
  readonly headers?: Readonly<Record<string, string>> | readonly (readonly [string, string])[];
  /** One byte for each character below 256 unless it is a buffer. Default: none. */
  readonly body?: Buffer | string;
}

/** `undefined`: the answer is written, or withheld, through `request.response`. */
export type Answer = (request: BackendRequest) => Reply | undefined | Promise<Reply | undefined>;

/** Answers the handshake of a gateway that opens a real WebSocket. */
export type Upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => void;

/** The part of the backend that belongs to one case. */
export interface Share {
  readonly requests: BackendRequest[];
  answer: Answer;
  upgrade: Upgrade;
  wake: () => void;
}

export interface Backend {
  readonly port: number;
  share(name: string): Share;
  stop(): Promise<void>;
}

const notFound: Answer = () => ({ status: 404, body: 'not here' });

export async function startBackend(port = 0): Promise<Backend> {
  const shares = new Map<string, Share>();
  const connections = new Map<Socket, number>();
  let accepted = 0;
  const server = createServer({ maxHeaderSize: 200_000 }, (incoming, response) => {
    void serve(incoming, response).catch(() => response.destroy());
  });
  const shareOf = (path = ''): Share | undefined => {
    const name = path.split(/[/?&=]/).find((segment) => shares.has(segment));
    return name === undefined ? undefined : shares.get(name);
  };
  async function serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    response.sendDate = false;
    const request = await readRequest(incoming, response, connections.get(incoming.socket) ?? 0);
    const share = shareOf(request.path);
    share?.requests.push(request);
    share?.wake();
    const reply = await (share?.answer ?? notFound)(request);
    if (reply) writeReply(response, reply);
  }
  server.on('upgrade', (request, socket, head: Buffer) => {
    socket.on('error', () => socket.destroy());
    const share = shareOf(request.url);
    if (share) share.upgrade(request, socket, head);
    else socket.destroy();
  });
  server.on('connection', (socket: Socket) => {
    accepted += 1;
    connections.set(socket, accepted);
    socket.once('close', () => connections.delete(socket));
  });
  server.keepAliveTimeout = 600_000; // Longer than any gateway keeps its side, so that the gateway decides.
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port, // A TCP server has no other kind of address.
    share: (name) => {
      const share: Share = { requests: [], answer: notFound, upgrade: (_request, socket) => socket.destroy(), wake: () => {} };
      shares.set(name, share);
      return share;
    },
    stop: () => stop(server),
  };
}

async function readRequest(incoming: IncomingMessage, response: ServerResponse, connection: number): Promise<BackendRequest> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk); // No encoding is set, so chunks are buffers.
  return {
    method: incoming.method ?? '',
    path: incoming.url ?? '',
    headers: incoming.headers,
    rawHeaders: incoming.rawHeaders,
    body: Buffer.concat(chunks).toString('latin1'),
    at: performance.now(),
    connection,
    response,
  };
}

function writeReply(response: ServerResponse, { status = 200, reason, headers = {}, body = '' }: Reply): void {
  const bytes = typeof body === 'string' ? Buffer.from(body, 'latin1') : body;
  const fields = Array.isArray(headers) ? headers.flat() : Object.entries(headers).flat();
  const sized = [...fields, 'Content-Length', String(bytes.length)];
  if (reason === undefined) response.writeHead(status, sized);
  else response.writeHead(status, reason, sized);
  response.end(bytes);
}

async function stop(server: Server): Promise<void> {
  server.close();
  server.closeAllConnections();
  await Promise.race([once(server, 'close'), after(1000)]); // Upgraded sockets are not closed by the server.
}

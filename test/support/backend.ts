/**
 * A backend for tests: a real HTTP server that keeps what reached it, WebSocket-over-HTTP bodies decoded, and answers by a
 * function that a test may exchange at any time.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { isMessage, type ClientEvent, type Message } from '../../gateway/core/event.ts';
import { decodeEvents, encodeEvents, eventsMediaType } from '../../gateway/wire/websocket-events.ts';

export interface BackendRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly rawHeaders: readonly string[];
  readonly body: Buffer;
  /** Decoded, where the request is one of WebSocket-over-HTTP. */
  readonly events: readonly ClientEvent[];
  /** Counts the connections from 1: which one this request came on. */
  readonly connection: number;
  /** For answers that no description fits: broken, slow or none. */
  readonly response: ServerResponse;
}

export interface BackendReply {
  /** Default: 200. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string | string[]>>;
  /** Default: none. */
  readonly body?: Buffer | string;
}

/** `undefined`: the answer is written, or withheld, through `request.response`. */
export type Answer = (request: BackendRequest) => BackendReply | undefined | Promise<BackendReply | undefined>;

export interface Backend {
  readonly port: number;
  readonly origin: string;
  readonly requests: readonly BackendRequest[];
  /** Connections accepted so far. */
  readonly connections: number;
  answer: Answer;
  /** All events of all requests, in order of arrival. */
  events(): ClientEvent[];
  /** Resolves when the check holds; asked again with every request. @throws Error after `ms` (3000). */
  until(check: () => boolean, ms?: number): Promise<void>;
  /** Cuts every connection now; the port stays open. */
  disconnectAll(): void;
  stop(): Promise<void>;
}

/** Starts one; by default it accepts every OPEN and sends every message back. */
export async function startBackend(answer: Answer = echo, port = 0): Promise<Backend> {
  const requests: BackendRequest[] = [];
  const connections = new Map<Socket, number>();
  const waiting = new Set<() => void>();
  let accepted = 0;

  const server = createServer((incoming, response) => {
    void serve(incoming, response).catch(() => response.destroy());
  });
  async function serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const request = await readRequest(incoming, response, connections.get(incoming.socket) ?? 0);
    requests.push(request);
    for (const check of waiting) check();
    const answered = await backend.answer(request);
    if (answered) writeReply(response, answered);
  }
  server.on('connection', (socket: Socket) => {
    accepted += 1;
    connections.set(socket, accepted);
    socket.once('close', () => connections.delete(socket));
  });
  // Longer than any gateway keeps its own side, so that the gateway decides (and never meets a connection just closed).
  server.keepAliveTimeout = 120_000;
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');

  const backend: Backend = {
    port: portOf(server),
    origin: `http://127.0.0.1:${portOf(server)}`,
    requests,
    get connections() {
      return accepted;
    },
    answer,
    events: () => requests.flatMap((request) => request.events),
    until: (check, ms = 3000) => waitUntil(waiting, check, ms),
    disconnectAll: () => {
      for (const socket of connections.keys()) socket.destroy();
    },
    stop: () => stop(server),
  };
  return backend;
}

/** Answers an exchange with events: OPEN is accepted when it is among those of the request. */
export function reply(events: readonly ClientEvent[], headers: Readonly<Record<string, string>> = {}): BackendReply {
  return { headers: { 'Content-Type': eventsMediaType, ...headers }, body: encodeEvents(events) };
}

/** Accepts OPEN, sends messages back, answers a close with the same close. */
export function echo(request: BackendRequest): BackendReply {
  return reply(request.events.filter((event) => event.kind === 'open' || event.kind === 'close' || isMessage(event)));
}

export function text(data: string): Message {
  return { kind: 'text', data: Buffer.from(data) };
}

export function binary(data: Buffer): Message {
  return { kind: 'binary', data };
}

async function readRequest(incoming: IncomingMessage, response: ServerResponse, connection: number): Promise<BackendRequest> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk); // No encoding is set, so chunks are buffers.
  const body = Buffer.concat(chunks);
  return {
    method: incoming.method ?? '',
    path: incoming.url ?? '',
    headers: incoming.headers,
    rawHeaders: incoming.rawHeaders,
    body,
    events: incoming.headers['content-type'] === eventsMediaType ? decodeEvents(body) : [],
    connection,
    response,
  };
}

function writeReply(response: ServerResponse, { status = 200, headers = {}, body = '' }: BackendReply): void {
  response.writeHead(status, { ...headers, 'Content-Length': Buffer.byteLength(body) });
  response.end(body);
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port; // A TCP server has no other kind of address.
}

function waitUntil(waiting: Set<() => void>, check: () => boolean, ms: number): Promise<void> {
  if (check()) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const done = (): void => {
      clearTimeout(timer);
      waiting.delete(again);
    };
    const again = (): void => {
      if (!check()) return;
      done();
      resolve();
    };
    const timer = setTimeout(() => {
      done();
      reject(new Error(`The backend did not see what was waited for within ${ms} ms: ${check.toString()}`));
    }, ms);
    waiting.add(again);
  });
}

async function stop(server: Server): Promise<void> {
  server.close();
  server.closeAllConnections();
  await once(server, 'close');
}

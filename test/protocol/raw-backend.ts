/** A backend of bytes for the tests of this folder: reads requests with a length, and lets the test write whatever it wants. */
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { onClear } from './stage.ts';

export interface RawRequest {
  readonly head: string;
  readonly body: Buffer;
  /** Counts requests of all connections from 0. */
  readonly index: number;
  /** Counts connections from 0. */
  readonly connection: number;
  readonly socket: Socket;
}

export interface RawBackend {
  readonly origin: string;
  readonly port: number;
  readonly requests: readonly RawRequest[];
  readonly connections: number;
}

/** Accepts OPEN by itself; `answer` gets every other request. Closed with the stage. */
export async function startRawBackend(answer: (request: RawRequest) => void): Promise<RawBackend> {
  return startBareBackend((request) => {
    if (request.body.toString() === 'OPEN\r\n') request.socket.write(eventsReply('OPEN\r\n'));
    else answer(request);
  });
}

/** Leaves every request to `answer`. */
export async function startBareBackend(answer: (request: RawRequest) => void): Promise<RawBackend> {
  const requests: RawRequest[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createServer({ noDelay: true }, (socket) => {
    const connection = connections;
    connections += 1;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => undefined);
    readRequests(socket, (head, body) => {
      const request = { head, body, index: requests.length, connection, socket };
      requests.push(request);
      answer(request);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onClear(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const { port } = server.address() as AddressInfo; // A TCP server has no other kind of address.
  return {
    origin: `http://127.0.0.1:${port}`,
    port,
    requests,
    get connections() {
      return connections;
    },
  };
}

/** A whole, good reply. */
export function eventsReply(body: string | Buffer, ...lines: string[]): Buffer {
  return httpReply(200, body, 'Content-Type: application/websocket-events', ...lines);
}

export function httpReply(status: number, body: string | Buffer, ...lines: string[]): Buffer {
  const content = Buffer.from(body);
  const head = [`HTTP/1.1 ${status} Whatever`, `Content-Length: ${content.length}`, ...lines, '', ''].join('\r\n');
  return Buffer.concat([Buffer.from(head), content]);
}

function readRequests(socket: Socket, take: (head: string, body: Buffer) => void): void {
  let rest: Buffer = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    for (;;) {
      const end = rest.indexOf('\r\n\r\n');
      if (end < 0) return;
      const head = rest.toString('latin1', 0, end);
      const length = Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? 0);
      if (rest.length < end + 4 + length) return;
      const body = rest.subarray(end + 4, end + 4 + length);
      rest = rest.subarray(end + 4 + length);
      take(head, body);
    }
  });
}

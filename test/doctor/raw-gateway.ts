/** A gateway of a few lines, as odd as a test wants it: reads requests with `Content-Length` and writes what it is told. */
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';

export interface RawRequest {
  /** With the request line, as it came. */
  readonly head: string;
  readonly body: Buffer;
  readonly socket: Socket;
}

export interface RawGateway {
  readonly origin: string;
  readonly requests: readonly RawRequest[];
  stop(): Promise<void>;
}

/** What the answer writes to the socket by itself it returns nothing for. */
export type RawAnswer = (request: RawRequest) => string | undefined;

/** An answer with a status and no body; `fields` are whole lines with their ends. */
export function bare(status: number, fields = ''): string {
  return `HTTP/1.1 ${status} X\r\n${fields}Content-Length: 0\r\n\r\n`;
}

export async function startRawGateway(answer: RawAnswer): Promise<RawGateway> {
  const requests: RawRequest[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    let waiting = Buffer.alloc(0);
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    socket.on('data', (piece: Buffer) => {
      waiting = Buffer.concat([waiting, piece]);
      const request = wholeRequest(waiting, socket);
      if (request === undefined) return;
      waiting = Buffer.alloc(0);
      requests.push(request);
      const text = answer(request);
      if (text !== undefined) socket.write(text);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // A TCP server has no other kind of address.
  return {
    origin: `http://127.0.0.1:${port}`,
    requests,
    async stop() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

function wholeRequest(bytes: Buffer, socket: Socket): RawRequest | undefined {
  const end = bytes.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const head = bytes.toString('latin1', 0, end + 4);
  const length = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
  return bytes.length < end + 4 + length ? undefined : { head, body: bytes.subarray(end + 4), socket };
}

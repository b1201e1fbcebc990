/** A proxy that does to requests and answers what a test wants: it strips, adds, sends again, holds back or gives up. */
import { once } from 'node:events';
import { createServer, request, type IncomingMessage, type OutgoingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Oddities {
  /** Changes the fields on their way to the backend. */
  readonly fields?: (headers: OutgoingHttpHeaders) => void;
  readonly body?: (body: Buffer) => Buffer;
  /** Changes the fields of the answer. */
  readonly replyFields?: (headers: OutgoingHttpHeaders) => void;
  /** How often a request is sent whose answer breaks off. Default: 1. */
  readonly attempts?: number;
  /** The answer goes on when it is whole. */
  readonly buffers?: boolean;
  /** After so long it answers 504 itself. */
  readonly timeoutMs?: number;
}

export interface OddProxy {
  readonly origin: string;
  stop(): Promise<void>;
}

export async function startOddProxy(backendPort: number, oddities: Oddities = {}): Promise<OddProxy> {
  const server = createServer((incoming, outgoing) => void relay(incoming, outgoing, backendPort, oddities)).listen(
    0,
    '127.0.0.1',
  );
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // A TCP server has no other kind of address.
  return {
    origin: `http://127.0.0.1:${port}`,
    async stop() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

async function relay(incoming: IncomingMessage, outgoing: ServerResponse, port: number, oddities: Oddities): Promise<void> {
  const pieces: Buffer[] = [];
  for await (const piece of incoming as AsyncIterable<Buffer>) pieces.push(piece);
  const body = oddities.body?.(Buffer.concat(pieces)) ?? Buffer.concat(pieces);
  const headers: OutgoingHttpHeaders = { ...incoming.headers, 'content-length': body.length };
  oddities.fields?.(headers);
  for (let attempt = 0; attempt < (oddities.attempts ?? 1); attempt += 1) {
    const status = await attemptOf(incoming, outgoing, { port, headers, body, oddities });
    if (status === 'answered') return;
  }
  outgoing.writeHead(502, { 'content-length': 0 }).end();
}

interface Sending {
  readonly port: number;
  readonly headers: OutgoingHttpHeaders;
  readonly body: Buffer;
  readonly oddities: Oddities;
}

async function attemptOf(
  { method, url }: IncomingMessage,
  outgoing: ServerResponse,
  sending: Sending,
): Promise<'answered' | 'broken'> {
  const { port, headers, body, oddities } = sending;
  const upstream = request({ host: '127.0.0.1', port, method, path: url, headers, agent: false });
  const signal = AbortSignal.timeout(oddities.timeoutMs ?? 60_000);
  upstream.on('error', () => {});
  upstream.end(body);
  try {
    const [reply] = (await once(upstream, 'response', { signal })) as [IncomingMessage]; // The event's own arguments.
    const fields: OutgoingHttpHeaders = { ...reply.headers };
    oddities.replyFields?.(fields);
    if (oddities.buffers === true) {
      const whole = Buffer.concat(await reply.toArray());
      outgoing.writeHead(reply.statusCode ?? 0, fields).end(whole);
    } else {
      reply.pipe(outgoing.writeHead(reply.statusCode ?? 0, fields));
    }
    return 'answered';
  } catch {
    if (!signal.aborted) return 'broken';
    upstream.destroy();
    outgoing.writeHead(504, { 'content-length': 0 }).end();
    return 'answered';
  }
}

/**
 * A whole answer as one write of one buffer, past the encoding of `ServerResponse`, which makes two pieces of it for `writev` and builds
 * its head anew each time. Held requests that one publication answers share their bytes. The rest stays with `node:http`: it hears
 * that the response has finished, and goes on with the connection. See `docs/adr/0012-one-write-per-answer.md`.
 */
import { ServerResponse } from 'node:http';
import type { Reply } from '../core/exchange.ts';
import { isHeaderName, isHeaderValue, type HeaderList } from '../core/headers.ts';

/** Copying a body costs more than a second piece from about here. */
const joinedBytesMax = 65_536;

/** What `ServerResponse` looks at when it is asked whether it has begun, and has ended; no type tells of it. */
interface Insides {
  _header: string | null;
  finished: boolean;
  readonly _keepAliveTimeout: number;
  [mark: symbol]: unknown;
}

/** Where the newer releases of Node keep `writableFinished`; the older ones see it from the rest. */
let finishedMark: symbol | undefined | null = null;

/** What goes before the body, without the fields of the connection. */
export interface AnswerHead {
  readonly reason: string;
  /** `Content-Length` included. */
  readonly headers: HeaderList;
}

/** The same reply again is the same bytes. */
const encoded = new WeakMap<Reply, Buffer>();

/**
 * Whether the answer was written. False, and nothing done, where `node:http` has more to do than to pass it on: HTTP/2 and HTTP/1.0,
 * HEAD, statuses without a body, connections that end with the answer or have something else to write first, large bodies.
 */
export function writeWhole(response: ServerResponse, reply: Reply, headOf: (reply: Reply) => AnswerHead): boolean {
  const { socket } = response;
  if (socket === null || !fits(response, reply) || !socket.writable || socket.writableLength > 0) return false;
  const insides = response as unknown as Insides;
  let bytes = encoded.get(reply);
  if (bytes === undefined) {
    bytes = encode(reply, headOf(reply), insides._keepAliveTimeout);
    encoded.set(reply, bytes);
  }
  response.statusCode = reply.status;
  insides._header = 'written';
  insides.finished = true;
  socket.write(bytes, (error) => {
    if (!error) finish(response, insides);
  });
  return true;
}

function finish(response: ServerResponse, insides: Insides): void {
  if (finishedMark === null)
    finishedMark = Object.getOwnPropertySymbols(response).find(({ description }) => description === 'kWritableFinished');
  if (finishedMark !== undefined) insides[finishedMark] = true;
  response.emit('finish');
}

function fits(response: ServerResponse, { status, body }: Reply): boolean {
  return (
    response instanceof ServerResponse &&
    response.writeHead === ServerResponse.prototype.writeHead && // Nobody changes the head (CORS, JSONP).
    response.shouldKeepAlive &&
    response.req.httpVersionMinor === 1 &&
    response.req.method !== 'HEAD' &&
    status >= 200 &&
    status !== 204 &&
    status !== 304 &&
    body.length <= joinedBytesMax
  );
}

/** The head as `node:http` would write it. */
function encode({ status, body }: Reply, { reason, headers }: AnswerHead, keepAliveMs: number): Buffer {
  let head = `HTTP/1.1 ${status} ${reason}\r\n`;
  for (let i = 0; i + 1 < headers.length; i += 2) head += line(headers[i] ?? '', headers[i + 1] ?? '');
  head += `Connection: keep-alive\r\nKeep-Alive: timeout=${Math.floor(keepAliveMs / 1000)}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head, 'latin1'), body]);
}

function line(name: string, value: string): string {
  if (!isHeaderName(name) || !isHeaderValue(value))
    throw new TypeError(`The answer has a field that no answer may have: ${name}`);
  return `${name}: ${value}\r\n`;
}

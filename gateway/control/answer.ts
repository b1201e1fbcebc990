/** Answers of the control API: head and body in one write, never kept by a cache; errors of JSON calls in the form of RFC 9457. */
import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http';
import { realClock } from '../core/clock.ts';
import { errors, type ForegateError } from '../core/errors.ts';
import type { HeaderList } from '../core/headers.ts';
import type { Denial } from '../core/session.ts';

export interface Answer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
  readonly headers?: HeaderList;
}

/** How long a client may go on sending a body that was refused, before its connection is cut. */
const lingerMs = 1000;

export function textAnswer(status: number, line: string, headers: HeaderList = []): Answer {
  return { status, type: 'text/plain', text: `${line}\n`, headers };
}

export function jsonAnswer(status: number, value: unknown): Answer {
  return { status, type: 'application/json', text: `${JSON.stringify(value)}\n` };
}

/** Problem details (RFC 9457): `title` is the phrase of the status, `detail` what was wrong with this call. */
export function problemAnswer(status: number, detail: string, headers: HeaderList = []): Answer {
  const problem = { type: 'about:blank', title: STATUS_CODES[status] ?? 'Error', status, detail };
  return { status, type: 'application/problem+json', text: `${JSON.stringify(problem)}\n`, headers };
}

/** Status and header fields of a refusal. */
export function denialHead(denial: Denial): { readonly status: number; readonly headers: HeaderList } {
  const retryAfter = denial.retryAfterMs === undefined ? [] : ['Retry-After', String(Math.ceil(denial.retryAfterMs / 1000))];
  return { status: errors[denial.code].status, headers: [...retryAfter, ...(denial.headers ?? [])] };
}

export function errorStatus(error: ForegateError): number {
  return errors[error.code].status;
}

export function send(response: ServerResponse, answer: Answer): void {
  response.writeHead(answer.status, headOf(answer)).end(answer.text);
}

/**
 * Answers a request whose body was not read. A small body that is on its way is left to Node to skip; what may be large, or
 * never come, ends the connection.
 */
export function sendUnread(request: IncomingMessage, response: ServerResponse, answer: Answer): void {
  if (isSkippable(request)) return send(response, answer);
  response.writeHead(answer.status, [...headOf(answer), 'Connection', 'close']).write(answer.text);
  linger(request, response);
}

/** A body up to this is read and thrown away, so the connection can be used again. */
const skipBytes = 65_536;

function isSkippable({ headers }: IncomingMessage): boolean {
  const { expect, 'transfer-encoding': transferEncoding, 'content-length': length = '0' } = headers;
  return expect === undefined && transferEncoding === undefined && Number(length) <= skipBytes;
}

/** A connection closed while the client still sends would be reset, and the answer lost with it: listen a moment longer. */
function linger(request: IncomingMessage, response: ServerResponse): void {
  const end = (): void => {
    timer.cancel();
    response.end();
  };
  const timer = realClock.after(lingerMs, end);
  request.once('end', end).once('close', end).resume();
}

function headOf({ type, text, headers = [] }: Answer): string[] {
  return ['Content-Type', type, 'Content-Length', String(Buffer.byteLength(text)), 'Cache-Control', 'no-store', ...headers];
}

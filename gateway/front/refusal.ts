/** Answers that Foregate gives itself: to a plain request, or to a handshake on its bare socket. */
import { STATUS_CODES, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { errors, type ErrorCode } from '../core/errors.ts';
import type { Reply } from '../core/exchange.ts';
import { limits } from '../core/limits.ts';
import { isHeaderName, isHeaderValue, retryAfter, withoutHeaders, type HeaderList } from '../core/headers.ts';
import type { Denial } from '../core/session.ts';
import { cleanReplyHeaders } from '../downstream/request-head.ts';
import { writeWhole, type AnswerHead } from '../wire/whole-answer.ts';

/** The answer for a denial: problem details (RFC 9457), with `Retry-After` where a wait is known; or the answer it brings. */
export function denialReply({ code, detail, retryAfterMs, headers = [], reply }: Denial, answer: HeaderList = []): Reply {
  if (reply !== undefined) return { ...reply, reason: STATUS_CODES[reply.status] ?? '', headers: [...answer, ...reply.headers] };
  return problemReply(code, detail, [...answer, ...headers, ...retryAfter(retryAfterMs)]);
}

/** `code` is that of the table of errors: statuses stand for several. */
function problemReply(code: ErrorCode, detail: string, more: HeaderList): Reply {
  const { status } = errors[code];
  const title = STATUS_CODES[status] ?? '';
  const body = Buffer.from(`${JSON.stringify({ type: 'about:blank', title, status, detail, code })}\n`);
  return { status, reason: title, headers: ['Content-Type', 'application/problem+json', ...more], body };
}

/** Errors of the backend's side say in debug mode what was tried (GRIP 2.4). */
export function errorReply(code: ErrorCode, detail: string | undefined, retryAfterMs?: number): Reply {
  const { status, source, text } = errors[code];
  return textReply(
    status,
    detail ?? (source === 'downstream' ? 'Error while proxying to origin.' : text),
    retryAfter(retryAfterMs),
  );
}

export function textReply(status: number, text: string, headers: HeaderList): Reply {
  const body = Buffer.from(`${text}\n`);
  return { status, reason: STATUS_CODES[status] ?? '', headers: ['Content-Type', 'text/plain', ...headers], body };
}

/** Writes a whole reply in place of the 101; the connection ends with it. */
export function answerHandshake(socket: Duplex, reply: Reply): void {
  const lines = [`HTTP/1.1 ${reply.status} ${safeReason(reply)}`];
  const headers = cleanReplyHeaders(reply.headers);
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] ?? '';
    const value = headers[i + 1] ?? '';
    if (name.toLowerCase() !== 'content-length' && isHeaderName(name) && isHeaderValue(value)) lines.push(`${name}: ${value}`);
  }
  socket.on('error', ignore); // The client may be gone; there is nobody to tell.
  socket.resume(); // Unread bytes would hold the connection.
  const deadline = setTimeout(() => socket.destroy(), limits.closeTimeoutMs).unref();
  socket.once('close', () => clearTimeout(deadline));
  lines.push(`Content-Length: ${reply.body.length}`, 'Connection: close', '', '');
  socket.end(Buffer.concat([Buffer.from(lines.join('\r\n'), 'latin1'), reply.body]));
}

/** The same for a plain request. */
export function answerRequest(response: ServerResponse, reply: Reply): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  if (writeWhole(response, reply, headOf)) return;
  const { reason, headers } = headOf(reply);
  response.sendDate = false;
  response.writeHead(reply.status, reason, [...headers]);
  response.end(reply.body);
}

function headOf(reply: Reply): AnswerHead {
  const headers = withoutHeaders(cleanReplyHeaders(reply.headers), (name) => name === 'content-length');
  if (reply.status !== 204 && reply.status !== 304) headers.push('Content-Length', String(reply.body.length));
  return { reason: safeReason(reply), headers };
}

function safeReason({ reason, status }: Reply): string {
  return reason !== '' && isHeaderValue(reason) ? reason : (STATUS_CODES[status] ?? 'Unknown');
}

function ignore(): void {}

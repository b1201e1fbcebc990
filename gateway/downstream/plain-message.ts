/**
 * Messages of plain requests, written byte for byte as they came: head and framing downstream, body, trailers and hints back
 * (RFC 9112).
 */
import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http';
import type { Reply, RequestDraft } from '../core/exchange.ts';
import { fields, headerValues, isHopByHop, withoutHeaders } from '../core/headers.ts';
import type { ReplyHead } from '../core/hold.ts';
import type { Route } from '../core/route.ts';
import { writeWhole } from '../wire/whole-answer.ts';
import { cleanReplyHeaders } from './request-head.ts';

/** A path that is not the end of a request line. */
export function isPath(path: string): boolean {
  return /^(?:\/[\x21-\xff]*|\*)$/.test(path);
}

/** How the client framed its body; ours is framed the same way, whatever policies do to the fields. */
export interface Framing {
  readonly length: string | undefined;
  readonly chunked: boolean;
}

export function hasBody({ length, chunked }: Framing): boolean {
  return length !== undefined || chunked;
}

export function framingOf(request: IncomingMessage): Framing {
  return { length: request.headers['content-length'], chunked: request.headers['transfer-encoding'] !== undefined };
}

/** @throws TypeError for a field that would make two of one. */
export function writeHead(upstream: ClientRequest, draft: RequestDraft, framing: Framing): void {
  // Set on the message itself: given to `http.request` it would have gone through the library's path joining.
  upstream.path = draft.path;
  upstream.removeHeader('host');
  const { headers } = draft;
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i] ?? '';
    if (!isLength(name)) upstream.appendHeader(name, headers[i + 1] ?? '');
  }
  if (!framing.chunked) return;
  upstream.removeHeader('content-length');
  upstream.setHeader('Transfer-Encoding', 'chunked');
}

/** What policies may not touch: how the body is framed, and what is of one hop. */
export function removeFraming(draft: RequestDraft): void {
  draft.headers = withoutHeaders(draft.headers, (lowerName) => lowerName === 'expect' || isHopByHop(lowerName));
}

function isLength(name: string): boolean {
  return name.length === 14 && name.toLowerCase() === 'content-length';
}

/**
 * Answers with the reply and streams its body on. A short body that came with its head goes out in one write with it; the head of any
 * other goes ahead, in the same turn. What has a length ends with its last byte, in one write with it.
 */
export function relay(reply: IncomingMessage, response: ServerResponse, head: ReplyHead, { statistics, hides }: Route): void {
  const { counts } = statistics;
  let left = Number(reply.headers['content-length'] ?? NaN);
  const resume = (): void => void reply.resume();
  const begin = (): void => {
    if (!response.headersSent && !response.destroyed) writeReplyHead(response, head);
  };
  reply.on('data', (chunk: Buffer) => {
    counts.serverContentBytesReceived += chunk.length;
    left -= chunk.length;
    if (left === 0 && !response.headersSent && writeWhole(response, { ...head, body: chunk }, asItIs)) return;
    begin();
    if (left === 0) {
      response.end(chunk);
    } else if (!response.write(chunk)) {
      reply.pause();
      response.once('drain', resume);
    }
  });
  reply.once('end', () => {
    if (response.writableEnded) return;
    begin();
    const trailers = reply.rawTrailers.length === 0 ? [] : cleanReplyHeaders(reply.rawTrailers, hides);
    if (trailers.length > 0) response.addTrailers([...fields(trailers)].map(([name, value]): [string, string] => [name, value]));
    response.end();
  });
  // After what has been read already: the stream was told to flow before.
  process.nextTick(begin);
}

function writeReplyHead(response: ServerResponse, { status, reason, headers }: ReplyHead): void {
  response.sendDate = false;
  response.writeHead(status, reason, [...headers]);
}

function asItIs(reply: Reply): Reply {
  return reply;
}

/** Early hints go on; other interim answers mean nothing beyond their connection. HTTP/1.0 knows none. */
export function relayHint(status: number, rawHeaders: readonly string[], client: ServerResponse): void {
  if (status !== 103 || client.req.httpVersion === '1.0' || client.headersSent || client.destroyed) return;
  const link = headerValues(rawHeaders, 'link');
  try {
    if (link.length > 0) client.writeEarlyHints({ link });
  } catch {
    // A link that Node does not take for one is a hint less.
  }
}

/**
 * Requests and answers of HTTP/2 (RFC 9113) as the rest of the program knows them: the fields of a request stand as a client of
 * HTTP/1.1 would have sent them, and what HTTP/2 does not have is left out of an answer.
 */
import { randomBytes } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { constants, Http2ServerRequest, Http2ServerResponse, type ServerHttp2Stream } from 'node:http2';
import type { ReadableOptions } from 'node:stream';
import { fields, header, isHopByHop, withoutHeaders, type HeaderDraft, type HeaderList } from '../core/headers.ts';

export class Http2Request extends Http2ServerRequest {
  /** In place of the accessors of the library, which know pseudo-header fields, and no way to set them. */
  override rawHeaders: string[];
  override headers: IncomingHttpHeaders;
  override readonly method: string;
  /** Of an extended CONNECT (RFC 8441). */
  readonly protocol: string | undefined;
  /** Names and values. */
  readonly headerBytes: number;

  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, options: ReadableOptions, rawHeaders: readonly string[]) {
    super(stream, headers, options, rawHeaders);
    const protocol = headers[':protocol'];
    this.protocol = typeof protocol === 'string' ? protocol.toLowerCase() : undefined;
    this.headerBytes = rawHeaders.reduce((sum, text) => sum + text.length, 0);
    this.rawHeaders = requestFields(rawHeaders, framing(stream, this.protocol, headers));
    this.headers = byName(this.rawHeaders);
    this.method = this.protocol === 'websocket' ? 'GET' : String(headers[':method']);
    // A client that resets its stream has left, as one that closes its connection of HTTP/1.1: its body has no end.
    stream.removeAllListeners('error').on('error', ignore);
    stream.once('aborted', () => this.destroy());
  }
}

export class Http2Response extends Http2ServerResponse<Http2Request> {
  constructor(stream: ServerHttp2Stream) {
    super(stream);
    let finished = false;
    stream.once('finish', () => (finished = this.writableEnded && stream.rstCode === constants.NGHTTP2_NO_ERROR));
    // The library has none of the first, and the second is true of a stream that was reset, too.
    Object.defineProperties(this, {
      destroyed: { get: () => stream.destroyed },
      writableFinished: { get: () => finished },
    });
  }

  override writeHead(status: number, reasonOrHeaders?: unknown, headers?: unknown): this {
    const list = (Array.isArray(reasonOrHeaders) ? reasonOrHeaders : headers) as HeaderList | undefined;
    const { stream } = this;
    if (stream.closed || stream.destroyed) return this;
    for (const [name, value] of fields(withoutHeaders(list ?? [], isHopByHop))) this.appendHeader(name, value);
    // Nothing more is wanted of the client, not even the rest of its request (RFC 9113 section 8.1).
    if (header(list ?? [], 'connection') === 'close') stream.once('finish', () => stream.close(constants.NGHTTP2_NO_ERROR));
    // HTTP/2 of Node knows no other than the registered classes.
    super.writeHead(status > 599 ? 502 : status);
    return this;
  }

  /** Pairs, as HTTP/1.1 takes them. */
  override addTrailers(trailers: object): void {
    const values: Record<string, string[]> = {};
    for (const [name, value] of trailers as readonly (readonly [string, string])[])
      (values[name.toLowerCase()] ??= []).push(value);
    super.addTrailers(values);
  }

  /** An answer that broke off must not look complete. */
  override destroy(): this {
    if (!this.stream.destroyed) this.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    return this;
  }
}

/** What in HTTP/1.1 tells of a body, or of a WebSocket. */
function framing(stream: ServerHttp2Stream, protocol: string | undefined, headers: IncomingHttpHeaders): HeaderList {
  if (protocol === 'websocket')
    return ['Connection', 'Upgrade', 'Upgrade', 'websocket', 'Sec-WebSocket-Key', randomBytes(16).toString('base64')];
  return stream.endAfterHeaders || headers['content-length'] !== undefined ? [] : ['Transfer-Encoding', 'chunked'];
}

/**
 * `:authority` is the host (RFC 9113 section 8.3.1), cookies stand in one field (section 8.2.3), and a key of a WebSocket means nothing
 * (RFC 8441 section 5).
 */
function requestFields(raw: HeaderList, more: HeaderList): string[] {
  const list: HeaderDraft = [];
  const cookies: string[] = [];
  let host: string | undefined;
  let authority: string | undefined;
  for (const [name, value] of fields(raw)) {
    if (name === ':authority') authority = value;
    else if (name === 'host') host ??= value;
    else if (name === 'cookie') cookies.push(value);
    else if (!name.startsWith(':') && !isHopByHop(name) && name !== 'sec-websocket-key') list.push(name, value);
  }
  const named = authority ?? host;
  if (named !== undefined) list.unshift('host', named);
  if (cookies.length > 0) list.push('cookie', cookies.join('; '));
  return [...list, ...more];
}

/** The first of each, as `node:http` gives those that must not stand twice. */
function byName(raw: HeaderList): IncomingHttpHeaders {
  const headers: IncomingHttpHeaders = {};
  for (const [name, value] of fields(raw)) headers[name.toLowerCase()] ??= value;
  return headers;
}

function ignore(): void {}

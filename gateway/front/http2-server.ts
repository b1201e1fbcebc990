/** HTTP/2 beside HTTP/1.1 on a TLS port (RFC 9113, chosen by ALPN): its connections with their bounds and their end. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Http2Server as NodeServer, type Http2Session, type ServerHttp2Session } from 'node:http2';
import type { TLSSocket } from 'node:tls';
import { limits } from '../core/limits.ts';
import type { Front } from './front.ts';
import { Http2Request, Http2Response } from './http2-message.ts';
import { Http2WebSocket } from './http2-websocket.ts';
import { answerRequest, textReply } from './refusal.ts';

export interface Http2Settings {
  readonly headerBytes: number;
  /** A connection without requests is closed after this time. */
  readonly idleMs: number;
}

export class Http2Server {
  readonly #front: Front;
  readonly #settings: Http2Settings;
  readonly #server: NodeServer<typeof IncomingMessage, typeof ServerResponse, typeof Http2Request, typeof Http2Response>;
  readonly #sessions = new Set<Http2Session>();

  constructor(settings: Http2Settings, front: Front) {
    this.#front = front;
    this.#settings = settings;
    this.#server = createServer({
      Http2ServerRequest: Http2Request,
      Http2ServerResponse: Http2Response,
      maxHeaderListPairs: limits.http2Fields,
      // Backends may say such a field twice, as in HTTP/1.1.
      strictSingleValueFields: false,
      settings: {
        enableConnectProtocol: true,
        maxConcurrentStreams: limits.http2Streams,
        // Of each field 32 bytes count besides its own (RFC 9113 section 6.5.2).
        maxHeaderListSize: settings.headerBytes + 32 * limits.http2Fields,
      },
    });
    this.#server.on('session', (session) => this.#begin(session));
    this.#server.on('request', (request, response) => this.#request(request, response));
    this.#server.on('connect', (request: Http2Request, response: Http2Response) => this.#connect(request, response));
  }

  /** A connection whose client has chosen `h2`. */
  take(socket: TLSSocket): void {
    this.#server.emit('connection', socket);
  }

  /** Tells every client to open no more (GOAWAY); what is open goes on. */
  stopAccepting(): void {
    for (const session of this.#sessions) session.close();
  }

  close(): void {
    for (const session of this.#sessions) session.destroy();
  }

  #begin(session: ServerHttp2Session): void {
    let streams = 0;
    this.#sessions.add(session);
    session.once('close', () => this.#sessions.delete(session));
    session.on('stream', (stream) => {
      streams += 1;
      stream.once('close', () => (streams -= 1));
    });
    session.setTimeout(this.#settings.idleMs, () => {
      if (streams === 0) session.close();
    });
  }

  #request(request: Http2Request, response: Http2Response): void {
    const answer = response as unknown as ServerResponse; // Shaped like one wherever the program looks.
    if (this.#isTooLarge(request)) answerRequest(answer, textReply(431, 'Header fields are too large.', []));
    else this.#front.request(request as unknown as IncomingMessage, answer);
  }

  #connect(request: Http2Request, response: Http2Response): void {
    if (request.protocol === 'websocket' && !this.#isTooLarge(request)) {
      this.#front.upgrade(request as unknown as IncomingMessage, new Http2WebSocket(request.stream), noBytes);
      return;
    }
    // RFC 9110 section 15.5.6, RFC 9220 section 3.
    if (request.protocol === 'websocket') response.writeHead(431);
    else response.writeHead(request.protocol === undefined ? 405 : 501);
    response.end();
  }

  /** Settings are for clients that heed them. */
  #isTooLarge({ headerBytes }: Http2Request): boolean {
    return headerBytes > this.#settings.headerBytes;
  }
}

const noBytes = Buffer.alloc(0);

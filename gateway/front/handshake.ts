/** The checks of a WebSocket handshake (RFC 6455 section 4.2.1), made before anything is sent downstream, and its 101. */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import type { Reply } from '../core/exchange.ts';
import { fields, header, headerValues, type HeaderList } from '../core/headers.ts';
import type { Accept } from '../core/instruction.ts';
import { limits } from '../core/limits.ts';
import type { ConsumedCredential } from '../core/session.ts';
import { ClientWebSocket } from '../session/client-websocket.ts';
import { textReply } from './refusal.ts';

const keyPattern = /^[+/0-9A-Za-z]{22}==$/;
const subprotocolPattern = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** What is wrong with a handshake, as an answer; undefined for a good one. */
export function handshakeFlaw(request: IncomingMessage): Reply | undefined {
  const { rawHeaders, method, headers } = request;
  if (method !== 'GET') return textReply(405, 'A WebSocket handshake must be a GET.', ['Allow', 'GET']);
  if (headers.upgrade?.toLowerCase() !== 'websocket')
    return textReply(426, 'Only an upgrade to websocket is possible.', ['Upgrade', 'websocket']);
  if (header(rawHeaders, 'sec-websocket-version') !== '13') {
    return textReply(426, 'The WebSocket version must be 13.', ['Sec-WebSocket-Version', '13']);
  }
  const keys = headerValues(rawHeaders, 'sec-websocket-key');
  if (keys.length !== 1 || !keyPattern.test(keys[0] ?? ''))
    return textReply(400, 'Sec-WebSocket-Key is missing or not valid.', []);
  return offeredSubprotocols(rawHeaders) === undefined ? textReply(400, 'Sec-WebSocket-Protocol is not valid.', []) : undefined;
}

/** The subprotocols a client offers; undefined where the field is not a list of distinct tokens. */
export function offeredSubprotocols(rawHeaders: HeaderList): readonly string[] | undefined {
  const field = headerValues(rawHeaders, 'sec-websocket-protocol').join(',');
  if (field === '') return [];
  const offered = field.split(',').map((item) => item.trim());
  const valid = offered.every((item) => subprotocolPattern.test(item)) && new Set(offered).size === offered.length;
  return valid ? offered : undefined;
}

/** What goes into a client's 101 besides the fields of the protocol itself. */
export interface Answer {
  readonly headers: HeaderList;
  readonly subprotocol: string | undefined;
}

/** Answers handshakes with 101 through `ws`; one for all sessions with the same limit of message size. */
export class HandshakeServer {
  readonly #server: WebSocketServer;
  /** Of the handshake that is being answered: `ws` asks for it before `handleUpgrade` returns. */
  #answer: Answer | undefined;

  constructor(messageBytes: number) {
    // Known to `ws`, not yet to its types.
    const closing = { closeTimeout: limits.closeTimeoutMs };
    this.#server = new WebSocketServer({
      noServer: true,
      WebSocket: ClientWebSocket,
      clientTracking: false,
      autoPong: false,
      perMessageDeflate: false,
      maxPayload: messageBytes,
      ...closing,
      handleProtocols: () => this.#answer?.subprotocol ?? false,
    });
    this.#server.on('headers', (lines) => {
      for (const [name, value] of fields(this.#answer?.headers ?? [])) lines.push(`${name}: ${value}`);
    });
  }

  /** Undefined if the client left in the meantime. */
  accept(request: IncomingMessage, socket: Duplex, early: Buffer, answer: Answer): ClientWebSocket | undefined {
    let accepted: ClientWebSocket | undefined;
    this.#answer = answer;
    this.#server.handleUpgrade(request, socket, early, (client) => {
      if (client instanceof ClientWebSocket) accepted = client;
    });
    this.#answer = undefined;
    socket.resume(); // It was held while the handshake was open.
    return accepted;
  }
}

/**
 * The subprotocol of the 101: the backend's choice if the client offered it; else the one that stood beside a credential, since
 * browsers end a connection whose offer is not answered.
 */
export function chosenSubprotocol(
  rawHeaders: HeaderList,
  accept: Accept,
  consumed: readonly ConsumedCredential[],
): string | undefined {
  const offered = offeredSubprotocols(rawHeaders) ?? [];
  if (accept.subprotocol !== undefined && offered.includes(accept.subprotocol)) return accept.subprotocol;
  for (const credential of consumed) {
    if (credential.in === 'subprotocol' && credential.answer !== undefined && offered.includes(credential.answer))
      return credential.answer;
  }
  return undefined;
}

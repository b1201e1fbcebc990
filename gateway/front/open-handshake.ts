/** A handshake that is not answered yet: its client becomes the socket of a session, or is told that it does not. */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { ClientSocket } from '../core/client-socket.ts';
import type { Reply } from '../core/exchange.ts';
import type { Waiting } from '../session/opening.ts';
import { SockJsWebSocket, type SockJsParts } from '../session/sockjs-websocket.ts';
import type { WebSocketSession } from '../session/websocket-session.ts';
import { sockJsFrames } from '../wire/sockjs-frames.ts';
import { EarlyClient } from './early-client.ts';
import type { Answer, HandshakeServer } from './handshake.ts';
import { answerHandshake } from './refusal.ts';

export interface OpenHandshake extends Waiting {
  /** From now on what the client does is told to the session. Undefined: it left in the meantime. */
  accept(session: WebSocketSession, answer: Answer): ClientSocket | undefined;
  /** Once, and not after `accept`. */
  refuse(reply: Reply): void;
}

export interface Upgrade {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
  readonly head: Buffer;
}

interface UpgradeTerms extends Upgrade {
  readonly server: HandshakeServer;
  /** The client speaks SockJS in its frames; undefined: it does not. */
  readonly sockJs: SockJsParts | undefined;
}

/** Of a WebSocket: over HTTP/1.1, or HTTP/2 on a stream that looks like a connection of it (`http2-websocket.ts`). */
export class WebSocketHandshake implements OpenHandshake {
  readonly #upgrade: UpgradeTerms;
  readonly #early: EarlyClient;

  constructor(upgrade: UpgradeTerms) {
    this.#upgrade = upgrade;
    this.#early = new EarlyClient(upgrade.socket, upgrade.head);
  }

  get left(): boolean {
    return this.#early.left;
  }

  remains(ms: number): Promise<void> {
    return this.#early.remains(ms);
  }

  accept(session: WebSocketSession, answer: Answer): ClientSocket | undefined {
    const { request, socket, server, sockJs } = this.#upgrade;
    const client = this.#early.left ? undefined : server.accept(request, socket, this.#early.release(), answer);
    if (client === undefined) {
      socket.end(); // It may have closed its own sending side only.
      return undefined;
    }
    if (sockJs === undefined) {
      client.listener = session;
      return client;
    }
    session.shape = sockJsFrames;
    const framed = new SockJsWebSocket(client, session, sockJs);
    client.listener = framed;
    return framed;
  }

  refuse(reply: Reply): void {
    const { socket } = this.#upgrade;
    if (this.#early.left) {
      socket.end(); // It may have closed its own sending side only.
      return;
    }
    this.#early.dismiss();
    this.#early.release();
    answerHandshake(socket, reply);
  }
}

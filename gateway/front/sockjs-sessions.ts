/** SockJS sessions that ask for their frames, by the name that their client gave them, and how such a session begins. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ClientSocket } from '../core/client-socket.ts';
import type { Reply } from '../core/exchange.ts';
import { withoutHeaders } from '../core/headers.ts';
import type { RouteId } from '../core/ids.ts';
import { limits } from '../core/limits.ts';
import type { ConsumedCredential } from '../core/session.ts';
import type { Poll } from '../session/sockjs-poll.ts';
import { SockJsPolling } from '../session/sockjs-polling.ts';
import type { SockJsParts } from '../session/sockjs-websocket.ts';
import type { WebSocketSession } from '../session/websocket-session.ts';
import { sockJsElements } from '../wire/sockjs-frames.ts';
import type { Answer } from './handshake.ts';
import type { OpenHandshake } from './open-handshake.ts';
import { answerRequest } from './refusal.ts';
import { crossOriginReply, withoutCrossOrigin } from './sockjs-answers.ts';
import { proofOf, type Asking } from './sockjs-caller.ts';

export interface SockJsSession {
  readonly polling: SockJsPolling;
  /** What further requests have to show; undefined while its handshake is open. */
  caller: Caller | undefined;
  /** Bodies that are read or wait. */
  sends: number;
}

interface Caller {
  readonly consumed: readonly ConsumedCredential[];
  readonly proof: string;
}

/** Bounded by the sessions that there may be, and by the ends that are kept. */
export class SockJsSessions {
  readonly #parts: SockJsParts;
  readonly #sessions = new Map<string, SockJsSession>();
  /** Of them, those that are over. */
  #ended = 0;

  constructor(parts: SockJsParts) {
    this.#parts = parts;
  }

  /** By the name of the route, since a reload makes another route of it. */
  find(route: RouteId, id: string): SockJsSession | undefined {
    return this.#sessions.get(`${route} ${id}`);
  }

  add(route: RouteId, id: string): SockJsSession {
    const key = `${route} ${id}`;
    let kept = false;
    const forget = (): void => {
      if (kept) this.#ended -= 1;
      this.#sessions.delete(key);
    };
    const ended = (): boolean => {
      kept = this.#ended < limits.sockJsEnded;
      if (kept) this.#ended += 1;
      else forget();
      return kept;
    };
    const session = { polling: new SockJsPolling({ ...this.#parts, ended, forget }), caller: undefined, sends: 0 };
    this.#sessions.set(key, session);
    return session;
  }
}

export function isCallerOf({ caller }: SockJsSession, request: Asking): boolean {
  return caller === undefined || proofOf(request, caller.consumed) === caller.proof;
}

/** Of a client that polls: its first request for frames. */
export class PollHandshake implements OpenHandshake {
  readonly #session: SockJsSession;
  readonly #poll: Poll;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  #wake: (() => void) | undefined;

  constructor(session: SockJsSession, poll: Poll, request: IncomingMessage, response: ServerResponse) {
    this.#session = session;
    this.#poll = poll;
    this.#request = request;
    this.#response = response;
    poll.onOver(() => this.#wake?.());
    session.polling.asked(poll);
  }

  get left(): boolean {
    return this.#session.polling.left;
  }

  remains(ms: number): Promise<void> {
    if (this.left) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  accept(session: WebSocketSession, { headers }: Answer): ClientSocket | undefined {
    if (this.left) return undefined;
    const { polling } = this.#session;
    const consumed = [...session.consumed];
    this.#session.caller = { consumed, proof: proofOf(session.request, consumed) };
    session.shape = sockJsElements;
    this.#poll.addHeaders(withoutHeaders(withoutCrossOrigin(headers), (name) => name.startsWith('content-')));
    polling.accepted(session);
    return polling;
  }

  refuse(reply: Reply): void {
    if (this.left) return;
    this.#session.polling.refused();
    answerRequest(this.#response, crossOriginReply(this.#request, reply));
  }
}

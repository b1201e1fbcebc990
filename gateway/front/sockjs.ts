/**
 * The endpoints of SockJS (protocol 0.3.3) below a route's `sockjs.path`. A session that asks for its frames begins with its first
 * request, which is its handshake: from there on it is a WebSocket for everything behind it.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Reply } from '../core/exchange.ts';
import { limits } from '../core/limits.ts';
import type { Route, SockJsTerms } from '../core/route.ts';
import type { ClientRequest } from '../core/session.ts';
import { Poll, type PollForm } from '../session/sockjs-poll.ts';
import type { SockJsParts } from '../session/sockjs-websocket.ts';
import { isCallback } from '../wire/script-callback.ts';
import type { OpenHandshake } from './open-handshake.ts';
import { answerRequest } from './refusal.ts';
import {
  answerEmpty,
  answerGreeting,
  answerIframe,
  answerInfo,
  answerNotFound,
  answerPreflight,
  answerText,
  crossOriginReply,
  openHeaders,
  sessionHeaders,
} from './sockjs-answers.ts';
import { readSend, sentPayload } from './sockjs-body.ts';
import { withOrigin } from './sockjs-caller.ts';
import { sessionPath, sockJsPlace, type SockJsPlace } from './sockjs-place.ts';
import { isCallerOf, PollHandshake, SockJsSessions, type SockJsSession } from './sockjs-sessions.ts';
import { callbackForm, sockJsTransports, type SockJsTransport } from './sockjs-transports.ts';

interface SockJsFront extends SockJsParts {
  /** Why no further session may begin. */
  readonly full: () => Reply | undefined;
  readonly connect: (client: ClientRequest, route: Route, handshake: OpenHandshake) => void;
}

/** One request to an endpoint. */
interface Asked {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly client: ClientRequest;
  readonly route: Route;
  readonly terms: SockJsTerms;
}

export class SockJs {
  readonly #front: SockJsFront;
  readonly #sessions: SockJsSessions;

  constructor(front: SockJsFront) {
    this.#front = front;
    this.#sessions = new SockJsSessions(front);
  }

  /** False: the path is none of SockJS. */
  handle(asked: Asked): boolean {
    const { request, response, terms } = asked;
    const place = sockJsPlace(asked.client.path, terms.path);
    if (place === undefined) return false;
    const transport = place.kind === 'session' ? sockJsTransports.get(place.transport) : undefined;
    const isUnknown = place.kind === 'unknown' || (place.kind === 'session' && transport === undefined);
    const method = transport?.method ?? 'GET';
    if (isUnknown) answerNotFound(request, response);
    else if (request.method === 'OPTIONS') answerPreflight(request, response, method);
    else if (request.method !== method) answerEmpty(response, 405, [...openHeaders(request), 'Allow', `OPTIONS, ${method}`]);
    else if (place.kind === 'session' && transport !== undefined) this.#session(asked, place.id, transport);
    else answerPlace(asked, place);
    return true;
  }

  #session(asked: Asked, id: string, transport: SockJsTransport): void {
    switch (transport.kind) {
      case 'poll':
        this.#poll(asked, id, transport.form);
        break;
      case 'callback':
        this.#callback(asked, id);
        break;
      case 'send':
        void this.#send(asked, id, transport.form);
        break;
      case 'websocket':
        answerText(asked.request, asked.response, 400, noUpgrade);
    }
  }

  #callback(asked: Asked, id: string): void {
    const [callback = '', ...more] = new URLSearchParams(asked.request.url?.split('?')[1]).getAll('c');
    if (more.length === 0 && isCallback(callback)) this.#poll(asked, id, callbackForm(callback));
    else answerText(asked.request, asked.response, 400, 'The parameter "c" must be the name of a callback.');
  }

  /** The first to ask opens the session. */
  #poll(asked: Asked, id: string, form: PollForm): void {
    const { request, response, client, route, terms } = asked;
    const poll = new Poll(response, form, sessionHeaders(request, terms));
    const session = this.#sessions.find(route.id, id);
    if (session === undefined) this.#open(asked, id, poll);
    else if (isCallerOf(session, client)) session.polling.asked(poll);
    else answerNotFound(request, response);
  }

  #open({ request, response, client, route, terms }: Asked, id: string, poll: Poll): void {
    const full = this.#front.full();
    if (full !== undefined) {
      answerRequest(response, crossOriginReply(request, full));
      return;
    }
    const { method, path, headers, ...known } = client;
    const opening = { ...known, method: 'GET', path: sessionPath(path, terms), headers: withOrigin(method, headers) };
    const handshake = new PollHandshake(this.#sessions.add(route.id, id), poll, request, response);
    this.#front.connect({ ...opening, gripInFront: false }, route, handshake);
  }

  async #send(asked: Asked, id: string, form: boolean): Promise<void> {
    const { request, response, client, route } = asked;
    const session = this.#sessions.find(route.id, id);
    if (!session?.polling.open || !isCallerOf(session, client)) {
      answerNotFound(request, response);
      return;
    }
    if (session.sends >= limits.sockJsSends) {
      answerText(request, response, 503, 'Too much is waiting.');
      return;
    }
    session.sends += 1;
    response.once('close', () => (session.sends -= 1));
    const read = await readSend(asked, route.limits.messageBytes, this.#front.clock);
    if (read.kind === 'too-large') refuseLarge(asked, session);
    else if (read.kind === 'body') take(asked, session, read.body, form);
  }
}

const noUpgrade = 'Can "Upgrade" only to "WebSocket".';

function answerPlace({ request, response, terms }: Asked, { kind }: SockJsPlace): void {
  if (kind === 'greeting') answerGreeting(response);
  else if (kind === 'info') answerInfo(request, response, terms);
  else if (kind === 'raw') answerText(request, response, 400, noUpgrade);
  else if (terms.clientUrl === undefined) answerNotFound(request, response);
  else answerIframe(request, response, terms.clientUrl);
}

function take(asked: Asked, session: SockJsSession, body: Buffer, form: boolean): void {
  const { request, response } = asked;
  const payload = sentPayload(body, form, request.headers['content-type']);
  if (payload.kind === 'flood') refuseLarge(asked, session);
  else if (payload.kind === 'flaw') answerText(request, response, 400, payload.text);
  else session.polling.sent(payload.messages, () => answerSent(asked, form));
}

/** A script that sends a form wants to read something. */
function answerSent({ request, response, terms }: Asked, form: boolean): void {
  const headers = sessionHeaders(request, terms);
  if (form) answerText(request, response, 200, 'ok', headers);
  else answerEmpty(response, 204, headers);
}

/** As a frame that is too large ends a WebSocket. */
function refuseLarge({ request, response, terms }: Asked, { polling }: SockJsSession): void {
  answerEmpty(response, 413, [...sessionHeaders(request, terms), 'Connection', 'close']);
  polling.violated(1009);
}

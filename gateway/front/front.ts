/**
 * Where clients arrive: the only place that decides what kind of session a request becomes, and the only one that lets it in.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { toForegateError } from '../core/errors.ts';
import type { Reply } from '../core/exchange.ts';
import type { HeaderDraft } from '../core/headers.ts';
import type { Route } from '../core/route.ts';
import type { ClientRequest, Denial, SessionView } from '../core/session.ts';
import { normalAddress } from '../core/address-list.ts';
import type { PassThrough } from '../downstream/pass-through.ts';
import type { GripReply } from '../downstream/passage.ts';
import { permitted } from '../session/exchange.ts';
import { openUpstream, type Opening } from '../session/opening.ts';
import { HoldSession } from '../session/hold-session.ts';
import type { HoldParts } from '../session/parts.ts';
import { Pump } from '../session/pump.ts';
import { Relay } from '../session/relay.ts';
import { RequestSession } from '../session/request-session.ts';
import { WebSocketSession } from '../session/websocket-session.ts';
import { WebSocketArrival, type Arrival } from './arrival.ts';
import { chosenSubprotocol, handshakeFlaw, HandshakeServer } from './handshake.ts';
import { answerHandshake, answerRequest, denialReply, errorReply, textReply } from './refusal.ts';
import type { Router } from './router.ts';
import { sharedHeaders } from './shared-headers.ts';
import { webSocketPlace } from './sockjs-place.ts';
import { SockJs } from './sockjs.ts';

export interface FrontParts {
  readonly sessions: HoldParts;
  readonly passThrough: PassThrough;
  /** Changes with a reload; sessions keep the route they have. */
  readonly router: () => Router;
  readonly limits: { readonly sessions: number; readonly headerFields: number };
  /** False while draining: nothing new is let in. */
  readonly accepts: () => boolean;
}

export class Front {
  readonly #parts: FrontParts;
  readonly #handshakes = new WeakMap<Route, HandshakeServer>();

  readonly #sockJs: SockJs;

  constructor(parts: FrontParts) {
    this.#parts = parts;
    const { clock, metrics } = parts.sessions;
    const connect = (request: ClientRequest, route: Route, arrival: Arrival): void => void this.#connect(request, route, arrival);
    this.#sockJs = new SockJs({ clock, metrics, full: () => this.#full(), request: clientRequest, connect });
  }

  /** A request without an upgrade. */
  readonly request = (request: IncomingMessage, response: ServerResponse): void => {
    const route = this.#routeFor(request, 'http');
    if (!('id' in route)) {
      answerRequest(response, route);
      return;
    }
    if (route.sockjs !== undefined && this.#sockJs.handle(request, response, route, route.sockjs)) return;
    void this.#pass(request, response, route);
  };

  /** A WebSocket handshake. */
  readonly upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    const route = this.#routeFor(request, 'websocket');
    const refusal = 'id' in route ? (handshakeFlaw(request) ?? this.#full()) : route;
    if (refusal !== undefined) answerHandshake(socket, refusal);
    else if ('id' in route) this.#shake(request, socket, head, route);
  };

  /** On a route for SockJS clients the path says how they want it. */
  #shake(request: IncomingMessage, socket: Duplex, head: Buffer, route: Route): void {
    const asked = clientRequest(request);
    const place = route.sockjs === undefined ? asked : webSocketPlace(asked.path, route.sockjs);
    if (place === undefined) {
      answerHandshake(socket, textReply(404, 'Not found.', []));
      return;
    }
    const sockJs = 'framed' in place && place.framed ? this.#parts.sessions : undefined;
    const arrival = new WebSocketArrival({ request, socket, head, server: this.#handshakeServer(route), sockJs });
    void this.#connect({ ...asked, path: place.path }, route, arrival);
  }

  #routeFor(request: IncomingMessage, transport: 'http' | 'websocket'): Route | Reply {
    if (request.rawHeaders.length > this.#parts.limits.headerFields * 2) return textReply(431, 'Too many header fields.', []);
    if (!request.url?.startsWith('/')) return textReply(400, 'The request target must be a path.', []);
    const router = this.#parts.router();
    const route = router.find({ host: request.headers.host, path: request.url, transport, secure: isSecure(request) });
    return route ?? textReply(router.noRouteStatus, 'Route not found', []);
  }

  #full(): Reply | undefined {
    const { registry } = this.#parts.sessions;
    if (!this.#parts.accepts()) return textReply(503, 'The service restarts.', ['Retry-After', '1']);
    return registry.size < this.#parts.limits.sessions ? undefined : textReply(503, 'Too many sessions.', ['Retry-After', '5']);
  }

  async #pass(request: IncomingMessage, response: ServerResponse, route: Route): Promise<void> {
    const { clock } = this.#parts.sessions;
    const refuse = (denial: Denial): void => answerRequest(response, denialReply(denial));
    const session = new RequestSession(route, clientRequest(request), clock.now(), refuse);
    if (route.hooks.disconnect.length > 0) response.once('close', () => leave(session, route));
    const answerHeaders: HeaderDraft = [];
    const denial = await permitted(route.hooks.connect, session, answerHeaders);
    if (denial !== undefined) answerRequest(response, denialReply(denial, answerHeaders));
    else
      this.#parts.passThrough.handle({
        request,
        response,
        route,
        session,
        answerHeaders,
        refuse,
        takeOver: (reply) => this.#hold(session, response, answerHeaders, reply),
      });
  }

  #hold(session: RequestSession, response: ServerResponse, answerHeaders: HeaderDraft, reply: GripReply): void {
    const refusal = this.#full();
    if (refusal !== undefined) {
      answerRequest(response, refusal);
      return;
    }
    const hold = new HoldSession(this.#parts.sessions, session, session.route, response, answerHeaders, reply);
    session.heldBy(hold);
    void hold.start();
  }

  async #connect(request: ClientRequest, route: Route, arrival: Arrival): Promise<void> {
    const { sessions } = this.#parts;
    const session = new WebSocketSession(sessions, route, { ...request, headers: sharedHeaders(request.headers) });
    sessions.registry.add(session);
    const answerHeaders: HeaderDraft = [];
    session.refuse = (denial) => arrival.refuse(denialReply(denial, answerHeaders));
    const opening = await this.#open(session, answerHeaders, arrival);
    session.refuse = undefined;
    if (opening.kind === 'accepted') {
      await this.#accept(session, opening, arrival, answerHeaders);
      return;
    }
    session.refusedAtOpening();
    arrival.refuse(opening.kind === 'refused' ? opening.reply : denialReply(opening, answerHeaders));
  }

  /** Through the policies to the backend; every failure becomes an answer. */
  async #open(session: WebSocketSession, answerHeaders: HeaderDraft, arrival: Arrival): Promise<Opening> {
    const { route } = session;
    try {
      const denial = await permitted(route.hooks.connect, session, answerHeaders);
      if (denial !== undefined) return denial;
      const opening = await openUpstream(session, arrival);
      const flaw = opening.kind === 'refused' && opening.reply.body.length > route.limits.refusalBytes;
      return flaw ? { kind: 'refused', reply: errorReply('reply-too-large', undefined) } : opening;
    } catch (thrown) {
      const error = toForegateError(thrown);
      this.#parts.sessions.log.warn('opening.failed', { session: session.id, route: route.id, code: error.code, error });
      return { kind: 'refused', reply: errorReply(error.code, route.debug ? error.message : undefined) };
    }
  }

  async #accept(
    session: WebSocketSession,
    opening: Extract<Opening, { kind: 'accepted' }>,
    arrival: Arrival,
    answerHeaders: HeaderDraft,
  ): Promise<void> {
    const { accept, steps, backend } = opening;
    const upstream = backend === undefined ? new Pump(session) : new Relay(session, backend);
    const subprotocol = chosenSubprotocol(session.request.headers, accept, session.consumed);
    const socket = arrival.accept(session, { headers: [...answerHeaders, ...accept.headers], subprotocol });
    await session.accepted(socket, upstream, { accept, steps });
  }

  #handshakeServer(route: Route): HandshakeServer {
    let server = this.#handshakes.get(route);
    if (server === undefined) {
      server = new HandshakeServer(route.limits.messageBytes);
      this.#handshakes.set(route, server);
    }
    return server;
  }
}

function leave(session: SessionView, route: Route): void {
  for (const end of route.hooks.disconnect) end(session);
}

function clientRequest(request: IncomingMessage): ClientRequest {
  return {
    method: request.method ?? 'GET',
    path: request.url ?? '/',
    headers: request.rawHeaders,
    address: normalAddress(request.socket.remoteAddress ?? ''),
    secure: isSecure(request),
  };
}

function isSecure({ socket }: IncomingMessage): boolean {
  return socket instanceof TLSSocket;
}

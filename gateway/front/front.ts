/**
 * Where clients arrive: the only place that decides what kind of session a request becomes, and the only one that lets it in.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { errors, toForegateError } from '../core/errors.ts';
import type { Reply } from '../core/exchange.ts';
import type { HeaderDraft, HeaderList } from '../core/headers.ts';
import type { Accept } from '../core/instruction.ts';
import { deny, type OwnAnswer } from '../core/policy.ts';
import type { Revocations } from '../core/revocation.ts';
import type { Route, Transport } from '../core/route.ts';
import type { ClientRequest, Denial, SessionView } from '../core/session.ts';
import type { Tally } from '../core/tally.ts';
import type { PassThrough } from '../downstream/pass-through.ts';
import type { GripReply } from '../downstream/passage.ts';
import { admitted } from '../session/exchange.ts';
import { logConnection } from '../session/connection-log.ts';
import { openUpstream, type Opening } from '../session/opening.ts';
import { HoldSession } from '../session/hold-session.ts';
import type { HoldParts } from '../session/parts.ts';
import { Pump } from '../session/pump.ts';
import { Relay } from '../session/relay.ts';
import { RequestSession } from '../session/request-session.ts';
import { WebSocketSession } from '../session/websocket-session.ts';
import { formatExtension, offersGrip } from '../wire/grip-socket.ts';
import { arrivingRequest, goesInCircles, meantMethod, namedRoute, type ArrivalTerms } from './arrival.ts';
import { allowCrossOrigin, isPreflight } from './cross-origin.ts';
import { chosenSubprotocol, handshakeFlaw, HandshakeServer, offeredSubprotocols } from './handshake.ts';
import { jsonpRequest } from './jsonp.ts';
import { WebSocketHandshake, type OpenHandshake, type Upgrade } from './open-handshake.ts';
import { answerHandshake, answerRequest, denialReply, errorReply, textReply } from './refusal.ts';
import type { Asked, Router } from './router.ts';
import { sharedHeaders } from './shared-headers.ts';
import { webSocketPlace } from './sockjs-place.ts';
import { SockJs } from './sockjs.ts';

export interface FrontParts {
  readonly sessions: HoldParts;
  readonly passThrough: PassThrough;
  /** Changes with a reload; sessions keep the route they have. */
  readonly router: () => Router;
  readonly arrivals: () => ArrivalTerms;
  readonly limits: { readonly sessions: number; readonly headerFields: number };
  readonly revocations: Revocations;
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
    this.#sockJs = new SockJs({
      clock,
      metrics,
      full: () => this.#full(),
      connect: (client, route, handshake) => void this.#connect(client, route, handshake),
    });
  }

  /** A request without an upgrade. */
  readonly request = (request: IncomingMessage, response: ServerResponse): void => {
    const client = arrivingRequest(request, this.#parts.arrivals());
    const route = this.#routeFor(client, request.headers.host, 'http');
    if (!('id' in route)) {
      answerRequest(response, route);
      return;
    }
    const { sockjs: terms } = route;
    if (terms !== undefined && this.#sockJs.handle({ request, response, client, route, terms })) return;
    if (route.cors) allowCrossOrigin(request, response);
    if (route.cors && route.hooks.connect.length > 0 && isPreflight(client)) {
      answerRequest(response, preflightAnswer);
      return;
    }
    const { jsonp, limits } = route;
    const meant = jsonp === undefined ? request : jsonpRequest(request, response, jsonp, limits.replyBytes);
    if ('status' in meant) {
      answerRequest(response, meant);
      return;
    }
    const refuse = (denial: Denial): void => answerCounted(response, denialReply(denial), session);
    const whole = meant !== request;
    const session: RequestSession = new RequestSession(
      route,
      whole ? asMeant(client, meant) : client,
      this.#parts.sessions.clock.now(),
      refuse,
    );
    void this.#pass(meant, response, session, whole);
  };

  /** A WebSocket handshake. */
  readonly upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    const client = arrivingRequest(request, this.#parts.arrivals());
    const route = this.#routeFor(client, request.headers.host, 'websocket');
    const refusal = 'id' in route ? (handshakeFlaw(request) ?? this.#full()) : route;
    if (refusal !== undefined) answerHandshake(socket, refusal);
    else if ('id' in route) this.#shake(client, route, { request, socket, head });
  };

  /** On a route for SockJS clients the path says how they want it. */
  #shake(client: ClientRequest, route: Route, upgrade: Upgrade): void {
    const place = route.sockjs === undefined ? { framed: false, path: client.path } : webSocketPlace(client.path, route.sockjs);
    if (place === undefined) {
      answerHandshake(upgrade.socket, textReply(404, 'Not found.', []));
      return;
    }
    const { framed, path } = place;
    const server = this.#handshakeServer(route);
    const handshake = new WebSocketHandshake({ ...upgrade, server, sockJs: framed ? this.#parts.sessions : undefined });
    void this.#connect(framed ? { ...client, path, gripInFront: false } : { ...client, path }, route, handshake);
  }

  #routeFor({ method, headers, path, secure }: ClientRequest, host: string | undefined, transport: Transport): Route | Reply {
    if (headers.length > this.#parts.limits.headerFields * 2) return textReply(431, 'Too many header fields.', []);
    if (!path.startsWith('/')) return textReply(400, 'The request target must be a path.', []);
    const arrivals = this.#parts.arrivals();
    if (goesInCircles(headers, arrivals)) return textReply(508, 'The request has been here before (CDN-Loop).', []);
    const router = this.#parts.router();
    const asked = { host, path, transport, secure, method: meantMethod(method, headers), routeId: namedRoute(headers, arrivals) };
    const route = router.find(asked);
    if (route === undefined) return noRoute(router, asked);
    route.statistics.counts.requestsReceived += 1;
    return route;
  }

  #full(): Reply | undefined {
    const { registry } = this.#parts.sessions;
    if (!this.#parts.accepts()) return textReply(503, 'The service restarts.', ['Retry-After', '1']);
    return registry.size < this.#parts.limits.sessions ? undefined : textReply(503, 'Too many sessions.', ['Retry-After', '5']);
  }

  async #pass(request: IncomingMessage, response: ServerResponse, session: RequestSession, whole: boolean): Promise<void> {
    const { route } = session;
    if (route.hooks.disconnect.length > 0) response.once('close', () => leave(session, route));
    if (session.tally !== undefined) this.#logEnd(response, session, session.tally);
    const answerHeaders: HeaderDraft = [];
    const decision = await this.#admit(session, route, answerHeaders);
    if (decision !== undefined) answerCounted(response, replyOf(decision, answerHeaders), session);
    else
      this.#parts.passThrough.handle({
        request,
        response,
        route,
        session,
        tally: session.tally,
        answerHeaders,
        refuse: (refused) => answerCounted(response, denialReply(refused), session),
        takeOver: (reply) => this.#hold(session, response, answerHeaders, { ...reply, whole }),
      });
  }

  /** Through the policies. What was revoked does not come in, whoever vouches for it. */
  async #admit(session: SessionView, { hooks }: Route, answer: HeaderDraft): Promise<Denial | OwnAnswer | undefined> {
    const decision = await admitted(hooks, session, answer);
    return decision?.kind === 'deny' ? decision : (this.#revoked(session) ?? decision);
  }

  #revoked({ identity }: SessionView): Denial | undefined {
    return identity !== undefined && this.#parts.revocations.covers(identity) ? revoked : undefined;
  }

  /** A line in the log when the answer is over. */
  #logEnd(response: ServerResponse, session: RequestSession, tally: Tally): void {
    const { log, clock } = this.#parts.sessions;
    let isComplete = false;
    // An answer in one write tells of its end by this event alone.
    response.once('finish', () => (isComplete = true));
    response.once('close', () => {
      if (!isComplete) tally.by ??= 'client';
      logConnection(log, session, tally, { endedAt: clock.now(), ...(response.headersSent && { status: response.statusCode }) });
    });
  }

  #hold(session: RequestSession, response: ServerResponse, answerHeaders: HeaderDraft, reply: GripReply): void {
    const denial = this.#revoked(session); // It may have been while the backend made up its mind.
    const refusal = denial === undefined ? this.#full() : denialReply(denial);
    if (refusal !== undefined) {
      answerCounted(response, refusal, session);
      return;
    }
    const hold = new HoldSession(this.#parts.sessions, session, session.route, response, answerHeaders, reply);
    session.heldBy(hold);
    void hold.start();
    for (const notice of session.route.hooks.held) notice(session);
  }

  async #connect(client: ClientRequest, route: Route, handshake: OpenHandshake): Promise<void> {
    const { sessions } = this.#parts;
    const session = new WebSocketSession(sessions, route, { ...client, headers: sharedHeaders(client.headers) });
    sessions.registry.add(session);
    const answerHeaders: HeaderDraft = [];
    session.refuse = (denial) => handshake.refuse(denialReply(denial, answerHeaders));
    const opening = await this.#open(session, answerHeaders, handshake);
    session.refuse = undefined;
    if (opening.kind === 'accepted') {
      await this.#accept(session, opening, handshake, answerHeaders);
      return;
    }
    if (opening.kind === 'turned-away') {
      this.#turnAway(session, opening.denial, handshake, answerHeaders);
      return;
    }
    const refusal = opening.kind === 'refused' ? opening.reply : denialReply(opening, answerHeaders);
    session.refusedAtOpening(refusal.status);
    handshake.refuse(refusal);
  }

  /** Through the policies to the backend; every failure becomes an answer. */
  async #open(session: WebSocketSession, answerHeaders: HeaderDraft, handshake: OpenHandshake): Promise<Opening | TurnedAway> {
    const { route } = session;
    try {
      const decision = await this.#admit(session, route, answerHeaders);
      if (decision?.kind === 'deny') return isTold(decision) ? { kind: 'turned-away', denial: decision } : decision;
      if (decision?.kind === 'answer') return { kind: 'refused', reply: replyOf(decision, answerHeaders) };
      const opening = await openUpstream(session, handshake);
      const flaw = opening.kind === 'refused' && opening.reply.body.length > route.limits.refusalBytes;
      return flaw ? { kind: 'refused', reply: errorReply('reply-too-large', undefined) } : opening;
    } catch (thrown) {
      const error = toForegateError(thrown);
      this.#parts.sessions.log.warn('opening.failed', { session: session.id, route: route.id, code: error.code, error });
      return { kind: 'refused', reply: errorReply(error.code, route.debug ? error.message : undefined, error.retryAfterMs) };
    }
  }

  async #accept(
    session: WebSocketSession,
    opening: Extract<Opening, { kind: 'accepted' }>,
    handshake: OpenHandshake,
    answerHeaders: HeaderDraft,
  ): Promise<void> {
    const { accept, steps, backend } = opening;
    const upstream = backend === undefined ? new Pump(session) : new Relay(session, backend);
    const subprotocol = chosenSubprotocol(session.request.headers, accept, session.consumed);
    const headers = [...answerHeaders, ...accept.headers, ...gripAnswer(session, accept)];
    session.subprotocol = subprotocol;
    const socket = handshake.accept(session, { headers, subprotocol });
    await session.accepted(socket, upstream, { accept, steps });
  }

  #turnAway(session: WebSocketSession, denial: Denial, handshake: OpenHandshake, headers: HeaderDraft): void {
    const subprotocol = farewellSubprotocol(session);
    session.subprotocol = subprotocol;
    session.turnedAway(handshake.accept(session, { headers: [...headers, ...(denial.headers ?? [])], subprotocol }), denial);
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

const revoked = deny('revoked', errors.revoked.text, {
  headers: ['WWW-Authenticate', `Bearer error="invalid_token", error_description="${errors.revoked.text}"`],
});

/** The browser asks for itself, without credentials: policies would refuse what they are to decide about later. */
const preflightAnswer = { ...textReply(204, '', []), headers: [] };

function noRoute(router: Router, asked: Asked): Reply {
  const methods = router.methods(asked);
  if (methods.length === 0) return textReply(router.noRouteStatus, 'Route not found', []);
  return textReply(405, 'This method is not for this path.', ['Allow', methods.join(', ')]);
}

function replyOf(decision: Denial | OwnAnswer, answerHeaders: HeaderList): Reply {
  if (decision.kind === 'deny') return denialReply(decision, answerHeaders);
  const { reply } = decision;
  return { ...reply, headers: [...answerHeaders, ...reply.headers] };
}

/** A WebSocket whose client is to hear of the refusal in it. */
interface TurnedAway {
  readonly kind: 'turned-away';
  readonly denial: Denial;
}

/** Of a refusal at `connect`; by all others the handshake is refused. */
function isTold({ action }: Denial): boolean {
  return action === 'close' || action === 'answer';
}

/** Browsers tell their pages of a close code only if one of the offered subprotocols was taken: the first that is no credential. */
function farewellSubprotocol({ request, consumed }: WebSocketSession): string | undefined {
  const used = new Set(consumed.flatMap((credential) => (credential.in === 'subprotocol' ? [credential.name] : [])));
  const offered = offeredSubprotocols(request.headers)?.find((name) => !used.has(name));
  return offered ?? chosenSubprotocol(request.headers, { kind: 'accept', headers: [] }, consumed);
}

/** A gateway in front that offered GRIP is told that the backend took it: it is the one to read its messages (GRIP 8.5). */
function gripAnswer({ request }: WebSocketSession, { grip }: Accept): HeaderList {
  if (request.gripInFront !== true || grip === undefined || !offersGrip(request.headers)) return [];
  return ['Sec-WebSocket-Extensions', formatExtension(grip)];
}

/** A request that another describes comes from the same client. */
function asMeant(client: ClientRequest, { method = 'GET', url = '/', rawHeaders }: IncomingMessage): ClientRequest {
  return { ...client, method, path: url, headers: rawHeaders };
}

/** An answer of Foregate's own to a request whose line counts it. */
function answerCounted(response: ServerResponse, reply: Reply, { tally }: RequestSession): void {
  if (tally !== undefined && !response.headersSent) tally.bytesOut += reply.body.length;
  if (tally !== undefined) tally.by ??= 'foregate';
  answerRequest(response, reply);
}

function leave(session: SessionView, route: Route): void {
  for (const end of route.hooks.disconnect) end(session);
}

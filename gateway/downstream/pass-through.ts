/**
 * Plain HTTP requests, passed to a route's target and back as they are: bodies untouched and streamed both ways (GRIP 8.1).
 *
 * http-proxy-middleware carries the bytes. It is shown neither path nor header fields of the client, which it would read as
 * URLs and options of its own: what goes out is written here, just before the request leaves.
 */
import { STATUS_CODES, type Agent, type ClientRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import { createProxyMiddleware, type RequestHandler } from 'http-proxy-middleware';
import type { Clock, Timer } from '../core/clock.ts';
import { errors, type ErrorCode } from '../core/errors.ts';
import type { RequestDraft } from '../core/exchange.ts';
import { fields, headerValues, isHeaderValue, isHopByHop, withoutHeaders, type HeaderList } from '../core/headers.ts';
import { limits } from '../core/limits.ts';
import type { Log } from '../core/log.ts';
import { runHooks, type Verdict } from '../core/policy.ts';
import { isPromise, type MaybePromise } from '../core/promise.ts';
import type { Route, Target } from '../core/route.ts';
import type { Denial, SessionView } from '../core/session.ts';
import { buildPlainHead, cleanReplyHeaders, hostOf } from './request-head.ts';
import { createTargetAgent, Gate } from './target-agent.ts';

export interface PassThroughTerms {
  readonly clock: Clock;
  readonly log: Log;
  /** Requests that run at once per target; others wait. Default: `limits.targetConnections`. */
  readonly connections?: number;
  /** How long an unused connection to a target is kept. Default: 4000, below what gateways allow. */
  readonly idleMs?: number;
  /** How long a connection may take to stand before the next target is tried. Default: 4000. */
  readonly connectMs?: number;
}

/** One plain request, after the front has made its session and run `hooks.connect`. */
export interface PlainRequest {
  /** Not read yet. Its `url` and `headers` are replaced; the client's are in `session.request`. */
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly route: Route;
  readonly session: SessionView;
  /** Fields that policies want in the answer. */
  readonly answerHeaders: HeaderList;
  /** Answers the client with a policy's refusal; nothing was written yet. */
  refuse(denial: Denial): void;
}

export interface PassThrough {
  /** Answers the request, whatever happens: by the target's reply, a refusal or an error. Upgrades never come here. */
  handle(plain: PlainRequest): void;
}

/** Makes the pass-through of a program. Connections are per target, made at first use and gone when unused. */
export function createPassThrough(terms: PassThroughTerms): PassThrough {
  const places = new WeakMap<Target, Place>();
  const placeOf = (target: Target): Place => {
    let place = places.get(target);
    if (!place) places.set(target, (place = openPlace(target, terms)));
    return place;
  };
  const road: Road = { terms, placeOf, send: createSender() };
  return {
    handle(plain) {
      if (isEventRequest(plain.session.request.headers)) {
        answer(plain, 403, 'Client not allowed to send WebSocket events directly.\n');
        return;
      }
      const passage = new Passage(plain, road);
      (plain.request as Carried)[passageOf] = passage; // What is in it is ours alone.
      passage.start();
    },
  };
}

/** True for bodies that only a gateway may send: WebSocket-over-HTTP events, in any spelling (GRIP 8.1). */
export function isEventRequest(headers: HeaderList): boolean {
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i] ?? '';
    if (name.length === 12 && /^content[-_]type$/i.test(name) && /application\/websocket-events/i.test(headers[i + 1] ?? ''))
      return true;
  }
  return false;
}

/** What all passages share. */
interface Road {
  readonly terms: PassThroughTerms;
  readonly placeOf: (target: Target) => Place;
  readonly send: RequestHandler<Carried>;
}

/** A target as plain requests need it. */
interface Place {
  readonly gate: Gate;
  readonly agent: Agent;
  /** In parts, so that it is not parsed for every request. */
  readonly address: { readonly protocol: string; readonly host: string; readonly hostname: string; readonly port: string };
}

const idleMsDefault = 4000;
const connectMsDefault = 4000;

function openPlace(
  target: Target,
  { idleMs = idleMsDefault, connectMs = connectMsDefault, connections }: PassThroughTerms,
): Place {
  const { protocol, hostname, port } = new URL(target.origin);
  const host = hostname.replace(/^\[|\]$/g, '');
  return {
    gate: new Gate(connections ?? limits.targetConnections),
    agent: createTargetAgent(target, { idleMs, connectMs }),
    address: { protocol, host, hostname: host, port },
  };
}

/** Where the library's events find the passage of their request; a WeakMap costs the collector more per request than all else here. */
const passageOf = Symbol('passage');

type Carried = IncomingMessage & { [passageOf]?: Passage };

/** One for all targets, because each leaves a listener at the server for good. */
function createSender(): RequestHandler<Carried> {
  return createProxyMiddleware<Carried>({
    router: (request, _response, options) => {
      const place = request[passageOf]?.place;
      if (!place) throw new Error('A request that never set out.');
      // The options of this request alone: they are copied for each.
      options.agent = place.agent;
      return place.address;
    },
    selfHandleResponse: true,
    ws: false,
    // The default plugins log and answer errors in their own way.
    ejectPlugins: true,
    plugins: [
      (proxy) => {
        proxy.on('proxyReq', (upstream, request) => request[passageOf]?.connected(upstream));
        proxy.on('proxyRes', (reply, request) => request[passageOf]?.replied(reply));
        proxy.on('error', (error, request) => request?.[passageOf]?.failed(error));
      },
    ],
  });
}

/** One request on its way: prepared, sent, answered. Every step may be the last, because the client may leave at any time. */
class Passage {
  readonly #plain: PlainRequest;
  readonly #road: Road;
  readonly #framing: Framing;
  readonly #tried: string[] = [];
  #place: Place | undefined;
  #draft: RequestDraft | undefined;
  #upstream: ClientRequest | undefined;
  #reply: IncomingMessage | undefined;
  #deadline: Timer | undefined;
  #movedBytes = 0;
  #isRelayed = false;
  #resent = false;

  constructor(plain: PlainRequest, road: Road) {
    this.#plain = plain;
    this.#road = road;
    this.#framing = framingOf(plain.request);
  }

  start(): void {
    const { request, response } = this.#plain;
    request.url = '/';
    request.headers = this.#framing.length === undefined ? {} : { 'content-length': this.#framing.length };
    response.once('close', () => this.#end());
    if (hasBody(this.#framing)) request.once('end', () => this.#watchReply());
    this.#tryTarget();
  }

  /** The connection stands: the head is written now, the body follows by itself. */
  connected(upstream: ClientRequest): void {
    this.#upstream = upstream;
    if (this.#isAnswered() || !this.#draft) {
      upstream.destroy();
      return;
    }
    try {
      writeHead(upstream, this.#draft, this.#framing);
    } catch (error) {
      this.#road.terms.log.error('pass-through.head', { route: this.#plain.route.id, error });
      this.#fail('policy-failed');
      return;
    }
    // Such as a switch of protocols that nobody asked for: the connection is gone without a reply or an error.
    upstream.once('close', () => {
      if (this.#upstream === upstream && !this.#reply && !this.#isAnswered()) this.#fail('downstream-lost');
    });
    upstream.on('information', (hint) => relayHint(hint.statusCode, hint.rawHeaders, this.#plain));
  }

  /** The head of the reply is here. */
  replied(reply: IncomingMessage): void {
    this.#reply = reply;
    reply.once('error', () => this.#broken());
    if (this.#isAnswered()) return;
    const { route, session } = this.#plain;
    if (route.hooks.response.length === 0) {
      this.#relay(reply);
      return;
    }
    const head = { status: reply.statusCode ?? 0, reason: reply.statusMessage ?? '', headers: reply.rawHeaders, body: noBody };
    this.#decide(runHooks(route.hooks.response, session, { reply: head, steps: [] }), () => this.#relay(reply));
  }

  /** The request could not be sent or its connection broke. */
  failed(error: Error): void {
    if (this.#reply || this.#isAnswered()) return;
    this.#road.terms.log.debug('pass-through.failed', { route: this.#plain.route.id, target: this.#target.origin, error });
    if (!this.#upstream) {
      this.#tryTarget();
    } else if (this.#mayResend(error)) {
      this.#resent = true;
      this.#upstream = undefined;
      this.#send();
    } else {
      this.#fail('downstream-lost');
    }
  }

  /** Where it goes now. */
  get place(): Place | undefined {
    return this.#place;
  }

  get #target(): Target {
    const { targets } = this.#plain.route;
    return targets[this.#tried.length - 1] ?? targets[0];
  }

  #tryTarget(): void {
    const { route, session } = this.#plain;
    const target = route.targets[this.#tried.length];
    this.#place?.gate.leave();
    this.#place = undefined;
    if (!target) {
      this.#fail('downstream-unreachable');
      return;
    }
    // Every attempt adds listeners of the library's to the two.
    if (this.#tried.length > 0) for (const message of [this.#plain.request, this.#plain.response]) message.setMaxListeners(0);
    this.#tried.push(hostOf(target.origin));
    this.#watch(target.timeoutMs);
    const head = buildPlainHead(session.request, route, target, session.consumed);
    this.#whenDone(
      () => target.profile.prepare(head, session),
      () => {
        const draft = { method: session.request.method, path: head.path, headers: head.headers, body: undefined };
        this.#decide(runHooks(route.hooks.request, session, draft), () => this.#enter(draft));
      },
    );
  }

  #enter(draft: RequestDraft): void {
    const { grip, hooks } = this.#plain.route;
    if (!isPath(draft.path)) {
      this.#fail('policy-failed');
      return;
    }
    if (hooks.request.length > 0) removeFraming(draft);
    const signer = grip?.signer;
    if (signer) draft.headers.push('Grip-Sig', signer.sign());
    this.#draft = draft;
    const place = this.#road.placeOf(this.#target);
    const entered = place.gate.enter(() => {
      if (this.#isAnswered()) return false;
      this.#place = place;
      this.#send();
      return true;
    });
    if (!entered) this.#fail('overloaded');
  }

  #send(): void {
    const { request, response } = this.#plain;
    void this.#road.send(request, response);
  }

  /** A kept connection may be closed by the other side in the very moment it is used again. */
  #mayResend(error: Error): boolean {
    const { request } = this.#plain;
    const isStale =
      this.#upstream?.reusedSocket === true && 'code' in error && (error.code === 'ECONNRESET' || error.code === 'EPIPE');
    const isSafe = request.method === 'GET' || request.method === 'HEAD' || request.method === 'OPTIONS';
    return isStale && isSafe && !hasBody(this.#framing) && !this.#resent && this.#target.retry === 'once';
  }

  #relay(reply: IncomingMessage): void {
    const { response, answerHeaders } = this.#plain;
    const status = reply.statusCode ?? 0;
    if (status < 200) {
      this.#fail('bad-reply');
      return;
    }
    this.#isRelayed = true;
    const headers = cleanReplyHeaders(reply.rawHeaders);
    for (const part of answerHeaders) headers.push(part);
    response.sendDate = false;
    response.writeHead(status, isHeaderValue(reply.statusMessage ?? '') ? reply.statusMessage : STATUS_CODES[status], headers);
    pump(reply, response);
  }

  /** Goes on when the value is there; what throws ends the request. */
  #whenDone<T>(value: () => MaybePromise<T>, then: (value: T) => void): void {
    const wrong = (error: unknown): void => {
      this.#road.terms.log.error('pass-through.broken', { route: this.#plain.route.id, error });
      this.#fail('internal');
    };
    const goOn = (done: T): void => {
      if (!this.#isAnswered()) then(done);
    };
    try {
      const done = value();
      if (isPromise(done)) done.then(goOn).catch(wrong);
      else goOn(done);
    } catch (error) {
      wrong(error);
    }
  }

  #decide(verdict: MaybePromise<Verdict>, goOn: () => void): void {
    this.#whenDone(
      () => verdict,
      (decided) => {
        if (decided?.kind === 'deny') this.#refuse(decided);
        else if (decided?.kind === 'delay') this.#road.terms.clock.after(decided.ms, () => this.#whenDone(() => undefined, goOn));
        else goOn();
      },
    );
  }

  #refuse(denial: Denial): void {
    this.#dropUnanswered();
    this.#plain.refuse(denial);
  }

  /** A reply that is not wanted waits unread until the client has its answer: the library ends both sides together. */
  #dropUnanswered(): void {
    if (!this.#reply) this.#upstream?.destroy();
  }

  #fail(code: ErrorCode): void {
    const { response, route } = this.#plain;
    this.#road.terms.log.warn('pass-through.error', { route: route.id, code, tried: this.#tried });
    this.#dropUnanswered();
    if (response.headersSent) {
      this.#cut();
      return;
    }
    const { status } = errors[code];
    const isFull = route.debug && code === 'downstream-unreachable';
    answer(
      this.#plain,
      status,
      isFull ? `Unable to connect to any targets. Tried: ${this.#tried.join(', ')}\n` : 'Error while proxying to origin.\n',
    );
  }

  #broken(): void {
    if (this.#isRelayed) this.#cut();
    else if (!this.#isAnswered()) this.#fail('downstream-lost');
  }

  /** A reply that broke off must look broken to the client: without a length only a reset tells it from one that is complete. */
  #cut(): void {
    const { request, response } = this.#plain;
    if (response.writableFinished) return;
    const hasPlainSocket = response.socket !== null && !('encrypted' in response.socket);
    if (request.httpVersionMinor === 0 && hasPlainSocket) response.socket.resetAndDestroy();
    else response.destroy();
  }

  #isAnswered(): boolean {
    const { response } = this.#plain;
    return response.headersSent || response.destroyed;
  }

  /** The request is out: now the backend has its time. */
  #watchReply(): void {
    if (!this.#reply && !this.#isAnswered()) this.#watch(this.#target.timeoutMs);
  }

  /** (Re)starts the deadline: for the head of the reply, or for anything to move once it is there. */
  #watch(ms: number): void {
    this.#deadline?.cancel();
    this.#deadline = this.#road.terms.clock.after(ms, () => this.#checkDeadline());
  }

  #checkDeadline(): void {
    const { request, response, route } = this.#plain;
    if (response.destroyed || response.writableFinished) return;
    const before = this.#movedBytes;
    this.#movedBytes = request.socket.bytesRead + request.socket.bytesWritten + (this.#upstream?.socket?.bytesRead ?? 0);
    // An upload may take its time; the deadline of its reply starts when it has ended.
    const mayGoOn = (this.#reply !== undefined || !request.complete) && this.#movedBytes !== before;
    if (mayGoOn) this.#watch(this.#reply ? route.idleMs : this.#target.timeoutMs);
    else if (this.#reply) this.#idle();
    else this.#fail('downstream-timeout');
  }

  #idle(): void {
    this.#upstream?.destroy();
    this.#cut();
  }

  #end(): void {
    this.#deadline?.cancel();
    this.#place?.gate.leave();
    this.#place = undefined;
    // Before the connection stands there is nothing to end: it is kept for the next request.
    if (this.#reply?.complete !== true) this.#upstream?.destroy();
  }
}

/** A path that is not the end of a request line. */
function isPath(path: string): boolean {
  return /^(?:\/[\x21-\xff]*|\*)$/.test(path);
}

const noBody = Buffer.alloc(0);

/** How the client framed its body; ours is framed the same way, whatever policies do to the fields. */
interface Framing {
  readonly length: string | undefined;
  readonly chunked: boolean;
}

function hasBody({ length, chunked }: Framing): boolean {
  return length !== undefined || chunked;
}

function framingOf(request: IncomingMessage): Framing {
  return { length: request.headers['content-length'], chunked: request.headers['transfer-encoding'] !== undefined };
}

/** @throws TypeError for a field that would make two of one. */
function writeHead(upstream: ClientRequest, draft: RequestDraft, framing: Framing): void {
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
function removeFraming(draft: RequestDraft): void {
  draft.headers = withoutHeaders(draft.headers, (lowerName) => lowerName === 'expect' || isHopByHop(lowerName));
}

function isLength(name: string): boolean {
  return name.length === 14 && name.toLowerCase() === 'content-length';
}

/** Streams the body on; what has a length ends with its last byte, in one write with it. */
function pump(reply: IncomingMessage, response: ServerResponse): void {
  let left = Number(reply.headers['content-length'] ?? NaN);
  const resume = (): void => void reply.resume();
  reply.on('data', (chunk: Buffer) => {
    left -= chunk.length;
    if (left === 0) {
      response.end(chunk);
    } else if (!response.write(chunk)) {
      reply.pause();
      response.once('drain', resume);
    }
  });
  reply.once('end', () => {
    if (response.writableEnded) return;
    const trailers = reply.rawTrailers.length === 0 ? [] : cleanReplyHeaders(reply.rawTrailers);
    if (trailers.length > 0) response.addTrailers([...fields(trailers)].map(([name, value]): [string, string] => [name, value]));
    response.end();
  });
}

/** Early hints go on; other interim answers mean nothing beyond their connection. HTTP/1.0 knows none. */
function relayHint(status: number, rawHeaders: readonly string[], { request, response }: PlainRequest): void {
  if (status !== 103 || request.httpVersionMinor === 0 || response.headersSent || response.destroyed) return;
  const link = headerValues(rawHeaders, 'link');
  try {
    if (link.length > 0) response.writeEarlyHints({ link });
  } catch {
    // A link that Node does not take for one is a hint less.
  }
}

function answer({ response, answerHeaders }: PlainRequest, status: number, text: string): void {
  if (response.headersSent || response.destroyed) return;
  const headers = ['Content-Type', 'text/plain', 'Content-Length', String(Buffer.byteLength(text)), ...answerHeaders];
  response.sendDate = false;
  response.writeHead(status, headers);
  response.end(text);
}

/**
 * One plain request on its way through (GRIP 8.1): prepared for a target, sent, answered. What it does with the two connections
 * is here; what the messages on them look like is in `plain-message.ts`.
 */
import { STATUS_CODES, type Agent, type ClientRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Clock, Timer } from '../core/clock.ts';
import { errors, toForegateError, type ErrorCode, type ForegateError } from '../core/errors.ts';
import type { RequestDraft } from '../core/exchange.ts';
import type { ReplyHead } from '../core/hold.ts';
import { limits } from '../core/limits.ts';
import { isHeaderValue, retryAfter, type HeaderList } from '../core/headers.ts';
import type { Log } from '../core/log.ts';
import { runHooks, type Verdict } from '../core/policy.ts';
import { isPromise, type MaybePromise } from '../core/promise.ts';
import { gripFor, type Route, type Target } from '../core/route.ts';
import type { Denial, SessionView } from '../core/session.ts';
import type { Tally } from '../core/tally.ts';
import type { Pass, TargetGuard } from '../core/target-guard.ts';
import { askGuard, isFailure, verdictOn } from './breaker-and-cap.ts';
import { framingOf, hasBody, isPath, relay, relayHint, removeFraming, writeHead, type Framing } from './plain-message.ts';
import { isInstruct } from '../wire/grip-headers.ts';
import { buildPlainHead, cleanReplyHeaders, gatewayReplyHeaders, hostOf, withOwnNames } from './request-head.ts';
import type { Gate } from './target-agent.ts';

/** One plain request, after the front has made its session and run `hooks.connect`. */
export interface PlainRequest {
  /** Not read yet. Its `url` and `headers` are replaced; the client's are in `session.request`. */
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly route: Route;
  readonly session: SessionView;
  /** Undefined: nobody counts. */
  readonly tally: Tally | undefined;
  /** Fields that policies want in the answer. */
  readonly answerHeaders: HeaderList;
  /** Answers the client with a policy's refusal; nothing was written yet. */
  refuse(denial: Denial): void;
  /** Takes over a reply with GRIP instructions: the answer is the taker's from now on. */
  takeOver(reply: GripReply): void;
}

export interface GripReply {
  readonly head: ReplyHead;
  /** Not read yet. */
  readonly reply: IncomingMessage;
  readonly target: Target;
  /** As it went downstream, to be made again. */
  readonly draft: RequestDraft;
  /** A copy of the request's body; undefined where it was larger than {@link limits.instructBytes}. */
  readonly requestBody: Buffer | undefined;
  /** The client can take an answer as a whole only, none that goes on. */
  readonly whole?: boolean;
}

/** What all passages share. */
export interface Road {
  readonly clock: Clock;
  readonly log: Log;
  readonly placeOf: (target: Target) => Place;
  /** Carries a request whose passage has a place; its events come back to the passage. */
  readonly send: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
}

/** A target as plain requests need it. */
export interface Place {
  readonly gate: Gate;
  readonly agent: Agent;
  /** In parts, so that it is not parsed for every request. */
  readonly address: { readonly protocol: string; readonly host: string; readonly hostname: string; readonly port: string };
}

/** One request on its way: prepared, sent, answered. Every step may be the last, because the client may leave at any time. */
export class Passage {
  readonly #plain: PlainRequest;
  readonly #road: Road;
  readonly #framing: Framing;
  /** As far as it is done here. */
  readonly #grip: Route['grip'];
  readonly #tried: string[] = [];
  #place: Place | undefined;
  /** Through the guard of the target, if it has one. */
  #pass: Pass | undefined;
  /** Why the last target did not take it; undefined: it could not be reached. */
  #turnedAway: ForegateError | undefined;
  #draft: RequestDraft | undefined;
  #upstream: ClientRequest | undefined;
  #reply: IncomingMessage | undefined;
  #deadline: Timer | undefined;
  #movedBytes = 0;
  #isRelayed = false;
  #resent = false;
  /** Of the request's body, as it passes. */
  #copied: Buffer[] = [];
  #copiedBytes = 0;
  #isTaken = false;
  /** Among the connections of its route. */
  #counted = false;

  constructor(plain: PlainRequest, road: Road) {
    this.#plain = plain;
    this.#road = road;
    this.#framing = framingOf(plain.request);
    this.#grip = gripFor(plain.route, plain.session.request);
  }

  start(): void {
    const { request, response, route, session } = this.#plain;
    request.url = '/';
    request.headers = this.#framing.length === undefined ? {} : { 'content-length': this.#framing.length };
    response.once('close', () => this.#end());
    this.#counted = !response.destroyed;
    if (this.#counted) route.statistics.connections.opened(session.openedAt);
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
      this.#road.log.error('pass-through.head', { route: this.#plain.route.id, error });
      this.#fail('policy-failed');
      return;
    }
    if (hasBody(this.#framing)) this.#plain.request.on('data', (part: Buffer) => this.#passed(part));
    // Such as a switch of protocols that nobody asked for: the connection is gone without a reply or an error.
    upstream.once('close', () => {
      if (this.#upstream === upstream && !this.#reply && !this.#isAnswered()) this.#fail('downstream-lost');
    });
    upstream.on('information', (hint) => relayHint(hint.statusCode, hint.rawHeaders, this.#plain.response));
  }

  /** The head of the reply is here. */
  replied(reply: IncomingMessage): void {
    this.#reply = reply;
    this.#pass?.judge(verdictOn(reply.statusCode ?? 0));
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

  #passed(part: Buffer): void {
    const { route, tally } = this.#plain;
    const { counts } = route.statistics;
    counts.clientContentBytesReceived += part.length;
    counts.serverContentBytesSent += part.length;
    if (tally !== undefined) tally.bytesIn += part.length;
    if (this.#grip !== undefined) this.#copy(part);
  }

  #copy(part: Buffer): void {
    this.#copiedBytes += part.length;
    if (this.#copiedBytes <= limits.instructBytes) this.#copied.push(part);
    else this.#copied = [];
  }

  /** The request could not be sent or its connection broke. */
  failed(error: Error): void {
    if (this.#reply || this.#isAnswered()) return;
    this.#road.log.debug('pass-through.failed', { route: this.#plain.route.id, target: this.#target.origin, error });
    if (!this.#upstream) {
      this.#pass?.judge('failed');
      this.#turnedAway = undefined;
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
    this.#leave();
    if (!target) {
      this.#fail(this.#turnedAway?.code ?? 'downstream-unreachable');
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
    const { hooks } = this.#plain.route;
    if (!isPath(draft.path)) {
      this.#fail('policy-failed');
      return;
    }
    if (hooks.request.length > 0) removeFraming(draft);
    const signer = this.#grip?.signer;
    if (signer) draft.headers.push('Grip-Sig', signer.sign());
    this.#draft = draft;
    const { guard } = this.#target;
    if (guard === undefined) this.#takePlace();
    else this.#enterBy(guard);
  }

  #enterBy(guard: TargetGuard): void {
    const passed = (pass: Pass): void => {
      if (this.#isAnswered()) {
        pass.leave();
        return;
      }
      this.#pass = pass;
      this.#takePlace();
    };
    const refused = (thrown: unknown): void => {
      if (this.#isAnswered()) return;
      this.#turnedAway = toForegateError(thrown);
      if (errors[this.#turnedAway.code].retry) this.#tryTarget();
      else this.#fail(this.#turnedAway.code);
    };
    askGuard(guard, passed, refused);
  }

  #takePlace(): void {
    this.#turnedAway = undefined;
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
    const { request, response, tally } = this.#plain;
    if (tally !== undefined && !this.#resent) tally.requests += 1;
    void this.#road.send(request, response);
  }

  /** A kept connection may be closed by the other side in the very moment it is used again. */
  #mayResend(error: Error): boolean {
    const { request } = this.#plain;
    const isStale =
      this.#upstream?.reusedSocket === true && 'code' in error && (error.code === 'ECONNRESET' || error.code === 'EPIPE');
    const isSafe = request.method === 'GET' || request.method === 'HEAD' || request.method === 'OPTIONS';
    return isStale && isSafe && !hasBody(this.#framing) && !this.#resent && this.#target.retry !== 'never';
  }

  #relay(reply: IncomingMessage): void {
    const { response, answerHeaders, session } = this.#plain;
    const status = reply.statusCode ?? 0;
    if (status < 200) {
      this.#fail('bad-reply');
      return;
    }
    if (this.#grip !== undefined && isInstruct(reply.rawHeaders)) {
      this.#handOver(reply);
      return;
    }
    this.#isRelayed = true;
    const clean = session.request.gripInFront === true ? gatewayReplyHeaders : cleanReplyHeaders;
    const { route, tally } = this.#plain;
    const headers = clean(withOwnNames(reply.rawHeaders, this.#target.profile), route.hides);
    for (const part of answerHeaders) headers.push(part);
    relay(reply, response, { status, reason: reasonOf(reply), headers }, route);
    if (tally !== undefined) reply.on('data', (part: Buffer) => (tally.bytesOut += part.length));
  }

  /** The hold answers the client; this request downstream is over with its reply. */
  #handOver(reply: IncomingMessage): void {
    const { request } = this.#plain;
    if (hasBody(this.#framing) && !request.readableEnded && this.#copiedBytes <= limits.instructBytes) {
      // The backend did not wait for the body, but the next request needs it.
      request.once('end', () => {
        if (!this.#isAnswered()) this.#handOver(reply);
      });
      return;
    }
    this.#isTaken = true;
    this.#deadline?.cancel();
    // The client may stay for hours; its place is for those who wait for a reply.
    reply.once('close', () => this.#leave());
    this.#plain.takeOver({
      head: {
        status: reply.statusCode ?? 0,
        reason: reply.statusMessage ?? '',
        headers: withOwnNames(reply.rawHeaders, this.#target.profile),
      },
      reply,
      target: this.#target,
      draft: this.#draft ?? { method: 'GET', path: '/', headers: [], body: undefined },
      requestBody: this.#copiedBytes > limits.instructBytes ? undefined : Buffer.concat(this.#copied),
    });
  }

  /** Goes on when the value is there; what throws ends the request. */
  #whenDone<T>(value: () => MaybePromise<T>, then: (value: T) => void): void {
    const wrong = (error: unknown): void => {
      this.#road.log.error('pass-through.broken', { route: this.#plain.route.id, error });
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
        else if (decided?.kind === 'delay') this.#road.clock.after(decided.ms, () => this.#whenDone(() => undefined, goOn));
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
    if (isFailure(code)) this.#pass?.judge('failed');
    this.#road.log.warn('pass-through.error', { route: route.id, code, tried: this.#tried });
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
      retryAfter(this.#turnedAway?.retryAfterMs),
    );
  }

  #broken(): void {
    if (this.#isTaken) return;
    if (this.#isRelayed) this.#cut();
    else if (!this.#isAnswered()) this.#fail('downstream-lost');
  }

  /** A reply that broke off must look broken to the client: without a length only a reset tells it from one that is complete. */
  #cut(): void {
    const { request, response, tally } = this.#plain;
    if (response.writableFinished) return;
    if (tally !== undefined) tally.by ??= 'backend';
    const socket = request.httpVersion === '1.0' ? response.socket : null;
    if (socket !== null && !('encrypted' in socket)) socket.resetAndDestroy();
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
    this.#deadline = this.#road.clock.after(ms, () => this.#checkDeadline());
  }

  #checkDeadline(): void {
    const { request, response, route } = this.#plain;
    if (response.destroyed || response.writableFinished) return;
    const before = this.#movedBytes;
    this.#movedBytes = this.#moved();
    // An upload may take its time; the deadline of its reply starts when it has ended.
    const mayGoOn = (this.#reply !== undefined || !request.complete) && this.#movedBytes !== before;
    if (mayGoOn) this.#watch(this.#reply ? route.idleMs : this.#target.timeoutMs);
    else if (this.#reply) this.#idle();
    else this.#fail('downstream-timeout');
  }

  /** A number that changes when bytes of this request have moved. */
  #moved(): number {
    const { request, response } = this.#plain;
    const socket = this.#upstream?.socket;
    // A connection of HTTP/2 carries others, too.
    if (request.httpVersionMajor === 2) return (socket?.bytesRead ?? 0) + (socket?.bytesWritten ?? 0) - response.writableLength;
    return request.socket.bytesRead + request.socket.bytesWritten + (socket?.bytesRead ?? 0);
  }

  #idle(): void {
    this.#upstream?.destroy();
    this.#cut();
  }

  #end(): void {
    const { route, session } = this.#plain;
    if (this.#counted) route.statistics.connections.closed(session.openedAt, this.#road.clock.now());
    this.#deadline?.cancel();
    this.#leave();
    if (this.#reply?.complete !== true) this.#upstream?.destroy();
  }

  #leave(): void {
    this.#place?.gate.leave();
    this.#place = undefined;
    this.#pass?.leave();
    this.#pass = undefined;
  }
}

/** Answers a client in plain text, if nothing was answered yet. */
export function answer(
  { response, answerHeaders, tally }: PlainRequest,
  status: number,
  text: string,
  more: HeaderList = [],
): void {
  if (response.headersSent || response.destroyed) return;
  const headers = ['Content-Type', 'text/plain', 'Content-Length', String(Buffer.byteLength(text)), ...answerHeaders, ...more];
  if (tally !== undefined) tally.bytesOut += Buffer.byteLength(text);
  response.sendDate = false;
  response.writeHead(status, headers);
  response.end(text);
}

function reasonOf({ statusCode = 0, statusMessage = '' }: IncomingMessage): string {
  return isHeaderValue(statusMessage) ? statusMessage : (STATUS_CODES[statusCode] ?? 'Unknown');
}

const noBody = Buffer.alloc(0);

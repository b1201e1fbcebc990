/**
 * A client's WebSocket from its handshake to its end: what the client does goes through the policies upstream, what the backend
 * answers is applied, what is published is written. How it ends is the business of `closing.ts`.
 */
import type { ClientSocket } from '../core/client-socket.ts';
import type { Timer } from '../core/clock.ts';
import type { SessionInfo } from '../core/control-host.ts';
import { closeCodeOf } from '../core/close-code.ts';
import { errors, toForegateError, type ErrorCode, type ForegateError } from '../core/errors.ts';
import { isMessage, type ClientEvent, type Close, type Message } from '../core/event.ts';
import type { Batch, RequestHead } from '../core/exchange.ts';
import { isChannelName, newSessionId, type ChannelName } from '../core/ids.ts';
import type { Accept, GripSocket, Instruction, Membership, Step } from '../core/instruction.ts';
import { limits } from '../core/limits.ts';
import { runHooks, type Verdict } from '../core/policy.ts';
import type { MaybePromise } from '../core/promise.ts';
import type { FilterAnswer, FilterQuestion, Publication, Shape } from '../core/publication.ts';
import { gripFor, type Route, type Target } from '../core/route.ts';
import {
  noMetadata,
  type ClientRequest,
  type ConsumedCredential,
  type Denial,
  type Identity,
  type Metadata,
} from '../core/session.ts';
import { countSent, newTally, type Tally } from '../core/tally.ts';
import { messageShape } from '../wire/message-shape.ts';
import { applySteps, type StepHost } from './apply.ts';
import { Backlog, isSlow, type BacklogHost } from './backlog.ts';
import type { SocketListener } from './client-websocket.ts';
import { Closing, type ClosingHost } from './closing.ts';
import { logConnection } from './connection-log.ts';
import { denialOf, exchange, type Caller, type Outcome } from './exchange.ts';
import { faultDelayMs, type FaultOutcome } from './fault-delay.ts';
import { faultFrame } from './fault-frame.ts';
import { Instructed } from './instructed.ts';
import { Intake, type IntakeHost } from './intake.ts';
import { sampleMessages } from './message-log.ts';
import type { SessionParts } from './parts.ts';
import { lastIdsOf, ownOrigins } from './place.ts';
import type { PumpHost } from './pump.ts';
import { Recovery, type RecoveryHost } from './recovery.ts';
import type { Registered } from './registry.ts';
import { permittedFrame, type RelayHost } from './relay.ts';
import { subscribe } from './subscribe.ts';
import type { Upstream } from './upstream.ts';

export class WebSocketSession
  implements Caller, RecoveryHost, Registered, SocketListener, IntakeHost, PumpHost, RelayHost, StepHost, ClosingHost, BacklogHost
{
  readonly id = newSessionId();
  readonly transport = 'websocket';
  /** How what is published becomes bytes for its socket. */
  shape: Shape = messageShape;
  readonly request: ClientRequest;
  readonly openedAt: number;
  readonly route: Route;
  identity: Identity | undefined;
  /** Chosen while opening, kept to the end. */
  target: Target;
  head: RequestHead;
  grip: GripSocket | undefined;
  /** Agreed in the handshake. */
  subprotocol: string | undefined;
  activeAt: number;
  /** Answers the handshake, as long as it is open. */
  refuse: ((denial: Denial) => void) | undefined;
  socket: ClientSocket | undefined;
  upstream: Upstream | undefined;

  readonly #parts: SessionParts;
  /** Made when a verdict has to be waited for. */
  #intake: Intake | undefined;
  readonly #closing = new Closing(this);
  #consumed: ConsumedCredential[] | undefined;
  #instructed: Instructed | undefined;
  /** Made for ids: most sessions have none. */
  #recovery: Recovery | undefined;
  /** Made when the client is slow for the first time. */
  #backlog: Backlog | undefined;
  /** It is not read since it does not take our answers. */
  #choked = false;
  #requests = 0;
  /** For the log; most routes want no line. */
  readonly #tally: Tally | undefined;
  #refusedWith: number | undefined;
  /** Reasons to read nothing more from the client for now. */
  #pauses = 0;

  constructor(parts: SessionParts, route: Route, request: ClientRequest) {
    this.#parts = parts;
    this.route = route;
    this.request = request;
    this.openedAt = parts.clock.now();
    this.activeAt = this.openedAt;
    [this.target] = route.targets;
    route.statistics.connections.opened(this.openedAt);
    this.head = { path: request.path, headers: [] };
    if (route.log?.connections === true) this.#tally = newTally();
  }

  // What policies, dialects and lists see.

  get view(): this {
    return this;
  }

  get routeId() {
    return this.route.id;
  }

  get consumed(): ConsumedCredential[] {
    this.#consumed ??= [];
    return this.#consumed;
  }

  nextRequest(repeated = false): number {
    if (!repeated) this.#requests += 1;
    return this.#requests;
  }

  get state(): Metadata {
    return this.#instructed?.state ?? noMetadata;
  }

  get meta(): Metadata {
    return this.#instructed?.meta ?? noMetadata;
  }

  get open(): boolean {
    return this.#closing.open;
  }

  get live(): boolean {
    return this.#closing.live;
  }

  joined(channel: string): boolean {
    const name = this.route.channelPrefix + channel;
    return isChannelName(name) && this.#parts.hub.joined(this, name);
  }

  info(): SessionInfo {
    const [path = ''] = this.request.path.split('?', 1);
    const { unsentBytes } = this;
    return {
      id: this.id,
      route: this.route.id,
      transport: 'websocket',
      address: this.request.address,
      path,
      channels: this.#parts.hub.channelsOf(this),
      openedAt: new Date(this.openedAt).toISOString(),
      ...(this.identity && { subject: this.identity.subject }),
      ...(unsentBytes > 0 && { unsentBytes }),
    };
  }

  // The answer to the handshake.

  /** The client was here before, and has these ids of channels. */
  comesBackWith(lastIds: ReadonlyMap<ChannelName, string>): void {
    this.#recovery = new Recovery(this.#parts, this, lastIds);
  }

  /** The backend accepted. Without a socket the client left before it could be told. */
  async accepted(
    socket: ClientSocket | undefined,
    upstream: Upstream,
    { accept, steps }: { accept: Accept; steps: readonly Step[] },
  ): Promise<void> {
    this.socket = socket;
    this.upstream = upstream;
    this.#consumed = undefined; // It has done its work.
    this.grip = gripFor(this.route, this.request) === undefined ? undefined : accept.grip;
    this.#closing.opened();
    if (socket === undefined) this.gone();
    else await this.#welcome();
    await upstream.begin(steps);
  }

  refusedAtOpening(status: number): void {
    this.#refusedWith = status;
    this.#parts.metrics.count('sessions_refused');
    this.#closing.refused();
  }

  /** Only let in to be told that it may not come in: the backend never hears of it. */
  turnedAway(socket: ClientSocket | undefined, denial: Denial): void {
    this.#parts.metrics.count('sessions_refused');
    this.socket = socket;
    this.#closing.opened();
    if (socket === undefined) {
      this.gone();
      return;
    }
    if (denial.action === 'answer') this.send(faultFrame(denial));
    this.endInWords(denial);
  }

  // What the client does.

  received(message: Message): void {
    if (!this.#closing.open || this.#closing.detached) return;
    this.activeAt = this.#parts.clock.now();
    this.#parts.metrics.count('messages_received');
    const { counts } = this.route.statistics;
    counts.clientMessagesReceived += 1;
    counts.clientContentBytesReceived += message.data.length;
    if (this.route.log !== undefined) this.#noteReceived(message);
    if (message.kind === 'ping' && this.route.pings === 'answer') {
      this.#answer({ kind: 'pong', data: message.data });
      return;
    }
    const { message: hooks } = this.route.hooks;
    this.#take(message, hooks.length === 0 ? undefined : runHooks(hooks, this, message));
  }

  closing(code: number | undefined, reason: string): void {
    this.#closing.clientCloses(code, reason);
  }

  closeAnswered(code: number | undefined, reason: string): void {
    this.#closing.clientAnswers(code, reason);
  }

  violated(closeCode: number): void {
    this.#closing.end(closeCode, '');
  }

  gone(): void {
    this.#closing.clientLeft();
  }

  // The intake's host: events go upstream in order.

  forward(event: ClientEvent): void {
    if (isMessage(event)) this.#countForwarded(event);
    this.upstream?.push(event);
  }

  denied(denial: Denial, message: Message): void {
    const action = denial.action ?? 'close';
    this.#parts.log.debug('message.denied', {
      session: this.id,
      route: this.route.id,
      code: denial.code,
      action,
      kind: message.kind,
    });
    if (action === 'close') {
      this.end(denial);
      return;
    }
    this.#parts.metrics.count('messages_dropped');
    if (action === 'answer') this.#answer(faultFrame(denial));
  }

  pause(): void {
    this.#pauses += 1;
    if (this.#pauses === 1) this.socket?.pause();
  }

  resume(): void {
    this.#pauses -= 1;
    if (this.#pauses === 0) this.socket?.resume();
  }

  // The relay's host.

  permits(message: Message): MaybePromise<Denial | undefined> {
    return permittedFrame(this, message);
  }

  // The pump's host.

  get batches(): boolean {
    return this.target.batches;
  }

  get queueBytes(): number {
    return this.route.limits.queueBytes;
  }

  get notifiesAfterFailure(): boolean {
    return this.route.notifyAfterFailure;
  }

  exchange(batch: Batch): Promise<Outcome> {
    const { dialect } = this.target;
    if (dialect === undefined) throw new TypeError('A relayed session makes no exchanges.');
    this.#parts.metrics.count('exchanges');
    return exchange(this, dialect, batch, this.#parts.send);
  }

  apply(steps: readonly Step[]): MaybePromise<void> {
    this.#countReceived(steps);
    return applySteps(this, steps);
  }

  repeatsAfter({ fault }: FaultOutcome, sent: number): number | undefined {
    const ms = faultDelayMs(fault, this, sent);
    if (ms === undefined) return undefined;
    this.#parts.metrics.count('exchange_retries');
    const { code, by } = fault;
    this.#parts.log.info('exchange.delayed', { session: this.id, route: this.route.id, code, by, ms: Math.round(ms), sent });
    return ms;
  }

  after(ms: number, run: () => void): Timer {
    return this.#parts.clock.after(ms, run);
  }

  refused(outcome: Exclude<Outcome, { kind: 'decoded' }>, batch: Batch): boolean {
    const denial = denialOf(outcome, this.route);
    const action = denial.action ?? 'close';
    this.#parts.metrics.count('exchanges_failed');
    this.#parts.log.info('exchange.refused', {
      session: this.id,
      route: this.route.id,
      code: denial.code,
      action,
      detail: denial.detail,
      ...(outcome.kind === 'fault' && { by: outcome.fault.by ?? 'unknown' }),
    });
    if (action === 'close') {
      this.#closing.fail(denial.code, denial.detail);
      return false;
    }
    this.#parts.metrics.count('messages_dropped', batch.events.length);
    if (action === 'answer' && batch.events.length > 0) this.send(faultFrame(denial));
    return true;
  }

  failed(error: ForegateError): void {
    this.#parts.metrics.count('exchanges_failed');
    this.#parts.log.warn('exchange.failed', { session: this.id, route: this.route.id, code: error.code, error });
    this.#closing.fail(error.code, this.route.debug ? error.message : errors[error.code].text);
  }

  closeUnanswered(): boolean {
    return this.#closing.closeUnanswered();
  }

  upstreamFinished(): void {
    this.#closing.upstreamFinished();
  }

  rested(): void {
    this.#instructed?.rested();
  }

  room(): Promise<void> | undefined {
    const taker = this.#backlog ?? this.socket;
    if (taker === undefined || !this.#full) return undefined;
    return new Promise((resolve) => taker.drained(resolve));
  }

  // The steps' host: what a backend asks for.

  get channelPrefix(): string {
    return this.route.channelPrefix;
  }

  sendMessages(messages: readonly Message[]): void {
    if (!this.#closing.live) return;
    this.activeAt = this.#parts.clock.now();
    this.#parts.metrics.count('messages_sent', messages.length);
    this.route.statistics.counts.clientMessagesSent += messages.length;
    if (this.route.log !== undefined) this.#noteSent(messages);
    this.#write(messages);
    this.#instructed?.sent();
  }

  subscribe(membership: Membership): MaybePromise<void> {
    if (membership.filters.length > limits.filters) {
      this.#closing.fail('bad-reply', 'The backend gave too many filters.');
      return undefined;
    }
    if (membership.previousId !== undefined) this.#recovery ??= new Recovery(this.#parts, this, []);
    return this.#recovery === undefined ? subscribe(this, membership, this.#parts) : this.#recovery.subscribe(membership);
  }

  instruct(instruction: Exclude<Instruction, { kind: 'subscribe' }>): void {
    // Of a client that is gone only its state still counts; timers would keep it for ever.
    if (!this.#closing.live && instruction.kind !== 'set-state') return;
    switch (instruction.kind) {
      case 'unsubscribe':
        if (!this.target.channels.includes(instruction.channel)) this.#leave(instruction.channel);
        break;
      case 'detach':
        this.#intake?.clear();
        this.#instructed?.set({ kind: 'ask-every', intervalMs: undefined });
        this.#closing.detach();
        break;
      default:
        this.#instructed ??= new Instructed(this);
        this.#instructed.set(instruction);
    }
  }

  closedByBackend(close: Close): void {
    this.#closing.backendCloses(close);
  }

  droppedByBackend(): void {
    this.#backlog?.flush();
    this.#closing.backendDrops();
  }

  // The hub's subscriber: what is published.

  write(frames: Buffer, items: number, channel: ChannelName, follows: boolean): boolean {
    const { socket } = this;
    if (socket === undefined || !this.#closing.open) return true;
    if (this.#backlog === undefined && !isSlow(socket.unsentBytes, frames.length, this.route)) {
      socket.writeFrames(frames);
      this.published(items, frames.length);
      return true;
    }
    this.#backlog ??= new Backlog(this, socket, this.#parts);
    return this.#backlog.publish(frames, items, channel, follows);
  }

  act({ formats: { message } }: Publication): void {
    if (message?.action === 'refresh') this.ask();
    if (message?.action === 'close') this.#closing.publisherCloses(message.code, message.reason);
  }

  missed(channel: ChannelName): void {
    this.#recovery?.missed(channel);
  }

  get asksFilters(): boolean {
    return this.route.filterRequests > 0;
  }

  /** In debug mode that ends the session (GRIP 5). */
  filterFailed(fault: () => string): void {
    if (this.route.debug) this.end({ kind: 'deny', code: 'downstream-fault', detail: fault() });
  }

  async askFilter(question: FilterQuestion): Promise<FilterAnswer> {
    const { hub, filterRequests } = this.#parts;
    const { path, headers } = this.head;
    const base = {
      target: this.target,
      headers,
      place: { origin: undefined, path },
      origins: ownOrigins(this.request, headers),
      lastIds: lastIdsOf(this, hub),
    };
    try {
      return await filterRequests.ask(question, this, base);
    } catch (thrown) {
      this.filterFailed(() => toForegateError(thrown).message);
      throw thrown;
    }
  }

  // The backlog's host.

  get unsentBytes(): number {
    return (this.socket?.unsentBytes ?? 0) + (this.#backlog?.bytes ?? 0);
  }

  published(items: number, bytes: number): void {
    this.activeAt = this.#parts.clock.now();
    const { counts } = this.route.statistics;
    counts.sent += items;
    counts.clientMessagesSent += items;
    if (this.#tally !== undefined) countSent(this.#tally, items, bytes);
    this.#instructed?.sent();
  }

  tooSlow(): void {
    this.end({ kind: 'deny', code: 'slow-client', detail: errors['slow-client'].text });
  }

  // The closing's host.

  get closeFrames(): boolean {
    return this.route.closeFrames;
  }

  get asks(): boolean {
    return this.#instructed?.asks ?? false;
  }

  closeCodeOf(error: ErrorCode): number {
    return closeCodeOf(error, this.route.closeCodes, this.subprotocol);
  }

  forwardClose(close: Close): void {
    this.#parts.hub.drop(this);
    this.#backlog?.flush();
    this.#take(close, undefined);
  }

  quiet(): void {
    this.#parts.hub.drop(this);
    this.#recovery?.cancel();
    this.#backlog?.flush();
    this.#intake?.clear();
    this.#instructed?.cancelTimers();
  }

  left(): void {
    this.#backlog?.end();
    this.route.statistics.connections.closed(this.openedAt, this.#parts.clock.now());
    if (this.#tally !== undefined) this.#logEnd(this.#tally);
    for (const end of this.route.hooks.disconnect) end(this);
  }

  over(): void {
    this.#parts.registry.remove(this);
  }

  // From the control API, timers, policies and the program's own end.

  /** A request to the backend at once. After the client's close only its interval makes one. */
  ask(): void {
    if (this.#closing.open && !this.#closing.detached) this.upstream?.ask();
  }

  recover(): void {
    this.#recovery?.askAll();
  }

  /** The backend's own interval has passed; after the client's close it is the only cause for a request. */
  silent(): void {
    if (this.#closing.byClient || !this.#closing.detached) this.upstream?.ask();
  }

  send(message: Message): void {
    this.sendMessages([message]);
  }

  /** A client that reads nothing gets none: they would pile up, and it would never be idle. */
  keepAlive(message: Message): void {
    if (!this.#full) this.send(message);
  }

  end(denial: Denial): void {
    if (this.#closing.opening) this.refuse?.(denial);
    this.#end(denial, this.route.closeFrames);
  }

  endInWords(denial: Denial): void {
    this.#end(denial, true);
  }

  drop(): void {
    this.socket?.drop();
  }

  async #welcome(): Promise<void> {
    this.#parts.metrics.count('sessions_opened');
    if (this.request.gripInFront === true) return; // Channels are its own business.
    for (const channel of this.target.channels) await subscribe(this, { channel, filters: [] }, this.#parts);
  }

  #end({ code, detail, closeCode = this.closeCodeOf(code) }: Denial, withFrame: boolean): void {
    if (!this.#closing.open) return;
    this.#parts.log.info('session.ended', { session: this.id, route: this.route.id, code, detail });
    this.#closing.end(closeCode, detail, withFrame);
  }

  /** Behind what waits. */
  #write(messages: readonly Message[]): void {
    const frames = this.socket?.encode(messages);
    if (frames === undefined || frames.length === 0) return;
    if (this.#tally !== undefined) countSent(this.#tally, messages.length, frames.length);
    if (this.#backlog?.waits === true) this.#backlog.keep(frames);
    else this.socket?.writeFrames(frames);
  }

  #leave(channel: ChannelName): void {
    this.#parts.hub.leave(this, channel);
    this.#recovery?.leave(channel);
  }

  #noteReceived(message: Message): void {
    sampleMessages(this.#parts.log, this, 'in', [message]);
    if (this.#tally === undefined) return;
    this.#tally.messagesIn += 1;
    this.#tally.bytesIn += message.data.length;
  }

  #noteSent(messages: readonly Message[]): void {
    sampleMessages(this.#parts.log, this, 'out', messages);
  }

  #logEnd(tally: Tally): void {
    const endedAt = this.#parts.clock.now();
    tally.requests = this.#requests;
    const status = this.#refusedWith;
    if (status === undefined) tally.by = this.#closing.ended.by;
    logConnection(this.#parts.log, this, tally, {
      endedAt,
      ...(status === undefined ? { code: this.#closing.ended.code } : { status }),
    });
  }

  #countForwarded({ data }: Message): void {
    const { counts } = this.route.statistics;
    counts.serverMessagesSent += 1;
    counts.serverContentBytesSent += data.length;
  }

  #countReceived(steps: readonly Step[]): void {
    const { counts } = this.route.statistics;
    for (const step of steps) {
      if (!isMessage(step)) continue;
      counts.serverMessagesReceived += 1;
      counts.serverContentBytesReceived += step.data.length;
    }
  }

  /** Most verdicts are there at once; then no order has to be kept. */
  #take(event: Message | Close, verdict: MaybePromise<Verdict>): void {
    if (verdict === undefined && this.#intake === undefined) {
      this.forward(event);
      return;
    }
    this.#intake ??= new Intake(this);
    this.#intake.take(event, verdict);
  }

  get #full(): boolean {
    return this.#closing.live && this.unsentBytes >= this.route.limits.unsentBytes;
  }

  /** Foregate's own answer. A client that sends and does not take what it is answered is not read: answers would pile up. */
  #answer(message: Message): void {
    this.send(message);
    const room = this.#choked ? undefined : this.room();
    if (room === undefined) return;
    this.#choked = true;
    this.pause();
    void room.then(() => {
      this.#choked = false;
      this.resume();
    });
  }
}

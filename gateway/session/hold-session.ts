/**
 * A held request (GRIP 4.5-4.7): the client waits for an answer (response hold), or its answer goes on (stream hold), joined to
 * channels and refreshed by requests that Foregate makes by itself.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { buildBodyIds } from '../channel/filters.ts';
import type { SessionInfo } from '../core/control-host.ts';
import { ForegateError, toForegateError } from '../core/errors.ts';
import type { Reply } from '../core/exchange.ts';
import type { Hold, Instruct } from '../core/hold.ts';
import { isChannelName, type ChannelName } from '../core/ids.ts';
import type { Membership } from '../core/instruction.ts';
import type { FilterAnswer, FilterQuestion, Publication, Subscriber } from '../core/publication.ts';
import type { Route, Target } from '../core/route.ts';
import { noMetadata, type Denial, type Identity, type Metadata, type SessionView } from '../core/session.ts';
import { countSent, type EndedBy, type Tally } from '../core/tally.ts';
import type { GripReply } from '../downstream/passage.ts';
import { cleanReplyHeaders, withOwnNames } from '../downstream/request-head.ts';
import { hasDocument, isInstruct, readInstruct } from '../wire/grip-headers.ts';
import { readInstructDocument } from '../wire/grip-instruct.ts';
import { responseOf, responseShape } from '../wire/response-shape.ts';
import { Backlog, isSlow, type BacklogHost } from './backlog.ts';
import { eventStream, type EventStream } from './event-stream.ts';
import { readGripReply } from './grip-reply.ts';
import { HoldRequests } from './hold-requests.ts';
import { HoldSchedule } from './hold-schedule.ts';
import type { HoldParts } from './parts.ts';
import type { Registered } from './registry.ts';
import { StreamKeepAliveTimer } from './stream-keep-alive.ts';
import { StreamWriter } from './stream-writer.ts';
import { subscribe, type Joining } from './subscribe.ts';

export class HoldSession implements Joining, Registered, Subscriber, BacklogHost {
  readonly route: Route;
  activeAt: number;
  meta: Metadata = noMetadata;

  readonly #parts: HoldParts;
  readonly view: SessionView;
  /** For the log. */
  readonly tally: Tally | undefined;
  readonly #response: ServerResponse;
  readonly #answerHeaders: readonly string[];
  readonly #target: Target;
  readonly #first: GripReply;
  #instruct: Instruct | undefined;
  #hold: Hold | undefined;
  /** Of a stream. */
  #writer: StreamWriter | undefined;
  #events: EventStream | undefined;
  /** Made when the client of a stream is slow for the first time. */
  #backlog: Backlog | undefined;
  /** Items were missed while the client had not taken earlier ones. */
  #behind = false;
  readonly #keepAlive: StreamKeepAliveTimer;
  readonly #requests: HoldRequests;
  readonly #schedule: HoldSchedule;
  /** When the request was made whose reply is in force. */
  #askedAt: number;
  #over = false;

  constructor(
    parts: HoldParts,
    view: SessionView & { readonly tally: Tally | undefined },
    route: Route,
    response: ServerResponse,
    answerHeaders: readonly string[],
    first: GripReply,
  ) {
    this.#parts = parts;
    this.view = view;
    this.tally = view.tally;
    this.route = route;
    this.#response = response;
    this.#answerHeaders = answerHeaders;
    this.#first = first;
    this.#target = first.target;
    this.activeAt = parts.clock.now();
    this.#askedAt = view.openedAt;
    this.#requests = new HoldRequests(parts, this, first);
    this.#schedule = new HoldSchedule(parts.clock, () => this.ask());
    this.#keepAlive = new StreamKeepAliveTimer(parts.clock, (data) => this.#sendKeepAlive(data));
  }

  // What the hub and lists see.

  get id() {
    return this.view.id;
  }

  get identity(): Identity | undefined {
    return this.view.identity;
  }

  get transport(): 'stream' | 'response' {
    return this.#writer === undefined ? 'response' : 'stream';
  }

  get open(): boolean {
    return !this.#over;
  }

  get live(): boolean {
    return !this.#over;
  }

  get shape() {
    return this.#writer?.shape ?? responseShape;
  }

  get asksFilters(): boolean {
    return this.route.filterRequests > 0;
  }

  get linkFields() {
    return this.#events?.linkFields ?? [];
  }

  joined(channel: string): boolean {
    const name = this.route.channelPrefix + channel;
    return isChannelName(name) && this.#parts.hub.joined(this, name);
  }

  info(): SessionInfo {
    const [path = ''] = this.view.request.path.split('?', 1);
    const { unsentBytes } = this;
    return {
      id: this.id,
      route: this.route.id,
      transport: this.transport,
      address: this.view.request.address,
      path,
      channels: this.#parts.hub.channelsOf(this),
      openedAt: new Date(this.view.openedAt).toISOString(),
      ...(this.view.identity && { subject: this.view.identity.subject }),
      ...(unsentBytes > 0 && { unsentBytes }),
    };
  }

  /** Reads the instructions and does what they say; whatever is wrong with them becomes an answer. */
  async start(): Promise<void> {
    this.#parts.registry.add(this);
    this.#response.once('close', () => this.#finish());
    if (this.#response.destroyed) this.#finish();
    try {
      const { instruct, body, rest } = await readGripReply(this.#first.head, this.#first.reply, this.route.channelPrefix);
      this.route.statistics.counts.serverContentBytesReceived += body.length;
      if (this.#first.requestBody === undefined)
        throw new ForegateError('bad-request', 'Request too large to accept GRIP instruct.');
      this.#parts.cachedHolds.check(this.route, instruct.hold, this.#first.head.headers);
      await this.#take(instruct, body, rest);
    } catch (thrown) {
      this.#fail(toForegateError(thrown));
    }
  }

  // What is published.

  write(frames: Buffer, items: number, channel: ChannelName, follows: boolean): boolean {
    const writer = this.#writer;
    if (writer === undefined || this.#over) return true;
    if (this.#backlog === undefined && !isSlow(writer.unsentBytes, frames.length, this.route)) {
      writer.writeFrames(frames);
      this.published(items, frames.length);
    } else {
      this.#backlog ??= new Backlog(this, writer, this.#parts);
      if (!this.#backlog.publish(frames, items, channel, follows)) return false;
    }
    this.#events?.sent(frames);
    this.#schedule.heard(channel);
    return true;
  }

  act(publication: Publication): void {
    if (this.#over) return;
    const { stream, response } = publication.formats;
    if (stream?.action === 'close' || response?.action === 'send') this.#endedBy('publisher');
    if (this.#writer !== undefined) this.#actOnStream(stream?.action);
    else if (response?.action === 'send') this.#answerWith(publication);
    else if (response?.action === 'hint') this.ask();
  }

  /** What a slow client has missed is fetched when it has taken what there is: more would only be missed again. */
  missed(): void {
    if (this.#behind) return;
    const backlog = this.unsentBytes === 0 ? undefined : this.#backlog;
    if (backlog === undefined) {
      this.#schedule.askInTime();
      return;
    }
    this.#behind = true;
    backlog.drained(() => {
      this.#behind = false;
      if (!this.#over) this.#schedule.askInTime();
    });
  }

  async askFilter(question: FilterQuestion): Promise<FilterAnswer> {
    try {
      return await this.#requests.askFilter(question);
    } catch (thrown) {
      this.filterFailed(() => toForegateError(thrown).message);
      throw thrown;
    }
  }

  /** In debug mode that ends the hold (GRIP 5). */
  filterFailed(fault: () => string): void {
    if (!this.route.debug || this.#over) return;
    const error = new ForegateError('downstream-fault', fault());
    if (this.#writer === undefined) this.#fail(error);
    else this.#endWith(error);
  }

  // The backlog's host.

  get unsentBytes(): number {
    return (this.#writer?.unsentBytes ?? 0) + (this.#backlog?.bytes ?? 0);
  }

  published(items: number, bytes: number): void {
    if (this.tally !== undefined) countSent(this.tally, items, bytes);
    this.route.statistics.counts.sent += items;
    this.activeAt = this.#parts.clock.now();
    this.#keepAlive.sent();
  }

  /** The body is not complete, and must not look so. */
  tooSlow(): void {
    this.#endedBy('foregate');
    this.#parts.log.info('session.ended', {
      session: this.id,
      route: this.route.id,
      code: 'slow-client',
      address: this.view.request.address,
    });
    this.#writer?.cut();
  }

  // From the control API, policies and the program's own end.

  /** A request to the backend: a held response is asked for again, a stream fetches its next link. */
  ask(): void {
    const next = this.#hold?.next;
    if (this.#over || (this.#writer !== undefined && next === undefined) || !this.#schedule.begins()) return;
    this.#askedAt = this.#parts.clock.now();
    if (this.#writer === undefined) void this.#again();
    else if (next !== undefined) void this.#followLink(next.uri);
  }

  recover(): void {
    this.ask();
  }

  end(denial: Denial): void {
    if (this.#over) return;
    this.#endedBy('foregate');
    this.#parts.log.info('session.ended', { session: this.id, route: this.route.id, code: denial.code, detail: denial.detail });
    if (this.#writer !== undefined) this.#endStream();
    else if (denial.code === 'shutting-down' && this.#instruct !== undefined) this.#answerOwn();
    else this.#answer(this.#parts.denialReply(denial));
  }

  drop(): void {
    this.#response.destroy();
  }

  // The instructions.

  async #take(instruct: Instruct, body: Buffer, rest: IncomingMessage | undefined): Promise<void> {
    if (this.#over) return;
    this.#instruct = {
      ...instruct,
      head: {
        ...instruct.head,
        headers: [...cleanReplyHeaders(instruct.head.headers, this.route.hides), ...this.#answerHeaders],
      },
    };
    this.#schedule.cancel();
    const { mode, next, gone } = instruct.hold;
    const goesOn = mode !== 'none' || next !== undefined;
    if (goesOn && mode !== 'response' && this.#first.whole === true)
      throw new ForegateError('bad-reply', 'A JSONP request cannot be held as a stream.');
    this.#requests.gone = goesOn ? gone : undefined;
    if (mode === 'response') await this.#holdResponse(this.#instruct);
    else if (goesOn) await this.#openStream(this.#instruct, body, rest);
    else this.#answerOwn();
  }

  async #holdResponse({ hold }: Instruct): Promise<void> {
    this.#hold = hold;
    this.meta = hold.meta;
    this.#schedule.endAfter(hold.timeoutMs, () => {
      this.#endedBy('foregate');
      this.#answerOwn();
    });
    const joined = await this.#joinChannels(hold);
    if (this.#over) return;
    this.#schedule.ended();
    this.#parts.hub.release(this);
    if (this.#hasMissed(joined)) this.#schedule.askInTime();
  }

  async #openStream({ head, hold }: Instruct, body: Buffer, rest: IncomingMessage | undefined): Promise<void> {
    const content = firstContent(hold, body);
    const writer = new StreamWriter(this.#response);
    this.#writer = writer;
    this.#events = eventStream(this.route.eventStream, head, this.view.request.headers);
    if (!writer.start({ ...head, headers: [...head.headers, ...(this.#events?.fields ?? [])] })) {
      rest?.destroy();
      this.#endStream();
      return;
    }
    if (this.#events !== undefined) writer.writeFrames(writer.frame(this.#events.opening));
    this.#writeBody(writer, content);
    if (rest !== undefined) await this.#streamRest(rest, writer);
    if (!this.#over) await this.#go(hold);
  }

  /** A large first body goes through as the client takes it. */
  async #streamRest(rest: IncomingMessage, writer: StreamWriter): Promise<void> {
    for await (const part of rest) {
      if (this.#over) return;
      const content = Buffer.from(part);
      this.route.statistics.counts.serverContentBytesReceived += content.length;
      this.#writeBody(writer, content);
      await writer.room();
    }
  }

  #writeBody(writer: StreamWriter, content: Buffer): void {
    writer.writeFrames(writer.frame(content));
    if (this.tally !== undefined) this.tally.bytesOut += content.length;
    this.#events?.sent(content);
  }

  /** The stream goes on under these instructions: those of its reply, then those of each link. */
  async #go(hold: Hold): Promise<void> {
    this.#hold = hold;
    this.meta = hold.meta;
    if (hold.mode === 'none' && hold.next === undefined) {
      this.#endStream();
      return;
    }
    const checked = hold.channels.find(({ previousId }) => previousId !== undefined);
    if (hold.next === undefined && checked !== undefined) {
      const name = checked.channel.slice(this.route.channelPrefix.length);
      this.#endWith(new ForegateError('bad-reply', `channel '${name}' specifies prev-id, but no next link found`));
      return;
    }
    this.#keepAlive.set(hold.keepAlive ?? this.#events?.keepAlive);
    const joined = await this.#joinChannels(hold);
    if (this.#over) return;
    this.#schedule.ended();
    this.#parts.hub.release(this);
    if (hold.mode === 'none') this.ask();
    else if (this.#hasMissed(joined)) this.missed();
    else if (hold.next !== undefined) this.#schedule.askAfterSilence(hold.next.timeoutMs, () => this.#parts.hub.channelsOf(this));
  }

  /** Joined channels that are not named any more are left. Returns those that it joined now. */
  async #joinChannels(hold: Hold): Promise<readonly Membership[]> {
    const named = new Set(hold.channels.map(({ channel }) => channel));
    for (const channel of this.#parts.hub.channelsOf(this)) {
      if (!named.has(channel) && !this.#target.channels.includes(channel)) this.#parts.hub.leave(this, channel);
    }
    const wanted: Membership[] = [...this.#target.channels.map((channel) => ({ channel, filters: [] })), ...hold.channels];
    const joined = wanted.filter(({ channel }) => !this.#parts.hub.joined(this, channel));
    for (const membership of wanted) await subscribe(this, membership, this.#parts);
    return joined;
  }

  /** An item was published that the body does not contain, or perhaps does not: while it was made nobody was subscribed yet. */
  #hasMissed(joined: readonly Membership[]): boolean {
    const { hub, lastId, missedSince } = this.#parts;
    if (joined.some(({ channel, previousId }) => missedSince(channel, this.#askedAt, previousId))) return true;
    for (const [channel] of hub.currentIds(this)) {
      const id = hub.comingId(this, channel);
      const last = lastId(channel);
      if (id !== undefined && last !== undefined && last !== id) return true;
    }
    return false;
  }

  #actOnStream(action: 'send' | 'close' | 'hint' | undefined): void {
    if (action === 'close') this.#endStream();
    if (action === 'hint') this.ask();
  }

  // Requests that go on with the hold.

  /** The client's request once more; its reply replaces the hold, whatever it is. */
  async #again(): Promise<void> {
    try {
      const reply = await this.#requests.again();
      if (!this.#over) await this.#takeReply(reply);
    } catch (thrown) {
      this.#fail(toForegateError(thrown));
    }
  }

  async #takeReply(asSent: Reply): Promise<void> {
    const reply = { ...asSent, headers: withOwnNames(asSent.headers, this.#target.profile) };
    if (!isInstruct(reply.headers)) {
      this.#answer({ ...reply, headers: [...cleanReplyHeaders(reply.headers, this.route.hides), ...this.#answerHeaders] });
      return;
    }
    const { channelPrefix } = this.route;
    const instruct = hasDocument(reply.headers)
      ? readInstructDocument(reply, channelPrefix)
      : { ...readInstruct(reply, channelPrefix), body: reply.body };
    this.#parts.cachedHolds.check(this.route, instruct.hold, reply.headers);
    await this.#take(instruct, instruct.body ?? reply.body, undefined);
  }

  /** The next link: its body is appended, its instructions replace the old ones (GRIP 4.6). */
  async #followLink(uri: string): Promise<void> {
    const reply = await this.#requests.follow(uri);
    if (this.#over) return;
    if (reply === undefined) this.#endStream();
    else await this.#append(reply);
  }

  async #append(reply: Reply): Promise<void> {
    try {
      const { hold } = readInstruct(reply, this.route.channelPrefix);
      if (hold.mode === 'response') throw new ForegateError('bad-reply', 'A link must not be answered with a response hold.');
      this.#parts.cachedHolds.check(this.route, hold, reply.headers);
      const content = firstContent(hold, reply.body);
      this.#send(content);
      this.#events?.sent(content);
      await this.#room();
      await this.#go(hold);
    } catch (thrown) {
      this.#endWith(toForegateError(thrown));
    }
  }

  // Answers and the end.

  #answerWith(publication: Publication): void {
    if (this.#instruct === undefined) return;
    try {
      this.#answer(responseOf(publication, this.#instruct));
      if (this.tally !== undefined) this.tally.messagesOut += 1;
      this.#parts.metrics.count('messages_sent');
      const { counts } = this.route.statistics;
      counts.sent += 1;
      counts.httpResponseSent += 1;
    } catch (thrown) {
      this.#fail(toForegateError(thrown));
    }
  }

  /** The instruction's own answer: at the timeout, or where nothing is held. */
  #answerOwn(): void {
    if (this.#over || this.#instruct === undefined) return;
    const { head, body = Buffer.alloc(0) } = this.#instruct;
    this.#answer({ ...head, body });
  }

  /** The first to say so. */
  #endedBy(by: EndedBy): void {
    if (this.tally !== undefined) this.tally.by ??= by;
  }

  /** The whole answer, and nothing after it. */
  #answer(reply: Reply): void {
    this.#endedBy('backend');
    if (this.tally !== undefined) this.tally.bytesOut += reply.body.length;
    this.#parts.answer(this.#response, reply);
    this.#finish();
  }

  #endStream(): void {
    this.#endedBy('backend');
    this.#backlog?.flush();
    this.#writer?.end();
    this.#finish();
  }

  /** The backend's instructions cannot be followed. What the client has got stays valid. */
  #endWith(error: ForegateError): void {
    this.#parts.log.warn('hold.failed', { session: this.id, route: this.route.id, code: error.code, error });
    if (this.route.debug) this.#send(Buffer.from(`\n\n${error.message}\n`));
    this.#endStream();
  }

  /** A client that reads nothing gets none: they would pile up. */
  #sendKeepAlive(data: Buffer): void {
    const unsent = this.unsentBytes;
    if (unsent > 0 && unsent + data.length > this.route.limits.unsentBytes) return;
    if (unsent === 0) this.activeAt = this.#parts.clock.now();
    this.#send(data);
  }

  /** What is not published: behind all that waits, and never left out. */
  #send(content: Buffer): void {
    const writer = this.#writer;
    if (writer === undefined) return;
    if (this.tally !== undefined) this.tally.bytesOut += content.length;
    if (this.#backlog?.waits === true) this.#backlog.keep(writer.frame(content));
    else writer.writeFrames(writer.frame(content));
  }

  async #room(): Promise<void> {
    const backlog = this.#backlog;
    if (backlog?.waits === true) await new Promise<void>((resolve) => backlog.drained(resolve));
    else await this.#writer?.room();
  }

  #fail(error: ForegateError): void {
    if (this.#over) return;
    this.#parts.log.warn('hold.failed', { session: this.id, route: this.route.id, code: error.code, error });
    this.#endedBy('foregate');
    if (this.#writer === undefined) {
      this.#answer(this.#parts.errorReply(error, this.route.debug));
      return;
    }
    this.#writer.cut();
    this.#finish();
  }

  #finish(): void {
    if (this.#over) return;
    this.#over = true;
    this.#schedule.cancel();
    this.#keepAlive.set(undefined);
    this.#parts.hub.drop(this);
    this.#backlog?.end();
    if (this.#requests.gone === undefined && isTaken(this.#response)) this.#parts.registry.remove(this);
    else void this.#leave();
  }

  /** The session is over when the client has its answer and the backend has been told. */
  async #leave(): Promise<void> {
    await Promise.all([this.#requests.tellGone(), this.#sent()]);
    this.#parts.registry.remove(this);
  }

  /** What is on its way to the client may take its time, though not for ever. */
  #sent(): Promise<void> {
    if (this.#response.destroyed) return Promise.resolve();
    const deadline = this.#parts.clock.after(this.route.idleMs, () => this.#response.destroy());
    return new Promise((resolve) => {
      this.#response.once('close', () => {
        deadline.cancel();
        resolve();
      });
    });
  }
}

/** The system has all of the answer: what becomes of the connection changes nothing about it. Streams of HTTP/2 tell nothing of that. */
function isTaken({ req, socket, writableEnded }: ServerResponse): boolean {
  return writableEnded && req.httpVersionMajor === 1 && socket?.writableLength === 0;
}

/** The filter `build-id` goes over the bodies of holds and links too (GRIP 5). @throws ForegateError `bad-reply` */
function firstContent({ channels, meta }: Hold, body: Buffer): Buffer {
  if (body.length === 0 || !channels.some(({ filters }) => filters.includes('build-id'))) return body;
  const built = buildBodyIds(body, meta);
  if (built === undefined) throw new ForegateError('bad-reply', "The filter 'build-id' cannot be applied to the body.");
  return built;
}

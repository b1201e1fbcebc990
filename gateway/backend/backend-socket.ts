/**
 * The client's WebSocket as a backend sees it during one request: everything called here is collected and goes back in the
 * answer, as events and control messages (GRIP 2.3, 3.3). Nothing is kept between requests but `meta`.
 */
import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { closeReason, isSendableCloseCode } from '../core/close-code.ts';
import { ForegateError } from '../core/errors.ts';
import { contentBytes, type ClientEvent } from '../core/event.ts';
import { limits } from '../core/limits.ts';
import { isLastId, isLinkUri, readLastIds } from '../wire/last-ids.ts';
import { rawMessage, type RawMessage } from './message-types.ts';
import type { SessionMeta } from './session-meta.ts';

/** What {@link BackendSocket.accept} can add to the handshake's answer. */
export interface OpenOptions {
  /** One of the client's `Sec-WebSocket-Protocol`. */
  readonly subprotocol?: string;
  /** For the client's 101, such as `Set-Cookie`. */
  readonly headers?: OutgoingHttpHeaders;
}

export interface SubscribeOptions {
  /** Names of GRIP filters, such as `skip-self`; at most 5. */
  readonly filters?: readonly string[];
  /**
   * The id of the last item that the client has, or gets with this answer: from there on it misses nothing. Without it the id
   * counts that a client said it has when it came back.
   */
  readonly previousId?: string;
  /** A URI, relative to that of the connection: Foregate asks it for what is missing (the `missed` handler). */
  readonly next?: string;
}

export interface ToClientLater {
  /** Seconds of silence (`idle`) or between two frames (`interval`); default 55. */
  readonly timeoutSeconds?: number;
  /** Default `idle`. */
  readonly mode?: 'idle' | 'interval';
}

/** The handshake is refused: an ordinary HTTP answer. */
export interface Refusal {
  readonly status: number;
  readonly body: string | Uint8Array;
  readonly headers: OutgoingHttpHeaders;
}

/** Prefixes inside a GRIP socket: without them a message could be mistaken for an instruction (GRIP 3.2). */
const messagePrefix = Buffer.from('m:');
const controlPrefix = 'c:';
export const gripExtension = 'grip; message-prefix="m:"';

/** What the request is about: the handshake, an open connection, or what clients have missed. */
type Moment = 'opening' | 'open' | 'missed';

/** What a link can be answered with: it may be of many clients at once. */
export type MissedSocket<Message = RawMessage> = Pick<
  BackendSocket<string, Message>,
  'request' | 'lastIds' | 'send' | 'subscribe' | 'unsubscribe' | 'close' | 'unknown'
>;

/** `Name`: names of meta items. `Message`: what may be sent; texts and bytes go as they are, other values as JSON. */
export class BackendSocket<Name extends string = string, Message = RawMessage> {
  /** The same for the life of the connection (`Connection-Id`). */
  readonly id: string;
  /** The request that brought the events: a POST with the headers of the client's handshake. */
  readonly request: IncomingMessage;
  /** What is stored with the session. */
  readonly meta: SessionMeta<Name>;
  readonly #moment: Moment;
  readonly #events: ClientEvent[] = [];
  #bytes = 0;
  #closed = false;
  #accepted: OpenOptions | undefined;
  #refusal: Refusal | undefined;
  #askEverySeconds: number | undefined;

  constructor(request: IncomingMessage, id: string, meta: SessionMeta<Name>, moment: Moment) {
    this.request = request;
    this.id = id;
    this.meta = meta;
    this.#moment = moment;
  }

  /**
   * The last ids of channels: in `open` those that a client said it has when it came back, in `missed` that of the channel in
   * question. Otherwise empty.
   */
  get lastIds(): ReadonlyMap<string, string> {
    const field = this.request.headers['grip-last'];
    return (field === undefined ? undefined : readLastIds([String(field)])) ?? new Map<string, string>();
  }

  /** Accepts the handshake. Only needed for its options: an `open` handler that does not refuse accepts. */
  accept(options: OpenOptions = {}): void {
    this.#mustBeOpening('accept');
    this.#accepted = options;
  }

  /** Refuses the handshake: the client gets this HTTP answer. @throws RangeError for a status outside 300 to 599. */
  refuse(status: number, body: string | Uint8Array = '', headers: OutgoingHttpHeaders = {}): void {
    this.#mustBeOpening('refuse');
    if (!Number.isInteger(status) || status < 300 || status > 599)
      throw new RangeError('A refusal has a status from 300 to 599.');
    this.#refusal = { status, body, headers };
  }

  /** Only in `missed`: what came after the last id is not known. The client is closed with 4410, so that it loads everything anew. */
  unknown(): void {
    if (this.#moment !== 'missed') throw new ForegateError('internal', 'unknown() is for the missed handler.');
    this.#refusal = { status: 410, body: '', headers: {} };
  }

  /** Sends text, or bytes as a binary message. Ignored after {@link close}. @throws ForegateError `reply-too-large` */
  send(message: Message): void {
    const raw = rawMessage(message);
    const data = Buffer.concat([messagePrefix, typeof raw === 'string' ? Buffer.from(raw) : raw]);
    this.#add({ kind: typeof raw === 'string' ? 'text' : 'binary', data });
  }

  /** Asks the client for a sign of life. */
  ping(content: string | Uint8Array = ''): void {
    this.#add({ kind: 'ping', data: Buffer.from(content) });
  }

  /** Answers a ping. Done by itself where there is no `ping` handler. */
  pong(content: string | Uint8Array = ''): void {
    this.#add({ kind: 'pong', data: Buffer.from(content) });
  }

  /**
   * From now on the client gets what is published to the channel.
   * @throws TypeError for a link that is no URI, or ids that are too long
   */
  subscribe(channel: string, { filters, previousId, next }: SubscribeOptions = {}): void {
    if (previousId !== undefined && !isLastId(previousId)) throw new TypeError('An id may have 1024 bytes.');
    if (next !== undefined && !isLinkUri(next)) throw new TypeError('A link is a URI of HTTP, or a relative one.');
    this.#control('subscribe', {
      channel,
      ...(filters && { filters }),
      ...(previousId !== undefined && { 'prev-id': previousId }),
      ...(next !== undefined && { next }),
    });
  }

  unsubscribe(channel: string): void {
    this.#control('unsubscribe', { channel });
  }

  /** What filters read, such as `user` for `skip-self`; undefined deletes. Not the same as {@link meta}. */
  setFilterMeta(name: string, value: string | undefined): void {
    this.#control('set-meta', { name, ...(value !== undefined && { value }) });
  }

  /** A frame that the gateway sends to the client in silence, without asking here; undefined: none any more. */
  keepAlive(message: Message | undefined, { timeoutSeconds, mode }: ToClientLater = {}): void {
    if (message === undefined) return this.#control('keep-alive', {});
    this.#control('keep-alive', {
      ...contentOf(rawMessage(message)),
      ...(timeoutSeconds && { timeout: timeoutSeconds }),
      ...(mode && { mode }),
    });
  }

  /** A request comes at least so often, also without anything from the client; 0: no longer. Below 20 counts as 20. */
  askEvery(seconds: number): void {
    if (!Number.isInteger(seconds) || seconds < 0) throw new RangeError('askEvery takes whole seconds, or 0.');
    this.#askEverySeconds = seconds;
  }

  /** Sends once after the time (default 1 second); a second one sends the first at once. */
  sendDelayed(message: Message, { timeoutSeconds = 1 }: { readonly timeoutSeconds?: number } = {}): void {
    this.#control('send-delayed', { ...contentOf(rawMessage(message)), timeout: timeoutSeconds });
  }

  /** Sends what waits for its delay now. */
  flushDelayed(): void {
    this.#control('flush-delayed', {});
  }

  /** The client stays and gets publications, but nothing of it comes here any more. */
  detach(): void {
    this.#control('detach', {});
  }

  /** Closes the WebSocket. A reason is cut to the 123 bytes it can have. @throws RangeError for a code that must not be sent. */
  close(code = 1000, reason = ''): void {
    if (!isSendableCloseCode(code)) throw new RangeError(`${code} is not a close code that can be sent.`);
    this.#add({ kind: 'close', code, reason: closeReason(reason) });
    this.#closed = true;
  }

  /** Answers a close of the client, unless this side has closed already. For the middleware. */
  answerClose(code: number | undefined, reason: string): void {
    if (this.#closed) return;
    if (code !== undefined && isSendableCloseCode(code)) return this.close(code, reason);
    this.#add({ kind: 'close', reason: '' });
    this.#closed = true;
  }

  /** The refusal of the handshake, if there is one. For the middleware. */
  get refusal(): Refusal | undefined {
    return this.#refusal;
  }

  /** The events of the answer. For the middleware. */
  events(): ClientEvent[] {
    return this.#moment === 'opening' ? [{ kind: 'open' }, ...this.#events] : this.#events;
  }

  /** The answer's own header fields. For the middleware. */
  headers(): OutgoingHttpHeaders {
    return {
      ...this.#momentHeaders(),
      ...(this.#askEverySeconds !== undefined && { 'Keep-Alive-Interval': String(this.#askEverySeconds) }),
      ...this.meta.changes(),
    };
  }

  #momentHeaders(): OutgoingHttpHeaders {
    if (this.#moment === 'missed') return { 'Cache-Control': 'no-store' };
    if (this.#moment === 'open') return {};
    const { subprotocol, headers = {} } = this.#accepted ?? {};
    return {
      ...headers,
      ...(subprotocol && { 'Sec-WebSocket-Protocol': subprotocol }),
      'Sec-WebSocket-Extensions': gripExtension,
    };
  }

  #control(type: string, members: Readonly<Record<string, unknown>>): void {
    this.#add({ kind: 'text', data: Buffer.from(controlPrefix + JSON.stringify({ type, ...members })) });
  }

  #add(event: ClientEvent): void {
    if (this.#closed) return;
    this.#bytes += contentBytes(event);
    if (this.#bytes > limits.replyBytes)
      throw new ForegateError('reply-too-large', 'The answer is too large: publish to a channel instead.');
    this.#events.push(event);
  }

  #mustBeOpening(method: string): void {
    if (this.#moment !== 'opening')
      throw new ForegateError('internal', `${method}() is for the open handler; later there is close().`);
  }
}

/** Members of a control message that carry a frame; `content-bin` alone would be sent as text (GRIP 3.3). */
function contentOf(message: RawMessage): Readonly<Record<string, string>> {
  if (typeof message === 'string') return { content: message };
  return { 'content-bin': Buffer.from(message).toString('base64'), 'message-type': 'binary' };
}

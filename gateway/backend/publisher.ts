/** Publishes to channels, and closes or refreshes their sessions, through the control API (GRIP 6.1 to 6.3). */
import type { KeyObject } from 'node:crypto';
import jsonwebtoken from 'jsonwebtoken';
import { ForegateError, type ErrorCode } from '../core/errors.ts';
import { parseGripUrl, type PublisherAuth } from './grip-url.ts';
import { rawMessage, type RawMessage } from './message-types.ts';
import { algorithmOf, signingKey } from './signing-key.ts';

export interface PublisherOptions {
  /** The control API, or a whole `GRIP_URL` with its keys: `http://127.0.0.1:5561/`. */
  readonly url: string;
  /** Goes before what the URL says. */
  readonly auth?: PublisherAuth;
  /** For one call, its retry not counted; default 10000. */
  readonly timeoutMs?: number;
  /**
   * `once`: a call that got 502, 503 or 504 is sent once more, if all its items have ids: then the gateway drops what it has
   * seen before. Items without ids could arrive twice and are not repeated; a refresh of one session does no harm and is.
   * Default `never`.
   */
  readonly retry?: 'never' | 'once';
}

/** What a waiting long-poll is answered with; a string or bytes alone: 200 with that body. */
export interface PublishResponse {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
}

/** One item in up to three forms: each session gets the one that fits it. `Message`: what may be published for WebSockets. */
export interface PublishItem<Message = RawMessage> {
  /** For WebSockets: text, or bytes as a binary message; other values, where they have a type, as JSON. */
  readonly message?: Message;
  /** For HTTP streams and event streams, as it is to be sent. */
  readonly stream?: string | Uint8Array;
  /** For long-polls. */
  readonly response?: string | Uint8Array | PublishResponse;
  readonly id?: string;
  /** The id before: the gateway puts items into this order. */
  readonly previousId?: string;
  /** For filters, such as `sender` for `skip-self`. */
  readonly meta?: Readonly<Record<string, string>>;
}

export interface Publisher<Message = RawMessage> {
  /** @throws PublishError */
  publish(channel: string, item: PublishItem<Message>): Promise<void>;
  /** All or nothing: one wrong item and none is published. @throws PublishError */
  publishAll(items: readonly (PublishItem<Message> & { readonly channel: string })[]): Promise<void>;
  /** Closes the WebSockets and streams of a channel; default code 1000. @throws PublishError */
  close(channel: string, code?: number, reason?: string): Promise<void>;
  /**
   * Makes WebSocket sessions ask their backend at once: all of a channel, or one by its id (`socket.id`). The call for one
   * session is Foregate's own and not known to Pushpin.
   * @throws PublishError, with status 404 where there is no such session
   */
  refresh(what: string | { readonly session: string }): Promise<void>;
}

/** A call to the control API failed. */
export class PublishError extends ForegateError {
  /** Undefined: there was no answer. */
  readonly status: number | undefined;
  /** The answer's text, at most 4096 characters. */
  readonly body: string;

  constructor(
    code: ErrorCode,
    message: string,
    details: { readonly status?: number; readonly body?: string; readonly cause?: unknown } = {},
  ) {
    super(code, message, { cause: details.cause });
    this.name = 'PublishError';
    this.status = details.status;
    this.body = details.body ?? '';
  }
}

const defaultTimeoutMs = 10_000;
const answerCharactersMax = 4096;
const retryStatuses: ReadonlySet<number> = new Set([502, 503, 504]);

/**
 * Makes a publisher. It holds no connection and needs no closing.
 * @param options the options, or a `GRIP_URL`
 * @throws TypeError for a URL or key that cannot be used
 * @example
 * const publisher = createPublisher(process.env.GRIP_URL ?? 'http://127.0.0.1:5561/');
 * await publisher.publish('room', { message: 'hello' });
 */
export function createPublisher<Message = RawMessage>(options: PublisherOptions | string): Publisher<Message> {
  const settings = typeof options === 'string' ? { url: options } : options;
  const parsed = parseGripUrl(settings.url);
  const post = poster(parsed.url, authorization(settings.auth ?? parsed.auth), settings);
  const publish = (items: readonly WireItem[]): Promise<void> =>
    post('/publish/', { items }, items.every((item) => item.id !== undefined) ? settings.retry : 'never');
  return {
    // Asynchronous, so that a wrong item is a rejection too.
    publish: async (channel, item) => publish([toWire(channel, item)]),
    publishAll: async (items) => publish(items.map((item) => toWire(item.channel, item))),
    close: (channel, code = 1000, reason = '') =>
      publish([
        {
          channel,
          formats: { 'ws-message': { action: 'close', code, reason }, 'http-stream': { action: 'close', content: '' } },
        },
      ]),
    refresh: (what) =>
      typeof what === 'string'
        ? publish([{ channel: what, formats: { 'ws-message': { action: 'refresh' } } }])
        : post('/refresh/', { cid: what.session }, settings.retry),
  };
}

/** An item as it stands in the body of a publish call. */
interface WireItem {
  readonly channel: string;
  readonly id?: string;
  readonly 'prev-id'?: string;
  readonly meta?: Readonly<Record<string, string>>;
  readonly formats: Readonly<Record<string, object>>;
}

function toWire(channel: string, item: PublishItem<unknown>): WireItem {
  const formats = {
    ...(item.message !== undefined && { 'ws-message': content(rawMessage(item.message)) }),
    ...(item.stream !== undefined && { 'http-stream': content(item.stream) }),
    ...(item.response !== undefined && { 'http-response': responseFormat(item.response) }),
  };
  if (Object.keys(formats).length === 0) throw new TypeError('An item needs a message, a stream or a response.');
  return {
    channel,
    ...(item.id !== undefined && { id: item.id }),
    ...(item.previousId !== undefined && { 'prev-id': item.previousId }),
    ...(item.meta && { meta: item.meta }),
    formats,
  };
}

function content(value: RawMessage): object {
  return typeof value === 'string' ? { content: value } : { 'content-bin': base64(value) };
}

function responseFormat(response: string | Uint8Array | PublishResponse): object {
  if (typeof response === 'string') return { body: response };
  if (response instanceof Uint8Array) return { 'body-bin': base64(response) };
  const { status = 200, headers = {}, body } = response;
  return {
    code: status,
    headers: Object.entries(headers),
    ...(typeof body === 'string' ? { body } : { 'body-bin': base64(body) }),
  };
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}

type Post = (path: string, body: object, retry: PublisherOptions['retry']) => Promise<void>;

function poster(base: string, authorize: () => string | undefined, { timeoutMs = defaultTimeoutMs }: PublisherOptions): Post {
  return async (path, body, retry) => {
    const send = (): Promise<Answer> => call(base + path, JSON.stringify(body), authorize(), timeoutMs);
    const first = await send();
    const last = retry === 'once' && retryStatuses.has(first.status) ? await send() : first;
    if (last.status < 200 || last.status > 299) throw refusal(last);
  };
}

interface Answer {
  readonly status: number;
  readonly body: string;
}

async function call(url: string, body: string, authorizationValue: string | undefined, timeoutMs: number): Promise<Answer> {
  const headers = { 'Content-Type': 'application/json', ...(authorizationValue && { Authorization: authorizationValue }) };
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers,
      body,
      redirect: 'manual',
      signal: AbortSignal.timeout(timeoutMs),
    });
    return { status: response.status, body: await readText(response) };
  } catch (cause) {
    if (cause instanceof Error && cause.name === 'TimeoutError') {
      throw new PublishError('downstream-timeout', `The control API did not answer within ${timeoutMs} ms.`, { cause });
    }
    throw new PublishError('downstream-unreachable', 'The control API cannot be reached.', { cause });
  }
}

async function readText(response: Response): Promise<string> {
  let text = '';
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length >= answerCharactersMax) break;
  }
  return text.slice(0, answerCharactersMax);
}

function refusal({ status, body }: Answer): PublishError {
  const code =
    status >= 500 ? 'downstream-fault' : status === 401 ? 'unauthorized' : status === 403 ? 'forbidden' : 'bad-request';
  return new PublishError(code, `The control API answered ${status}: ${body.trim()}`, { status, body });
}

const tokenSeconds = 600;
/** A token is used until so long before its end, for clocks that differ. */
const tokenReserveSeconds = 60;

function authorization(auth: PublisherAuth | undefined): () => string | undefined {
  if (auth === undefined) return () => undefined;
  if ('bearer' in auth) return () => `Bearer ${auth.bearer}`;
  if ('user' in auth) return () => `Basic ${Buffer.from(`${auth.user}:${auth.password}`).toString('base64')}`;
  return tokens(auth.issuer, signingKey(auth.key));
}

function tokens(issuer: string, key: KeyObject): () => string {
  const algorithm = algorithmOf(key);
  let header = '';
  let freshUntilMs = 0;
  return () => {
    if (Date.now() < freshUntilMs) return header;
    header = `Bearer ${jsonwebtoken.sign({ iss: issuer }, key, { algorithm, expiresIn: tokenSeconds, noTimestamp: true })}`;
    freshUntilMs = Date.now() + (tokenSeconds - tokenReserveSeconds) * 1000;
    return header;
  };
}

/**
 * Answers WebSocket-over-HTTP requests with typed handlers (GRIP 2): reads the events, calls the handlers one after the other,
 * and writes what they asked for as one answer. If a handler fails, nothing of it is sent.
 */
import {
  validateHeaderName,
  validateHeaderValue,
  type IncomingMessage,
  type OutgoingHttpHeader,
  type OutgoingHttpHeaders,
  type ServerResponse,
} from 'node:http';
import { ForegateError } from '../core/errors.ts';
import type { ClientEvent } from '../core/event.ts';
import { decodeEvents, encodeEvents, eventsMediaType } from '../wire/websocket-events.ts';
import { BackendSocket, type MissedSocket } from './backend-socket.ts';
import { verifyGripSig, type GripSigOptions } from './grip-sig.ts';
import { jsonMessage, type MessageTypes, type RawMessages } from './message-types.ts';
import { readBody } from './request-body.ts';
import { SessionMeta } from './session-meta.ts';

type Result = void | Promise<void>;

/**
 * What a backend does with the events of a client; all optional, all may be asynchronous. `Name`: names of meta items. `Messages`:
 * types of messages, as `foregate types` writes them; without them messages are texts and bytes.
 */
export interface EventHandlers<Name extends string = string, Messages extends MessageTypes = RawMessages> {
  /** The handshake. It is accepted unless the handler refuses it. */
  open?(socket: BackendSocket<Name, Messages['backend']>): Result;
  /** A text message that is JSON, as its value; others go to `text`. That it is of the type is checked by Foregate, not here. */
  message?(socket: BackendSocket<Name, Messages['backend']>, message: Messages['client']): Result;
  /** A text message; with `message`, one that is no JSON. */
  text?(socket: BackendSocket<Name, Messages['backend']>, text: string): Result;
  binary?(socket: BackendSocket<Name, Messages['backend']>, bytes: Buffer): Result;
  /** Default: answers with a pong. */
  ping?(socket: BackendSocket<Name, Messages['backend']>, bytes: Buffer): Result;
  pong?(socket: BackendSocket<Name, Messages['backend']>, bytes: Buffer): Result;
  /** The client closes; without a code of the client's it is undefined. Answered with the same close, unless the handler closes otherwise. */
  close?(socket: BackendSocket<Name, Messages['backend']>, code: number | undefined, reason: string): Result;
  /** The client is gone without a close. */
  disconnect?(socket: BackendSocket<Name, Messages['backend']>): Result;
  /** A request without events: after silence (`askEvery`), or because somebody asked for a refresh. */
  asked?(socket: BackendSocket<Name, Messages['backend']>): Result;
  /**
   * A GET of a subscription's `next` link: something after {@link MissedSocket.lastIds} is missing. Answered with the messages
   * from there on, and a subscription with the id of the last of them. One answer may go to many clients, so the link carries
   * whatever tells them apart.
   */
  missed?(socket: MissedSocket<Messages['backend']>): Result;
}

export interface SignatureOptions extends GripSigOptions {
  /** False: a request without `Grip-Sig` is let through; a bad one never is. Default true. */
  readonly required?: boolean;
}

export interface EventOptions {
  /** Other paths are left to what comes next. Default: every path. */
  readonly path?: string;
  /** Takes requests only from a gateway that has this key. */
  readonly signature?: SignatureOptions;
  /** Gets what a handler threw; the gateway gets 500. Default: written to standard error. */
  readonly onError?: (error: unknown, request: IncomingMessage) => void;
}

/** Fits Express (`app.use`, `app.post`), Connect, and `http.createServer`. */
export type EventMiddleware = (request: IncomingMessage, response: ServerResponse, next?: (error?: unknown) => void) => void;

/** A body of events; the gateway sends at most 200000 bytes of content. */
const bodyBytesMax = 1_000_000;

/**
 * Makes the middleware. Other requests go to `next`; without `next` they are answered with 404, 405 or 415.
 * @example
 * app.use('/chat', webSocketEvents<'name'>({
 *   open: (socket) => socket.subscribe('room'),
 *   text: (socket, text) => socket.send(`you said ${text}`),
 * }));
 */
export function webSocketEvents<Name extends string = string, Messages extends MessageTypes = RawMessages>(
  handlers: EventHandlers<Name, Messages>,
  options: EventOptions = {},
): EventMiddleware {
  return (request, response, next) => {
    const foreign = notConcerned(request, options.path, handlers);
    if (foreign === undefined) void answer({ handlers, options, request, response });
    else if (next) next();
    else refuse(response, foreign);
  };
}

interface Work<Name extends string, Messages extends MessageTypes> {
  readonly handlers: EventHandlers<Name, Messages>;
  readonly options: EventOptions;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

interface TextAnswer {
  readonly status: number;
  readonly text: string;
  readonly headers?: OutgoingHttpHeaders;
}

/** Why this is no request for us, or undefined. */
function notConcerned(
  request: IncomingMessage,
  path: string | undefined,
  handlers: { readonly missed?: unknown },
): TextAnswer | undefined {
  if (path !== undefined && pathOf(request) !== path) return { status: 404, text: 'Not found.' };
  if (handlers.missed && isLink(request)) return undefined;
  if (request.method !== 'POST')
    return { status: 405, text: 'This address takes WebSocket events by POST.', headers: { Allow: 'POST' } };
  if (mediaType(request) !== eventsMediaType) return { status: 415, text: `This address takes ${eventsMediaType}.` };
  return undefined;
}

/** The GET of a `next` link. */
function isLink({ method, headers }: IncomingMessage): boolean {
  return method === 'GET' && headers.accept === eventsMediaType;
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? '').split('?', 1)[0] ?? '';
}

function mediaType(request: IncomingMessage): string | undefined {
  return request.headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase();
}

async function answer<Name extends string, Messages extends MessageTypes>(work: Work<Name, Messages>): Promise<void> {
  const { request, response, options } = work;
  try {
    const unsigned = signatureFault(request, options.signature);
    if (unsigned) return refuse(response, unsigned);
    if (isLink(request)) return await handleMissed(work);
    const read = await readEvents(request);
    if (read.kind === 'aborted') return;
    if (read.kind === 'refused') return refuse(response, read.answer);
    await handle(work, read.id, read.events);
  } catch (error) {
    report(options, error, request);
    if (!response.headersSent) refuse(response, { status: 500, text: 'The handler failed.' });
  }
}

function signatureFault(request: IncomingMessage, signature: SignatureOptions | undefined): TextAnswer | undefined {
  if (signature === undefined) return undefined;
  if (signature.required === false && request.headers['grip-sig'] === undefined) return undefined;
  const result = verifyGripSig(request, signature);
  return result.kind === 'refused' ? result : undefined;
}

type ReadResult =
  | { readonly kind: 'events'; readonly id: string; readonly events: readonly ClientEvent[] }
  | { readonly kind: 'refused'; readonly answer: TextAnswer }
  | { readonly kind: 'aborted' };

async function readEvents(request: IncomingMessage): Promise<ReadResult> {
  const id = request.headers['connection-id'];
  if (typeof id !== 'string' || id === '') return badRequest('The request has no Connection-Id.');
  const read = await readBody(request, bodyBytesMax);
  if (read.kind === 'aborted') return read;
  if (read.kind === 'too-large') return badRequest(`The body is larger than ${bodyBytesMax} bytes.`, { Connection: 'close' });
  if (read.kind === 'consumed')
    throw new Error(`A body parser took the request: let express.raw({ type: '${eventsMediaType}' }) run, or none.`);
  const events = parse(read.body);
  if (events === undefined) return badRequest('The body is not a sequence of WebSocket events.');
  return { kind: 'events', id, events };
}

function badRequest(text: string, headers: OutgoingHttpHeaders = {}): ReadResult {
  return { kind: 'refused', answer: { status: 400, text, headers } };
}

/** An OPEN anywhere but in front makes no sense. */
function parse(body: Buffer): readonly ClientEvent[] | undefined {
  try {
    const events = decodeEvents(body);
    return events.findLastIndex((event) => event.kind === 'open') > 0 ? undefined : events;
  } catch (error) {
    if (error instanceof ForegateError) return undefined;
    throw error;
  }
}

async function handleMissed<Name extends string, Messages extends MessageTypes>({
  handlers,
  request,
  response,
}: Work<Name, Messages>): Promise<void> {
  const socket = new BackendSocket<string, Messages['backend']>(request, '', new SessionMeta(request.headers), 'missed');
  await handlers.missed?.(socket);
  write(response, socket);
}

async function handle<Name extends string, Messages extends MessageTypes>(
  work: Work<Name, Messages>,
  id: string,
  events: readonly ClientEvent[],
): Promise<void> {
  const opening = events[0]?.kind === 'open' ? 'opening' : 'open';
  const socket = new BackendSocket<Name, Messages['backend']>(
    work.request,
    id,
    new SessionMeta<Name>(work.request.headers),
    opening,
  );
  if (events.length === 0) await work.handlers.asked?.(socket);
  for (const event of events) {
    // One after the other: the order of events is the order of their effects.
    // oxlint-disable-next-line no-await-in-loop
    await dispatch(work.handlers, socket, event);
    if (socket.refusal) break;
  }
  write(work.response, socket);
}

function dispatch<Name extends string, Messages extends MessageTypes>(
  handlers: EventHandlers<Name, Messages>,
  socket: BackendSocket<Name, Messages['backend']>,
  event: ClientEvent,
): Result {
  switch (event.kind) {
    case 'open':
      return handlers.open?.(socket);
    case 'text':
      return textOf(handlers, socket, event.data.toString('utf8'));
    case 'binary':
      return handlers.binary?.(socket, event.data);
    case 'ping':
      return handlers.ping ? handlers.ping(socket, event.data) : socket.pong(event.data);
    case 'pong':
      return handlers.pong?.(socket, event.data);
    case 'close':
      return closeOf(handlers, socket, event.code, event.reason);
    case 'disconnect':
      return handlers.disconnect?.(socket);
  }
}

function textOf<Name extends string, Messages extends MessageTypes>(
  handlers: EventHandlers<Name, Messages>,
  socket: BackendSocket<Name, Messages['backend']>,
  text: string,
): Result {
  const message = handlers.message && jsonMessage(text);
  if (message !== undefined) return handlers.message?.(socket, message.value);
  if (handlers.message !== undefined && handlers.text === undefined) throw new TypeError('A text message is no JSON.');
  return handlers.text?.(socket, text);
}

async function closeOf<Name extends string, Messages extends MessageTypes>(
  handlers: EventHandlers<Name, Messages>,
  socket: BackendSocket<Name, Messages['backend']>,
  code: number | undefined,
  reason: string,
): Promise<void> {
  await handlers.close?.(socket, code, reason);
  socket.answerClose(code, reason);
}

/** Header fields and body are complete before the first byte is written. */
function write(response: ServerResponse, socket: Pick<BackendSocket, 'refusal' | 'headers' | 'events'>): void {
  const { refusal } = socket;
  if (refusal) end(response, refusal.status, [textType, refusal.headers], refusal.body);
  else end(response, 200, [socket.headers(), { 'Content-Type': eventsMediaType }], encodeEvents(socket.events()));
}

function refuse(response: ServerResponse, { status, text, headers }: TextAnswer): void {
  end(response, status, [textType, headers ?? {}], `${text}\n`);
}

const textType: OutgoingHttpHeaders = { 'Content-Type': 'text/plain; charset=utf-8' };

/** Later headers replace earlier ones. All are checked before the first is set: after a bad one the answer is still untouched. */
function end(response: ServerResponse, status: number, headers: readonly OutgoingHttpHeaders[], body: string | Uint8Array): void {
  const fields = headers
    .flatMap((part) => Object.entries(part))
    .flatMap(([name, value]) => (value === undefined ? [] : [{ name, value }]));
  for (const { name, value } of fields) checkField(name, value);
  for (const { name, value } of fields) response.setHeader(name, value);
  response.writeHead(status, { 'Content-Length': Buffer.byteLength(body) });
  response.end(body);
}

function checkField(name: string, value: OutgoingHttpHeader): void {
  validateHeaderName(name);
  for (const line of Array.isArray(value) ? value : [value]) validateHeaderValue(name, String(line));
}

function report(options: EventOptions, error: unknown, request: IncomingMessage): void {
  if (options.onError) return options.onError(error, request);
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
}

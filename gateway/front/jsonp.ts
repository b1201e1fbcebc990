/**
 * JSONP (GRIP 8.6): a GET of a script element becomes the request that its parameters describe, and the answer becomes a call of
 * the page's function. For pages that must work where nothing else does.
 */
import { IncomingMessage, STATUS_CODES, type ServerResponse } from 'node:http';
import type { Reply } from '../core/exchange.ts';
import type { ReplyHead } from '../core/hold.ts';
import {
  fields,
  isHeaderName,
  isHeaderValue,
  isHopByHop,
  setHeader,
  withoutHeaders,
  type HeaderDraft,
  type HeaderList,
} from '../core/headers.ts';
import { limits } from '../core/limits.ts';
import type { JsonpTerms } from '../core/route.ts';
import { isCallback } from '../wire/script-callback.ts';
import { textReply } from './refusal.ts';

/**
 * The request that a JSONP call describes, whose answer will be wrapped; `request` itself if it is none; or the answer to a call
 * that is not right. Answers longer than `answerBytes` become errors.
 */
export function jsonpRequest(
  request: IncomingMessage,
  response: ServerResponse,
  terms: JsonpTerms,
  answerBytes: number,
): IncomingMessage | Reply {
  const query = new Query(request.url ?? '/');
  const callback = callbackOf(query, terms);
  if (request.method !== 'GET' || callback === undefined) return request;
  if (callback === null || !isCallback(callback)) return invalid('callback');
  const described = describedRequest(request, query, terms);
  if (described instanceof IncomingMessage) wrapAnswer(response, { callback, extended: terms.mode === 'extended', answerBytes });
  return described;
}

function invalid(parameter: string): Reply {
  return textReply(400, `Invalid ${parameter} parameter.`, []);
}

/** Undefined: the request is no call; null: it is one that cannot be read. */
function callbackOf(query: Query, { callback, body, defaultCallback }: JsonpTerms): string | null | undefined {
  const given = query.take(callback);
  if (given !== undefined) return given;
  return body !== undefined && query.has(body) ? defaultCallback : undefined;
}

function describedRequest(request: IncomingMessage, query: Query, terms: JsonpTerms): IncomingMessage | Reply {
  const method = query.has('_method') ? query.take('_method') : terms.method;
  if (!method || !/^[A-Za-z][A-Za-z-]{0,31}$/.test(method) || /^(?:connect|trace)$/i.test(method)) return invalid('_method');
  const added = headerFields(query.take('_headers'));
  if (added === undefined) return invalid('_headers');
  const body = query.take(terms.body ?? '_body');
  if (body === null) return invalid(terms.body ?? '_body');
  const headers = withoutHeaders(request.rawHeaders, (name) => name === 'content-type' || name === 'content-length');
  if (terms.body !== undefined && body !== undefined) added.push('Content-Type', 'application/json');
  for (const [name, value] of fields(added)) setHeader(headers, name, value);
  return madeRequest(request, { method: method.toUpperCase(), url: query.path, headers, body });
}

/** What the script may not say: how the message is framed, and whom it is for. */
function headerFields(text: string | null | undefined): HeaderDraft | undefined {
  if (text === undefined) return [];
  const entries = jsonEntries(text ?? '');
  const good = entries?.every(([name, value]) => isHeaderName(name) && typeof value === 'string' && isHeaderValue(value));
  if (entries === undefined || good !== true || entries.length > limits.headerFields) return undefined;
  return entries.flatMap(([name, value]) => (isFraming(name.toLowerCase()) ? [] : [name, String(value)]));
}

function isFraming(lowerName: string): boolean {
  return isHopByHop(lowerName) || lowerName === 'host' || lowerName === 'content-length' || lowerName === 'expect';
}

function jsonEntries(text: string): [string, unknown][] | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.entries(value) : undefined;
  } catch {
    return undefined;
  }
}

interface Described {
  readonly method: string;
  readonly url: string;
  readonly headers: HeaderDraft;
  readonly body: string | undefined;
}

function madeRequest(
  { socket, httpVersionMajor, httpVersionMinor, httpVersion }: IncomingMessage,
  { method, url, headers, body }: Described,
): IncomingMessage {
  const made = new IncomingMessage(socket);
  const bytes = Buffer.from(body ?? '');
  if (body !== undefined) headers.push('Content-Length', String(bytes.length));
  Object.assign(made, {
    method,
    url,
    rawHeaders: headers,
    httpVersionMajor,
    httpVersionMinor,
    httpVersion,
    complete: true,
  });
  made.headers = Object.fromEntries([...fields(headers)].map(([name, value]) => [name.toLowerCase(), value]));
  made.push(bytes);
  made.push(null);
  return made;
}

interface Wrapping {
  readonly callback: string;
  readonly extended: boolean;
  readonly answerBytes: number;
}

/** Holds the answer back until it is whole; then it is written as a script, under status 200. */
function wrapAnswer(response: ServerResponse, wrapping: Wrapping): void {
  const answer = new HeldAnswer(wrapping.answerBytes);
  const { writeHead, write, end } = response;
  Object.defineProperty(response, 'headersSent', { get: () => answer.begun });
  response.flushHeaders = () => undefined;
  response.writeHead = (status: number, ...rest: unknown[]): ServerResponse => {
    answer.begin(status, rest);
    return response;
  };
  response.write = (part: unknown): boolean => answer.take(part);
  response.end = (part?: unknown): ServerResponse => {
    answer.take(part);
    const reply = answer.whole();
    const script = scriptOf(reply, wrapping);
    // What ends an answer may write it.
    Object.assign(response, { writeHead, write, end });
    response.writeHead(200, 'OK', [...scriptFields(reply.headers), 'Content-Length', String(script.length)]);
    return response.end(script);
  };
}

class HeldAnswer {
  readonly #maxBytes: number;
  readonly #parts: Buffer[] = [];
  #bytes = 0;
  #head: ReplyHead | undefined;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get begun(): boolean {
    return this.#head !== undefined;
  }

  begin(status: number, rest: readonly unknown[]): void {
    const reason = rest.find((argument) => typeof argument === 'string') ?? STATUS_CODES[status] ?? '';
    this.#head = { status, reason, headers: rest.find((argument): argument is string[] => Array.isArray(argument)) ?? [] };
  }

  /** Always true: the other side may go on. */
  take(part: unknown): boolean {
    const taken = typeof part === 'string' ? Buffer.from(part) : part;
    if (!Buffer.isBuffer(taken)) return true;
    this.#bytes += taken.length;
    if (this.#bytes <= this.#maxBytes) this.#parts.push(taken);
    return true;
  }

  whole(): Reply {
    if (this.#head === undefined || this.#bytes > this.#maxBytes) return textReply(502, 'The answer is too large.', []);
    return { ...this.#head, body: Buffer.concat(this.#parts) };
  }
}

function scriptOf(reply: Reply, { callback, extended }: Wrapping): Buffer {
  return Buffer.from(`/**/${callback}(${extended ? extendedArgument(reply) : basicArgument(reply.body)});\n`);
}

/** Of the answer's own fields those that are meant for the browser itself. */
function scriptFields(headers: HeaderList): HeaderDraft {
  const own = withoutHeaders(headers, (name) => name !== 'cache-control' && name !== 'set-cookie' && name !== 'vary');
  return ['Content-Type', 'application/javascript', 'X-Content-Type-Options', 'nosniff', ...own];
}

function extendedArgument({ status, reason, headers, body }: Reply): string {
  const shown = new Map<string, string>();
  for (const [name, value] of fields(headers)) shown.set(name, shown.has(name) ? `${shown.get(name)}, ${value}` : value);
  return inScript(JSON.stringify({ code: status, reason, headers: Object.fromEntries(shown), body: body.toString() }));
}

/** A body that is no JSON would run as a script: it is passed as a text. */
function basicArgument(body: Buffer): string {
  const text = body.toString().replace(/\r?\n$/, '');
  return inScript(isJson(text) ? text : JSON.stringify(text));
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** To old browsers these end a line, also within a string. */
function inScript(json: string): string {
  return json.replaceAll('\u2028', String.raw`\u2028`).replaceAll('\u2029', String.raw`\u2029`);
}

/** The parameters of a path, of which some are taken out; the bytes of the others stay. */
class Query {
  readonly #bare: string;
  #parameters: readonly string[];

  constructor(path: string) {
    const start = path.indexOf('?');
    this.#bare = start < 0 ? path : path.slice(0, start);
    this.#parameters = start < 0 ? [] : path.slice(start + 1).split('&');
  }

  get path(): string {
    return this.#parameters.length === 0 ? this.#bare : `${this.#bare}?${this.#parameters.join('&')}`;
  }

  has(name: string): boolean {
    return this.#parameters.some((parameter) => nameOf(parameter) === name);
  }

  /** Takes out all parameters of the name; the value of the first, null if it cannot be decoded. */
  take(name: string): string | null | undefined {
    const first = this.#parameters.find((parameter) => nameOf(parameter) === name);
    if (first === undefined) return undefined;
    this.#parameters = this.#parameters.filter((parameter) => nameOf(parameter) !== name);
    const at = first.indexOf('=');
    return at < 0 ? '' : decoded(first.slice(at + 1));
  }
}

function nameOf(parameter: string): string | null {
  return decoded(parameter.split('=', 1)[0] ?? '');
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return null;
  }
}

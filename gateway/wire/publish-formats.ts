/** The three formats of a published item (GRIP 6.3): untrusted JSON in, checked values with their bytes ready out. */
import { isUtf8 } from 'node:buffer';
import { closeReason, isSendableCloseCode } from '../core/close-code.ts';
import { isHeaderName, isHeaderValue, type HeaderList } from '../core/headers.ts';
import type { MessageFormat, ResponseFormat, StreamFormat } from '../core/publication.ts';
import {
  base64Member,
  invalidFormat,
  invalidValue,
  isJsonObject,
  listMember,
  stringMember,
  wholeNumberMember,
  wrongType,
  type JsonObject,
} from './json-members.ts';

/** Levels of a `body-patch`: what is deeper would overrun the stack of whoever writes or applies it. */
const patchDepthMax = 100;
/** What a control frame has room for (RFC 6455 section 5.5). */
const controlFrameBytes = 125;

/** @throws ForegateError `bad-request` */
export function parseMessageFormat(value: unknown): MessageFormat {
  const owner = "'ws-message'";
  const format = objectOf(owner, value);
  const action = actionOf(owner, format);
  if (action === 'send') return messageToSend(owner, format);
  if (action !== 'close') return { action };
  const code = wholeNumberMember(owner, format, 'code', 65_535) ?? 1000;
  // GRIP lets every code through; codes that no endpoint may send would make clients fail the connection.
  if (!isSendableCloseCode(code)) throw invalidValue(owner, 'code');
  const reason = closeReason(stringMember(owner, format, 'reason') ?? '');
  // Without a code a close frame has no place for a reason.
  return { action, code, reason: 'code' in format ? reason : '' };
}

/** @throws ForegateError `bad-request` */
export function parseStreamFormat(value: unknown): StreamFormat {
  const owner = "'http-stream'";
  const format = objectOf(owner, value);
  const action = actionOf(owner, format);
  // A refresh is accepted for streams and does nothing.
  if (action !== 'send') return { action: action === 'close' ? 'close' : 'hint' };
  const contentFilters = contentFiltersOf(owner, format);
  const content = contentOf(owner, format);
  if (content === undefined) throw withoutContent(owner);
  return contentFilters ? { action, content, contentFilters } : { action, content };
}

/** @throws ForegateError `bad-request` */
export function parseResponseFormat(value: unknown): ResponseFormat {
  const owner = "'http-response'";
  const format = objectOf(owner, value);
  const action = actionOf(owner, format);
  if (action !== 'send') return { action };
  const code = wholeNumberMember(owner, format, 'code', 999) ?? 200;
  const reason = reasonOf(owner, format);
  const headers = headersOf(owner, format);
  const contentFilters = contentFiltersOf(owner, format);
  const body = bodyOf(owner, format);
  return { action, code, ...(reason && { reason }), headers, body, ...(contentFilters && { contentFilters }) };
}

function objectOf(owner: string, value: unknown): JsonObject {
  if (isJsonObject(value)) return value;
  throw invalidFormat(`${owner} is not an object`);
}

function actionOf(owner: string, format: JsonObject): 'send' | 'close' | 'refresh' | 'hint' {
  const action = stringMember(owner, format, 'action') ?? 'send';
  if (action === 'send' || action === 'close' || action === 'refresh' || action === 'hint') return action;
  throw invalidFormat('');
}

function messageToSend(owner: string, format: JsonObject): MessageFormat {
  const stated = messageTypeOf(owner, format);
  const contentFilters = contentFiltersOf(owner, format);
  const content = contentOf(owner, format);
  if (content === undefined && stated !== 'ping' && stated !== 'pong') throw withoutContent(owner);
  const inBase64 = format['content-bin'] !== undefined;
  const type = stated ?? (inBase64 ? 'binary' : 'text');
  if (content && !fitsFrame(type, content)) throw invalidValue(owner, inBase64 ? 'content-bin' : 'content');
  const message = { action: 'send', type, content: content ?? Buffer.alloc(0) } as const;
  return contentFilters ? { ...message, contentFilters } : message;
}

function messageTypeOf(owner: string, format: JsonObject): 'text' | 'binary' | 'ping' | 'pong' | undefined {
  const type = stringMember(owner, format, 'type');
  if (type === undefined || type === 'text' || type === 'binary' || type === 'ping' || type === 'pong') return type;
  throw invalidFormat(`${owner} contains 'type' with unknown value`);
}

/** False for content that a WebSocket client would have to answer with the end of the connection. */
function fitsFrame(type: 'text' | 'binary' | 'ping' | 'pong', content: Buffer): boolean {
  if (type === 'text') return isUtf8(content);
  return type === 'binary' || content.length <= controlFrameBytes;
}

function contentOf(owner: string, format: JsonObject): Buffer | undefined {
  return base64Member(owner, format, 'content-bin') ?? textMember(owner, format, 'content');
}

function bodyOf(owner: string, format: JsonObject): (ResponseFormat & { action: 'send' })['body'] {
  const bytes = base64Member(owner, format, 'body-bin') ?? textMember(owner, format, 'body');
  if (bytes) return { kind: 'bytes', bytes };
  const patch = listMember(owner, format, 'body-patch');
  if (!patch) throw invalidFormat(`${owner} does not contain 'body', 'body-bin', or 'body-patch'`);
  if (isDeeperThan(patchDepthMax, patch)) throw invalidValue(owner, 'body-patch');
  return { kind: 'patch', patch };
}

function textMember(owner: string, format: JsonObject, name: string): Buffer | undefined {
  if (Buffer.isBuffer(format[name])) return format[name];
  const text = stringMember(owner, format, name);
  return text === undefined ? undefined : Buffer.from(text);
}

function withoutContent(owner: string): Error {
  return invalidFormat(`${owner} does not contain 'content' or 'content-bin'`);
}

function contentFiltersOf(owner: string, format: JsonObject): readonly string[] | undefined {
  const list = listMember(owner, format, 'content-filters');
  return list?.map((filter) => {
    if (typeof filter !== 'string') throw invalidFormat('content-filters contains element with wrong type');
    return filter;
  });
}

function reasonOf(owner: string, format: JsonObject): string | undefined {
  const reason = onWire(stringMember(owner, format, 'reason') ?? '');
  if (!isHeaderValue(reason)) throw invalidValue(owner, 'reason');
  return reason === '' ? undefined : reason;
}

function headersOf(owner: string, format: JsonObject): HeaderList {
  const headers = format['headers'];
  if (headers === undefined) return [];
  if (Array.isArray(headers)) return headers.flatMap(headerOfList);
  if (isJsonObject(headers)) return Object.entries(headers).flatMap(headerOfObject);
  throw wrongType(owner, 'headers');
}

function headerOfList(header: unknown): [name: string, value: string] {
  if (!Array.isArray(header)) throw invalidFormat('headers contains element with wrong type');
  if (header.length !== 2) throw invalidFormat('headers contains list with wrong number of elements');
  const [name, value]: readonly unknown[] = header;
  if (typeof name !== 'string' || !isHeaderName(name)) throw invalidFormat('header contains name element with wrong type');
  const bytes = typeof value === 'string' ? onWire(value) : undefined;
  if (bytes === undefined || !isHeaderValue(bytes)) throw invalidFormat('header contains value element with wrong type');
  return [name, bytes];
}

function headerOfObject([name, value]: readonly [name: string, value: unknown]): [name: string, value: string] {
  const bytes = typeof value === 'string' ? onWire(value) : undefined;
  if (bytes === undefined || !isHeaderName(name) || !isHeaderValue(bytes))
    throw invalidFormat(`headers contains '${name}' with wrong type`);
  return [name, bytes];
}

/** UTF-8 as the Latin-1 text that header lists hold. */
function onWire(text: string): string {
  return Buffer.from(text).toString('latin1');
}

function isDeeperThan(levels: number, value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (levels === 0) return true;
  return Object.values(value).some((member) => isDeeperThan(levels - 1, member));
}

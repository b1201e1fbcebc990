/** GRIP instructions in the header fields of a reply, and what of such a reply goes to the client (GRIP 4.1, 4.2, 4.4). */
import { header, headerValues, isHeaderValue, withoutHeaders, type HeaderList } from '../core/headers.ts';
import type { Hold, Instruct, Link, ReplyHead, StreamKeepAlive } from '../core/hold.ts';
import type { Membership } from '../core/instruction.ts';
import { limits } from '../core/limits.ts';
import type { Metadata } from '../core/session.ts';
import {
  readElement,
  readLinks,
  readList,
  readPairs,
  trimBlanks,
  type HeaderElement,
  type Parameter,
} from './header-elements.ts';
import {
  badInstruct,
  isFinalStatus,
  keepAliveTimeoutMs,
  membership,
  metadata,
  onWire,
  reasonPhrase,
  responseTimeoutMs,
  wholeNumber,
} from './instruct-values.ts';
import { mediaType } from './websocket-over-http.ts';

export const instructMediaType = 'application/grip-instruct';

/** True for a reply that is meant for Foregate: any `Grip-*` field, or an instruct document. */
export function isInstruct(headers: HeaderList): boolean {
  for (let i = 0; i < headers.length; i += 2) if (isGrip((headers[i] ?? '').toLowerCase())) return true;
  return hasDocument(headers);
}

/** True for a reply whose body is an instruct document ({@link readInstructDocument} reads it). */
export function hasDocument(headers: HeaderList): boolean {
  const type = header(headers, 'content-type');
  return type !== undefined && mediaType(type) === instructMediaType;
}

/**
 * Reads instructions that stand in the header fields alone: the reply's own body goes to the client.
 * @throws ForegateError `bad-reply` with GRIP's own words for what is wrong
 */
export function readInstruct(reply: ReplyHead, channelPrefix: string): Instruct {
  const grip = readGripFields(reply.headers, channelPrefix);
  return { head: clientHead(reply, grip), body: undefined, hold: holdOf(grip) };
}

/** What the `Grip-*` fields of a reply say; undefined or empty where they are silent. */
export interface GripFields {
  readonly mode: 'response' | 'stream' | undefined;
  readonly channels: readonly Membership[];
  readonly meta: Metadata;
  readonly timeoutMs: number | undefined;
  readonly keepAlive: StreamKeepAlive | undefined;
  readonly next: Link | undefined;
  readonly gone: string | undefined;
  readonly status: Pick<ReplyHead, 'status' | 'reason'> | undefined;
  /** Names in lower case; undefined: all fields go to the client. */
  readonly exposed: ReadonlySet<string> | undefined;
}

/** @throws ForegateError `bad-reply` */
export function readGripFields(headers: HeaderList, channelPrefix: string): GripFields {
  return {
    mode: modeOf(header(headers, 'grip-hold')),
    channels: channelsOf(headerValues(headers, 'grip-channel').flatMap(channelElements), channelPrefix),
    timeoutMs: timeoutOf(header(headers, 'grip-timeout')),
    keepAlive: keepAliveOf(header(headers, 'grip-keep-alive')),
    meta: metaOf(headerValues(headers, 'grip-set-meta')),
    status: statusOf(header(headers, 'grip-status')),
    ...linksOf(headerValues(headers, 'grip-link').flatMap(linkElements)),
    exposed: exposedOf(headerValues(headers, 'grip-expose-headers')),
  };
}

/** The hold that fields ask for, with GRIP's defaults. */
export function holdOf({ mode, channels, meta, timeoutMs, keepAlive, next, gone }: GripFields): Hold {
  return {
    mode: mode ?? 'none',
    channels: channels.slice(0, limits.subscriptions),
    meta,
    timeoutMs: timeoutMs ?? responseTimeoutMs(undefined),
    ...(keepAlive && mode === 'stream' && { keepAlive }),
    ...(next && { next }),
    ...(gone !== undefined && { gone }),
  };
}

/** The field that tells a backend what the client has of a channel. Undefined for an id that no header field can carry. */
export function gripLast(channel: string, id: string): string | undefined {
  const value = `${onWire(channel)}; last-id=${parameterValue(onWire(id))}`;
  return isHeaderValue(value) ? value : undefined;
}

/** A copy without `Grip-*`, whatever the names. */
export function withoutGrip(headers: HeaderList): HeaderList {
  return withoutHeaders(headers, isGrip);
}

/** Only the fields that are exposed, and those that say how the bytes of the body are to be read. */
export function exposedOnly(headers: HeaderList, exposed: ReadonlySet<string> | undefined): HeaderList {
  if (exposed === undefined) return headers;
  return withoutHeaders(headers, (name) => !exposed.has(name) && name !== 'content-length' && name !== 'content-encoding');
}

/** Names of `Grip-Expose-Headers` in lower case, or undefined without such a field. */
export function exposedOf(values: readonly string[]): ReadonlySet<string> | undefined {
  if (values.length === 0) return undefined;
  return new Set(values.flatMap((value) => value.split(',')).map((name) => name.trim().toLowerCase()));
}

function isGrip(lowerName: string): boolean {
  return lowerName.startsWith('grip-');
}

function clientHead({ status, reason, headers }: ReplyHead, grip: GripFields): ReplyHead {
  return { ...(grip.status ?? { status, reason }), headers: exposedOnly(withoutGrip(headers), grip.exposed) };
}

function modeOf(field: string | undefined): GripFields['mode'] {
  if (field === undefined || field === 'response' || field === 'stream') return field;
  throw badInstruct("Grip-Hold must be set to either 'response' or 'stream'");
}

function channelElements(field: string): HeaderElement[] {
  const elements = readList(field);
  if (elements === undefined) throw badInstruct('failed to parse Grip-Channel');
  return elements;
}

function channelsOf(elements: readonly HeaderElement[], prefix: string): Membership[] {
  return elements.slice(0, limits.subscriptions).map(({ value, parameters }) => {
    const filters = parameters.filter(({ name }) => name === 'filter').map((filter) => filter.value);
    return membership(value, filters, lastOf(parameters, 'prev-id'), prefix);
  });
}

function lastOf(parameters: readonly Parameter[], name: string): string | undefined {
  return parameters.findLast((parameter) => parameter.name === name)?.value;
}

function timeoutOf(field: string | undefined): number | undefined {
  if (field === undefined) return undefined;
  const seconds = wholeNumber(field);
  if (seconds === undefined) throw badInstruct('failed to parse Grip-Timeout');
  if (seconds < 0) throw badInstruct('Grip-Timeout has invalid value');
  return responseTimeoutMs(seconds);
}

function keepAliveOf(field: string | undefined): StreamKeepAlive | undefined {
  if (field === undefined) return undefined;
  const end = field.indexOf(';');
  // The data may be bytes that are no text.
  const data = trimBlanks(end < 0 ? field : field.slice(0, end));
  if (data === '') throw badInstruct('Grip-Keep-Alive cannot be empty');
  const parameters = end < 0 ? [] : (readElement(field.slice(end))?.parameters ?? []);
  const mode = lastOf(parameters, 'mode') ?? 'idle';
  if (mode !== 'idle' && mode !== 'interval') throw badInstruct(`no such Grip-Keep-Alive mode '${mode}'`);
  const timeoutMs = keepAliveMs(lastOf(parameters, 'timeout'));
  return { data: decodeData(data, lastOf(parameters, 'format') ?? 'raw'), mode, timeoutMs };
}

function keepAliveMs(text: string | undefined): number {
  if (text === undefined) return keepAliveTimeoutMs(undefined);
  const seconds = wholeNumber(text);
  if (seconds === undefined) throw badInstruct('failed to parse Grip-Keep-Alive timeout value');
  if (seconds < 0) throw badInstruct('Grip-Keep-Alive timeout has invalid value');
  return keepAliveTimeoutMs(seconds);
}

function decodeData(data: string, format: string): Buffer {
  switch (format) {
    case 'raw':
      return Buffer.from(data, 'latin1');
    case 'cstring':
      return decodeCString(data);
    case 'base64':
      return Buffer.from(data, 'base64');
    default:
      throw badInstruct(`no such Grip-Keep-Alive format '${format}'`);
  }
}

/** `\\`, `\r`, `\n` and `\xHH`; any other escape disappears with its character. */
function decodeCString(data: string): Buffer {
  const text = data.replaceAll(/\\(?:x([0-9A-Fa-f]{2})|([^x])|x?)/g, (_, hex?: string, escaped?: string) => {
    if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
    if (escaped === undefined) throw badInstruct('failed to parse Grip-Keep-Alive cstring format');
    return cStringEscapes[escaped] ?? '';
  });
  return Buffer.from(text, 'latin1');
}

const cStringEscapes: Readonly<Record<string, string>> = { '\\': '\\', r: '\r', n: '\n' };

function metaOf(values: readonly string[]): Metadata {
  return metadata(values.flatMap(metaItems));
}

function metaItems(field: string): (readonly [name: string, value: string])[] {
  const pairs = readPairs(field)?.filter(({ name, value }) => name !== '' || value !== '') ?? [];
  if (pairs.length === 0 || pairs.some(({ name }) => name === '')) throw badInstruct('Grip-Set-Meta cannot be empty');
  return pairs.map(({ name, value }) => [name, value]);
}

function statusOf(field: string | undefined): GripFields['status'] {
  if (field === undefined) return undefined;
  const [, code, reason = ''] = /^\s*(\d{1,3})(?:\s+(.*))?$/.exec(field) ?? [];
  const status = Number(code);
  if (!isFinalStatus(status)) throw badInstruct('Grip-Status contains invalid status code');
  return { status, reason: reason.trim() || reasonPhrase(status) };
}

function linkElements(field: string): HeaderElement[] {
  const elements = readLinks(field);
  if (elements === undefined) throw badInstruct('failed to parse Grip-Link value');
  return elements;
}

/** Links without parameters are ignored; of several with the same relation the last counts. */
function linksOf(elements: readonly HeaderElement[]): Pick<GripFields, 'next' | 'gone'> {
  const links = elements.filter(({ parameters }) => parameters.length > 0).map(linkOf);
  return {
    next: links.findLast(({ rel }) => rel === 'next')?.link,
    gone: links.findLast(({ rel }) => rel === 'gone')?.link.uri,
  };
}

function linkOf({ value, parameters }: HeaderElement): { rel: string | undefined; link: Link } {
  const uri = /^<(.+)>$/.exec(value)?.[1];
  if (uri === undefined) throw badInstruct('failed to parse Grip-Link value');
  // It is resolved elsewhere: a URI is only what can be.
  if (/[\s<>]/.test(uri) || !URL.canParse(uri, 'http://localhost/')) throw badInstruct('Grip-Link contains invalid link');
  return {
    rel: lastOf(parameters, 'rel'),
    link: { uri: uri.replaceAll(/[^\x21-\x7e]+/g, encodeURIComponent), timeoutMs: linkMs(lastOf(parameters, 'timeout')) },
  };
}

/** Milliseconds after which a link is followed; below one second acts as one. Default two minutes. */
function linkMs(text: string | undefined): number {
  if (text === undefined) return 120_000;
  const seconds = wholeNumber(text);
  if (seconds === undefined) throw badInstruct('failed to parse Grip-Link timeout value');
  if (seconds < 0) throw badInstruct('Grip-Link timeout has invalid value');
  return Math.max(seconds * 1000, 1000);
}

/** In quotes where it has characters that would end it. */
function parameterValue(value: string): string {
  return /^[^\s";,\\]+$/.test(value) ? value : `"${value.replaceAll(/["\\]/g, String.raw`\$&`)}"`;
}

/** GRIP instructions as a JSON document, together with those in the header fields of its reply (GRIP 4.3, 4.4). */
import { isUtf8 } from 'node:buffer';
import type { Reply } from '../core/exchange.ts';
import type { HeaderList } from '../core/headers.ts';
import type { Instruct, ReplyHead, StreamKeepAlive } from '../core/hold.ts';
import type { Membership } from '../core/instruction.ts';
import { holdOf, readGripFields, withoutGrip, type GripFields } from './grip-headers.ts';
import {
  badInstruct,
  headerPair,
  isFinalStatus,
  keepAliveTimeoutMs,
  membership,
  metadata,
  reasonPhrase,
  responseTimeoutMs,
  wholeNumber,
} from './instruct-values.ts';
import { isJsonObject, type JsonObject } from './json-members.ts';

/**
 * Reads an instruct document. It wins where it and the fields say the same thing; channels add up. A document with neither a hold
 * nor a response is an empty answer with 200.
 * @throws ForegateError `bad-reply` with GRIP's own words for what is wrong
 */
export function readInstructDocument(reply: Reply, channelPrefix: string): Instruct {
  const fields = readGripFields(reply.headers, channelPrefix);
  if (reply.status !== 200) throw badInstruct('response code for application/grip-instruct content must be 200');
  const document = parse(reply.body);
  if (!isJsonObject(document)) throw badInstruct('instruct must be an object');
  const hold = objectMember('instruct', document, 'hold');
  const response = objectMember('instruct', document, 'response') ?? {};
  return {
    head: headOf(response, fields),
    body: contentOf('response', response, 'body') ?? Buffer.alloc(0),
    hold: holdOf(hold === undefined ? fields : withHold(fields, hold, channelPrefix)),
  };
}

function parse(body: Buffer): unknown {
  try {
    if (isUtf8(body)) return JSON.parse(body.toString());
  } catch {
    // What JSON.parse says quotes the body, which belongs in no log.
  }
  throw badInstruct('failed to parse application/grip-instruct content as JSON');
}

function withHold(fields: GripFields, hold: JsonObject, channelPrefix: string): GripFields {
  const mode = modeOf(hold);
  const seconds = secondsOf('hold', hold);
  return {
    ...fields,
    mode,
    channels: [...fields.channels, ...channelsOf(hold, channelPrefix)],
    timeoutMs: seconds === undefined ? fields.timeoutMs : responseTimeoutMs(seconds),
    keepAlive: keepAliveOf(hold) ?? fields.keepAlive,
    meta: metadata([...fields.meta, ...metaOf(hold)]),
  };
}

function modeOf(hold: JsonObject): 'response' | 'stream' {
  const mode = stringMember('hold', hold, 'mode') ?? 'response';
  if (mode === 'response' || mode === 'stream') return mode;
  throw badInstruct("hold 'mode' must be set to either 'response' or 'stream'");
}

function channelsOf(hold: JsonObject, channelPrefix: string): Membership[] {
  const channels = required('hold', 'channels', listMember('hold', hold, 'channels'));
  return channels.map((channel) => {
    if (!isJsonObject(channel)) throw badInstruct('channel is not an object');
    const name = required('channel', 'name', stringMember('channel', channel, 'name'));
    if (name === '') throw badInstruct("channel contains 'name' with invalid value");
    return membership(name, filtersOf(channel), stringMember('channel', channel, 'prev-id'), channelPrefix);
  });
}

function filtersOf(channel: JsonObject): string[] {
  const filters = listMember('channel', channel, 'filters') ?? [];
  if (!filters.every((filter) => typeof filter === 'string')) throw badInstruct("channel contains 'filters' with wrong type");
  return [...filters];
}

/** `mode` is ours: without it a keep-alive waits for silence, as in the header form. */
function keepAliveOf(hold: JsonObject): StreamKeepAlive | undefined {
  const keepAlive = objectMember('hold', hold, 'keep-alive');
  if (keepAlive === undefined) return undefined;
  const data = required('keep-alive', 'content', contentOf('keep-alive', keepAlive, 'content'));
  const mode = stringMember('keep-alive', keepAlive, 'mode') ?? 'idle';
  if (mode !== 'idle' && mode !== 'interval') throw invalidValue('keep-alive', 'mode');
  return { data, mode, timeoutMs: keepAliveTimeoutMs(secondsOf('keep-alive', keepAlive)) };
}

function secondsOf(owner: string, object: JsonObject): number | undefined {
  const seconds = numberMember(owner, object, 'timeout');
  if (seconds !== undefined && seconds < 0) throw invalidValue(owner, 'timeout');
  return seconds;
}

function metaOf(hold: JsonObject): [name: string, value: string][] {
  const meta = objectMember('hold', hold, 'meta') ?? {};
  return Object.entries(meta).map(([name, value]) => {
    if (typeof value !== 'string') throw wrongType("'meta'", name);
    return [name, value];
  });
}

function headOf(response: JsonObject, fields: GripFields): ReplyHead {
  const code = numberMember('response', response, 'code');
  if (code !== undefined && !isFinalStatus(code)) throw invalidValue('response', 'code');
  const status = code ?? fields.status?.status ?? 200;
  const stated = stringMember('response', response, 'reason');
  const reason = stated === undefined ? reasonPhrase(status) : headerPair('reason', stated)?.[1];
  if (reason === undefined) throw invalidValue('response', 'reason');
  return { status, reason, headers: withoutGrip(headersOf(response)) };
}

function headersOf(response: JsonObject): HeaderList {
  const { headers } = response;
  if (headers === undefined) return [];
  if (Array.isArray(headers)) return headers.flatMap(pairOfList);
  if (isJsonObject(headers)) return Object.entries(headers).flatMap(pairOfObject);
  throw wrongType('response', 'headers');
}

function pairOfList(element: unknown): readonly [name: string, value: string] {
  if (!Array.isArray(element)) throw badInstruct('headers contains element with wrong type');
  if (element.length !== 2) throw badInstruct('headers contains list with wrong number of elements');
  const [name, value]: readonly unknown[] = element;
  if (typeof name !== 'string' || headerPair(name, '') === undefined)
    throw badInstruct('header contains name element with wrong type');
  const pair = typeof value === 'string' ? headerPair(name, value) : undefined;
  if (pair === undefined) throw badInstruct('header contains value element with wrong type');
  return pair;
}

function pairOfObject([name, value]: readonly [name: string, value: unknown]): readonly [name: string, value: string] {
  const pair = typeof value === 'string' ? headerPair(name, value) : undefined;
  if (pair === undefined) throw wrongType('headers', name);
  return pair;
}

/** The member `<name>-bin`, in base64, or else the member itself. */
function contentOf(owner: string, object: JsonObject, name: string): Buffer | undefined {
  const encoded = stringMember(owner, object, `${name}-bin`);
  const text = stringMember(owner, object, name);
  if (encoded === undefined) return text === undefined ? undefined : Buffer.from(text);
  const bytes = Buffer.from(encoded, 'base64');
  // Node's decoder skips what it does not know; encoding again shows whether there was anything.
  if (bytes.toString('base64') !== encoded) throw wrongType(owner, `${name}-bin`);
  return bytes;
}

function stringMember(owner: string, object: JsonObject, name: string): string | undefined {
  return member(owner, object, name, (value) => typeof value === 'string');
}

function objectMember(owner: string, object: JsonObject, name: string): JsonObject | undefined {
  return member(owner, object, name, isJsonObject);
}

function listMember(owner: string, object: JsonObject, name: string): readonly unknown[] | undefined {
  return member(owner, object, name, (value): value is readonly unknown[] => Array.isArray(value));
}

/** A whole number, also written as a string: client libraries send codes that way. */
function numberMember(owner: string, object: JsonObject, name: string): number | undefined {
  const value = object[name];
  const number = typeof value === 'number' || typeof value === 'string' ? wholeNumber(String(value)) : undefined;
  if (value !== undefined && number === undefined) throw wrongType(owner, name);
  return number;
}

function member<T>(owner: string, object: JsonObject, name: string, is: (value: unknown) => value is T): T | undefined {
  const value = object[name];
  if (value === undefined || is(value)) return value;
  throw wrongType(owner, name);
}

function required<T>(owner: string, name: string, value: T | undefined): T {
  if (value === undefined) throw badInstruct(`${owner} does not contain '${name}'`);
  return value;
}

function wrongType(owner: string, name: string): Error {
  return badInstruct(`${owner} contains '${name}' with wrong type`);
}

function invalidValue(owner: string, name: string): Error {
  return badInstruct(`${owner} contains '${name}' with invalid value`);
}

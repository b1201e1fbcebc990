/**
 * GRIP inside a WebSocket: the extension that turns it on, and what one message of the backend means then (GRIP 3.1-3.3).
 */
import type { Message } from '../core/event.ts';
import { headerValues, type HeaderList } from '../core/headers.ts';
import { isChannelName, type ChannelName } from '../core/ids.ts';
import type { GripSocket, Instruction, KeepAlive, Membership } from '../core/instruction.ts';
import { limits } from '../core/limits.ts';
import { isLastId, isLinkUri } from './last-ids.ts';
import { isSendable } from './websocket-frame.ts';

const control = Buffer.from('c:');

/** Answers that were read before: thousands of sessions share the few that backends give. */
const known = new Map<string, GripSocket | undefined>();
const knownMax = 100;

/** Reads `Sec-WebSocket-Extensions`: `grip; message-prefix="m:"`. Undefined where GRIP is not among them. */
export function gripExtension(field: string | undefined): GripSocket | undefined {
  if (field === undefined) return undefined;
  if (known.has(field)) return known.get(field);
  const grip = readExtension(field);
  if (known.size < knownMax) known.set(field, grip);
  return grip;
}

/** True for a handshake that offers GRIP, as those of gateways do. */
export function offersGrip(headers: HeaderList): boolean {
  return readExtension(headerValues(headers, 'sec-websocket-extensions').join(',')) !== undefined;
}

/** What {@link gripExtension} reads. */
export function formatExtension({ prefix }: GripSocket): string {
  return `grip; message-prefix="${prefix.toString().replaceAll(/["\\]/g, '\\$&')}"`;
}

function readExtension(field: string): GripSocket | undefined {
  // Commas inside quotes do not separate.
  const extension = field.match(/(?:"(?:[^"\\]|\\.)*"|[^,])+/g)?.find((item) => /^\s*grip\s*(;|$)/i.test(item));
  if (extension === undefined) return undefined;
  const [, quoted, bare] = /;\s*message-prefix\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))/i.exec(extension) ?? [];
  return { prefix: Buffer.from(quoted?.replaceAll(/\\(.)/g, '$1') ?? bare ?? 'm:') };
}

/** A message for the client, an instruction, or nothing: what is neither is dropped without a word. */
export function readGripMessage(message: Message, grip: GripSocket, channelPrefix: string): Message | Instruction | undefined {
  if (message.kind === 'ping' || message.kind === 'pong') return message;
  if (message.kind === 'text' && startsWith(message.data, control)) return readControl(message.data, channelPrefix);
  if (grip.prefix.length === 0) return message;
  if (!startsWith(message.data, grip.prefix)) return undefined;
  return { kind: message.kind, data: message.data.subarray(grip.prefix.length) };
}

function startsWith(data: Buffer, prefix: Buffer): boolean {
  if (data.length < prefix.length) return false;
  for (let i = 0; i < prefix.length; i += 1) if (data[i] !== prefix[i]) return false;
  return true;
}

function readControl(data: Buffer, channelPrefix: string): Instruction | undefined {
  if (data.length > limits.controlMessageBytes) return undefined;
  const fields = parseObject(data.toString('utf8', control.length));
  if (fields === undefined) return undefined;
  switch (fields['type']) {
    case 'subscribe':
      return subscribe(fields, channelPrefix);
    case 'unsubscribe': {
      const channel = channelOf(fields, channelPrefix);
      return channel && { kind: 'unsubscribe', channel };
    }
    case 'set-meta':
      return setMeta(fields);
    case 'keep-alive':
      return keepAlive(fields);
    case 'send-delayed':
      return sendDelayed(fields);
    case 'flush-delayed':
      return { kind: 'flush-delayed' };
    case 'detach':
      return { kind: 'detach' };
    default:
      return undefined;
  }
}

type Fields = Readonly<Record<string, unknown>>;

function parseObject(text: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined;
  } catch {
    return undefined; // GRIP 3.3: invalid JSON is ignored without any reply.
  }
}

function channelOf(fields: Fields, channelPrefix: string): ChannelName | undefined {
  const name = fields['channel'];
  const channel = typeof name === 'string' && name !== '' ? channelPrefix + name : '';
  return isChannelName(channel) ? channel : undefined;
}

function subscribe(fields: Fields, channelPrefix: string): Instruction | undefined {
  const channel = channelOf(fields, channelPrefix);
  const filters = fields['filters'] ?? [];
  if (channel === undefined || !Array.isArray(filters) || !filters.every((filter) => typeof filter === 'string'))
    return undefined;
  const recovery = recoveryOf(fields);
  return recovery && { kind: 'subscribe', channel, filters, ...recovery };
}

/** Foregate's own: from which id on gaps are noticed, and which link brings what is between. Undefined for what cannot be used. */
function recoveryOf({ 'prev-id': previousId, next }: Fields): Pick<Membership, 'previousId' | 'next'> | undefined {
  if (previousId !== undefined && !isLastId(previousId)) return undefined;
  if (next !== undefined && !isLinkUri(next)) return undefined;
  return { ...(previousId !== undefined && { previousId }), ...(next !== undefined && { next }) };
}

function setMeta(fields: Fields): Instruction | undefined {
  const { name, value } = fields;
  if (typeof name !== 'string' || name === '') return undefined;
  if (value !== undefined && (typeof value !== 'string' || value.length > limits.metadataBytes)) return undefined;
  return { kind: 'set-meta', name, value };
}

function keepAlive(fields: Fields): Instruction | undefined {
  const seconds = timeoutOf(fields, 55);
  if (seconds === undefined) return undefined;
  if (fields['content'] === undefined && fields['content-bin'] === undefined) return { kind: 'keep-alive', keepAlive: undefined };
  const message = frameOf(fields);
  if (message === undefined) return undefined;
  const mode: KeepAlive['mode'] = fields['mode'] === 'interval' ? 'interval' : 'idle';
  return { kind: 'keep-alive', keepAlive: { message, mode, timeoutMs: (seconds || 55) * 1000 } };
}

function sendDelayed(fields: Fields): Instruction | undefined {
  const seconds = timeoutOf(fields, 1);
  const message = frameOf(fields);
  if (seconds === undefined || message === undefined) return undefined;
  return { kind: 'send-delayed', message, delayMs: seconds * 1000 };
}

/** Seconds; undefined for anything but an integer from 0 to a day. */
function timeoutOf(fields: Fields, fallback: number): number | undefined {
  const timeout = fields['timeout'] ?? fallback;
  return typeof timeout === 'number' && Number.isInteger(timeout) && timeout >= 0 && timeout <= 86_400 ? timeout : undefined;
}

/** The frame of a `keep-alive` or `send-delayed`; `content-bin` wins and does not change the type, which is text. */
function frameOf(fields: Fields): Message | undefined {
  const type = fields['message-type'] ?? 'text';
  if (type !== 'text' && type !== 'binary' && type !== 'ping' && type !== 'pong') return undefined;
  const data = contentOf(fields);
  const message: Message | undefined = data && { kind: type, data };
  return message && isSendable(message) ? message : undefined;
}

function contentOf(fields: Fields): Buffer | undefined {
  const encoded = fields['content-bin'];
  if (encoded !== undefined) return typeof encoded === 'string' ? Buffer.from(encoded, 'base64') : undefined;
  const content = fields['content'] ?? '';
  return typeof content === 'string' ? Buffer.from(content) : undefined;
}

/**
 * SockJS frames (protocol 0.3.3): what a WebSocket frame, a line of an answer or a callback carries, without knowing which. Text
 * travels as JSON strings; other than UTF-8 has no place in it.
 */
import { isUtf8 } from 'node:buffer';
import type { Message } from '../core/event.ts';
import { limits } from '../core/limits.ts';
import type { Publication, Shape } from '../core/publication.ts';
import { messageShape } from './message-shape.ts';
import { encodeFrames } from './websocket-frame.ts';

export const openFrame = 'o';
export const heartbeatFrame = 'h';

export function closeFrame(code: number, reason: string): string {
  return `c[${code},${quote(reason)}]`;
}

/** A message as an element of an array, with the comma behind it; undefined for what SockJS cannot carry. */
export function element({ kind, data }: Message): Buffer | undefined {
  if ((kind !== 'text' && kind !== 'binary') || !isUtf8(data)) return undefined;
  return Buffer.from(`${quote(data.toString())},`);
}

/** The frame of elements behind one another. */
export function arrayFrame(elements: Buffer): string {
  return `a[${elements.toString('utf8', 0, elements.length - 1)}]`;
}

/** As an element of a WebSocket: text, and pings and pongs as they are. */
export function webSocketMessage(message: Message): Message | undefined {
  if (message.kind === 'ping' || message.kind === 'pong') return message;
  const quoted = element(message);
  return quoted && frameMessage(arrayFrame(quoted));
}

export function frameMessage(frame: string): Message {
  return { kind: 'text', data: Buffer.from(frame) };
}

/** Of all SockJS sessions over WebSocket. */
export const sockJsFrames: Shape = {
  ...messageShape,
  encode(publication) {
    const message = sendMessage(publication);
    if (message === undefined) return undefined;
    if (message.kind === 'ping' || message.kind === 'pong') return messageShape.encode(publication);
    const framed = webSocketMessage(message);
    return framed && encodeFrames([framed]);
  },
};

/** Of all SockJS sessions that ask for what there is: elements, which an answer puts into one array. */
export const sockJsElements: Shape = {
  ...messageShape,
  encode(publication) {
    const message = sendMessage(publication);
    return message && element(message);
  },
};

function sendMessage({ formats: { message } }: Publication): Message | undefined {
  return message?.action === 'send' ? { kind: message.type, data: message.content } : undefined;
}

export type Payload =
  | { readonly kind: 'messages'; readonly messages: readonly Message[] }
  | { readonly kind: 'flaw'; readonly text: string }
  /** More messages than there may be. */
  | { readonly kind: 'flood' };

/** What a client sent: an array of strings. */
export function readPayload(text: string): Payload {
  if (text === '') return noPayload;
  const items = parsed(text);
  if (items === undefined) return { kind: 'flaw', text: 'Broken JSON encoding.' };
  if (!Array.isArray(items) || !items.every((item) => typeof item === 'string')) return noPayload;
  if (items.length > limits.sockJsMessages) return { kind: 'flood' };
  return { kind: 'messages', messages: items.map(frameMessage) };
}

const noPayload: Payload = { kind: 'flaw', text: 'Payload expected.' };

/** Undefined for what is no JSON. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A frame as the argument of a callback. */
export function callbackCall(callback: string, frame: string): string {
  return `/**/${callback}(${JSON.stringify(frame)});\r\n`;
}

function quote(text: string): string {
  const quoted = JSON.stringify(text);
  return fragile.test(quoted) ? quoted.replaceAll(fragileAll, escaped) : quoted;
}

/** Characters that some clients lose or change on the way (protocol, "server codec"). */
const fragile = /[\u200c-\u200f\u2028-\u202f\u2060-\u206f\ufff0-\uffff\ud800-\udfff]/;
const fragileAll = new RegExp(fragile.source, 'g');

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

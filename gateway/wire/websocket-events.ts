/**
 * The body of WebSocket-over-HTTP: framed events, `TEXT 5\r\nhello\r\n`, in both directions (GRIP 2.1). The reader is strict:
 * a bare LF, a length that is not hexadecimal, missing CRLF after the content and cut content are errors; a type it does not
 * know is skipped with its content.
 */
import { ForegateError } from '../core/errors.ts';
import { isMessage, type ClientEvent, type Close, type Message } from '../core/event.ts';

/** The media type of such a body. */
export const eventsMediaType = 'application/websocket-events';

const LF = 0x0a;
const SPACE = 0x20;
const CR = 0x0d;
/** What a head line can have, with room for types to come: `DISCONNECT`, a space, eight digits and CRLF are 21. */
const lineBytesMax = 64;

const names = {
  open: 'OPEN',
  text: 'TEXT',
  binary: 'BINARY',
  ping: 'PING',
  pong: 'PONG',
  close: 'CLOSE',
  disconnect: 'DISCONNECT',
} as const;

/** Writes events; a message without content keeps its length (`TEXT 0`), pings and the like are bare without content. */
export function encodeEvents(events: readonly ClientEvent[]): Buffer {
  const heads: string[] = [];
  let total = 0;
  for (const event of events) {
    const head = headOf(event);
    heads.push(head);
    total += head.length + contentLength(event);
  }
  const body = Buffer.allocUnsafe(total);
  let offset = 0;
  for (let i = 0; i < events.length; i += 1) {
    const event = events[i];
    const head = heads[i];
    if (event === undefined || head === undefined) continue;
    offset += body.write(head, offset, 'latin1');
    offset = writeContent(event, body, offset);
  }
  return body;
}

function headOf(event: ClientEvent): string {
  if (event.kind === 'close')
    return event.code === undefined ? 'CLOSE\r\n' : `CLOSE ${(2 + Buffer.byteLength(event.reason)).toString(16)}\r\n`;
  if (!isMessage(event)) return `${names[event.kind]}\r\n`;
  const bare = event.data.length === 0 && (event.kind === 'ping' || event.kind === 'pong');
  return bare ? `${names[event.kind]}\r\n` : `${names[event.kind]} ${event.data.length.toString(16)}\r\n`;
}

/** Octets after the head line: content and its CRLF. */
function contentLength(event: ClientEvent): number {
  if (event.kind === 'close') return event.code === undefined ? 0 : 4 + Buffer.byteLength(event.reason);
  if (!isMessage(event)) return 0;
  return event.data.length === 0 && (event.kind === 'ping' || event.kind === 'pong') ? 0 : event.data.length + 2;
}

function writeContent(event: ClientEvent, body: Buffer, offset: number): number {
  if (contentLength(event) === 0) return offset;
  let end = offset;
  if (event.kind === 'close') {
    end = body.writeUInt16BE(event.code ?? 0, end);
    end += body.write(event.reason, end);
  } else if (isMessage(event)) {
    end += event.data.copy(body, end);
  }
  body[end] = CR;
  body[end + 1] = LF;
  return end + 2;
}

/**
 * Reads a whole body.
 * @throws ForegateError `bad-reply` where it is not one.
 */
export function decodeEvents(body: Buffer): ClientEvent[] {
  const reader = new EventReader();
  const events = reader.push(body);
  reader.end();
  return events;
}

/** Reads a body in pieces of any size; the events are the same however it was cut. */
export class EventReader {
  #rest: Buffer = Buffer.alloc(0);

  /** The events that are whole by now. @throws ForegateError `bad-reply` */
  push(chunk: Buffer): ClientEvent[] {
    const body = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const events: ClientEvent[] = [];
    let offset = 0;
    while (offset < body.length) {
      const end = readEvent(body, offset, events);
      if (end === undefined) break;
      offset = end;
    }
    this.#rest = offset === 0 ? body : body.subarray(offset);
    return events;
  }

  /** @throws ForegateError `bad-reply` if an event was begun and not ended. */
  end(): void {
    if (this.#rest.length > 0) throw invalid('the last event is cut short');
  }
}

/** Reads one event into `events`; where it ends, or undefined if more bytes are needed. */
function readEvent(body: Buffer, start: number, events: ClientEvent[]): number | undefined {
  const cr = lineEnd(body, start);
  if (cr === undefined) return undefined;
  const space = spaceIn(body, start, cr);
  if (space < 0) {
    addEvent(events, body.toString('latin1', start, cr), noContent);
    return cr + 2;
  }
  const from = cr + 2;
  const to = from + readLength(body, space + 1, cr);
  if (to + 2 > body.length) return undefined;
  if (body[to] !== CR || body[to + 1] !== LF) throw invalid('content is not followed by CRLF');
  addEvent(events, body.toString('latin1', start, space), body.subarray(from, to));
  return to + 2;
}

/** Only the line is searched: in a body of lines without a space `indexOf` would look through the rest each time. */
function spaceIn(body: Buffer, from: number, to: number): number {
  for (let i = from; i < to; i += 1) if (body[i] === SPACE) return i;
  return -1;
}

/** Where the head line that begins at `start` has its CR, or undefined if more bytes are needed. */
function lineEnd(body: Buffer, start: number): number | undefined {
  const max = Math.min(body.length, start + lineBytesMax);
  for (let i = start; i < max; i += 1) {
    if (body[i] !== LF) continue;
    if (i === start || body[i - 1] !== CR) throw invalid('a line does not end in CRLF');
    return i - 1;
  }
  if (body.length - start >= lineBytesMax) throw invalid('a head line is too long');
  return undefined;
}

/** Hexadecimal digits by hand: a pattern and `parseInt` cost as much as the rest of the event. */
function readLength(body: Buffer, from: number, to: number): number {
  if (to - from < 1 || to - from > 8) throw invalid('a length is not hexadecimal');
  let length = 0;
  for (let i = from; i < to; i += 1) {
    const byte = body[i] ?? 0;
    const digit = byte <= 0x39 ? byte - 0x30 : (byte | 0x20) - 0x57;
    if (digit < 0 || digit > 15 || (byte > 0x39 && digit < 10)) throw invalid('a length is not hexadecimal');
    length = length * 16 + digit;
  }
  return length;
}

const noContent = Buffer.alloc(0);

function addEvent(events: ClientEvent[], type: string, content: Buffer): void {
  switch (type) {
    case 'TEXT':
      events.push(message('text', content));
      break;
    case 'BINARY':
      events.push(message('binary', content));
      break;
    case 'PING':
      events.push(message('ping', content));
      break;
    case 'PONG':
      events.push(message('pong', content));
      break;
    case 'CLOSE':
      events.push(close(content));
      break;
    case 'OPEN':
      events.push({ kind: 'open' });
      break;
    case 'DISCONNECT':
      events.push({ kind: 'disconnect' });
      break;
    default: // Skipped, content included: newer senders may say more.
  }
}

function message(kind: Message['kind'], data: Buffer): Message {
  return { kind, data };
}

/** Content of fewer than two bytes has no code. */
function close(content: Buffer): Close {
  if (content.length < 2) return { kind: 'close', reason: '' };
  return { kind: 'close', code: content.readUInt16BE(0), reason: content.toString('utf8', 2) };
}

function invalid(why: string): ForegateError {
  return new ForegateError('bad-reply', `The body is not valid ${eventsMediaType}: ${why}.`);
}

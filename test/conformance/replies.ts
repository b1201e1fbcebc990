/** How backends answer: events of WebSocket-over-HTTP, and holds of GRIP. */
import type { Answer, Reply } from './backend.ts';

/** An event of WebSocket-over-HTTP; the content one byte for each character. */
export function event(type: string, content?: string): string {
  return content === undefined ? `${type}\r\n` : `${type} ${content.length.toString(16)}\r\n${content}\r\n`;
}

/** The content of a CLOSE event. */
export function closing(code: number, reason = ''): string {
  return String.fromCharCode(code >> 8, code & 255) + reason;
}

/** A reply of WebSocket-over-HTTP. */
export function events(body = '', headers: Readonly<Record<string, string>> = {}): Reply {
  return { headers: { 'Content-Type': 'application/websocket-events', ...headers }, body };
}

/** Accepts OPEN, with more behind it; `then` answers everything else, with nothing to say unless given. */
export function accepting(
  { headers, more = '' }: { readonly headers?: Readonly<Record<string, string>>; readonly more?: string } = {},
  then: Answer = () => events(),
): Answer {
  return (request) => (request.body === 'OPEN\r\n' ? events(`OPEN\r\n${more}`, headers) : then(request));
}

export const grip = { 'Sec-WebSocket-Extensions': 'grip' };

/** A control message of GRIP, as an event. */
export function controlled(type: string, members: object = {}): string {
  return event('TEXT', `c:${JSON.stringify({ type, ...members })}`);
}

type Headers = Readonly<Record<string, string>>;

/** A reply that holds for one answer. */
export function held(channels: string, headers: Headers = {}, body = 'nothing\n'): Reply {
  return { headers: { 'Content-Type': 'text/plain', 'Grip-Hold': 'response', 'Grip-Channel': channels, ...headers }, body };
}

/** A reply that begins a stream. */
export function stream(channels: string, headers: Headers = {}, body = '[open]'): Reply {
  return { headers: { 'Content-Type': 'text/plain', 'Grip-Hold': 'stream', 'Grip-Channel': channels, ...headers }, body };
}

/** A reply with instructions as JSON. */
export function instruct(document: unknown, headers: Headers = {}): Reply {
  const body = typeof document === 'string' ? document : JSON.stringify(document);
  return { headers: { 'Content-Type': 'application/grip-instruct', ...headers }, body };
}

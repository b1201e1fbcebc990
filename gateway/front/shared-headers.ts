/**
 * Header fields of clients with equal texts kept once: a session keeps its handshake as long as it lives, and tens of thousands
 * say the same names, hosts and user agents.
 */
import type { HeaderList } from '../core/headers.ts';

/** Distinct texts that are kept; a full set begins anew. */
const textsMax = 4096;
/** A longer text is hardly ever said twice. */
const textLengthMax = 256;
/** Different for every client, or secret: not kept beyond the session. */
const unshared = /^(sec-websocket-key|sec-websocket-protocol|cookie|.*(auth|key|token|secret|session).*)$/i;

const texts = new Map<string, string>();

export function sharedHeaders(headers: HeaderList): HeaderList {
  const shared: string[] = [];
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = share(headers[i] ?? '');
    const value = headers[i + 1] ?? '';
    shared.push(name, unshared.test(name) ? value : share(value));
  }
  return shared.slice(); // Without the room that an array that grew has to spare.
}

function share(text: string): string {
  if (text.length > textLengthMax) return text;
  const known = texts.get(text);
  if (known !== undefined) return known;
  if (texts.size >= textsMax) texts.clear();
  texts.set(text, text);
  return text;
}

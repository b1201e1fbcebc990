/** The frame that tells a client of a message that was not taken, where a route or a policy says `answer`. */
import type { Message } from '../core/event.ts';
import type { Denial } from '../core/session.ts';

/** `{"type":"error","code":…,"detail":…,"retryAfterMs":…}`; the last only where a wait is known. Or the denial's own text. */
export function faultFrame({ code, detail, retryAfterMs, text }: Denial): Message {
  return { kind: 'text', data: Buffer.from(text ?? JSON.stringify({ type: 'error', code, detail, retryAfterMs })) };
}

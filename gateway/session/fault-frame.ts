/** The frame that tells a client of a message that was not taken, where a route or a policy says `answer`. */
import type { Message } from '../core/event.ts';
import type { Fault } from '../core/profile.ts';
import type { Denial } from '../core/session.ts';

/** `{"type":"error","code":…,"detail":…,"retryAfterMs":…}`; the last only where a wait is known. Or the denial's own text. */
export function faultFrame({ code, detail, retryAfterMs, text }: Denial): Message {
  return { kind: 'text', data: Buffer.from(text ?? JSON.stringify({ type: 'error', code, detail, retryAfterMs })) };
}

/** A route's own text with the fault in it: `{kind}`, `{code}`, `{detail}`, and `{wait}` in whole seconds, 0 where none is known. */
export function faultText(template: string, { kind, code, detail, retryAfterMs = 0 }: Fault): string {
  const values = { '{kind}': kind, '{code}': code, '{detail}': detail, '{wait}': String(Math.ceil(retryAfterMs / 1000)) };
  return template.replaceAll(/\{(?:kind|code|detail|wait)\}/g, (name) => values[name as keyof typeof values]);
}

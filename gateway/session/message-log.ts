/** Some messages of a route in the log, without what must not stand there: content is shown only where it could be looked through. */
import type { Message } from '../core/event.ts';
import type { Log } from '../core/log.ts';
import type { MessageLogTerms, Route } from '../core/route.ts';
import type { SessionId } from '../core/ids.ts';

/** Whose messages they are. */
interface Logged {
  readonly id: SessionId;
  readonly route: Route;
}

/** By chance, as often as the route says. */
export function sampleMessages(log: Log, { id, route }: Logged, direction: 'in' | 'out', messages: readonly Message[]): void {
  const terms = route.log?.messages;
  if (terms === undefined) return;
  for (const message of messages) {
    if (Math.random() >= terms.sample) continue;
    const content = contentOf(message, terms);
    log.info('message.sampled', {
      session: id,
      route: route.id,
      direction,
      kind: message.kind,
      bytes: message.data.length,
      ...(content !== undefined && { content }),
    });
  }
}

/** Undefined for what is not shown: binary content, and text that is no JSON where something may have to be hidden in it. */
export function contentOf({ kind, data }: Message, { bytes, redact }: MessageLogTerms): string | undefined {
  if (kind !== 'text' || bytes === 0) return undefined;
  const text = redact === undefined ? data.toString() : redacted(data, redact);
  return text === undefined ? undefined : beginning(text, bytes);
}

function redacted(data: Buffer, redact: (value: unknown) => unknown): string | undefined {
  try {
    const value: unknown = JSON.parse(data.toString());
    // A bare text or number has no name by which it could be known.
    return typeof value === 'object' && value !== null ? JSON.stringify(redact(value)) : undefined;
  } catch {
    return undefined; // No JSON.
  }
}

/** No half of a character at the end. */
function beginning(text: string, bytes: number): string {
  const whole = Buffer.from(text);
  return whole.length <= bytes ? text : new TextDecoder().decode(whole.subarray(0, bytes), { stream: true });
}

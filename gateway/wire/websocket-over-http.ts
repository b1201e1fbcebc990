/** The dialect WebSocket-over-HTTP: what a batch of events looks like as a request, and what its reply means (GRIP 2.2-2.4, 2.8). */
import type { Dialect } from '../core/dialect.ts';
import { ForegateError } from '../core/errors.ts';
import { contentBytes, isMessage, type ClientEvent } from '../core/event.ts';
import type { Batch, Decoded, Reply } from '../core/exchange.ts';
import {
  fields,
  header,
  headerValues,
  isHeaderName,
  isHeaderValue,
  isHopByHop,
  connectionOptions,
  type HeaderDraft,
  type HeaderList,
} from '../core/headers.ts';
import type { Accept, Step } from '../core/instruction.ts';
import { limits } from '../core/limits.ts';
import type { SessionView } from '../core/session.ts';
import { gripExtension } from './grip-socket.ts';
import { decodeEvents, encodeEvents, eventsMediaType } from './websocket-events.ts';

/** Below this an interval acts as this many seconds. */
const intervalSecondsMin = 20;
/** Three weeks: what a timer of Node can take. A longer one would fire at once. */
const intervalSecondsMax = 2_147_483;

export const webSocketOverHttp: Dialect = {
  name: 'websocket-over-http',

  speaks(reply: Reply): boolean {
    const type = header(reply.headers, 'content-type');
    return reply.status === 200 && type !== undefined && mediaType(type) === eventsMediaType;
  },

  encode(batch: Batch, session: SessionView) {
    const body = encodeEvents(batch.events);
    const headers: HeaderDraft = ['Accept', eventsMediaType, 'Content-Type', eventsMediaType, 'Connection-Id', session.id];
    if (batch.replayedBytes > 0) headers.push('Content-Bytes-Replayed', String(batch.replayedBytes));
    for (const [name, value] of session.state) headers.push(`Meta-${name}`, value);
    headers.push('Content-Length', String(body.length));
    return { method: 'POST', headers, body };
  },

  decode(reply: Reply, batch: Batch): Decoded {
    const remaining = notAccepted(header(reply.headers, 'content-bytes-accepted'), batch);
    const steps: Step[] = settings(reply.headers);
    const events = decodeEvents(reply.body);
    if (batch.events[0]?.kind === 'open') readOpening(reply, events, steps);
    else readEvents(events, steps);
    return { steps, remaining };
  },
};

/** The type without its parameters, in lower case. */
export function mediaType(contentType: string): string {
  const end = contentType.indexOf(';');
  return (end < 0 ? contentType : contentType.slice(0, end)).trim().toLowerCase();
}

/** What the header fields ask of Foregate: `Keep-Alive-Interval` and `Set-Meta-*`. */
function settings(headers: HeaderList): Step[] {
  const steps: Step[] = [];
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = (headers[i] ?? '').toLowerCase();
    const value = headers[i + 1] ?? '';
    if (name === 'keep-alive-interval') steps.push({ kind: 'ask-every', intervalMs: intervalMs(value) });
    else if (name.startsWith(setMeta)) steps.push(stateItem(name.slice(setMeta.length), value));
  }
  return steps;
}

const setMeta = 'set-meta-';

/** An empty value deletes. */
function stateItem(name: string, value: string): Step {
  if (!isHeaderName(name) || !isHeaderValue(value) || value.length > limits.metadataBytes) {
    throw badReply('Set-Meta has an item that is not valid');
  }
  return { kind: 'set-state', name, value: value === '' ? undefined : value };
}

/** Undefined turns keep-alives off: everything but a positive integer does. */
function intervalMs(value: string): number | undefined {
  if (!/^\d{1,9}$/.test(value.trim())) return undefined;
  const seconds = Number(value);
  return seconds > 0 ? Math.min(Math.max(seconds, intervalSecondsMin), intervalSecondsMax) * 1000 : undefined;
}

/** The reply to OPEN: accepted, or not yet (an interval and nothing else). */
function readOpening(reply: Reply, events: readonly ClientEvent[], steps: Step[]): void {
  const [first, ...rest] = events;
  if (first === undefined) {
    const asksAgain = steps.some((step) => step.kind === 'ask-every' && step.intervalMs !== undefined);
    if (!asksAgain) throw badReply('it neither accepts nor refuses the connection, nor sets Keep-Alive-Interval');
    return;
  }
  if (first.kind !== 'open') throw badReply('the first event is not OPEN');
  steps.push(acceptance(reply.headers));
  readEvents(rest, steps);
}

const ownFields: ReadonlySet<string> = new Set([
  'content-type',
  'content-length',
  'keep-alive-interval',
  'content-bytes-accepted',
  'sec-websocket-extensions',
  'sec-websocket-protocol',
  'sec-websocket-accept',
  'sec-websocket-version',
  'date',
]);

/** What the answer to a handshake means: its fields for the client, and whether GRIP is on. */
export function acceptance(headers: HeaderList): Accept {
  const named = connectionOptions(headers);
  const forClient: string[] = [];
  for (const [name, value] of fields(headers)) {
    const lowerName = name.toLowerCase();
    if (ownFields.has(lowerName) || isHopByHop(lowerName) || named.has(lowerName) || /^(set-meta|grip)-/.test(lowerName))
      continue;
    if (isHeaderName(name) && isHeaderValue(value)) forClient.push(name, value);
  }
  const subprotocol = header(headers, 'sec-websocket-protocol');
  const grip = gripExtension(headerValues(headers, 'sec-websocket-extensions').join(','));
  return { kind: 'accept', headers: forClient, ...(subprotocol && { subprotocol }), ...(grip && { grip }) };
}

function readEvents(events: readonly ClientEvent[], steps: Step[]): void {
  for (const event of events) {
    if (event.kind === 'open') throw badReply('OPEN is not allowed here');
    steps.push(event);
    if (event.kind === 'close' || event.kind === 'disconnect') return;
  }
}

/**
 * Partial acceptance: which events go again, the first perhaps cut at its front. Content counts, framing does not; messages
 * without content at the head of the rest have been accepted.
 */
function notAccepted(field: string | undefined, batch: Batch): readonly ClientEvent[] {
  if (field === undefined || !/^\d{1,15}$/.test(field.trim())) return [];
  const accepted = Number(field);
  const offered = batch.events.reduce((sum, event) => sum + contentBytes(event), 0);
  if (accepted > offered) throw badReply(`it accepts ${accepted} bytes of content where ${offered} were offered`);
  const remaining = after(accepted, batch.events);
  if (batch.more && remaining.length === batch.events.length && accepted === 0)
    throw badReply('it accepts nothing while more is waiting');
  if (remaining.length === 1 && remaining[0]?.kind === 'close' && accepted < offered)
    throw badReply('it accepts all messages but not the close');
  return remaining.every((event) => event.kind === 'close') ? [] : remaining;
}

function after(accepted: number, events: readonly ClientEvent[]): ClientEvent[] {
  let left = accepted;
  for (let i = 0; i < events.length; i += 1) {
    const event = events[i];
    if (event === undefined || event.kind === 'close') return events.slice(i);
    const bytes = contentBytes(event);
    if (bytes > left)
      return [isMessage(event) ? { kind: event.kind, data: event.data.subarray(left) } : event, ...events.slice(i + 1)];
    left -= bytes;
  }
  return [];
}

function badReply(why: string): ForegateError {
  return new ForegateError('bad-reply', `The reply is not valid: ${why}.`);
}

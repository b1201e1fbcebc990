/** What a route adds to the event streams of held requests beyond GRIP: see `eventStream` in the configuration reference. */
import { header, isHeaderValue, type HeaderList } from '../core/headers.ts';
import type { ReplyHead, StreamKeepAlive } from '../core/hold.ts';
import type { EventStreamTerms } from '../core/route.ts';
import { heartbeat, isEventStream, lastEventId, retryField } from '../wire/event-stream.ts';

/** Clients wait at least what the route says, and at random up to this part of it more: they do not all come back at once. */
const retryJitter = 0.5;

export class EventStream {
  readonly #terms: EventStreamTerms;
  /** The last id that the client was sent, or came with. */
  #lastId: string | undefined;

  constructor(terms: EventStreamTerms, requestHeaders: HeaderList) {
    this.#terms = terms;
    this.#lastId = header(requestHeaders, 'last-event-id');
  }

  /** Fields for the client. */
  get fields(): HeaderList {
    return this.#terms.unbuffered ? ['X-Accel-Buffering', 'no'] : [];
  }

  /** What comes before the backend's own body. */
  get opening(): Buffer {
    const { retryMs } = this.#terms;
    return retryMs === undefined ? nothing : retryField(retryMs * (1 + Math.random() * retryJitter));
  }

  /** Where the backend asks for none. */
  get keepAlive(): StreamKeepAlive | undefined {
    const { heartbeatMs } = this.#terms;
    return heartbeatMs === undefined ? undefined : { data: heartbeat, mode: 'idle', timeoutMs: heartbeatMs };
  }

  /** Fields for a request that goes on with the stream. */
  get linkFields(): HeaderList {
    const id = this.#lastId;
    return !this.#terms.lastEventId || id === undefined || id === '' || !isHeaderValue(id) ? [] : ['Last-Event-ID', id];
  }

  sent(bytes: Buffer): void {
    if (this.#terms.lastEventId) this.#lastId = lastIdIn(bytes) ?? this.#lastId;
  }
}

/** Undefined for an answer that is no event stream, and where the route adds nothing. */
export function eventStream(
  terms: EventStreamTerms | undefined,
  head: ReplyHead,
  requestHeaders: HeaderList,
): EventStream | undefined {
  const applies = terms !== undefined && isEventStream(header(head.headers, 'content-type'));
  return applies ? new EventStream(terms, requestHeaders) : undefined;
}

const nothing = Buffer.alloc(0);

/** Every subscriber gets the same bytes, so they are looked through once. */
let known: { bytes: Buffer; id: string | undefined } = { bytes: nothing, id: undefined };

function lastIdIn(bytes: Buffer): string | undefined {
  if (known.bytes !== bytes) known = { bytes, id: lastEventId(bytes) };
  return known.id;
}

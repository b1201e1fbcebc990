/** What a client did, and what a backend wants done to it. Text stays bytes: it is checked, never made a string on the way. */
export interface Message {
  readonly kind: 'text' | 'binary' | 'ping' | 'pong';
  readonly data: Buffer;
}

/** A close frame; no code is not the same as 1000 (RFC 6455 section 7.1.5). */
export interface Close {
  readonly kind: 'close';
  readonly code?: number;
  readonly reason: string;
}

export interface Open {
  readonly kind: 'open';
}

export interface Disconnect {
  readonly kind: 'disconnect';
}

export type ClientEvent = Open | Message | Close | Disconnect;

export function isMessage(event: { readonly kind: string }): event is Message {
  return event.kind === 'text' || event.kind === 'binary' || event.kind === 'ping' || event.kind === 'pong';
}

/** Octets of content that an event carries in a request: what `Content-Bytes-*` count (GRIP 2.8). */
export function contentBytes(event: ClientEvent): number {
  if (event.kind === 'close') return event.code === undefined ? 0 : 2 + Buffer.byteLength(event.reason);
  return isMessage(event) ? event.data.length : 0;
}

/** What a reply with GRIP instructions asks for: the answer for the client, and what happens to its request after it (GRIP 4). */
import type { HeaderList } from './headers.ts';
import type { Membership } from './instruction.ts';
import type { Metadata } from './session.ts';

/** A request that Foregate makes by itself to go on with a stream. */
export interface Link {
  /** As written: resolved against the URI of the request or link before it. */
  readonly uri: string;
  /** After so long without an item on every channel. */
  readonly timeoutMs: number;
}

/** Bytes for the client of a stream after silence (`idle`) or at regular times (`interval`). */
export interface StreamKeepAlive {
  readonly data: Buffer;
  readonly mode: 'idle' | 'interval';
  readonly timeoutMs: number;
}

export interface Hold {
  /** `none` with a next link is a chain of links. */
  readonly mode: 'none' | 'response' | 'stream';
  /** With the id of the last item the body contains, where the backend gave one. */
  readonly channels: readonly Membership[];
  readonly meta: Metadata;
  /** For `response`: after so long the client gets the instruction's own answer. */
  readonly timeoutMs: number;
  /** For `stream`. */
  readonly keepAlive?: StreamKeepAlive;
  readonly next?: Link;
  /** Told once by POST when the hold ends. */
  readonly gone?: string;
}

export interface ReplyHead {
  readonly status: number;
  readonly reason: string;
  readonly headers: HeaderList;
}

export interface Instruct {
  /** For the client: `Grip-*` removed, `Grip-Status` and `Grip-Expose-Headers` applied. */
  readonly head: ReplyHead;
  /** Undefined: the reply's own body goes to the client as it streams. */
  readonly body: Buffer | undefined;
  readonly hold: Hold;
}

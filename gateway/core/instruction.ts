/** What a reply asks of Foregate itself, and the steps of a reply in their order. */
import type { Close, Disconnect, Message } from './event.ts';
import type { HeaderList } from './headers.ts';
import type { ChannelName } from './ids.ts';

/** A wish to join a channel; joining again replaces the filters. */
export interface Membership {
  readonly channel: ChannelName;
  readonly filters: readonly string[];
  /** The id of the last item of the channel that the subscriber has: from there on gaps are noticed. */
  readonly previousId?: string;
  /** Inside a socket: where what is between is brought from. */
  readonly next?: string;
}

/** A frame for the client after silence (`idle`) or at regular times (`interval`). */
export interface KeepAlive {
  readonly message: Message;
  readonly mode: 'idle' | 'interval';
  readonly timeoutMs: number;
}

export type Instruction =
  | ({ readonly kind: 'subscribe' } & Membership)
  | { readonly kind: 'unsubscribe'; readonly channel: ChannelName }
  | { readonly kind: 'detach' }
  /** An empty request to the backend after this silence; undefined: none any more. */
  | { readonly kind: 'ask-every'; readonly intervalMs: number | undefined }
  /** A frame to the client; undefined: none any more. */
  | { readonly kind: 'keep-alive'; readonly keepAlive: KeepAlive | undefined }
  | { readonly kind: 'send-delayed'; readonly message: Message; readonly delayMs: number }
  | { readonly kind: 'flush-delayed' }
  /** State comes back with every request (`Meta-*`), meta is for filters; an undefined value deletes. */
  | { readonly kind: 'set-state' | 'set-meta'; readonly name: string; readonly value: string | undefined };

/** GRIP inside the socket is on: messages for the client carry this prefix (GRIP 3.1). */
export interface GripSocket {
  readonly prefix: Buffer;
}

export interface Accept {
  readonly kind: 'accept';
  /** For the client's 101. */
  readonly headers: HeaderList;
  readonly subprotocol?: string;
  readonly grip?: GripSocket;
}

export type ServerEvent = Accept | Message | Close | Disconnect;

/** An event or an instruction. One list, since their order counts. */
export type Step = ServerEvent | Instruction;

/** A request downstream and its reply, and the events one of them carries. */
import type { ClientEvent } from './event.ts';
import type { HeaderDraft, HeaderList } from './headers.ts';
import type { Step } from './instruction.ts';

/** A request on its way out. A draft may be changed by policies until it is sent. */
export interface RequestDraft {
  method: string;
  /** Path and query, byte for byte as the client sent them: never through `URL`, which resolves `..`. */
  path: string;
  headers: HeaderDraft;
  body: Buffer | undefined;
}

/** What all requests of a session share: the client's handshake, cleaned, forwarded and dressed for the gateway behind. */
export interface RequestHead {
  path: string;
  headers: HeaderDraft;
}

/** A whole reply, read within its limit. */
export interface Reply {
  readonly status: number;
  readonly reason: string;
  readonly headers: HeaderList;
  readonly body: Buffer;
}

/** Events that go into one request. */
export interface Batch {
  readonly events: readonly ClientEvent[];
  /** Octets of content at the start that were offered before and not accepted (GRIP 2.8). */
  readonly replayedBytes: number;
  /** More events wait than fitted in. */
  readonly more: boolean;
  /** The gateway refused it before: it is the same request once more. */
  readonly repeated?: boolean;
}

export interface Decoded {
  readonly steps: readonly Step[];
  /** Events that the backend did not accept: offered again, first, with the next request. */
  readonly remaining: readonly ClientEvent[];
}

/** One place where requests go: sends a draft, reads the reply. */
export interface Downstream {
  /**
   * @throws ForegateError `downstream-unreachable` (nothing was sent), `downstream-lost`, `downstream-timeout`,
   *   `reply-too-large`, `overloaded` or `circuit-open` (nothing was sent).
   */
  send(draft: RequestDraft, terms: { readonly replyBytes: number; readonly timeoutMs: number }): Promise<Reply>;
  /** Resolves when the place can be connected to again and its circuit lets requests through, or after `ms`; true if so. */
  back(ms: number): Promise<boolean>;
}

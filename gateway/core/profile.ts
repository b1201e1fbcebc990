/** What the API gateway in between needs, and how its own refusals look. */
import type { ErrorCode } from './errors.ts';
import type { Reply, RequestDraft, RequestHead } from './exchange.ts';
import type { HeaderList } from './headers.ts';
import type { MaybePromise } from './promise.ts';
import type { Denial, SessionView } from './session.ts';

export const faultKinds = [
  'unauthenticated',
  'forbidden',
  'throttled',
  'quota',
  'too-large',
  'no-route',
  'upstream',
  'not-ours',
] as const;
export type FaultKind = (typeof faultKinds)[number];

/** What a fault means in an open session; `delay`: the request is made again after a wait. */
export type FaultAction = 'close' | 'drop' | 'answer' | 'delay';

export interface Fault {
  readonly kind: FaultKind;
  readonly code: ErrorCode;
  readonly detail: string;
  /** Milliseconds, one second to one hour. */
  readonly retryAfterMs?: number;
  /** The gateway, where the reply shows that it spoke itself; left out: it may be the backend's. */
  readonly by?: string;
}

export interface Profile {
  readonly name: string;
  /** Header names, in lower case, that this gateway adds for its backends: never taken from a client. */
  readonly identityHeaders: readonly string[];
  /**
   * Finds the client's credential where it is to be taken from; what this adds to `session.consumed` does not go on there. Once
   * per session, behind the policies. Left out: nothing is taken.
   */
  take?(session: SessionView): Denial | undefined;
  /** The credential, put where this gateway looks for it, and who the caller is. Once per session and target. */
  prepare(head: RequestHead, session: SessionView): MaybePromise<void>;
  /**
   * Writes who the caller is into a request once more, if that has changed since `prepare`; refuses a caller that has no name. With every
   * request, before the policies. Left out: nothing of it is in requests.
   */
  restate?(draft: RequestDraft, session: SessionView): Denial | undefined;
  /**
   * The same credential and caller for a link that leads to the target of its session; `first` are the fields of the session's own
   * requests. Left out: links carry none.
   */
  dressLink?(draft: RequestDraft, session: SessionView, first: HeaderList): Denial | undefined;
  /**
   * Takes from a good reply who the caller is: true if `session.identity` is another now. With every reply, before the policies. Left
   * out: replies do not tell.
   */
  identify?(session: SessionView, reply: Reply): boolean;
  /** Fields of replies, in lower case, that are not for clients. Left out: none. */
  readonly hidden?: readonly string[];
  /** Fields that this gateway renames on their way to the client: their own names, by the new ones in lower case. */
  readonly renamed?: ReadonlyMap<string, string>;
  /** Reads a reply that is not a reply of the backend in its dialect. */
  fault(reply: Reply): Fault;
}

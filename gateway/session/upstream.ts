/** What the session of a socket talks to: the pump (events by HTTP) or the relay (a WebSocket backend). */
import type { ClientEvent } from '../core/event.ts';
import type { Step } from '../core/instruction.ts';
import type { MaybePromise } from '../core/promise.ts';

export interface Upstream {
  /** Applies what came with the acceptance, then serves what has been pushed meanwhile. */
  begin(steps: readonly Step[]): MaybePromise<void>;
  /** A message or the close of the client. */
  push(event: ClientEvent): void;
  /** Asks the backend at once, or after the request in flight. */
  ask(): void;
  /** The client is gone: what waits is discarded, the backend is told. */
  lost(): void;
  /** The client stays, the backend gets its close and nothing more. */
  detach(): void;
  /** Client messages that wait are worth nothing any more; its close still is. */
  discard(): void;
  /** Nothing more is sent. */
  stop(): void;
  /** Nothing is in flight and nothing will be. */
  readonly finished: boolean;
}

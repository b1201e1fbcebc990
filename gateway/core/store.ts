/** Numbers that sessions, and later processes, share. */
import type { MaybePromise } from './promise.ts';

/** So many points in a window; the window of a key starts with its first point. */
export interface Budget {
  readonly limit: number;
  readonly windowMs: number;
}

export interface Taken {
  readonly allowed: boolean;
  /** Points left in the window; 0 when refused. */
  readonly remaining: number;
  /** Until the window of this key ends. */
  readonly resetMs: number;
}

export interface Store {
  /** Takes `cost` points from the key's budget. Refused points count too, so who keeps trying keeps waiting no longer than the window. */
  take(key: string, budget: Budget, cost: number): MaybePromise<Taken>;
  close(): Promise<void>;
}

/** A store outside of the process, which may be away. Then too it answers, as its settings say. */
export interface SharedStore extends Store {
  /** Connects; resolves also if it is away. @throws Error with what to install */
  open(): Promise<void>;
  readonly away: boolean;
}

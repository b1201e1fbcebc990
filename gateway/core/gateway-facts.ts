/** What is known of a gateway product besides its refusals: how its answers show it, what it does as it comes, and its own words for that. */
import type { Reply } from './exchange.ts';

/** One of its limits, as it comes. */
export interface KnownLimit {
  /** Milliseconds or bytes. */
  readonly is: number;
  /** What it is a limit of, where not of all its kinds: `its load balancers`. */
  readonly of?: string;
}

/** What is left out has no limit, or nobody knows one. */
export interface GatewayLimits {
  /** So long it keeps a connection on which nothing is asked. */
  readonly idleMs?: KnownLimit;
  /** So long it waits for its backend before it answers itself. */
  readonly timeoutMs?: KnownLimit;
  /** The largest body of a request. */
  readonly bodyBytes?: KnownLimit;
}

/** What an operator may want to change at the gateway. */
export type GatewayMatter = 'idle' | 'timeout' | 'body' | 'header' | 'trust' | 'host' | 'resends' | 'buffering' | 'binary';

export interface Recognised {
  /** As the gateway tells it; undefined: it does not. */
  readonly version: string | undefined;
  /** The header field, or whatever else showed it. */
  readonly by: string;
}

export interface GatewayFacts {
  /** For people: `Kong Gateway`. */
  readonly title: string;
  /** Undefined where the reply has no sign of it. Its refusals are told by its adapter's signs. */
  recognise(reply: Reply): Recognised | undefined;
  readonly limits: GatewayLimits;
  /** The words of its own configuration, by what they change. */
  readonly settings: Readonly<Partial<Record<GatewayMatter, string>>>;
}

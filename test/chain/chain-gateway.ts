/** What the chain tests know of a gateway between Foregate and the backend: how to authenticate, how it refuses, what it cannot do. */
export interface GatewayKind {
  readonly name: string;
  /** Of the routes in front of it. */
  readonly adapter: string;
  /** The header field that carries the key. */
  readonly keyHeader: string;
  /** What it answers without a key. */
  readonly noKey: GatewayRefusal;
  /** What it answers when the allowance of a key is used up. Left out: it counts nothing. */
  readonly exhausted?: GatewayRefusal;
  /** It refuses bodies above `bodyBytes`. */
  readonly limitsBodies: boolean;
  /** What a client is closed with whose key was revoked: as the gateway answers 401 or 403. */
  readonly revokedCode: 4401 | 4403;
  /** It answers 404 for a moment after its start, so that nobody may speak before it is up. */
  readonly opensBeforeReady?: boolean;
  /** What it cannot do, and what the suite leaves out for that, in words that stand in the suite's name. */
  readonly lacks: readonly string[];
  start(backendOrigin: string): Promise<ChainGateway>;
}

export interface ChainGateway {
  readonly origin: string;
  /** A key nobody has used yet: good for `allowance` requests, where the gateway counts. */
  newKey(): Promise<string>;
  /** One that nothing is counted for. */
  freeKey(): Promise<string>;
  /** Resolves when the gateway refuses the key. */
  revoke(key: string): Promise<void>;
  /** Ends it as a crash would: no connection is closed in good order. */
  kill(): Promise<void>;
  /** Starts it again, with the same settings at the same port, unless it runs. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

export interface GatewayRefusal {
  readonly status: number;
  readonly body: string;
  /** Instead of both, where the request takes events only: it breaks over its own refusal. */
  readonly eventsStatus?: number;
  /** Fields that come with it, names in lower case. */
  readonly headers?: Readonly<Record<string, RegExp>>;
}

/** Requests that one key may make: the OPEN of one WebSocket and five messages. */
export const allowance = 6;
/** Largest body that a gateway lets through. */
export const bodyBytes = 131_072;
/**
 * Seconds after which a gateway closes an unused connection. Those from npm have this from Node; the others would take a minute
 * or more, which no test waits for, so they are set to the same.
 */
export const gatewayIdleSeconds = 5;

/** What the chain tests know of a gateway between Foregate and the backend: how to authenticate, and how it refuses. */
export interface ChainGateway {
  readonly name: string;
  readonly origin: string;
  /** The header field that carries the key. */
  readonly keyHeader: string;
  /** A key nobody has used yet: good for `allowance` requests. */
  newKey(): Promise<string>;
  /** What it answers without a key. */
  readonly noKey: GatewayRefusal;
  /** What it answers when the allowance of a key is used up. */
  readonly exhausted: GatewayRefusal;
  stop(): Promise<void>;
}

export interface GatewayRefusal {
  readonly status: number;
  readonly body: string;
}

/** Requests that one key may make: the OPEN of one WebSocket and five messages. */
export const allowance = 6;

/** A session as policies, dialects and profiles see it: one long-lived client. */
import type { ErrorCode } from './errors.ts';
import type { Message } from './event.ts';
import type { Reply } from './exchange.ts';
import type { HeaderList } from './headers.ts';
import type { RouteId, SessionId } from './ids.ts';

/** Names in lower case and their values. */
export type Metadata = ReadonlyMap<string, string>;

export const noMetadata: Metadata = new Map();

/** Who a client or a publisher has proved to be. */
export interface Identity {
  /** For logs, limits and channel rules: the token's subject, or the name of the key. */
  readonly subject: string;
  /** The policy that vouches for it. */
  readonly by: string;
  readonly claims?: Readonly<Record<string, unknown>>;
  /** Milliseconds since 1970: the policy that vouches for it ends its session then. */
  readonly expiresAt?: number;
  /** What it may have, in place of what the policies that count say for all. */
  readonly limits?: OwnLimits;
}

/** Amounts in a window, and `quota` in the period of that policy. */
export interface OwnLimits {
  readonly messages?: number;
  readonly bytes?: number;
  readonly connections?: number;
  readonly subscriptions?: number;
  readonly publishes?: number;
  readonly windowMs: number;
  readonly quota?: number;
}

/** A refusal as a value, with what the client may be told. */
export interface Denial {
  readonly kind: 'deny';
  readonly code: ErrorCode;
  /** A sentence that holds no secret. */
  readonly detail: string;
  readonly retryAfterMs?: number;
  /** For the HTTP answer: `WWW-Authenticate`, `RateLimit`. */
  readonly headers?: HeaderList;
  /** The HTTP answer itself, instead of the status of the code and the sentence: another server has refused in its own words. */
  readonly reply?: Pick<Reply, 'status' | 'headers' | 'body'>;
  /**
   * What happens to a message: `close` the session (default), `drop` the message, or `answer` with a frame. A WebSocket refused at its
   * `connect` is let in only to be told with `close`, after a frame with `answer`; a channel may be refused with such a frame, too.
   */
  readonly action?: 'close' | 'drop' | 'answer';
  /** With `answer`: the text of the frame, instead of the usual one. */
  readonly text?: string;
  /** For an open WebSocket, instead of the code's own: one of 4000 to 4999. */
  readonly closeCode?: number;
}

/** A certificate of a client that the authority of the port has signed. */
export interface ClientCertificate {
  /** By short names: `CN`, `O`, `OU`. */
  readonly subject: Readonly<Record<string, readonly string[]>>;
  readonly altNames: readonly { readonly kind: 'dns' | 'uri' | 'email' | 'ip'; readonly value: string }[];
  /** As `openssl x509 -fingerprint -sha256` writes it. */
  readonly fingerprint256: string;
  readonly serial: string;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

export interface ClientRequest {
  readonly method: string;
  /** Path and query as received. */
  readonly path: string;
  readonly headers: HeaderList;
  /** The client's IP address. */
  readonly address: string;
  /** True if the client came by TLS, or a proxy that is believed says so. */
  readonly secure: boolean;
  /** True if a gateway in front sent it, as its `Grip-Sig` proves: it is believed. */
  readonly fromGateway?: boolean;
  /** GRIP is the business of the gateway in front (GRIP 8.5): so it is unless what it carries is undone here. */
  readonly gripInFront?: boolean;
  /** There only if the client showed one and the port knows its authority. */
  readonly certificate?: ClientCertificate;
}

/** A place in the client's request; `name` as the client wrote it. */
export type ConsumedCredential =
  | { readonly in: 'header' | 'query' | 'cookie'; readonly name: string }
  /** One offered subprotocol; `answer`: what the 101 says where the backend chooses none, since browsers insist on one. */
  | { readonly in: 'subprotocol'; readonly name: string; readonly answer?: string };

export interface SessionView {
  readonly id: SessionId;
  readonly routeId: RouteId;
  readonly transport: 'websocket' | 'stream' | 'response' | 'request';
  readonly request: ClientRequest;
  /** Milliseconds since 1970. */
  readonly openedAt: number;
  /** Comes back with every request (`Meta-*`); names in lower case. */
  readonly state: Metadata;
  /** Read by filters only (`set-meta`). */
  readonly meta: Metadata;
  /** Set by `jwt`, `api-key` and their kind; read by limits. */
  identity: Identity | undefined;
  /** Where credentials stood that were used up here and must not go on. Filled in `connect`. */
  readonly consumed: ConsumedCredential[];
  send(message: Message): void;
  /** At any time: the token expired, the key was revoked. */
  end(denial: Denial): void;
}

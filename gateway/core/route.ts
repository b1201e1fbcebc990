/** A compiled rule: where requests go and under which terms. Made once by `config/compile`, never changed. */
import type { Dialect } from './dialect.ts';
import type { Downstream } from './exchange.ts';
import type { HeaderList } from './headers.ts';
import type { ChannelName, RouteId } from './ids.ts';
import type { RouteLimits } from './limits.ts';
import type { RouteHooks } from './policy.ts';
import type { FaultKind, Profile } from './profile.ts';

export type Transport = 'websocket' | 'http';

export interface Match {
  /** In lower case, without port; `*.example.com` for all below it; undefined: every host. */
  readonly host: string | undefined;
  /** A prefix of the path as received. */
  readonly path: string;
  readonly transports: readonly Transport[];
  /** Only over TLS, or only without; undefined: both. */
  readonly tls: boolean | undefined;
}

/** How the path changes on its way to the target; the query never does. */
export type PathChange =
  | { readonly remove: /** Characters at the beginning. */ number }
  | { readonly replace: /** Stands in place of `match.path`. */ string };

/** One place; chosen at the start of a session and kept. */
export interface Target {
  /** Scheme, host and port: `http://127.0.0.1:8080`. */
  readonly origin: string;
  /** `Host` for this target; undefined: the client's own. */
  readonly host: string | undefined;
  /** None: a WebSocket backend, relayed frame by frame. */
  readonly dialect: Dialect | undefined;
  readonly profile: Profile;
  readonly downstream: Downstream;
  /** Several waiting events may share a request. */
  readonly batches: boolean;
  /** A reused connection that closed without a byte is worth a second try. */
  readonly retry: 'once' | 'never';
  /** Channels every session joins, without the route's prefix. */
  readonly channels: readonly ChannelName[];
  /** Deadline of one request. */
  readonly timeoutMs: number;
  readonly tls: TargetTls;
}

/** PEM texts and the usual switches of a TLS client. */
export interface TargetTls {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly servername?: string;
  readonly rejectUnauthorized?: boolean;
}

/** Signs requests so that the backend knows they came through here (GRIP 8.4). */
export interface Signer {
  /** A token as fresh as the second. */
  sign(): string;
}

export interface Route {
  readonly id: RouteId;
  readonly match: Match;
  readonly targets: readonly [Target, ...Target[]];
  readonly hooks: RouteHooks;
  readonly limits: RouteLimits;
  /** GRIP for this route; undefined: replies are not read for instructions. */
  readonly grip: { readonly signer: Signer | undefined } | undefined;
  /** Put before the channel names that backends and holds give. */
  readonly channelPrefix: string;
  /** Fields set in every request; one without value is taken out. */
  readonly headers: HeaderList;
  /** Undefined: the client's own path. */
  readonly path: PathChange | undefined;
  readonly sockjs: SockJsTerms | undefined;
  readonly forwarded: ForwardedTerms;
  /** A close frame before the connection ends on a failure; Pushpin sends none. */
  readonly closeFrames: boolean;
  /** Pings of clients go to the backend, or are answered here. */
  readonly pings: 'forward' | 'answer';
  /** DISCONNECT also after a failed exchange. */
  readonly notifyAfterFailure: boolean;
  /** What a subscriber's full buffer means. */
  readonly slowClients: 'close' | 'drop';
  readonly onFault: Readonly<Record<FaultKind, 'close' | 'drop' | 'answer'>>;
  /** What a reload means for open sessions. */
  readonly reload: 'keep' | 'drain';
  /** Nothing in either direction for so long ends a session. */
  readonly idleMs: number;
  /** The shape of refusals and errors in debug mode tells more. */
  readonly debug: boolean;
}

/** Where SockJS clients are let in. */
export interface SockJsTerms {
  /** Their base URL's path, without a `/` at its end. */
  readonly path: string;
  /** Of every session, towards policies and the backend. */
  readonly asPath: string;
  /** The script of the iframe page; undefined: no such page. */
  readonly clientUrl: string | undefined;
  readonly cookie: boolean;
}

export interface ForwardedTerms {
  /** Peers whose forwarding fields are believed: addresses and CIDR ranges. */
  trusts(address: string): boolean;
  /** Identity fields that a client may not set, in lower case; a trailing `*` stands for any rest. */
  readonly strip: readonly string[];
}

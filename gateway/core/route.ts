/** A compiled rule: where requests go and under which terms. Made once by `config/compile`, never changed. */
import type { CloseCodeRule } from './close-code.ts';
import type { Dialect } from './dialect.ts';
import type { Downstream } from './exchange.ts';
import type { HeaderList } from './headers.ts';
import type { ChannelName, RouteId } from './ids.ts';
import type { RouteLimits } from './limits.ts';
import type { RouteHooks } from './policy.ts';
import type { FaultAction, FaultKind, Profile } from './profile.ts';
import type { RouteStatistics } from './route-statistics.ts';
import type { ClientRequest } from './session.ts';
import type { TargetGuard } from './target-guard.ts';

export type Transport = 'websocket' | 'http';

export interface Match {
  /** In lower case, without port; `*.example.com` for all below it; undefined: every host. */
  readonly host: string | undefined;
  /** A prefix of the path as received. */
  readonly path: string;
  /** The whole path as received, with `{name}` for parts of segments; undefined: `path` is all that counts. */
  readonly template: string | undefined;
  readonly transports: readonly Transport[];
  /** Of plain requests, in upper case; undefined: all. */
  readonly methods: readonly string[] | undefined;
  /** Only over TLS, or only without; undefined: both. */
  readonly tls: boolean | undefined;
  /** Whether a request that names its id gets there, whatever the rest says. */
  readonly byId: 'never' | 'also' | 'only';
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
  /** Its requests go past the guard by themselves. */
  readonly downstream: Downstream;
  /** For requests that do not go by `downstream`; undefined: there is none. */
  readonly guard: TargetGuard | undefined;
  /** Several waiting events may share a request. */
  readonly batches: boolean;
  /**
   * A reused connection that closed without a byte is worth a second try; `idempotent`: so is one that broke at any time, since
   * each request of a session has a key by which the backend knows it again.
   */
  readonly retry: 'once' | 'never' | 'idempotent';
  /** Channels every session joins, without the route's prefix. */
  readonly channels: readonly ChannelName[];
  /** Deadline of one request. */
  readonly timeoutMs: number;
  /** No private, local or other special address is connected to, whatever a name resolves to. */
  readonly publicOnly: boolean;
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

/** Knows the signatures of gateways in front (GRIP 8.5). */
export interface SignatureCheck {
  /** True for a token of theirs that has not expired; whatever else it is is no error. */
  fits(token: string): boolean;
}

export interface Route {
  readonly id: RouteId;
  readonly match: Match;
  readonly targets: readonly [Target, ...Target[]];
  readonly hooks: RouteHooks;
  readonly limits: RouteLimits;
  /** GRIP for this route; undefined: replies are not read for instructions. */
  readonly grip: { readonly signer: Signer | undefined } | undefined;
  /** What becomes of a hold whose reply is from a cache. */
  readonly cachedHolds: 'warn' | 'refuse';
  /** Requests per second and URL that filters may make of the backend; 0: they may not. */
  readonly filterRequests: number;
  /** Put before the channel names that backends and holds give. */
  readonly channelPrefix: string;
  /** Fields set in every request; one without value is taken out. */
  readonly headers: HeaderList;
  /** Fields of replies that clients do not get, by names in lower case with `_` as `-`; undefined: they get all of them. */
  readonly hides: ((normalName: string) => boolean) | undefined;
  /** Undefined: the client's own path. */
  readonly path: PathChange | undefined;
  readonly sockjs: SockJsTerms | undefined;
  readonly forwarded: ForwardedTerms;
  /** A close frame before the connection ends on a failure; Pushpin sends none. */
  readonly closeFrames: boolean;
  /** Close codes that are not those of the table of errors. */
  readonly closeCodes: readonly CloseCodeRule[];
  /** Pings of clients go to the backend, or are answered here. */
  readonly pings: 'forward' | 'answer';
  /** DISCONNECT also after a failed exchange. */
  readonly notifyAfterFailure: boolean;
  /** What happens to what is published for a client that has not taken as much as it may leave. */
  readonly slowClients: 'close' | 'drop-newest' | 'drop-oldest' | 'latest';
  readonly onFault: Readonly<Record<FaultKind, FaultAction>>;
  /** What clients are told by `answer`, with `{kind}` and its like in it; undefined: the usual frame. */
  readonly faultText: string | undefined;
  readonly faultDelay: FaultDelay;
  /** Pages of all origins may use the answers. */
  readonly cors: boolean;
  /** Calls of script elements; undefined: none. */
  readonly jsonp: JsonpTerms | undefined;
  /** What is added to event streams; undefined: nothing. */
  readonly eventStream: EventStreamTerms | undefined;
  /** What a reload means for open sessions. */
  readonly reload: 'keep' | 'drain';
  /** Nothing in either direction for so long ends a session. */
  readonly idleMs: number;
  /** The shape of refusals and errors in debug mode tells more. */
  readonly debug: boolean;
  /** What the log tells of its connections; undefined: nothing but what goes wrong. */
  readonly log: RouteLog | undefined;
  /** Goes on counting through reloads, as long as there is a route of this id. */
  readonly statistics: RouteStatistics;
}

/** How long requests wait that the gateway refused, where a route says `delay`. */
export interface FaultDelay {
  /** Where it says for how long: who would have to wait longer is closed. */
  readonly longestMs: number;
  /** Where it does not; twice as long before each further try. */
  readonly usualMs: number;
  /** So often one request is made again. */
  readonly tries: number;
}

export interface RouteLog {
  /** A line for each connection that has ended. */
  readonly connections: boolean;
  readonly messages: MessageLogTerms | undefined;
}

export interface MessageLogTerms {
  /** The share of messages that are logged: above 0, at most 1. */
  readonly sample: number;
  /** So much of a text is shown; 0: nothing. */
  readonly bytes: number;
  /** A copy of JSON without its secrets; undefined: nothing is hidden. */
  readonly redact: ((value: unknown) => unknown) | undefined;
}

/** GRIP as far as it is done here: a gateway in front does it itself. */
export function gripFor(route: Route, { gripInFront }: ClientRequest): Route['grip'] {
  return gripInFront === true ? undefined : route.grip;
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

/** Names of query parameters, and what holds without them (GRIP 8.6). */
export interface JsonpTerms {
  /** The answer with status and fields, or its body alone. */
  readonly mode: 'extended' | 'basic';
  readonly callback: string;
  /** The parameter with the body, in place of `_body`; such a body is JSON. */
  readonly body: string | undefined;
  /** Where the body stands without a callback. */
  readonly defaultCallback: string | undefined;
  readonly method: string;
}

/** Beyond GRIP, for held answers of the type `text/event-stream`. */
export interface EventStreamTerms {
  /** Clients are told to wait so long, and some more at random, before they connect again. */
  readonly retryMs: number | undefined;
  /** A comment after so long without a byte. */
  readonly heartbeatMs: number | undefined;
  /** `X-Accel-Buffering: no` for proxies in front. */
  readonly unbuffered: boolean;
  /** Next links are asked for with the id of the last event. */
  readonly lastEventId: boolean;
}

export interface ForwardedTerms {
  /** Peers whose forwarding fields are believed: addresses and CIDR ranges. */
  trusts(address: string): boolean;
  /** Fields that no client sets for a backend, in lower case; a trailing `*` stands for any rest. */
  readonly strip: readonly string[];
  /** What `forwarded` says of the fields; undefined: the usual. */
  readonly rules: ForwardedRules | undefined;
  /** Appended to `CDN-Loop`. */
  readonly cdnLoop: string | undefined;
}

/** How forwarding fields are written where that is not the usual way (GRIP 8.2). */
export interface ForwardedRules {
  /** Everybody's fields are believed, not only those of trusted peers. */
  readonly believesAll: boolean;
  readonly for: ChainRule | undefined;
  /** For a gateway in front. */
  readonly forSigned: ChainRule | undefined;
  /** Which fields tell of TLS; undefined: the usual. */
  readonly proto: 'both' | 'x-forwarded-proto' | 'none' | undefined;
  /** The other fields: written as usual, or passed as they came. */
  readonly others: 'own' | 'pass';
}

export interface ChainRule {
  /** So many entries of the end stay; undefined: all. */
  readonly keep?: number;
  /** The peer comes last. */
  readonly append: boolean;
}

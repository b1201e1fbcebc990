/** Hub, registry and bus, as the control API sees them: of all workers of the program, where there are several. */
import type { ChannelName, RouteId, SessionId } from './ids.ts';
import type { MaybePromise } from './promise.ts';
import type { Publication } from './publication.ts';
import type { Revocation } from './revocation.ts';
import type { RouteCounts } from './route-statistics.ts';
import type { Denial } from './session.ts';
import type { TargetReport } from './target-guard.ts';

/** One open session, for lists: nothing secret. */
export interface SessionInfo {
  readonly id: SessionId;
  readonly route: RouteId;
  readonly transport: 'websocket' | 'stream' | 'response';
  readonly address: string;
  /** Path without the query, which may hold credentials. */
  readonly path: string;
  readonly subject?: string;
  readonly channels: readonly ChannelName[];
  /** ISO 8601. */
  readonly openedAt: string;
  /** Bytes that the client has not taken, if there are any. */
  readonly unsentBytes?: number;
}

export interface ChannelInfo {
  readonly channel: ChannelName;
  readonly subscribers: number;
  /** Deliveries left out since subscribers read too slowly, if there are any: as long as it has had subscribers. */
  readonly dropped?: number;
}

/** What was counted since the start, of the process or of one route (GRIP 8.8). */
export interface StatisticsEntry extends RouteCounts {
  /** Clients that are connected: sessions, and requests that are being answered. */
  readonly connections: number;
  /** The most at once, in this interval and the one before. */
  readonly connectionsHighest: number;
  readonly connectionMinutes: number;
  readonly sessions: Readonly<Record<SessionInfo['transport'], number>>;
}

export interface StatisticsTotal extends StatisticsEntry {
  /** Published items; they are of channels, not of routes. */
  readonly received: number;
  readonly channels: number;
  readonly subscriptions: number;
}

export interface StatisticsReport {
  /** ISO 8601. */
  readonly since: string;
  readonly durationMs: number;
  readonly intervalSeconds: number;
  readonly total: StatisticsTotal;
  readonly routes: readonly (StatisticsEntry & { readonly route: RouteId })[];
  /** Those that have a breaker or a cap. */
  readonly targets: readonly TargetReport[];
}

/** Which sessions a list is about, and how many of them it may have. */
export interface SessionFilter {
  readonly channel?: string | undefined;
  readonly subject?: string | undefined;
  readonly limit: number;
}

/** Which channels a list is about, and how many of them it may have. */
export interface ChannelFilter {
  /** Beginning of the name. */
  readonly prefix: string;
  readonly limit: number;
}

/** `unknown`: no open session has this id; `not-renewable`: the session has no token that could be renewed. */
export type Renewal = 'renewed' | 'unknown' | 'not-renewable' | Denial;

export interface ControlHost {
  /** Hands the items to the bus, in order. */
  publish(items: readonly Publication[]): MaybePromise<void>;
  /** Makes the session ask its backend at once; false for an unknown id. */
  refresh(id: SessionId): MaybePromise<boolean>;
  /** Makes all WebSockets of a channel ask, those of other processes too. It is not published: nobody counts it. */
  refreshChannel(channel: ChannelName): void;
  /** Forgets all last ids and makes every held request ask its backend again, in every process. */
  recover(): void;
  /** Ends the sessions it is about and lets no more of them in, in every process; how many were ended. @throws ForegateError `overloaded` */
  revoke(revocation: Revocation): MaybePromise<number>;
  /** Puts a newer token in place of that of a session, which goes on as it was where it is refused. */
  renew(id: SessionId, token: string): MaybePromise<Renewal>;
  /** Those of the ids that belong to open sessions, in the same order. */
  openOf(ids: readonly SessionId[]): MaybePromise<readonly SessionId[]>;
  sessions(filter: SessionFilter): MaybePromise<readonly SessionInfo[]>;
  session(id: SessionId): MaybePromise<SessionInfo | undefined>;
  channels(filter: ChannelFilter): MaybePromise<readonly ChannelInfo[]>;
  statistics(): MaybePromise<StatisticsReport>;
  /** False while starting and while draining, and without a store that nothing may go on without. */
  ready(): boolean;
  /** Of a store outside of the process. */
  store(): 'up' | 'away' | undefined;
  /** Likewise of a bus. */
  bus(): 'up' | 'away' | undefined;
}

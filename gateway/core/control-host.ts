/** Hub, registry and bus, as the control API sees them. */
import type { ChannelName, RouteId, SessionId } from './ids.ts';
import type { MaybePromise } from './promise.ts';
import type { Publication } from './publication.ts';

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

export interface ControlHost {
  /** Hands the items to the bus, in order. */
  publish(items: readonly Publication[]): MaybePromise<void>;
  /** Makes the session ask its backend at once; false for an unknown id. */
  refresh(id: SessionId): boolean;
  /** Forgets all last ids and makes every held request ask its backend again. */
  recover(): void;
  has(id: SessionId): boolean;
  sessions(): Iterable<SessionInfo>;
  session(id: SessionId): SessionInfo | undefined;
  channels(): Iterable<ChannelInfo>;
  /** False while starting and while draining. */
  ready(): boolean;
}

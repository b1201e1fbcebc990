/** What all sessions of a process share. */
import type { ServerResponse } from 'node:http';
import type { Hub } from '../channel/hub.ts';
import type { Clock } from '../core/clock.ts';
import type { ForegateError } from '../core/errors.ts';
import type { Reply } from '../core/exchange.ts';
import type { ChannelName } from '../core/ids.ts';
import type { Log } from '../core/log.ts';
import type { Metrics } from '../core/metrics.ts';
import type { Denial } from '../core/session.ts';
import type { CachedHolds } from './cached-holds.ts';
import type { Send } from './exchange.ts';
import type { FilterRequests } from './filter-requests.ts';
import type { Links } from './links.ts';
import type { SessionRegistry } from './registry.ts';

export interface SessionParts {
  readonly hub: Hub;
  readonly registry: SessionRegistry;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly clock: Clock;
  /** How events after the opening are sent. */
  readonly send: Send;
  readonly filterRequests: FilterRequests;
  readonly links: Links;
  /** The id of the last item of a channel that was delivered in order. */
  readonly lastId: (channel: ChannelName) => string | undefined;
}

/** What held requests need besides. */
export interface HoldParts extends SessionParts {
  /** True if an item of the channel came at that time or later, and it is not the one with this id. */
  readonly missedSince: (channel: ChannelName, sinceMs: number, previousId: string | undefined) => boolean;
  readonly cachedHolds: CachedHolds;
  /** Writes a whole answer to the client. */
  readonly answer: (response: ServerResponse, reply: Reply) => void;
  readonly denialReply: (denial: Denial) => Reply;
  readonly errorReply: (error: ForegateError, debug: boolean) => Reply;
}

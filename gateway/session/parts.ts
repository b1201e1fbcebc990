/** What all sessions of a process share. */
import type { Hub } from '../channel/hub.ts';
import type { Clock } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import type { Metrics } from '../core/metrics.ts';
import type { Send } from './exchange.ts';
import type { SessionRegistry } from './registry.ts';

export interface SessionParts {
  readonly hub: Hub;
  readonly registry: SessionRegistry;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly clock: Clock;
  /** How events after the opening are sent. */
  readonly send: Send;
}

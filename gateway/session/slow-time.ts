/**
 * The time in which a client reads so slowly that it loses items: what is lost is counted at once, and told in the log when that
 * begins and when it is over, not for each item.
 */
import type { Clock, Timer } from '../core/clock.ts';
import type { ChannelName, SessionId } from '../core/ids.ts';
import { limits } from '../core/limits.ts';
import type { Log } from '../core/log.ts';
import type { Metrics } from '../core/metrics.ts';
import type { Route } from '../core/route.ts';
import type { SessionView } from '../core/session.ts';

/** Whose time it is. */
export interface SlowClient {
  readonly id: SessionId;
  readonly route: Route;
  readonly view: SessionView;
  /** Bytes that the client has not taken, wherever they are. */
  readonly unsentBytes: number;
}

export interface SlowTimeParts {
  readonly hub: { countDropped(channel: ChannelName, items: number): void };
  readonly metrics: Metrics;
  readonly log: Log;
  readonly clock: Clock;
}

export class SlowTime {
  readonly #client: SlowClient;
  readonly #parts: SlowTimeParts;
  #dropped = 0;
  #channel: ChannelName | undefined;
  #beganAt = 0;
  /** Runs while nothing is lost. */
  #quiet: Timer | undefined;

  constructor(client: SlowClient, parts: SlowTimeParts) {
    this.#client = client;
    this.#parts = parts;
  }

  lost(items: number, channel: ChannelName): void {
    const { hub, metrics } = this.#parts;
    metrics.count('deliveries_dropped', items);
    metrics.count('slow_client_drops', items, this.#client.route.id);
    hub.countDropped(channel, items);
    this.#quiet?.cancel();
    this.#quiet = undefined;
    this.#dropped += items;
    if (this.#channel === undefined) this.#begin(channel);
  }

  /** The client has taken everything. */
  caughtUp(): void {
    if (this.#channel !== undefined) this.#quiet ??= this.#parts.clock.after(limits.slowQuietMs, () => this.end());
  }

  end(): void {
    this.#quiet?.cancel();
    this.#quiet = undefined;
    if (this.#channel === undefined) return;
    this.#parts.log.info('client.slow', { ...this.#fields(), state: 'ended', ms: this.#parts.clock.now() - this.#beganAt });
    this.#channel = undefined;
    this.#dropped = 0;
  }

  #begin(channel: ChannelName): void {
    this.#channel = channel;
    this.#beganAt = this.#parts.clock.now();
    this.#parts.log.warn('client.slow', { ...this.#fields(), state: 'began' });
  }

  #fields() {
    const { id, route, view, unsentBytes } = this.#client;
    return {
      session: id,
      route: route.id,
      channel: this.#channel,
      address: view.request.address,
      policy: route.slowClients,
      dropped: this.#dropped,
      unsentBytes,
    };
  }
}

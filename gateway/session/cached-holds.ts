/**
 * Holds out of a cache: a gateway that keeps replies hands the instructions for one client to the next, who would be subscribed to
 * channels that are not his. The log tells of them, not more often than once a minute for each route; a route may refuse them.
 */
import type { Clock } from '../core/clock.ts';
import { ForegateError } from '../core/errors.ts';
import type { HeaderList } from '../core/headers.ts';
import type { Hold } from '../core/hold.ts';
import type { Log } from '../core/log.ts';
import type { Route } from '../core/route.ts';
import { cacheSign } from '../wire/cached-reply.ts';

const warnEveryMs = 60_000;

export class CachedHolds {
  readonly #clock: Pick<Clock, 'now'>;
  readonly #log: Log;
  /** When the log told of a route's last. */
  readonly #told = new WeakMap<Route, number>();

  constructor(clock: Pick<Clock, 'now'>, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  /** `headers`: those of the reply, with nothing taken out. @throws ForegateError `bad-reply` where the route refuses such a hold */
  check(route: Route, { mode }: Hold, headers: HeaderList): void {
    const sign = mode === 'none' ? undefined : cacheSign(headers);
    if (sign === undefined) return;
    if (route.cachedHolds === 'refuse') throw new ForegateError('bad-reply', `The reply with a hold is from a cache (${sign}).`);
    if (this.#isTime(route))
      this.#log.warn('hold.cached', {
        route: route.id,
        field: sign,
        detail:
          'A cache answers with a hold, so clients may get the channels of others: send holds with Cache-Control: no-store.',
      });
  }

  #isTime(route: Route): boolean {
    const now = this.#clock.now();
    const isTime = now - (this.#told.get(route) ?? -Infinity) >= warnEveryMs;
    if (isTime) this.#told.set(route, now);
    return isTime;
  }
}

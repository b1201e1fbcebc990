/** Ends sessions when their token or certificate does, however quiet they are. */
import type { Clock, Timer } from '../gateway/core/clock.ts';
import { deny } from '../gateway/core/policy.ts';
import type { SessionView } from '../gateway/core/session.ts';

export class Expiry {
  readonly #clock: Clock;
  readonly #detail: string;
  /** `gone` marks a session that ended while its token was still being checked. */
  readonly #timers = new WeakMap<SessionView, Timer | 'gone'>();

  constructor(clock: Clock, detail = 'The token has expired.') {
    this.#clock = clock;
    this.#detail = detail;
  }

  /** The latest time counts. */
  watch(session: SessionView, endsAt: number): void {
    const before = this.#timers.get(session);
    if (before === 'gone') return;
    before?.cancel();
    const leftMs = endsAt - this.#clock.now();
    if (leftMs <= 0) return session.end(deny('expired-token', this.#detail));
    // A timer can be shorter than asked for: the clock has a longest one, of 24 days.
    this.#timers.set(
      session,
      this.#clock.after(leftMs, () => this.watch(session, endsAt)),
    );
  }

  watches(session: SessionView): boolean {
    return this.#timers.has(session);
  }

  forget(session: SessionView): void {
    const timer = this.#timers.get(session);
    if (timer !== undefined && timer !== 'gone') timer.cancel();
    this.#timers.set(session, 'gone');
  }
}

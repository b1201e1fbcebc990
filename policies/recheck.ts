/** Asks again about sessions that last, and ends those that may not go on. */
import type { Clock, Timer } from '../gateway/core/clock.ts';
import { deny } from '../gateway/core/policy.ts';
import type { Denial, SessionView } from '../gateway/core/session.ts';

/** `unknown`: there was no answer. */
export type Finding = 'good' | 'unknown' | Denial;

/** Checks in a row without an answer, after which a session ends: whoever may not go on must not gain by a server that is away. */
export const unansweredMax = 3;

interface RecheckTerms {
  readonly everyMs: number;
  readonly clock: Clock;
  /** Never rejects. */
  readonly check: (session: SessionView) => Promise<Finding>;
}

export class Recheck {
  readonly #terms: RecheckTerms;
  /** `gone` marks a session that ended while it was being checked. */
  readonly #timers = new WeakMap<SessionView, Timer | 'gone'>();

  constructor(terms: RecheckTerms) {
    this.#terms = terms;
  }

  /** A second time it changes nothing. */
  watch(session: SessionView): void {
    if (!this.#timers.has(session)) this.#wait(session, 0);
  }

  forget(session: SessionView): void {
    const timer = this.#timers.get(session);
    if (timer !== undefined && timer !== 'gone') timer.cancel();
    this.#timers.set(session, 'gone');
  }

  #wait(session: SessionView, unanswered: number): void {
    const { clock, everyMs } = this.#terms;
    this.#timers.set(
      session,
      clock.after(everyMs, () => void this.#check(session, unanswered)),
    );
  }

  async #check(session: SessionView, unanswered: number): Promise<void> {
    const finding = await this.#terms.check(session);
    if (this.#timers.get(session) === 'gone') return;
    if (typeof finding === 'object') session.end(finding);
    else if (finding === 'good') this.#wait(session, 0);
    else if (unanswered + 1 < unansweredMax) this.#wait(session, unanswered + 1);
    else session.end(deny('auth-unavailable', 'Whether this may go on could not be found out.'));
  }
}

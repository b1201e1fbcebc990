/** Ends sessions when what their client has proved itself with does, however quiet they are; may warn the client before. */
import type { Clock, Timer } from '../gateway/core/clock.ts';
import { deny } from '../gateway/core/policy.ts';
import type { SessionView } from '../gateway/core/session.ts';

interface ExpiryTerms {
  /** What the client is told at the end. */
  readonly text: string;
  readonly warning?: Warning | undefined;
  /** Where another policy may prolong the session meanwhile: until when it has. */
  readonly prolonged?: (session: SessionView) => number;
}

export interface Warning {
  readonly beforeMs: number;
  /** What a WebSocket's client is sent. */
  readonly text: Buffer;
}

export class Expiry {
  readonly #clock: Clock;
  readonly #terms: ExpiryTerms;
  /** `gone` marks a session that ended while its credential was still being checked. */
  readonly #timers = new WeakMap<SessionView, Timer | 'gone'>();

  constructor(clock: Clock, terms: ExpiryTerms) {
    this.#clock = clock;
    this.#terms = terms;
  }

  /** The latest time that was told counts; without one the session does not end. */
  watch(session: SessionView, endsAt = Infinity): void {
    if (!this.#stop(session) || endsAt === Infinity) return;
    const { warning } = this.#terms;
    const warnsAt = warning === undefined || session.transport !== 'websocket' ? -Infinity : endsAt - warning.beforeMs;
    if (warnsAt <= this.#clock.now()) this.#awaitEnd(session, endsAt);
    else this.#at(warnsAt, session, () => this.#warn(session, endsAt));
  }

  forget(session: SessionView): void {
    this.#stop(session);
    this.#timers.set(session, 'gone');
  }

  #warn(session: SessionView, endsAt: number): void {
    const { warning } = this.#terms;
    if (warning !== undefined) session.send({ kind: 'text', data: warning.text });
    this.#awaitEnd(session, endsAt);
  }

  #awaitEnd(session: SessionView, endsAt: number): void {
    this.#at(endsAt, session, () => this.#due(session));
  }

  #due(session: SessionView): void {
    const endsAt = this.#terms.prolonged?.(session) ?? 0;
    if (endsAt > this.#clock.now()) this.watch(session, endsAt);
    else session.end(deny('expired-token', this.#terms.text));
  }

  #at(time: number, session: SessionView, act: () => void): void {
    const leftMs = time - this.#clock.now();
    if (leftMs <= 0) {
      act();
      return;
    }
    // A timer can be shorter than asked for: the clock has a longest one, of 24 days.
    this.#timers.set(
      session,
      this.#clock.after(leftMs, () => this.#at(time, session, act)),
    );
  }

  /** False for a session that has ended. */
  #stop(session: SessionView): boolean {
    const timer = this.#timers.get(session);
    if (timer === 'gone') return false;
    timer?.cancel();
    return true;
  }
}

/** Ends sessions when what their client has proved itself with does, however quiet they are; may warn the client before. */
import type { Clock, Timer } from '../gateway/core/clock.ts';
import { deny } from '../gateway/core/policy.ts';
import type { SessionView } from '../gateway/core/session.ts';

export interface Warning {
  readonly beforeMs: number;
  /** What a WebSocket's client is sent. */
  readonly text: Buffer;
}

export class Expiry {
  readonly #clock: Clock;
  /** What the client is told at the end. */
  readonly #text: string;
  readonly #warning: Warning | undefined;
  /** `gone` marks a session that ended while its credential was still being checked. */
  readonly #timers = new WeakMap<SessionView, Timer | 'gone'>();

  constructor(clock: Clock, text: string, warning?: Warning) {
    this.#clock = clock;
    this.#text = text;
    this.#warning = warning;
  }

  /** The session ends with its identity; again after the identity has changed. */
  watch(session: SessionView): void {
    if (!this.#stop(session)) return;
    const warnsAt = this.#warnsAt(session);
    if (warnsAt === undefined || warnsAt <= this.#clock.now()) this.#awaitEnd(session);
    else this.#at(warnsAt, session, () => this.#warn(session));
  }

  forget(session: SessionView): void {
    this.#stop(session);
    this.#timers.set(session, 'gone');
  }

  #warnsAt({ identity, transport }: SessionView): number | undefined {
    if (this.#warning === undefined || transport !== 'websocket' || identity?.expiresAt === undefined) return undefined;
    return identity.expiresAt - this.#warning.beforeMs;
  }

  #warn(session: SessionView): void {
    if (this.#warning !== undefined) session.send({ kind: 'text', data: this.#warning.text });
    this.#awaitEnd(session);
  }

  #awaitEnd(session: SessionView): void {
    const endsAt = session.identity?.expiresAt;
    if (endsAt === undefined) return;
    this.#at(endsAt, session, () => this.#due(session));
  }

  /** Another policy may have renewed the identity in the meantime. */
  #due(session: SessionView): void {
    const endsAt = session.identity?.expiresAt;
    if (endsAt === undefined) return;
    if (endsAt > this.#clock.now()) this.#awaitEnd(session);
    else session.end(deny('expired-token', this.#text));
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

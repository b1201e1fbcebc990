/** Bytes for the client of a stream after silence or at regular times; each period is up to a second shorter (GRIP 4.6). */
import type { Clock, Timer } from '../core/clock.ts';
import type { StreamKeepAlive } from '../core/hold.ts';

export class StreamKeepAliveTimer {
  readonly #clock: Clock;
  readonly #write: (data: Buffer) => void;
  #keepAlive: StreamKeepAlive | undefined;
  #timer: Timer | undefined;
  /** When the client last got something, for `idle`: cheaper than a new timer for every item. */
  #sentAt = 0;

  constructor(clock: Clock, write: (data: Buffer) => void) {
    this.#clock = clock;
    this.#write = write;
  }

  set(keepAlive: StreamKeepAlive | undefined): void {
    this.#keepAlive = keepAlive;
    this.#timer?.cancel();
    this.#sentAt = this.#clock.now();
    if (keepAlive !== undefined) this.#arm(keepAlive, keepAlive.timeoutMs);
  }

  sent(): void {
    if (this.#keepAlive !== undefined) this.#sentAt = this.#clock.now();
  }

  #arm(keepAlive: StreamKeepAlive, ms: number): void {
    this.#timer = this.#clock.after(Math.max(ms - Math.random() * Math.min(1000, ms / 2), 1), () => this.#due(keepAlive));
  }

  #due(keepAlive: StreamKeepAlive): void {
    const silentMs = this.#clock.now() - this.#sentAt;
    if (keepAlive.mode === 'idle' && silentMs < keepAlive.timeoutMs - 1000) {
      this.#arm(keepAlive, keepAlive.timeoutMs - silentMs);
      return;
    }
    this.#sentAt = this.#clock.now();
    this.#write(keepAlive.data);
    this.#arm(keepAlive, keepAlive.timeoutMs);
  }
}

/** The timers that a backend may set for a session: ask it after silence (GRIP 2.7), frames for the client (GRIP 3.3). Made at first use. */
import type { Message } from '../core/event.ts';
import type { KeepAlive } from '../core/instruction.ts';

export interface TimersHost {
  ask(): void;
  send(message: Message): void;
  /** The same, unless the client has left as much as it may: silence is not what it suffers from. */
  keepAlive(message: Message): void;
}

export class SessionTimers {
  readonly #host: TimersHost;
  #askEveryMs: number | undefined;
  #ask: NodeJS.Timeout | undefined;
  #keepAlive: KeepAlive | undefined;
  #frame: NodeJS.Timeout | undefined;
  #delayed: { message: Message; timer: NodeJS.Timeout } | undefined;

  constructor(host: TimersHost) {
    this.#host = host;
  }

  get asks(): boolean {
    return this.#askEveryMs !== undefined;
  }

  /** Takes effect when the request in flight has ended. */
  askEvery(intervalMs: number | undefined): void {
    this.#askEveryMs = intervalMs;
    clearTimeout(this.#ask);
  }

  /** A request ended and none follows: the silence towards the backend begins. */
  rested(): void {
    if (this.#askEveryMs === undefined) return;
    clearTimeout(this.#ask);
    this.#ask = setTimeout(() => this.#host.ask(), this.#askEveryMs).unref();
  }

  keepAlive(keepAlive: KeepAlive | undefined): void {
    this.#keepAlive = keepAlive;
    this.#armFrame();
  }

  /** A frame went to the client. */
  sent(): void {
    if (this.#keepAlive?.mode === 'idle') this.#frame?.refresh();
  }

  /** A second delayed message lets the first go at once. */
  sendDelayed(message: Message, delayMs: number): void {
    this.flushDelayed();
    this.#delayed = { message, timer: setTimeout(() => this.flushDelayed(), delayMs).unref() };
  }

  flushDelayed(): void {
    const delayed = this.#delayed;
    if (delayed === undefined) return;
    this.#delayed = undefined;
    clearTimeout(delayed.timer);
    this.#host.send(delayed.message);
  }

  cancel(): void {
    this.#askEveryMs = undefined;
    this.#keepAlive = undefined;
    clearTimeout(this.#ask);
    clearTimeout(this.#frame);
    clearTimeout(this.#delayed?.timer);
    this.#delayed = undefined;
  }

  /** Each period is up to a second shorter, so that many sessions do not speak at once. */
  #armFrame(): void {
    clearTimeout(this.#frame);
    const keepAlive = this.#keepAlive;
    if (keepAlive === undefined) return;
    const timer = setTimeout(
      () => {
        this.#host.keepAlive(keepAlive.message);
        if (this.#frame === timer) this.#armFrame();
      },
      Math.max(keepAlive.timeoutMs - Math.random() * 1000, 1),
    ).unref();
    this.#frame = timer;
  }
}

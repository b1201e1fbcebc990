/**
 * Word when a target is back: while somebody waits for it, one connection is tried every half second, and the first that is
 * made, by the watch or by a request, wakes everybody.
 */
import net from 'node:net';
import type { Reach } from './public-only.ts';

const tryEveryMs = 500;

export class ReturnWatch {
  readonly #address: net.TcpNetConnectOpts;
  readonly #timeoutMs: number;
  readonly #waiting = new Set<(back: boolean) => void>();
  #next: NodeJS.Timeout | undefined;
  #probe: net.Socket | undefined;

  constructor(origin: string, timeoutMs: number, reach: Reach) {
    const url = new URL(origin);
    const port = Number(url.port) || (url.protocol === 'https:' || url.protocol === 'wss:' ? 443 : 80);
    this.#address = { host: url.hostname.replace(/^\[|\]$/g, ''), port, ...reach };
    this.#timeoutMs = timeoutMs;
  }

  /** Resolves true when the target takes connections again, false after `ms`. */
  wait(ms: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => settle(false), ms);
      const settle = (back: boolean): void => {
        clearTimeout(timer);
        this.#waiting.delete(settle);
        resolve(back);
      };
      this.#waiting.add(settle);
      this.#schedule();
    });
  }

  /** A request was answered. */
  returned(): void {
    if (this.#waiting.size === 0) return;
    for (const settle of this.#waiting) settle(true);
  }

  close(): void {
    clearTimeout(this.#next);
    this.#probe?.destroy();
    for (const settle of this.#waiting) settle(false);
  }

  #schedule(): void {
    if (this.#next !== undefined || this.#probe !== undefined) return;
    this.#next = setTimeout(() => this.#try(), tryEveryMs);
  }

  #try(): void {
    this.#next = undefined;
    if (this.#waiting.size === 0) return;
    const probe = net.connect({ ...this.#address, timeout: this.#timeoutMs });
    this.#probe = probe;
    const done = (back: boolean): void => {
      probe.destroy();
      this.#probe = undefined;
      if (back) this.returned();
      if (this.#waiting.size > 0) this.#schedule();
    };
    probe.once('connect', () => done(true));
    probe.once('timeout', () => done(false));
    probe.once('error', () => done(false));
  }
}

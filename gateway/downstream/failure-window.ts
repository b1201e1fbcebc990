/** Requests and failures of the last so many milliseconds, to a tenth of the window. */
const parts = 10;

export interface Seen {
  readonly requests: number;
  readonly failures: number;
}

export class FailureWindow {
  readonly #partMs: number;
  readonly #requests = new Uint32Array(parts);
  readonly #failures = new Uint32Array(parts);
  /** The part that counts now: milliseconds since 1970 in parts. */
  #part = 0;

  constructor(windowMs: number) {
    this.#partMs = windowMs / parts;
  }

  /** Counts one and tells what the window has then. A clock that is set back stands still here. */
  add(failed: boolean, nowMs: number): Seen {
    this.#goOnTo(Math.floor(nowMs / this.#partMs));
    const at = this.#part % parts;
    this.#requests[at] = (this.#requests[at] ?? 0) + 1;
    if (failed) this.#failures[at] = (this.#failures[at] ?? 0) + 1;
    return { requests: sum(this.#requests), failures: sum(this.#failures) };
  }

  clear(): void {
    this.#requests.fill(0);
    this.#failures.fill(0);
  }

  #goOnTo(part: number): void {
    const passed = Math.min(part - this.#part, parts);
    for (let i = 1; i <= passed; i += 1) {
      this.#requests[(part - passed + i) % parts] = 0;
      this.#failures[(part - passed + i) % parts] = 0;
    }
    this.#part = Math.max(part, this.#part);
  }
}

function sum(counts: Uint32Array): number {
  return counts.reduce((total, count) => total + count, 0);
}

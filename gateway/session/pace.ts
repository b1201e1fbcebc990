/** Lets so many things begin in any second; the others wait for their turn. */
import type { Clock } from '../core/clock.ts';

export class Pace {
  readonly #clock: Clock;
  readonly #perSecond: number;
  readonly #rests: () => void;
  readonly #waiting: (() => void)[] = [];
  #taken = 0;

  /** `rests` is called when nothing has begun for a second and nothing waits. */
  constructor(clock: Clock, perSecond: number, rests: () => void) {
    this.#clock = clock;
    this.#perSecond = perSecond;
    this.#rests = rests;
  }

  /** Each turn ends with {@link began} or {@link giveBack}. */
  turn(): Promise<void> | undefined {
    if (this.#taken >= this.#perSecond) return new Promise((resolve) => this.#waiting.push(resolve));
    this.#taken += 1;
    return undefined;
  }

  began(): void {
    this.#clock.after(1000, () => this.giveBack());
  }

  giveBack(): void {
    const next = this.#waiting.shift();
    if (next !== undefined) {
      next();
      return;
    }
    this.#taken -= 1;
    if (this.#taken === 0) this.#rests();
  }
}

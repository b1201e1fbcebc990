/** What servers have answered, for a time and up to a number; and questions under way, which several clients may have at once. */
import type { Clock } from '../gateway/core/clock.ts';
import { limits } from '../gateway/core/limits.ts';

/** Keys are digests: what is remembered holds no credential. */
export class Answers<Answer> {
  readonly #clock: Clock;
  readonly #answers = new Map<string, { readonly answer: Answer; readonly until: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get(key: string): Answer | undefined {
    const kept = this.#answers.get(key);
    return kept !== undefined && this.#clock.now() < kept.until ? kept.answer : undefined;
  }

  keep(key: string, answer: Answer, forMs: number): void {
    this.#answers.delete(key);
    if (forMs <= 0) return;
    this.#answers.set(key, { answer, until: this.#clock.now() + forMs });
    if (this.#answers.size <= limits.authAnswers) return;
    for (const oldest of this.#answers.keys()) {
      this.#answers.delete(oldest);
      return;
    }
  }

  forget(key: string): void {
    this.#answers.delete(key);
  }
}

/** Whoever has the same question while it is under way gets the same answer. */
export class Questions<Answer> {
  readonly #asked = new Map<string, Promise<Answer>>();

  ask(key: string, ask: () => Promise<Answer>): Promise<Answer> {
    const asked = this.#asked.get(key);
    if (asked !== undefined) return asked;
    const asking = ask().finally(() => this.#asked.delete(key));
    this.#asked.set(key, asking);
    return asking;
  }
}

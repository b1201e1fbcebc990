/** What a turn of the event loop brought is asked in one call, so that a burst costs one round trip, in the order in which it came. */
import { limits } from '../core/limits.ts';
import type { MaybePromise } from '../core/promise.ts';

export interface BatchParts<Ask, Answer> {
  /** Asks for all at once; an answer for each, in their order, or undefined: there is none. Never rejects. */
  readonly ask: (asks: readonly Ask[], settled: () => void) => Promise<readonly Answer[] | undefined>;
  /** The answer without Redis. */
  readonly decide: (ask: Ask) => MaybePromise<Answer>;
}

interface Waiting<Ask, Answer> {
  readonly ask: Ask;
  readonly answer: (answer: MaybePromise<Answer>) => void;
}

export class Batch<Ask, Answer> {
  readonly #parts: BatchParts<Ask, Answer>;
  /** Of this turn. */
  #waiting: Waiting<Ask, Answer>[] = [];
  /** What Redis has not answered, that included which waits no longer. */
  #unanswered = 0;

  constructor(parts: BatchParts<Ask, Answer>) {
    this.#parts = parts;
  }

  /** No more may wait. */
  get full(): boolean {
    return this.#unanswered >= limits.storeWaiting;
  }

  add(ask: Ask): Promise<Answer> {
    return new Promise((answer) => this.#gather({ ask, answer }));
  }

  #gather(waiting: Waiting<Ask, Answer>): void {
    this.#unanswered += 1;
    this.#waiting.push(waiting);
    if (this.#waiting.length === 1) setImmediate(() => void this.#send());
    else if (this.#waiting.length === limits.storeBatch) void this.#send();
  }

  async #send(): Promise<void> {
    const batch = this.#waiting;
    if (batch.length === 0) return;
    this.#waiting = [];
    const settled = (): void => {
      this.#unanswered -= batch.length;
    };
    const answers = await this.#parts.ask(
      batch.map(({ ask }) => ask),
      settled,
    );
    for (const [index, { ask, answer }] of batch.entries()) answer(answers?.[index] ?? this.#parts.decide(ask));
  }
}

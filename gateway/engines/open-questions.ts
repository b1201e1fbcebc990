/** Questions that one worker asked the others, until all have answered or the time is over. */
import type { Clock, Timer } from '../core/clock.ts';
import { limits } from '../core/limits.ts';
import type { Asked } from '../core/question.ts';

interface Open<Port> {
  readonly left: Set<Port>;
  readonly answers: unknown[];
  readonly done: (asked: Asked<unknown>) => void;
  readonly deadline: Timer;
  failed: number;
}

export class OpenQuestions<Port> {
  readonly #clock: Clock;
  readonly #open = new Map<number, Open<Port>>();
  #count = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Its number. `done` is called once, within {@link limits.askMs}; at once where there is nobody to ask. */
  open(of: readonly Port[], done: (asked: Asked<unknown>) => void): number {
    const number = (this.#count += 1);
    const deadline = this.#clock.after(limits.askMs, () => this.#close(number));
    this.#open.set(number, { left: new Set(of), answers: [], done, deadline, failed: 0 });
    if (of.length === 0) this.#close(number);
    return number;
  }

  /** Answers that come too late, or twice, are for nobody. */
  answered(number: number, by: Port, { answer, failed }: { readonly answer?: unknown; readonly failed?: true }): void {
    const question = this.#open.get(number);
    if (question?.left.delete(by) !== true) return;
    if (failed) question.failed += 1;
    else question.answers.push(answer);
    if (question.left.size === 0) this.#close(number);
  }

  /** Nobody waits for its answers any more. */
  forget(port: Port): void {
    for (const [number, { left }] of this.#open) if (left.delete(port) && left.size === 0) this.#close(number);
  }

  close(): void {
    for (const { deadline } of this.#open.values()) deadline.cancel();
    this.#open.clear();
  }

  #close(number: number): void {
    const question = this.#open.get(number);
    if (question === undefined) return;
    this.#open.delete(number);
    question.deadline.cancel();
    question.done({ answers: question.answers, failed: question.failed, silent: question.left.size });
  }
}

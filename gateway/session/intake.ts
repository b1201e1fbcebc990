/**
 * Puts a client's events upstream in the order they came, though the verdicts on them may take their time: those of successive
 * messages are awaited at the same time and taken in order. Synchronous as long as the verdicts are.
 */
import type { ClientEvent, Message } from '../core/event.ts';
import { isMessage } from '../core/event.ts';
import type { Verdict } from '../core/policy.ts';
import { isPromise, type MaybePromise } from '../core/promise.ts';
import type { Denial } from '../core/session.ts';

/** Messages whose verdicts may be outstanding before the client is not read any more. */
const waitingMax = 1024;

export interface IntakeHost {
  forward(event: ClientEvent): void;
  denied(denial: Denial, message: Message): void;
  pause(): void;
  resume(): void;
}

interface Entry {
  readonly event: ClientEvent;
  verdict: Verdict;
  settled: boolean;
  /** When a delay ends, which began with the verdict. */
  dueAt: number;
}

export class Intake {
  readonly #host: IntakeHost;
  /** Made when the first verdict has to be waited for. */
  #waiting: Entry[] | undefined;
  #held = false;
  #paused = false;

  constructor(host: IntakeHost) {
    this.#host = host;
  }

  take(event: ClientEvent, verdict: MaybePromise<Verdict>): void {
    if (!isPromise(verdict) && verdict?.kind !== 'delay' && !this.#waiting?.length) this.#settle(event, verdict);
    else this.#wait(event, verdict);
  }

  /** Nothing that waits goes on any more; the client is read again. */
  clear(): void {
    this.#waiting = undefined;
    this.#held = false;
    this.#resume();
  }

  #settle(event: ClientEvent, verdict: Verdict): void {
    if (verdict === undefined) this.#host.forward(event);
    else if (verdict.kind === 'deny' && isMessage(event)) this.#host.denied(verdict, event);
  }

  #wait(event: ClientEvent, verdict: MaybePromise<Verdict>): void {
    const entry: Entry = { event, verdict: undefined, settled: false, dueAt: 0 };
    this.#waiting ??= [];
    this.#waiting.push(entry);
    if (this.#waiting.length >= waitingMax) this.#pause();
    if (isPromise(verdict)) {
      void verdict.then((later) => this.#arrived(entry, later));
      return;
    }
    this.#arrived(entry, verdict);
  }

  #arrived(entry: Entry, verdict: Verdict): void {
    entry.verdict = verdict;
    entry.settled = true;
    if (verdict?.kind === 'delay') entry.dueAt = performance.now() + verdict.ms;
    this.#drain();
  }

  #drain(): void {
    const waiting = this.#waiting;
    if (waiting === undefined || this.#held) return;
    let taken = 0;
    for (let first = waiting[0]; first?.settled; first = waiting[taken]) {
      if (first.verdict?.kind === 'delay') {
        this.#hold(first);
        break;
      }
      taken += 1;
      this.#settle(first.event, first.verdict);
      if (this.#waiting !== waiting) return;
    }
    waiting.splice(0, taken);
    if (waiting.length < waitingMax / 2) this.#resume();
  }

  /** The first waiting event goes on after its delay; the client is not read meanwhile. */
  #hold(first: Entry): void {
    this.#held = true;
    this.#pause();
    first.verdict = undefined;
    setTimeout(
      () => {
        this.#held = false;
        this.#drain();
      },
      Math.max(0, first.dueAt - performance.now()),
    );
  }

  #pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#host.pause();
  }

  #resume(): void {
    if (!this.#paused || this.#held) return;
    this.#paused = false;
    this.#host.resume();
  }
}

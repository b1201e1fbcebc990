/**
 * One request in flight (GRIP 2.5): client events wait here, go out together, and what the backend handed back goes first next
 * time. The pump decides when a request is made; what it carries and what its reply means is the business of its parts.
 */
import { ForegateError, toForegateError } from '../core/errors.ts';
import type { Timer } from '../core/clock.ts';
import { contentBytes, type ClientEvent } from '../core/event.ts';
import type { Batch } from '../core/exchange.ts';
import type { Step } from '../core/instruction.ts';
import { limits } from '../core/limits.ts';
import { isPromise, type MaybePromise } from '../core/promise.ts';
import type { Outcome } from './exchange.ts';
import type { FaultOutcome } from './fault-delay.ts';
import type { Upstream } from './upstream.ts';

/** What a pump needs of its session. */
export interface PumpHost {
  /** Several waiting events may share a request. */
  readonly batches: boolean;
  /** Content that may wait, in bytes: above it the client is not read. */
  readonly queueBytes: number;
  /** DISCONNECT also after a failed exchange. */
  readonly notifiesAfterFailure: boolean;
  exchange(batch: Batch): Promise<Outcome>;
  apply(steps: readonly Step[]): MaybePromise<void>;
  /** Milliseconds after which the same request is made again; undefined: it is not. `sent`: so often it was. */
  repeatsAfter(outcome: FaultOutcome, sent: number): number | undefined;
  after(ms: number, run: () => void): Timer;
  /** A fault or a denial: true to go on with the next events. */
  refused(outcome: Exclude<Outcome, { kind: 'decoded' }>, batch: Batch): boolean;
  failed(error: ForegateError): void;
  /** The backend took the client's close and did not answer it: true to offer it again with the next request. */
  closeUnanswered(): boolean;
  /** Nothing more of this session is to be sent. */
  upstreamFinished(): void;
  /** A request ended and no other follows. */
  rested(): void;
  pause(): void;
  resume(): void;
  /** Undefined when there is room for more towards the client; else resolves when there is. */
  room(): Promise<void> | undefined;
}

type End = 'no' | 'lost' | 'detached' | 'stopped';

export class Pump implements Upstream {
  readonly #host: PumpHost;
  #queue: ClientEvent[] = [];
  #bytes = 0;
  /** Events at the head of the queue that have been offered before: alone they start no request. */
  #offered = 0;
  #asked = false;
  /** A request is in flight, or what came with the acceptance is not applied yet. */
  #busy = true;
  #scheduled = false;
  #paused = false;
  #end: End = 'no';
  #closeTaken = false;
  /** Ends the wait before a refused request is made again. */
  #wake: (() => void) | undefined;

  constructor(host: PumpHost) {
    this.#host = host;
  }

  get #full(): boolean {
    return this.#bytes > this.#host.queueBytes || this.#queue.length > limits.queueEvents;
  }

  get finished(): boolean {
    return this.#end === 'stopped' && !this.#busy;
  }

  begin(steps: readonly Step[]): MaybePromise<void> {
    if (steps.length === 0) {
      this.#rest();
      return undefined;
    }
    return this.#guarded(async () => {
      const applying = this.#host.apply(steps);
      if (isPromise(applying)) await applying;
    });
  }

  push(event: ClientEvent): void {
    if (this.#end !== 'no') return;
    this.#queue.push(event);
    this.#bytes += contentBytes(event);
    if (event.kind === 'close') this.#wake?.();
    if (this.#full && !this.#paused) {
      this.#paused = true;
      this.#host.pause();
    }
    this.#schedule();
  }

  ask(): void {
    if (this.#end !== 'no') return;
    this.#asked = true;
    this.#schedule();
  }

  lost(): void {
    if (this.#end === 'lost' || this.#end === 'detached' || this.#end === 'stopped') return;
    this.#replaceQueue([{ kind: 'disconnect' }]);
    this.#end = 'lost';
    this.#wake?.();
    this.#schedule();
  }

  detach(): void {
    if (this.#end !== 'no') return;
    this.#replaceQueue([{ kind: 'close', reason: '' }]);
    this.#end = 'detached';
    this.#wake?.();
    this.#schedule();
  }

  discard(): void {
    this.#replaceQueue(this.#queue.filter((event) => event.kind === 'close'));
  }

  stop(): void {
    if (this.#end === 'stopped') return;
    this.#replaceQueue([]);
    this.#end = 'stopped';
    this.#wake?.();
    if (!this.#busy) this.#host.upstreamFinished();
  }

  /** What one read of the socket brought goes together: the request starts when the reading is done. */
  #schedule(): void {
    if (this.#busy || this.#scheduled) return;
    this.#scheduled = true;
    process.nextTick(runScheduled, this);
  }

  /** For the scheduler alone. */
  runScheduled(): void {
    this.#scheduled = false;
    if (!this.#busy && this.#due()) void this.#run();
  }

  #due(): boolean {
    return this.#end !== 'stopped' && (this.#asked || this.#queue.length > this.#offered);
  }

  async #run(): Promise<void> {
    await this.#guarded(async () => {
      while (this.#due()) {
        const room = this.#host.room();
        if (room !== undefined) await room;
        const batch = this.#take();
        const farewell = this.#end !== 'no';
        const first = await this.#host.exchange(batch);
        const outcome = first.kind === 'fault' && !farewell ? await this.#repeated(first, batch) : first;
        if (this.#end === 'stopped') break;
        if (outcome === undefined) continue;
        const reading = farewell ? undefined : this.#read(outcome, batch); // What is said to a farewell does not matter.
        if (isPromise(reading)) await reading;
        this.#settle(batch);
      }
    });
  }

  /** A refused request may be made again; undefined: the session ended before, and what it carried is dropped. */
  async #repeated(first: FaultOutcome, batch: Batch): Promise<Outcome | undefined> {
    let outcome: Outcome = first;
    for (let sent = 1; outcome.kind === 'fault' && !this.#ends() && !this.#closes(batch); sent += 1) {
      const ms = this.#host.repeatsAfter(outcome, sent);
      if (ms === undefined) break;
      await this.#pause(ms);
      if (this.#ends()) return undefined;
      outcome = await this.#host.exchange({ ...batch, repeated: true });
    }
    return outcome;
  }

  /** A client that closes waits for nothing: what it sent before is tried once more, with its close behind it. */
  #closes({ events }: Batch): boolean {
    return [...events.slice(-1), ...this.#queue.slice(-1)].some(({ kind }) => kind === 'close');
  }

  #ends(): boolean {
    return this.#end !== 'no';
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        timer.cancel();
        this.#wake = undefined;
        resolve();
      };
      const timer = this.#host.after(ms, done);
      this.#wake = done;
    });
  }

  #read(outcome: Outcome, batch: Batch): MaybePromise<void> {
    if (outcome.kind === 'decoded') {
      this.#putBack(outcome.remaining, batch);
      return this.#host.apply(outcome.steps);
    }
    if (!this.#host.refused(outcome, batch)) this.#giveUp();
    this.#closeTaken = batch.events.at(-1)?.kind === 'close';
    return undefined;
  }

  /** Whatever fails ends the session. */
  async #guarded(work: () => Promise<void>): Promise<void> {
    this.#busy = true;
    try {
      await work();
    } catch (thrown) {
      this.#giveUp();
      this.#host.failed(toForegateError(thrown));
    }
    this.#rest();
  }

  /** Nothing is in flight: what was asked for meanwhile comes next. */
  #rest(): void {
    this.#busy = false;
    if (this.#end === 'stopped') this.#host.upstreamFinished();
    else if (this.#due()) this.#schedule();
    else this.#host.rested();
  }

  /** The next batch: all that waits, up to the limit, or one event. The queue keeps nothing of it. */
  #take(): Batch {
    this.#asked = false;
    const count = this.#host.batches ? this.#fitting() : Math.min(1, this.#queue.length);
    const events = count === this.#queue.length ? this.#queue : this.#queue.slice(0, count);
    const replayedBytes = sum(events.slice(0, this.#offered));
    this.#queue = count === this.#queue.length ? [] : this.#queue.slice(count);
    this.#bytes -= sum(events);
    this.#offered = 0;
    if (this.#paused && !this.#full) {
      this.#paused = false;
      this.#host.resume();
    }
    return { events, replayedBytes, more: this.#queue.length > 0 };
  }

  #fitting(): number {
    let bytes = 0;
    let count = 0;
    while (count < this.#queue.length && bytes < this.#host.queueBytes) {
      const event = this.#queue[count];
      if (event !== undefined) bytes += contentBytes(event);
      count += 1;
    }
    return count;
  }

  /** Handed-back events go first next time; alone they do not start a request, only a new event does. */
  #putBack(remaining: readonly ClientEvent[], batch: Batch): void {
    this.#closeTaken = remaining.length === 0 && batch.events.at(-1)?.kind === 'close';
    if (remaining.length === 0 || this.#end !== 'no') return;
    this.#queue = [...remaining, ...this.#queue];
    this.#bytes += sum(remaining);
    this.#offered = remaining.length;
    if (this.#bytes > this.#host.queueBytes && sum(remaining) === sum(batch.events)) {
      throw new ForegateError('bad-reply', 'The backend accepts nothing while the queue is full.');
    }
  }

  /** After a request: has it ended the session's talk with the backend? */
  #settle(batch: Batch): void {
    const last = batch.events.at(-1)?.kind;
    if (last === 'disconnect' || (last === 'close' && this.#end === 'detached')) this.#stopAfter();
    if (!this.#closeTaken) return;
    this.#closeTaken = false;
    if (this.#end === 'no' && this.#host.closeUnanswered()) this.#offerAgain(batch);
  }

  #offerAgain(batch: Batch): void {
    const close = batch.events.at(-1);
    if (close === undefined) return;
    this.#replaceQueue([close]);
    this.#offered = 1;
  }

  #stopAfter(): void {
    this.#replaceQueue([]);
    this.#end = 'stopped';
  }

  /** After a failure the backend hears nothing more, unless its route asks for the DISCONNECT all the same. */
  #giveUp(): void {
    const tell = this.#host.notifiesAfterFailure && this.#end === 'no';
    this.#replaceQueue(tell ? [{ kind: 'disconnect' }] : []);
    this.#end = tell ? 'lost' : 'stopped';
  }

  #replaceQueue(events: ClientEvent[]): void {
    this.#queue = events;
    this.#bytes = sum(events);
    this.#offered = 0;
    this.#asked = false;
  }
}

function runScheduled(pump: Pump): void {
  pump.runScheduled();
}

function sum(events: readonly ClientEvent[]): number {
  let bytes = 0;
  for (const event of events) bytes += contentBytes(event);
  return bytes;
}

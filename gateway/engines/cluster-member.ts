/** A worker's end of the channel to its primary: calls and their answers, questions of other workers, and what is to be heard. */
import type { BusReceiver } from '../core/bus.ts';
import type { Clock } from '../core/clock.ts';
import { ForegateError } from '../core/errors.ts';
import type { ChannelName } from '../core/ids.ts';
import { limits } from '../core/limits.ts';
import type { Log } from '../core/log.ts';
import type { MaybePromise } from '../core/promise.ts';
import type { Answers, Asked, Question } from '../core/question.ts';
import type { Calls, CallKind, Frame, ToPrimary, ToWorker } from './cluster-messages.ts';
import { Outbox, type SendFrame } from './outbox.ts';

export interface MemberParts {
  /** Of this worker, from 1 on; a worker that replaces another has the number of that one. */
  readonly number: number;
  /** See `PolicyContext`. */
  readonly programKey: Buffer;
  readonly send: SendFrame<ToPrimary>;
  readonly clock: Clock;
  readonly log: Log;
}

/** What the program does about what it hears; the bus and the store bring their own. */
export interface MemberListener {
  /** @throws whatever keeps it from doing it */
  answer(question: Question): MaybePromise<unknown>;
  /** Of a collector: a channel that some worker wants, or none any more. */
  wanted(channel: ChannelName, wanted: boolean): void;
}

interface Waiting {
  readonly resolve: (value: never) => void;
  readonly reject: (error: Error) => void;
  readonly dueMs: number;
}

export class ClusterMember {
  readonly number: number;
  readonly programKey: Buffer;
  readonly #outbox: Outbox<ToPrimary>;
  readonly #clock: Clock;
  readonly #log: Log;
  /** In the order in which they were made, which is that of their deadlines. */
  readonly #waiting = new Map<number, Waiting>();
  #calls = 0;
  /** A timer runs for the first deadline. */
  #watches = false;
  #complete = false;
  #receiver: BusReceiver | undefined;
  #lost: ((key: string, holder: string) => void) | undefined;
  #listener: MemberListener | undefined;

  constructor({ number, programKey, send, clock, log }: MemberParts) {
    this.number = number;
    this.programKey = programKey;
    this.#outbox = new Outbox(send);
    this.#clock = clock;
    this.#log = log;
  }

  /** All workers are up, or were once. */
  get complete(): boolean {
    return this.#complete;
  }

  /** From now on it hears of everything: also of all revocations that were before. @throws ForegateError when the primary is silent */
  async join(listener: MemberListener, { collector }: { readonly collector: boolean }): Promise<void> {
    this.#listener = listener;
    await this.call('join', { collector });
  }

  /** @throws ForegateError `internal` when the primary does not answer within {@link limits.ipcMs} */
  call<Kind extends CallKind>(kind: Kind, message: Calls[Kind]['message'], bytes = 0): Promise<Calls[Kind]['reply']> {
    const call = (this.#calls += 1);
    // The compiler cannot join a kind with the rest of its own message.
    this.#outbox.push({ kind, call, ...message } as unknown as ToPrimary, bytes);
    return new Promise<Calls[Kind]['reply']>((resolve, reject) => {
      this.#waiting.set(call, { resolve, reject, dueMs: this.#clock.now() + limits.ipcMs });
      if (!this.#watches) this.#watch(limits.ipcMs);
    });
  }

  say(message: ToPrimary): void {
    this.#outbox.push(message);
  }

  /** What all other workers answer. Those that do not are told in the log. */
  async ask<Kind extends Question['kind']>(question: Question & { readonly kind: Kind }): Promise<Asked<Answers[Kind]>> {
    const asked = await this.call('ask', { question });
    const { failed, silent } = asked;
    if (failed + silent > 0) this.#log.warn('workers.no-answer', { question: question.kind, failed, silent });
    return asked as Asked<Answers[Kind]>; // Each worker answers by the same code.
  }

  /** For the bus. */
  receive(receiver: BusReceiver): void {
    this.#receiver = receiver;
  }

  /** For the store. */
  onLost(lost: (key: string, holder: string) => void): void {
    this.#lost = lost;
  }

  /** Takes a frame of the primary. */
  readonly take = (frame: Frame<ToWorker>): void => {
    for (const message of frame) this.#heed(message);
  };

  #heed(message: ToWorker): void {
    switch (message.kind) {
      case 'reply':
        return this.#settle(message.call, message.value as never);
      case 'deliver':
        return this.#receiver?.deliver(message.publication);
      case 'notice':
        return this.#receiver?.notice(message.notice);
      case 'lost':
        return this.#lost?.(message.key, message.holder);
      case 'question':
        return void this.#answer(message.question, message.asked);
      case 'wanted':
        return this.#listener?.wanted(message.channel, message.wanted);
      case 'complete':
        this.#complete = true;
    }
  }

  #settle(call: number, value: never): void {
    const waiting = this.#waiting.get(call);
    this.#waiting.delete(call);
    waiting?.resolve(value);
  }

  async #answer(question: number, asked: Question): Promise<void> {
    try {
      this.say({ kind: 'answer', question, answer: await this.#listener?.answer(asked) });
    } catch (error) {
      this.#log.error('workers.answer-failed', { question: asked.kind, error });
      this.say({ kind: 'answer', question, failed: true });
    }
  }

  #watch(ms: number): void {
    this.#watches = true;
    this.#clock.after(ms, this.#expire);
  }

  readonly #expire = (): void => {
    this.#watches = false;
    const now = this.#clock.now();
    for (const [call, { reject, dueMs }] of this.#waiting) {
      if (dueMs > now) return this.#watch(dueMs - now);
      this.#waiting.delete(call);
      reject(new ForegateError('internal', 'The primary process does not answer.'));
    }
  };
}

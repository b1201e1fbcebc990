/** The sending end of a channel between two processes: what one turn of the event loop brings goes in one frame. */
import type { Frame } from './cluster-messages.ts';

/** Hands a frame to the system; calls `written` when it has taken it, or the other process is gone. */
export type SendFrame<Message> = (frame: Frame<Message>, written: () => void) => void;

export class Outbox<Message> {
  readonly #send: SendFrame<Message>;
  #frame: Message[] = [];
  #frameBytes = 0;
  #waitingBytes = 0;

  constructor(send: SendFrame<Message>) {
    this.#send = send;
  }

  /** Bytes that were stated and that the system has not taken yet. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** `bytes`: about its size, where it may be large. */
  push(message: Message, bytes = 0): void {
    if (this.#frame.push(message) === 1) queueMicrotask(this.#flush);
    this.#frameBytes += bytes;
    this.#waitingBytes += bytes;
  }

  readonly #flush = (): void => {
    const [frame, bytes] = [this.#frame, this.#frameBytes];
    this.#frame = [];
    this.#frameBytes = 0;
    this.#send(frame, () => (this.#waitingBytes -= bytes));
  };
}

/**
 * A SockJS client that asks for frames, again and again: what there is for it waits here until it asks, and it is gone when it does
 * not ask any more. To its session it is a socket like any other.
 */
import type { ClientSocket } from '../core/client-socket.ts';
import type { Timer } from '../core/clock.ts';
import type { Message } from '../core/event.ts';
import { limits } from '../core/limits.ts';
import { arrayFrame, closeFrame, element, heartbeatFrame, openFrame } from '../wire/sockjs-frames.ts';
import type { SocketListener } from './client-websocket.ts';
import type { Poll } from './sockjs-poll.ts';
import type { SockJsParts } from './sockjs-websocket.ts';

/** Small pieces cost more than their bytes: so many are joined. */
const piecesMax = 256;
const nothing = Buffer.alloc(0);

/** `opening`: the first poll waits for the backend's answer. `ended`: all there is to say is the last frame. */
type Phase = 'opening' | 'open' | 'closing' | 'ended';

export interface PollingParts extends SockJsParts {
  /** It is over: its last frame is repeated until `forget`. False: there is no room for that. */
  readonly ended: () => boolean;
  readonly forget: () => void;
}

export class SockJsPolling implements ClientSocket {
  readonly #parts: PollingParts;
  #phase: Phase = 'opening';
  #listener: SocketListener | undefined;
  #poll: Poll | undefined;
  /** Elements of arrays. */
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #lastFrame = closeFrame(1002, 'Connection interrupted');
  #closeCode: number | undefined;
  #closeReason = '';
  #timer: Timer | undefined;
  #drained: (() => void)[] = [];
  #paused = false;
  /** Answers to bodies, which wait until the session reads on. */
  #held: (() => void)[] = [];

  constructor(parts: PollingParts) {
    this.#parts = parts;
  }

  /** The client left before it was accepted. */
  get left(): boolean {
    return this.#phase === 'ended';
  }

  /** Takes bodies. */
  get open(): boolean {
    return this.#phase === 'open';
  }

  // What the client does.

  /** It asks for frames. */
  asked(poll: Poll): void {
    if (this.#poll !== undefined) {
      poll.last(closeFrame(2010, 'Another connection still open'));
      return;
    }
    this.#poll = poll;
    poll.onOver(() => this.#answered(poll));
    if (this.#phase !== 'opening') this.#serve();
  }

  /** It sent a body; `then` is called when it may send the next. */
  sent(messages: readonly Message[], then: () => void): void {
    for (const message of messages) this.#listener?.received(message);
    if (this.#paused && this.open) this.#held.push(then);
    else then();
  }

  violated(closeCode: number): void {
    this.#listener?.violated(closeCode);
  }

  // The answer to the first poll.

  accepted(listener: SocketListener): void {
    this.#listener = listener;
    this.#phase = 'open';
    this.#poll?.write(openFrame, this.#settle);
    this.#rest();
  }

  /** The first poll got another answer. */
  refused(): void {
    this.#phase = 'ended';
    this.#parts.forget();
  }

  // The session's socket.

  get unsentBytes(): number {
    return this.#phase === 'ended' ? 0 : this.#waitingBytes + (this.#poll?.unsentBytes ?? 0);
  }

  /** Elements. Pings are answered here: to a client that polls there is nothing like them. */
  encode(messages: readonly Message[]): Buffer {
    const elements: Buffer[] = [];
    for (const message of messages) {
      if (message.kind === 'ping') this.#listener?.received({ kind: 'pong', data: message.data });
      else if (message.kind !== 'pong') elements.push(this.#element(message));
    }
    return elements.length === 1 && elements[0] !== undefined ? elements[0] : Buffer.concat(elements);
  }

  /** Elements, as they or their shape made them. */
  writeFrames(elements: Buffer): void {
    if (this.#phase !== 'open') return;
    this.#waiting.push(elements);
    this.#waitingBytes += elements.length;
    if (this.#waiting.length > piecesMax) this.#waiting = [Buffer.concat(this.#waiting)];
    this.#serve();
  }

  startClose(code: number | undefined, reason: string): void {
    if (this.#phase !== 'open') return;
    this.#phase = 'closing';
    this.#closeCode = code;
    this.#closeReason = reason;
    this.#lastFrame = closeFrame(code ?? 1000, reason);
    this.#serve();
    this.#rest();
  }

  drop(): void {
    this.#lastFrame = closeFrame(1006, '');
    this.#cut();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    for (const then of this.#held.splice(0)) then();
  }

  drained(then: () => void): void {
    this.#drained.push(then);
    this.#settle();
  }

  #element(message: Message): Buffer {
    const made = element(message);
    if (made === undefined) this.#parts.metrics.count('deliveries_dropped');
    return made ?? nothing;
  }

  /** Writes what waits, as far as the answer takes it: the messages first, then the end. */
  #serve(): void {
    const poll = this.#poll;
    if (poll === undefined || poll.full) return;
    if (this.#waitingBytes > 0) poll.write(this.#takeWaiting(), this.#settle);
    if (!poll.full && this.#phase !== 'open') {
      poll.last(this.#lastFrame);
      this.#closed();
    }
    this.#rest();
  }

  #takeWaiting(): string {
    const [first, ...more] = this.#waiting;
    const frame = first === undefined ? '' : arrayFrame(more.length === 0 ? first : Buffer.concat(this.#waiting));
    this.#waiting = [];
    this.#waitingBytes = 0;
    return frame;
  }

  /** The client was told of the end: that is its answer, too. */
  #closed(): void {
    if (this.#phase !== 'closing') return;
    setImmediate(() => this.#listener?.closeAnswered(this.#closeCode, this.#closeReason));
    this.#end();
  }

  /**
   * While an answer is open the client hears something from time to time; else it has to ask again in time. One that is still on its
   * way may take as long as it wants: what waits meanwhile is bounded.
   */
  #rest(): void {
    if (this.#phase === 'ended') return;
    this.#timer?.cancel();
    if (this.#poll?.full === false) this.#timer = this.#parts.clock.after(limits.sockJsHeartbeatMs, this.#beat);
    else if (this.#poll === undefined || this.#phase === 'closing')
      this.#timer = this.#parts.clock.after(limits.sockJsAwayMs, this.#cut);
  }

  readonly #beat = (): void => {
    if (this.#poll?.unsentBytes === 0) this.#poll.write(heartbeatFrame, this.#settle);
    this.#rest();
  };

  readonly #cut = (): void => {
    const poll = this.#poll;
    this.#end();
    poll?.destroy();
  };

  readonly #forget = (): void => {
    this.#poll?.destroy();
    this.#parts.forget();
  };

  /** The answer is over. What was in it is lost with a client that did not take it, so the session is over as well. */
  #answered(poll: Poll): void {
    if (this.#poll !== poll) return;
    this.#poll = undefined;
    if (poll.broken) this.#end();
    else this.#rest();
    this.#settle();
  }

  /** Nobody is there any more; who comes back in time is told how it ended. */
  #end(): void {
    if (this.#phase === 'ended') return;
    this.#phase = 'ended';
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#timer?.cancel();
    if (this.#parts.ended()) this.#timer = this.#parts.clock.after(limits.sockJsAwayMs, this.#forget);
    this.resume();
    this.#settle();
    // Never while the session is still about its closing: sockets tell it later, too.
    setImmediate(() => this.#listener?.gone());
  }

  /** Everything was taken, or nobody is there to take it. */
  readonly #settle = (): void => {
    if (this.#drained.length === 0 || this.unsentBytes > 0) return;
    for (const then of this.#drained.splice(0)) then();
  };
}

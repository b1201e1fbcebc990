/** SockJS over a WebSocket: messages in frames of its own, in both directions. Everything else is as without. */
import type { ClientSocket } from '../core/client-socket.ts';
import type { Clock, Timer } from '../core/clock.ts';
import type { Message } from '../core/event.ts';
import { limits } from '../core/limits.ts';
import type { Metrics } from '../core/metrics.ts';
import { closeFrame, frameMessage, heartbeatFrame, openFrame, readPayload, webSocketMessage } from '../wire/sockjs-frames.ts';
import { encodeFrames } from '../wire/websocket-frame.ts';
import type { ClientWebSocket, SocketListener } from './client-websocket.ts';

const open = encodeFrames([frameMessage(openFrame)]);
const heartbeat = encodeFrames([frameMessage(heartbeatFrame)]);

export interface SockJsParts {
  readonly clock: Clock;
  readonly metrics: Metrics;
}

export class SockJsWebSocket implements ClientSocket, SocketListener {
  readonly #socket: ClientWebSocket;
  readonly #listener: SocketListener;
  readonly #parts: SockJsParts;
  #heartbeat: Timer;

  constructor(socket: ClientWebSocket, listener: SocketListener, parts: SockJsParts) {
    this.#socket = socket;
    this.#listener = listener;
    this.#parts = parts;
    socket.writeFrames(open);
    this.#heartbeat = parts.clock.after(limits.sockJsHeartbeatMs, this.#beat);
  }

  // The session's socket.

  get unsentBytes(): number {
    return this.#socket.unsentBytes;
  }

  encode(messages: readonly Message[]): Buffer {
    const framed = messages.flatMap((message) => webSocketMessage(message) ?? []);
    if (framed.length < messages.length) this.#parts.metrics.count('deliveries_dropped', messages.length - framed.length);
    return encodeFrames(framed);
  }

  writeFrames(frames: Buffer): void {
    this.#socket.writeFrames(frames);
  }

  startClose(code: number | undefined, reason: string): void {
    this.#socket.writeFrames(encodeFrames([frameMessage(closeFrame(code ?? 1000, reason))]));
    this.#socket.startClose(code, reason);
  }

  drop(): void {
    this.#socket.drop();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  drained(then: () => void): void {
    this.#socket.drained(then);
  }

  // What the client does.

  received(message: Message): void {
    if (message.kind === 'text') this.#unwrap(message.data);
    else if (message.kind === 'binary') this.#listener.violated(1003);
    else this.#listener.received(message);
  }

  closing(code: number | undefined, reason: string): void {
    this.#listener.closing(code, reason);
  }

  closeAnswered(code: number | undefined, reason: string): void {
    this.#listener.closeAnswered(code, reason);
  }

  violated(closeCode: number): void {
    this.#listener.violated(closeCode);
  }

  gone(): void {
    this.#heartbeat.cancel();
    this.#listener.gone();
  }

  /** An empty frame means nothing (protocol, "test_empty_frame"). */
  #unwrap(data: Buffer): void {
    if (data.length === 0) return;
    const payload = readPayload(data.toString());
    if (payload.kind === 'messages') for (const message of payload.messages) this.#listener.received(message);
    else this.#listener.violated(payload.kind === 'flood' ? 1009 : 1007);
  }

  /** A client that has something to read hears nothing new by it, and one that reads nothing would pile them up. */
  readonly #beat = (): void => {
    if (this.#socket.unsentBytes === 0) this.#socket.writeFrames(heartbeat);
    this.#heartbeat = this.#parts.clock.after(limits.sockJsHeartbeatMs, this.#beat);
  };
}

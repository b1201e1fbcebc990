/**
 * A client's WebSocket over `ws`: what comes in is told by plain calls, what goes out is written as ready frames, and a close
 * frame of the client is reported instead of being answered. The one place that reaches below `ws`: it writes to its socket,
 * which is right as long as no compression is negotiated (`ws` 8.23).
 */
import type { Socket } from 'node:net';
import { WebSocket, type RawData } from 'ws';
import type { ClientSocket } from '../core/client-socket.ts';
import type { Message } from '../core/event.ts';
import { encodeFrames } from '../wire/websocket-frame.ts';

/** Who is told what the client does. */
export interface SocketListener {
  received(message: Message): void;
  /** The client's close frame, before it is answered. */
  closing(code: number | undefined, reason: string): void;
  /** The client's answer to a close frame of ours. */
  closeAnswered(code: number | undefined, reason: string): void;
  /** The client broke the protocol; its socket reads nothing more. */
  violated(closeCode: number): void;
  /** The TCP connection is gone. */
  gone(): void;
}

/** Of HTTP/1.1 a socket; of HTTP/2 what looks like one, and asks to be told. */
type Connection = Socket & { closeFrameRead?(): void };

/** `ws` keeps these to itself; typed here so that a change of theirs shows in one place. */
interface Inside {
  readonly _socket: Connection;
  readonly _closeFrameReceived: boolean;
}

const nothing = Buffer.alloc(0);

export class ClientWebSocket extends WebSocket implements ClientSocket {
  /** Set as soon as the handshake is answered, before anything can come in. */
  listener: SocketListener | undefined;
  #closeStarted = false;

  get #socket(): Connection {
    // The field exists in every `ws` of the pinned version; it is not in its types.
    return (this as unknown as Inside)._socket;
  }

  get unsentBytes(): number {
    const socket = this.#socket;
    return socket.writable ? socket.writableLength : 0;
  }

  encode(messages: readonly Message[]): Buffer {
    return encodeFrames(messages);
  }

  writeFrames(frames: Buffer): void {
    if (!this.#closeStarted && this.#socket.writable) this.#socket.write(frames);
  }

  startClose(code: number | undefined, reason: string): void {
    this.#closeStarted = true;
    if (code === undefined) super.close();
    else super.close(code, reason);
  }

  drop(): void {
    this.#closeStarted = true;
    this.#socket.destroySoon();
  }

  drained(then: () => void): void {
    const socket = this.#socket;
    if (!socket.writable) {
      then();
      return;
    }
    // Not the event 'drain': it comes only after more than the socket's own mark, which may lie above the route's limit.
    socket.write(nothing, () => then());
  }

  /** `ws` calls this when it has read a close frame, or to end a connection that broke the protocol. */
  override close(code?: number, reason?: string | Buffer): void {
    if (this.#violated) {
      if (this.#closeStarted) super.close();
      else this.listener?.violated(code ?? 1002);
      return;
    }
    const text = String(reason ?? nothing);
    if (!this.#closeStarted) {
      this.#socket.closeFrameRead?.();
      this.listener?.closing(code, text);
      return;
    }
    super.close();
    this.listener?.closeAnswered(code, text);
  }

  /** Plain calls instead of listeners: four closures less for each connection. */
  override emit(event: string | symbol, first?: RawData | Error, binary?: boolean): boolean {
    switch (event) {
      case 'message':
        this.listener?.received({ kind: binary === true ? 'binary' : 'text', data: asBuffer(first) });
        return true;
      case 'ping':
      case 'pong':
        this.listener?.received({ kind: event, data: asBuffer(first) });
        return true;
      case 'close':
        this.listener?.gone();
        return true;
      default: // 'open' and 'error': what an error means is told by `close` and 'close'.
        return true;
    }
  }

  /** True when `ws` closes since its reader met an error, not a close frame. */
  get #violated(): boolean {
    return !(this as unknown as Inside)._closeFrameReceived;
  }
}

/** With the binary type "nodebuffer" `ws` hands over one Buffer. */
function asBuffer(data: RawData | Error | undefined): Buffer {
  return Buffer.isBuffer(data) ? data : nothing;
}

/**
 * How a WebSocket session ends (GRIP 2.9-2.11): who began to close, what the client is told, and what the backend still has to
 * hear. The backend hears of the end exactly once: by the client's CLOSE, by DISCONNECT, or not at all after a failure of its own.
 */
import { closeReason, isSendableCloseCode } from '../core/close-code.ts';
import type { ClientSocket } from '../core/client-socket.ts';
import type { ErrorCode } from '../core/errors.ts';
import type { Close } from '../core/event.ts';
import type { EndedBy } from '../core/tally.ts';
import type { Upstream } from './upstream.ts';

/**
 * `opening`: the handshake is not answered. `gone`: the client is not there any more; the backend may still have to be told.
 */
type Phase = 'opening' | 'open' | 'closing' | 'gone';

/** What the end of a session touches. */
export interface ClosingHost {
  readonly socket: ClientSocket | undefined;
  readonly upstream: Upstream | undefined;
  /** A close frame before the connection ends on a failure. */
  readonly closeFrames: boolean;
  /** The backend wants to be asked after silence, so it may still answer a close. */
  readonly asks: boolean;
  /** As the route has it for this client. */
  closeCodeOf(error: ErrorCode): number;
  /** Puts the client's close upstream, behind what waits for its verdict. */
  forwardClose(close: Close): void;
  /** From now on no publications, no timers, no waiting verdicts. */
  quiet(): void;
  /** The client is not there any more. */
  left(): void;
  /** Nobody is there any more. */
  over(): void;
}

export class Closing {
  readonly #host: ClosingHost;
  #phase: Phase = 'opening';
  #closer: EndedBy | undefined;
  #ended: { readonly by: EndedBy; readonly code: number } | undefined;
  #detached = false;
  #clientCode: number | undefined;
  /** The client's close is on its way to the backend, which began the closing: no DISCONNECT besides. */
  #backendKnows = false;
  #over = false;

  constructor(host: ClosingHost) {
    this.#host = host;
  }

  get opening(): boolean {
    return this.#phase === 'opening';
  }

  /** Messages flow. */
  get open(): boolean {
    return this.#phase === 'open';
  }

  /** The client is there. */
  get live(): boolean {
    return this.#phase === 'open' || this.#phase === 'closing';
  }

  /** The backend has been cut off; the client stays. */
  get detached(): boolean {
    return this.#detached;
  }

  get byClient(): boolean {
    return this.#closer === 'client';
  }

  /** Who ended it, and the close code; 1006 where there was no close frame, 1005 for one without a code (RFC 6455 section 7.1.5). */
  get ended(): { readonly by: EndedBy; readonly code: number } {
    return this.#ended ?? { by: 'client', code: 1006 };
  }

  opened(): void {
    this.#phase = 'open';
  }

  /** The client's close frame. */
  clientCloses(code: number | undefined, reason: string): void {
    if (this.#phase !== 'open') return;
    this.#ended ??= { by: 'client', code: code ?? 1005 };
    if (this.#detached) {
      this.#close('foregate', 1000, '', true); // An answer to the client's own frame, not a word about a failure.
      return;
    }
    this.#clientCode = code;
    this.#phase = 'closing';
    this.#closer = 'client';
    this.#host.forwardClose(closeEvent(code, reason));
  }

  /** The client's answer to a close frame of ours; the backend hears it if it began. */
  clientAnswers(code: number | undefined, reason: string): void {
    if (this.#closer !== 'backend' || this.#detached) return;
    this.#backendKnows = true;
    this.#host.upstream?.push(closeEvent(code, reason));
  }

  /** The TCP connection of the client is gone. */
  clientLeft(): void {
    if (this.#phase === 'gone') return;
    this.#phase = 'gone';
    this.#host.quiet();
    this.#host.left();
    if (this.#closer !== 'publisher' && !this.#detached && !this.#backendKnows) this.#host.upstream?.lost();
    this.upstreamFinished();
  }

  /** A close of the backend: it begins the closing, or answers the client's. */
  backendCloses(close: Close): void {
    const answers = this.#closer === 'client';
    if (this.#backendKnows || (this.#phase === 'gone' && answers)) this.#host.upstream?.stop();
    if (this.#phase !== 'open' && !answers) return;
    this.#close(answers ? 'client' : 'backend', this.#sendable(close), close.code === undefined ? '' : close.reason);
    if (answers) this.#host.upstream?.stop();
    else this.#host.upstream?.discard();
  }

  backendDrops(): void {
    this.#host.upstream?.stop();
    this.#closer ??= 'backend';
    this.#ended ??= { by: 'backend', code: 1006 };
    if (this.live) this.#phase = 'closing';
    this.#host.socket?.drop();
  }

  /** With an interval the close is offered again (true); else nobody answers it, and the client is let go. */
  closeUnanswered(): boolean {
    if (this.#closer === 'client' && this.#host.asks) return true;
    if (this.#closer === 'client') this.#host.socket?.drop();
    this.#host.upstream?.stop();
    return false;
  }

  publisherCloses(code: number, reason: string): void {
    if (this.#phase !== 'open') return;
    this.#close('publisher', code, reason);
    if (!this.#detached) this.#host.upstream?.detach();
  }

  /** Foregate ends the session; the backend is told. */
  end(closeCode: number, reason: string, withFrame = this.#host.closeFrames): void {
    if (this.#phase !== 'open') return;
    this.#close('foregate', closeCode, reason, withFrame);
    if (!this.#detached) this.#host.upstream?.lost();
  }

  /** The backend failed; it is not told, unless the upstream says otherwise. */
  fail(code: ErrorCode, reason: string): void {
    if (this.live && !this.#detached && this.#closer !== 'foregate')
      this.#close('foregate', this.#host.closeCodeOf(code), reason);
  }

  detach(): void {
    if (this.#detached) return;
    this.#detached = true;
    this.#host.upstream?.detach();
  }

  /** The handshake got another answer than 101. */
  refused(): void {
    this.#phase = 'gone';
    this.#host.left();
    this.upstreamFinished();
  }

  /** Nothing more goes to the backend: with the client gone too, that was it. */
  upstreamFinished(): void {
    if (this.#over || this.#phase !== 'gone' || !(this.#host.upstream?.finished ?? true)) return;
    this.#over = true;
    this.#host.over();
  }

  /** A close frame to the client, or none where the route wants it so; nothing is written after it. */
  #close(closer: EndedBy, code: number, reason: string, withFrame = closer !== 'foregate' || this.#host.closeFrames): void {
    this.#phase = 'closing';
    this.#closer = closer;
    this.#ended ??= { by: closer, code: withFrame ? code : 1006 };
    this.#host.quiet();
    if (withFrame) this.#host.socket?.startClose(code, closeReason(reason));
    else this.#host.socket?.drop();
    // Its answer has to be read, whatever waited for room.
    this.#host.socket?.resume();
  }

  /** A code that may not stand on the wire is replaced by the client's, or 1000 (GRIP chapter 9). */
  #sendable({ code }: Close): number {
    if (code !== undefined && isSendableCloseCode(code)) return code;
    const own = code === undefined ? undefined : this.#clientCode;
    return own !== undefined && isSendableCloseCode(own) ? own : 1000;
  }
}

function closeEvent(code: number | undefined, reason: string): Close {
  return code === undefined ? { kind: 'close', reason } : { kind: 'close', code, reason };
}

/** What a session needs of a client's socket. */
import type { Message } from './event.ts';

export interface ClientSocket {
  /** Frames the messages and writes them at once, in one write. */
  sendMessages(messages: readonly Message[]): void;
  /** Writes frames that were made ready by a shape. */
  writeFrames(frames: Buffer): void;
  /** Starts or answers the closing handshake; no code is a close frame without one. The socket is gone after it, or after a deadline. */
  startClose(code: number | undefined, reason: string): void;
  /** Ends the TCP connection without a word. */
  drop(): void;
  pause(): void;
  resume(): void;
  /** Bytes that the client has not taken; none once it cannot take any. */
  readonly unsentBytes: number;
  /** Calls once, when the client has taken everything or is gone. */
  drained(then: () => void): void;
}

/** What a session needs of a client's socket. */
import type { Message } from './event.ts';

export interface ClientSocket {
  /** Frames of the messages, for `writeFrames`; none for those that this client cannot get. */
  encode(messages: readonly Message[]): Buffer;
  /** Writes frames that were made ready here or by a shape, at once, in one write. */
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

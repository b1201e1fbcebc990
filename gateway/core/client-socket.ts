/** What a session needs of a client's socket. */
import type { Message } from './event.ts';

export interface ClientSocket {
  /** Frames the messages and writes them at once, in one write. */
  send(messages: readonly Message[]): void;
  /** Writes frames that were made ready by a shape. */
  write(frames: Buffer): void;
  /** Starts or answers the closing handshake; the socket is gone after it, or after a deadline. */
  close(code: number | undefined, reason: string): void;
  /** Ends the TCP connection without a word. */
  drop(): void;
  pause(): void;
  resume(): void;
  /** Bytes that the client has not taken. */
  readonly unsentBytes: number;
  /** Calls once, when nothing is unsent any more or the socket is gone. */
  drained(then: () => void): void;
}

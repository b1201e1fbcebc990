/**
 * A client between its handshake and the answer to it: what it sends early is kept (bounded), and that it left is noticed
 * (GRIP 2.4).
 */
import type { Duplex } from 'node:stream';
import { limits } from '../core/limits.ts';

export class EarlyClient {
  readonly #socket: Duplex;
  readonly #chunks: Buffer[];
  #bytes: number;
  #left = false;
  #wake: (() => void) | undefined;

  constructor(socket: Duplex, head: Buffer) {
    this.#socket = socket;
    this.#chunks = head.length > 0 ? [head] : [];
    this.#bytes = head.length;
    socket.on('data', this.#keep).on('end', this.#leave).on('close', this.#leave).on('error', this.#leave);
    if (this.#bytes >= limits.earlyBytes) socket.pause();
  }

  get left(): boolean {
    return this.#left;
  }

  /** Resolves after `ms`, or as soon as the client has left. */
  remains(ms: number): Promise<void> {
    if (this.#left) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** The client has had its answer: from now on it counts as gone. */
  dismiss(): void {
    this.#leave();
  }

  /** Hands the socket on, with what came in so far. */
  release(): Buffer {
    this.#socket.pause();
    this.#socket.off('data', this.#keep).off('end', this.#leave).off('close', this.#leave).off('error', this.#leave);
    return this.#chunks.length === 1 && this.#chunks[0] !== undefined ? this.#chunks[0] : Buffer.concat(this.#chunks);
  }

  readonly #keep = (chunk: Buffer): void => {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes >= limits.earlyBytes) this.#socket.pause();
  };

  readonly #leave = (): void => {
    this.#left = true;
    this.#wake?.();
  };
}

/**
 * The answer of a held request as it goes on: head first, then bytes made ready by a shape, straight to the socket, since
 * `ServerResponse` would frame each of them anew. HTTP/1.1 gets chunks, HTTP/1.0 the bare content until the connection ends, HTTP/2
 * the bare content on its stream.
 */
import { STATUS_CODES, type ServerResponse } from 'node:http';
import type { Writable } from 'node:stream';
import { isHeaderValue } from '../core/headers.ts';
import type { ReplyHead } from '../core/hold.ts';
import type { Shape } from '../core/publication.ts';
import { chunk, chunkedStream, plainStream } from '../wire/stream-shape.ts';

export class StreamWriter {
  readonly shape: Shape;
  readonly #response: ServerResponse;
  readonly #chunked: boolean;
  /** Of HTTP/2. */
  readonly #stream: Writable | undefined;
  /** Frames of an answer whose turn has not come: the client sent its request before it had the answer to another. */
  #early: Buffer[] = [];
  #earlyBytes = 0;

  constructor(response: ServerResponse) {
    this.#response = response;
    this.#stream = 'stream' in response ? (response.stream as Writable) : undefined;
    this.#chunked = response.req.httpVersion === '1.1';
    this.shape = this.#chunked ? chunkedStream : plainStream;
    // The head is written right after this event.
    if (response.socket === null) response.once('socket', () => process.nextTick(() => this.#writeEarly()));
  }

  /** Bytes that the client has not taken; none once it cannot take any. */
  get unsentBytes(): number {
    const socket = this.#socket;
    return this.#earlyBytes + (socket?.writable === true ? socket.writableLength : 0);
  }

  /** Writes the head. False: with this method or status there is no body, and all that is left is to end. */
  start({ status, reason, headers }: ReplyHead): boolean {
    const bodiless = status === 204 || status === 304;
    const framing = this.#framing();
    const kept = headers.filter((_, i) => !isLength(headers[i - (i % 2)] ?? ''));
    const phrase = isHeaderValue(reason) ? reason : STATUS_CODES[status];
    this.#response.sendDate = false;
    this.#response.writeHead(status, phrase, bodiless ? kept : [...kept, ...framing]);
    this.#response.flushHeaders();
    return !bodiless && this.#response.req.method !== 'HEAD';
  }

  /** Frames that a shape, or {@link frame}, has made. */
  writeFrames(frames: Buffer): void {
    const socket = this.#socket;
    if (frames.length === 0 || this.#response.writableEnded) return;
    if (socket === undefined || this.#early.length > 0) {
      this.#early.push(frames);
      this.#earlyBytes += frames.length;
    } else if (socket.writable) {
      socket.write(frames);
    }
  }

  frame(content: Buffer): Buffer {
    return this.#chunked ? chunk(content) : content;
  }

  /** Calls once, when the client has taken everything that was written, or is gone. */
  drained(then: () => void): void {
    const socket = this.#socket;
    if (this.#early.length > 0) void this.#turn().then(then);
    else if (socket?.writable === true) socket.write(nothing, () => then());
    else then();
  }

  /** Resolves when the socket wants more, or the client is gone. */
  async room(): Promise<void> {
    if (this.#early.length > 0) await this.#turn();
    const socket = this.#socket;
    if (socket === undefined || !socket.writableNeedDrain) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        socket.off('drain', done).off('close', done);
        resolve();
      };
      socket.on('drain', done).on('close', done);
    });
  }

  /** The body is complete; the connection may be used again. */
  end(): void {
    if (this.#early.length > 0) void this.#turn().then(() => this.#response.end());
    else if (!this.#response.writableEnded) this.#response.end();
  }

  /** The body is not complete, and must not look so. */
  cut(): void {
    this.#response.destroy();
  }

  #framing(): string[] {
    if (this.#stream !== undefined) return [];
    return this.#chunked ? ['Transfer-Encoding', 'chunked'] : ['Connection', 'close'];
  }

  #writeEarly(): void {
    const frames = Buffer.concat(this.#early);
    this.#early = [];
    this.#earlyBytes = 0;
    this.writeFrames(frames);
    this.#response.emit(turnEvent);
  }

  /** Resolves when the answer's turn has come, or the client is gone. */
  #turn(): Promise<void> {
    return new Promise((resolve) => {
      this.#response.once(turnEvent, resolve).once('close', resolve);
    });
  }

  get #socket(): Writable | undefined {
    return this.#stream ?? this.#response.socket ?? undefined;
  }
}

const nothing = Buffer.alloc(0);

/** Of our own, at the response. */
const turnEvent = Symbol('turn');

function isLength(name: string): boolean {
  return name.length === 14 && name.toLowerCase() === 'content-length';
}

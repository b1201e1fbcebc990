/**
 * WebSockets over HTTP/2 (RFC 8441): a stream as a connection of HTTP/1.1, on which the answer to the handshake is written as text.
 * So the way of a handshake is the same for both, and `ws` reads frames from either.
 */
import { constants, type OutgoingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { Duplex } from 'node:stream';
import { isHopByHop } from '../core/headers.ts';

export class Http2WebSocket extends Duplex {
  readonly #stream: ServerHttp2Stream;
  #answer: 'none' | 'accepted' | 'refused' = 'none';

  constructor(stream: ServerHttp2Stream) {
    super();
    this.#stream = stream;
    stream
      .on('data', (chunk: Buffer) => {
        if (!this.push(chunk)) stream.pause();
      })
      .on('end', () => this.push(null))
      .on('close', () => this.destroy());
  }

  /** Sockets have it: ends after what was written. */
  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once('finish', () => this.destroy());
  }

  /** Chromium ends its side with its close frame. `ws` would then end ours, before there is an answer to it. */
  closeFrameRead(): void {
    this.removeAllListeners('end');
  }

  override _read(): void {
    this.#stream.resume();
  }

  /** Both who answer handshakes write the head in one piece. */
  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    if (this.#stream.destroyed || this.#stream.closed) {
      done(new Error('The stream is closed.'));
      return;
    }
    const rest = this.#answer === 'none' ? this.#respond(chunk) : chunk;
    // Of nothing the stream never tells that it was taken.
    if (rest.length === 0) done();
    else this.#stream.write(rest, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    if (this.#stream.destroyed || this.#answer === 'none') {
      // Without an answer: the client left before, and must not get a 200.
      if (!this.#stream.destroyed) this.#stream.close(constants.NGHTTP2_CANCEL);
      done();
      return;
    }
    this.#stream.end(() => {
      done();
      // Nothing more is wanted of the client; one that was accepted has its close frame to send.
      if (this.#answer === 'refused') this.#stream.close(constants.NGHTTP2_NO_ERROR);
    });
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    // As a TCP connection that is reset (RFC 8441 section 5), unless all is said.
    if (!this.#stream.destroyed)
      this.#stream.close(this.writableFinished ? constants.NGHTTP2_NO_ERROR : constants.NGHTTP2_CANCEL);
    done(error);
  }

  /** Gives what comes after the head. */
  #respond(bytes: Buffer): Buffer {
    const end = bytes.indexOf('\r\n\r\n');
    const [first = '', ...lines] = bytes.toString('latin1', 0, end).split('\r\n');
    const status = answerStatus(Number(first.split(' ', 2)[1]));
    const headers: Record<string, string[]> = {};
    for (const line of lines) {
      const colon = line.indexOf(':');
      const name = line.slice(0, colon).toLowerCase();
      if (!isHopByHop(name) && name !== 'sec-websocket-accept') (headers[name] ??= []).push(line.slice(colon + 1).trim());
    }
    const answer: OutgoingHttpHeaders = { ':status': status, ...headers };
    this.#answer = status === 200 ? 'accepted' : 'refused';
    this.#stream.respond(answer);
    return bytes.subarray(end + 4);
  }
}

/** 200 stands for 101, and so do all of its class (RFC 9110 section 9.3.6): a refusal with such a status must not seem to accept. */
function answerStatus(status: number): number {
  if (status === 101) return 200;
  return status < 300 || status > 599 ? 502 : status;
}

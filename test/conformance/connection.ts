/** A client of the gateway on one TCP connection: plain HTTP read as it comes, or a WebSocket whose frames read as text. */
import assert from 'node:assert/strict';
import { clientFrame, closeFrame, opcodes, type RawSocket, type ResponseHead } from '../support/raw-socket.ts';

/** Machines are busy: what is waited for may take so long, where nothing else is said. */
export const waitMs = 10_000;

export interface RequestTerms {
  readonly method?: string;
  readonly version?: '1.0' | '1.1';
  /** `Name: value` lines. */
  readonly headers?: readonly string[];
  /** Default: the host without rules of its own. */
  readonly host?: string;
  /** Sent with its length. */
  readonly body?: string;
}

export const plainHost = 'client.example';

export function requestText(path: string, terms: RequestTerms = {}): string {
  const { method = 'GET', version = '1.1', headers = [], host = plainHost, body } = terms;
  const lines = [`${method} ${path} HTTP/${version}`, `Host: ${host}`, ...headers];
  if (body !== undefined) lines.push(`Content-Length: ${Buffer.byteLength(body, 'latin1')}`);
  return `${lines.join('\r\n')}\r\n\r\n${body ?? ''}`;
}

export interface Answer extends ResponseHead {
  readonly body: string;
}

/** Reads answers; the framing is taken away, whichever it is. */
export class HttpClient {
  readonly raw: RawSocket;
  #chunked = false;
  /** What the length still promises; undefined without one. */
  #left: number | undefined;
  /** What is decoded and not taken yet. */
  #text = '';
  #done = false;

  constructor(raw: RawSocket) {
    this.raw = raw;
  }

  send(path: string, terms?: RequestTerms): void {
    this.raw.send(Buffer.from(requestText(path, terms), 'latin1'));
  }

  async head(ms = waitMs): Promise<ResponseHead> {
    let head = await this.raw.takeHead(ms);
    while (head.status === 100) head = await this.raw.takeHead(ms);
    this.#chunked = head.headers.get('transfer-encoding') === 'chunked';
    const length = head.headers.get('content-length');
    this.#left = length === undefined ? undefined : Number(length);
    this.#text = '';
    this.#done = hasNoBody(head.status);
    return head;
  }

  /** The whole answer, to its end. */
  async answer(ms = waitMs): Promise<Answer> {
    const head = await this.head(ms);
    return { ...head, body: await this.rest(ms) };
  }

  /** Takes exactly this text from a streamed answer, however it was cut. */
  async text(expected: string, ms = waitMs): Promise<void> {
    while (this.#text.length < expected.length && !this.#done) await this.#more(ms);
    const taken = this.#text.slice(0, expected.length);
    this.#text = this.#text.slice(expected.length);
    assert.equal(taken, expected);
  }

  /** Takes a streamed answer to its end; what was left of it. */
  async rest(ms = waitMs): Promise<string> {
    while (!this.#done) await this.#more(ms);
    const text = this.#text;
    this.#text = '';
    return text;
  }

  /** Takes whatever comes next, at least one character; empty at the end. */
  async some(ms = waitMs): Promise<string> {
    if (this.#text === '' && !this.#done) await this.#more(ms);
    const text = this.#text;
    this.#text = '';
    return text;
  }

  get done(): boolean {
    return this.#done;
  }

  async #more(ms: number): Promise<void> {
    if (this.#left !== undefined) return this.#sized(this.#left, ms);
    if (!this.#chunked) return this.#untilEnd(ms);
    const size = Number.parseInt((await this.raw.takeUntil('\r\n', ms)).toString('latin1'), 16);
    this.#text += (await this.raw.take(size, ms)).toString('latin1');
    assert.equal((await this.raw.take(2, ms)).toString('latin1'), '\r\n');
    this.#done = size === 0;
  }

  async #sized(left: number, ms: number): Promise<void> {
    if (left > 0) this.#text += (await this.raw.take(left, ms)).toString('latin1');
    this.#left = 0;
    this.#done = true;
  }

  /** With neither length nor chunks a body ends with the connection. */
  async #untilEnd(ms: number): Promise<void> {
    try {
      const first = await this.raw.take(1, ms);
      const others = await this.raw.take(this.raw.received.length, ms);
      this.#text += Buffer.concat([first, others]).toString('latin1');
    } catch (error) {
      if (!this.raw.ended) throw error;
      this.#done = true;
    }
  }
}

function hasNoBody(status: number): boolean {
  return status === 204 || status === 304;
}

const names = new Map<number, string>([
  [opcodes.text, 'TEXT'],
  [opcodes.binary, 'BINARY'],
  [opcodes.close, 'CLOSE'],
  [opcodes.ping, 'PING'],
  [opcodes.pong, 'PONG'],
]);

/** A WebSocket whose messages read as one line: `TEXT hello`, `CLOSE 4000 bye`, `DROPPED` for an end without a close frame. */
export class SocketClient {
  readonly raw: RawSocket;
  readonly head: ResponseHead;

  constructor(raw: RawSocket, head: ResponseHead) {
    this.raw = raw;
    this.head = head;
  }

  text(data: string): void {
    this.raw.send(clientFrame(opcodes.text, Buffer.from(data)));
  }

  binary(data: string): void {
    this.raw.send(clientFrame(opcodes.binary, Buffer.from(data, 'latin1')));
  }

  ping(data = ''): void {
    this.raw.send(clientFrame(opcodes.ping, data));
  }

  pong(data = ''): void {
    this.raw.send(clientFrame(opcodes.pong, data));
  }

  close(code?: number, reason?: string): void {
    this.raw.send(closeFrame(code, reason));
  }

  /** Cuts the TCP connection. */
  drop(): void {
    this.raw.destroy();
  }

  /** The next message, its fragments joined. */
  async next(ms = waitMs): Promise<string> {
    let name: string | undefined;
    const parts: Buffer[] = [];
    for (;;) {
      const frame = await this.#frame(ms);
      if (!frame) return 'DROPPED';
      if (frame.opcode === opcodes.close) return closeLine(frame.payload);
      name ??= names.get(frame.opcode) ?? `opcode ${frame.opcode}`;
      parts.push(frame.payload);
      if (frame.fin) return `${name} ${Buffer.concat(parts).toString('latin1')}`.trimEnd();
    }
  }

  async #frame(ms: number): Promise<Awaited<ReturnType<RawSocket['takeFrame']>> | undefined> {
    try {
      return await this.raw.takeFrame(ms);
    } catch (error) {
      if (this.raw.ended) return undefined;
      throw error;
    }
  }
}

function closeLine(payload: Buffer): string {
  const code = payload.length < 2 ? '' : ` ${payload.readUInt16BE(0)}`;
  return `CLOSE${code} ${payload.subarray(2).toString()}`.trimEnd();
}

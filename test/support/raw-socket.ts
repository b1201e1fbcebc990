/**
 * A client that writes bytes: for tests of HTTP/1.1 and WebSocket (RFC 6455) where a well-behaved library would not send what
 * the test is about, or would hide what came back.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

const waitMsDefault = 3000;

export interface ServerFrame {
  readonly fin: boolean;
  /** The reserved bits, RSV1 first: 0 to 7. */
  readonly reserved: number;
  readonly opcode: number;
  readonly masked: boolean;
  readonly payload: Buffer;
}

export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export interface FrameTerms {
  /** Default: true. */
  readonly fin?: boolean;
  /** RSV1 is 4, RSV2 is 2, RSV3 is 1. Default: 0. */
  readonly reserved?: number;
  /** The mask, or none at all, which clients must not do. Default: four random bytes. */
  readonly mask?: Buffer | 'none';
  /** The length that is written, when it shall not be the real one. */
  readonly statedLength?: number;
  /** How many bytes the length takes, also when fewer would do. */
  readonly lengthBytes?: 1 | 2 | 8;
}

/** Writes one client frame, as wrong as the terms want it. */
export function clientFrame(opcode: number, payload: Buffer | string = '', terms: FrameTerms = {}): Buffer {
  const data = Buffer.from(payload);
  const first = (terms.fin === false ? 0 : 0x80) | ((terms.reserved ?? 0) << 4) | opcode;
  const mask = terms.mask === 'none' ? undefined : (terms.mask ?? randomBytes(4));
  const length = lengthField(terms.statedLength ?? data.length, terms.lengthBytes);
  length[0] = (length[0] ?? 0) | (mask ? 0x80 : 0);
  const head = Buffer.concat([Buffer.of(first), length]);
  return mask ? Buffer.concat([head, mask, masked(data, mask)]) : Buffer.concat([head, data]);
}

/** A message in several frames: the first says the kind, the last ends it. */
export function fragments(opcode: number, parts: readonly (Buffer | string)[]): Buffer {
  return Buffer.concat(
    parts.map((part, i) => clientFrame(i === 0 ? opcode : opcodes.continuation, part, { fin: i === parts.length - 1 })),
  );
}

/** A close frame; without a code it is empty. */
export function closeFrame(code?: number, reason = ''): Buffer {
  return clientFrame(opcodes.close, code === undefined ? '' : closePayload(code, reason));
}

export function closePayload(code: number, reason = ''): Buffer {
  const payload = Buffer.alloc(2 + Buffer.byteLength(reason));
  payload.writeUInt16BE(code);
  payload.write(reason, 2);
  return payload;
}

function lengthField(length: number, bytes = length < 126 ? 1 : length < 65_536 ? 2 : 8): Buffer {
  if (bytes === 1) return Buffer.of(length);
  const field = Buffer.alloc(bytes + 1);
  field[0] = bytes === 2 ? 126 : 127;
  if (bytes === 2) field.writeUInt16BE(length, 1);
  else field.writeBigUInt64BE(BigInt(length), 1);
  return field;
}

function masked(data: Buffer, mask: Buffer): Buffer {
  return Buffer.from(data.map((byte, i) => byte ^ (mask[i % 4] ?? 0)));
}

/** Reads the first frame; undefined while bytes are missing. */
export function parseFrame(bytes: Buffer): { readonly frame: ServerFrame; readonly size: number } | undefined {
  const length = frameLength(bytes);
  if (!length) return undefined;
  const isMasked = ((bytes[1] ?? 0) & 0x80) !== 0;
  const start = length.end + (isMasked ? 4 : 0);
  const size = start + length.value;
  if (bytes.length < size) return undefined;
  const raw = bytes.subarray(start, size);
  const first = bytes[0] ?? 0;
  const frame = {
    fin: (first & 0x80) !== 0,
    reserved: (first >> 4) & 7,
    opcode: first & 0x0f,
    masked: isMasked,
    payload: isMasked ? masked(raw, bytes.subarray(length.end, start)) : Buffer.from(raw),
  };
  return { frame, size };
}

function frameLength(bytes: Buffer): { readonly value: number; readonly end: number } | undefined {
  if (bytes.length < 2) return undefined;
  const short = (bytes[1] ?? 0) & 0x7f;
  if (short < 126) return { value: short, end: 2 };
  const end = short === 126 ? 4 : 10;
  if (bytes.length < end) return undefined;
  return { value: short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2)), end };
}

export interface HandshakeTerms {
  readonly path?: string;
  /** Lines as they are sent, without line ends: `apikey: k1`. */
  readonly headers?: readonly string[];
  readonly key?: string;
}

/** The usual handshake, as text. */
export function handshakeRequest({ path = '/', headers = [], key = 'dGhlIHNhbXBsZSBub25jZQ==' }: HandshakeTerms = {}): string {
  const lines = [
    `GET ${path} HTTP/1.1`,
    'Host: localhost',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Key: ${key}`,
    ...headers,
  ];
  return `${lines.join('\r\n')}\r\n\r\n`;
}

export interface ResponseHead {
  readonly status: number;
  readonly reason: string;
  /** Names in lower case; repeated fields are joined by a comma. */
  readonly headers: ReadonlyMap<string, string>;
}

/** One TCP connection and the bytes that came and were not taken yet. Every wait has a deadline. */
export class RawSocket {
  readonly socket: Socket;
  #received: Buffer = Buffer.alloc(0);
  #ended = false;
  #wake: () => void = () => {};

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#wake();
    });
    for (const event of ['end', 'close', 'error']) socket.on(event, () => this.#end());
  }

  static async connect(port: number, host = '127.0.0.1'): Promise<RawSocket> {
    const socket = connect({ port, host, noDelay: true });
    await once(socket, 'connect');
    return new RawSocket(socket);
  }

  /** Bytes that came and were not taken. */
  get received(): Buffer {
    return this.#received;
  }

  /** The peer has ended or broken the connection. */
  get ended(): boolean {
    return this.#ended;
  }

  send(bytes: Buffer | string): void {
    this.socket.write(bytes);
  }

  /** Sends byte after byte, each in a write of its own. */
  async sendSlowly(bytes: Buffer | string, stepBytes = 1): Promise<void> {
    const data = Buffer.from(bytes);
    for (let i = 0; i < data.length; i += stepBytes) {
      this.send(data.subarray(i, i + stepBytes));
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Takes everything up to the end of `pattern`. @throws Error at the deadline or when the connection ends before. */
  async takeUntil(pattern: Buffer | string, ms = waitMsDefault): Promise<Buffer> {
    const what = JSON.stringify(pattern.toString());
    return this.#takeWhen(what, ms, () => {
      const at = this.#received.indexOf(pattern);
      return at < 0 ? undefined : at + Buffer.byteLength(pattern);
    });
  }

  /** Takes exactly so many bytes. */
  async take(bytes: number, ms = waitMsDefault): Promise<Buffer> {
    return this.#takeWhen(`${bytes} bytes`, ms, () => (this.#received.length < bytes ? undefined : bytes));
  }

  /** Takes a response's head. */
  async takeHead(ms = waitMsDefault): Promise<ResponseHead> {
    return parseHead((await this.takeUntil('\r\n\r\n', ms)).toString('latin1'));
  }

  /** Takes the next frame. */
  async takeFrame(ms = waitMsDefault): Promise<ServerFrame> {
    await this.#until('a frame', ms, () => parseFrame(this.#received) !== undefined);
    const parsed = parseFrame(this.#received);
    if (!parsed) throw new Error('A frame was there and is not any more.');
    this.#received = this.#received.subarray(parsed.size);
    return parsed.frame;
  }

  /** Sends the handshake and takes the response's head, whatever it says. */
  async handshake(terms: HandshakeTerms = {}): Promise<ResponseHead> {
    this.send(handshakeRequest(terms));
    return this.takeHead();
  }

  /** Resolves when the peer has ended the connection; what came before stays in `received`. */
  async takeEnd(ms = waitMsDefault): Promise<void> {
    await this.#until('the end', ms, () => this.#ended);
  }

  destroy(): void {
    this.socket.destroy();
  }

  #end(): void {
    this.#ended = true;
    this.#wake();
  }

  async #takeWhen(what: string, ms: number, find: () => number | undefined): Promise<Buffer> {
    let end: number | undefined;
    await this.#until(what, ms, () => (end = find()) !== undefined);
    const taken = this.#received.subarray(0, end);
    this.#received = this.#received.subarray(end);
    return taken;
  }

  async #until(what: string, ms: number, done: () => boolean): Promise<void> {
    const deadline = Date.now() + ms;
    while (!done()) {
      const why = this.#ended ? 'the connection ended' : Date.now() >= deadline ? `${ms} ms passed` : undefined;
      if (why)
        throw new Error(`Waited for ${what}, but ${why}; received so far: ${JSON.stringify(this.#received.toString('latin1'))}`);
      await this.#activity(deadline - Date.now());
    }
  }

  #activity(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, Math.max(ms, 1));
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/** Opens a WebSocket over a raw socket. @throws Error unless the answer is 101. */
export async function openRawWebSocket(port: number, terms: HandshakeTerms = {}): Promise<RawSocket> {
  const socket = await RawSocket.connect(port);
  const { status } = await socket.handshake(terms);
  if (status !== 101) throw new Error(`The handshake was answered with ${status}.`);
  return socket;
}

function parseHead(text: string): ResponseHead {
  const [first = '', ...lines] = text.trimEnd().split('\r\n');
  const [, status = '0', reason = ''] = /^HTTP\/1\.[01] (\d{3}) ?(.*)$/.exec(first) ?? [];
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    const before = headers.get(name);
    headers.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  return { status: Number(status), reason, headers };
}

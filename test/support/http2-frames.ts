/** A client of HTTP/2 that writes frames by hand (RFC 9113), for what a library would not send. */
import { once } from 'node:events';
import { connect, type TLSSocket } from 'node:tls';

export const frameTypes = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goaway: 7, continuation: 9 } as const;
export const frameFlags = { ack: 1, endStream: 1, endHeaders: 4 } as const;

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

export function frame(type: number, flags: number, stream: number, payload: Buffer | string = ''): Buffer {
  const bytes = Buffer.from(payload);
  const head = Buffer.alloc(9);
  head.writeUIntBE(bytes.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, bytes]);
}

/** A block of fields as literals without index or Huffman code (RFC 7541 section 6.2.2). */
export function fieldBlock(fields: readonly (readonly [name: string, value: string])[]): Buffer {
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.of(0), text(name), text(value)]));
}

export function request(path: string, more: readonly (readonly [string, string])[] = [], method = 'GET'): Buffer {
  return fieldBlock([[':method', method], [':scheme', 'https'], [':authority', 'client.example'], [':path', path], ...more]);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1');
  return Buffer.concat([integer(bytes.length), bytes]);
}

/** With a prefix of seven bits (RFC 7541 section 5.1). */
function integer(value: number): Buffer {
  if (value < 127) return Buffer.of(value);
  const bytes = [127];
  let left = value - 127;
  for (; left >= 128; left = Math.floor(left / 128)) bytes.push((left % 128) + 128);
  return Buffer.from([...bytes, left]);
}

export class FrameClient {
  readonly socket: TLSSocket;
  readonly frames: Frame[] = [];
  #bytes = Buffer.alloc(0);
  #ended = false;
  readonly #waiting = new Set<() => void>();

  private constructor(socket: TLSSocket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#ended = true;
      this.#wake();
    });
  }

  /** With preface and empty settings sent. */
  static async connect(port: number): Promise<FrameClient> {
    const socket = connect({ port, host: '127.0.0.1', ALPNProtocols: ['h2'], rejectUnauthorized: false });
    await once(socket, 'secureConnect');
    const client = new FrameClient(socket);
    client.send(Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(frameTypes.settings, 0, 0));
    return client;
  }

  send(...parts: readonly Buffer[]): void {
    this.socket.write(Buffer.concat(parts));
  }

  /** The first frame for which the check holds. @throws Error at the deadline, or when the connection ends before. */
  async find(check: (one: Frame) => boolean, ms = 5000): Promise<Frame> {
    await this.#until(() => this.#ended || this.frames.some(check), ms);
    const found = this.frames.find(check);
    if (!found) throw new Error('The connection ended without the frame.');
    return found;
  }

  ended(ms = 5000): Promise<void> {
    return this.#until(() => this.#ended, ms);
  }

  async #until(check: () => boolean, ms: number): Promise<void> {
    const deadline = Date.now() + ms;
    while (!check()) {
      if (Date.now() > deadline) throw new Error(`It did not come within ${ms} ms; frames so far: ${this.frames.length}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 50);
        this.#waiting.add(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  #read(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    while (this.#bytes.length >= 9 && this.#bytes.length >= 9 + this.#bytes.readUIntBE(0, 3)) {
      const size = this.#bytes.readUIntBE(0, 3);
      const [type = 0, flags = 0] = this.#bytes.subarray(3, 5);
      this.frames.push({ type, flags, stream: this.#bytes.readUInt32BE(5), payload: this.#bytes.subarray(9, 9 + size) });
      this.#bytes = this.#bytes.subarray(9 + size);
    }
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }
}

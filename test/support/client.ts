/** A WebSocket client for tests (`ws`) that keeps what came until a test asks for it; every wait has a deadline. */
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { WebSocket, type ClientOptions } from 'ws';

const waitMsDefault = 3000;

export interface Frame {
  readonly data: Buffer;
  readonly binary: boolean;
}

export interface Closing {
  readonly code: number;
  readonly reason: string;
}

export interface Client {
  readonly socket: WebSocket;
  /** Fields of the 101. */
  readonly headers: IncomingMessage['headers'];
  send(data: string | Buffer): void;
  /** The next message. @throws Error at the deadline, or when the connection ends before. */
  next(ms?: number): Promise<Frame>;
  /** The next message as text. */
  nextText(ms?: number): Promise<string>;
  /** Resolves with code and reason when the connection has ended; 1006 where no close frame came. @throws Error at the deadline */
  closed(ms?: number): Promise<Closing>;
  /** How it ended, if it has. */
  readonly closing: Closing | undefined;
  /** Closes and waits for the end. */
  close(): Promise<void>;
}

export interface Refusal {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** Opens a WebSocket. @throws Error when the handshake is refused. */
export async function openClient(url: string, options: ClientOptions & { readonly protocols?: string[] } = {}): Promise<Client> {
  const socket = new WebSocket(url, options.protocols ?? [], options);
  const inbox = new Inbox(socket);
  let headers: IncomingMessage['headers'] = {};
  socket.once('upgrade', (response: IncomingMessage) => (headers = response.headers));
  await once(socket, 'open');
  return {
    socket,
    headers,
    send: (data) => socket.send(data),
    next: (ms) => inbox.next(ms),
    nextText: async (ms) => (await inbox.next(ms)).data.toString(),
    closed: (ms) => inbox.closed(ms),
    get closing() {
      return inbox.closing;
    },
    close: async () => {
      socket.close();
      await inbox.closed();
    },
  };
}

/** Tries to open a WebSocket that is to be refused; the whole answer. @throws Error when it is accepted. */
export async function refusedClient(url: string, options: ClientOptions = {}): Promise<Refusal> {
  const socket = new WebSocket(url, options);
  socket.on('error', () => {}); // The refusal is the result, not a fault.
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    socket.once('unexpected-response', (_request, answer) => resolve(answer));
    socket.once('open', () => {
      socket.terminate();
      reject(new Error('The handshake was accepted.'));
    });
    socket.once('error', reject);
  });
  const chunks: Buffer[] = [];
  for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk); // No encoding is set, so chunks are buffers.
  socket.terminate();
  return { status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks).toString() };
}

/** Keeps frames and the end of one socket for whoever waits for them. */
class Inbox {
  closing: Closing | undefined;
  readonly #frames: Frame[] = [];
  #wake: () => void = () => {};

  constructor(socket: WebSocket) {
    socket.on('message', (data: Buffer, binary: boolean) => {
      this.#frames.push({ data, binary });
      this.#wake();
    });
    socket.on('close', (code, reason) => {
      this.closing = { code, reason: reason.toString() };
      this.#wake();
    });
    socket.on('error', () => {}); // It ends with `close`.
  }

  async next(ms = waitMsDefault): Promise<Frame> {
    await this.#until('a message', ms, () => this.#frames.length > 0 || this.closing !== undefined);
    const frame = this.#frames.shift();
    if (frame) return frame;
    throw new Error(`The connection ended with ${this.closing?.code} ${this.closing?.reason} while a message was waited for.`);
  }

  async closed(ms = waitMsDefault): Promise<Closing> {
    await this.#until('the end', ms, () => this.closing !== undefined);
    return this.closing ?? { code: 1006, reason: '' };
  }

  async #until(what: string, ms: number, done: () => boolean): Promise<void> {
    const deadline = Date.now() + ms;
    while (!done()) {
      const left = deadline - Date.now();
      if (left <= 0) throw new Error(`Waited ${ms} ms for ${what}.`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }
}

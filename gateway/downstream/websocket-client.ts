/**
 * A WebSocket to a backend, for targets without a dialect: the client's handshake goes on as it is (GRIP 2.13). It stands on
 * `ws`, which is told only what it has to know: path, fields and subprotocols are written here, the answer to the extension
 * `grip` is read here, and close frames are reported instead of answered.
 */
import type { ClientRequest, IncomingMessage } from 'node:http';
import { isIP, type createConnection } from 'node:net';
import { connect, type ConnectionOptions } from 'node:tls';
import { WebSocket, type RawData } from 'ws';
import { ForegateError, type ErrorCode } from '../core/errors.ts';
import type { Reply, RequestHead } from '../core/exchange.ts';
import { header, headerValues, isHopByHop, type HeaderList } from '../core/headers.ts';
import { limits } from '../core/limits.ts';
import { publicSocket, reachOf } from './public-only.ts';
import type { Target } from '../core/route.ts';

export interface BackendTerms {
  readonly target: Pick<Target, 'origin' | 'publicOnly' | 'tls'>;
  /** The session's head, with `Grip-Sig` where the route signs. */
  readonly head: RequestHead;
  /** Bytes of one message; a larger one ends the connection with 1009. */
  readonly maxPayload: number;
  /** For the whole handshake, a refusal's body included. */
  readonly timeoutMs: number;
  /** Bytes of a refusal's body. Default: `limits.refusalBytes`. */
  readonly refusalBytes?: number;
}

export interface OpenBackend {
  readonly kind: 'open';
  /** Paused, so that nothing is lost before the listeners are there: `resume()` it then. */
  readonly socket: BackendSocket;
  /** Of the 101, as they came: `Sec-WebSocket-Extensions` may turn GRIP on, and is not for the client. */
  readonly headers: HeaderList;
  /** The one the backend chose of those that were offered. */
  readonly subprotocol: string | undefined;
}

export interface RefusedBackend {
  readonly kind: 'refused';
  readonly reply: Reply;
}

/**
 * Opens a WebSocket to a target.
 * @throws ForegateError `downstream-unreachable` (nothing was sent), `downstream-lost`, `downstream-timeout`, `bad-reply` (an
 *   answer that is no handshake) or `reply-too-large` (a refusal).
 */
export function connectBackend(terms: BackendTerms): Promise<OpenBackend | RefusedBackend> {
  return new Promise((resolve, reject) => new Handshake(terms, resolve, reject).start());
}

/** A close frame of the backend; no code is not the same as 1000. */
export type BackendCloseListener = (code: number | undefined, reason: string) => void;

/**
 * A WebSocket that leaves closing to its owner. Events: `message`, `ping` and `pong` (nothing is answered here), `error`,
 * `close` (the connection is gone), and {@link BackendSocket.onCloseFrame}.
 */
export class BackendSocket extends WebSocket {
  /** Called for the backend's close frame. It stays unanswered until `closeWith`; set a deadline. */
  onCloseFrame: BackendCloseListener | undefined;

  /**
   * `ws` calls this when a close frame came, to answer it at once, and, with a code alone, when a frame broke the rules.
   * For the owner there is `closeWith`.
   */
  override close(code?: number, reason?: string | Buffer): void {
    const isBroken = code !== undefined && reason === undefined;
    if (isBroken || this.readyState !== WebSocket.OPEN) super.close(code, reason);
    else this.onCloseFrame?.(code, reason === undefined ? '' : reason.toString());
  }

  /** Starts the closing handshake, or answers the backend's. The connection is gone after it, or after `limits.closeTimeoutMs`. */
  closeWith(code: number | undefined, reason: string): void {
    super.close(code, code === undefined ? undefined : reason);
  }
}

/** The bytes of a message as `ws` gives them with its default `binaryType`. */
export function messageBytes(data: RawData): Buffer {
  if (Buffer.isBuffer(data)) return data;
  return Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data);
}

type Resolve = (result: OpenBackend | RefusedBackend) => void;

/** One attempt: whatever comes first settles it. */
class Handshake {
  readonly #terms: BackendTerms;
  readonly #offered: readonly string[];
  readonly #resolve: Resolve;
  readonly #reject: (error: ForegateError) => void;
  #socket: BackendSocket | undefined;
  #request: ClientRequest | undefined;
  #answer: IncomingMessage | undefined;
  #timer: NodeJS.Timeout | undefined;
  #flaw: ForegateError | undefined;
  #isConnected = false;
  #isSettled = false;

  constructor(terms: BackendTerms, resolve: Resolve, reject: (error: ForegateError) => void) {
    this.#terms = terms;
    this.#offered = listed(terms.head.headers, 'sec-websocket-protocol');
    this.#resolve = resolve;
    this.#reject = reject;
  }

  start(): void {
    const { target, maxPayload, timeoutMs } = this.#terms;
    // Not all of these are in the declared type; `ws` and `tls.connect`, which gets them too, know them.
    const options = {
      ...target.tls,
      ...reachOf(target.publicOnly),
      ...(target.publicOnly && /^(?:https|wss):/.test(target.origin) && { createConnection: connectPublic }),
      maxPayload,
      autoPong: false,
      perMessageDeflate: false,
      closeTimeout: limits.closeTimeoutMs,
      finishRequest: (request: ClientRequest) => this.#send(request),
    };
    const socket = new BackendSocket(target.origin, options);
    this.#socket = socket;
    this.#timer = setTimeout(() => this.#fail('downstream-timeout'), timeoutMs);
    socket.on('upgrade', (answer) => this.#upgraded(answer));
    socket.on('unexpected-response', (_request, reply) => this.#refused(reply));
    socket.on('open', () => this.#opened(socket));
    // Stays for good: an error of an open connection is followed by `close`, which its owner hears.
    socket.on('error', (error: Error & { code?: unknown }) => this.#failed(error));
  }

  /** Writes the head; `ws` has put in what a handshake needs, with a key of its own. */
  #send(request: ClientRequest): void {
    this.#request = request;
    request.once('socket', (socket) => {
      socket.once('encrypted' in socket ? 'secureConnect' : 'connect', () => (this.#isConnected = true));
    });
    try {
      writeHead(request, this.#terms.head);
      request.end();
    } catch (cause) {
      this.#flaw = new ForegateError('internal', 'The head of the handshake is not valid.', { cause });
      request.destroy(this.#flaw);
    }
  }

  /**
   * The 101, before `ws` looks at it. `ws` refuses extensions and subprotocols that it has not offered itself; these were
   * offered here, so they are checked here and hidden from it.
   */
  #upgraded(answer: IncomingMessage): void {
    this.#answer = answer;
    const offeredGrip = listed(this.#terms.head.headers, 'sec-websocket-extensions').length > 0;
    const extensions = listed(answer.rawHeaders, 'sec-websocket-extensions');
    const chosen = headerValues(answer.rawHeaders, 'sec-websocket-protocol');
    if (extensions.some((extension) => !offeredGrip || !/^grip\s*(?:;|$)/i.test(extension)))
      this.#flaw = badAnswer('an extension');
    if (chosen.length > 1 || chosen.some((protocol) => !this.#offered.includes(protocol)))
      this.#flaw = badAnswer('a subprotocol');
    delete answer.headers['sec-websocket-extensions'];
    delete answer.headers['sec-websocket-protocol'];
    if (this.#flaw) this.#socket?.terminate();
  }

  #opened(socket: BackendSocket): void {
    const headers = this.#answer?.rawHeaders ?? [];
    // What came with the 101 would be read before the promise's own callback runs.
    socket.pause();
    clearTimeout(this.#timer);
    this.#isSettled = true;
    this.#resolve({ kind: 'open', socket, headers, subprotocol: header(headers, 'sec-websocket-protocol') });
  }

  #refused(reply: IncomingMessage): void {
    const { refusalBytes = limits.refusalBytes } = this.#terms;
    this.#answer = reply;
    const chunks: Buffer[] = [];
    let bytes = 0;
    reply.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      chunks.push(chunk);
      if (bytes > refusalBytes) this.#fail('reply-too-large');
    });
    reply.once('error', () => this.#fail('downstream-lost'));
    reply.once('end', () => {
      const { statusCode = 0, statusMessage = '', rawHeaders } = reply;
      this.#isSettled = true;
      this.#resolve({
        kind: 'refused',
        reply: { status: statusCode, reason: statusMessage, headers: rawHeaders, body: Buffer.concat(chunks) },
      });
      this.#leave();
    });
  }

  #failed(error: Error & { code?: unknown }): void {
    if (this.#flaw) this.#settle(this.#flaw);
    else if (!this.#isConnected) this.#fail('downstream-unreachable', error);
    else if (this.#answer || String(error.code).startsWith('HPE_')) this.#fail('bad-reply', error);
    else this.#fail('downstream-lost', error);
  }

  #fail(code: ErrorCode, cause?: unknown): void {
    this.#settle(new ForegateError(code, undefined, { cause }));
  }

  #settle(error: ForegateError): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#reject(error);
    this.#leave();
  }

  #leave(): void {
    clearTimeout(this.#timer);
    this.#request?.destroy();
    this.#socket?.terminate();
  }
}

/** As `ws` itself makes a connection with TLS. */
const connectPublic = ((options: ConnectionOptions) => {
  const { host = '', servername = isIP(host) === 0 ? host : '' } = options;
  return connect({ ...options, servername, socket: publicSocket(options) });
}) as typeof createConnection; // One of its forms is enough for `ws`, though its types want all.

/** @throws Error for a path or a field that would make two requests of one. */
function writeHead(request: ClientRequest, head: RequestHead): void {
  if (!/^\/[\x21-\xff]*$/.test(head.path)) throw new Error('A path starts with a slash and has no spaces.');
  request.path = head.path;
  request.removeHeader('host');
  for (let i = 0; i + 1 < head.headers.length; i += 2) {
    const name = head.headers[i] ?? '';
    if (!isOfWs(name.toLowerCase())) request.appendHeader(name, head.headers[i + 1] ?? '');
  }
}

/** Made by `ws`, or of a plain request. */
function isOfWs(lowerName: string): boolean {
  return (
    lowerName === 'sec-websocket-key' ||
    lowerName === 'sec-websocket-version' ||
    lowerName === 'content-length' ||
    isHopByHop(lowerName)
  );
}

/** The elements of a list field. None that is read here has commas within. */
function listed(headers: HeaderList, lowerName: string): string[] {
  return headerValues(headers, lowerName)
    .flatMap((value) => value.split(','))
    .map((element) => element.trim())
    .filter((element) => element !== '');
}

function badAnswer(what: string): ForegateError {
  return new ForegateError('bad-reply', `The backend answered the handshake with ${what} that was not offered.`);
}

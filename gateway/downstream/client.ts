/**
 * The client for short requests to one place: connections kept alive, one request in flight on each, replies read within their
 * limit, a deadline for each request. It stands on undici's `Client`, one per connection, so that a failure can say how far the
 * request got (GRIP 2.10).
 */
import { isIP } from 'node:net';
import { buildConnector, Client, type Dispatcher } from 'undici';
import { ForegateError } from '../core/errors.ts';
import type { Downstream, Reply, RequestDraft } from '../core/exchange.ts';
import { limits } from '../core/limits.ts';
import type { Target, TargetTls } from '../core/route.ts';
import { publicSocket, reachOf } from './public-only.ts';
import { ReturnWatch } from './return-watch.ts';

export interface ClientSettings {
  /** Scheme, host and port. */
  readonly origin: string;
  /** Connections at once; further requests wait for a free one. */
  readonly connections: number;
  /** An idle connection is closed after this time: below the gateway's own, whose `Keep-Alive` hint is not believed. */
  readonly idleMs: number;
  readonly connectTimeoutMs: number;
  /** A reused connection that closed without a byte is worth a second try. */
  readonly retry: Target['retry'];
  /** No private, local or other special address is connected to. */
  readonly publicOnly: boolean;
  readonly tls: TargetTls;
}

interface Terms {
  readonly replyBytes: number;
  readonly timeoutMs: number;
}

/** A request and who waits for its reply. */
interface Call {
  readonly draft: RequestDraft;
  readonly terms: Terms;
  readonly waitingSince: number;
  resolve(reply: Reply): void;
  reject(error: ForegateError): void;
}

export class HttpDownstream implements Downstream {
  readonly #settings: ClientSettings;
  readonly #watch: ReturnWatch;
  /** Free connections; the last used goes first, so that few stay busy and the rest may close. */
  readonly #free: Lane[] = [];
  readonly #lanes: Lane[] = [];
  #waiting: Call[] = [];
  #closing: Promise<void> | undefined;

  constructor(settings: ClientSettings) {
    this.#settings = settings;
    this.#watch = new ReturnWatch(settings.origin, settings.connectTimeoutMs, reachOf(settings.publicOnly));
  }

  send(draft: RequestDraft, terms: Terms): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const call: Call = { draft, terms, waitingSince: performance.now(), resolve, reject };
      if (this.#closing !== undefined) reject(new ForegateError('shutting-down'));
      else if (this.#waiting.length >= limits.targetWaiting)
        reject(new ForegateError('overloaded', 'Too many requests wait for this target.'));
      else this.#start(call);
    });
  }

  back(ms: number): Promise<boolean> {
    return this.#watch.wait(ms);
  }

  /** Ends idle connections now, busy ones with their request. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#watch.close();
    await Promise.all(this.#lanes.map((lane) => lane.close()));
  }

  #start(call: Call): void {
    const lane = this.#free.pop() ?? this.#newLane();
    if (lane === undefined) this.#waiting.push(call);
    else lane.run(call);
  }

  #newLane(): Lane | undefined {
    if (this.#lanes.length >= this.#settings.connections) return undefined;
    const lane = new Lane(this.#settings, this.#release);
    this.#lanes.push(lane);
    return lane;
  }

  /** A lane is free again. */
  readonly #release = (lane: Lane, answered: boolean): void => {
    if (answered) this.#watch.returned();
    const call = this.#next();
    if (call === undefined) this.#free.push(lane);
    else lane.run(call);
  };

  /** The first waiting call whose deadline has not passed while it waited. */
  #next(): Call | undefined {
    for (let call = this.#waiting.shift(); call !== undefined; call = this.#waiting.shift()) {
      if (performance.now() - call.waitingSince < call.terms.timeoutMs) return call;
      call.reject(new ForegateError('downstream-timeout', 'No connection to the target became free in time.'));
    }
    return undefined;
  }
}

/** The name to ask for and to check: never that of a request's `Host`, which undici would take, and which a client may choose. */
function serverName({ origin, tls }: ClientSettings): string {
  return tls.servername ?? new URL(origin).hostname.replaceAll(/^\[|\]$/g, '');
}

/** One connection: an undici client and the handler of its request. */
class Lane implements Dispatcher.DispatchHandler {
  readonly #client: Client;
  readonly #release: (lane: Lane, answered: boolean) => void;
  readonly #retries: number;
  readonly #serverName: string;
  #call: Call | undefined;
  #controller: Dispatcher.DispatchController | undefined;
  /** The connection of this request was made for it: `none` until it is there. */
  #connection: 'none' | 'new' | 'reused' = 'none';
  #connected = false;
  #begun = false;
  #retriesLeft = 0;
  #abortedWith: ForegateError | undefined;
  #deadline: NodeJS.Timeout | undefined;
  #deadlineMs = 0;
  #status = 0;
  #reason = '';
  #headers: string[] = [];
  #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(settings: ClientSettings, release: (lane: Lane, answered: boolean) => void) {
    this.#release = release;
    this.#retries = settings.retry === 'never' ? 0 : 1;
    this.#serverName = serverName(settings);
    // TLS has no names for addresses: there the address itself is checked.
    const servername = isIP(this.#serverName) === 0 ? this.#serverName : '';
    const { publicOnly, connectTimeoutMs: timeout } = settings;
    const connect = buildConnector({ ...settings.tls, ...reachOf(publicOnly), timeout, allowH2: false });
    this.#client = new Client(settings.origin, {
      pipelining: 1,
      headersTimeout: 0, // The deadline is ours: undici's timers are coarse.
      bodyTimeout: 0,
      keepAliveTimeout: settings.idleMs,
      keepAliveMaxTimeout: settings.idleMs,
      connect: (options, callback) => {
        this.#connected = false;
        const httpSocket = publicOnly && options.protocol === 'https:' ? publicSocket(placeOf(options)) : undefined;
        connect({ ...options, servername, ...(httpSocket && { httpSocket }) }, (error, socket) => {
          if (error !== null) return callback(error, null);
          this.#connected = true;
          this.#connection = 'new';
          return callback(null, socket);
        });
      },
    });
    this.#client.on('disconnect', () => {
      this.#connected = false;
    });
  }

  run(call: Call): void {
    this.#call = call;
    this.#retriesLeft = this.#retries;
    this.#abortedWith = undefined;
    this.#armDeadline(call.terms.timeoutMs);
    this.#dispatch(call.draft);
  }

  close(): Promise<void> {
    clearTimeout(this.#deadline);
    return this.#call === undefined ? this.#client.close() : this.#client.destroy();
  }

  #dispatch(draft: RequestDraft): void {
    this.#connection = this.#connected ? 'reused' : 'none';
    this.#begun = false;
    this.#controller = undefined;
    this.#chunks = [];
    this.#bytes = 0;
    const { method, path, headers, body = null } = draft;
    // Known to undici, not yet to its types.
    const tls = { servername: this.#serverName };
    this.#client.dispatch({ method, path, headers, body, ...tls }, this);
  }

  /** One timer per connection, moved on with each request: cheaper than one per request. */
  #armDeadline(ms: number): void {
    if (this.#deadline !== undefined && this.#deadlineMs === ms) {
      this.#deadline.refresh();
      return;
    }
    clearTimeout(this.#deadline);
    this.#deadlineMs = ms;
    this.#deadline = setTimeout(() => this.#abort(new ForegateError('downstream-timeout')), ms).unref();
  }

  #abort(error: ForegateError): void {
    if (this.#call === undefined || this.#abortedWith !== undefined) return;
    this.#abortedWith = error;
    this.#controller?.abort(error);
  }

  // What undici tells, in its order.

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    // The deadline passed while the connection was being made, which has a deadline of its own.
    if (this.#abortedWith !== undefined) controller.abort(this.#abortedWith);
  }

  onResponseStarted(): void {
    this.#begun = true;
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, _headers: unknown, reason?: string): void {
    if (status < 200) return;
    this.#status = status;
    this.#reason = reason ?? '';
    this.#headers = rawHeaders(controller.rawHeaders);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#bytes > (this.#call?.terms.replyBytes ?? 0)) {
      this.#abortedWith = new ForegateError('reply-too-large');
      controller.abort(this.#abortedWith);
      return;
    }
    this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
    const [only] = this.#chunks;
    const body = this.#chunks.length === 1 && only !== undefined ? only : Buffer.concat(this.#chunks, this.#bytes);
    this.#finish({ status: this.#status, reason: this.#reason, headers: this.#headers, body });
  }

  onResponseError(_controller: unknown, error: Error): void {
    const call = this.#call;
    if (call === undefined) return;
    const silent = this.#connection === 'reused' && !this.#begun && this.#abortedWith === undefined;
    if (silent && this.#retriesLeft > 0) {
      this.#retriesLeft -= 1;
      this.#connected = false;
      // Not from within undici's own clean-up of the lost connection.
      setImmediate(() => this.#dispatch(call.draft));
      return;
    }
    this.#finish(this.#abortedWith ?? failure(error, this.#connection, this.#begun));
  }

  #finish(outcome: Reply | ForegateError): void {
    const call = this.#call;
    if (call === undefined) return;
    this.#call = undefined;
    this.#controller = undefined;
    this.#chunks = [];
    if (outcome instanceof ForegateError) {
      call.reject(outcome);
      // The next request must not begin within undici's own clean-up of the lost connection.
      setImmediate(this.#release, this, false);
      return;
    }
    call.resolve(outcome);
    this.#release(this, true);
  }
}

function placeOf({ hostname, port }: buildConnector.Options): { host: string; port: string } {
  return { host: hostname, port: port || '443' };
}

function failure(error: Error, connection: 'none' | 'new' | 'reused', begun: boolean): ForegateError {
  if (connection === 'none') return new ForegateError('downstream-unreachable', undefined, { cause: error });
  if (error.name === 'HTTPParserError') return new ForegateError('bad-reply', 'The reply is not valid HTTP.', { cause: error });
  if (begun)
    return new ForegateError('downstream-lost', 'The backend closed its connection in the middle of its answer.', {
      cause: error,
    });
  return new ForegateError('downstream-lost', undefined, { cause: error });
}

/** undici hands over names and values as it read them: bytes. */
function rawHeaders(raw: Dispatcher.DispatchController['rawHeaders']): string[] {
  if (!Array.isArray(raw)) return [];
  return raw.map((item) => (typeof item === 'string' ? item : item.toString('latin1')));
}

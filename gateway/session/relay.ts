/**
 * The upstream of a session whose target is a WebSocket backend (GRIP 2.13): frame by frame in both directions, GRIP included,
 * with the reading of one side held while the other does not take what it is sent.
 */
import { ForegateError, toForegateError } from '../core/errors.ts';
import { isMessage, type ClientEvent, type Close, type Message } from '../core/event.ts';
import type { Reply } from '../core/exchange.ts';
import type { Accept, Step } from '../core/instruction.ts';
import { isPromise, type MaybePromise } from '../core/promise.ts';
import type { Denial } from '../core/session.ts';
import type { TargetGuard } from '../core/target-guard.ts';
import { withPass } from '../downstream/breaker-and-cap.ts';
import {
  connectBackend,
  messageBytes,
  type BackendSocket,
  type OpenBackend,
  type RefusedBackend,
} from '../downstream/websocket-client.ts';
import { acceptance } from '../wire/websocket-over-http.ts';
import { dress, permitted, type Caller } from './exchange.ts';
import type { PumpHost } from './pump.ts';
import type { Upstream } from './upstream.ts';

export type RelayOpening =
  | { readonly kind: 'accepted'; readonly accept: Accept; readonly steps: readonly Step[]; readonly backend: BackendSocket }
  | { readonly kind: 'refused'; readonly reply: Reply }
  | Denial;

/** Makes the backend's handshake with the client's. @throws ForegateError as `connectBackend` does */
export async function openRelay(caller: Caller): Promise<RelayOpening> {
  const { route, target } = caller;
  const draft = dress({ method: 'GET', headers: [], body: undefined }, caller);
  caller.nextRequest();
  const denial = await permitted(route.hooks.request, caller, draft);
  if (denial !== undefined) return denial;
  const { replyBytes: maxPayload, refusalBytes } = route.limits;
  const connected = await past(target.guard, () =>
    connectBackend({ target, head: draft, maxPayload, refusalBytes, timeoutMs: target.timeoutMs }),
  );
  if (connected.kind === 'refused') return connected;
  const accept = acceptance(connected.headers);
  const reply = { ...switched, headers: connected.headers };
  const after = await permitted(route.hooks.response, caller, { reply, steps: [accept] });
  if (after !== undefined) {
    connected.socket.terminate();
    return after;
  }
  return { kind: 'accepted', accept, steps: [], backend: connected.socket };
}

type Connected = OpenBackend | RefusedBackend;

/** A handshake is a request of its target as others are: it goes past the guard. */
async function past(guard: TargetGuard | undefined, connect: () => Promise<Connected>): Promise<Connected> {
  if (guard === undefined) return connect();
  return withPass(await guard.enter(), connect, (connected) => (connected.kind === 'open' ? 101 : connected.reply.status));
}

/** What policies see of the handshake's answer once frames flow. */
const switched: Reply = { status: 101, reason: 'Switching Protocols', headers: [], body: Buffer.alloc(0) };

/** What the policies say of a message of the backend; at once where there are none. */
export function permittedFrame(caller: Caller, message: Message): MaybePromise<Denial | undefined> {
  const { response } = caller.route.hooks;
  return response.length === 0 ? undefined : permitted(response, caller, { reply: switched, steps: [message] });
}

/** What a relay needs of its session. */
export interface RelayHost extends Pick<
  PumpHost,
  'apply' | 'failed' | 'upstreamFinished' | 'pause' | 'resume' | 'room' | 'queueBytes'
> {
  /** Whether a message of the backend may go on to the client. */
  permits(message: Message): MaybePromise<Denial | undefined>;
  /** It may not. */
  denied(denial: Denial, message: Message): void;
}

export class Relay implements Upstream {
  readonly #host: RelayHost;
  readonly #backend: BackendSocket;
  /** Steps of earlier messages that have to be waited for: later ones come after them. */
  #applying: Promise<void> | undefined;
  #clientPaused = false;
  /** The client's close is on its way; the backend's own close answers it. */
  #clientCloses = false;
  /** The backend's end is expected, or nobody wants to hear of it. */
  #ending = false;
  #finished = false;

  constructor(host: RelayHost, backend: BackendSocket) {
    this.#host = host;
    this.#backend = backend;
    backend.on('message', (data, isBinary) => this.#read({ kind: isBinary ? 'binary' : 'text', data: messageBytes(data) }));
    backend.on('ping', (data) => this.#read({ kind: 'ping', data }));
    backend.on('pong', (data) => this.#read({ kind: 'pong', data }));
    backend.onCloseFrame = (code, reason) => this.#read(closeEvent(code, reason));
    backend.on('close', (code, reason) => this.#gone(code, reason.toString()));
  }

  get finished(): boolean {
    return this.#finished;
  }

  begin(): void {
    this.#backend.resume();
  }

  push(event: ClientEvent): void {
    if (isMessage(event)) this.#send(event);
    if (event.kind !== 'close') return;
    this.#clientCloses = true;
    this.#backend.closeWith(event.code, event.reason);
  }

  /** There is nothing to ask: this backend speaks when it wants to. */
  ask(): void {}

  /** One side lost its connection without a word; the other sees the same. */
  lost(): void {
    this.stop();
  }

  detach(): void {
    this.#ending = true;
    this.#backend.closeWith(undefined, '');
    this.#backend.resume();
  }

  /** Nothing waits here. */
  discard(): void {}

  stop(): void {
    this.#ending = true;
    this.#backend.terminate();
  }

  #send({ kind, data }: Message): void {
    if (kind === 'ping') this.#backend.ping(data);
    else if (kind === 'pong') this.#backend.pong(data);
    else this.#backend.send(data, { binary: kind === 'binary' }, this.#sent);
    if (this.#clientPaused || this.#backend.bufferedAmount <= this.#host.queueBytes) return;
    this.#clientPaused = true;
    this.#host.pause();
  }

  /** The backend took a message: is there room for the client's next ones? */
  readonly #sent = (): void => {
    if (!this.#clientPaused || this.#backend.bufferedAmount > this.#host.queueBytes) return;
    this.#clientPaused = false;
    this.#host.resume();
  };

  #read(frame: Message | Close): void {
    if (this.#ending) return;
    if (this.#applying === undefined) this.#apply(frame);
    else this.#wait(this.#applying.then(() => this.#guarded(() => this.#take(frame))));
  }

  #apply(frame: Message | Close): void {
    const applying = this.#guarded(() => this.#take(frame));
    const waiting = isPromise(applying) ? applying : this.#host.room();
    if (waiting === undefined) return;
    this.#backend.pause();
    this.#wait(waiting);
  }

  /** A message goes through the policies first; the end of the connection is no matter of theirs. */
  #take(frame: Message | Close): MaybePromise<void> {
    const verdict = isMessage(frame) ? this.#host.permits(frame) : undefined;
    if (verdict === undefined || !isMessage(frame)) return this.#host.apply([frame]);
    return isPromise(verdict) ? verdict.then((denial) => this.#decided(denial, frame)) : this.#decided(verdict, frame);
  }

  #decided(denial: Denial | undefined, message: Message): MaybePromise<void> {
    return denial === undefined ? this.#host.apply([message]) : this.#host.denied(denial, message);
  }

  /** The last that is waited for lets the backend go on: some may have come after it was told to pause. */
  #wait(waiting: Promise<void>): void {
    const applied = waiting.then(() => {
      if (this.#applying !== applied) return;
      this.#applying = undefined;
      this.#backend.resume();
    });
    this.#applying = applied;
  }

  #guarded(work: () => MaybePromise<void>): MaybePromise<void> {
    try {
      const working = work();
      return isPromise(working) ? working.catch((thrown: unknown) => this.#fail(thrown)) : undefined;
    } catch (thrown) {
      return this.#fail(thrown);
    }
  }

  #fail(thrown: unknown): void {
    this.stop();
    this.#host.failed(toForegateError(thrown));
  }

  /** Codes as `ws` tells them: 1005 for a close frame without one, 1006 for no close frame at all. */
  #gone(code: number, reason: string): void {
    this.#finished = true;
    if (this.#clientCloses && code !== 1006) this.#read(closeEvent(code === 1005 ? undefined : code, reason));
    else if (!this.#ending) this.#host.failed(new ForegateError('downstream-lost'));
    this.#host.upstreamFinished();
  }
}

function closeEvent(code: number | undefined, reason: string): Close {
  return code === undefined ? { kind: 'close', reason } : { kind: 'close', code, reason };
}

/**
 * Makes the doctor's requests: one after the other, each on a connection of its own, so many and no more. A connection is closed
 * by its peer or when the doctor is done with it: what the peer says of its idle time is not believed.
 */
import { request as requestHttp, type Agent, type IncomingMessage } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { Socket } from 'node:net';
import type { Reply, RequestDraft } from '../core/exchange.ts';
import type { Target } from '../core/route.ts';
import { createTargetAgent } from '../downstream/target-agent.ts';

/** Requests for one target, whatever is looked at. */
export const requestsMax = 48;
/** As much of an answer as is read. */
const replyBytesMax = 100_000;
const connectMs = 5000;

/** No more requests may be made, the time is up, or the gateway has had enough: what is left is not looked at. */
export class DoneAsking extends Error {}

export type Outcome =
  | { readonly kind: 'reply'; readonly reply: Reply; readonly ms: number }
  /** `sent`: it was connected; the request may have arrived. */
  | { readonly kind: 'failed'; readonly reason: string; readonly sent: boolean; readonly timedOut: boolean; readonly ms: number };

export interface AskTerms {
  readonly timeoutMs?: number;
  /** Is called with each piece of the body. */
  readonly read?: (piece: Buffer) => void;
}

export class Asker {
  readonly #target: Target;
  readonly #signal: AbortSignal;
  #made = 0;

  /** `signal`: the time for all is up. */
  constructor(target: Target, signal: AbortSignal) {
    this.#target = target;
    this.#signal = signal;
  }

  get made(): number {
    return this.#made;
  }

  /** Aborted when no more time is left. */
  get signal(): AbortSignal {
    return this.#signal;
  }

  /** @throws DoneAsking */
  async ask(draft: RequestDraft, terms: AskTerms = {}): Promise<Outcome> {
    const agent = this.#agent(connectMs);
    try {
      return await this.#send(draft, agent, terms);
    } finally {
      agent.destroy();
    }
  }

  /** Keeps the connection for so long; `closed` resolves when the peer has closed it. Call `end` when done. @throws DoneAsking */
  async askAndKeep(draft: RequestDraft, keepMs: number): Promise<Kept> {
    const agent = this.#agent(keepMs);
    let socket: Socket | undefined;
    const outcome = await this.#send(draft, agent, { connected: (one) => (socket = one) });
    return { outcome, socket, end: () => agent.destroy() };
  }

  #agent(idleMs: number): Agent {
    const agent = createTargetAgent(this.#target, { idleMs, connectMs });
    // The agent's own method would close the connection when the peer's `Keep-Alive` says so.
    return Object.assign(agent, { keepSocketAlive: () => true });
  }

  async #send(draft: RequestDraft, agent: Agent, terms: SendTerms): Promise<Outcome> {
    if (this.#made >= requestsMax) throw new DoneAsking(`${requestsMax} requests were made`);
    if (this.#signal.aborted) throw new DoneAsking('the time was up');
    this.#made += 1;
    const outcome = await send(this.#target, draft, { ...terms, agent, signal: this.#signal });
    if (outcome.kind === 'failed' && this.#signal.aborted) throw new DoneAsking('the time was up');
    // The answer to the first one is read by who asked.
    if (outcome.kind === 'reply' && this.#made > 1 && isLimit(this.#target, outcome.reply))
      throw new DoneAsking('a limit of the gateway is used up');
    return outcome;
  }
}

/** Further requests would only be counted against it. */
export function isLimit({ profile }: Target, reply: Reply): boolean {
  if (reply.status < 400) return false;
  const { kind } = profile.fault(reply);
  return kind === 'throttled' || kind === 'quota';
}

export interface Kept {
  readonly outcome: Outcome;
  readonly socket: Socket | undefined;
  end(): void;
}

interface SendTerms extends AskTerms {
  readonly connected?: (socket: Socket) => void;
}

function send(
  { origin, timeoutMs: usualMs }: Target,
  { method, path, headers, body }: RequestDraft,
  { agent, signal, connected, read, timeoutMs = usualMs }: SendTerms & { readonly agent: Agent; readonly signal: AbortSignal },
): Promise<Outcome> {
  const { hostname, port, protocol } = new URL(origin);
  const began = performance.now();
  const ms = (): number => Math.round(performance.now() - began);
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
  return new Promise((resolve) => {
    let sent = false;
    const failed = (error: Error): void => {
      const timedOut = deadline.aborted;
      resolve({ kind: 'failed', reason: timedOut ? `no answer in ${timeoutMs} ms` : reasonOf(error), sent, timedOut, ms: ms() });
    };
    const make = protocol === 'https:' ? requestHttps : requestHttp;
    const outgoing = make({
      agent,
      host: hostname.replace(/^\[(.*)\]$/, '$1'),
      port: port === '' ? undefined : Number(port),
      method,
      path,
      headers: [...headers, 'Connection', 'keep-alive'],
      signal: deadline,
    });
    outgoing.once('socket', (socket) => {
      sent = true;
      connected?.(socket);
    });
    outgoing.once('response', (response) => {
      readReply(response, read).then((reply) => resolve({ kind: 'reply', reply, ms: ms() }), failed);
    });
    outgoing.on('error', failed);
    outgoing.end(body);
  });
}

async function readReply(response: IncomingMessage, read?: (piece: Buffer) => void): Promise<Reply> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of response as AsyncIterable<Buffer>) {
    read?.(piece);
    bytes += piece.length;
    pieces.push(piece);
    if (bytes > replyBytesMax) break;
  }
  const { statusCode = 0, statusMessage = '', rawHeaders } = response;
  return { status: statusCode, reason: statusMessage, headers: rawHeaders, body: Buffer.concat(pieces) };
}

/** The system's code says it for people who look it up; an `AggregateError` (all addresses of a name) has no message. */
function reasonOf(error: Error): string {
  const { code } = error as NodeJS.ErrnoException; // Node's system errors have it.
  return error.message === '' ? (code ?? error.name) : error.message;
}

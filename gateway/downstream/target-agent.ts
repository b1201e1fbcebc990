/**
 * Connections to one target for plain requests: kept alive for a short time, and shown to a request only when they stand. As
 * long as a connection is not there nothing of a request's body has been read, so another target can still have it whole.
 */
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent, type AgentOptions } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { limits } from '../core/limits.ts';
import type { Target } from '../core/route.ts';
import { publicSocket, reachOf } from './public-only.ts';

export interface AgentTerms {
  /** How long an unused connection is kept; shorter than what the gateway behind allows. */
  readonly idleMs: number;
  /** How long a connection may take to stand, TLS included. */
  readonly connectMs: number;
}

/** An agent for `node:http` or `node:https`. How many requests run at once is the caller's business: {@link Gate}. */
export function createTargetAgent(target: Target, terms: AgentTerms): HttpAgent {
  const { publicOnly } = target;
  const reach = reachOf(publicOnly);
  const options: AgentOptions = { keepAlive: true, timeout: terms.idleMs, maxFreeSockets: limits.targetConnections, ...reach };
  if (!target.origin.startsWith('https:')) return new PlainAgent(options, terms);
  return new TlsAgent({ ...options, ...target.tls }, { ...terms, publicOnly });
}

/** Lets so many run at once; others wait in order of arrival, up to `limits.targetWaiting`. */
export class Gate {
  readonly #places: number;
  readonly #waiting: (() => boolean)[] = [];
  #running = 0;

  constructor(places: number) {
    this.#places = places;
  }

  /**
   * Calls `run` now or when a place is free. It returns true to take the place, which then must be left once, and false if it
   * is not needed any more. False from here: too many wait already.
   */
  enter(run: () => boolean): boolean {
    if (this.#running < this.#places) {
      if (run()) this.#running += 1;
      return true;
    }
    if (this.#waiting.length >= limits.targetWaiting) return false;
    this.#waiting.push(run);
    return true;
  }

  leave(): void {
    for (let next = this.#waiting.shift(); next; next = this.#waiting.shift()) if (next()) return;
    this.#running -= 1;
  }
}

type Created = (error: Error | null, socket: Duplex) => void;

class PlainAgent extends HttpAgent {
  readonly #terms: AgentTerms;

  constructor(options: AgentOptions, terms: AgentTerms) {
    super(options);
    this.#terms = terms;
  }

  override createConnection(options: object, created?: Created): undefined {
    // The agent's own method makes a `net.Socket`; the declared type is what any agent may make.
    whenConnected(super.createConnection(options) as Socket, 'connect', this.#terms, created);
  }
}

class TlsAgent extends HttpsAgent {
  readonly #terms: AgentTerms & { readonly publicOnly: boolean };

  constructor(options: AgentOptions, terms: AgentTerms & { readonly publicOnly: boolean }) {
    super(options);
    this.#terms = terms;
  }

  override createConnection(options: object, created?: Created): undefined {
    const wanted = this.#terms.publicOnly ? { ...options, socket: publicSocket(options) } : options;
    // See above; here it is a `tls.TLSSocket`.
    whenConnected(super.createConnection(wanted) as Socket, 'secureConnect', this.#terms, created);
  }
}

function whenConnected(socket: Socket, event: 'connect' | 'secureConnect', terms: AgentTerms, created?: Created): void {
  const failed = (error: Error): void => created?.(error, socket);
  const late = (): void => void socket.destroy(new Error('The connection took too long.'));
  socket.setTimeout(terms.connectMs, late);
  socket.once('error', failed);
  socket.once(event, () => {
    socket.off('timeout', late);
    socket.off('error', failed);
    socket.setTimeout(terms.idleMs);
    socket.setNoDelay(true);
    created?.(null, socket);
  });
}

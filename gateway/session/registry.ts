/** The sessions of this process by their id, and the sweep that ends the idle ones. */
import type { Renewal, SessionInfo } from '../core/control-host.ts';
import { deny, runHooks } from '../core/policy.ts';
import { errors } from '../core/errors.ts';
import type { SessionId } from '../core/ids.ts';
import type { Route } from '../core/route.ts';
import type { Denial, Identity, SessionView } from '../core/session.ts';

/** What the registry needs of a session. */
export interface Registered {
  readonly id: SessionId;
  readonly route: Route;
  /** As policies know it. */
  readonly view: SessionView;
  readonly transport: SessionInfo['transport'];
  readonly identity: Identity | undefined;
  /** Milliseconds since 1970 when anything was last heard or said. */
  readonly activeAt: number;
  /** The client is there. */
  readonly live: boolean;
  info(): SessionInfo;
  /** A request to the backend at once. */
  ask(): void;
  /** Something may have been missed: whatever can fetch it does. */
  recover(): void;
  end(denial: Denial): void;
  /** Ends the TCP connection without a word. */
  drop(): void;
}

const sweepEveryMs = 1000;

export class SessionRegistry {
  readonly #sessions = new Map<SessionId, Registered>();
  readonly #emptied = new Set<() => void>();
  readonly #sweep: NodeJS.Timeout;

  constructor(now: () => number) {
    this.#sweep = setInterval(() => this.#endIdle(now()), sweepEveryMs).unref();
  }

  /** Sessions, those included whose backend has still to be told of the end. */
  get size(): number {
    return this.#sessions.size;
  }

  add(session: Registered): void {
    this.#sessions.set(session.id, session);
  }

  remove(session: Registered): void {
    if (!this.#sessions.delete(session.id)) return;
    if (this.#sessions.size === 0) for (const resolve of this.#emptied) resolve();
  }

  /** A session whose client is there. */
  get(id: SessionId): Registered | undefined {
    const session = this.#sessions.get(id);
    return session?.live ? session : undefined;
  }

  /** Through the policies of its route. The session may end while they decide. */
  async renew(id: SessionId, token: string): Promise<Renewal> {
    const session = this.get(id);
    if (session === undefined) return 'unknown';
    const verdict = await runHooks(session.route.hooks.renew, session.view, token);
    if (verdict?.kind === 'deny') return verdict;
    if (!session.live) return 'unknown';
    return verdict?.kind === 'consumed' ? 'renewed' : 'not-renewable';
  }

  /** Every session, those included whose handshake is not answered. */
  all(): Iterable<Registered> {
    return this.#sessions.values();
  }

  *live(): Generator<Registered> {
    for (const session of this.#sessions.values()) if (session.live) yield session;
  }

  /** Resolves when the last session is over, or after `ms`. */
  async empty(ms: number): Promise<void> {
    if (this.#sessions.size === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(done, ms);
      function done(): void {
        clearTimeout(timer);
        resolve();
      }
      this.#emptied.add(done);
    });
  }

  close(): void {
    clearInterval(this.#sweep);
  }

  #endIdle(now: number): void {
    for (const session of this.#sessions.values()) {
      if (session.live && now - session.activeAt > session.route.idleMs) session.end(deny('idle', errors.idle.text));
    }
  }
}

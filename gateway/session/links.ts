/**
 * Requests that Foregate makes by itself to go on with a hold (GRIP 4.5, 4.6): so many at once, the others wait their turn; equal
 * ones that are in flight together are one. Equal means the same route, method, full URI and header fields, so the same identity.
 */
import { ForegateError } from '../core/errors.ts';
import type { Downstream, Reply, RequestDraft } from '../core/exchange.ts';
import { limits } from '../core/limits.ts';
import type { Route, Target } from '../core/route.ts';
import { HttpDownstream } from '../downstream/client.ts';

export interface LinkRequest {
  readonly route: Route;
  readonly target: Target;
  /** Scheme, host and port, where they are not those of the client's own request; else the target is asked. */
  readonly origin: string | undefined;
  /** Left out: those of the route and its target. */
  readonly terms?: { readonly replyBytes: number; readonly timeoutMs: number };
  /** Called when the request's turn has come. It may throw if the request is not wanted any more. */
  draft(): RequestDraft;
}

export class Links {
  readonly #inFlight = new Map<string, Promise<Reply>>();
  readonly #waiting: (() => void)[] = [];
  readonly #foreign = new Map<string, HttpDownstream>();
  #running = 0;

  /** @throws ForegateError as the downstream does; what `draft` throws */
  async fetch(request: LinkRequest): Promise<Reply> {
    await this.#turn();
    try {
      return await this.#shared(request, request.draft());
    } finally {
      this.#done();
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#foreign.values()].map((downstream) => downstream.close()));
  }

  #shared({ route, target, origin, terms }: LinkRequest, draft: RequestDraft): Promise<Reply> {
    const key = JSON.stringify([route.id, target.origin, origin, draft.method, draft.path, withoutSignature(draft.headers)]);
    // Other methods do something: each time they are called.
    const isShared = (draft.method === 'GET' || draft.method === 'HEAD') && draft.body === undefined;
    const known = isShared ? this.#inFlight.get(key) : undefined;
    if (known !== undefined) return known;
    const own = { replyBytes: route.limits.replyBytes, timeoutMs: target.timeoutMs };
    const sending = this.#downstream(target, origin).send(draft, terms ?? own);
    if (!isShared) return sending;
    this.#inFlight.set(key, sending);
    const forget = (): void => void this.#inFlight.delete(key);
    sending.then(forget, forget);
    return sending;
  }

  #downstream(target: Target, origin: string | undefined): Downstream {
    if (origin === undefined) return target.downstream;
    const { publicOnly } = target;
    const place = publicOnly ? `public ${origin}` : origin;
    let downstream = this.#foreign.get(place);
    if (downstream === undefined) {
      if (this.#foreign.size >= limits.linkOrigins) throw new ForegateError('overloaded', 'Links lead to too many places.');
      downstream = new HttpDownstream({
        origin,
        connections: limits.linksAtOnce,
        idleMs: 4000,
        connectTimeoutMs: 5000,
        retry: 'once',
        publicOnly,
        tls: {},
      });
      this.#foreign.set(place, downstream);
    }
    return downstream;
  }

  #turn(): Promise<void> | undefined {
    if (this.#running < limits.linksAtOnce) {
      this.#running += 1;
      return undefined;
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #done(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#running -= 1;
    else next();
  }
}

/** A signature is of the second it was made in; it is the same caller's. */
function withoutSignature(headers: readonly string[]): string[] {
  return headers.filter((_, i) => headers[i - (i % 2)] !== 'Grip-Sig');
}

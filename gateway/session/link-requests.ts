/**
 * Asks a link until it answers (GRIP 4.6): signed, with the ids that are had by then, and again after 1, 2, 4, 8 and 16 s. For holds
 * and for sockets alike; what goes on with the answer is theirs.
 */
import { ForegateError } from '../core/errors.ts';
import type { Reply, RequestDraft } from '../core/exchange.ts';
import { header, type HeaderList } from '../core/headers.ts';
import type { Route, Target } from '../core/route.ts';
import type { SessionView } from '../core/session.ts';
import type { Tally } from '../core/tally.ts';
import type { SessionParts } from './parts.ts';
import { lastFields, linkHeaders, type LastIds, type Place } from './place.ts';

/** On whose behalf links are asked. */
export interface LinkCaller {
  readonly route: Route;
  readonly target: Target;
  readonly view: SessionView;
  /** As the client's own request went downstream: of its fields, links have `Host` and `Grip-Feature`, and perhaps its credential. */
  readonly headers: HeaderList;
  /** False: nobody wants an answer any more. */
  readonly live: boolean;
  /** Fields that go with a link besides GRIP's own; asked each time. */
  readonly linkFields: HeaderList;
  /** Undefined: nobody counts. */
  readonly tally: Tally | undefined;
  lastIds(): LastIds;
  /** True for an answer, false for one that is worth another try. */
  takes(reply: Reply): boolean;
  /** The request leaves: from now on what is published waits, since the answer may contain it. */
  hold(): void;
  /** There was no answer, or none of use: what waits flows. */
  failed(why: { readonly status: number } | { readonly error: unknown }): void;
}

const retryDelaysMs = [1000, 2000, 4000, 8000, 16_000] as const;

export class LinkRequests {
  readonly #parts: Pick<SessionParts, 'links' | 'clock'>;
  readonly #caller: LinkCaller;

  constructor(parts: Pick<SessionParts, 'links' | 'clock'>, caller: LinkCaller) {
    this.#parts = parts;
    this.#caller = caller;
  }

  /**
   * With retries, each up to a second later than said; undefined after the last, or if the client left. `isOwn`: the target itself gave
   * this link, so what its route's adapter has links carry goes with it, if it leads there.
   */
  async follow(place: Place, isOwn: boolean): Promise<Reply | undefined> {
    for (const delayMs of [0, ...retryDelaysMs]) {
      if (delayMs > 0) await this.#pause(delayMs + Math.random() * 1000);
      const reply = await this.#attempt(place, isOwn);
      if (!this.#caller.live) return undefined;
      if (reply !== undefined) return reply;
    }
    return undefined;
  }

  /** One request, in its turn. @throws ForegateError as the downstream does */
  async fetch(origin: string | undefined, make: () => RequestDraft): Promise<Reply> {
    const { counts } = this.#caller.route.statistics;
    const { tally } = this.#caller;
    if (tally !== undefined) tally.requests += 1;
    const reply = await this.#parts.links.fetch({
      ...this.#where(origin),
      draft: () => {
        if (!this.#caller.live) throw new ForegateError('shutting-down', 'The client has left.');
        const draft = make();
        if (header(draft.headers, 'grip-last') !== undefined) this.#caller.hold();
        counts.serverContentBytesSent += draft.body?.length ?? 0;
        return this.#signed(draft);
      },
    });
    counts.serverContentBytesReceived += reply.body.length;
    return reply;
  }

  /** Calls a link by POST, whether or not the client is there. @throws ForegateError as the downstream does */
  async post(place: Place): Promise<void> {
    const { headers, ...link } = linkDraft(place, this.#caller.headers, []);
    const draft = this.#signed({ ...link, method: 'POST', headers: [...headers, 'Content-Length', '0'] });
    this.#dress(draft, place);
    await this.#parts.links.fetch({ ...this.#where(place.origin), draft: () => draft });
  }

  async #attempt(place: Place, isOwn: boolean): Promise<Reply | undefined> {
    const caller = this.#caller;
    try {
      const reply = await this.fetch(place.origin, () => {
        const draft = linkDraft(place, caller.headers, [...caller.linkFields, ...lastFields(caller.lastIds())]);
        if (isOwn) this.#dress(draft, place);
        return draft;
      });
      if (caller.takes(reply)) return reply;
      caller.failed({ status: reply.status });
    } catch (error) {
      caller.failed({ error });
    }
    return undefined;
  }

  /** No credential leaves for another origin. @throws ForegateError where the caller may not be named any more */
  #dress(draft: RequestDraft, { origin }: Place): void {
    if (origin !== undefined) return;
    const { target, view, headers } = this.#caller;
    const denial = target.profile.dressLink?.(draft, view, headers);
    if (denial !== undefined) throw new ForegateError(denial.code, denial.detail);
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.#parts.clock.after(ms, resolve));
  }

  #where(origin: string | undefined) {
    return { route: this.#caller.route, target: this.#caller.target, origin };
  }

  #signed(draft: RequestDraft): RequestDraft {
    const signer = this.#caller.route.grip?.signer;
    if (signer !== undefined) draft.headers.push('Grip-Sig', signer.sign());
    return draft;
  }
}

function linkDraft(place: Place, first: HeaderList, more: HeaderList): RequestDraft {
  return { method: 'GET', path: place.path, headers: [...linkHeaders(place, first), ...more], body: undefined };
}

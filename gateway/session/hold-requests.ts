/**
 * The requests that go on with a hold (GRIP 4.5, 4.6): the client's once more, the next link, the gone link. While one that may
 * bring missed items is under way, what is published waits; until it leaves, publications flow.
 */
import { ForegateError } from '../core/errors.ts';
import type { Reply, RequestDraft } from '../core/exchange.ts';
import { header, withoutHeaders } from '../core/headers.ts';
import type { FilterAnswer, FilterQuestion } from '../core/publication.ts';
import type { SessionView } from '../core/session.ts';
import type { GripReply } from '../downstream/passage.ts';
import { hasDocument } from '../wire/grip-headers.ts';
import type { FilterCaller } from './filter-requests.ts';
import type { HoldParts } from './parts.ts';
import { lastFields, linkHeaders, ownOrigins, resolveLink, type LastIds, type Origins, type Place } from './place.ts';

/** What these requests need of their session. */
export interface HoldCaller extends FilterCaller {
  readonly view: SessionView;
  /** The client is there. */
  readonly live: boolean;
}

const retryDelaysMs = [1000, 2000, 4000, 8000, 16_000] as const;

export class HoldRequests {
  /** Told once by POST when the hold ends. */
  gone: string | undefined;
  readonly #parts: HoldParts;
  readonly #caller: HoldCaller;
  readonly #first: GripReply;
  readonly #origins: Origins;
  /** What the next link is resolved against. */
  #place: Place;

  constructor(parts: HoldParts, caller: HoldCaller, first: GripReply) {
    this.#parts = parts;
    this.#caller = caller;
    this.#first = first;
    this.#origins = ownOrigins(caller.view.request, first.draft);
    this.#place = { origin: undefined, path: first.draft.path };
  }

  /** The client's own request; its reply replaces the hold. @throws ForegateError as the downstream does */
  again(): Promise<Reply> {
    const { draft, requestBody } = this.#first;
    void this.tellGone();
    return this.#fetch(undefined, () => repeatDraft(draft, requestBody, this.#lastIds()));
  }

  /** A next link, with retries after 1, 2, 4, 8 and 16 s and up to a second more; undefined after the last, or if the client left. */
  async follow(uri: string): Promise<Reply | undefined> {
    const place = resolveLink(uri, this.#place, this.#origins);
    if (place === undefined) return undefined;
    for (const delayMs of [0, ...retryDelaysMs]) {
      if (delayMs > 0) await this.#pause(delayMs + Math.random() * 1000);
      const reply = await this.#attempt(place);
      if (!this.#caller.live) return undefined;
      if (reply === undefined) continue;
      this.#place = place;
      return reply;
    }
    return undefined;
  }

  /** What a filter wants to know of an item. @throws ForegateError where no sound answer came */
  askFilter(question: FilterQuestion): Promise<FilterAnswer> {
    return this.#parts.filterRequests.ask(question, this.#caller, {
      target: this.#first.target,
      head: this.#first.draft,
      place: this.#place,
      origins: this.#origins,
      lastIds: this.#lastIds(),
    });
  }

  /** Resolves when the backend has answered, or will not. */
  async tellGone(): Promise<void> {
    const place =
      this.gone === undefined
        ? undefined
        : resolveLink(this.gone, { origin: undefined, path: this.#first.draft.path }, this.#origins);
    this.gone = undefined;
    if (place === undefined) return;
    const { headers, ...link } = linkDraft(place, this.#first.draft, []);
    const draft = this.#signed({ ...link, method: 'POST', headers: [...headers, 'Content-Length', '0'] });
    try {
      await this.#parts.links.fetch({ ...this.#where(place.origin), draft: () => draft });
    } catch (error) {
      this.#parts.log.debug('hold.gone-failed', { session: this.#caller.id, error });
    }
  }

  async #attempt(place: Place): Promise<Reply | undefined> {
    try {
      const reply = await this.#fetch(place.origin, () => linkDraft(place, this.#first.draft, this.#lastIds()));
      if (reply.status >= 200 && reply.status < 300 && !hasDocument(reply.headers)) return reply;
      this.#parts.log.info('hold.link-refused', { session: this.#caller.id, status: reply.status });
    } catch (error) {
      this.#parts.log.info('hold.link-failed', { session: this.#caller.id, error });
    }
    this.#parts.hub.release(this.#caller);
    return undefined;
  }

  #fetch(origin: string | undefined, make: () => RequestDraft): Promise<Reply> {
    return this.#parts.links.fetch({
      ...this.#where(origin),
      draft: () => {
        if (!this.#caller.live) throw new ForegateError('shutting-down', 'The client has left.');
        const draft = make();
        if (header(draft.headers, 'grip-last') !== undefined) this.#parts.hub.hold(this.#caller);
        return this.#signed(draft);
      },
    });
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.#parts.clock.after(ms, resolve));
  }

  #where(origin: string | undefined) {
    return { route: this.#caller.route, target: this.#first.target, origin };
  }

  #signed(draft: RequestDraft): RequestDraft {
    const signer = this.#caller.route.grip?.signer;
    if (signer !== undefined) draft.headers.push('Grip-Sig', signer.sign());
    return draft;
  }

  #lastIds(): LastIds {
    const { length } = this.#caller.route.channelPrefix;
    return [...this.#parts.hub.currentIds(this.#caller)].map(([channel, id]) => [channel.slice(length), id]);
  }
}

/** The client's request once more, with what the client has of each channel. */
function repeatDraft(first: RequestDraft, body: Buffer | undefined, lastIds: LastIds): RequestDraft {
  const hasBody = body !== undefined && body.length > 0;
  const headers = withoutHeaders(
    first.headers,
    (name) => name === 'grip-sig' || name === 'content-length' || name === 'transfer-encoding' || name === 'expect',
  );
  if (hasBody) headers.push('Content-Length', String(body.length));
  return {
    method: first.method,
    path: first.path,
    headers: [...headers, ...lastFields(lastIds)],
    body: hasBody ? body : undefined,
  };
}

/** Nothing of the client goes with a link: it carries itself whatever identifies the user. */
function linkDraft(place: Place, first: RequestDraft, lastIds: LastIds): RequestDraft {
  return { method: 'GET', path: place.path, headers: [...linkHeaders(place, first), ...lastFields(lastIds)], body: undefined };
}

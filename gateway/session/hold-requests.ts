/**
 * The requests that go on with a hold (GRIP 4.5, 4.6): the client's once more, the next link, the gone link. While one that may
 * bring missed items is under way, what is published waits; until it leaves, publications flow.
 */
import type { Reply, RequestDraft } from '../core/exchange.ts';
import { withoutHeaders, type HeaderList } from '../core/headers.ts';
import type { FilterAnswer, FilterQuestion } from '../core/publication.ts';
import type { SessionView } from '../core/session.ts';
import type { Tally } from '../core/tally.ts';
import type { GripReply } from '../downstream/passage.ts';
import { hasDocument } from '../wire/grip-headers.ts';
import type { FilterCaller } from './filter-requests.ts';
import { LinkRequests, type LinkCaller } from './link-requests.ts';
import type { HoldParts } from './parts.ts';
import { lastFields, lastIdsOf, ownOrigins, resolveLink, type LastIds, type Origins, type Place } from './place.ts';

/** What these requests need of their session. */
export interface HoldCaller extends FilterCaller {
  readonly view: SessionView;
  readonly tally: Tally | undefined;
  /** Fields that go with a next link besides GRIP's own. */
  readonly linkFields: HeaderList;
  /** The client is there. */
  readonly live: boolean;
}

export class HoldRequests {
  /** Told once by POST when the hold ends. */
  gone: string | undefined;
  readonly #parts: HoldParts;
  readonly #caller: HoldCaller;
  readonly #first: GripReply;
  readonly #links: LinkRequests;
  readonly #origins: Origins;
  /** What the next link is resolved against. */
  #place: Place;

  constructor(parts: HoldParts, caller: HoldCaller, first: GripReply) {
    this.#parts = parts;
    this.#caller = caller;
    this.#first = first;
    this.#links = new LinkRequests(parts, linkCaller(parts, caller, first));
    this.#origins = ownOrigins(caller.view.request, first.draft.headers);
    this.#place = firstPlace(first);
  }

  /** The client's own request; its reply replaces the hold. @throws ForegateError as the downstream does */
  again(): Promise<Reply> {
    const { draft, requestBody } = this.#first;
    void this.tellGone();
    return this.#links.fetch(undefined, () => repeatDraft(draft, requestBody, lastIdsOf(this.#caller, this.#parts.hub)));
  }

  /** A next link; undefined if it does not answer, or the client left. */
  async follow(uri: string): Promise<Reply | undefined> {
    const place = resolveLink(uri, this.#place, this.#origins);
    if (place === undefined) return undefined;
    // What another origin names is asked for without the client's credential, wherever it leads.
    const reply = await this.#links.follow(place, this.#place.origin === undefined);
    if (reply !== undefined) this.#place = place;
    return reply;
  }

  /** What a filter wants to know of an item. @throws ForegateError where no sound answer came */
  askFilter(question: FilterQuestion): Promise<FilterAnswer> {
    const { target, draft } = this.#first;
    return this.#parts.filterRequests.ask(question, this.#caller, {
      target,
      headers: draft.headers,
      place: this.#place,
      origins: this.#origins,
      lastIds: lastIdsOf(this.#caller, this.#parts.hub),
    });
  }

  /** Resolves when the backend has answered, or will not. */
  async tellGone(): Promise<void> {
    const place = this.gone === undefined ? undefined : resolveLink(this.gone, firstPlace(this.#first), this.#origins);
    this.gone = undefined;
    if (place === undefined) return;
    try {
      await this.#links.post(place);
    } catch (error) {
      this.#parts.log.debug('hold.gone-failed', { session: this.#caller.id, error });
    }
  }
}

function firstPlace({ draft }: GripReply): Place {
  return { origin: undefined, path: draft.path };
}

function linkCaller(parts: HoldParts, caller: HoldCaller, { target, draft }: GripReply): LinkCaller {
  return {
    route: caller.route,
    tally: caller.tally,
    view: caller.view,
    target,
    headers: draft.headers,
    get live() {
      return caller.live;
    },
    get linkFields() {
      return caller.linkFields;
    },
    lastIds: () => lastIdsOf(caller, parts.hub),
    takes: ({ status, headers }) => status >= 200 && status < 300 && !hasDocument(headers),
    hold: () => parts.hub.hold(caller),
    failed: (why) => {
      parts.log.info('status' in why ? 'hold.link-refused' : 'hold.link-failed', { session: caller.id, ...why });
      parts.hub.release(caller);
    },
  };
}

/** The client's request once more, with what the client has of each channel. */
function repeatDraft(first: RequestDraft, body: Buffer | undefined, ids: LastIds): RequestDraft {
  const hasBody = body !== undefined && body.length > 0;
  const headers = withoutHeaders(
    first.headers,
    (name) => name === 'grip-sig' || name === 'content-length' || name === 'transfer-encoding' || name === 'expect',
  );
  if (hasBody) headers.push('Content-Length', String(body.length));
  return {
    method: first.method,
    path: first.path,
    headers: [...headers, ...lastFields(ids)],
    body: hasBody ? body : undefined,
  };
}

/**
 * The requests that go on with a hold (GRIP 4.5, 4.6): the client's once more, the next link, the gone link. While one that may
 * bring missed items is under way, what is published waits; until it leaves, publications flow.
 */
import { ForegateError } from '../core/errors.ts';
import type { Reply, RequestDraft } from '../core/exchange.ts';
import { fields, header, setHeader, withoutHeaders, type HeaderDraft } from '../core/headers.ts';
import type { Subscriber } from '../core/publication.ts';
import type { Route } from '../core/route.ts';
import type { ClientRequest, SessionView } from '../core/session.ts';
import type { GripReply } from '../downstream/passage.ts';
import { gripLast, hasDocument } from '../wire/grip-headers.ts';
import type { HoldParts } from './parts.ts';

/** What these requests need of their session. */
export interface HoldCaller extends Subscriber {
  readonly route: Route;
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
  /** Its own first; links to any of them go to the route's target. */
  readonly #origins: readonly [string, ...string[]];
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

  async #fetch(origin: string | undefined, make: () => RequestDraft): Promise<Reply> {
    const { counts } = this.#caller.route.statistics;
    const reply = await this.#parts.links.fetch({
      ...this.#where(origin),
      draft: () => {
        if (!this.#caller.live) throw new ForegateError('shutting-down', 'The client has left.');
        const draft = make();
        if (header(draft.headers, 'grip-last') !== undefined) this.#parts.hub.hold(this.#caller);
        counts.serverContentBytesSent += draft.body?.length ?? 0;
        return this.#signed(draft);
      },
    });
    counts.serverContentBytesReceived += reply.body.length;
    return reply;
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

  /** Channels, without the route's prefix, and the ids the client has of them. */
  #lastIds(): (readonly [channel: string, id: string])[] {
    const { length } = this.#caller.route.channelPrefix;
    return [...this.#parts.hub.currentIds(this.#caller)].map(([channel, id]) => [channel.slice(length), id]);
  }
}

/** Where a link leads: a path at the client's own origin, which is the route's target, or at another one. */
interface Place {
  readonly origin: string | undefined;
  readonly path: string;
}

type LastIds = readonly (readonly [channel: string, id: string])[];

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
function linkDraft({ origin, path }: Place, first: RequestDraft, lastIds: LastIds): RequestDraft {
  const headers = [...fields(first.headers)].filter(([name]) => /^(host|grip-feature)$/i.test(name)).flat();
  if (origin !== undefined) setHeader(headers, 'Host', new URL(origin).host);
  return { method: 'GET', path, headers: [...headers, ...lastFields(lastIds)], body: undefined };
}

function lastFields(lastIds: LastIds): HeaderDraft {
  return lastIds.flatMap(([channel, id]) => {
    const value = gripLast(channel, id);
    return value === undefined ? [] : ['Grip-Last', value];
  });
}

/** Where the client thinks it is, and where the backend does, which may have been told another host. */
function ownOrigins({ secure, headers }: ClientRequest, first: RequestDraft): [string, ...string[]] {
  const scheme = secure ? 'https' : 'http';
  const hosts = [header(headers, 'host'), header(first.headers, 'host')];
  const [own = 'http://localhost', ...others] = hosts.flatMap((host) => originOf(`${scheme}://${host ?? ''}`) ?? []);
  return [own, ...others];
}

function originOf(text: string): string | undefined {
  return URL.parse(text)?.origin;
}

/** Resolves a link against the place of the request before it; undefined for what leads nowhere. */
function resolveLink(uri: string, from: Place, origins: readonly [string, ...string[]]): Place | undefined {
  // Put together first: a path such as `//host/` alone would be read as another host.
  const url = URL.parse(uri, (from.origin ?? origins[0]) + from.path);
  if (url === null || !/^https?:$/.test(url.protocol)) return undefined;
  const path = url.pathname + url.search;
  return origins.includes(url.origin) ? { origin: undefined, path } : { origin: url.origin, path };
}

/**
 * Asks a link until it answers (GRIP 4.6): signed, with the ids that are had by then, and again after 1, 2, 4, 8 and 16 s. For holds
 * and for sockets alike; what goes on with the answer is theirs.
 */
import { ForegateError } from '../core/errors.ts';
import type { Reply, RequestDraft } from '../core/exchange.ts';
import { fields, header, setHeader, type HeaderDraft, type HeaderList } from '../core/headers.ts';
import type { Route, Target } from '../core/route.ts';
import type { ClientRequest } from '../core/session.ts';
import { gripLast } from '../wire/grip-headers.ts';
import type { SessionParts } from './parts.ts';

/** Channels, without the route's prefix, and the ids the client has of them. */
export type LastIds = readonly (readonly [channel: string, id: string])[];

/** On whose behalf links are asked. */
export interface LinkCaller {
  readonly route: Route;
  readonly target: Target;
  /** As the client's own request went downstream: of its fields, links have `Host` and `Grip-Feature`. */
  readonly headers: HeaderList;
  /** False: nobody wants an answer any more. */
  readonly live: boolean;
  /** Fields that go with a link besides GRIP's own; asked each time. */
  readonly linkFields: HeaderList;
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

  /** With retries, each up to a second later than said; undefined after the last, or if the client left. */
  async follow(place: Place): Promise<Reply | undefined> {
    for (const delayMs of [0, ...retryDelaysMs]) {
      if (delayMs > 0) await this.#pause(delayMs + Math.random() * 1000);
      const reply = await this.#attempt(place);
      if (!this.#caller.live) return undefined;
      if (reply !== undefined) return reply;
    }
    return undefined;
  }

  /** One request, in its turn. @throws ForegateError as the downstream does */
  fetch(origin: string | undefined, make: () => RequestDraft): Promise<Reply> {
    return this.#parts.links.fetch({
      ...this.#where(origin),
      draft: () => {
        if (!this.#caller.live) throw new ForegateError('shutting-down', 'The client has left.');
        const draft = make();
        if (header(draft.headers, 'grip-last') !== undefined) this.#caller.hold();
        return this.#signed(draft);
      },
    });
  }

  /** Calls a link by POST, whether or not the client is there. @throws ForegateError as the downstream does */
  async post(place: Place): Promise<void> {
    const { headers, ...link } = linkDraft(place, this.#caller.headers, []);
    const draft = this.#signed({ ...link, method: 'POST', headers: [...headers, 'Content-Length', '0'] });
    await this.#parts.links.fetch({ ...this.#where(place.origin), draft: () => draft });
  }

  async #attempt(place: Place): Promise<Reply | undefined> {
    const caller = this.#caller;
    try {
      const reply = await this.fetch(place.origin, () =>
        linkDraft(place, caller.headers, [...caller.linkFields, ...lastFields(caller.lastIds())]),
      );
      if (caller.takes(reply)) return reply;
      caller.failed({ status: reply.status });
    } catch (error) {
      caller.failed({ error });
    }
    return undefined;
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

/** Where a link leads: a path at the client's own origin, which is the route's target, or at another one. */
export interface Place {
  readonly origin: string | undefined;
  readonly path: string;
}

/** Nothing of the client goes with a link: it carries itself whatever identifies the user. */
function linkDraft({ origin, path }: Place, first: HeaderList, more: HeaderList): RequestDraft {
  const headers = [...fields(first)].filter(([name]) => /^(host|grip-feature|cdn-loop)$/i.test(name)).flat();
  if (origin !== undefined) setHeader(headers, 'Host', new URL(origin).host);
  return { method: 'GET', path, headers: [...headers, ...more], body: undefined };
}

/** What the client has of each channel, as `Grip-Last`. */
export function lastFields(lastIds: LastIds): HeaderDraft {
  return lastIds.flatMap(([channel, id]) => {
    const value = gripLast(channel, id);
    return value === undefined ? [] : ['Grip-Last', value];
  });
}

/** Its own first; links to any of them go to the route's target. */
export type Origins = readonly [string, ...string[]];

/** Where the client thinks it is, and where the backend does, which may have been told another host. */
export function ownOrigins({ secure, headers }: ClientRequest, first: HeaderList): Origins {
  const scheme = secure ? 'https' : 'http';
  const hosts = [header(headers, 'host'), header(first, 'host')];
  const [own = 'http://localhost', ...others] = hosts.flatMap((host) => originOf(`${scheme}://${host ?? ''}`) ?? []);
  return [own, ...others];
}

function originOf(text: string): string | undefined {
  return URL.parse(text)?.origin;
}

/** Resolves a link against the place of the request before it; undefined for what leads nowhere. */
export function resolveLink(uri: string, from: Place, origins: Origins): Place | undefined {
  // Put together first: a path such as `//host/` alone would be read as another host.
  const url = URL.parse(uri, (from.origin ?? origins[0]) + from.path);
  if (url === null || !/^https?:$/.test(url.protocol)) return undefined;
  const path = url.pathname + url.search;
  return origins.includes(url.origin) ? { origin: undefined, path } : { origin: url.origin, path };
}

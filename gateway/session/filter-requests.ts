/**
 * The requests of the filters `http-check` and `http-modify` (GRIP 5): one POST for each item and subscriber, to the `url` in the
 * subscriber's metadata. Each route has its own: so many per second and URL, so many at once, and what hangs on one route hangs
 * there alone. Answers are not shared: whether a POST may be made once for two is for the backend to know.
 */
import type { Clock } from '../core/clock.ts';
import { ForegateError } from '../core/errors.ts';
import type { Reply, RequestDraft } from '../core/exchange.ts';
import { header, type HeaderList } from '../core/headers.ts';
import type { RouteId } from '../core/ids.ts';
import { limits } from '../core/limits.ts';
import type { Metrics } from '../core/metrics.ts';
import type { AskingFilter, FilterAnswer, FilterQuestion, Subscriber } from '../core/publication.ts';
import type { Route, Target } from '../core/route.ts';
import type { Metadata } from '../core/session.ts';
import { Links } from './links.ts';
import { Pace } from './pace.ts';
import { lastFields, linkHeaders, resolveLink, type LastIds, type Origins, type Place } from './place.ts';

/** Whose filter asks. */
export interface FilterCaller extends Subscriber {
  readonly route: Route;
  /** False once the answer is for nobody. */
  readonly open: boolean;
}

/** Where its requests go out from. */
export interface FilterBase {
  readonly target: Target;
  /** Of its requests. */
  readonly headers: HeaderList;
  /** What a relative `url` is resolved against. */
  readonly place: Place;
  readonly origins: Origins;
  readonly lastIds: LastIds;
}

interface RouteState {
  readonly links: Links;
  readonly paces: Map<string, Pace>;
  /** Requests that wait or are in flight. */
  pending: number;
}

export class FilterRequests {
  readonly #clock: Clock;
  readonly #metrics: Metrics;
  readonly #routes = new Map<RouteId, RouteState>();
  /** Those whose subscriptions name filters that are off. */
  readonly #faulty = new WeakSet<Subscriber>();

  constructor({ clock, metrics }: { readonly clock: Clock; readonly metrics: Metrics }) {
    this.#clock = clock;
    this.#metrics = metrics;
  }

  /** @throws ForegateError where no sound answer came: the item is to be dropped */
  async ask(question: FilterQuestion, caller: FilterCaller, base: FilterBase): Promise<FilterAnswer> {
    try {
      return readAnswer(await this.#send(question, caller, base), question.filter);
    } catch (thrown) {
      if (caller.open) this.#metrics.count('filter_requests_failed');
      const detail = thrown instanceof ForegateError ? thrown.message : 'Something went wrong here.';
      throw new ForegateError('downstream-fault', `The filter ${question.filter} failed: ${detail}`, { cause: thrown });
    }
  }

  /** For the log: true once for each subscriber. */
  isFirstFault(subscriber: Subscriber): boolean {
    if (this.#faulty.has(subscriber)) return false;
    this.#faulty.add(subscriber);
    return true;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#routes.values()].map(({ links }) => links.close()));
  }

  async #send(question: FilterQuestion, caller: FilterCaller, base: FilterBase): Promise<Reply> {
    const place = placeOf(question, caller, base);
    const state = this.#stateOf(caller.route);
    if (state.pending >= limits.filterRequests) throw new ForegateError('overloaded', 'Too many requests of filters wait.');
    state.pending += 1;
    try {
      return await this.#sendInTurn(question, caller, { ...base, place }, state);
    } finally {
      state.pending -= 1;
    }
  }

  /** The turn of its URL comes first, then that of its route. */
  async #sendInTurn(question: FilterQuestion, caller: FilterCaller, base: FilterBase, state: RouteState): Promise<Reply> {
    const { target, place } = base;
    const pace = this.#paceOf(state, (place.origin ?? target.origin) + place.path, caller.route.filterRequests);
    await pace.turn();
    const { counts } = caller.route.statistics;
    let began = false;
    const draft = (): RequestDraft => {
      if (!caller.open) throw new ForegateError('shutting-down', 'The client has left.');
      began = true;
      pace.began();
      this.#metrics.count('filter_requests');
      const made = filterDraft(question, caller, base);
      counts.serverContentBytesSent += made.body?.length ?? 0;
      return made;
    };
    try {
      const reply = await state.links.fetch({ route: caller.route, target, origin: place.origin, terms: termsOf(target), draft });
      counts.serverContentBytesReceived += reply.body.length;
      return reply;
    } finally {
      if (!began) pace.giveBack();
    }
  }

  #stateOf({ id }: Route): RouteState {
    const known = this.#routes.get(id);
    if (known !== undefined) return known;
    const state: RouteState = { links: new Links(), paces: new Map(), pending: 0 };
    this.#routes.set(id, state);
    return state;
  }

  /** Kept while something waits or began in the last second; after a reload the old number holds until then. */
  #paceOf({ paces }: RouteState, url: string, perSecond: number): Pace {
    const known = paces.get(url);
    if (known !== undefined) return known;
    const pace = new Pace(this.#clock, perSecond, () => paces.delete(url));
    paces.set(url, pace);
    return pace;
  }
}

function placeOf({ filter, content }: FilterQuestion, { meta }: Subscriber, { place, origins }: FilterBase): Place {
  const url = meta.get('url');
  if (url === undefined || url === '') throw new ForegateError('bad-reply', 'The metadata of the subscription has no "url".');
  if (filter === 'http-modify' && content === undefined)
    throw new ForegateError('bad-request', 'A patch has no content that could be changed.');
  const resolved = resolveLink(url, place, origins);
  if (resolved === undefined) throw new ForegateError('bad-reply', 'The "url" of the subscription leads nowhere.');
  return resolved;
}

function termsOf({ timeoutMs }: Target): { readonly replyBytes: number; readonly timeoutMs: number } {
  return { replyBytes: limits.filterReplyBytes, timeoutMs: Math.min(timeoutMs, limits.filterTimeoutMs) };
}

function filterDraft(question: FilterQuestion, caller: FilterCaller, base: FilterBase): RequestDraft {
  const { place, lastIds } = base;
  const body = question.filter === 'http-modify' ? question.content : undefined;
  const headers = [...linkHeaders(place, base.headers), ...lastFields(lastIds)];
  headers.push('Sub-Meta', jsonField(caller.meta), 'Pub-Meta', jsonField(question.publication.meta));
  // Gateways ask for gzip themselves where nothing is said.
  headers.push('Accept-Encoding', 'identity', 'Content-Length', String(body?.length ?? 0));
  const signature = caller.route.grip?.signer?.sign();
  if (signature !== undefined) headers.push('Grip-Sig', signature);
  return { method: 'POST', path: place.path, headers, body: body?.length === 0 ? undefined : body };
}

/** An object that any header field can hold: what is not ASCII stands as `\uXXXX`. */
function jsonField(meta: Metadata): string {
  return JSON.stringify(Object.fromEntries(meta)).replaceAll(
    /[\x7f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** @throws ForegateError `bad-reply` */
function readAnswer({ status, headers, body }: Reply, filter: AskingFilter): FilterAnswer {
  if (status !== 200 && status !== 204) throw new ForegateError('bad-reply', `The backend answered with the status ${status}.`);
  if (header(headers, 'action')?.trim().toLowerCase() === 'drop') return 'drop';
  if (filter === 'http-check' || status === 204) return 'pass';
  const encoding = header(headers, 'content-encoding')?.toLowerCase() ?? 'identity';
  if (encoding !== 'identity') throw new ForegateError('bad-reply', 'The backend answered with an encoded body.');
  return body;
}

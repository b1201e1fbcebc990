/** A session joins a channel, if its limits and the policies let it. */
import { namesAskingFilter } from '../channel/filters.ts';
import { runHooks, type Verdict } from '../core/policy.ts';
import type { ChannelName } from '../core/ids.ts';
import type { Membership } from '../core/instruction.ts';
import { isPromise, type MaybePromise } from '../core/promise.ts';
import type { Subscriber } from '../core/publication.ts';
import type { Route } from '../core/route.ts';
import type { Denial, SessionView } from '../core/session.ts';
import { faultFrame } from './fault-frame.ts';
import type { SessionParts } from './parts.ts';

/** What joining needs of a session. */
export interface Joining extends Subscriber {
  readonly route: Route;
  /** As policies have known it from the start. */
  readonly view: SessionView;
  /** Messages flow. */
  readonly open: boolean;
  end(denial: Denial): void;
}

/** Resolved when nothing published from now on is missed. A refusal is counted and told in the log; the backend is not told (GRIP 3.3). */
export function subscribe(session: Joining, membership: Membership, parts: SessionParts): MaybePromise<void> {
  if (!session.open) return undefined;
  if (overLimit(session, membership, parts)) return refused(session, membership, 'limit', parts);
  const verdict = runHooks(session.route.hooks.subscribe, session.view, membership.channel);
  return isPromise(verdict)
    ? verdict.then((later) => join(session, membership, later, parts))
    : join(session, membership, verdict, parts);
}

function overLimit(session: Joining, { channel }: Membership, { hub }: SessionParts): boolean {
  return hub.channelsOf(session).length >= session.route.limits.subscriptions && !hub.joined(session, channel);
}

function join(session: Joining, membership: Membership, verdict: Verdict, parts: SessionParts): MaybePromise<void> {
  if (!session.open) return undefined;
  if (verdict?.kind !== 'deny') return admit(session, membership, parts);
  if (verdict.action === 'close') session.end(verdict);
  if (verdict.action === 'answer') session.view.send(faultFrame(verdict));
  return refused(session, membership, verdict.code, parts);
}

function admit(session: Joining, { channel, filters, previousId }: Membership, parts: SessionParts): MaybePromise<void> {
  if (filters.length > 0 && !session.asksFilters && namesAskingFilter(filters)) tellFiltersOff(session, channel, parts);
  return parts.hub.join(session, channel, filters, previousId);
}

/** Once for each session: the subscription stands, but its filters drop every item. */
function tellFiltersOff(session: Joining, channel: ChannelName, { filterRequests, log }: SessionParts): void {
  if (!filterRequests.isFirstFault(session)) return;
  log.warn('subscription.filters-off', {
    session: session.id,
    route: session.route.id,
    channel,
    detail: 'The route does not let filters ask the backend (filterRequests).',
  });
}

function refused(session: Joining, { channel }: Membership, reason: string, { metrics, log }: SessionParts): void {
  metrics.count('subscriptions_refused');
  log.warn('subscription.refused', { session: session.id, route: session.route.id, channel, reason });
}

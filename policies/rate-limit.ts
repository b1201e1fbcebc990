/** Limits how much one caller may send, or how often it may do something. The counts live in the store. */
import { header } from '../gateway/core/headers.ts';
import { definePolicy, deny, type Policy, type Verdict } from '../gateway/core/policy.ts';
import { isPromise, type MaybePromise } from '../gateway/core/promise.ts';
import type { ClientRequest, Denial, Identity, SessionView } from '../gateway/core/session.ts';
import type { Store, Taken } from '../gateway/core/store.ts';
import { callerOf, publishingCaller } from './caller.ts';
import { limitFields } from './limit-fields.ts';
import { countsBySession, RateLimitOptions, termsOf, type Limit, type Limits, type Terms, type Unit } from './limit-terms.ts';
import { answerText } from './over.ts';

export const rateLimit = definePolicy({
  name: 'rate-limit',
  summary:
    'Limits how many messages, bytes, connections, subscriptions or published items one caller may have in a window of time.',
  options: RateLimitOptions,
  create: (options, { store, scope }) => {
    const terms = termsOf(options, scope);
    return policyOf[terms.unit](terms, store);
  },
});

const policyOf: Readonly<Record<Unit, (terms: Terms, store: Store) => Policy>> = {
  messages: (terms, store) => ({ connect: connectMeter(terms, store), message: messageMeter(terms, store) }),
  bytes: (terms, store) => ({ connect: connectMeter(terms, store), message: messageMeter(terms, store) }),
  connections: (terms, store) => ({ connect: connectMeter(terms, store) }),
  subscriptions: (terms, store) => ({ subscribe: subscribeMeter(terms, store) }),
  publishes: (terms, store) => ({ publish: publishMeter(terms, store) }),
};

/** Handshakes under a limit for connections, and plain requests under any. */
function connectMeter(terms: Terms, store: Store): NonNullable<Policy['connect']> {
  const { unit, limitsOf, keyOf } = terms;
  const bySession = countsBySession(terms);
  return (session, answer) => {
    const isRequest = session.transport === 'request';
    if (bySession || (unit !== 'connections' && !isRequest)) return undefined;
    const cost = unit === 'bytes' ? announcedBytes(session.request) : 1;
    if (cost === undefined) return deny('bad-request', 'The request needs a Content-Length here.');
    const usual = limitsOf(session.identity);
    // Who waits for room in a WebSocket does not wait at the door.
    const limits = unit === 'connections' ? patiently(usual) : usual;
    const keys = keysOf(limits, keyOf(callerOf(session)));
    return whenTaken(takeAll(store, limits, keys, cost), ({ limit, taken }) => {
      const headers = fieldsOf(terms, limit, taken);
      const action = unit === 'connections' ? actionOf(terms) : {};
      if (!taken.allowed) return refusal(terms, limit, taken, { headers, ...action });
      answer.push(...headers);
      return waitFor(taken);
    });
  };
}

/** Undefined for a body whose length is not known before it has arrived. */
function announcedBytes({ headers }: ClientRequest): number | undefined {
  if (header(headers, 'transfer-encoding') !== undefined) return undefined;
  const bytes = Number(header(headers, 'content-length') ?? 0);
  return Number.isSafeInteger(bytes) && bytes >= 0 ? bytes : undefined;
}

/** Every message of every client comes through here: one limit is one call of the store, and nothing is made unless it refuses. */
function messageMeter(terms: Terms, store: Store): NonNullable<Policy['message']> {
  const { unit } = terms;
  const countsOf = keptCounts(terms);
  return (session, { data }) => {
    const { limits, keys } = countsOf(session);
    const [limit] = limits;
    const cost = unit === 'bytes' ? data.length : 1;
    if (limits.length > 1)
      return whenTaken(takeAll(store, limits, keys, cost), (told) => verdictOn(terms, told.limit, told.taken));
    const taken = store.take(keys[0] ?? '', limit.budget, cost);
    return isPromise(taken) ? taken.then((later) => verdictOn(terms, limit, later)) : verdictOn(terms, limit, taken);
  };
}

function verdictOn(terms: Terms, limit: Limit, taken: Taken): Verdict {
  // A wait that is too long is the end.
  return taken.allowed ? waitFor(taken) : refusal(terms, limit, taken, { action: 'close', ...actionOf(terms) });
}

function waitFor({ waitMs = 0 }: Taken): Verdict {
  return waitMs === 0 ? undefined : { kind: 'delay', ms: waitMs };
}

/** For those who can be kept waiting. */
function patiently([first, ...more]: Limits): Limits {
  const patient = (limit: Limit): Limit => ({ ...limit, budget: limit.patient });
  return [patient(first), ...more.map(patient)];
}

/** Nothing for what is said by a status. */
function actionOf({ over }: Terms): Pick<Denial, 'action'> {
  return over === 'close' || over === 'drop' || over === 'answer' ? { action: over } : {};
}

interface Counts {
  readonly identity: Identity | undefined;
  readonly limits: Limits;
  readonly keys: readonly string[];
}

/** Kept per session, since making the keys costs more than counting; the identity may change with a renewed token. */
function keptCounts({ limitsOf, keyOf }: Terms): (session: SessionView) => Counts {
  const kept = new WeakMap<SessionView, Counts>();
  return (session) => {
    const { identity } = session;
    const known = kept.get(session);
    if (known !== undefined && known.identity === identity) return known;
    const limits = patiently(limitsOf(identity));
    const counts = { identity, limits, keys: keysOf(limits, keyOf(callerOf(session))) };
    kept.set(session, counts);
    return counts;
  };
}

function subscribeMeter(terms: Terms, store: Store): NonNullable<Policy['subscribe']> {
  const { limitsOf, keyOf } = terms;
  return (session, channel) => {
    const limits = limitsOf(session.identity);
    return whenTaken(takeAll(store, limits, keysOf(limits, keyOf(callerOf(session), channel)), 1), ({ limit, taken }) =>
      taken.allowed ? undefined : refusal(terms, limit, taken, actionOf(terms)),
    );
  };
}

function publishMeter(terms: Terms, store: Store): NonNullable<Policy['publish']> {
  const { limitsOf, keyOf, over } = terms;
  return ({ channel }, publisher) => {
    const limits = limitsOf(publisher.identity);
    return whenTaken(
      takeAll(store, limits, keysOf(limits, keyOf(publishingCaller(publisher), channel)), 1),
      ({ limit, taken }) => {
        if (taken.allowed) return undefined;
        if (over === 'drop') return { kind: 'consumed' };
        return refusal(terms, limit, taken, { headers: fieldsOf(terms, limit, taken) });
      },
    );
  };
}

function keysOf(limits: readonly Limit[], caller: string): readonly string[] {
  return limits.map(({ scope }) => scope + caller);
}

/** One of several limits, and what is left of it. */
interface Told {
  readonly limit: Limit;
  readonly taken: Taken;
}

/** Takes from every limit, up to the first that refuses; tells of that one, or of the one that leaves the least. */
function takeAll(store: Store, [first, ...others]: readonly Limit[], keys: readonly string[], cost: number): MaybePromise<Told> {
  if (first === undefined) throw new TypeError('A limit is missing.');
  const [key = '', ...otherKeys] = keys;
  const settle = (taken: Taken): MaybePromise<Told> => {
    const told = { limit: first, taken };
    if (!taken.allowed || others.length === 0) return told;
    const rest = takeAll(store, others, otherKeys, cost);
    return isPromise(rest) ? rest.then((other) => tighter(told, other)) : tighter(told, rest);
  };
  const taken = store.take(key, first.budget, cost);
  return isPromise(taken) ? taken.then(settle) : settle(taken);
}

/** The wait is the longest of all. */
function tighter(one: Told, other: Told): Told {
  if (!other.taken.allowed) return other;
  const least = other.taken.remaining <= one.taken.remaining ? other : one;
  const waitMs = Math.max(one.taken.waitMs ?? 0, other.taken.waitMs ?? 0);
  return { limit: least.limit, taken: { ...least.taken, waitMs } };
}

function whenTaken(told: MaybePromise<Told>, settle: (told: Told) => Verdict): MaybePromise<Verdict> {
  return isPromise(told) ? told.then(settle) : settle(told);
}

function refusal({ unit, text }: Terms, { budget }: Limit, { resetMs }: Taken, more: Pick<Denial, 'headers' | 'action'>): Denial {
  const named = unit === 'publishes' ? 'publications' : unit;
  const detail = `Too many ${named}: ${budget.limit} are allowed in ${budget.windowMs / 1000} s.`;
  return deny('rate-limited', detail, { retryAfterMs: resetMs, ...answerText(text, { waitMs: resetMs, detail }), ...more });
}

function fieldsOf({ unit, legacy }: Terms, { budget }: Limit, taken: Taken): string[] {
  return limitFields({ name: unit, limit: budget.limit, windowMs: budget.windowMs, legacy }, taken);
}

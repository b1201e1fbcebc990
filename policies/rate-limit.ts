/**
 * Limits how much one caller may send, or how often it may come. The counts live in the store. Tells clients about it by the fields
 * of draft-ietf-httpapi-ratelimit-headers-11.
 */
import { Type, type Static } from 'typebox';
import { Duration, toMs } from '../gateway/core/duration.ts';
import { ForegateError } from '../gateway/core/errors.ts';
import { header, type HeaderDraft } from '../gateway/core/headers.ts';
import { definePolicy, deny, type Policy, type PolicyContext, type Verdict } from '../gateway/core/policy.ts';
import { isPromise, type MaybePromise } from '../gateway/core/promise.ts';
import type { ClientRequest, Denial, Identity, SessionView } from '../gateway/core/session.ts';
import type { Budget, Taken } from '../gateway/core/store.ts';
import { By, callerKey, callerOf, isBy, type CallerKey } from './caller.ts';

const Amount = (description: string) => Type.Optional(Type.Integer({ minimum: 1, description }));

const RateLimitOptions = Type.Object(
  {
    messages: Amount(
      'Messages allowed in a window, pings and pongs included; a plain HTTP request counts as one message. One of `messages`, `bytes` and `connections` is needed.',
    ),
    bytes: Amount(
      'Bytes of messages allowed in a window; of a plain HTTP request the `Content-Length` counts, and a body without one is refused.',
    ),
    connections: Amount('WebSockets and plain HTTP requests that may begin in a window.'),
    window: Duration({
      default: '1s',
      description: 'Length of the window, at most 24 days. It begins with the first message that counts.',
    }),
    by: By({ default: 'address', description: 'Who shares a count; with `session`, plain requests are not limited.' }),
    over: Type.Enum(['close', 'drop', 'answer'], {
      default: 'close',
      description:
        'What happens to a message over the limit: `close` the WebSocket with code 4429, `drop` the message, or `answer` it with an error message. Handshakes and plain requests over the limit get status 429.',
    }),
  },
  { additionalProperties: false },
);
type RateLimitOptions = Static<typeof RateLimitOptions>;

export const rateLimit = definePolicy({
  name: 'rate-limit',
  summary: 'Limits how many messages, bytes or connections one caller may have in a window of time.',
  options: RateLimitOptions,
  create(options, context): Policy {
    const terms = termsOf(options);
    const atConnect: Policy = { connect: (session, answer) => meterConnect(session, answer, terms, context) };
    return terms.unit === 'connections' ? atConnect : { ...atConnect, message: messageMeter(terms, context) };
  },
});

type Unit = 'messages' | 'bytes' | 'connections';

interface Terms {
  readonly unit: Unit;
  readonly budget: Budget;
  readonly keyOf: CallerKey;
  readonly bySession: boolean;
  readonly over: 'close' | 'drop' | 'answer';
}

/** @throws ForegateError `bad-request` for options that make no sense together. */
function termsOf({ messages, bytes, connections, window, by, over }: RateLimitOptions): Terms {
  const amounts: readonly (readonly [Unit, number | undefined])[] = [
    ['messages', messages],
    ['bytes', bytes],
    ['connections', connections],
  ];
  const [given, ...more] = amounts.flatMap(([unit, limit]) => (limit === undefined ? [] : [{ unit, limit }]));
  if (given === undefined || more.length > 0)
    throw new ForegateError('bad-request', 'Give exactly one of "messages", "bytes" and "connections".');
  const windowMs = toMs(window);
  if (windowMs < 1 || windowMs > longestWindowMs)
    throw new ForegateError('bad-request', `A window of ${window} is not possible; it may have 1ms to 24d.`);
  const keyOf = callerKey(by, {
    channel: 'Only subscriptions can be counted by channel.',
    ...(given.unit === 'connections' && {
      session: 'Connections cannot be counted by session: each session is one connection.',
    }),
  });
  const bySession = isBy(by, 'session');
  return { unit: given.unit, budget: { limit: given.limit, windowMs }, keyOf, bySession, over };
}

const longestWindowMs = 24 * 86_400_000;

/** Handshakes under a limit for connections, and plain requests under any. */
function meterConnect(
  session: SessionView,
  answer: HeaderDraft,
  terms: Terms,
  { store, scope }: PolicyContext,
): MaybePromise<Verdict> {
  const isRequest = session.transport === 'request';
  if (terms.unit !== 'connections' && !isRequest) return undefined;
  if (terms.bySession) return undefined;
  const cost = terms.unit === 'bytes' ? announcedBytes(session.request) : 1;
  if (cost === undefined) return deny('bad-request', 'The request needs a Content-Length here.');
  const settle = (taken: Taken): Verdict => {
    const headers = limitFields(terms, taken);
    if (!taken.allowed) return refusal(terms, taken, { headers });
    answer.push(...headers);
    return undefined;
  };
  const taken = store.take(`${scope}:${terms.keyOf(callerOf(session))}`, terms.budget, cost);
  return isPromise(taken) ? taken.then(settle) : settle(taken);
}

/** Undefined for a body whose length is not known before it has arrived. */
function announcedBytes({ headers }: ClientRequest): number | undefined {
  if (header(headers, 'transfer-encoding') !== undefined) return undefined;
  const bytes = Number(header(headers, 'content-length') ?? 0);
  return Number.isSafeInteger(bytes) && bytes >= 0 ? bytes : undefined;
}

function messageMeter(terms: Terms, { store, scope }: PolicyContext): NonNullable<Policy['message']> {
  const { unit, budget, keyOf: callerKeyOf, over } = terms;
  const callers = new WeakMap<SessionView, { readonly identity: Identity | undefined; readonly key: string }>();
  // Kept per session, since making the key costs more than counting; the identity may change with a renewed token.
  const keyOf = (session: SessionView): string => {
    const caller = callers.get(session);
    if (caller !== undefined && caller.identity === session.identity) return caller.key;
    const key = `${scope}:${callerKeyOf(callerOf(session))}`;
    callers.set(session, { identity: session.identity, key });
    return key;
  };
  const settle = (taken: Taken): Verdict => (taken.allowed ? undefined : refusal(terms, taken, { action: over }));
  return (session, message) => {
    const taken = store.take(keyOf(session), budget, unit === 'bytes' ? message.data.length : 1);
    return isPromise(taken) ? taken.then(settle) : settle(taken);
  };
}

function refusal({ unit, budget }: Terms, taken: Taken, more: Partial<Pick<Denial, 'headers' | 'action'>>): Denial {
  return deny('rate-limited', `Too many ${unit}: ${budget.limit} are allowed in ${budget.windowMs / 1000} s.`, {
    retryAfterMs: taken.resetMs,
    ...more,
  });
}

/** The draft counts in whole seconds; a partial one is rounded up, so that nobody comes back too early. */
function limitFields({ unit, budget }: Terms, { remaining, resetMs }: Taken): string[] {
  const quotaUnit = unit === 'bytes' ? ';qu="content-bytes"' : '';
  return [
    'RateLimit-Policy',
    `"${unit}";q=${budget.limit};w=${Math.ceil(budget.windowMs / 1000)}${quotaUnit}`,
    'RateLimit',
    `"${unit}";r=${remaining};t=${Math.ceil(resetMs / 1000)}`,
  ];
}

/** What the options of `rate-limit` mean: one thing that is counted, and the limits that it has to keep. */
import { Type, type Static } from 'typebox';
import { Duration, toMs } from '../gateway/core/duration.ts';
import { ForegateError } from '../gateway/core/errors.ts';
import { limits as maxima } from '../gateway/core/limits.ts';
import { derivedMark } from '../gateway/core/setting-types.ts';
import type { Identity, OwnLimits } from '../gateway/core/session.ts';
import type { Budget } from '../gateway/core/store.ts';
import { By, callerKey, isBy, type CallerKey } from './caller.ts';
import { AnswerText, DerivedOver, overOf, type Over } from './over.ts';
import { ownLimitsOf } from './own-limits.ts';

const Amount = (description: string) => Type.Optional(Type.Integer({ minimum: 1, description }));

const amounts = {
  messages: Amount(
    'Messages allowed in a window, pings and pongs included; a plain HTTP request counts as one message. One of `messages`, `bytes`, `connections`, `subscriptions` and `publishes` is needed.',
  ),
  bytes: Amount(
    'Bytes of messages allowed in a window; of a plain HTTP request the `Content-Length` counts, and a body without one is refused.',
  ),
  connections: Amount('WebSockets and plain HTTP requests that may begin in a window.'),
  subscriptions: Amount('Subscriptions to channels that may be asked for in a window, whoever asks for them.'),
  publishes: Amount('Items that may be published in a window; only among the policies of `control`.'),
};

const Burst = Amount(
  'How many may come at once, where a bucket counts. Without it: as many as the limit. With it, `algorithm` is `bucket`.',
);

const window = Duration({
  default: '1s',
  description: 'Length of the window, at most 24 days. It begins with the first message that counts.',
});

export const RateLimitOptions = Type.Object(
  {
    ...amounts,
    window,
    burst: Burst,
    limits: Type.Optional(
      Type.Array(Type.Object({ ...amounts, window, burst: Burst }, { additionalProperties: false }), {
        minItems: 1,
        description:
          'Several limits for the same thing in place of one, such as 5 messages in a second and 100 in a minute. All have to be kept; clients are told of the one that leaves the least. What a shorter window refuses does not count in a longer one.',
      }),
    ),
    algorithm: Type.Optional(
      Type.Enum(['window', 'bucket'], {
        [derivedMark]: '`bucket` with `burst` or `over: delay`, else `window`',
        description:
          '`window`: so many in each window, however close together; what is refused counts, too. `bucket`: as many at once as `burst` says, then as evenly as the limit says; what is refused does not count.',
      }),
    ),
    by: By({ default: 'address', description: 'Who shares a count; with `session`, plain requests are not limited.' }),
    over: DerivedOver({
      default: '`close` for messages and bytes, else `refuse`',
      description:
        'What happens over the limit. Messages and bytes: `close` the WebSocket with code 4429, `drop` the message, `answer` it with an error message, or `delay` it until there is room, while nothing more is read from this client; who would have to wait longer than 30 s is closed. Connections: `refuse` the handshake with status 429, `delay` it until there is room, 30 s at most, or let the client in only to tell it: `close` at once with code 4429, which pages can read unlike a status, or `answer` with an error message before that. Subscriptions: one does not come about (`refuse`), nor with a word to the client of a WebSocket (`answer`), or the session ends, too (`close`). Published items: `refuse` the call with status 429, or forget the item without a word (`drop`). Plain requests over a limit for messages, bytes or connections get status 429, or wait with `delay` of connections.',
    }),
    text: AnswerText(
      'With `over: answer`, the text message that is sent instead of the usual one; `{wait}` in it becomes the seconds until there is room.',
    ),
    legacyFields: Type.Boolean({
      default: false,
      description:
        'Whether answers have `X-RateLimit-Limit`, `X-RateLimit-Remaining` and `X-RateLimit-Reset` (in seconds from now) besides `RateLimit` and `RateLimit-Policy`.',
    }),
  },
  { additionalProperties: false },
);
type Options = Static<typeof RateLimitOptions>;

const units = ['messages', 'bytes', 'connections', 'subscriptions', 'publishes'] as const;
export type Unit = (typeof units)[number];

export interface Terms {
  readonly unit: Unit;
  /** The shortest window first. */
  readonly limits: Limits;
  /** Those of a caller that has its own. */
  readonly limitsOf: (identity: Identity | undefined) => Limits;
  readonly keyOf: CallerKey;
  readonly by: Options['by'];
  readonly over: Over;
  readonly text: string | undefined;
  readonly legacy: boolean;
}

export type Limits = readonly [Limit, ...Limit[]];

export interface Limit {
  readonly budget: Budget;
  /** The same for who can be kept waiting. */
  readonly patient: Budget;
  /** Before the key of the caller. */
  readonly scope: string;
}

/** @throws ForegateError `bad-request` for options that make no sense together. */
export function termsOf(options: Options, scope: string): Terms {
  const { by, text, legacyFields } = options;
  const written = options.limits ?? [options];
  if (options.limits !== undefined && (options.burst !== undefined || units.some((unit) => options[unit] !== undefined)))
    throw wrong('Amounts and "burst" stand in "limits", or beside it, not both.');
  const unit = unitOf(written);
  const over = overFor(options, unit);
  const isBucket = algorithmOf(options, written, over) === 'bucket';
  const limits = written
    .map((one) => limitOf(one, { unit, isBucket, over, scope: written.length === 1 ? scope : `${scope}:${one.window}` }))
    .toSorted((a, b) => a.budget.windowMs - b.budget.windowMs);
  const [first, ...more] = limits;
  if (first === undefined || new Set(limits.map(({ budget }) => budget.windowMs)).size < limits.length)
    throw wrong('Each of "limits" needs a window of another length.');
  const usual: Limits = [first, ...more];
  const limitsOf = (identity: Identity | undefined): Limits => {
    const own = ownLimitsOf(identity, by);
    return own?.[unit] === undefined ? usual : [ownLimit(own, own[unit], { isBucket, over, scope })];
  };
  return { unit, limits: usual, limitsOf, keyOf: callerKey(by, impossible(unit)), by, over, text, legacy: legacyFields };
}

/** Counted apart from those of the route, and anew when it changes. */
function ownLimit({ windowMs }: OwnLimits, limit: number, { isBucket, over, scope }: Omit<LimitTerms, 'unit'>): Limit {
  const budget = { limit, windowMs, ...(isBucket && { burst: limit }) };
  return { ...patientFor(budget, over), scope: `${scope}:own:${limit}/${windowMs}:` };
}

type Written = Pick<Options, Unit | 'window' | 'burst'>;

function unitOf(written: readonly Written[]): Unit {
  const given = new Set(written.map((one) => units.filter((unit) => one[unit] !== undefined).join(' and ')));
  const unit = given.size === 1 ? units.find((one) => given.has(one)) : undefined;
  if (unit === undefined)
    throw wrong(
      'Give exactly one of "messages", "bytes", "connections", "subscriptions" and "publishes", for all limits the same.',
    );
  return unit;
}

const overOfUnit: Readonly<Record<Unit, readonly Over[]>> = {
  messages: ['close', 'drop', 'delay', 'answer'],
  bytes: ['close', 'drop', 'delay', 'answer'],
  connections: ['refuse', 'close', 'delay', 'answer'],
  subscriptions: ['refuse', 'close', 'answer'],
  publishes: ['refuse', 'drop'],
};

const reasonsOfUnit: Readonly<Partial<Record<Unit, Readonly<Partial<Record<Over, string>>>>>> = {
  connections: { drop: 'A client without any answer would only come again at once.' },
  subscriptions: {
    drop: 'The backend is not told of a subscription that is refused, so "refuse" is that already.',
    delay: 'What is published during the wait would be missed.',
  },
  publishes: { delay: 'Publishers are told how long to wait.' },
};

function overFor({ over, text }: Options, unit: Unit): Over {
  const possible = overOfUnit[unit];
  const chosen = over ?? (possible.includes('refuse') ? 'refuse' : 'close');
  return overOf(chosen, { possible, what: unit, reasons: reasonsOfUnit[unit] ?? {}, text });
}

function algorithmOf({ algorithm }: Options, written: readonly Written[], over: Over): 'window' | 'bucket' {
  const needsBucket = over === 'delay' || written.some(({ burst }) => burst !== undefined);
  if (needsBucket && algorithm === 'window') throw wrong('"burst" and "over: delay" need "algorithm: bucket".');
  return needsBucket ? 'bucket' : (algorithm ?? 'window');
}

interface LimitTerms {
  readonly unit: Unit;
  readonly isBucket: boolean;
  readonly over: Over;
  readonly scope: string;
}

function limitOf(written: Written, { unit, isBucket, over, scope }: LimitTerms): Limit {
  const windowMs = toMs(written.window);
  if (windowMs < 1 || windowMs > longestWindowMs)
    throw wrong(`A window of ${written.window} is not possible; it may have 1ms to 24d.`);
  const limit = written[unit] ?? 0;
  const budget = { limit, windowMs, ...(isBucket && { burst: written.burst ?? limit }) };
  return { ...patientFor(budget, over), scope: `${scope}:` };
}

function patientFor(budget: Budget, over: Over): Pick<Limit, 'budget' | 'patient'> {
  return { budget, patient: over === 'delay' ? { ...budget, waitMs: maxima.delayMs } : budget };
}

const longestWindowMs = 24 * 86_400_000;

function impossible(unit: Unit): Parameters<typeof callerKey>[1] {
  return {
    ...(unit === 'connections' && { session: 'Connections cannot be counted by session: each session is one connection.' }),
    ...(unit === 'publishes' && { session: 'Publishers have no session.' }),
    ...(unit !== 'publishes' && unit !== 'subscriptions' && { channel: `There is no channel to count ${unit} by.` }),
  };
}

function wrong(message: string): ForegateError {
  return new ForegateError('bad-request', message);
}

export function countsBySession({ by }: Terms): boolean {
  return isBy(by, 'session');
}

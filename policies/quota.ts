/** How much one consumer may use in an hour, a day or a month of the calendar, over HTTP and WebSockets together. */
import { Type } from 'typebox';
import { definePolicy, deny, type Policy, type Verdict } from '../gateway/core/policy.ts';
import { isPromise, type MaybePromise } from '../gateway/core/promise.ts';
import type { Denial, Identity, SessionView } from '../gateway/core/session.ts';
import type { Budget, Taken } from '../gateway/core/store.ts';
import { calendar, periodKinds, type Period } from './calendar.ts';
import { By, callerKey, callerOf } from './caller.ts';
import { limitFields } from './limit-fields.ts';
import { ownLimitsOf } from './own-limits.ts';
import { AnswerText, answerText, Over, overOf } from './over.ts';

const QuotaOptions = Type.Object(
  {
    messages: Type.Integer({
      minimum: 1,
      description: 'Messages that may be sent in a period, pings and pongs included; a plain HTTP request counts as one.',
    }),
    period: Type.Enum([...periodKinds], {
      default: 'day',
      description: 'An hour, day or month of the calendar: it ends for all at the same time, whenever they began.',
    }),
    timeZone: Type.String({
      minLength: 1,
      default: 'UTC',
      examples: ['UTC', 'Europe/Berlin'],
      description: 'The time zone in which the period begins.',
    }),
    by: By({ default: 'subject', description: 'Who shares a quota.' }),
    over: Over({
      default: 'close',
      description:
        'What happens to a message when the quota is used up: `close` the WebSocket with code 4429, `drop` the message, or `answer` it with an error message. Handshakes and plain requests get status 429. An open WebSocket hears of it with its next message.',
    }),
    text: AnswerText(
      'With `over: answer`, the text message that is sent instead of the usual one; `{wait}` in it becomes the seconds until the period ends.',
    ),
    legacyFields: Type.Boolean({
      default: false,
      description:
        'Whether answers have `X-RateLimit-Limit`, `X-RateLimit-Remaining` and `X-RateLimit-Reset` (in seconds from now) besides `RateLimit` and `RateLimit-Policy`.',
    }),
  },
  {
    additionalProperties: false,
    description:
      'What is left is told in the answers to handshakes and plain requests. Handshakes cost nothing. The count is kept over a reload, as long as the policy stays at its place in the list of its route, and in memory is lost with the program: after a restart everybody has the whole quota again, unless `store.use` is `redis`. Each route has a count of its own.',
  },
);

export const quota = definePolicy({
  name: 'quota',
  summary: 'Limits how many messages and requests one consumer may send in an hour, a day or a month.',
  options: QuotaOptions,
  create(options, { store, scope, clock }): Policy {
    const { messages, text, legacyFields } = options;
    const action = overOf(options.over, {
      possible: ['close', 'drop', 'answer'],
      what: 'a quota',
      reasons: { delay: 'There may be no room for hours.' },
      text,
    });
    const keyOf = callerKey(options.by, {
      session: 'A quota cannot be counted by session: whoever comes again would have a new one.',
      channel: 'A quota cannot be counted by channel.',
    });
    const currentTerm = terms(messages, calendar(options.period, options.timeZone));
    const kept = new WeakMap<SessionView, Kept>();

    /** Kept per session, since making the key costs more than counting. */
    const countIn = (term: Term, session: SessionView): Kept => {
      const { identity } = session;
      const known = kept.get(session);
      if (known !== undefined && known.term === term && known.identity === identity) return known;
      const own = ownTerm(term, ownLimitsOf(identity, options.by)?.quota);
      const key = `${scope}:${term.period.start}:${keyOf(callerOf(session))}`;
      const count = { term, identity, key, own };
      kept.set(session, count);
      return count;
    };
    const take = (session: SessionView, cost: number, settle: (use: Use) => Verdict): MaybePromise<Verdict> => {
      const now = clock.now();
      const { key, own: term } = countIn(currentTerm(now), session);
      const taken = store.take(key, term.budget, cost);
      const used = ({ allowed, remaining }: Taken): Verdict =>
        settle({ term, taken: { allowed, remaining, resetMs: term.period.end - now } });
      return isPromise(taken) ? taken.then(used) : used(taken);
    };
    const fieldsOf = ({ term, taken }: Use): string[] =>
      limitFields({ name: 'quota', ...term.budget, legacy: legacyFields }, taken);
    const refusal = ({ term, taken }: Use, more: Partial<Denial>): Denial => {
      const detail = `The quota is used up: ${term.budget.limit} messages are allowed in ${texts[options.period]}.`;
      return deny('rate-limited', detail, {
        retryAfterMs: taken.resetMs,
        ...answerText(text, { waitMs: taken.resetMs, detail }),
        ...more,
      });
    };

    return {
      connect(session, answer) {
        const isRequest = session.transport === 'request';
        return take(session, isRequest ? 1 : 0, (use) => {
          const isUsedUp = !use.taken.allowed || (!isRequest && use.taken.remaining === 0);
          const headers = fieldsOf(use);
          if (isUsedUp) return refusal(use, { headers });
          answer.push(...headers);
          return undefined;
        });
      },
      message(session) {
        return take(session, 1, (use) => (use.taken.allowed ? undefined : refusal(use, { action })));
      },
    };
  },
});

const texts = { hour: 'an hour', day: 'a day', month: 'a month' } as const;

/** A period and what may be used in it. */
interface Term {
  readonly period: Period;
  /** The same for all of a period; its window may end later, when nobody asks for its key any more. */
  readonly budget: Budget;
}

interface Use {
  readonly term: Term;
  readonly taken: Taken;
}

interface Kept {
  readonly term: Term;
  readonly identity: Identity | undefined;
  readonly key: string;
  /** The term with the budget of this consumer. */
  readonly own: Term;
}

/** What is used stays used when a key gets another quota. */
function ownTerm(term: Term, limit: number | undefined): Term {
  return limit === undefined ? term : { ...term, budget: { ...term.budget, limit } };
}

/** The calendar is asked once for each period. */
function terms(limit: number, periodAt: (at: number) => Period): (now: number) => Term {
  let term: Term | undefined;
  return (now) => {
    if (term !== undefined && now >= term.period.start && now < term.period.end) return term;
    const period = periodAt(now);
    term = { period, budget: { limit, windowMs: period.end - period.start } };
    return term;
  };
}

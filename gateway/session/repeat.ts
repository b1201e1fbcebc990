/**
 * The sender that tries again where nothing was sent: five times, after 1, 2, 4, 8 and 16 s and up to a second more, or as soon
 * as the target is back (GRIP 2.10). Where the target knows requests again by their key, those are repeated, too, whose connection
 * broke, though never early. The same draft goes again, to the same target.
 */
import { errors, toForegateError, type ErrorCode } from '../core/errors.ts';
import type { Reply, RequestDraft } from '../core/exchange.ts';
import type { Metrics } from '../core/metrics.ts';
import type { Target } from '../core/route.ts';
import type { Caller, Send } from './exchange.ts';
import { sendOnce } from './exchange.ts';

/** How long to wait before each attempt; so many sessions must not come back at the same moment. */
interface RepeatTerms {
  readonly delaysMs: readonly number[];
  /** Up to so much more, at random. */
  readonly jitterMs: number;
}

const usualTerms: RepeatTerms = { delaysMs: [1000, 2000, 4000, 8000, 16_000], jitterMs: 1000 };

export function repeatingSend(metrics: Metrics, { delaysMs, jitterMs }: RepeatTerms = usualTerms): Send {
  return async (caller, draft) => {
    let failure: unknown;
    try {
      return await sendOnce(caller, draft);
    } catch (thrown) {
      failure = thrown;
    }
    for (const delayMs of delaysMs) {
      const { code } = toForegateError(failure);
      if (!mayRepeat(code, caller.target)) throw failure;
      const ms = delayMs + Math.random() * jitterMs;
      const attempt = await (errors[code].retry ? within : after)(ms, caller, draft, metrics);
      if ('reply' in attempt) return attempt.reply;
      failure = attempt.failure;
    }
    throw failure;
  };
}

function mayRepeat(code: ErrorCode, { retry }: Target): boolean {
  return errors[code].retry || (code === 'downstream-lost' && retry === 'idempotent');
}

type Attempt = { reply: Reply } | { failure: unknown };

/** One attempt, after so long: it may have been this request that broke the backend. */
async function after(ms: number, caller: Caller, draft: RequestDraft, metrics: Metrics): Promise<Attempt> {
  await new Promise((resolve) => setTimeout(resolve, ms));
  try {
    metrics.count('exchange_retries');
    return { reply: await sendOnce(caller, draft) };
  } catch (failure) {
    return { failure };
  }
}

/** Waits for the target, at most `ms`; one that came back and is gone again costs no more than the rest of that time. */
async function within(ms: number, caller: Caller, draft: RequestDraft, metrics: Metrics): Promise<Attempt> {
  const until = performance.now() + ms;
  for (;;) {
    const back = await caller.target.downstream.back(Math.max(until - performance.now(), 0));
    try {
      metrics.count('exchange_retries');
      return { reply: await sendOnce(caller, draft) };
    } catch (failure) {
      if (!back || performance.now() >= until || !errors[toForegateError(failure).code].retry) return { failure };
    }
  }
}

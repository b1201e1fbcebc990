/**
 * The sender that tries again where nothing was sent: five times, after 1, 2, 4, 8 and 16 s and up to a second more, or as soon
 * as the target is back (GRIP 2.10). The same draft goes again, to the same target.
 */
import { errors, toForegateError } from '../core/errors.ts';
import type { Reply, RequestDraft } from '../core/exchange.ts';
import type { Metrics } from '../core/metrics.ts';
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
      if (!errors[toForegateError(failure).code].retry) throw failure;
      const attempt = await within(delayMs + Math.random() * jitterMs, caller, draft, metrics);
      if ('reply' in attempt) return attempt.reply;
      failure = attempt.failure;
    }
    throw failure;
  };
}

/** Waits for the target, at most `ms`; one that came back and is gone again costs no more than the rest of that time. */
async function within(
  ms: number,
  caller: Caller,
  draft: RequestDraft,
  metrics: Metrics,
): Promise<{ reply: Reply } | { failure: unknown }> {
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

/**
 * The wait of a request that the gateway in between refused, where its route says `delay`: as long as the gateway said, or as the
 * route has it, and so often at most. Only for what did not reach the backend, or what the backend knows again by its key.
 */
import type { Fault } from '../core/profile.ts';
import type { Route, Target } from '../core/route.ts';
import type { Outcome } from './exchange.ts';

export type FaultOutcome = Extract<Outcome, { kind: 'fault' }>;

/** Up to so much more, at random: limits end for all sessions at the same moment. */
const jitterMs = 1000;

/** Milliseconds; undefined: the request is not made again. `sent`: so often it was. */
export function faultDelayMs(fault: Fault, { route, target }: Place, sent: number): number | undefined {
  const { longestMs, usualMs, tries } = route.faultDelay;
  if (route.onFault[fault.kind] !== 'delay' || sent > tries || !mayRepeat(fault, target)) return undefined;
  const ms = fault.retryAfterMs ?? Math.min(usualMs * 2 ** (sent - 1), longestMs);
  return ms > longestMs ? undefined : ms + Math.random() * jitterMs;
}

interface Place {
  readonly route: Pick<Route, 'faultDelay' | 'onFault'>;
  readonly target: Pick<Target, 'retry'>;
}

/** What the gateway refused itself went no further; what failed behind it may have arrived. */
function mayRepeat({ by, kind }: Fault, { retry }: Place['target']): boolean {
  return by !== undefined && (kind !== 'upstream' || retry === 'idempotent');
}

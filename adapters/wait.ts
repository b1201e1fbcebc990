/** How long to wait after a refusal, as gateways say it in half a dozen ways. */
import type { Refusal } from './refusal.ts';

/** Milliseconds, one second to one hour; undefined where nothing is said. `now` is in milliseconds since 1970. */
export function waitMs({ field, message }: Pick<Refusal, 'field' | 'message'>, now = Date.now()): number | undefined {
  return (
    retryAfterMs(field('retry-after'), now) ??
    bounded(secondsIn(field('ratelimit-reset')) ?? secondsIn(parameter(field('ratelimit')))) ??
    bounded(resetSeconds(field('x-ratelimit-reset'), now)) ??
    bounded(saidSeconds(message))
  );
}

/** Of a `Retry-After`: seconds or an HTTP date (RFC 9110 section 10.2.3). */
export function retryAfterMs(field: string, now = Date.now()): number | undefined {
  if (field.trim() === '') return undefined;
  return bounded(secondsIn(field) ?? (Date.parse(field) - now) / 1000);
}

function bounded(seconds: number | undefined): number | undefined {
  if (seconds === undefined || !Number.isFinite(seconds)) return undefined;
  return Math.min(Math.max(seconds * 1000, 1000), 3_600_000);
}

function secondsIn(text: string): number | undefined {
  return /^\d+$/.test(text.trim()) ? Number(text) : undefined;
}

/** `"default";r=0;t=12`: the seconds of `t`. */
function parameter(field: string): string {
  return /;\s*t=(\d+)/.exec(field)?.[1] ?? '';
}

/** Seconds left, or the second or millisecond since 1970 at which it ends: nobody waits for thirty years. */
function resetSeconds(field: string, now: number): number | undefined {
  const value = secondsIn(field);
  if (value === undefined || value <= 1e9) return value;
  return (value > 1e12 ? value - now : value * 1000 - now) / 1000;
}

/** `Try again in 26 seconds.`, `Quota will be replenished in 7.00:30:02.` */
function saidSeconds(message: string): number | undefined {
  const plain = /try again in (\d+) seconds?/i.exec(message)?.[1];
  if (plain !== undefined) return Number(plain);
  const [, days = '0', hours, minutes, seconds] = /replenished in (?:(\d+)\.)?(\d+):(\d+):(\d+)/i.exec(message) ?? [];
  if (hours === undefined) return undefined;
  return ((Number(days) * 24 + Number(hours)) * 60 + Number(minutes)) * 60 + Number(seconds);
}

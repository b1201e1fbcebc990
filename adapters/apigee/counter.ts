/** How Apigee counts a limit: a quota of whole minutes, hours or days, or a rate of each second. */
import type { GatewayLimit } from '../conversion/gateway-route.ts';

export type Counter =
  | { readonly kind: 'quota'; readonly count: number; readonly interval: number; readonly unit: 'minute' | 'hour' | 'day' }
  | { readonly kind: 'spike'; readonly perSecond: number };

const units = [
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
] as const;

/** Never more than the limit allows. */
export function counterOf({ count, windowSeconds }: GatewayLimit): Counter {
  if (windowSeconds < 60 && count >= windowSeconds) return { kind: 'spike', perSecond: Math.floor(count / windowSeconds) };
  const whole = Math.ceil(windowSeconds / 60) * 60;
  const [unit, seconds] = units.find(([, length]) => whole % length === 0) ?? units[2];
  return { kind: 'quota', count, interval: whole / seconds, unit };
}

/** What it comes to, in words; undefined: exactly the limit. */
export function stricter(limit: GatewayLimit): string | undefined {
  const counter = counterOf(limit);
  if (counter.kind === 'spike') return `${counter.perSecond} in each second`;
  return limit.windowSeconds % 60 === 0 ? undefined : `${counter.count} in ${counter.interval} ${counter.unit}s`;
}

/** Lengths of time as people write them: `500ms`, `4s`, `30m`, `2h`, `1d`. */
import { Type, type TString } from 'typebox';
import { ForegateError } from './errors.ts';

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A schema for a duration; the default stands in the configuration reference. */
export function Duration(options: { readonly default?: string; readonly description: string }): TString {
  return Type.String({ pattern: '^[0-9]+(ms|s|m|h|d)$', examples: ['500ms', '4s', '30m'], ...options });
}

/** @throws ForegateError `bad-request` for anything that {@link Duration} would not take. */
export function toMs(duration: string): number {
  const [, amount, unit] = /^(\d+)(ms|s|m|h|d)$/.exec(duration) ?? [];
  const factor = unit === undefined ? undefined : unitMs[unit];
  if (amount === undefined || factor === undefined)
    throw new ForegateError('bad-request', `"${duration}" is not a duration such as 500ms, 4s or 30m.`);
  return Number(amount) * factor;
}

/** Sizes, times and rates as nginx writes them. Each is undefined where the text is none. */

const units: Readonly<Record<string, number>> = { k: 1024, m: 1024 ** 2, g: 1024 ** 3, '': 1 };

/** `64k` in bytes. */
export function bytesOf(text: string): number | undefined {
  const [, count, unit = ''] = /^(\d{1,12})([kmg]?)$/i.exec(text) ?? [];
  return count === undefined ? undefined : Number(count) * (units[unit.toLowerCase()] ?? 1);
}

const milliseconds: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  '': 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** `1m30s`, `30` (seconds), `500ms`, in milliseconds. */
export function msOf(text: string): number | undefined {
  if (!/^(?:\d{1,9}(?:ms|[smhdw])?\s*)+$/.test(text)) return undefined;
  const parts = [...text.matchAll(/(\d+)(ms|[smhdw])?/g)];
  return parts.reduce((sum, [, count, unit = '']) => sum + Number(count) * (milliseconds[unit] ?? 0), 0);
}

/** `5r/m` */
export function rateOf(text: string): { readonly count: number; readonly windowSeconds: number } | undefined {
  const [, count, unit] = /^([1-9]\d{0,8})r\/([sm])$/.exec(text) ?? [];
  return count === undefined ? undefined : { count: Number(count), windowSeconds: unit === 's' ? 1 : 60 };
}

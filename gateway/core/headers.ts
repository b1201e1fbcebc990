/**
 * Header fields as an ordered flat list of names and values, in the spelling they came in, duplicates kept; what may enter is
 * checked (RFC 9110 section 5). Flat, because that is what `node:http` gives (`rawHeaders`) and `undici` takes.
 */
export type HeaderList = readonly string[];
export type HeaderDraft = string[];

const tokenPattern = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
// Visible characters, space and tab; obs-text as Latin-1. CR, LF and NUL would make a new field at the next hop.
const valuePattern = /^[\t\x20-\x7e\x80-\xff]*$/;

export function isHeaderName(name: string): boolean {
  return tokenPattern.test(name);
}

export function isHeaderValue(value: string): boolean {
  return valuePattern.test(value);
}

/** The first value of a field, or undefined. `lowerName` is in lower case. */
export function header(headers: HeaderList, lowerName: string): string | undefined {
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i];
    if (name !== undefined && name.length === lowerName.length && name.toLowerCase() === lowerName) return headers[i + 1];
  }
  return undefined;
}

/** All values of a field, in order. */
export function headerValues(headers: HeaderList, lowerName: string): string[] {
  const values: string[] = [];
  for (const [name, value] of fields(headers)) if (name.toLowerCase() === lowerName) values.push(value);
  return values;
}

/** The fields as pairs. */
export function* fields(headers: HeaderList): Generator<readonly [name: string, value: string]> {
  for (let i = 0; i + 1 < headers.length; i += 2) yield [headers[i] ?? '', headers[i + 1] ?? ''];
}

/** Replaces a field, or appends it. */
export function setHeader(headers: HeaderDraft, name: string, value: string): void {
  removeHeader(headers, name.toLowerCase());
  headers.push(name, value);
}

export function removeHeader(headers: HeaderDraft, lowerName: string): void {
  for (let i = headers.length - 2; i >= 0; i -= 2) {
    const name = headers[i];
    if (name?.length === lowerName.length && name.toLowerCase() === lowerName) headers.splice(i, 2);
  }
}

/** A name as backends may compare it: in lower case, `_` as `-`. */
export function normalName(name: string): string {
  const lower = name.toLowerCase();
  return lower.includes('_') ? lower.replaceAll('_', '-') : lower;
}

/** Whether a normal name is one of these; a `*` at the end of one stands for any rest. */
export function namesOf(names: readonly string[]): (normalName: string) => boolean {
  const wanted = names.map(normalName);
  const whole = new Set(wanted);
  const beginning = beginsWith(wanted.filter((name) => name.endsWith('*')).map((name) => name.slice(0, -1)));
  return (name) => whole.has(name) || beginning.test(name);
}

/** For normal names with one of these beginnings; without any it fits nothing. */
export function beginsWith(prefixes: readonly string[]): RegExp {
  if (prefixes.length === 0) return /(?!)/;
  return new RegExp(`^(?:${prefixes.map((prefix) => prefix.replaceAll(/[^a-z0-9-]/g, '\\$&')).join('|')})`);
}

/** A copy without the fields for which `drop` says true; names are given in lower case. */
export function withoutHeaders(headers: HeaderList, drop: (lowerName: string, value: string) => boolean): HeaderDraft {
  const kept: HeaderDraft = [];
  for (const [name, value] of fields(headers)) if (!drop(name.toLowerCase(), value)) kept.push(name, value);
  return kept;
}

/** Names listed in `Connection`, in lower case: they belong to this hop (RFC 9110 section 7.6.1). */
export function connectionOptions(headers: HeaderList): ReadonlySet<string> {
  const names = headerValues(headers, 'connection').flatMap((value) => value.split(','));
  return new Set(names.map((name) => name.trim().toLowerCase()));
}

const hopByHop: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
]);

export function isHopByHop(lowerName: string): boolean {
  return hopByHop.has(lowerName);
}

/** `Retry-After` in whole seconds, at least one; nothing where no wait is known. */
export function retryAfter(ms: number | undefined): HeaderDraft {
  return ms === undefined ? [] : ['Retry-After', String(Math.max(1, Math.ceil(ms / 1000)))];
}

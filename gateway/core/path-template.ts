/**
 * Path templates as OpenAPI writes them (OpenAPI 3.1, 4.8.8): a whole path in which `{name}` stands for a part of one segment, of one
 * character at least. Compared with paths as they were received.
 */

/** What stands before the first `{`, or all of it. */
export function templateStart(template: string): string {
  const end = template.indexOf('{');
  return end < 0 ? template : template.slice(0, end);
}

/** The names in their order; one that stands there twice is twice in it. */
export function templateNames(template: string): string[] {
  return [...template.matchAll(/\{([^{}]*)\}/g)].map(([, name = '']) => name);
}

/** The texts around the names of one segment: `{a}.{b}` has `''`, `'.'` and `''`; a segment without names has one. */
export function segmentTexts(segment: string): readonly [string, ...string[]] {
  const [first = '', ...rest] = segment.split(/\{[^{}]*\}/);
  return [first, ...rest];
}

/** True if each name can stand for at least one character of the segment. */
export function segmentFits([first, ...rest]: readonly [string, ...string[]], segment: string): boolean {
  const last = rest.at(-1);
  if (last === undefined) return segment === first;
  if (!segment.startsWith(first)) return false;
  let at = first.length;
  for (const text of rest.slice(0, -1)) {
    const found = segment.indexOf(text, at + 1);
    if (found < 0) return false;
    at = found + text.length;
  }
  return segment.length - last.length > at && segment.endsWith(last);
}

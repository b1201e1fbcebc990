/**
 * Path templates as OpenAPI writes them (OpenAPI 3.1, 4.8.8): a whole path in which `{name}` stands for a segment or a part of one, of
 * one character at least. Compared with paths as they were received.
 */
import { ForegateError } from './errors.ts';

export interface PathTemplate {
  /** In the order of the template. */
  readonly names: readonly string[];
  /** What stands in a path (without its query, as received) for each name, still encoded; undefined where the path does not fit. */
  match(path: string): ReadonlyMap<string, string> | undefined;
}

/** The texts around the names of one segment: `{a}.{b}` has `''`, `'.'` and `''`; a segment without names has one. */
export type SegmentTexts = readonly [first: string, ...rest: string[]];

/** @throws ForegateError `bad-request` for a text that is no template */
export function pathTemplate(text: string): PathTemplate {
  const fault = templateFault(text);
  if (fault !== undefined) throw new ForegateError('bad-request', `The template ${JSON.stringify(text)} ${fault}.`);
  const names = templateNames(text);
  const segments = text.split('/').map(segmentTexts);
  return { names, match: (path) => valuesIn(path.split('/'), segments, names) };
}

/** What is wrong with a template, as the rest of a sentence. */
export function templateFault(text: string): string | undefined {
  if (!/^\/(?:[^{}?#]|\{[^{}/\s]+\})*$/.test(text)) return 'is no path with names in braces, such as /chat/{room}';
  if (text.includes('}{')) return 'needs something between two names';
  const names = templateNames(text);
  const twice = names.find((name, index) => names.indexOf(name) < index);
  return twice === undefined ? undefined : `has the name ${JSON.stringify(twice)} twice`;
}

/** What stands before the first name, or all of it. */
export function templateStart(template: string): string {
  const end = template.indexOf('{');
  return end < 0 ? template : template.slice(0, end);
}

export function segmentTexts(segment: string): SegmentTexts {
  const [first = '', ...rest] = segment.split(/\{[^{}]*\}/);
  return [first, ...rest];
}

/**
 * True if each name can stand for at least one character of the segment; `found` takes what that is. Where there are several ways, the
 * first names are as short as can be.
 */
export function segmentFits([first, ...rest]: SegmentTexts, segment: string, found?: string[]): boolean {
  const last = rest.length - 1;
  if (last < 0) return segment === first;
  if (!segment.startsWith(first)) return false;
  let at = first.length;
  for (const [index, text] of rest.entries()) {
    const end = index === last ? segment.length - text.length : segment.indexOf(text, at + 1);
    if (end <= at || (index === last && !segment.endsWith(text))) return false;
    found?.push(segment.slice(at, end));
    at = end + text.length;
  }
  return true;
}

function templateNames(template: string): string[] {
  return [...template.matchAll(/\{([^{}]*)\}/g)].map(([, name = '']) => name);
}

function valuesIn(
  segments: readonly string[],
  templates: readonly SegmentTexts[],
  names: readonly string[],
): Map<string, string> | undefined {
  const found: string[] = [];
  const fits =
    segments.length === templates.length && templates.every((texts, index) => segmentFits(texts, segments[index] ?? '', found));
  return fits ? new Map(names.map((name, index) => [name, found[index] ?? ''])) : undefined;
}

/** Paths with names in them, such as `/rooms/{room}/files/{file}.json`: a name stands for a segment or for a part of one, never for nothing. */
import { ForegateError } from './errors.ts';

export interface PathTemplate {
  /** In the order of the template. */
  readonly names: readonly string[];
  /** What stands in a path (without its query, as received) for each name, still encoded; undefined where the path does not fit. */
  match(path: string): ReadonlyMap<string, string> | undefined;
}

/** Where several ways to read a segment are possible, the first names are as short as can be. @throws ForegateError `bad-request` */
export function pathTemplate(text: string): PathTemplate {
  if (!text.startsWith('/')) throw new ForegateError('bad-request', `The template ${JSON.stringify(text)} must begin with "/".`);
  const segments = text.split('/').map((segment) => segmentTemplate(segment, text));
  const names = segments.flatMap((segment) => segment.names);
  const twice = names.find((name, index) => names.indexOf(name) < index);
  if (twice !== undefined)
    throw new ForegateError('bad-request', `The template ${JSON.stringify(text)} has the name {${twice}} twice.`);
  return { names, match: (path) => matchAll(segments, path.split('/')) };
}

interface SegmentTemplate {
  readonly names: readonly string[];
  /** One more than there are names: what stands before, between and after them. */
  readonly literals: readonly string[];
}

function segmentTemplate(segment: string, whole: string): SegmentTemplate {
  const pieces = segment.split(/\{([^{}]+)\}/);
  const literals = pieces.filter((_piece, index) => index % 2 === 0);
  const wrong = literals.some((literal) => /[{}?#]/.test(literal)) || literals.slice(1, -1).includes('');
  if (wrong)
    throw new ForegateError(
      'bad-request',
      `The template ${JSON.stringify(whole)} is no path: a name stands in braces, with something between two of them.`,
    );
  return { literals, names: pieces.filter((_piece, index) => index % 2 === 1) };
}

function matchAll(templates: readonly SegmentTemplate[], segments: readonly string[]): Map<string, string> | undefined {
  if (templates.length !== segments.length) return undefined;
  const found = new Map<string, string>();
  const fits = templates.every((template, index) => matchSegment(template, segments[index] ?? '', found));
  return fits ? found : undefined;
}

function matchSegment({ names, literals }: SegmentTemplate, segment: string, found: Map<string, string>): boolean {
  const [first = ''] = literals;
  if (names.length === 0) return segment === first;
  if (!segment.startsWith(first)) return false;
  let at = first.length;
  for (const [index, name] of names.entries()) {
    const literal = literals[index + 1] ?? '';
    const isLast = index === names.length - 1;
    const end = isLast ? segment.length - literal.length : segment.indexOf(literal, at + 1);
    if (end <= at || (isLast && !segment.endsWith(literal))) return false;
    found.set(name, segment.slice(at, end));
    at = end + literal.length;
  }
  return true;
}

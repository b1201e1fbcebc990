/**
 * What stands at paths, found in a time that does not depend on how much there is: whole paths, templates (`/chat/{room}`) and
 * beginnings of paths.
 */
import { segmentFits, segmentTexts, type SegmentTexts } from '../core/path-template.ts';

/** A place in the index. */
export interface PathPattern {
  /** A beginning of paths; what counts without `template`. */
  readonly path: string;
  /** A whole path, with names or without. */
  readonly template: string | undefined;
}

/** What stands there at the next segment: `children` by its text, `variables` by the texts around the names in it. */
class Segment<R> {
  readonly children = new Map<string, Segment<R>>();
  /** Those with more text come first. */
  readonly variables: { readonly texts: SegmentTexts; readonly next: Segment<R> }[] = [];
  readonly found: R[] = [];
}

export class PathIndex<R> {
  readonly #whole = new Map<string, R[]>();
  readonly #templates = new Segment<R>();
  readonly #beginnings = new Map<string, R[]>();
  /** Of all beginnings, the longest first. */
  readonly #lengths: number[] = [];

  add({ path, template }: PathPattern, entry: R): void {
    if (template === undefined) this.#addBeginning(path, entry);
    else if (template.includes('{')) this.#addTemplate(template, entry);
    else listAt(this.#whole, template).push(entry);
  }

  /**
   * The first that `fits`: of those of the whole path, then of templates (text before names in each segment, from the left), then of
   * beginnings, the longest first; each in the order in which they were added.
   */
  find(path: string, fits: (entry: R) => boolean): R | undefined {
    return this.#whole.get(path)?.find(fits) ?? findBelow(this.#templates, path, 1, fits) ?? this.#findBeginning(path, fits);
  }

  #addBeginning(path: string, entry: R): void {
    if (!this.#beginnings.has(path) && !this.#lengths.includes(path.length)) {
      this.#lengths.push(path.length);
      this.#lengths.sort((a, b) => b - a);
    }
    listAt(this.#beginnings, path).push(entry);
  }

  #addTemplate(template: string, entry: R): void {
    let place = this.#templates;
    for (const segment of template.slice(1).split('/')) place = next(place, segment);
    place.found.push(entry);
  }

  #findBeginning(path: string, fits: (entry: R) => boolean): R | undefined {
    for (const length of this.#lengths) {
      if (length > path.length) continue;
      const found = this.#beginnings.get(path.slice(0, length))?.find(fits);
      if (found !== undefined) return found;
    }
    return undefined;
  }
}

function listAt<R>(lists: Map<string, R[]>, key: string): R[] {
  const known = lists.get(key);
  if (known !== undefined) return known;
  const made: R[] = [];
  lists.set(key, made);
  return made;
}

/** The place behind one more segment of a template, made if it is not there. */
function next<R>({ children, variables }: Segment<R>, segment: string): Segment<R> {
  const texts = segmentTexts(segment);
  const known = texts.length === 1 ? children.get(segment) : variables.find((one) => same(one.texts, texts))?.next;
  if (known !== undefined) return known;
  const made = new Segment<R>();
  if (texts.length === 1) children.set(segment, made);
  else {
    variables.push({ texts, next: made });
    variables.sort((a, b) => b.texts.join('').length - a.texts.join('').length);
  }
  return made;
}

function same(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text, index) => text === b[index]);
}

/** `at`: where the next segment begins in the path; behind its end there is none. */
function findBelow<R>(place: Segment<R>, path: string, at: number, fits: (entry: R) => boolean): R | undefined {
  if (at > path.length) return place.found.find(fits);
  const slash = path.indexOf('/', at);
  const end = slash < 0 ? path.length : slash;
  const segment = path.slice(at, end);
  const child = place.children.get(segment);
  const found = child && findBelow(child, path, end + 1, fits);
  if (found !== undefined) return found;
  for (const { texts, next: below } of place.variables) {
    const other = segmentFits(texts, segment) ? findBelow(below, path, end + 1, fits) : undefined;
    if (other !== undefined) return other;
  }
  return undefined;
}

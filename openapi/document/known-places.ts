/**
 * Where the parts of an API document were read. Every mapping and list is known by identity from the moment its file is read, so
 * that it can still be found when a `$ref` in another file leads to it.
 */
import { formatPath, type Path, type PlaceInFile } from '../../gateway/core/problem.ts';
import type { Source } from './source.ts';

/** One file of a document. */
export interface DocumentFile {
  readonly url: URL;
  readonly source: Source;
}

interface Known {
  readonly file: DocumentFile;
  /** Undefined for the whole file. */
  readonly parent: Known | undefined;
  readonly key: string | number;
}

/** Sees each mapping and list of a file once, with its keys from the top. */
type Visit = (part: object, keys: () => Path) => void;

export class KnownPlaces {
  readonly #known = new WeakMap<object, Known>();

  /** Takes up all of a file; `visit` is shown each part on the way. */
  add(file: DocumentFile, visit: Visit): void {
    if (isObject(file.source.value)) this.#add(file.source.value, { file, parent: undefined, key: '' }, visit);
  }

  #add(part: object, known: Known, visit: Visit): void {
    // What an anchor names stands where it was written first.
    if (this.#known.has(part)) return;
    this.#known.set(part, known);
    visit(part, () => pathOf(known));
    for (const [key, child] of Object.entries(part)) {
      if (isObject(child))
        this.#add(child, { file: known.file, parent: known, key: Array.isArray(part) ? Number(key) : key }, visit);
    }
  }

  /** Says of an object that was made later that it stands where `other` does. */
  alias(made: object, other: object): void {
    const known = this.#known.get(other);
    if (known !== undefined) this.#known.set(made, known);
  }

  fileOf(part: object): DocumentFile | undefined {
    return this.#known.get(part)?.file;
  }

  /** Undefined for an object that stood in no file. */
  locate(owner: object, key: string | number | undefined, at: 'key' | 'value'): PlaceInFile | undefined {
    const known = this.#known.get(owner);
    if (known === undefined) return undefined;
    const { source } = known.file;
    const { line, column, path } = source.locate([...pathOf(known), ...(key === undefined ? [] : [key])], at);
    return { file: source.file, line, column, path: formatPath(path) };
  }
}

function pathOf({ parent, key }: Known): Path {
  return parent === undefined ? [] : [...pathOf(parent), key];
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

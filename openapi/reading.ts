/** Reads all files of an API document and finds what its `$ref`s lead to (RFC 3986, RFC 6901). */
import { dirname, relative, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { limits } from '../gateway/core/limits.ts';
import { isMapping, type Mapping } from '../gateway/core/mapping.ts';
import { ConfigError, type PlaceInFile, type Problem } from '../gateway/core/problem.ts';
import type { ReadFile } from './document-files.ts';
import { KnownPlaces, type DocumentFile } from './known-places.ts';
import { isBelowData, isReference, type Reference } from './references.ts';
import { parseSource } from './source.ts';

/** A file that is to be read, and the `$ref` that asks for it. */
interface Wanted {
  readonly url: URL;
  readonly asking: Reference | undefined;
}

export class Reading {
  readonly places = new KnownPlaces();
  readonly #file: string;
  readonly #read: ReadFile;
  readonly #files = new Map<string, DocumentFile>();
  readonly #references = new Set<object>();
  readonly #problems: Problem[] = [];

  constructor(file: string, read: ReadFile) {
    this.#file = file;
    this.#read = read;
  }

  /** What the first file says, once all others are read. @throws ConfigError with all that cannot be read, or leads nowhere */
  async readAll(): Promise<Mapping> {
    const first = pathToFileURL(resolve(this.#file));
    const wanted: Wanted[] = [{ url: first, asking: undefined }];
    const asked = new Set([first.href]);
    // Grows while it is gone through, to the bound of files.
    for (const one of wanted) {
      for (const next of await this.#take(one)) {
        if (asked.has(next.url.href)) continue;
        asked.add(next.url.href);
        wanted.push(next);
        if (wanted.length > limits.documentFiles) throw this.#tooMany(next);
      }
    }
    const root = this.#files.get(first.href)?.source.value;
    this.#problems.push(...[...this.#references].flatMap((reference) => this.#lost(reference as Reference)));
    if (this.#problems.length > 0 || !isMapping(root)) throw new ConfigError(this.#problems);
    return root;
  }

  isKnown(part: object): part is Reference {
    return this.#references.has(part);
  }

  /** Undefined if it leads nowhere; a `$ref` if it leads from one to the next without an end. */
  target(ref: string, near: object): unknown {
    return this.#follow(ref, near, new Set());
  }

  #follow(ref: string, near: object, passed: Set<object>): unknown {
    const base = this.places.fileOf(near);
    if (base === undefined) return undefined;
    const { file, fragment } = ref.startsWith('#') ? { file: base, fragment: ref.slice(1) } : this.#fileOf(ref, base);
    const steps = file && tokensOf(fragment);
    if (steps === undefined) return undefined;
    let part: unknown = file?.source.value;
    for (const step of steps) part = childOf(this.#through(part, passed), step);
    return this.#through(part, passed);
  }

  /** On from a reference, unless that has been passed already. */
  #through(part: unknown, passed: Set<object>): unknown {
    if (!isReference(part) || passed.has(part)) return part;
    passed.add(part);
    return this.#follow(part.$ref, part, passed);
  }

  #fileOf(ref: string, base: DocumentFile): { readonly file: DocumentFile | undefined; readonly fragment: string } {
    const url = absolute(ref, base);
    const fragment = url?.hash.slice(1) ?? '';
    return { file: url && this.#files.get(withoutHash(url).href), fragment };
  }

  /** Reads one file, and gives those that it names. */
  async #take({ url, asking }: Wanted): Promise<Wanted[]> {
    const shown = this.#shown(url);
    try {
      this.#refuseLocal(url, shown, asking);
      const file = { url, source: parseSource(shown, await this.#read(url, shown)) };
      this.#files.set(url.href, file);
      return this.#namedIn(file);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      this.#problems.push(...error.problems.map((problem) => this.#atReference(problem, shown, asking)));
      return [];
    }
  }

  #namedIn(file: DocumentFile): Wanted[] {
    const wanted: Wanted[] = [];
    this.places.add(file, (part, keys) => {
      if (!isReference(part) || isBelowData(keys())) return;
      this.#references.add(part);
      const url = part.$ref.startsWith('#') ? undefined : absolute(part.$ref, file);
      if (url !== undefined) wanted.push({ url: withoutHash(url), asking: part });
    });
    return wanted;
  }

  /** What comes from the network names no files of this machine. */
  #refuseLocal(url: URL, shown: string, asking: Reference | undefined): void {
    if (url.protocol !== 'file:' || asking === undefined || this.places.fileOf(asking)?.url.protocol === 'file:') return;
    throw new ConfigError([{ ...wholeFile(shown), message: 'is a file here, which a document from the network must not name' }]);
  }

  /** A file that cannot be read is told where it is asked for; what is wrong inside of one has a place of its own. */
  #atReference(problem: Problem, shown: string, asking: Reference | undefined): Problem {
    if (asking === undefined || problem.line > 0) return problem;
    return { ...this.#placeOf(asking), message: `leads to ${JSON.stringify(shown)}, which ${problem.message}` };
  }

  #tooMany({ asking }: Wanted): ConfigError {
    const place = asking === undefined ? wholeFile(this.#file) : this.#placeOf(asking);
    return new ConfigError([{ ...place, message: `is one file too many: a document may have ${limits.documentFiles}` }]);
  }

  #lost(reference: Reference): Problem[] {
    if (this.#problems.length > 0 && !reference.$ref.startsWith('#')) return [];
    const target = this.target(reference.$ref, reference);
    const shown = JSON.stringify(reference.$ref);
    if (target === undefined) return [{ ...this.#placeOf(reference), message: `leads nowhere: ${shown}` }];
    return isReference(target) ? [{ ...this.#placeOf(reference), message: `leads in a circle: ${shown}` }] : [];
  }

  #placeOf(reference: Reference): PlaceInFile {
    return this.places.locate(reference, '$ref', 'value') ?? wholeFile(this.#file);
  }

  /** As a person would write it beside the first file; never with a password or query. */
  #shown(url: URL): string {
    if (url.protocol !== 'file:') return `${url.protocol}//${url.host}${url.pathname}`;
    const first = resolve(this.#file);
    if (fileURLToPath(url) === first) return this.#file;
    const [folder, below] = [dirname(this.#file), relative(dirname(first), fileURLToPath(url))];
    return folder === '.' ? below : `${folder}/${below}`;
  }
}

function absolute(ref: string, { url }: DocumentFile): URL | undefined {
  return URL.canParse(ref, url) ? new URL(ref, url) : undefined;
}

function withoutHash(url: URL): URL {
  const file = new URL(url);
  file.hash = '';
  return file;
}

/** Undefined for what is no JSON Pointer. */
function tokensOf(fragment: string): readonly string[] | undefined {
  if (fragment === '') return [];
  if (!fragment.startsWith('/') && !fragment.toLowerCase().startsWith('%2f')) return undefined;
  try {
    const [, ...tokens] = decodeURIComponent(fragment).split('/');
    return tokens.map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'));
  } catch {
    return undefined;
  }
}

function childOf(part: unknown, key: string): unknown {
  if (typeof part !== 'object' || part === null || !Object.hasOwn(part, key)) return undefined;
  return (part as Mapping)[key];
}

function wholeFile(file: string): PlaceInFile {
  return { file, line: 0, column: 0, path: '' };
}

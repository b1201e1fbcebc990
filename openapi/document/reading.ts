/**
 * Reads all files of an API document and finds what its `$ref`s lead to (RFC 3986, RFC 6901), by `json-schema-ref-parser`. The files
 * are parsed here, so that each part keeps its place.
 */
import { dirname, relative, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { $RefParser, FileInfo, ParserOptions } from '@apidevtools/json-schema-ref-parser';
import { limits } from '../../gateway/core/limits.ts';
import { isMapping, type Mapping } from '../../gateway/core/mapping.ts';
import { ConfigError, type PlaceInFile, type Problem } from '../../gateway/core/problem.ts';
import type { ReadFile } from './document-files.ts';
import { KnownPlaces } from './known-places.ts';
import { isBelowData, isReference, type Reference } from './references.ts';
import { parseSource } from './source.ts';

export class Reading {
  readonly places = new KnownPlaces();
  readonly #file: string;
  readonly #url: URL;
  readonly #read: ReadFile;
  #parser: $RefParser | undefined;
  readonly #references = new Set<Reference>();
  /** Why a file could not be read, by its URL. */
  readonly #faults = new Map<string, readonly Problem[]>();
  /** URLs of files that references lead into. */
  readonly #wanted = new Set<string | undefined>();
  /** What references lead to, by the file they stand in: thousands may name the same part. */
  readonly #targets = new Map<URL, Map<string, unknown>>();
  #files = 0;

  constructor(file: string, read: ReadFile) {
    this.#file = file;
    this.#url = pathToFileURL(resolve(file));
    this.#read = read;
  }

  /** What the first file says, once all others are read. @throws ConfigError with all that cannot be read, or leads nowhere */
  async readAll(): Promise<Mapping> {
    // Loaded here, as few configurations have documents.
    const { $RefParser: Parser } = await import('@apidevtools/json-schema-ref-parser');
    this.#parser = new Parser();
    try {
      await this.#parser.resolve(this.#url.href, this.#terms());
    } catch {
      // Of each file it is kept why, and told below where it is asked for.
    }
    const problems = [...(this.#faults.get(this.#url.href) ?? []), ...[...this.#references].flatMap((one) => this.#lost(one))];
    const root: unknown = problems.length > 0 ? undefined : this.#found(this.#url.href);
    if (!isMapping(root)) throw new ConfigError(unlike(problems));
    return root;
  }

  isKnown(part: object): part is Reference {
    return this.#references.has(part as Reference);
  }

  /** Undefined if it leads nowhere; a `$ref` if it leads from one to the next without an end. */
  target(ref: string, near: object): unknown {
    const base = this.places.fileOf(near)?.url;
    if (base === undefined) return undefined;
    const targets = this.#targets.get(base) ?? new Map<string, unknown>();
    this.#targets.set(base, targets);
    if (!targets.has(ref)) targets.set(ref, URL.canParse(ref, base) ? this.#found(new URL(ref, base).href) : undefined);
    const found = targets.get(ref);
    // Where more stands beside a `$ref` on the way, both are put together, which is a new part.
    if (isMapping(found) && this.places.fileOf(found) === undefined) this.places.alias(found, near);
    return found;
  }

  /** Also of members that every object has by birth nothing is found. */
  #found(url: string): unknown {
    try {
      const found: unknown = this.#parser?.$refs.get(url);
      return typeof found === 'function' ? undefined : (found ?? undefined);
    } catch {
      return undefined;
    }
  }

  #terms(): ParserOptions {
    const parse = { order: 1, canParse: true, allowEmpty: true, parse: (file: FileInfo) => this.#parse(file) };
    const read = { order: 1, canRead: true, read: (file: FileInfo) => this.#text(file) };
    return {
      continueOnError: true,
      parse: { json: false, yaml: false, text: false, binary: false, own: parse },
      resolve: { file: false, http: false, own: read },
    };
  }

  async #text({ url, baseUrl }: FileInfo): Promise<string> {
    const shown = this.#shown(new URL(url));
    return this.#keepingFaults(url, async () => {
      if (baseUrl !== undefined && !this.#wanted.has(url)) throw new TypeError('Only data names this file.');
      this.#files += 1;
      if (this.#files > limits.documentFiles)
        throw unreadable(shown, `is one file too many: a document may have ${limits.documentFiles}`);
      if (url.startsWith('file:') && baseUrl !== undefined && !baseUrl.startsWith('file:'))
        throw unreadable(shown, 'is a file here, which a document from the network must not name');
      return this.#read(new URL(url), shown);
    });
  }

  #parse({ url, data }: FileInfo): Promise<unknown> {
    return this.#keepingFaults(url, async () => {
      const file = { url: new URL(url), source: parseSource(this.#shown(new URL(url)), String(data)) };
      this.places.add(file, (part, keys) => {
        if (!isReference(part) || isBelowData(keys())) return;
        this.#references.add(part);
        this.#wanted.add(fileOf(part, this.places)?.href);
      });
      return file.source.value;
    });
  }

  async #keepingFaults<T>(url: string, make: () => Promise<T>): Promise<T> {
    try {
      return await make();
    } catch (error) {
      if (error instanceof ConfigError) this.#faults.set(url, error.problems);
      throw error;
    }
  }

  #lost(reference: Reference): readonly Problem[] {
    const target = this.target(reference.$ref, reference);
    if (target !== undefined && !isReference(target)) return [];
    const place = this.places.locate(reference, '$ref', 'value') ?? wholeFile(this.#file);
    const shown = JSON.stringify(reference.$ref);
    if (target !== undefined) return [{ ...place, message: `leads in a circle: ${shown}` }];
    const url = fileOf(reference, this.places);
    const faults = url && this.#faults.get(url.href);
    // Behind a file that cannot be read nothing else can be found.
    if (faults === undefined && this.#faults.size > 0 && !reference.$ref.startsWith('#')) return [];
    if (url === undefined || faults === undefined) return [{ ...place, message: `leads nowhere: ${shown}` }];
    const file = JSON.stringify(this.#shown(url));
    return faults.map((fault) => (fault.line > 0 ? fault : { ...place, message: `leads to ${file}, which ${fault.message}` }));
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

/** The file that a `$ref` leads into; undefined for what is no URL. */
function fileOf(reference: Reference, places: KnownPlaces): URL | undefined {
  const base = places.fileOf(reference)?.url;
  if (base === undefined || !URL.canParse(reference.$ref, base)) return undefined;
  const url = new URL(reference.$ref, base);
  url.hash = '';
  return url;
}

/** What is wrong in a file is told once, however many ask for it. */
function unlike(problems: readonly Problem[]): Problem[] {
  return [...new Map(problems.map((problem) => [JSON.stringify(problem), problem])).values()];
}

function unreadable(file: string, message: string): ConfigError {
  return new ConfigError([{ ...wholeFile(file), message }]);
}

function wholeFile(file: string): PlaceInFile {
  return { file, line: 0, column: 0, path: '' };
}

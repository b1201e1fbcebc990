/** An API document, OpenAPI or AsyncAPI, with its `$ref`s followed into other parts and files, and the place of each part. */
import type { Mapping } from '../../gateway/core/mapping.ts';
import { ConfigError, type PlaceInFile } from '../../gateway/core/problem.ts';
import { fileReader, type ReadFile } from './document-files.ts';
import { link } from './linking.ts';
import { Reading } from './reading.ts';
import { isReference } from './references.ts';

/** A document with its `$ref`s followed, and the place of each part. */
export interface ApiDocument {
  /** As the caller named it. */
  readonly file: string;
  /**
   * `$ref`s are replaced by what they lead to, by identity, so that nothing gets larger. Only those are left that close a circle or lie deep,
   * and those with more beside them than a description.
   */
  readonly root: Mapping;
  /** What a `$ref` that is left leads to; `near` is the mapping it stands in, or any other of the same file. */
  target(ref: string, near: object): unknown;
  /** The value itself, or what it leads to if it is a `$ref` that is left. */
  follow(value: unknown): unknown;
  /** Where a part stands, in whichever file: a mapping or list, or one of its keys. */
  locate(owner: object, key?: string | number, at?: 'key' | 'value'): PlaceInFile;
}

type Locate = (owner: object, key: string | number | undefined, at: 'key' | 'value') => PlaceInFile;

export interface DocumentTerms {
  /** `$ref`s to http(s) URLs are followed. Default: they are refused. */
  readonly network?: boolean;
  /** Reads texts instead of the disk and the network. */
  readonly read?: ReadFile;
}

/** @throws ConfigError for a file that cannot be read or is none, and for every `$ref` that leads nowhere, with its place. */
export async function readApiDocument(file: string, terms: DocumentTerms = {}): Promise<ApiDocument> {
  const reading = new Reading(file, terms.read ?? fileReader(terms.network ?? false));
  const root = await reading.readAll();
  const placeOf: Locate = (owner, key, at) => reading.places.locate(owner, key, at) ?? { file, line: 0, column: 0, path: '' };
  const tooDeep = link(root, reading);
  if (tooDeep !== undefined)
    throw new ConfigError([{ ...placeOf(tooDeep, undefined, 'value'), message: 'is nested too deeply' }]);
  return {
    file,
    root,
    target: (ref, near) => reading.target(ref, near),
    follow: (value) => (isReference(value) ? reading.target(value.$ref, value) : value),
    locate: (owner, key, at = 'value') => placeOf(owner, key, at),
  };
}

/** Something wrong in an API document, before its place is looked up. */
import type { Mapping } from '../../gateway/core/mapping.ts';

/** The part that is wrong: a mapping or list of the document, and one of its keys. */
export interface DocumentFinding {
  readonly owner: object;
  readonly key?: string | number;
  /** Whether the key or what stands there is wrong. */
  readonly at: 'key' | 'value';
  /** Follows the place: `is no keyword of JSON Schema`. */
  readonly message: string;
  /** What could have been meant in place of the key. */
  readonly known?: readonly string[];
}

/** What is needed of a document besides a part of it. */
export interface SchemaSource {
  readonly root: Mapping;
  /** The value itself, or what it leads to if it is a `$ref` that was left because it closes a circle. */
  follow(value: unknown): unknown;
  /** What a `$ref` leads to; `near` is a mapping of the file it stands in. */
  target(ref: string, near: object): unknown;
}

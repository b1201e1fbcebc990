/**
 * JSON Schemas (2020-12) inside a document: there a `$ref` starts at the document, not at the schema. What a `$ref` leads to is put in
 * its place; only what leads back to itself is a component, and is referred to.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Mapping } from '../../gateway/core/mapping.ts';
import type { SchemaSource } from '../document/document-finding.ts';
import { isReference } from '../document/references.ts';
import { namedSchemaKeywords, valueKeywords } from './schema-parts.ts';
import { SchemaPlaces } from './schema-places.ts';

/** Of so many parts a schema may consist once it is written out. */
const partsMax = 20_000;
/** Deeper ones are not written. */
const depthMax = 200;

/** A schema that cannot stand in a document; the message is a clause. */
export class UnsayableSchema extends Error {}

export class EmbeddedSchemas implements SchemaSource {
  readonly root: Mapping = {};
  readonly #components = new Map<string, unknown>();

  /**
   * A schema as it stands in the document. `name` is that of its component, if it refers to itself.
   * @throws UnsayableSchema
   */
  embed(schema: unknown, name: string): unknown {
    const places = new SchemaPlaces(schema);
    const circular = [...places.circular()].map(([part, word]) => [part, componentName(word === '' ? name : word)] as const);
    for (let round = 1; ; round += 1) {
      const names = new Map(distinct(circular, round));
      const own = [...names].map(([part, one]) => [one, writer(places, names, part)(part)] as const);
      if (own.some(([one, written]) => isDeepStrictEqual(written, reference(one))))
        throw new UnsayableSchema('has a schema that only refers to itself');
      if (own.some(([one, written]) => this.#isOther(one, written))) continue;
      for (const [one, written] of own) this.#components.set(one, written);
      return this.#known(writer(places, names)(schema));
    }
  }

  /** `components.schemas`. */
  all(): Mapping {
    return Object.fromEntries([...this.#components].toSorted(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** What a reference to a component leads to; any other value itself. */
  follow(value: unknown): unknown {
    return isReference(value) ? this.target(value.$ref) : value;
  }

  target(ref: string): unknown {
    return this.#components.get(ref.replace(componentsPath, ''));
  }

  #isOther(name: string, written: unknown): boolean {
    return this.#components.has(name) && !isDeepStrictEqual(this.#components.get(name), written);
  }

  /** A reference, if it is a component already. */
  #known(written: unknown): unknown {
    const found = [...this.#components].find(([, component]) => isDeepStrictEqual(component, written));
    return found === undefined ? written : reference(found[0]);
  }
}

const componentsPath = '#/components/schemas/';

function reference(name: string): Mapping {
  return { $ref: `${componentsPath}${name}` };
}

function componentName(word: string): string {
  const name = word.replaceAll(/[^A-Za-z0-9._-]/g, '-');
  return name === '' || name in Object.prototype ? `schema-${name}` : name;
}

/** From the second round on each name gets the number of the round, and so has every one that stands there twice. */
function distinct(circular: readonly (readonly [unknown, string])[], round: number): [unknown, string][] {
  const taken = new Set<string>();
  return circular.map(([part, name]) => {
    let number = round;
    const numbered = (): string => (number === 1 ? name : `${name}-${number}`);
    while (taken.has(numbered())) number += 1;
    taken.add(numbered());
    return [part, numbered()];
  });
}

/** Meaningless, or misleading, in the document: it has no such places. */
const placeKeywords: ReadonlySet<string> = new Set(['$schema', '$id', '$anchor', '$dynamicAnchor', '$defs', 'definitions']);

/** `whole` is the part that is written as a component now, not as a reference to it. */
function writer(places: SchemaPlaces, names: ReadonlyMap<unknown, string>, whole?: unknown): (part: unknown) => unknown {
  let parts = 0;
  const write = (part: unknown, depth: number): unknown => {
    parts += 1;
    if (parts > partsMax || depth > depthMax)
      throw new UnsayableSchema('has a schema that is too large, once its "$ref"s are followed');
    if (Array.isArray(part)) return part.map((one) => write(one, depth + 1));
    if (typeof part !== 'object' || part === null) return part;
    const name = names.get(part);
    if (name !== undefined && !(part === whole && depth === 0)) return reference(name);
    return written(part as Mapping, depth);
  };
  const written = (part: Mapping, depth: number): unknown => {
    const { $ref, ...rest } = part;
    const members = Object.entries(rest).filter(([keyword]) => !placeKeywords.has(keyword));
    const entries = members.map(([keyword, value]) => [keyword, member(keyword, value, depth + 1)] as const);
    const own = Object.fromEntries(entries);
    if (typeof $ref !== 'string') return own;
    const target = write(targetOf(places, part, $ref), depth + 1);
    // Elsewhere than in 2020-12, what stands beside a `$ref` counts for nothing.
    if (entries.length === 0) return target;
    return { ...own, allOf: [target, ...((own['allOf'] as unknown[] | undefined) ?? [])] };
  };
  const member = (keyword: string, value: unknown, depth: number): unknown => {
    if (keyword.startsWith('$dynamic')) throw new UnsayableSchema(`has a schema with "${keyword}", which AsyncAPI does not know`);
    if (valueKeywords.has(keyword)) return plainValue(value);
    if (!namedSchemaKeywords.has(keyword) || typeof value !== 'object' || value === null) return write(value, depth);
    const named = Object.entries(value).map(([name, schema]) => [name, write(schema, depth)] as const);
    return Object.fromEntries(named);
  };
  return (part) => write(part, 0);
}

function targetOf(places: SchemaPlaces, near: object, ref: string): unknown {
  const target = places.target(near, ref);
  if (target === undefined) throw new UnsayableSchema(`has a schema that refers to ${JSON.stringify(ref)}, which is not in it`);
  return target;
}

/** What reads a document follows a `$ref` wherever it stands. @throws UnsayableSchema for a value with one */
export function plainValue<T>(value: T): T {
  if (JSON.stringify(value).includes('"$ref"')) throw new UnsayableSchema('has a value with "$ref" in it');
  return value;
}

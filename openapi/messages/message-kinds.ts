/**
 * The kinds of messages of one side: a mapping from kinds to schemas, or one schema with `oneOf`, whose parts say their kinds by a
 * `const`, or which has a `discriminator` (OpenAPI 3.1, section 4.8.25).
 */
import { isMapping, type Mapping } from '../../gateway/core/mapping.ts';
import type { DocumentFinding, SchemaSource } from '../document/document-finding.ts';

export interface MessageKind {
  readonly schema: unknown;
  /** The part of the document that says so. */
  readonly owner: object;
}

export type MessageKinds = ReadonlyMap<string, MessageKind>;

export interface ReadKinds {
  /** As far as it is said here or elsewhere. */
  readonly by: string;
  readonly kinds: MessageKinds;
  readonly findings: readonly DocumentFinding[];
}

interface KindTerms {
  readonly source: SchemaSource;
  /** What is said of all messages. */
  readonly by: string | undefined;
  /** What the value stands in, and under which key. */
  readonly owner: Mapping;
  readonly side: 'client' | 'backend';
}

/** Undefined for no mapping, which is told elsewhere. */
export function kindsOf(value: unknown, terms: KindTerms): ReadKinds | undefined {
  const described = terms.source.follow(value);
  if (!isMapping(described)) return undefined;
  const choice = choiceOf(described);
  return choice === undefined ? fromMapping(described, terms) : fromChoice(described, choice, terms);
}

interface Choice {
  readonly key: 'oneOf' | 'anyOf';
  readonly parts: readonly unknown[];
}

/** A kind may have such a name, too, but no list under it. */
function choiceOf(described: Mapping): Choice | undefined {
  const { oneOf, anyOf } = described;
  if (Array.isArray(oneOf)) return { key: 'oneOf', parts: oneOf };
  return Array.isArray(anyOf) ? { key: 'anyOf', parts: anyOf } : undefined;
}

function fromMapping(described: Mapping, { by = 'type', owner, side }: KindTerms): ReadKinds {
  const entries = Object.entries(described);
  const findings: DocumentFinding[] = entries
    .filter(([, schema]) => !isMapping(schema) && typeof schema !== 'boolean')
    .map(([key]) => ({
      owner: described,
      key,
      at: 'value',
      message: 'is no schema; there stands one for each kind of message, or one with "oneOf" for all',
    }));
  if (entries.length === 0) findings.push({ owner, key: side, at: 'value', message: 'needs a schema for each kind of message' });
  if (Object.hasOwn(described, ''))
    findings.push({ owner: described, key: '', at: 'key', message: 'is no kind: it needs a name' });
  return { by, kinds: new Map(entries.map(([kind, schema]) => [kind, { schema, owner: described }])), findings };
}

function fromChoice(described: Mapping, choice: Choice, terms: KindTerms): ReadKinds {
  const { discriminator } = described;
  const property = isMapping(discriminator) ? discriminator['propertyName'] : undefined;
  const by = typeof property === 'string' ? property : (terms.by ?? 'type');
  const wrong = discriminator === undefined ? [] : discriminatorFindings(described, terms.by);
  const names = new KindNames(isMapping(discriminator) ? discriminator : undefined, by, terms.source);
  const { kinds, findings } = namedParts(described, choice, names);
  return { by, kinds, findings: [...wrong, ...names.lost(choice), ...findings] };
}

function discriminatorFindings(described: Mapping, by: string | undefined): DocumentFinding[] {
  const { discriminator } = described;
  const fault = (owner: object, key: string, message: string): DocumentFinding[] => [{ owner, key, at: 'value', message }];
  if (!isMapping(discriminator)) return fault(described, 'discriminator', 'must be a mapping');
  const { propertyName, mapping } = discriminator;
  if (typeof propertyName !== 'string' || propertyName === '') return fault(described, 'discriminator', 'needs "propertyName"');
  if (propertyName.startsWith('/')) return fault(discriminator, 'propertyName', 'must be the name of a member, no JSON Pointer');
  if (by !== undefined && by !== propertyName) return fault(discriminator, 'propertyName', `must be ${by}, as "by" says`);
  const isWrong =
    mapping !== undefined && !(isMapping(mapping) && Object.values(mapping).every((one) => typeof one === 'string'));
  return isWrong ? fault(discriminator, 'mapping', 'must be a mapping from kinds to names of schemas') : [];
}

function namedParts(described: Mapping, { key, parts }: Choice, names: KindNames): Pick<ReadKinds, 'kinds' | 'findings'> {
  const around = besides(described, key);
  const kinds = new Map<string, MessageKind>();
  const findings: DocumentFinding[] = [];
  for (const [index, part] of parts.entries()) {
    const told = (message: string): void => void findings.push({ owner: parts, key: index, at: 'value', message });
    const found = names.of(part);
    if (found.length === 0) told(`does not say its kind: it needs a "const" for ${names.by}`);
    for (const kind of found) {
      if (kinds.has(kind)) told(`is of the kind ${JSON.stringify(kind)}, as one before it`);
      kinds.set(kind, { schema: around === undefined ? part : { allOf: [around, part] }, owner: described });
    }
  }
  return { kinds, findings };
}

/** What holds for all parts: keywords beside `oneOf` that are not only words. */
function besides(described: Mapping, choice: string): Mapping | undefined {
  const words = [choice, 'discriminator', 'title', 'description', 'example', 'examples', 'externalDocs'];
  const rest = Object.entries(described).filter(([word]) => !words.includes(word) && !word.startsWith('x-'));
  return rest.length === 0 ? undefined : Object.fromEntries(rest);
}

/** Finds the kinds of the parts of a choice. */
class KindNames {
  readonly by: string;
  readonly #source: SchemaSource;
  readonly #mapping: Mapping;
  readonly #isDiscriminated: boolean;
  readonly #components: Mapping;

  constructor(discriminator: Mapping | undefined, by: string, source: SchemaSource) {
    this.by = by;
    this.#source = source;
    this.#isDiscriminated = discriminator !== undefined;
    this.#mapping = isMapping(discriminator?.['mapping']) ? discriminator['mapping'] : {};
    const { components } = source.root;
    const schemas = isMapping(components) ? components['schemas'] : undefined;
    this.#components = isMapping(schemas) ? schemas : {};
  }

  /** Those of the mapping first, then what the part itself says, then the name of the schema. */
  of(part: unknown): readonly string[] {
    const schema = this.#source.follow(part);
    const mapped = Object.keys(this.#mapping).filter((kind) => this.#mapped(kind) === schema);
    if (mapped.length > 0) return mapped;
    const said = constantsAt(schema, pathOf(this.by), this.#source);
    if (said.length > 0 || !this.#isDiscriminated) return said;
    return Object.keys(this.#components)
      .filter((name) => this.#components[name] === schema)
      .slice(0, 1);
  }

  /** Entries of the mapping that lead to no part of the choice. */
  lost({ key: choice, parts }: Choice): DocumentFinding[] {
    const schemas = new Set(parts.map((part) => this.#source.follow(part)));
    return Object.keys(this.#mapping)
      .filter((kind) => !schemas.has(this.#mapped(kind)))
      .map((key) => ({ owner: this.#mapping, key, at: 'value', message: `leads to no part of "${choice}"` }));
  }

  /** The name of a schema, or a reference. */
  #mapped(kind: string): unknown {
    const said = String(this.#mapping[kind]);
    if (Object.hasOwn(this.#components, said)) return this.#components[said];
    return this.#source.target(said, this.#mapping);
  }
}

/** The name of a member, or a JSON Pointer (RFC 6901). */
export function pathOf(by: string): string[] {
  if (!by.startsWith('/')) return [by];
  const parts = by.split('/').slice(1);
  return parts.map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** What a member of a message can only be, by its `const` or `enum`, also in parts of `allOf`. */
export function constantsAt(schema: unknown, path: readonly string[], source: SchemaSource, seen = new Set<unknown>()): string[] {
  const described = source.follow(schema);
  if (!isMapping(described) || seen.has(described)) return [];
  seen.add(described);
  const [name, ...deeper] = path;
  if (name === undefined) return constantsOf(described);
  const { properties, allOf } = described;
  const own =
    isMapping(properties) && Object.hasOwn(properties, name) ? constantsAt(properties[name], deeper, source, new Set()) : [];
  if (own.length > 0 || !Array.isArray(allOf)) return own;
  return allOf.map((part) => constantsAt(part, path, source, seen)).find(({ length }) => length > 0) ?? [];
}

function constantsOf({ const: value, enum: values }: Mapping): string[] {
  const possible: readonly unknown[] = Array.isArray(values) ? values : [value];
  return possible.filter((one) => typeof one === 'string' || Number.isSafeInteger(one)).map(String);
}

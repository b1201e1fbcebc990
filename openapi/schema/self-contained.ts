/**
 * Makes of a schema in an API document one JSON Schema (2020-12) that needs no document any more. Parts that are used several times,
 * and those in circles, stand once in `$defs`: a document of parts that name each other twice would else grow without end.
 */
import { limits } from '../../gateway/core/limits.ts';
import { isMapping, type Mapping } from '../../gateway/core/mapping.ts';
import type { DocumentFinding, SchemaSource } from '../document/document-finding.ts';
import {
  belowKeyword,
  dialectOf,
  inCurrentWords,
  keywordFindings,
  rewrittenBelow,
  schemasBelow,
  type SchemaDialect,
} from './schema-keywords.ts';

export interface SelfContained {
  readonly schema: Mapping;
  readonly findings: readonly DocumentFinding[];
}

export interface SelfContainedTerms {
  /** Whether parts that have a name in the document stand in `$defs` also where they are used once. Default: false. */
  readonly keepsNames?: boolean;
}

/** A schema may be `true` or `false`; for anything else there is a finding with `owner`, or the part around it. */
export function selfContained(
  schema: unknown,
  source: SchemaSource,
  owner: object,
  { keepsNames = false }: SelfContainedTerms = {},
): SelfContained {
  const survey = new Survey(source);
  survey.visit(schema, owner);
  if (survey.findings.length > 0) return { schema: {}, findings: survey.findings };
  const names = new Names(source.root);
  const writer = new Writer(source, (part) =>
    survey.standsApart(part, keepsNames && names.has(part)) ? names.of(part) : undefined,
  );
  return { schema: writer.whole(schema), findings: [] };
}

/** Looks at each part once: how often it is used, and what is wrong with it. */
class Survey {
  readonly findings: DocumentFinding[] = [];
  readonly #source: SchemaSource;
  readonly #dialect: SchemaDialect;
  readonly #uses = new Map<Mapping, number>();
  /** What `$ref`s that are left lead to. */
  readonly #targets = new Set<unknown>();

  constructor(source: SchemaSource) {
    this.#source = source;
    this.#dialect = dialectOf(source.root);
  }

  visit(schema: unknown, around: object, depth = 0): void {
    if (typeof schema === 'boolean') return;
    if (!isMapping(schema)) return void this.findings.push(noSchema(isObject(schema) ? schema : around));
    const uses = this.#uses.get(schema) ?? 0;
    this.#uses.set(schema, uses + 1);
    if (uses > 0) return;
    if (depth > limits.schemaDepth) return void this.findings.push(tooDeep(schema));
    this.findings.push(...keywordFindings(schema, this.#dialect));
    this.#visitTarget(schema, depth);
    for (const part of schemasBelow(schema)) this.visit(part, schema, depth + 1);
  }

  /** Whether a part has its own place in `$defs`. */
  standsApart(part: Mapping, isNamed: boolean): boolean {
    if (this.#targets.has(part) || isNamed) return true;
    return (this.#uses.get(part) ?? 0) > 1 && isLarge(part);
  }

  #visitTarget(schema: Mapping, depth: number): void {
    if (typeof schema['$ref'] !== 'string') return;
    const target = this.#source.follow(schema);
    this.#targets.add(target);
    this.visit(target, schema, depth + 1);
  }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

function noSchema(owner: object): DocumentFinding {
  return { owner, at: 'value', message: 'is no schema: it must be a mapping, true or false' };
}

function tooDeep(owner: object): DocumentFinding {
  return {
    owner,
    at: 'value',
    message: `is too deep: a schema may have ${limits.schemaDepth} levels, those behind its "$ref"s counted`,
  };
}

/** A `$ref` is no shorter than what is not. */
function isLarge(part: Mapping): boolean {
  return (
    schemasBelow(part).length > 0 || Object.keys(part).length > 4 || (Array.isArray(part['enum']) && part['enum'].length > 4)
  );
}

/** Of parts in `$defs`: as the document has them, or by their titles; each once. */
class Names {
  readonly #known = new Map<unknown, string>();
  readonly #given = new Map<Mapping, string>();
  readonly #taken = new Set<string>();

  constructor({ components }: Mapping) {
    const schemas = isMapping(components) ? components['schemas'] : undefined;
    for (const [name, part] of Object.entries(isMapping(schemas) ? schemas : {}))
      if (!this.#known.has(part)) this.#known.set(part, name);
  }

  has(part: Mapping): boolean {
    return this.#known.has(part);
  }

  of(part: Mapping): string {
    const given = this.#given.get(part) ?? this.#free(this.#known.get(part) ?? (titleOf(part) || 'part'));
    this.#given.set(part, given);
    return given;
  }

  #free(wish: string): string {
    let name = wish;
    for (let count = 2; this.#taken.has(name); count += 1) name = `${wish}${count}`;
    this.#taken.add(name);
    return name;
  }
}

function titleOf({ title }: Mapping): string {
  return typeof title === 'string' ? title.replaceAll(/[^\w-]+/g, '-').slice(0, 60) : '';
}

class Writer {
  readonly #source: SchemaSource;
  readonly #dialect: SchemaDialect;
  /** The name in `$defs` of a part that stands there. */
  readonly #nameOf: (part: Mapping) => string | undefined;
  readonly #defs = new Map<string, unknown>();

  constructor(source: SchemaSource, nameOf: (part: Mapping) => string | undefined) {
    this.#source = source;
    this.#dialect = dialectOf(source.root);
    this.#nameOf = nameOf;
  }

  whole(schema: unknown): Mapping {
    const written = this.#written(schema);
    const body = isMapping(written) ? written : written === false ? { not: {} } : {};
    return this.#defs.size === 0 ? body : { ...body, $defs: Object.fromEntries(this.#defs) };
  }

  #written(schema: unknown): unknown {
    if (!isMapping(schema)) return schema;
    const name = this.#nameOf(schema);
    if (name === undefined) return this.#body(schema);
    if (!this.#defs.has(name)) {
      this.#defs.set(name, true); // Kept free: what is below may lead back here.
      this.#defs.set(name, this.#body(schema));
    }
    return { $ref: `#/$defs/${encodeURIComponent(name.replaceAll('~', '~0').replaceAll('/', '~1'))}` };
  }

  #body(schema: Mapping): unknown {
    if (typeof schema['$ref'] !== 'string') return this.#keywords(schema);
    const target = this.#written(this.#source.follow(schema));
    const { $ref: _ref, ...beside } = schema;
    // In OpenAPI 3.0 and draft 7 what stands beside a `$ref` does not count.
    const more = this.#dialect === '2020-12' ? this.#keywords(beside) : {};
    const { allOf = [] } = more;
    return Object.keys(more).length === 0 ? target : { ...more, allOf: [target, ...(Array.isArray(allOf) ? allOf : [])] };
  }

  #keywords(schema: Mapping): Mapping {
    const current = Object.entries(inCurrentWords(schema, this.#dialect));
    const kept = current.filter(([keyword, value]) => belowKeyword(keyword, value) !== 'words');
    return Object.fromEntries(
      kept.map(([keyword, value]) => [keyword, rewrittenBelow(keyword, value, (part) => this.#written(part))]),
    );
  }
}

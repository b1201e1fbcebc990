/** The keywords of schemas in API documents: which hold schemas, which are words for people, and what older ones are in JSON Schema 2020-12. */
import { formatNames } from 'ajv-formats/dist/formats.js';
import { ForegateError } from '../../gateway/core/errors.ts';
import { isMapping, type Mapping } from '../../gateway/core/mapping.ts';
import type { DocumentFinding } from '../document/document-finding.ts';
import { uniqueItemsMax } from './json-schema.ts';
import { linearPattern } from './linear-pattern.ts';

/** OpenAPI 3.0 has a dialect of its own, AsyncAPI has draft 7. */
export type SchemaDialect = 'openapi-3.0' | '2020-12' | 'draft-07';

export function dialectOf(root: Mapping): SchemaDialect {
  if (typeof root['asyncapi'] === 'string') return 'draft-07';
  return String(root['openapi']).startsWith('3.0') ? 'openapi-3.0' : '2020-12';
}

/** What stands below a keyword. */
type Below = 'schema' | 'list' | 'mapping' | 'data' | 'words';

const below: ReadonlyMap<string, Below> = new Map([
  ...each('schema', 'additionalItems additionalProperties contains contentSchema else if items not propertyNames then'),
  ...each('schema', 'unevaluatedItems unevaluatedProperties'),
  ...each('list', 'allOf anyOf oneOf prefixItems'),
  ...each('mapping', 'dependentSchemas patternProperties properties'),
  ...each('data', 'const contentEncoding contentMediaType default dependencies dependentRequired deprecated description enum'),
  ...each('data', 'examples exclusiveMaximum exclusiveMinimum format maxContains maximum maxItems maxLength maxProperties'),
  ...each('data', 'minContains minimum minItems minLength minProperties multipleOf nullable pattern readOnly required title'),
  ...each('data', 'type uniqueItems writeOnly'),
  // `$ref`s were followed from the file they stand in, whatever it calls itself; what a discriminator says, `oneOf` says too.
  ...each('words', '$anchor $comment $defs $dynamicAnchor $id $schema $vocabulary definitions discriminator example'),
  ...each('words', 'externalDocs xml'),
]);

function each(kind: Below, keywords: string): (readonly [string, Below])[] {
  return keywords.split(' ').map((keyword) => [keyword, kind]);
}

/** Undefined for a word that is none. Extensions are words for others. */
export function belowKeyword(keyword: string, value: unknown): Below | undefined {
  if (keyword.startsWith('x-')) return 'words';
  if (keyword === 'items' && Array.isArray(value)) return 'list';
  if (keyword === 'dependencies' && isMapping(value)) return 'mapping';
  return below.get(keyword);
}

/** The schemas right below a schema. */
export function schemasBelow(schema: Mapping): unknown[] {
  return Object.entries(schema).flatMap(([keyword, value]) => {
    switch (belowKeyword(keyword, value)) {
      case 'schema':
        return [value];
      case 'list':
        return Array.isArray(value) ? value : [];
      case 'mapping':
        // Under `dependencies` a list has names of members.
        return isMapping(value) ? Object.values(value).filter((part) => !Array.isArray(part) || keyword !== 'dependencies') : [];
      default:
        return [];
    }
  });
}

/** What stands below a keyword, with each schema in it written anew. */
export function rewrittenBelow(keyword: string, value: unknown, write: (schema: unknown) => unknown): unknown {
  switch (belowKeyword(keyword, value)) {
    case 'schema':
      return write(value);
    case 'list':
      return Array.isArray(value) ? value.map(write) : value;
    case 'mapping':
      return isMapping(value) ? Object.fromEntries(Object.entries(value).map(([name, part]) => [name, write(part)])) : value;
    default:
      return value;
  }
}

/** A schema whose keywords were written for another version, in those of 2020-12. What is below is not looked at. */
export function inCurrentWords(schema: Mapping, dialect: SchemaDialect): Mapping {
  if (dialect === 'openapi-3.0') return fromOpenApi30(schema);
  return dialect === 'draft-07' ? fromDraft07(schema) : schema;
}

/** `nullable` counts beside `type` only (OpenAPI 3.0.4, section 4.7.24.1). */
function fromOpenApi30({ nullable, ...schema }: Mapping): Mapping {
  const { type } = schema;
  const open = openBound(openBound(schema, 'minimum', 'exclusiveMinimum'), 'maximum', 'exclusiveMaximum');
  return nullable === true && typeof type === 'string' ? { ...open, type: [type, 'null'] } : open;
}

function openBound(schema: Mapping, bound: 'minimum' | 'maximum', exclusive: 'exclusiveMinimum' | 'exclusiveMaximum'): Mapping {
  const { [bound]: value, [exclusive]: isOpen, ...rest } = schema;
  if (typeof isOpen !== 'boolean') return schema;
  if (value === undefined) return rest;
  return { ...rest, [isOpen ? exclusive : bound]: value };
}

function fromDraft07({ items, additionalItems, dependencies, ...schema }: Mapping): Mapping {
  const [required, schemas] = isMapping(dependencies) ? splitDependencies(dependencies) : [{}, {}];
  const list = Array.isArray(items)
    ? { prefixItems: items, ...(additionalItems !== undefined && { items: additionalItems }) }
    : { items };
  return {
    ...schema,
    ...(items !== undefined && list),
    ...(Object.keys(required).length > 0 && { dependentRequired: required }),
    ...(Object.keys(schemas).length > 0 && { dependentSchemas: schemas }),
  };
}

function splitDependencies(dependencies: Mapping): readonly [required: Mapping, schemas: Mapping] {
  const entries = Object.entries(dependencies);
  const required = entries.filter(([, value]) => Array.isArray(value));
  const schemas = entries.filter(([, value]) => !Array.isArray(value));
  return [Object.fromEntries(required), Object.fromEntries(schemas)];
}

const typeNames = ['array', 'boolean', 'integer', 'null', 'number', 'object', 'string'];

/** What is wrong with the keywords of one schema itself, as far as it can be said of each: the compiler finds the rest. */
export function keywordFindings(schema: Mapping, dialect: SchemaDialect): DocumentFinding[] {
  return Object.entries(schema).flatMap(([key, value]): DocumentFinding[] => {
    if (key === '$ref') return [];
    const refusal = refusedKeyword(key, dialect);
    if (refusal !== undefined) return [{ owner: schema, key, at: 'key', message: refusal }];
    if (belowKeyword(key, value) === undefined)
      return [{ owner: schema, key, at: 'key', message: 'is no keyword of JSON Schema', known: [...below.keys()] }];
    const fault = valueFaults[key]?.(value, schema);
    return fault === undefined ? [] : [{ owner: schema, key, at: 'value', message: fault }];
  });
}

function refusedKeyword(key: string, dialect: SchemaDialect): string | undefined {
  if (key === '$dynamicRef' || key === '$recursiveRef') return 'is not supported here; write "$ref"';
  if (key === 'nullable' && dialect !== 'openapi-3.0') return 'is of OpenAPI 3.0 only; write "type: [..., \'null\']"';
  return undefined;
}

type ValueFault = (value: unknown, schema: Mapping) => string | undefined;

const valueFaults: Readonly<Record<string, ValueFault>> = {
  type(value) {
    const unknown = [value].flat().find((name) => typeof name !== 'string' || !typeNames.includes(name));
    return unknown === undefined ? undefined : `is no type of JSON Schema; types are ${typeNames.join(', ')}`;
  },
  format(value) {
    const isKnown = formatNames.some((name) => name === value);
    return isKnown ? undefined : `is not a known format; formats are ${formatNames.join(', ')}`;
  },
  pattern: patternFault,
  patternProperties: (value) => (isMapping(value) ? Object.keys(value).map(patternFault).find(Boolean) : undefined),
  uniqueItems(value, { maxItems }) {
    const isBounded = value !== true || (typeof maxItems === 'number' && maxItems <= uniqueItemsMax);
    return isBounded ? undefined : `needs "maxItems" of ${uniqueItemsMax} at most beside it`;
  },
};

function patternFault(pattern: unknown): string | undefined {
  if (typeof pattern !== 'string') return 'must be text';
  try {
    linearPattern(pattern);
    return undefined;
  } catch (error) {
    if (error instanceof ForegateError) return `cannot be used: ${error.message}`;
    throw error;
  }
}

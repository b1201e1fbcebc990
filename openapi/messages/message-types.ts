/** What a document says of messages, as one schema from which types of a programming language can be made. */
import { isMapping, type Mapping } from '../../gateway/core/mapping.ts';
import type { DescribedOperation } from './described-operations.ts';
import type { DocumentFinding, SchemaSource } from '../document/document-finding.ts';
import { constantsAt, pathOf, type MessageKinds } from './message-kinds.ts';
import { rewrittenBelow } from '../schema/schema-keywords.ts';
import { selfContained } from '../schema/self-contained.ts';

export interface TypeSchema {
  /** Properties are operations, which have `client`, `backend` and `path`; a side that is not described is left out. */
  readonly schema: Mapping;
  readonly findings: readonly DocumentFinding[];
}

export function messageTypeSchema(operations: readonly DescribedOperation[], source: SchemaSource): TypeSchema {
  const entries = operations.map((operation) => [operation.name, operationSchema(operation, source)] as const);
  const { schema, findings } = selfContained(closed(Object.fromEntries(entries)), source, source.root, { keepsNames: true });
  const known = inKnownWords(schema);
  return { schema: isMapping(known) ? known : {}, findings };
}

function operationSchema({ description, messages, path }: DescribedOperation, source: SchemaSource): Mapping {
  const sides = messages.flatMap(({ by, client, backend }) =>
    Object.entries({ client, backend }).map(([side, kinds]) => ({ side, by, kinds })),
  );
  const described = sides.flatMap(({ side, by, kinds }) => (kinds === undefined ? [] : [[side, choice(kinds, by, source)]]));
  return {
    ...closed({ ...Object.fromEntries(described), ...(Object.keys(path).length > 0 && { path: closed(path) }) }),
    ...(description !== '' && { description }),
  };
}

function closed(properties: Mapping): Mapping {
  return { type: 'object', properties, required: Object.keys(properties), additionalProperties: false };
}

/** Several kinds may have one schema. */
function choice(kinds: MessageKinds, by: string, source: SchemaSource): unknown {
  const path = pathOf(by);
  const parts = [...new Set([...kinds].map(([kind, { schema }]) => ofKind(schema, kind, path, source)))];
  return parts.length === 1 ? parts[0] : { anyOf: parts };
}

/** Types are told apart by the kind, so it has to be there, and to be the right one. */
function ofKind(schema: unknown, kind: string, path: readonly string[], source: SchemaSource): unknown {
  const described = source.follow(schema);
  const [name, ...deeper] = path;
  const { required = [] } = isMapping(described) ? described : {};
  const isThere = deeper.length === 0 && Array.isArray(required) && required.includes(name);
  if (isThere && constantsAt(schema, path, source).includes(kind)) return schema;
  const values = /^-?[1-9]\d{0,14}$|^0$/.test(kind) ? { enum: [kind, Number(kind)] } : { const: kind };
  return { allOf: [schema, path.reduceRight<Mapping>((value, key) => member(key, value), values)] };
}

function member(name: string, schema: Mapping): Mapping {
  return { type: 'object', properties: { [name]: schema }, required: [name] };
}

/**
 * For programs that make types: they know lists by the words of draft 7, and would name types by titles, which need not be names and
 * not different. Types have no rules for what else is in an object.
 */
function inKnownWords(schema: unknown): unknown {
  if (!isMapping(schema)) return schema;
  const { title: _title, prefixItems, items, $defs, ...rest } = schema;
  const list = Array.isArray(prefixItems)
    ? { items: prefixItems, ...(items !== undefined && { additionalItems: items }) }
    : { items };
  const current = { ...rest, ...(items !== undefined || prefixItems !== undefined ? list : {}) };
  const entries = Object.entries(current).map(([keyword, value]) => [keyword, rewrittenBelow(keyword, value, inKnownWords)]);
  return {
    ...Object.fromEntries(entries),
    ...(isMapping($defs) && {
      $defs: Object.fromEntries(Object.entries($defs).map(([name, part]) => [name, inKnownWords(part)])),
    }),
  };
}

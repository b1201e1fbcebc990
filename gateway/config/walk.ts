/** Goes through a value beside its schema: reading secrets from files, hiding them and filling in defaults are such walks. */
import { isMapping } from '../core/mapping.ts';
import type { Path } from '../core/problem.ts';
import type { JsonSchema } from './json-schema.ts';

/** Gives the value that shall stand in a place; the same one to leave it. */
export type Visit = (value: unknown, schema: JsonSchema, path: Path) => unknown;

/** A copy of `value` in which `visit` has seen every scalar that the schema speaks of. What the schema does not know is kept. */
export function walk(value: unknown, schema: JsonSchema, path: Path, visit: Visit): unknown {
  if (schema.anyOf) return walkUnion(value, schema.anyOf, path, visit);
  if (Array.isArray(value))
    return value.map((entry, index) => (schema.items ? walk(entry, schema.items, [...path, index], visit) : entry));
  if (!isMapping(value)) return visit(value, schema, path);
  const entries = Object.entries(value).map(([key, entry]) => {
    const known = schemaOf(schema, key);
    return [key, known ? walk(entry, known, [...path, key], visit) : entry] as const;
  });
  return Object.fromEntries(entries);
}

/** The schema of one key. */
function schemaOf(schema: JsonSchema, key: string): JsonSchema | undefined {
  if (schema.properties && Object.hasOwn(schema.properties, key)) return schema.properties[key];
  const fitting = Object.entries(schema.patternProperties ?? {}).find(([pattern]) => new RegExp(pattern, 'u').test(key));
  return fitting?.[1];
}

/** The first branch that changes a scalar wins: what it gave must not be read again by the next. */
function walkUnion(value: unknown, branches: readonly JsonSchema[], path: Path, visit: Visit): unknown {
  const structured = typeof value === 'object' && value !== null;
  let result = value;
  for (const branch of branches) {
    result = walk(result, branch, path, visit);
    if (!structured && result !== value) return result;
  }
  return result;
}

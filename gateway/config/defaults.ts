/** Fills in what the file leaves out: defaults of the schema, and what `defaults` of the file says for all routes. */
import { fits } from './check.ts';
import { isMapping } from '../core/mapping.ts';
import type { JsonSchema } from './json-schema.ts';
import { asWritten } from './schema.ts';

/** A copy of `value` with the defaults of a schema; in a union those of the branch that the value fits. */
export function withDefaults(value: unknown, schema: JsonSchema): unknown {
  if (schema.anyOf) {
    const branch = schema.anyOf.find((one) => fits(asWritten(one), value));
    return branch ? withDefaults(value, branch) : value;
  }
  if (Array.isArray(value)) return value.map((entry) => (schema.items ? withDefaults(entry, schema.items) : (entry as unknown)));
  if (!isMapping(value) || !schema.properties) return value;
  const known = Object.entries(schema.properties).flatMap(([key, property]) => {
    const given = Object.hasOwn(value, key) ? value[key] : property.default;
    return given === undefined ? [] : [[key, withDefaults(given, property)] as const];
  });
  const more = Object.entries(value).filter(([key]) => !Object.hasOwn(schema.properties ?? {}, key));
  // In the order of the schema, which is the one people shall read.
  return Object.fromEntries([...known, ...more]);
}

/** A route with the file's `defaults` under it: mappings key by key, but lists and the adapter as a whole. */
export function mergeDefaults(
  defaults: Readonly<Record<string, unknown>>,
  route: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const merged: Record<string, unknown> = { ...defaults, ...route };
  for (const [key, base] of Object.entries(defaults)) {
    const own = route[key];
    if (key !== 'adapter' && isMapping(base) && isMapping(own)) merged[key] = { ...base, ...own };
  }
  return merged;
}

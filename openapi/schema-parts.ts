/** Which members of a JSON Schema hold schemas, and which hold values that only look like them. */

/** Values of messages, whatever stands in them. */
export const valueKeywords: ReadonlySet<string> = new Set(['enum', 'const', 'default', 'examples', 'example']);

/** Their members are schemas, whatever their names. */
export const namedSchemaKeywords: ReadonlySet<string> = new Set([
  'properties',
  'patternProperties',
  '$defs',
  'definitions',
  'dependentSchemas',
]);

/** The schemas that stand in a schema, not those deeper in it. */
export function* schemaParts(schema: object): Generator<object> {
  for (const [keyword, value] of Object.entries(schema)) {
    if (valueKeywords.has(keyword) || typeof value !== 'object' || value === null) continue;
    const isList = Array.isArray(value) || namedSchemaKeywords.has(keyword);
    const inner: unknown[] = isList ? Object.values(value as object) : [value];
    for (const one of inner) if (typeof one === 'object' && one !== null) yield one;
  }
}

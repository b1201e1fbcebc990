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

/** They say nothing of a value: something has to refer to what is in them. */
const definitions: ReadonlySet<string> = new Set(['$defs', 'definitions']);

/** The schemas that a value of a schema meets, not those deeper in it. */
export function* schemaParts(schema: object): Generator<object> {
  for (const [keyword, value] of Object.entries(schema)) {
    if (!definitions.has(keyword)) yield* partsOf(keyword, value);
  }
}

/** The same, and what stands in its definitions. */
export function* allSchemaParts(schema: object): Generator<object> {
  for (const [keyword, value] of Object.entries(schema)) yield* partsOf(keyword, value);
}

function* partsOf(keyword: string, value: unknown): Generator<object> {
  if (valueKeywords.has(keyword) || typeof value !== 'object' || value === null) return;
  const isList = Array.isArray(value) || namedSchemaKeywords.has(keyword);
  const inner: unknown[] = isList ? Object.values(value) : [value];
  for (const one of inner) if (typeof one === 'object' && one !== null) yield one;
}

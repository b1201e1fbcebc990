/** What a JSON Schema says of the form of a parameter's value: texts of a request are read as what the schema asks for. */

type Schema = Readonly<Record<string, unknown>>;

/** What a value may be: its types by their names in JSON Schema, and the same of what is in it. */
export interface ValueShape {
  readonly types: ReadonlySet<string>;
  /** Names of properties that the schema tells of. */
  readonly names: readonly string[];
  items(): ValueShape;
  property(name: string): ValueShape;
}

/** `$ref`s to places of the same schema are followed. */
export function shapeOf(schema: Schema): ValueShape {
  return shapeOfAny([schema], schema);
}

/** Of schemas of which each may count. */
function shapeOfAny(schemas: readonly unknown[], root: Schema): ValueShape {
  const all = new Set<Schema>();
  for (const schema of schemas) addWithParts(schema, root, all);
  const parts = [...all];
  return {
    types: new Set(parts.flatMap(typesOf)),
    names: [...new Set(parts.flatMap(({ properties }) => (isSchema(properties) ? Object.keys(properties) : [])))],
    items: () =>
      shapeOfAny(
        parts.flatMap(({ items, prefixItems }) => [items, prefixItems].flat()),
        root,
      ),
    property: (name) =>
      shapeOfAny(
        parts.flatMap((part) => propertyOf(part, name)),
        root,
      ),
  };
}

/** The schema and those it is made of, each once. */
function addWithParts(schema: unknown, root: Schema, all: Set<Schema>): void {
  if (!isSchema(schema) || all.has(schema)) return;
  all.add(schema);
  const { $ref, allOf, anyOf, oneOf } = schema;
  const target = typeof $ref === 'string' ? localTarget(root, $ref) : undefined;
  for (const part of [target, allOf, anyOf, oneOf].flat()) addWithParts(part, root, all);
}

/** RFC 6901, as a fragment of a URI. What leads nowhere is found when the schema is compiled. */
function localTarget(root: Schema, ref: string): unknown {
  if (ref === '#') return root;
  if (!ref.startsWith('#/')) return undefined;
  let value: unknown = root;
  for (const part of ref.slice(2).split('/')) {
    const name = decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~');
    value = typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
  }
  return value;
}

function propertyOf({ properties, additionalProperties }: Schema, name: string): unknown {
  return isSchema(properties) && Object.hasOwn(properties, name) ? properties[name] : additionalProperties;
}

function typesOf({ type, enum: values, const: value }: Schema): string[] {
  const said = [type].flat().filter((one) => typeof one === 'string');
  if (said.length > 0) return said;
  const possible = Array.isArray(values) ? values : value === undefined ? [] : [value];
  return possible.map((one) => (one === null ? 'null' : typeof one));
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What a text may mean, the most exact first: at least one value. */
export function meaningsOf(text: string, { types }: ValueShape): readonly unknown[] {
  const exact: unknown[] = [];
  if (types.has('null') && (text === '' || text === 'null')) exact.push(null);
  if (types.has('boolean') && (text === 'true' || text === 'false')) exact.push(text === 'true');
  if ((types.has('integer') || types.has('number')) && isNumber(text)) exact.push(Number(text));
  return types.has('string') || exact.length === 0 ? [...exact, text] : exact;
}

/** RFC 8259 section 6, with nothing that is endless. */
function isNumber(text: string): boolean {
  return /^-?(?:0|[1-9]\d{0,400})(?:\.\d{1,400})?(?:e[+-]?\d{1,3})?$/i.test(text) && Number.isFinite(Number(text));
}

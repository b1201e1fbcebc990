/** JSON Schema (2020-12), compiled once; what does not fit is told with its place as a JSON Pointer (RFC 6901). */
import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { ForegateError } from '../../gateway/core/errors.ts';
import { limits } from '../../gateway/core/limits.ts';
import { linearPattern } from './linear-pattern.ts';

export interface SchemaFault {
  /** Empty for the whole value. */
  readonly pointer: string;
  /** What was expected there: `must be string`. */
  readonly text: string;
}

export type Checked<T> =
  { readonly kind: 'valid'; readonly value: T } | { readonly kind: 'invalid'; readonly fault: SchemaFault };
export type SchemaCheck<T> = (value: unknown) => Checked<T>;

/**
 * The type is the caller's word for what the schema says.
 * @throws ForegateError `bad-request` for a schema that is not valid, names an unknown format or refers to one that is not in it
 */
export function compileSchema<T>(schema: object): SchemaCheck<T> {
  return checkOf<T>(withFormats(new Ajv2020(terms)), schema);
}

/**
 * For schemas that are not our own, and values from anybody: no value takes longer than its length allows.
 * @throws ForegateError `bad-request` as above, for a pattern that could take long, and for `uniqueItems` without a bound
 */
export function compileForeignSchema<T>(schema: object): SchemaCheck<T> {
  const text = JSON.stringify(schema);
  const known = foreignChecks.get(text) as SchemaCheck<T> | undefined; // The type is the caller's word.
  const check = known ?? compileForeign<T>(schema, text);
  keep(text, check);
  return check;
}

function compileForeign<T>(schema: object, text: string): SchemaCheck<T> {
  const fault = unboundedUnique(schema, '');
  if (fault !== undefined) throw new ForegateError('bad-request', `The JSON Schema cannot be used: ${fault}.`);
  // Those of different owners may name their parts alike.
  if (/"\$(id|anchor|dynamicAnchor)":/.test(text)) return checkOf<T>(foreignAjv(), schema);
  sharedAjv ??= foreignAjv();
  try {
    return checkOf<T>(sharedAjv, schema);
  } finally {
    sharedAjv.removeSchema(schema);
  }
}

/** For schemas that name nothing: to make an instance takes longer than to compile ten schemas. */
let sharedAjv: Ajv2020 | undefined;

function foreignAjv(): Ajv2020 {
  const regExp = Object.assign(linearPattern, { code: 'linearPattern' });
  const ajv = withFormats(new Ajv2020({ ...terms, code: { regExp } }));
  boundFormats(ajv);
  return ajv;
}

/** By their text: thousands of operations of a document have the same few parameters. */
const foreignChecks = new Map<string, SchemaCheck<unknown>>();

/** The one that was not asked for the longest is forgotten. */
function keep(text: string, check: SchemaCheck<unknown>): void {
  if (text.length > limits.compiledSchemaChars) return;
  foreignChecks.delete(text);
  foreignChecks.set(text, check);
  const [oldest] = foreignChecks.keys();
  if (oldest !== undefined && foreignChecks.size > limits.compiledSchemas) foreignChecks.delete(oldest);
}

// One instance each: schemas of different owners may carry the same `$id`. One fault is enough, and cannot be made many.
const terms = { allErrors: false, logger: false, allowUnionTypes: true } as const;

function withFormats(ajv: Ajv2020): Ajv2020 {
  addFormats.default(ajv);
  return ajv;
}

function checkOf<T>(ajv: Ajv2020, schema: object): SchemaCheck<T> {
  const validate = compile<T>(ajv, schema);
  return (value) => (validate(value) ? { kind: 'valid', value } : { kind: 'invalid', fault: firstFault(validate.errors) });
}

function compile<T>(ajv: Ajv2020, schema: object) {
  try {
    return ajv.compile<T>(schema);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ForegateError('bad-request', `The JSON Schema cannot be used: ${reason}.`, { cause });
  }
}

/** Some formats look at a text again and again: one that is longer than any address is of none of them. */
const formatCharsMax = 2048;

function boundFormats(ajv: Ajv2020): void {
  for (const [name, format] of Object.entries(ajv.formats)) {
    if (format instanceof RegExp) ajv.addFormat(name, (text: string) => text.length <= formatCharsMax && format.test(text));
  }
}

/** Each item is compared with each other, unless they are plain values: a long list would hold up everybody. */
export const uniqueItemsMax = 256;

/** Where a list has to be bounded, and is not, as a sentence. */
function unboundedUnique(schema: unknown, pointer: string): string | undefined {
  if (typeof schema !== 'object' || schema === null) return undefined;
  const { uniqueItems, maxItems } = schema as Readonly<Record<string, unknown>>;
  if (uniqueItems === true && !(typeof maxItems === 'number' && maxItems <= uniqueItemsMax))
    return `${pointer === '' ? 'it' : pointer} has "uniqueItems" and needs "maxItems" of ${uniqueItemsMax} at most beside it`;
  for (const [name, part] of Object.entries(schema)) {
    const fault = unboundedUnique(part, `${pointer}/${name}`);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function firstFault(faults: readonly ErrorObject[] | null | undefined): SchemaFault {
  const fault = faults?.[0];
  return { pointer: fault?.instancePath ?? '', text: fault?.message ?? 'is not valid' };
}

/** A fault as a sentence. */
export function describeFault(fault: SchemaFault): string {
  return `${fault.pointer === '' ? 'The body' : fault.pointer} ${fault.text}.`;
}

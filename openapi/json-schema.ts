/** JSON Schema (2020-12), compiled once; what does not fit is told with its place as a JSON Pointer (RFC 6901). */
import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { ForegateError } from '../gateway/core/errors.ts';

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
  const validate = compile<T>(schema);
  return (value) => (validate(value) ? { kind: 'valid', value } : { kind: 'invalid', fault: firstFault(validate.errors) });
}

function compile<T>(schema: object) {
  // One instance each: schemas of different owners may carry the same `$id`. One fault is enough, and cannot be made many.
  const ajv = new Ajv2020({ allErrors: false, logger: false, allowUnionTypes: true });
  addFormats.default(ajv);
  try {
    return ajv.compile<T>(schema);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ForegateError('bad-request', `The JSON Schema cannot be used: ${reason}.`, { cause });
  }
}

function firstFault(faults: readonly ErrorObject[] | null | undefined): SchemaFault {
  const fault = faults?.[0];
  return { pointer: fault?.instancePath ?? '', text: fault?.message ?? 'is not valid' };
}

/** A fault as a sentence. */
export function describeFault(fault: SchemaFault): string {
  return `${fault.pointer === '' ? 'The body' : fault.pointer} ${fault.text}.`;
}

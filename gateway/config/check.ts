/** Checks a value with a JSON Schema (ajv, draft 2020-12) and says what is wrong in our words. */
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { pemMark, secretMark } from '../core/secret.ts';
import { derivedMark } from '../core/setting-types.ts';
import type { JsonSchema } from './json-schema.ts';
import { finding, fromSchemaErrors, type Finding } from './report.ts';
import type { Substituted } from './secrets.ts';
import type { Path } from '../core/problem.ts';

/** All that is wrong with `value`, which stands at `base` in the file. A schema that is none is a finding too. */
export function checkWith(
  schema: JsonSchema,
  value: unknown,
  place: { readonly base: Path; readonly original: Substituted['original'] },
): Finding[] {
  const check = compiled(schema);
  if (typeof check === 'string') return [finding(place.base, `has a schema of options that is not valid: ${check}`)];
  if (check(value)) return [];
  return fromSchemaErrors(check.errors ?? [], { base: place.base, root: value, substituted: place.original });
}

/** True if the value fits the schema as it is. */
export function fits(schema: JsonSchema, value: unknown): boolean {
  const check = compiled(schema);
  return typeof check !== 'string' && check(value) === true;
}

type Compiled = ReturnType<Ajv2020['compile']> | string;

/** By schema: those of policies are used by every route that has them. */
const known = new WeakMap<JsonSchema, Compiled>();

/** A check, or what is wrong with the schema. */
function compiled(schema: JsonSchema): Compiled {
  const check = known.get(schema) ?? compile(schema);
  known.set(schema, check);
  return check;
}

/** One for all, since each has to learn first what a schema is. */
let shared: Ajv2020 | undefined;

function compile(schema: JsonSchema): Compiled {
  try {
    // Schemas of different owners may carry the same `$id`.
    const checker = JSON.stringify(schema).includes('"$id"') ? ajv() : (shared ??= ajv());
    const check = checker.compile(schema);
    checker.removeSchema(schema);
    return check;
  } catch (error) {
    // The first of many reasons is enough.
    return (error instanceof Error ? error.message : String(error)).split(',', 1)[0] ?? '';
  }
}

function ajv(): Ajv2020 {
  // Most schemas check one value: it takes longer to make their code short than it saves.
  const code = { optimize: false };
  const checker = new Ajv2020({ allErrors: true, verbose: true, strictTypes: false, strictRequired: false, logger: false, code });
  checker.addVocabulary([secretMark, pemMark, derivedMark]);
  addFormats.default(checker);
  return checker;
}

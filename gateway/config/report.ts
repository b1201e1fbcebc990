/** What is wrong with a configuration, as lines for people: place, path, and what to do. */
import type { ErrorObject } from 'ajv/dist/2020.js';
import { closest, distance } from 'fastest-levenshtein';
import { isSecretSchema } from '../core/secret.ts';
import { isMapping } from '../core/mapping.ts';
import type { Path, Problem } from '../core/problem.ts';
import type { JsonSchema } from './json-schema.ts';

/** Something wrong at a path, before its place in the file is looked up. */
export interface Finding {
  readonly path: Path;
  readonly message: string;
  /** Whether the key or the value is wrong. */
  readonly at: 'value' | 'key';
}

export function finding(path: Path, message: string): Finding {
  return { path, message, at: 'value' };
}

/** By place in their files. */
export function inOrder(problems: readonly Problem[]): Problem[] {
  const files = [...new Set(problems.map(({ file }) => file))];
  return problems.toSorted((a, b) => files.indexOf(a.file) - files.indexOf(b.file) || a.line - b.line || a.column - b.column);
}

/** The first for each place: what many operations of a document share is wrong once. */
export function firstPerPlace(problems: readonly Problem[]): Problem[] {
  const first = new Map<string, Problem>();
  for (const problem of problems) {
    const { file, line, column, path } = problem;
    const place = JSON.stringify([file, line, column, path]);
    if (!first.has(place)) first.set(place, problem);
  }
  return [...first.values()];
}

/** What the checker found, in our words. `substituted` tells for a path what stood there before a variable was put in. */
export function fromSchemaErrors(
  errors: readonly ErrorObject[],
  {
    base,
    root,
    substituted,
  }: { readonly base: Path; readonly root: unknown; readonly substituted: (path: Path) => string | undefined },
): Finding[] {
  return meant(errors).map((error) => {
    const path = [...base, ...pathOf(error.instancePath, root)];
    const { key, message } = inWords(error, substituted(path));
    return {
      path: key === undefined ? path : [...path, key],
      message,
      at: key !== undefined && error.keyword !== 'required' ? 'key' : 'value',
    };
  });
}

/** The known word that a person may have meant, or undefined if none is near. */
function nearest(word: string, known: readonly string[]): string | undefined {
  if (known.length === 0) return undefined;
  const best = closest(word.toLowerCase(), [...known]);
  return distance(word.toLowerCase(), best.toLowerCase()) <= Math.max(2, Math.floor(best.length / 2.5)) ? best : undefined;
}

/** `; did you mean "x"?`, or nothing. */
export function didYouMean(word: string, known: readonly string[]): string {
  const best = nearest(word, known);
  return best === undefined ? '' : `; did you mean "${best}"?`;
}

/** A value for a message: short, and never a whole mapping or list. */
function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}...` : value);
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  return kindOf(value);
}

/** Reports only what the person meant: in a union the branch that fits best, not the errors of every branch. */
function meant(errors: readonly ErrorObject[]): ErrorObject[] {
  const unions = errors.filter(({ keyword }) => keyword === 'anyOf' || keyword === 'oneOf');
  const outer = unions.filter((one) => !unions.some((other) => other !== one && isInside(one, other)));
  const rest = errors.filter(
    (error) => error.keyword !== 'if' && !outer.includes(error) && !outer.some((union) => isInside(error, union)),
  );
  return [
    ...rest,
    ...outer.flatMap((union) =>
      ofUnion(
        union,
        errors.filter((error) => error !== union && isInside(error, union)),
      ),
    ),
  ];
}

function isInside(error: ErrorObject, union: ErrorObject): boolean {
  return error.schemaPath.startsWith(`${union.schemaPath}/`) && error.instancePath.startsWith(union.instancePath);
}

function ofUnion(union: ErrorObject, inner: readonly ErrorObject[]): ErrorObject[] {
  const branches = branchesOf(union, inner);
  // Not the branches for another kind of value, nor (if others are left) those whose fixed words (`kind: x`) are other ones.
  const fitting = branches.filter(
    (branch) => !branch.some((error) => isAbout(error, union) && (error.keyword === 'type' || error.keyword === 'const')),
  );
  const same = fitting.filter((branch) => !branch.some(({ keyword }) => keyword === 'const'));
  const [best] = (same.length > 0 ? same : fitting).toSorted((a, b) => a.length - b.length);
  return best === undefined ? [union] : meant(best);
}

function branchesOf(union: ErrorObject, inner: readonly ErrorObject[]): ErrorObject[][] {
  const branches = new Map<string, ErrorObject[]>();
  for (const error of inner) {
    const branch = error.schemaPath.slice(union.schemaPath.length + 1).split('/')[0] ?? '';
    branches.set(branch, [...(branches.get(branch) ?? []), error]);
  }
  return [...branches.values()];
}

function isAbout(error: ErrorObject, union: ErrorObject): boolean {
  return error.instancePath === union.instancePath;
}

interface Words {
  readonly message: string;
  /** The key below the path that is meant. */
  readonly key?: string;
}

function inWords(error: ErrorObject, original: string | undefined): Words {
  const params = error.params as Readonly<Record<string, unknown>>;
  const schema = (error.parentSchema ?? {}) as JsonSchema;
  const found = foundText(error.data, schema, original);
  switch (error.keyword) {
    case 'additionalProperties':
    case 'unevaluatedProperties':
      return unknownKey(String(params['additionalProperty'] ?? params['unevaluatedProperty']), error.data, schema);
    case 'required':
      return { key: String(params['missingProperty']), message: 'is missing' };
    case 'type':
      return { message: ofWrongType(error.data, schema, found) };
    case 'enum':
      return { message: `must be ${choice(schema.enum ?? [])}${found}${wordAdvice(error.data, schema.enum ?? [], schema)}` };
    case 'const':
      return { message: `must be ${JSON.stringify(params['allowedValue'])}${found}` };
    case 'anyOf':
    case 'oneOf':
      return ofNoBranch(error.data, schema, found);
    case 'pattern':
    case 'format':
      return { message: `does not have the right form${exampleText(schema)}${found}` };
    case 'minimum':
    case 'exclusiveMinimum':
      return { message: `must be ${error.keyword === 'minimum' ? 'at least' : 'more than'} ${String(params['limit'])}${found}` };
    case 'maximum':
    case 'exclusiveMaximum':
      return { message: `must be ${error.keyword === 'maximum' ? 'at most' : 'less than'} ${String(params['limit'])}${found}` };
    case 'minLength':
      return {
        message: params['limit'] === 1 ? 'must not be empty' : `must have at least ${String(params['limit'])} characters`,
      };
    case 'minItems':
    case 'minProperties':
      return {
        message: params['limit'] === 1 ? 'must have at least one entry' : `must have at least ${String(params['limit'])} entries`,
      };
    case 'maxProperties':
      return {
        message: params['limit'] === 1 ? 'must have one entry only' : `must have at most ${String(params['limit'])} entries`,
      };
    case 'uniqueItems':
      return { message: 'has the same entry twice' };
    default:
      return { message: error.message ?? 'is not valid' };
  }
}

function unknownKey(key: string, data: unknown, { properties }: JsonSchema): Words {
  const known = Object.keys(properties ?? {}).filter((word) => !word.startsWith('$'));
  const used = isMapping(data) ? Object.keys(data) : [];
  const advice = didYouMean(
    key,
    known.filter((word) => !used.includes(word)),
  );
  return { key, message: `is not a known key${advice || (known.length > 0 ? `; known here: ${known.join(', ')}` : '')}` };
}

function ofNoBranch(data: unknown, schema: JsonSchema, found: string): Words {
  const branches = schema.anyOf ?? (schema['oneOf'] as readonly JsonSchema[] | undefined) ?? [];
  const words = branches.flatMap((branch) => ('const' in branch ? [branch['const']] : (branch.enum ?? [])));
  if (words.length > 0 && branches.every((branch) => 'const' in branch || branch.enum !== undefined)) {
    return { message: `must be ${choice(words)}${found}${wordAdvice(data, words, schema)}` };
  }
  const types = branches.flatMap(({ type }) => type ?? []);
  return { message: types.length > 0 ? `must be ${typeNames([...new Set(types)])}${found}` : 'is not valid' };
}

const typeTexts: Readonly<Record<string, string>> = {
  string: 'text',
  integer: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a mapping',
  null: 'nothing',
};

function typeNames(type: JsonSchema['type']): string {
  return [type ?? []]
    .flat()
    .map((name) => typeTexts[name] ?? name)
    .join(' or ');
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  return typeTexts[typeof value] ?? typeof value;
}

/** Never the value of a secret, nor one that a variable brought in: the text with the variable's name instead. */
function foundText(value: unknown, schema: JsonSchema, original: string | undefined): string {
  if (holdsSecret(schema)) return `, found ${kindOf(value)}`;
  return `, found ${shown(original ?? value)}`;
}

function holdsSecret(schema: unknown): boolean {
  if (Array.isArray(schema)) return schema.some(holdsSecret);
  return isMapping(schema) && (isSecretSchema(schema) || Object.values(schema).some(holdsSecret));
}

function ofWrongType(value: unknown, schema: JsonSchema, found: string): string {
  const unquoted = schema.type === 'string' && (typeof value === 'number' || typeof value === 'boolean');
  if (!unquoted) return `must be ${typeNames(schema.type)}${found}`;
  // Quotes alone would not help `10` where `10s` is wanted.
  const pattern = schema['pattern'];
  if (typeof pattern === 'string' && !new RegExp(pattern, 'u').test(String(value)))
    return `does not have the right form${exampleText(schema)}${found}`;
  return `must be text${found} (put it in quotes)`;
}

function choice(words: readonly unknown[]): string {
  const names = words.map((word) => (typeof word === 'string' ? `"${word}"` : String(word)));
  return names.length > 1 ? `${names.slice(0, -1).join(', ')} or ${names.at(-1) ?? ''}` : names.join('');
}

function wordAdvice(value: unknown, words: readonly unknown[], schema: JsonSchema): string {
  if (typeof value !== 'string' || holdsSecret(schema)) return '';
  return didYouMean(
    value,
    words.filter((word) => typeof word === 'string'),
  );
}

function exampleText({ examples, format }: JsonSchema): string {
  if (examples !== undefined && examples.length > 0) return ` (such as ${examples.map(String).join(', ')})`;
  return typeof format === 'string' ? ` (${format})` : '';
}

/** A JSON pointer as a path: a number where it points into a list. */
function pathOf(pointer: string, root: unknown): Path {
  const path: (string | number)[] = [];
  let value = root;
  for (const part of pointer.split('/').slice(1)) {
    const key = part.replaceAll('~1', '/').replaceAll('~0', '~');
    path.push(Array.isArray(value) ? Number(key) : key);
    value = Array.isArray(value) ? (value[Number(key)] as unknown) : isMapping(value) ? value[key] : undefined;
  }
  return path;
}

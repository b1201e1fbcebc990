/** Reads and checks one parameter. What is said of a fault names the parameter and what is expected, never a part of the value. */
import { ForegateError } from '../gateway/core/errors.ts';
import { limits } from '../gateway/core/limits.ts';
import { compileForeignSchema, type SchemaCheck, type SchemaFault } from '../openapi/schema/json-schema.ts';
import { exceeded } from './json-extent.ts';
import { meaningsOf, shapeOf, type ValueShape } from './parameter-shape.ts';
import {
  styleReader,
  type ParameterForm,
  type ParameterPlace,
  type RawPairs,
  type StyleTerms,
  type WrittenValue,
} from './parameter-style.ts';

export interface DescribedParameter extends Pick<StyleTerms, 'name' | 'in' | 'style' | 'explode'> {
  readonly required: boolean;
  readonly schema: Readonly<Record<string, unknown>>;
  readonly json: boolean;
  readonly allowEmptyValue: boolean;
}

export interface ParameterCheck {
  readonly in: ParameterPlace;
  /** A sentence for the client; undefined where all is well. */
  readonly faultOf: (pairs: RawPairs) => string | undefined;
}

/** What a value may be, the likeliest first; `rest` ends the sentence that begins with the name of the parameter. */
type Meanings =
  | { readonly kind: 'absent' }
  | { readonly kind: 'fault'; readonly rest: string }
  | { readonly kind: 'values'; readonly values: readonly unknown[] };

/** @throws ForegateError `bad-request` for a schema or a style that cannot be used */
export function parameterCheck(described: DescribedParameter): ParameterCheck {
  const { in: place, name } = described;
  const about = `${place} parameter ${JSON.stringify(name)}`;
  try {
    const check = compileForeignSchema(described.schema);
    const shape = shapeOf(described.schema);
    const read = described.json ? jsonReader(described) : plainReader(described, shape);
    const isRequired = described.required || place === 'path';
    const faultOf = (pairs: RawPairs): string | undefined => restOf(read(pairs), { check, shape, isRequired });
    return {
      in: place,
      faultOf(pairs) {
        const rest = faultOf(pairs);
        return rest === undefined ? undefined : `The ${about} ${rest}.`;
      },
    };
  } catch (cause) {
    if (!(cause instanceof ForegateError)) throw cause;
    throw new ForegateError('bad-request', `For the ${about}: ${cause.message}`, { cause });
  }
}

interface CheckTerms {
  readonly check: SchemaCheck<unknown>;
  readonly shape: ValueShape;
  readonly isRequired: boolean;
}

function restOf(read: Meanings, { check, shape, isRequired }: CheckTerms): string | undefined {
  if (read.kind === 'absent') return isRequired ? 'is missing' : undefined;
  if (read.kind === 'fault') return read.rest;
  let first: SchemaFault | undefined;
  for (const value of read.values) {
    const checked = check(value);
    if (checked.kind === 'valid') return undefined;
    first ??= checked.fault;
  }
  return first && sentenceEnd(first, shape);
}

/** Names in a pointer are the client's, unless the schema has them too. */
function sentenceEnd({ pointer, text }: SchemaFault, { names }: ValueShape): string {
  const [, place = '', ...deeper] = pointer.split('/');
  const isKnown = deeper.length === 0 && (/^\d{1,6}$/.test(place) || names.includes(place));
  return isKnown
    ? `is wrong at ${pointer}: it ${text}`
    : deeper.length + place.length === 0
      ? text
      : `is wrong inside: it ${text}`;
}

const tooDeep: Meanings = { kind: 'fault', rest: 'has too many levels' };
const noJson: Meanings = { kind: 'fault', rest: 'is no JSON' };
/** There, and nothing to be checked. */
const asItMay: Meanings = { kind: 'values', values: [] };

function jsonReader({ name, in: place, style, explode }: DescribedParameter): (pairs: RawPairs) => Meanings {
  if (style !== undefined || explode !== undefined)
    throw new ForegateError('bad-request', '"style" and "explode" say nothing of a JSON text.');
  const read = styleReader({ name: compared(name, place), in: place, form: 'text', properties: [] });
  return (pairs) => {
    const written = read(pairs);
    if (written.kind === 'fault') return { kind: 'fault', rest: written.text };
    if (written.kind !== 'text') return { kind: 'absent' };
    if (exceeded(Buffer.from(written.text), { depth: limits.checkedDepth, keys: Infinity })) return tooDeep;
    try {
      return { kind: 'values', values: [JSON.parse(written.text)] };
    } catch {
      return noJson;
    }
  };
}

function compared(name: string, place: ParameterPlace): string {
  return place === 'header' ? name.toLowerCase() : name;
}

/** A schema that takes arrays or objects beside others may get a single text, too. */
function plainReader(described: DescribedParameter, shape: ValueShape): (pairs: RawPairs) => Meanings {
  const { in: place, style, explode } = described;
  const form: ParameterForm = shape.types.has('object') ? 'members' : shape.types.has('array') ? 'list' : 'text';
  const nested = nestedFault(shape, form);
  if (nested !== undefined) throw new ForegateError('bad-request', nested);
  const read = styleReader({ name: compared(described.name, place), in: place, style, explode, form, properties: shape.names });
  const meant = meaningReader(shape);
  const mayBeEmpty = described.allowEmptyValue && place === 'query';
  return (pairs) => {
    const written = read(pairs);
    return mayBeEmpty && isEmpty(written) ? asItMay : meant(written);
  };
}

function isEmpty(written: WrittenValue): boolean {
  if (written.kind === 'list') return written.texts.join('') === '';
  return written.kind === 'text' && written.text === '';
}

function meaningReader(shape: ValueShape): (written: WrittenValue) => Meanings {
  const members = memberShapes(shape);
  const items = shape.items();
  return (written) => {
    switch (written.kind) {
      case 'absent':
        return written;
      case 'fault':
        return { kind: 'fault', rest: written.text };
      case 'text':
        return { kind: 'values', values: meaningsOf(written.text, shape) };
      case 'list':
        return { kind: 'values', values: listMeanings(written.texts, shape, items) };
      case 'members': {
        const entries = written.members.map(([key, text]) => [key, meaningsOf(text, members(key))[0]]);
        return { kind: 'values', values: [Object.fromEntries(entries)] };
      }
    }
  };
}

function nestedFault(shape: ValueShape, form: ParameterForm): string | undefined {
  const inner = form === 'members' ? shape.names.map((name) => shape.property(name)) : form === 'list' ? [shape.items()] : [];
  const isNested = inner.some(({ types }) => types.has('array') || types.has('object'));
  return isNested ? 'How arrays and objects stand in arrays and objects is not defined: write "json: true".' : undefined;
}

function listMeanings(texts: readonly string[], shape: ValueShape, items: ValueShape): readonly unknown[] {
  const list = texts.map((text) => meaningsOf(text, items)[0]);
  const [only, more] = texts;
  const isOneText = only !== undefined && more === undefined && shape.types.size > 1;
  return isOneText ? [list, ...meaningsOf(only, shape)] : [list];
}

/** Each found once: names that the schema does not tell of are alike. */
function memberShapes(shape: ValueShape): (name: string) => ValueShape {
  const known = new Map(shape.names.map((name) => [name, shape.property(name)]));
  const other = shape.property('');
  return (name) => known.get(name) ?? other;
}

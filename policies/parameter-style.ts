/**
 * How values stand in a request: the styles of the OpenAPI specification 3.1 (section 4.8.12, "Style Values"), which are those of
 * URI templates (RFC 6570) and a few older ones. What is split is decoded afterwards, so that an encoded separator is none.
 */
import { ForegateError } from '../gateway/core/errors.ts';

export type ParameterPlace = 'path' | 'query' | 'header' | 'cookie';
export const styles = ['matrix', 'label', 'simple', 'form', 'spaceDelimited', 'pipeDelimited', 'deepObject'] as const;
export type ParameterStyle = (typeof styles)[number];
/** What a value is made of: one text, a list of them, or names with texts. */
export type ParameterForm = 'text' | 'list' | 'members';

/** Names as they are compared, and values as they stand there, encoded. */
export type RawPairs = readonly (readonly [name: string, raw: string])[];

/** A value in pieces; `absent` where it does not stand there, a sentence's end where it cannot be read. */
export type WrittenValue =
  | { readonly kind: 'absent' }
  | { readonly kind: 'fault'; readonly text: string }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'list'; readonly texts: readonly string[] }
  | { readonly kind: 'members'; readonly members: readonly (readonly [name: string, text: string])[] };

export interface StyleTerms {
  readonly name: string;
  readonly in: ParameterPlace;
  /** Default: `form` in queries and cookies, `simple` elsewhere. */
  readonly style?: ParameterStyle | undefined;
  /** Whether each item or member stands for itself. Default: for `form` only. */
  readonly explode?: boolean | undefined;
  readonly form: ParameterForm;
  /** Properties of an object: with `form` and `explode` they are parameters themselves. */
  readonly properties: readonly string[];
}

type ReadValue = (pairs: RawPairs) => WrittenValue;

/** @throws ForegateError `bad-request` for what the specification does not define, by its name */
export function styleReader(terms: StyleTerms): ReadValue {
  const style = terms.style ?? defaultStyles[terms.in];
  const explode = terms.explode ?? style === 'form';
  const fault = styleFault(terms, style, explode);
  if (fault !== undefined) throw new ForegateError('bad-request', fault);
  const decode = decoders[terms.in];
  const read = rawReader(terms, style, explode);
  return (pairs) => decoded(read(pairs), decode);
}

const defaultStyles: Readonly<Record<ParameterPlace, ParameterStyle>> = {
  path: 'simple',
  query: 'form',
  header: 'simple',
  cookie: 'form',
};

const stylesOf: Readonly<Record<ParameterPlace, readonly ParameterStyle[]>> = {
  path: ['simple', 'label', 'matrix'],
  query: ['form', 'spaceDelimited', 'pipeDelimited', 'deepObject'],
  header: ['simple'],
  cookie: ['form'],
};

function styleFault({ in: place, form }: StyleTerms, style: ParameterStyle, explode: boolean): string | undefined {
  const isDelimited = style === 'spaceDelimited' || style === 'pipeDelimited';
  if (!stylesOf[place].includes(style))
    return `The style ${style} is not defined for ${place} parameters; there are ${stylesOf[place].join(', ')}.`;
  if (style === 'deepObject' && form !== 'members') return 'The style deepObject is for objects: give "schema" the type object.';
  if (isDelimited && form === 'text') return `The style ${style} is for arrays and objects: give "schema" such a type.`;
  if (isDelimited && explode) return `The style ${style} is not defined with "explode: true"; write "style: form" for that.`;
  if (place === 'cookie' && form !== 'text' && explode)
    return 'A cookie has one value: write "explode: false" for arrays and objects, which are taken apart at commas.';
  return undefined;
}

function rawReader(terms: StyleTerms, style: ParameterStyle, explode: boolean): ReadValue {
  if (style === 'deepObject') return deepMembers(terms.name);
  if (style === 'form' && explode && terms.form === 'members') return ownMembers(terms.properties);
  if (style === 'form' && explode && terms.form === 'list') return repeated(terms.name);
  const take = splitters[terms.form];
  const marks = marksOf(style, terms.name, explode);
  return (pairs) => {
    const values = pairs.filter(([name]) => name === terms.name);
    const [first, second] = values;
    if (first === undefined) return { kind: 'absent' };
    if (second !== undefined) return { kind: 'fault', text: 'is given more than once' };
    return take(first[1], marks);
  };
}

/** What stands before a value and between its pieces. */
interface Marks {
  readonly before: string;
  readonly between: string | RegExp;
  /** Stands before each piece but the first, too: `;color=1;color=2`. */
  readonly repeats: string;
  /** Whether members are written with "=". */
  readonly equals: boolean;
}

function marksOf(style: ParameterStyle, name: string, explode: boolean): Marks {
  const plain = { before: '', repeats: '', equals: explode };
  switch (style) {
    case 'label':
      return { ...plain, before: '.', between: explode ? '.' : ',' };
    case 'matrix':
      return { ...plain, before: ';', between: explode ? ';' : ',', repeats: `${name}=` };
    case 'spaceDelimited':
      return { ...plain, between: /%20|\+| / };
    case 'pipeDelimited':
      return { ...plain, between: /%7c|\|/i };
    default:
      return { ...plain, between: ',' };
  }
}

const notInStyle: WrittenValue = { kind: 'fault', text: 'is not written in its style' };

const splitters: Readonly<Record<ParameterForm, (raw: string, marks: Marks) => WrittenValue>> = {
  text(raw, { before, repeats }) {
    const text = without(before + repeats, raw) ?? (repeats !== '' && raw === before + repeats.slice(0, -1) ? '' : undefined);
    return text === undefined ? notInStyle : { kind: 'text', text };
  },
  list(raw, { before, between, repeats, equals }) {
    const rest = without(before + repeats, raw);
    if (rest === undefined) return notInStyle;
    const [first = '', ...more] = rest === '' ? [] : rest.split(between);
    const each = more.map((piece) => (equals ? without(repeats, piece) : piece));
    if (each.includes(undefined)) return notInStyle;
    return { kind: 'list', texts: rest === '' ? [] : [first, ...each.flatMap((piece) => piece ?? [])] };
  },
  members(raw, { before, between, repeats, equals }) {
    const rest = without(equals ? before : before + repeats, raw);
    if (rest === undefined) return notInStyle;
    const pieces = rest === '' ? [] : rest.split(between);
    return equals ? namedMembers(pieces) : alternating(pieces);
  },
};

function without(start: string, text: string): string | undefined {
  return text.startsWith(start) ? text.slice(start.length) : undefined;
}

function namedMembers(pieces: readonly string[]): WrittenValue {
  const members = pieces.map((piece) => {
    const at = piece.indexOf('=');
    return at < 0 ? undefined : ([piece.slice(0, at), piece.slice(at + 1)] as const);
  });
  const whole = members.filter((member) => member !== undefined);
  return whole.length < members.length ? notInStyle : { kind: 'members', members: whole };
}

function alternating(pieces: readonly string[]): WrittenValue {
  if (pieces.length % 2 === 1) return notInStyle;
  const members = pieces.flatMap((name, index) => (index % 2 === 0 ? [[name, pieces[index + 1] ?? ''] as const] : []));
  return { kind: 'members', members };
}

function repeated(wanted: string): ReadValue {
  return (pairs) => {
    const texts = pairs.filter(([name]) => name === wanted).map(([, raw]) => raw);
    return texts.length === 0 ? { kind: 'absent' } : { kind: 'list', texts };
  };
}

function ownMembers(properties: readonly string[]): ReadValue {
  return (pairs) => membersOrAbsent(pairs.filter(([name]) => properties.includes(name)));
}

function deepMembers(wanted: string): ReadValue {
  const start = `${wanted}[`;
  return (pairs) => {
    const own = pairs.filter(([name]) => name === wanted || name.startsWith(start));
    if (own.some(([name]) => !/^\[[^[\]]+\]$/.test(name.slice(wanted.length)))) return notInStyle;
    return membersOrAbsent(own.map(([name, raw]) => [name.slice(start.length, -1), raw]));
  };
}

function membersOrAbsent(members: RawPairs): WrittenValue {
  return members.length === 0 ? { kind: 'absent' } : { kind: 'members', members };
}

type Decode = (raw: string) => string | undefined;

const decoders: Readonly<Record<ParameterPlace, Decode>> = {
  path: percentDecoded,
  query: (raw) => percentDecoded(raw.replaceAll('+', ' ')),
  header: (raw) => raw.trim(),
  // Many cookies are not encoded at all.
  cookie: (raw) => percentDecoded(raw) ?? raw,
};

/** Undefined for what is no UTF-8 in percent-encoding. */
export function percentDecoded(raw: string): string | undefined {
  try {
    return decodeURIComponent(raw);
  } catch {
    return undefined;
  }
}

const notEncoded: WrittenValue = { kind: 'fault', text: 'is not encoded as a URI is' };

function decoded(value: WrittenValue, decode: Decode): WrittenValue {
  switch (value.kind) {
    case 'text': {
      const text = decode(value.text);
      return text === undefined ? notEncoded : { kind: 'text', text };
    }
    case 'list': {
      const texts = allDecoded(value.texts, decode);
      return texts === undefined ? notEncoded : { kind: 'list', texts };
    }
    case 'members':
      return decodedMembers(value.members, decode);
    default:
      return value;
  }
}

function allDecoded(texts: readonly string[], decode: Decode): readonly string[] | undefined {
  const all = texts.map(decode);
  const whole = all.filter((text) => text !== undefined);
  return whole.length < all.length ? undefined : whole;
}

/** A name that stands there twice would have one value here and another one in the backend. */
function decodedMembers(members: RawPairs, decode: Decode): WrittenValue {
  const flat = allDecoded(members.flat(), decode);
  const pairs = flat === undefined ? notEncoded : alternating(flat);
  if (pairs.kind !== 'members') return pairs;
  const names = new Set(pairs.members.map(([name]) => name));
  return names.size < pairs.members.length ? { kind: 'fault', text: 'has a member more than once' } : pairs;
}

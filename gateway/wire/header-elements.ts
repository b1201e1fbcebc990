/**
 * The syntax of GRIP's header fields: `value; name=value; name="quoted"`, in lists also `, value; ...` (GRIP 4.2). Header lists hold
 * bytes as Latin-1; what comes out of here is text.
 */
import { isUtf8 } from 'node:buffer';

export interface Parameter {
  /** Names are exact: case counts. */
  readonly name: string;
  /** Empty for a name alone. */
  readonly value: string;
}

export interface HeaderElement {
  /** What stands first, as it is: quotes around it stay part of it. */
  readonly value: string;
  readonly parameters: readonly Parameter[];
}

/** Where values end. Quotes count behind `=` only. */
interface Syntax {
  readonly value: RegExp;
  readonly parameter: RegExp;
}

const list: Syntax = { value: /[^;,]*/y, parameter: parameterPattern(';,') };
/** URIs stand in angle brackets and may have commas and semicolons. */
const links: Syntax = { value: /[ \t]*(?:<[^>]*>)?[^;,]*/y, parameter: list.parameter };
const single: Syntax = { value: /[^;]*/y, parameter: parameterPattern(';') };

function parameterPattern(ends: string): RegExp {
  const quoted = `"((?:[^"\\\\]|\\\\[^])*)"[^${ends}]*`;
  return new RegExp(`([^=${ends}]*)(?:=[ \\t]*(?:${quoted}|([^"${ends}][^${ends}]*)?))?`, 'y');
}

/** The elements of a list; empty ones are passed over. Undefined for a field that cannot be read. */
export function readList(field: string): HeaderElement[] | undefined {
  return readElements(field, list);
}

/** The same for values in angle brackets, which keep together what is in them. */
export function readLinks(field: string): HeaderElement[] | undefined {
  return readElements(field, links);
}

function readElements(field: string, syntax: Syntax): HeaderElement[] | undefined {
  const elements: HeaderElement[] = [];
  const reader = new FieldReader(field);
  do {
    const element = reader.element(syntax);
    if (element === undefined) return undefined;
    if (element.value !== '' || element.parameters.length > 0) elements.push(element);
  } while (reader.take(','));
  return reader.done ? elements : undefined;
}

/** A field with one element, in which commas are ordinary characters. */
export function readElement(field: string): HeaderElement | undefined {
  const reader = new FieldReader(field);
  const element = reader.element(single);
  return reader.done ? element : undefined;
}

/** A list of `name=value`; of each element the first counts. */
export function readPairs(field: string): Parameter[] | undefined {
  const pairs: Parameter[] = [];
  const reader = new FieldReader(field);
  do {
    const pair = reader.parameter(list);
    if (pair === undefined || reader.parameters(list) === undefined) return undefined;
    pairs.push(pair);
  } while (reader.take(','));
  return reader.done ? pairs : undefined;
}

class FieldReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get done(): boolean {
    return this.#at === this.#text.length;
  }

  /** True if the character is next; then it is behind us. */
  take(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at += 1;
    return true;
  }

  element(syntax: Syntax): HeaderElement | undefined {
    const value = trimmedText(this.#match(syntax.value)?.[0]);
    const parameters = this.parameters(syntax);
    return value === undefined || parameters === undefined ? undefined : { value, parameters };
  }

  parameters(syntax: Syntax): Parameter[] | undefined {
    const parameters: Parameter[] = [];
    while (this.take(';')) {
      const parameter = this.parameter(syntax);
      if (parameter === undefined) return undefined;
      if (parameter.name !== '') parameters.push(parameter);
    }
    return parameters;
  }

  parameter(syntax: Syntax): Parameter | undefined {
    const [, rawName, quoted, bare] = this.#match(syntax.parameter) ?? [];
    const name = trimmedText(rawName);
    const value = quoted === undefined ? trimmedText(bare ?? '') : asText(quoted.replaceAll(/\\([^])/g, '$1'));
    return name === undefined || value === undefined ? undefined : { name, value };
  }

  #match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (match !== null) this.#at += match[0].length;
    return match;
  }
}

function trimmedText(latin1: string | undefined): string | undefined {
  return latin1 === undefined ? undefined : asText(trimBlanks(latin1));
}

/** Undefined for bytes that are no UTF-8. */
function asText(latin1: string): string | undefined {
  const bytes = Buffer.from(latin1, 'latin1');
  return isUtf8(bytes) ? bytes.toString() : undefined;
}

/** Without blanks at both ends. `trim` would take bytes away that belong to letters, such as the last of `à`. */
export function trimBlanks(latin1: string): string {
  let start = 0;
  let end = latin1.length;
  while (start < end && isBlank(latin1[start])) start += 1;
  while (end > start && isBlank(latin1[end - 1])) end -= 1;
  return latin1.slice(start, end);
}

function isBlank(character: string | undefined): boolean {
  return character === ' ' || character === '\t';
}

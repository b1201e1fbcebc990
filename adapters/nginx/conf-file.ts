/** Reads nginx configuration files into directives, with those that they include in their places. */
import type { InputFile, Remark } from '../conversion/gateway-route.ts';
import { tokensOf, type Token } from './conf-tokens.ts';

export interface Directive {
  readonly name: string;
  readonly args: readonly string[];
  /** `nginx.conf:12` */
  readonly place: string;
  /** What stands in its block; undefined where it has none. */
  readonly block: readonly Directive[] | undefined;
}

export interface ConfFiles {
  readonly directives: readonly Directive[];
  readonly remarks: readonly Remark[];
}

const depthMax = 30;
/** Includes in all, and of each other. */
const includesMax = 200;
const includeDepthMax = 10;

/** Those that none of the others includes stand after each other. */
export function readConfFiles(files: readonly InputFile[]): ConfFiles {
  const reader = new ConfReader(files);
  const trees = files.map((file) => ({ file, directives: reader.read(file, []) }));
  const roots = trees.filter(({ file }) => !reader.included.has(file.name));
  return {
    directives: (roots.length === 0 ? trees.slice(0, 1) : roots).flatMap(({ directives }) => directives),
    remarks: reader.remarks(),
  };
}

class ConfReader {
  readonly included = new Set<string>();
  readonly #files: readonly InputFile[];
  /** By place and text: a file that is read twice says the same twice. */
  readonly #remarks = new Map<string, Remark>();
  #includes = 0;

  constructor(files: readonly InputFile[]) {
    this.#files = files;
  }

  remarks(): readonly Remark[] {
    return [...this.#remarks.values()];
  }

  read(file: InputFile, outer: readonly string[]): readonly Directive[] {
    const { tokens, broken } = tokensOf(file.text);
    if (broken !== undefined) this.#say(`${file.name}:${broken}`, 'cannot be read from here on');
    const cursor = { tokens, at: 0 };
    const files = [...outer, file.name];
    const directives = this.#block(cursor, files, 0);
    while (cursor.at < tokens.length) {
      this.#say(`${file.name}:${tokens[cursor.at - 1]?.line ?? 1}`, 'closes a block that is none');
      directives.push(...this.#block(cursor, files, 0));
    }
    return directives;
  }

  /** To the end of the block, past its `}`. */
  #block(cursor: Cursor, files: readonly string[], depth: number): Directive[] {
    const found: Directive[] = [];
    let words: Token[] = [];
    while (cursor.at < cursor.tokens.length) {
      const token = cursor.tokens[cursor.at] as Token; // Just compared with the length.
      cursor.at += 1;
      if (token.kind === '}') break;
      if (token.kind === 'word') words.push(token);
      else {
        found.push(
          ...this.#directive(words, token.kind === '{' ? () => this.#inner(cursor, token, files, depth) : undefined, files),
        );
        words = [];
      }
    }
    const [unended] = words;
    if (unended !== undefined) this.#say(`${fileOf(files)}:${unended.line}`, `"${nameOf(unended)}" has no ";" at its end`);
    return found;
  }

  #inner(cursor: Cursor, { line }: Token, files: readonly string[], depth: number): Directive[] {
    if (depth < depthMax) return this.#block(cursor, files, depth + 1);
    this.#say(`${fileOf(files)}:${line}`, 'is nested too deeply, and left out with all after it');
    cursor.at = cursor.tokens.length;
    return [];
  }

  #directive(words: readonly Token[], block: (() => Directive[]) | undefined, files: readonly string[]): readonly Directive[] {
    const [first, ...rest] = words;
    const inner = block?.();
    if (first === undefined) return [];
    const place = `${fileOf(files)}:${first.line}`;
    const args = rest.map(({ text }) => text);
    if (first.text === 'include') return this.#include(args[0] ?? '', place, files);
    return [{ name: first.text, args, place, block: inner }];
  }

  /** Files have no folders here: those of one name are one. */
  #include(path: string, place: string, files: readonly string[]): readonly Directive[] {
    const name = path.split('/').at(-1) ?? '';
    if (name === 'mime.types') return [];
    const found = this.#files.filter((file) => fits(file.name, name));
    const others = found.filter((file) => !files.includes(file.name));
    this.#includes += 1;
    if (found.length === 0) this.#say(place, `includes ${JSON.stringify(path)}, which was not given`);
    // `*.conf` is meant for other folders than the one of this file.
    const isCircle = others.length < found.length && !name.includes('*');
    const isOver = isCircle || this.#includes > includesMax || files.length > includeDepthMax;
    if (isOver) this.#say(place, 'includes files in a circle, or too many');
    return isOver ? [] : others.flatMap((file) => this.#included(file, files));
  }

  #included(file: InputFile, files: readonly string[]): readonly Directive[] {
    this.included.add(file.name);
    return this.read(file, files);
  }

  #say(about: string, text: string): void {
    this.#remarks.set(`${about} ${text}`, { about, verdict: 'told', text });
  }
}

/** The one that is read now; those before it include each other. */
function fileOf(files: readonly string[]): string {
  return files.at(-1) ?? '';
}

interface Cursor {
  readonly tokens: readonly Token[];
  at: number;
}

/** `*` stands for any characters, as in `conf.d/*.conf`. */
function fits(name: string, pattern: string): boolean {
  const [head = '', ...tails] = pattern.split('*');
  if (tails.length === 0) return name === pattern;
  const last = tails.at(-1) ?? '';
  return tails.length === 1 && name.length >= head.length + last.length && name.startsWith(head) && name.endsWith(last);
}

/** What is not read as a directive may be a key. */
function nameOf({ text }: Token): string {
  return /^[a-z_]{1,40}$/.test(text) ? text : '...';
}

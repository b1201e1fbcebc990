/** A configuration file or an API document as text: YAML 1.2, of which JSON is a part, with the place of every key and value. */
import { readFile, stat } from 'node:fs/promises';
import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  visit,
  type Document,
  type Node,
  type Pair,
  type YAMLMap,
  type YAMLError,
} from 'yaml';
import { limits } from '../../gateway/core/limits.ts';
import { ConfigError, type Path, type Place, type Problem } from '../../gateway/core/problem.ts';

export interface Source {
  /** As the caller named it. */
  readonly file: string;
  readonly value: unknown;
  /** The place of a value, of its key, or of the nearest thing above it. */
  locate(path: Path, at: 'value' | 'key'): Place;
}

/** How often anchors may be used in all: a few lines of YAML could otherwise stand for gigabytes. */
const aliasesMax = 100;

/** @throws ConfigError if the text is not one mapping in YAML or JSON. */
export function parseSource(file: string, text: string): Source {
  const lines = new LineCounter();
  const document = parse(file, text, lines);
  // A mistake causes the next: only the first is told.
  const [fault] = [...document.errors, ...document.warnings];
  if (fault !== undefined) throw new ConfigError([syntaxProblem(file, fault, lines)]);
  const twice = secondKeys(document.contents);
  if (twice.length > 0) throw new ConfigError(twice.map((offset) => twiceProblem(file, lines.linePos(offset))));
  const unknown = text.includes('*') ? unknownAliases(document) : [];
  if (unknown.length > 0) throw new ConfigError(unknown.map((offset) => aliasProblem(file, lines.linePos(offset))));
  const value = toValue(file, document, text.includes('&'));
  if (!isMap(document.contents))
    throw problem(file, { ...start(document, lines), message: 'must be a mapping of keys, such as "routes:" or "openapi:"' });
  return { file, value, locate: (path, at) => locate(document, lines, path, at) };
}

/** `advice`: what to do about a file that is not there. @throws ConfigError if there is none, or it is too large or no text */
export async function readText(file: string, advice = ''): Promise<string> {
  try {
    const about = await stat(file);
    if (!about.isFile()) throw problem(file, { message: 'is not a file' });
    if (about.size > limits.sourceBytes) throw problem(file, { message: `is larger than ${limits.sourceBytes} bytes` });
    return asText(await readFile(file));
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw problem(file, { message: unreadable(error, advice) });
  }
}

/** @throws TypeError for bytes that are not UTF-8 */
export function asText(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
}

function unreadable(error: unknown, advice: string): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT') return `was not found${advice}`;
  if (code === 'EACCES') return 'cannot be read: permission denied';
  if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA') return 'is not valid UTF-8';
  return `cannot be read (${typeof code === 'string' ? code : 'unknown error'})`;
}

function parse(file: string, text: string, lineCounter: LineCounter): Document {
  try {
    // No pretty errors: they quote lines of the file, which may hold secrets.
    return parseDocument(text, { lineCounter, prettyErrors: false, uniqueKeys: false, strict: true });
  } catch {
    // The parser gives up on thousands of nested brackets.
    throw problem(file, { message: 'is nested too deeply' });
  }
}

/** Where keys stand that stood in their mapping before. The parser's own search takes long where there are thousands. */
function secondKeys(node: unknown): number[] {
  if (isSeq(node)) return node.items.flatMap(secondKeys);
  if (!isMap(node)) return [];
  const keys = new Set<unknown>();
  return node.items.flatMap(({ key, value }) => {
    const name = isScalar(key) ? String(key.value) : key;
    const isSecond = keys.has(name);
    keys.add(name);
    const below = secondKeys(value);
    return isSecond && isScalar(key) ? [key.range?.[0] ?? 0, ...below] : below;
  });
}

function toValue(file: string, document: Document, hasAnchors: boolean): unknown {
  try {
    const value: unknown = document.toJS({ maxAliasCount: aliasesMax });
    // Refuses an anchor that is used inside itself.
    if (hasAnchors) JSON.stringify(value);
    return value;
  } catch (error) {
    const many = error instanceof ReferenceError && error.message.startsWith('Excessive');
    throw problem(file, {
      message: many ? `uses its anchors more than ${aliasesMax} times` : 'has an anchor inside itself or nests too deeply',
    });
  }
}

const syntaxTexts: Readonly<Record<string, string>> = {
  TAB_AS_INDENT: 'tabs cannot indent YAML; use spaces',
  MULTIPLE_DOCS: 'only one document may stand in the file',
  BAD_INDENT: 'the indentation does not fit the lines above, or a bracket is not closed',
  RESOURCE_EXHAUSTION: 'is nested too deeply',
  MISSING_CHAR: 'a character is missing, such as a closing quote or bracket, or ":"',
  BLOCK_AS_IMPLICIT_KEY: 'a mapping cannot start here; is a quote or a line break missing?',
  TAG_RESOLVE_FAILED: 'this tag (!) is not known',
  UNEXPECTED_TOKEN: 'this was not expected here; is a quote missing, as around "${NAME}" inside brackets?',
  BLOCK_IN_FLOW: 'indented lines cannot stand inside brackets; is a comma or bracket missing?',
  MULTILINE_IMPLICIT_KEY: 'a key must stand on one line; is ":" missing?',
};

function syntaxProblem(file: string, { code, pos }: YAMLError, lines: LineCounter): Problem {
  const { line, col } = lines.linePos(pos[0]);
  return { file, line, column: col, path: '', message: syntaxTexts[code] ?? `is not valid YAML (${code})` };
}

/** Where aliases stand that no anchor was given for: mostly a `*` that was meant as text. */
function unknownAliases(document: Document): number[] {
  const offsets: number[] = [];
  visit(document, {
    Alias(_, alias) {
      if (alias.resolve(document) === undefined) offsets.push(alias.range?.[0] ?? 0);
    },
  });
  return offsets;
}

function twiceProblem(file: string, { line, col }: { line: number; col: number }): Problem {
  return { file, line, column: col, path: '', message: 'this key stands here twice' };
}

function aliasProblem(file: string, { line, col }: { line: number; col: number }): Problem {
  return { file, line, column: col, path: '', message: 'text that begins with "*" must stand in quotes' };
}

function problem(file: string, about: { message: string; line?: number; column?: number }): ConfigError {
  return new ConfigError([{ file, line: about.line ?? 0, column: about.column ?? 0, path: '', message: about.message }]);
}

function start(document: Document, lines: LineCounter): { line: number; column: number } {
  const { line, col } = lines.linePos(document.contents?.range?.[0] ?? 0);
  return { line, column: col };
}

function locate(document: Document, lines: LineCounter, path: Path, at: 'value' | 'key'): Place {
  let node: Node | undefined = document.contents ?? undefined;
  let offset = node?.range?.[0] ?? 0;
  let depth = 0;
  for (const key of path) {
    node = isAlias(node) ? node.resolve(document) : node;
    const step = childOf(node, key);
    if (step === undefined) break;
    depth += 1;
    const [keyNode, valueNode] = step;
    node = valueNode;
    const shown = (at === 'key' && depth === path.length) || node === undefined ? (keyNode ?? node) : node;
    offset = shown?.range?.[0] ?? offset;
  }
  const { line, col } = lines.linePos(offset);
  // A target given as plain text has no keys: the path ends with the text.
  return { line, column: col, path: isScalar(node) ? path.slice(0, depth) : path };
}

function childOf(
  node: Node | undefined,
  key: string | number,
): readonly [key: Node | undefined, value: Node | undefined] | undefined {
  if (isSeq(node)) {
    const entry = node.items[Number(key)];
    return entry === undefined ? undefined : [undefined, entry as Node];
  }
  if (!isMap(node)) return undefined;
  const pair = pairsOf(node).get(String(key));
  return pair && [pair.key as Node, (pair.value ?? undefined) as Node | undefined];
}

/** By key: a document with thousands of paths is asked for the places of each. */
const pairs = new WeakMap<YAMLMap, ReadonlyMap<string, Pair>>();

function pairsOf(map: YAMLMap): ReadonlyMap<string, Pair> {
  const known = pairs.get(map);
  if (known !== undefined) return known;
  const made = new Map(map.items.flatMap((pair) => (isScalar(pair.key) ? [[String(pair.key.value), pair] as const] : [])));
  pairs.set(map, made);
  return made;
}

/** Reads the text of an OpenAPI document, YAML or JSON, and says in which line something stands. */
import { isAlias, isMap, LineCounter, parseDocument, type Document } from 'yaml';
import type { InputFile } from '../conversion/gateway-route.ts';
import type { Raw } from '../conversion/present.ts';

/** Uses of anchors in one file; a few lines could stand for gigabytes else. */
const aliasesMax = 100;

export type Path = readonly (string | number)[];

export interface ReadDocument {
  /** Undefined: the file is no mapping. */
  readonly root: Raw | undefined;
  /** What is wrong with the text, with its place. */
  readonly faults: readonly { readonly at: string; readonly text: string }[];
  /** `api.yaml:12`: where the thing stands, or the nearest around it. */
  at(path: Path): string;
}

export function readDocument({ name, text }: InputFile): ReadDocument {
  const lines = new LineCounter();
  const at = (offset: number): string => `${name}:${lines.linePos(offset).line || 1}`;
  try {
    const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: 'silent' });
    const faults = document.errors.slice(0, 10).map(({ pos: [offset], message }) => ({ at: at(offset), text: message }));
    if (faults.length > 0) return { root: undefined, faults, at: () => name };
    return { ...plain(document, name), at: (path) => at(offsetOf(document, path)) };
  } catch (error) {
    // Too many aliases, or mappings in mappings without end.
    return unread(name, `cannot be read: ${(error as Error).message}`);
  }
}

function plain(document: Document, name: string): ReadDocument {
  const value: unknown = document.toJS({ maxAliasCount: aliasesMax });
  return isRaw(value) ? { root: value, faults: [], at: () => name } : unread(name, 'is not a mapping');
}

function unread(name: string, text: string): ReadDocument {
  return { root: undefined, faults: [{ at: `${name}:1`, text }], at: () => name };
}

/** Of the key of the last thing on the way that is there; ways through aliases end at them. */
function offsetOf(document: Document, path: Path): number {
  let node: unknown = document.contents;
  let offset = 0;
  for (const step of path) {
    if (isAlias(node) || !isMap(node)) break;
    const pair = node.items.find(({ key: name }) => String(name) === String(step));
    if (pair === undefined) break;
    offset = (pair.key as { range?: readonly [number, ...unknown[]] }).range?.[0] ?? offset;
    node = pair.value;
  }
  return offset;
}

export function isRaw(value: unknown): value is Raw {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The mapping at that name, or an empty one. */
export function rawAt(value: unknown, name: string): Raw {
  const found = isRaw(value) && Object.hasOwn(value, name) ? value[name] : undefined;
  return isRaw(found) ? found : {};
}

export function textAt(value: Raw, name: string): string | undefined {
  const found = Object.hasOwn(value, name) ? value[name] : undefined;
  return typeof found === 'string' ? found : undefined;
}

export function listAt(value: Raw, name: string): readonly unknown[] | undefined {
  const found = Object.hasOwn(value, name) ? value[name] : undefined;
  return Array.isArray(found) ? found : undefined;
}

/**
 * Reads foreign configuration files, YAML or JSON, with the place of everything: what has another type than it should, and what
 * nobody asked for, becomes a remark with file and line. Never throws for what stands in them.
 */
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
} from 'yaml';
import type { InputFile, Remark } from './gateway-route.ts';
import { told } from './remark.ts';

/** Larger files are not read. */
const textLengthMax = 20_000_000;
/** How often anchors may be used in all: a few lines of YAML could otherwise stand for gigabytes. */
const aliasesMax = 10_000;

/** The mapping that a file is; undefined, and a remark, where it is none. */
export function readMapping(file: InputFile, remarks: Remark[]): PlacedMap | undefined {
  const read = parse(file);
  if (typeof read === 'string') {
    remarks.push(told(file.name, `${read}; nothing of it is taken over`));
    return undefined;
  }
  const { document, lines } = read;
  if (isMap(document.contents)) return placed({ file: file.name, document, lines, remarks, maps: new Map() }, document.contents);
  remarks.push(told(file.name, 'is no mapping of keys; nothing of it is taken over'));
  return undefined;
}

function parse({ name, text }: InputFile): { document: Document; lines: LineCounter } | string {
  if (text.length > textLengthMax) return `is longer than ${textLengthMax} characters`;
  const lines = new LineCounter();
  try {
    // No pretty errors: they quote lines of the file, which may hold secrets.
    const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, merge: true });
    const [fault] = document.errors;
    if (fault !== undefined) return `is not valid YAML or JSON (${name}:${lines.linePos(fault.pos[0]).line}, ${fault.code})`;
    return aliasFault(document) ?? { document, lines };
  } catch {
    // The parser gives up on thousands of nested brackets.
    return 'is nested too deeply';
  }
}

function aliasFault(document: Document): string | undefined {
  let isKnown = true;
  visit(document, { Alias: (_, alias) => void (isKnown &&= alias.resolve(document) !== undefined) });
  if (!isKnown) return 'uses an anchor that is not there';
  try {
    // Refuses an anchor that is used inside itself.
    JSON.stringify(document.toJS({ maxAliasCount: aliasesMax }));
    return undefined;
  } catch {
    return `uses its anchors more than ${aliasesMax} times, or inside themselves, or is nested too deeply`;
  }
}

interface Context {
  readonly file: string;
  readonly document: Document;
  readonly lines: LineCounter;
  readonly remarks: Remark[];
  /** Each mapping is one, however often it is asked for: it knows what was asked of it. */
  readonly maps: Map<YAMLMap, PlacedMap>;
}

function placed(context: Context, node: YAMLMap): PlacedMap {
  const known = context.maps.get(node);
  const map = known ?? new PlacedMap(context, node);
  if (known === undefined) context.maps.set(node, map);
  return map;
}

/** A mapping, whose members are asked for one by one. `null` counts as left out. */
export class PlacedMap {
  readonly #context: Context;
  readonly #node: YAMLMap;
  readonly #members: ReadonlyMap<string, Member>;
  readonly #asked = new Set<string>();

  constructor(context: Context, node: YAMLMap) {
    this.#context = context;
    this.#node = node;
    this.#members = membersOf(context.document, node);
  }

  /** Its file and line: `kong.yaml:12`. */
  get place(): string {
    return placeOf(this.#context, this.#node);
  }

  placeOf(key: string): string {
    const member = this.#members.get(key);
    return member === undefined ? this.place : placeOf(this.#context, member.key);
  }

  has(key: string): boolean {
    return this.#ask(key) !== undefined;
  }

  keys(): string[] {
    return [...this.#members.keys()];
  }

  text(key: string): string | undefined {
    return this.#scalar(key, 'a text', (value) => (typeof value === 'string' ? value : undefined));
  }

  /** A text, or a number that is meant as one. */
  word(key: string): string | undefined {
    return this.#scalar(key, 'a text', (value) =>
      typeof value === 'string' || typeof value === 'number' ? String(value) : undefined,
    );
  }

  /** Finite and not below 0; a text of digits too. */
  number(key: string): number | undefined {
    return this.#scalar(key, 'a number', (value) => {
      const number = typeof value === 'string' && /^\d+(\.\d+)?$/.test(value) ? Number(value) : value;
      return typeof number === 'number' && Number.isFinite(number) && number >= 0 ? number : undefined;
    });
  }

  flag(key: string): boolean | undefined {
    return this.#scalar(key, 'true or false', (value) => (typeof value === 'boolean' ? value : undefined));
  }

  /** Empty where it is left out; what is no text in it is told and left out. */
  texts(key: string): string[] {
    return this.#list(key).flatMap((node) => {
      if (isScalar(node) && ['string', 'number'].includes(typeof node.value)) return [String(node.value)];
      this.#wrong(node, key, 'a list of texts');
      return [];
    });
  }

  map(key: string): PlacedMap | undefined {
    const node = this.#ask(key);
    if (node === undefined) return undefined;
    if (isMap(node)) return placed(this.#context, node);
    this.#wrong(node, key, 'a mapping');
    return undefined;
  }

  /** Empty where it is left out; what is no mapping in it is told and left out. */
  maps(key: string): PlacedMap[] {
    return this.#list(key).flatMap((node) => {
      if (isMap(node)) return [placed(this.#context, node)];
      this.#wrong(node, key, 'a list of mappings');
      return [];
    });
  }

  /** True if it is there and a list. */
  isList(key: string): boolean {
    return isSeq(this.#ask(key));
  }

  /** True if it is there and a mapping. */
  isMap(key: string): boolean {
    return isMap(this.#ask(key));
  }

  /** The same as plain data, whatever it is. */
  plain(key: string): unknown {
    return this.#ask(key)?.toJS(this.#context.document);
  }

  tell(about: string, text: string, key?: string): void {
    const place = key === undefined ? this.place : this.placeOf(key);
    this.#context.remarks.push(told(about, `${place}: ${text}`));
  }

  /** Tells every member that nobody has asked for, but those that say nothing to Foregate. */
  tellRest(about: string, harmless: readonly string[] = []): void {
    for (const name of this.#rest(harmless)) this.tell(about, `${JSON.stringify(name)} is not taken over`, name);
  }

  /** The same, but for files that a program has written with all that there is: what is off, 0 or empty is no setting. */
  tellUsedRest(about: string, harmless: readonly string[] = []): void {
    const rest = this.#rest(harmless).filter((name) => !isUnused(this.plain(name)));
    for (const name of rest) this.tell(about, `${JSON.stringify(name)} is not taken over`, name);
  }

  #rest(harmless: readonly string[]): string[] {
    return [...this.#members.keys()].filter((name) => !this.#asked.has(name) && !harmless.includes(name));
  }

  #ask(key: string): Node | undefined {
    this.#asked.add(key);
    const node = this.#members.get(key)?.value;
    return isScalar(node) && node.value === null ? undefined : node;
  }

  #scalar<T>(key: string, kind: string, take: (value: unknown) => T | undefined): T | undefined {
    const node = this.#ask(key);
    if (node === undefined) return undefined;
    const taken = isScalar(node) ? take(node.value) : undefined;
    if (taken === undefined) this.#wrong(node, key, kind);
    return taken;
  }

  #list(key: string): Node[] {
    const node = this.#ask(key);
    if (node === undefined) return [];
    if (isSeq(node)) return node.items.map((item) => resolved(this.#context.document, item as Node));
    this.#wrong(node, key, 'a list');
    return [];
  }

  #wrong(node: Node, key: string, kind: string): void {
    const { file, remarks } = this.#context;
    remarks.push(told(file, `${placeOf(this.#context, node)}: "${key}" should be ${kind}; it is not taken over`));
  }
}

/** `false`, 0, '', null, or nothing but those. */
function isUnused(value: unknown): boolean {
  return typeof value === 'object' && value !== null ? Object.values(value).every(isUnused) : !value;
}

interface Member {
  readonly key: Node;
  readonly value: Node | undefined;
}

/** With those of `<<`; its own count more. */
function membersOf(document: Document, node: YAMLMap): Map<string, Member> {
  const own = new Map<string, Member>();
  const merged = new Map<string, Member>();
  for (const { key, value } of node.items as Pair<Node, Node | null>[]) {
    const member = { key, value: value === null ? undefined : resolved(document, value) };
    if (isMerge(key)) for (const [name, one] of mergedMembers(document, member.value)) merged.set(name, one);
    else own.set(String(isScalar(key) ? key.value : key), member);
  }
  return new Map([...merged, ...own]);
}

function isMerge(key: Node): boolean {
  return isScalar(key) && (key.value === '<<' || typeof key.value === 'symbol');
}

/** Of a list the first counts most. */
function mergedMembers(document: Document, value: Node | undefined): [string, Member][] {
  if (isMap(value)) return [...membersOf(document, value)];
  if (!isSeq(value)) return [];
  return value.items.toReversed().flatMap((item) => mergedMembers(document, resolved(document, item as Node)));
}

function resolved(document: Document, node: Node): Node {
  // That it is there, and not inside itself, was seen before.
  return isAlias(node) ? resolved(document, node.resolve(document) as Node) : node;
}

function placeOf({ file, lines }: Context, node: Node): string {
  return `${file}:${lines.linePos(node.range?.[0] ?? 0).line}`;
}

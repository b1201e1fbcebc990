/** Remembers of mappings and lists that are made from a document where each of their members was read. */
import { isMapping, type Mapping } from '../../gateway/core/mapping.ts';
import type { Path, PlaceInFile } from '../../gateway/core/problem.ts';

/** A key of a part that was read. */
export interface Origin {
  readonly owner: object;
  readonly key?: string | number | undefined;
  /** What is meant, whatever is asked for: a path stands in a key. */
  readonly at?: 'key' | 'value';
}

/** Says where parts were read; undefined for parts that were not. */
export type Locate = (owner: object, key: string | number | undefined, at: 'key' | 'value') => PlaceInFile | undefined;

/** A member to be: its value, and where that was read. */
export interface Member {
  readonly key: string;
  readonly value: unknown;
  readonly origin: Origin;
}

export class Origins {
  readonly #known = new WeakMap<object, ReadonlyMap<string | number, Origin>>();
  readonly #verbatim = new WeakSet<object>();
  readonly #locate: Locate;

  constructor(locate: Locate) {
    this.#locate = locate;
  }

  /** A mapping of members; of two with one key the later one counts. */
  mapping(members: readonly Member[]): Mapping {
    const made = Object.fromEntries(members.map(({ key, value }) => [key, value]));
    this.#known.set(made, new Map(members.map(({ key, origin }) => [key, origin])));
    return made;
  }

  /** Says of a part that it is the document's own, such as a schema: no variables are put into it. */
  verbatim<T extends object>(part: T): T {
    this.#verbatim.add(part);
    return part;
  }

  isVerbatim(part: object): boolean {
    return this.#verbatim.has(part);
  }

  list(entries: readonly { readonly value: unknown; readonly origin: Origin }[]): readonly unknown[] {
    const made = entries.map(({ value }) => value);
    this.#known.set(made, new Map(entries.map(({ origin }, index) => [index, origin])));
    return made;
  }

  /**
   * One mapping of several, of which a later one wins: mappings key by key, all else as a whole. What is no mapping is passed over,
   * and a single one stays as it is.
   */
  merged(layers: readonly unknown[]): Mapping | undefined {
    const mappings = layers.filter(isMapping);
    const [only, ...more] = new Set(mappings);
    if (only === undefined || more.length === 0) return only;
    const keys = [...new Set(mappings.flatMap((layer) => Object.keys(layer)))];
    return this.mapping(keys.map((key) => this.#mergedMember(key, mappings)));
  }

  #mergedMember(key: string, layers: readonly Mapping[]): Member {
    const having = layers.filter((layer) => Object.hasOwn(layer, key));
    const last = having.at(-1) ?? {};
    const value = isMapping(last[key]) ? this.merged(having.map((layer) => layer[key])) : last[key];
    return { key, value, origin: this.of(last, key) };
  }

  /** The members of a mapping, each with its origin. */
  members(part: Mapping): Member[] {
    return Object.entries(part).map(([key, value]) => ({ key, value, origin: this.of(part, key) }));
  }

  /** Where a member of a part was read, or that part itself. */
  of(part: object, key: string | number): Origin {
    return this.#known.get(part)?.get(key) ?? { owner: part, key };
  }

  /** Where one member stands, or a part itself. */
  place(owner: object, key: string | number | undefined, at: 'key' | 'value'): PlaceInFile | undefined {
    const origin = key === undefined ? { owner, key } : this.of(owner, key);
    return this.#locate(origin.owner, origin.key, at) ?? this.#locate(owner, undefined, at);
  }

  /** The place of a part of a made one, or of the nearest above it that was read. */
  locate(made: object, path: Path, at: 'key' | 'value'): PlaceInFile | undefined {
    let part: unknown = made;
    let place: PlaceInFile | undefined;
    for (const [depth, step] of path.entries()) {
      if (typeof part !== 'object' || part === null) return place;
      const { owner, key, at: meant } = this.of(part, step);
      const isLast = depth === path.length - 1;
      place = this.#locate(owner, key, meant ?? (isLast ? at : 'value')) ?? place;
      part = Object.hasOwn(part, step) ? (part as Mapping)[step] : undefined;
    }
    return place;
  }
}

/** Puts into the place of each `$ref` what it leads to: each part is seen once, and shared, so that nothing gets larger. */
import { limits } from '../../gateway/core/limits.ts';
import type { Mapping } from '../../gateway/core/mapping.ts';
import { isPlainReference, type Reference } from './references.ts';

export interface References {
  /** False for what only looks like a reference. */
  isKnown(part: object): part is Reference;
  target(ref: string, near: object): unknown;
}

/**
 * A `$ref` to a part around it stays, so that no part is inside of itself, and so does one that would make too many levels: large
 * documents have long ways from one schema to the next.
 * @returns a part that has too many levels below it, if there is one: then not all is linked
 */
export function link(root: object, references: References): object | undefined {
  const linking = new Linking(references);
  linking.link(root, 0);
  return linking.tooDeep;
}

class Linking {
  readonly #references: References;
  /** How many levels are in each part that is done. */
  readonly #levels = new Map<object, number>();
  tooDeep: object | undefined;
  readonly #around = new Set<object>();

  constructor(references: References) {
    this.#references = references;
  }

  /** `depth`: of the part in what is gone through just now. */
  link(part: object, depth: number): void {
    if (this.#levels.has(part) || this.tooDeep !== undefined) return;
    this.#levels.set(part, 0);
    this.#around.add(part);
    let below = 0;
    for (const [key, child] of Object.entries(part)) {
      if (!isObject(child)) continue;
      const linked = this.#linked(child, depth + 1);
      write(part, key, linked);
      below = Math.max(below, this.#levels.get(linked) ?? 0);
    }
    this.#around.delete(part);
    this.#levels.set(part, below + 1);
    if (Math.max(depth, below) >= limits.documentLevels) this.tooDeep ??= part;
  }

  #linked(child: object, depth: number): object {
    if (depth >= limits.documentLevels) this.tooDeep ??= child;
    if (!this.#references.isKnown(child)) {
      this.link(child, depth);
      return child;
    }
    const target = this.#references.target(child.$ref, child);
    if (!isObject(target) || this.#around.has(target)) return child;
    if (depth > limits.followedLevels) return child;
    this.link(target, depth);
    if (depth + (this.#levels.get(target) ?? 0) > limits.followedLevels) return child;
    if (isPlainReference(child)) return target;
    this.link(child, depth);
    return child;
  }
}

/** Also under the name `__proto__`. */
function write(part: object, key: string, value: object): void {
  if ((part as Mapping)[key] === value) return;
  Object.defineProperty(part, key, { value, enumerable: true, writable: true, configurable: true });
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

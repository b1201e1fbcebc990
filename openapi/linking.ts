/** Puts into the place of each `$ref` what it leads to: each part is seen once, and shared, so that nothing gets larger. */
import type { Mapping } from '../gateway/core/mapping.ts';
import { isPlainReference, type Reference } from './references.ts';

export interface References {
  /** False for what only looks like a reference. */
  isKnown(part: object): part is Reference;
  target(ref: string, near: object): unknown;
}

/** A `$ref` to a part around it stays, so that no part is inside of itself. */
export function link(root: object, references: References): void {
  new Linking(references).link(root);
}

class Linking {
  readonly #references: References;
  readonly #done = new Set<object>();
  readonly #around = new Set<object>();

  constructor(references: References) {
    this.#references = references;
  }

  link(part: object): void {
    if (this.#done.has(part)) return;
    this.#done.add(part);
    this.#around.add(part);
    for (const [key, child] of Object.entries(part)) if (isObject(child)) write(part, key, this.#linked(child));
    this.#around.delete(part);
  }

  #linked(child: object): object {
    if (!this.#references.isKnown(child)) {
      this.link(child);
      return child;
    }
    const target = this.#references.target(child.$ref, child);
    if (!isObject(target) || this.#around.has(target)) return child;
    this.link(target);
    if (isPlainReference(child)) return target;
    this.link(child);
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

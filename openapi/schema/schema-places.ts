/** Where the `$ref`s of one JSON Schema (2020-12) lead, inside it: by pointer, `$anchor` or `$id`. */
import { allSchemaParts, schemaParts } from './schema-parts.ts';

const noBase = 'schema:/';

export class SchemaPlaces {
  readonly #root: unknown;
  /** The URI that relative ones start from. */
  readonly #bases = new Map<unknown, string>();
  /** By URI, those of anchors with their fragment. */
  readonly #named = new Map<string, unknown>();

  constructor(root: unknown) {
    this.#root = root;
    this.#named.set(noBase, root);
    this.#note(root, noBase);
  }

  /** What a `$ref` that stands in `near` leads to; undefined if that is not in the schema. */
  target(near: object, ref: string): unknown {
    const base = this.#bases.get(near) ?? noBase;
    if (!URL.canParse(ref, base)) return undefined;
    const url = new URL(ref, base);
    const fragment = safelyDecoded(url.hash.slice(1));
    url.hash = '';
    if (fragment === '' || fragment.startsWith('/')) return followed(this.#named.get(url.href), fragment);
    return this.#named.get(`${url.href}#${fragment}`);
  }

  /**
   * Parts that a `$ref` leads back to from inside of them, so many that no circle is without one; each with the last word of that
   * `$ref`.
   */
  circular(): Map<unknown, string> {
    const found = new Map<unknown, string>();
    const done = new Set<unknown>();
    const open = new Set<unknown>();
    const visit = (part: unknown): void => {
      done.add(part);
      open.add(part);
      for (const [target, ref] of this.#targets(part)) {
        if (open.has(target)) found.set(target, /[^/#]*$/.exec(ref)?.[0] ?? '');
        else if (!done.has(target)) visit(target);
      }
      open.delete(part);
    };
    visit(this.#root);
    return found;
  }

  #targets(part: unknown): [target: unknown, ref: string][] {
    const found: [unknown, string][] = [];
    for (const one of withInner(part)) {
      const { $ref } = one as { readonly $ref?: unknown };
      if (typeof $ref !== 'string') continue;
      const target = this.target(one, $ref);
      if (target !== undefined) found.push([target, $ref]);
    }
    return found;
  }

  #note(part: unknown, base: string): void {
    if (typeof part !== 'object' || part === null) return;
    const { $id, $anchor } = part as { readonly $id?: unknown; readonly $anchor?: unknown };
    const own = typeof $id === 'string' && URL.canParse($id, base) ? new URL($id, base).href.replace(/#$/, '') : base;
    this.#bases.set(part, own);
    if (own !== base) this.#named.set(own, part);
    if (typeof $anchor === 'string') this.#named.set(`${own}#${$anchor}`, part);
    for (const inner of allSchemaParts(part)) this.#note(inner, own);
  }
}

/** A schema and all schemas in it that its values meet. */
function* withInner(part: unknown): Generator<object> {
  if (typeof part !== 'object' || part === null) return;
  yield part;
  for (const inner of schemaParts(part)) yield* withInner(inner);
}

/** RFC 6901. */
function followed(root: unknown, pointer: string): unknown {
  let part = root;
  for (const step of pointer.split('/').slice(1)) {
    const name = step.replaceAll('~1', '/').replaceAll('~0', '~');
    if (typeof part !== 'object' || part === null || !Object.hasOwn(part, name)) return undefined;
    part = Reflect.get(part, name);
  }
  return part;
}

function safelyDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** What holds in a location of nginx: its own directives, else those of the blocks around it. */
import type { Directive } from './conf-file.ts';

export class Scope {
  readonly own: readonly Directive[];
  readonly #outer: Scope | undefined;

  constructor(own: readonly Directive[], outer?: Scope) {
    this.own = own;
    this.#outer = outer;
  }

  /** All of one name, of the innermost block that has any: so nginx hands down lists. */
  all(name: string): readonly Directive[] {
    const found = this.own.filter((directive) => directive.name === name);
    return found.length > 0 ? found : (this.#outer?.all(name) ?? []);
  }

  /** The first argument of the last of one name. */
  value(name: string): string | undefined {
    return this.all(name).at(-1)?.args[0];
  }
}

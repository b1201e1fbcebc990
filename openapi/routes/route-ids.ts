/** Ids of routes from `operationId`s, or from a method and its path: as an id may be, and each once. */

/** Leaves room for a number at its end. */
const lengthMax = 56;

/** As `id` of a route may be. */
function fit(name: string): string {
  const fitting = name
    .replaceAll(/[^A-Za-z0-9._]+/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '')
    .replace(/-+$/, '')
    .slice(0, 64);
  return fitting === '' ? 'route' : fitting;
}

export class RouteIds {
  readonly #taken: Set<string>;
  /** The number that was given last, so that thousands of the same name need no search each. */
  readonly #last = new Map<string, number>();

  constructor(taken: Iterable<string>) {
    this.#taken = new Set(taken);
  }

  /** The name made fit, with the first number that makes it one of its own. */
  free(name: string): string {
    const wanted = fit(name);
    let id = wanted;
    let number = this.#last.get(wanted) ?? 1;
    while (this.#taken.has(id)) id = `${wanted.slice(0, lengthMax)}-${(number += 1)}`;
    this.#last.set(wanted, number);
    this.#taken.add(id);
    return id;
  }
}

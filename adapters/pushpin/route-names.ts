/** Ids of routes: those of the routes file where they can be kept, else from host and path; the same for the same file. */
import type { Finding } from './finding.ts';
import type { PushpinRoute } from './routes-file.ts';

/** Leaves room for a number at its end. */
const lengthMax = 56;

type Tell = (option: string, verdict: Finding['verdict'], text: string) => void;

export class RouteNames {
  readonly #counts = new Map<string, number>();
  /** Ids of the file: no name made up here may take one away. */
  readonly #kept: ReadonlySet<string>;
  readonly #used = new Set<string>();
  /** What it means that clients cannot name a route by the id that it has in the file. */
  readonly #verdict: Finding['verdict'];

  /** @param chosen whether clients choose routes by their ids */
  constructor(routes: readonly PushpinRoute[], chosen: boolean) {
    this.#verdict = chosen ? 'refused' : 'ignored';
    for (const { id } of routes) if (id !== undefined) this.#counts.set(id, (this.#counts.get(id) ?? 0) + 1);
    this.#kept = new Set([...this.#counts].flatMap(([id, count]) => (count === 1 && slug(id) === id ? [id] : [])));
  }

  /** A name that no other route has. */
  next(route: PushpinRoute, tell: Tell): string {
    const wanted = this.#wanted(route, tell);
    const name = wanted === route.id && !this.#used.has(wanted) ? wanted : this.#free(wanted);
    this.#used.add(name);
    return name;
  }

  #free(wanted: string): string {
    let name = wanted;
    for (let number = 2; this.#used.has(name) || this.#kept.has(name); number += 1) name = `${wanted}-${number}`;
    return name;
  }

  /** Whether the id of a route is its own, so that it can be chosen by it. */
  isOwn({ id }: PushpinRoute): boolean {
    return id !== undefined && this.#counts.get(id) === 1;
  }

  #wanted({ id, host, pathBeg }: PushpinRoute, tell: Tell): string {
    const own = slug(`${host === '*' ? '' : host}${pathBeg}`) || 'main';
    if (id === undefined) return own;
    const twice = (this.#counts.get(id) ?? 0) > 1;
    if (twice) tell('id', this.#verdict, `The id ${JSON.stringify(id)} stands twice, so Pushpin uses it for no route.`);
    if (twice) return this.#counts.has(own) ? `${own}-1` : own;
    const name = slug(id) || own;
    if (name !== id)
      tell('id', this.#verdict, `An id has letters, digits, ".", "_" and "-" only, so it becomes ${JSON.stringify(name)}.`);
    return name;
  }
}

function slug(text: string): string {
  return text
    .replace(/[^A-Za-z0-9._-]+/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '')
    .slice(0, lengthMax)
    .replace(/[-.]+$/, '');
}

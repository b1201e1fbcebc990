/** The guards of all targets: one for each place and its terms, whoever sends there. They go on through reloads. */
import type { Route } from '../core/route.ts';
import type { TargetGuard, TargetReport } from '../core/target-guard.ts';
import { BreakerAndCap, type GuardParts, type GuardTerms } from './breaker-and-cap.ts';

export class TargetGuards {
  readonly #parts: GuardParts;
  #guards = new Map<string, TargetGuard>();

  constructor(parts: GuardParts) {
    this.#parts = parts;
  }

  /** The same for the same terms; undefined where nothing is to be guarded. */
  of(terms: GuardTerms): TargetGuard | undefined {
    if (terms.breaker === undefined && terms.inFlight === undefined) return undefined;
    const key = JSON.stringify(terms);
    const known = this.#guards.get(key) ?? new BreakerAndCap(terms, this.#parts);
    this.#guards.set(key, known);
    return known;
  }

  /** Forgets all but those of these routes: nothing new goes by the others. */
  keep(routes: readonly Route[]): void {
    const wanted = new Set(routes.flatMap(({ targets }) => targets.map(({ guard }) => guard)));
    this.#guards = new Map([...this.#guards].filter(([, guard]) => wanted.has(guard)));
  }

  report(): readonly TargetReport[] {
    return [...this.#guards.values()].map((guard) => guard.report());
  }
}

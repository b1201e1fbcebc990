/** The guards of all targets: one for each place and its terms, whoever sends there. They go on through reloads. */
import type { CircuitState, TargetGuard } from '../core/target-guard.ts';
import { BreakerAndCap, type GuardParts, type GuardTerms } from './breaker-and-cap.ts';

/** What metrics tell of a target; undefined for what it does not have. */
export interface TargetNumbers {
  readonly target: string;
  readonly circuit: CircuitState | undefined;
  readonly running: number | undefined;
  readonly waiting: number | undefined;
  readonly limit: number | undefined;
}

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

  /** Forgets the others: nothing new goes by them. */
  keep(used: Iterable<TargetGuard>): void {
    const wanted = new Set(used);
    this.#guards = new Map([...this.#guards].filter(([, guard]) => wanted.has(guard)));
  }

  *numbers(): Generator<TargetNumbers> {
    for (const guard of this.#guards.values()) {
      const { circuit, inFlight } = guard.report();
      const { running, waiting, limit } = inFlight ?? {};
      yield { target: guard.origin, circuit, running, waiting, limit };
    }
  }
}

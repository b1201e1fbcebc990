/** The leases that holders of this process have of a store that several share: what it must know of the process again when it was away. */
import type { LeaseHolder, LeaseTerms } from '../core/store.ts';

/** `name` and `id` are what the store calls key and holder. */
export interface Held {
  readonly name: string;
  readonly id: string;
  readonly holder: LeaseHolder;
  readonly terms: LeaseTerms;
  /** Microseconds since 1970, by the store's clock where it was there: who came first. */
  readonly since: number;
  /** Under which of its names the store has this process as the one whose holder that is; empty where it has not. */
  at: string;
}

export class HeldLeases {
  /** In the order in which they came. */
  readonly #held = new Map<string, Map<string, Held>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  find(name: string, id: string): Held | undefined {
    return this.#held.get(name)?.get(id);
  }

  *all(): Generator<Held> {
    for (const held of this.#held.values()) yield* held.values();
  }

  /** Whatever its terms: it was decided elsewhere. */
  add(held: Held): void {
    const others = this.#held.get(held.name) ?? new Map<string, Held>();
    if (!others.has(held.id)) this.#size += 1;
    this.#held.set(held.name, others.set(held.id, held));
  }

  /** Whether the terms let it in beside those of this process; who has to go for it is told. */
  addIfFits(held: Held): boolean {
    const { max, over } = held.terms;
    const others = [...(this.#held.get(held.name)?.values() ?? [])];
    if (over === 'refuse' && others.length >= max) return false;
    const losers = others.slice(0, Math.max(0, others.length - max + 1));
    for (const loser of losers) this.remove(loser.name, loser.id);
    this.add(held);
    // Only now, since who is told may ask for something itself.
    for (const { holder } of losers) holder.lost();
    return true;
  }

  remove(name: string, id: string): Held | undefined {
    const others = this.#held.get(name);
    const held = others?.get(id);
    if (others === undefined || held === undefined) return undefined;
    others.delete(id);
    if (others.size === 0) this.#held.delete(name);
    this.#size -= 1;
    return held;
  }
}

/** The leases of one process: who holds them lives in it, so it is enough to know them; none can outlive its process. */
import type { LeaseHolder, LeaseTerms } from '../core/store.ts';

export class MemoryLeases {
  /** In the order in which they came. */
  readonly #holders = new Map<string, Map<string, LeaseHolder>>();
  readonly #leasesMax: number;
  #count = 0;

  /** Above so many leases nobody gets one more. */
  constructor(leasesMax: number) {
    this.#leasesMax = leasesMax;
  }

  lease(key: string, holder: LeaseHolder, { max, over }: LeaseTerms): boolean {
    const holders = this.#holders.get(key) ?? new Map<string, LeaseHolder>();
    if (holders.has(holder.id)) return true;
    if (over === 'refuse' && holders.size >= max) return false;
    if (this.#count >= this.#leasesMax && holders.size < max) return false;
    const losers = this.#makeRoom(key, holders, max);
    holders.set(holder.id, holder);
    this.#holders.set(key, holders);
    this.#count += 1;
    // Only now, since who is told may ask for something itself.
    for (const loser of losers) loser.lost();
    return true;
  }

  release(key: string, holderId: string): void {
    const holders = this.#holders.get(key);
    if (holders?.delete(holderId) !== true) return;
    this.#count -= 1;
    if (holders.size === 0) this.#holders.delete(key);
  }

  /** Takes leases from those who came first until there is room for one. */
  #makeRoom(key: string, holders: ReadonlyMap<string, LeaseHolder>, max: number): readonly LeaseHolder[] {
    const losers: LeaseHolder[] = [];
    for (const oldest of holders.values()) {
      if (holders.size < max) break;
      this.release(key, oldest.id);
      losers.push(oldest);
    }
    return losers;
  }

  clear(): void {
    this.#holders.clear();
    this.#count = 0;
  }
}

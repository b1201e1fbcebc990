/** The store of one worker: counts and leases stand in the primary, so they hold over all workers together. */
import type { LeaseHolder, LeaseTerms, Store } from '../core/store.ts';
import type { ClusterMember } from './cluster-member.ts';

/** Leases of a worker end with it. What the primary does not answer in time rejects, and whoever asked has to deny. */
export function clusterStore(member: ClusterMember): Store {
  const leases = new ClusterLeases(member);
  member.onLost((key, holder) => leases.lost(key, holder));
  return {
    take: (key, budget, cost) => member.call('take', { key, budget, cost }),
    lease: (key, holder, terms) => leases.lease(key, holder, terms),
    release: (key, holder) => leases.release(key, holder),
    close: async () => leases.clear(),
  };
}

class ClusterLeases {
  readonly #member: ClusterMember;
  readonly #holders = new Map<string, LeaseHolder>();
  /** Those that do not know yet whether they have theirs. */
  readonly #asking = new Set<string>();

  constructor(member: ClusterMember) {
    this.#member = member;
  }

  async lease(key: string, holder: LeaseHolder, terms: LeaseTerms): Promise<boolean> {
    const name = nameOf(key, holder.id);
    if (!this.#holders.has(name)) this.#holders.set(name, holder);
    this.#asking.add(name);
    try {
      const granted = await this.#member.call('lease', { key, holder: holder.id, terms });
      if (!granted) this.#holders.delete(name);
      return granted;
    } catch (error) {
      // It may be given yet.
      this.release(key, holder.id);
      throw error;
    } finally {
      this.#asking.delete(name);
    }
  }

  release(key: string, holder: string): void {
    if (this.#holders.delete(nameOf(key, holder))) this.#member.say({ kind: 'release', key, holder });
  }

  /** Who gets the answer with the same frame hears of the answer first. */
  lost(key: string, holder: string): void {
    const name = nameOf(key, holder);
    const loser = this.#holders.get(name);
    this.#holders.delete(name);
    if (this.#asking.has(name)) setImmediate(() => loser?.lost());
    else loser?.lost();
  }

  clear(): void {
    this.#holders.clear();
  }
}

/** No id has a line feed. */
function nameOf(key: string, holder: string): string {
  return `${holder}\n${key}`;
}

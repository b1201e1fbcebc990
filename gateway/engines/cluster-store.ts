/** The store of one worker: counts and leases stand in the primary, so they hold over all workers together. */
import type { LeaseHolder, Store } from '../core/store.ts';
import type { ClusterMember } from './cluster-member.ts';

/** Leases of a worker end with it. What the primary does not answer in time rejects, and whoever asked has to deny. */
export function clusterStore(member: ClusterMember): Store {
  const holders = new Map<string, LeaseHolder>();

  const release = (key: string, holder: string): void => {
    if (holders.delete(nameOf(key, holder))) member.say({ kind: 'release', key, holder });
  };

  member.onLost((key, holder) => {
    const lost = holders.get(nameOf(key, holder));
    holders.delete(nameOf(key, holder));
    lost?.lost();
  });
  return {
    take: (key, budget, cost) => member.call('take', { key, budget, cost }),
    async lease(key, holder, terms) {
      const name = nameOf(key, holder.id);
      if (!holders.has(name)) holders.set(name, holder);
      try {
        const granted = await member.call('lease', { key, holder: holder.id, terms });
        if (!granted) holders.delete(name);
        return granted;
      } catch (error) {
        // It may be given yet.
        release(key, holder.id);
        throw error;
      }
    },
    release,
    close: async () => {
      holders.clear();
    },
  };
}

/** No id has a line feed. */
function nameOf(key: string, holder: string): string {
  return `${holder}\n${key}`;
}

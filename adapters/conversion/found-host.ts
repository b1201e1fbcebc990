/** Names of hosts that were read of a gateway. */
import type { PlacedMap } from './placed.ts';

/**
 * Those that `match.host` can say, without ports; each other one is told. Undefined if none of several is left: without them the
 * route would get more requests than it did.
 */
export function foundHosts(from: PlacedMap, about: string, hosts: readonly string[], key: string): string[] | undefined {
  const fit = hosts.flatMap((host) => {
    const name = host.replace(/:\d+$/, '');
    if (!/^(\*\.)?[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$/.test(name)) {
      from.tell(about, `the host ${JSON.stringify(host)} cannot be matched here, and is left out`, key);
      return [];
    }
    if (name !== host) from.tell(about, `the host ${JSON.stringify(host)} is matched here without its port`, key);
    return [name.toLowerCase()];
  });
  return hosts.length > 0 && fit.length === 0 ? undefined : [...new Set(fit)];
}

/** A caller that was read of a gateway. */
import type { GatewayCaller } from './gateway-route.ts';
import type { PlacedMap } from './placed.ts';

/** None, and a remark, where Foregate has no such names. `from` is where it stands. */
export function foundCaller(from: PlacedMap, name: string | undefined, key: string | undefined): GatewayCaller[] {
  if (name !== undefined && /^[A-Za-z0-9._-]{1,100}$/.test(name)) return [{ name, key }];
  from.tell('callers', 'one whose name has other characters than letters, digits, ".", "_" and "-" is not taken over');
  return [];
}

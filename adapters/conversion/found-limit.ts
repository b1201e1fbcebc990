/** A limit that was read of a gateway. */
import type { GatewayLimit } from './gateway-route.ts';
import type { PlacedMap } from './placed.ts';

/** None, and a remark, where Foregate has no such limits: it counts whole requests in whole seconds. */
export function foundLimit(from: PlacedMap, about: string, limit: GatewayLimit): GatewayLimit[] {
  const isWhole = [limit.count, limit.windowSeconds].every((number) => Number.isSafeInteger(number) && number >= 1);
  if (!isWhole) from.tell(about, `a limit of ${limit.count} in ${limit.windowSeconds} s is not taken over`);
  return isWhole ? [limit] : [];
}

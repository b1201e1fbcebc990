/** The words of Kong's plugin `rate-limiting`. */
import type { GatewayLimit } from '../conversion/gateway-route.ts';

/** By their seconds. Months and years have no fixed length. */
export const windows: ReadonlyMap<number, string> = new Map([
  [1, 'second'],
  [60, 'minute'],
  [3600, 'hour'],
  [86_400, 'day'],
]);

/** A service that is written has one route. */
export const limitWords: Readonly<Record<GatewayLimit['by'], string>> = {
  caller: 'consumer',
  address: 'ip',
  route: 'service',
};

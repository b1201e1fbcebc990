/** What Tyk is told for each method by itself. */
import type { GatewayRoute } from '../conversion/gateway-route.ts';

const all = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'];

export function methodsOf({ eventsOnly }: GatewayRoute): readonly string[] {
  return eventsOnly ? ['POST'] : all;
}

/** Where a limit of size holds, Tyk wants a `Content-Length`: a GET, such as one for an event stream, has none. */
export const withBody = ['POST', 'PUT', 'PATCH'];

/** Tyk gives up after whole seconds. */
export function secondsOf({ readMs }: GatewayRoute): number {
  return Math.floor(readMs / 1000);
}

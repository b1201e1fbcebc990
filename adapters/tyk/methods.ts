/** What Tyk is told for each method by itself. */
import type { GatewayRoute } from '../gateway-route.ts';

const all = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'];

export function methodsOf({ eventsOnly }: GatewayRoute): readonly string[] {
  return eventsOnly ? ['POST'] : all;
}

/** Tyk gives up after whole seconds. */
export function secondsOf({ readMs }: GatewayRoute): number {
  return Math.floor(readMs / 1000);
}

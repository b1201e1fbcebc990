/** Names of variables, zones and locations in an exported `nginx.conf`: made from numbers, so that nothing can be hidden in them. */
import type { CredentialPlace, GatewayRoute } from '../conversion/gateway-route.ts';
import { basePath } from '../conversion/proxy-routes.ts';

/** A route and its place in the model, from 1. */
export interface Numbered {
  readonly route: GatewayRoute;
  readonly number: number;
}

/** Header fields have no case; nginx gives parameters none either. */
export function callerVariable({ in: where, name }: CredentialPlace): string {
  return `$caller_${where}_${name.toLowerCase().replaceAll('-', '_')}`;
}

/** Undefined where the path goes to the backend as it is. */
export function uriVariable({ route, number }: Numbered): string | undefined {
  const isSame = !route.stripPath && basePath(route) === '' && !hidesParameter(route);
  return isSame ? undefined : `$uri_${number}`;
}

/** Undefined where the query goes to the backend as it is. */
export function argsVariable({ route, number }: Numbered): string | undefined {
  return hidesParameter(route) ? `$args_${number}` : undefined;
}

export function zoneName(number: number, index: number): string {
  return `limit_${number}_${index + 1}`;
}

export function indent(lines: readonly string[]): string[] {
  return lines.map((line) => (line === '' ? '' : `  ${line}`));
}

function hidesParameter({ auth }: GatewayRoute): boolean {
  return auth.kind === 'key' && auth.hidden && auth.place.in === 'query';
}

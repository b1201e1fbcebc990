/** What the API gateways of the clouds have in common: they know whole segments of a path, and reach what the Internet reaches. */
import { isIP } from 'node:net';
import type { GatewayRoute, Remark } from './gateway-route.ts';
import { refused, tightened, told } from './remark.ts';

/** The path of a route without a `/` at its end; empty for `/`. */
export function basePath({ path }: GatewayRoute): string {
  return path.replace(/\/$/, '');
}

/** True unless only what is below the path is meant: `/chat` and `/`, but not `/chat/`. */
export function includesBase({ path }: GatewayRoute): boolean {
  return path === '/' || !path.endsWith('/');
}

/** Where requests for the base path of a route go; what is below it is appended. No `/` at its end. */
export function backendBase(route: GatewayRoute): string {
  const base = route.backend.href.replace(/\/$/, '');
  return route.stripPath ? base : base + basePath(route);
}

/** What is to be said of routes for each of these gateways. */
export function cloudRemarks(routes: readonly GatewayRoute[]): Remark[] {
  const firstWith = new Map<string, string>();
  return routes.flatMap((route) => {
    const base = basePath(route);
    const first = firstWith.get(base);
    if (first === undefined) firstWith.set(base, route.id);
    const taken = first === undefined ? [] : [refused(route.id, `has the path of ${first}; export one of them with --route`)];
    return [...taken, ...pathRemarks(route), ...limitRemarks(route), ...backendRemarks(route)];
  });
}

function pathRemarks(route: GatewayRoute): Remark[] {
  const { path } = route;
  const hasOddSegment = path
    .split('/')
    .some((segment, at, all) => isOdd(segment) || (segment === '' && at > 0 && at < all.length - 1));
  if (hasOddSegment || !/^[A-Za-z0-9._/-]+$/.test(path))
    return [
      refused(route.id, `has the path ${JSON.stringify(path)}: only segments of letters, digits, "-", "." and "_" can be said`),
    ];
  if (path.endsWith('/')) return [];
  return [tightened(route.id, `knows whole segments: ${path} and what is below ${path}/, but not ${path}x`)];
}

function isOdd(segment: string): boolean {
  return segment === '.' || segment === '..';
}

function limitRemarks(route: GatewayRoute): Remark[] {
  return route.limits.flatMap(({ by }) => {
    if (by === 'address')
      return [refused(route.id, 'limits by address, but the gateway takes that of Foregate for the address of all clients')];
    if (by === 'caller' && route.auth.kind === 'none') return [refused(route.id, 'limits by caller, but has "auth: none"')];
    return [];
  });
}

function backendRemarks(route: GatewayRoute): Remark[] {
  const { hostname } = route.backend;
  if (!isLocal(hostname)) return [];
  return [told(route.id, `leads to ${hostname}, which the gateway reaches only if it runs in the same network`)];
}

function isLocal(hostname: string): boolean {
  if (isIP(hostname) === 4) return /^(?:127|10|192\.168|169\.254|172\.(?:1[6-9]|2\d|3[01]))\./.test(hostname);
  return /^\[(?:::1|f[cde])/i.test(hostname) || !hostname.includes('.');
}

/** What AWS API Gateway cannot do for a route, or does in another way. */
import type { GatewayAuth, GatewayModel, GatewayRoute, Remark } from '../conversion/gateway-route.ts';
import { refused, tightened, told } from '../conversion/remark.ts';

/** REST APIs know keys; HTTP APIs know tokens. */
export type ApiKind = 'rest' | 'http';

/** Bounds of API Gateway. */
const largestBody = 10 * 1024 * 1024;
const timeouts = { leastMs: 50, mostMs: 29_000 } as const;

export function kindOfApi(routes: readonly GatewayRoute[]): ApiKind {
  const usesTokens = routes.some(({ auth }) => auth.kind === 'jwt');
  return usesTokens && routes.every(({ auth }) => auth.kind !== 'key') ? 'http' : 'rest';
}

/** In milliseconds. */
export function integrationTimeout({ readMs }: GatewayRoute): number {
  return Math.min(readMs, timeouts.mostMs);
}

export function apiRemarks({ routes, callers }: GatewayModel): Remark[] {
  const kind = kindOfApi(routes);
  const own = routes.flatMap((route) => [
    ...authRemarks(route, kind),
    ...boundRemarks(route),
    ...hostRemarks(route, routes[0] ?? route),
  ]);
  const unused = routes.some(({ auth }) => auth.kind === 'key') ? [] : callers;
  return [...own, ...largerBodies(routes), ...unused.map(({ name }) => unusedRemark(name))];
}

function unusedRemark(name: string): Remark {
  return { about: name, verdict: 'told', text: 'is left out: no route asks for keys' };
}

function authRemarks(route: GatewayRoute, kind: ApiKind): Remark[] {
  const { auth } = route;
  if (auth.kind === 'key') return keyRemarks(route, auth);
  if (auth.kind === 'jwt') return tokenRemarks(route, auth, kind);
  return [];
}

function keyRemarks(route: GatewayRoute, { place, hidden }: Extract<GatewayAuth, { kind: 'key' }>): Remark[] {
  if (place.in !== 'header' || place.name.toLowerCase() !== 'x-api-key')
    return [
      refused(route.id, `expects the key in ${place.name}, but AWS looks in the field x-api-key; let "adapter.to" put it there`),
    ];
  return hidden ? [told(route.id, 'gives the backend "hidden" as x-api-key: AWS replaces fields and does not remove them')] : [];
}

function tokenRemarks(route: GatewayRoute, auth: Extract<GatewayAuth, { kind: 'jwt' }>, kind: ApiKind): Remark[] {
  const { issuer, audience, jwks, hidden } = auth;
  if (kind === 'rest')
    return [
      refused(
        route.id,
        'asks for tokens, another route for keys: on AWS those are APIs of two kinds; export them apart with --route',
      ),
    ];
  return [
    ...(issuer === undefined || audience === undefined
      ? [refused(route.id, 'needs "jwt.issuer" and "jwt.audience": AWS checks no token without them')]
      : []),
    ...(hidden
      ? [refused(route.id, 'wants the token removed, but AWS always passes Authorization on; set "hideCredential: false"')]
      : []),
    ...(jwks === undefined ? [] : [told(route.id, 'finds the keys of tokens through the issuer; "jwt.jwks" is not used')]),
    ...route.limits.map(() =>
      refused(route.id, 'has limits, but the APIs of AWS that check tokens (HTTP APIs) count no callers'),
    ),
  ];
}

function boundRemarks(route: GatewayRoute): Remark[] {
  const { bodyBytes, limitsBody = false, readMs, eventsOnly } = route;
  return [
    ...(limitsBody && bodyBytes < largestBody
      ? [
          refused(
            route.id,
            `allows bodies of ${bodyBytes} bytes only, and AWS lets ${largestBody} through; leave "bodyBytes" out`,
          ),
        ]
      : []),
    ...(bodyBytes > largestBody
      ? [refused(route.id, `wants bodies up to ${bodyBytes} bytes, but AWS takes ${largestBody} at most`)]
      : []),
    ...(readMs < timeouts.leastMs
      ? [refused(route.id, `waits ${readMs} ms, but ${timeouts.leastMs} ms is the least on AWS`)]
      : []),
    ...(readMs > timeouts.mostMs
      ? [tightened(route.id, `waits ${timeouts.mostMs} ms instead of ${readMs} ms: AWS waits no longer`)]
      : []),
    ...(eventsOnly ? [told(route.id, 'lets any POST through: AWS does not look at Content-Type')] : []),
    ...route.limits.flatMap(({ by }) =>
      by === 'route' ? [refused(route.id, 'limits the whole route: on AWS that is a setting of the stage; make it there')] : [],
    ),
  ];
}

/** One API answers for all its names. */
function hostRemarks(route: GatewayRoute, first: GatewayRoute): Remark[] {
  if (route.hosts.join() !== first.hosts.join())
    return [
      refused(route.id, `has other hosts than ${first.id}, but one API has one set of names; export them apart with --route`),
    ];
  if (route.hosts.length === 0) return [];
  return [told(route.id, `is reached only by a custom domain name: map ${route.hosts.join(', ')} to the API`)];
}

function largerBodies(routes: readonly GatewayRoute[]): Remark[] {
  if (routes.every(({ bodyBytes, limitsBody = false }) => limitsBody || bodyBytes >= largestBody)) return [];
  return [
    {
      about: 'aws',
      verdict: 'told',
      text: `lets bodies up to ${largestBody} bytes through and can be told no less; Foregate itself limits what clients send`,
    },
  ];
}

/** Random routes that definitions of Tyk can say. */
import * as fc from 'fast-check';
import type { GatewayAuth, GatewayRoute } from '../../../adapters/conversion/gateway-route.ts';
import { anyRoute, numbered } from '../conversion/gateway-routes.ts';

/**
 * One to four, each with a listen path of its own. OAS definitions know issuer and audience, and a limit of bodies only where
 * nothing but events comes.
 */
export function tykRoutes(form: 'oas' | 'classic'): fc.Arbitrary<readonly GatewayRoute[]> {
  const isOas = form === 'oas';
  const claim = isOas ? fc.option(fc.constantFrom('me', 'you'), { nil: undefined }) : fc.constant(undefined);
  const route = fc
    .record({ some: anyRoute, seconds: fc.integer({ min: 1, max: 600 }), issuer: claim, audience: claim, limited: fc.boolean() })
    .map(({ some, seconds, issuer, audience, limited }): GatewayRoute => ({
      ...some,
      hosts: some.hosts.filter((host) => !host.startsWith('*.')),
      auth: checkable(some.auth, { issuer, audience }),
      bodyBytes: isOas && !some.eventsOnly ? Number.POSITIVE_INFINITY : some.bodyBytes,
      limits: limited ? [{ count: 7, windowSeconds: seconds, by: 'route' }] : [],
      connectMs: 2000,
      readMs: seconds * 1000,
    }));
  return fc.uniqueArray(route, { minLength: 1, maxLength: 4, selector: ({ path }) => path }).map(numbered);
}

function checkable(auth: GatewayAuth, claims: { issuer: string | undefined; audience: string | undefined }): GatewayAuth {
  return auth.kind === 'jwt' ? { ...auth, ...claims, jwks: 'https://keys.example/jwks' } : auth;
}

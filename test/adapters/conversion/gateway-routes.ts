/** Routes of the neutral model for tests: one to change, and random ones. */
import * as fc from 'fast-check';
import type {
  CredentialPlace,
  GatewayCaller,
  GatewayLimit,
  GatewayModel,
  GatewayRoute,
  Remark,
} from '../../../adapters/conversion/gateway-route.ts';

export const gateway = new URL('http://127.0.0.1:8000');

/** Events for `/chat` with a key and 600 requests a minute. */
export function chat(changes: Partial<GatewayRoute> = {}): GatewayRoute {
  return {
    id: 'chat',
    gateway,
    hosts: [],
    path: '/chat',
    eventsOnly: true,
    backend: new URL('http://127.0.0.1:9000'),
    stripPath: false,
    auth: { kind: 'key', place: { in: 'header', name: 'apikey' }, hidden: true },
    limits: [{ count: 600, windowSeconds: 60, by: 'caller' }],
    bodyBytes: 262_144,
    connectMs: 2000,
    readMs: 10_000,
    ...changes,
  };
}

export function modelOf(routes: readonly GatewayRoute[], callers: readonly GatewayCaller[] = []): GatewayModel {
  return { routes, callers, trusted: ['127.0.0.1'] };
}

export function refusals(remarks: readonly Remark[]): string[] {
  return remarks.filter(({ verdict }) => verdict === 'refused').map(({ about, text }) => `${about}: ${text}`);
}

const label = fc.stringMatching(/^[a-z][a-z0-9]{0,4}$/);
const backends = fc
  .record({
    scheme: fc.constantFrom('http', 'https'),
    host: label,
    port: fc.integer({ min: 1, max: 65_535 }),
    path: fc.option(label),
  })
  .map(({ scheme, host, port, path }) => new URL(`${scheme}://${host}.test:${port}${path === null ? '' : `/${path}`}`));
const paths = fc.array(label, { maxLength: 3 }).map((segments) => `/${segments.join('/')}`);
const hosts = fc.oneof(
  fc.constant([]),
  label.map((name) => [`${name}.example.com`]),
  label.map((name) => [`*.${name}.example.com`]),
);
const places: fc.Arbitrary<CredentialPlace> = fc.record(
  { in: fc.constantFrom('header', 'query'), name: fc.constantFrom('apikey', 'X-API-Key', 'key_1') },
  { noNullPrototype: true },
);
const keyOrNone = fc.oneof(
  fc.constant({ kind: 'none' } as const),
  fc.record({ kind: fc.constant('key' as const), place: places, hidden: fc.boolean() }, { noNullPrototype: true }),
  fc.boolean().map((hidden) => ({ kind: 'jwt' as const, hidden, issuer: undefined, audience: undefined, jwks: undefined })),
);

/** Any route; `id` is `route`. What a gateway cannot say is to be taken out with `map` and `filter`. */
export const anyRoute: fc.Arbitrary<GatewayRoute> = fc.record({
  id: fc.constant('route'),
  gateway: fc.constant(gateway),
  hosts,
  path: paths,
  eventsOnly: fc.boolean(),
  backend: backends,
  stripPath: fc.boolean(),
  auth: keyOrNone,
  limits: fc.constant<readonly GatewayLimit[]>([]),
  bodyBytes: fc.integer({ min: 1024, max: 10_000_000 }),
  connectMs: fc.integer({ min: 1, max: 600_000 }),
  readMs: fc.integer({ min: 1, max: 600_000 }),
});

export const anyCallers: fc.Arbitrary<readonly GatewayCaller[]> = fc
  .uniqueArray(fc.record({ name: label, key: fc.option(fc.stringMatching(/^[!-~]{1,20}$/), { nil: undefined }) }), {
    maxLength: 4,
    selector: ({ name }) => name,
  })
  .map((callers) => callers.map(({ name, key }) => ({ name, key })).toSorted((a, b) => (a.name < b.name ? -1 : 1)));

/** The same routes under names of their own. */
export function numbered(routes: readonly GatewayRoute[]): GatewayRoute[] {
  return routes.map((route, index) => ({ ...route, id: `route-${index}` }));
}

/** What definitions of Tyk cannot say, and what stands elsewhere. */
import type { GatewayModel, GatewayRoute, Remark } from '../conversion/gateway-route.ts';
import { refused, tightened, told } from '../conversion/remark.ts';

/** Which form of definition is written. */
type Form = 'oas' | 'classic';

export function remarks({ routes, callers }: GatewayModel, form: Form): Remark[] {
  return [
    ...routes.flatMap((route) => [
      ...matchRemarks(route),
      ...timeoutRemarks(route),
      ...sizeRemarks(route, form),
      ...limitRemarks(route),
      ...authRemarks(route, form),
    ]),
    ...sameRemarks(routes),
    ...confRemarks(routes),
    ...(callers.length === 0
      ? []
      : [told('callers', `Tyk keeps keys in Redis; make those of ${callers.map(({ name }) => name).join(', ')} there`)]),
  ];
}

function matchRemarks({ id, path, hosts, eventsOnly }: GatewayRoute): Remark[] {
  const odd = /[^A-Za-z0-9\-._~!$&'()*+,;=:@/]/.exec(path)?.[0] ?? (path.includes('//') ? '//' : undefined);
  if (odd !== undefined) return [refused(id, `Tyk takes no listen path that has ${JSON.stringify(odd)}: ${path}`)];
  if (hosts.some((host) => host.startsWith('*.'))) return [refused(id, 'a custom domain of Tyk has no wildcard')];
  if (hosts.length > 1) return [refused(id, 'an API of Tyk has one custom domain')];
  return eventsOnly ? [told(id, 'Tyk lets each POST through, whatever its type: let nobody but Foregate reach it')] : [];
}

function timeoutRemarks({ id, readMs }: GatewayRoute): Remark[] {
  if (readMs < 1000) return [refused(id, 'Tyk waits at least a second for a backend')];
  return readMs % 1000 === 0
    ? []
    : [tightened(id, `Tyk waits whole seconds: ${Math.floor(readMs / 1000)} s instead of ${readMs} ms`)];
}

/** Tyk answers 411 to what has no length wherever a limit holds. */
function sizeRemarks({ id, eventsOnly, limitsBody = false }: GatewayRoute, form: Form): Remark[] {
  if (eventsOnly && form === 'oas')
    return [told(id, 'the size of bodies is checked by releases that know "requestSizeLimit"; 5.2 lets all through')];
  if (eventsOnly) return [];
  if (form === 'classic') return [told(id, 'bodies are limited with POST, PUT and PATCH; other methods have none, or any')];
  if (limitsBody)
    return [
      refused(
        id,
        'limits bodies, for which Tyk would refuse each GET in this form; "tyk-classic" can say it, or leave "bodyBytes" out',
      ),
    ];
  return [told(id, 'has no limit of bodies: Tyk would refuse each GET with it')];
}

function limitRemarks(route: GatewayRoute): Remark[] {
  const { id, limits, auth } = route;
  if (limits.some(({ by }) => by === 'address')) return [refused(id, 'Tyk has no limit by address')];
  if (new Set(limits.map(({ by }) => by)).size < limits.length)
    return [refused(id, 'Tyk has one limit for an API and one for a key')];
  if (limits.some(({ by }) => by === 'caller') && auth.kind === 'none')
    return [refused(id, 'has a limit by caller, but nobody is known without keys')];
  return [];
}

function authRemarks(route: GatewayRoute, form: Form): Remark[] {
  const { id, auth } = route;
  if (auth.kind === 'none') return [];
  if (auth.kind === 'key')
    return [told(id, `Tyk keeps keys in Redis: POST ${keySettings(route)} to /tyk/keys/create for each caller`)];
  if (auth.jwks === undefined) return [refused(id, 'Tyk needs "jwt.jwks" to check tokens')];
  const isNarrowed = auth.issuer !== undefined || auth.audience !== undefined;
  if (isNarrowed && form === 'classic') return [refused(id, 'classic definitions check no issuer and no audience of tokens')];
  return [
    told(
      id,
      `tokens need a policy, named by ${form === 'oas' ? '"defaultPolicies"' : '"jwt_default_policies"'}, with ${keySettings(route)}`,
    ),
    ...(isNarrowed ? [told(id, 'issuer and audience are checked by Tyk 5.10 and later, and by no older one')] : []),
  ];
}

/** What a key or policy of Tyk has to say. */
function keySettings({ id, limits }: GatewayRoute): string {
  const limit = limits.find(({ by }) => by === 'caller');
  return JSON.stringify({
    org_id: 'default',
    ...(limit && { rate: limit.count, per: limit.windowSeconds }),
    access_rights: { [id]: { api_id: id, api_name: id, versions: ['Default'] } },
  });
}

/** Tyk has one API for a listen path. */
function sameRemarks(routes: readonly GatewayRoute[]): Remark[] {
  return routes.flatMap((route, index) => {
    const other = routes.slice(0, index).find(({ path, hosts }) => path === route.path && hosts[0] === route.hosts[0]);
    return other === undefined ? [] : [refused(route.id, `has the same path as ${other.id}, and Tyk has one API for each`)];
  });
}

function confRemarks(routes: readonly GatewayRoute[]): Remark[] {
  const conf: [when: boolean, text: string][] = [
    [true, 'set "http_server_options": { "xff_depth": 1 }, so that Tyk counts the address that Foregate tells'],
    [true, '"enable_strict_routes" must be off: with it a path fits no longer word that begins with it'],
    [true, '"connectTimeout" is not written: Tyk has none for a single API'],
    [
      routes.some(({ limits }) => limits.length > 0),
      'set "enable_redis_rolling_limiter": true, since the usual limiter of Tyk counts roughly',
    ],
    [routes.some(({ hosts }) => hosts.length > 0), 'set "enable_custom_domains": true'],
    [
      routes.some(({ eventsOnly }) => !eventsOnly),
      'set "http_server_options": { "flush_interval": 1 }, so that streams pass at once',
    ],
  ];
  return conf.filter(([when]) => when).map(([, text]) => told('tyk.conf', text));
}

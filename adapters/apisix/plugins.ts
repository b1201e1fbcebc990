/** The plugins of APISIX that a route has, and what they cannot do. */
import type { GatewayAuth, GatewayLimit, GatewayRoute, Remark } from '../conversion/gateway-route.ts';
import { present, type Raw } from '../conversion/present.ts';
import { refused, tightened, told } from '../conversion/remark.ts';
import { rewrite } from './rewrite.ts';

export function plugins(route: GatewayRoute): Raw {
  const [limit] = route.limits;
  return present({
    ...authPlugin(route.auth),
    'limit-count': limit && limitPlugin(limit),
    'client-control': { max_body_size: route.bodyBytes },
    'proxy-rewrite': rewrite(route),
    'proxy-buffering': route.eventsOnly ? undefined : { disable_proxy_buffering: true },
  });
}

function authPlugin(auth: GatewayAuth): Raw {
  if (auth.kind === 'none') return {};
  const hide_credentials = auth.hidden;
  if (auth.kind === 'jwt') return { 'jwt-auth': { header: 'authorization', hide_credentials } };
  return { 'key-auth': { [auth.place.in]: auth.place.name, hide_credentials } };
}

const limitKeys: Readonly<Record<GatewayLimit['by'], Raw>> = {
  caller: { key_type: 'var', key: 'consumer_name' },
  address: { key_type: 'var', key: 'remote_addr' },
  route: { key_type: 'constant', key: 'route' },
};

function limitPlugin({ count, windowSeconds, by }: GatewayLimit): Raw {
  return {
    count,
    time_window: windowSeconds,
    ...limitKeys[by],
    policy: 'local',
    rejected_code: 429,
    rejected_msg: 'rate limit exceeded',
  };
}

export function pluginRemarks(route: GatewayRoute): Remark[] {
  return [...authRemarks(route), ...limitRemarks(route), ...bufferingRemarks(route)];
}

function authRemarks({ id, auth }: GatewayRoute): Remark[] {
  if (auth.kind === 'none') return [];
  if (auth.kind === 'jwt') return jwtRemarks(id, auth);
  const { name, in: where } = auth.place;
  if (!/^[A-Za-z0-9_-]+$/.test(name))
    return [refused(id, `APISIX looks for keys under names of letters, digits, "-" and "_", not ${JSON.stringify(name)}`)];
  const other = where === 'header' ? 'query parameter' : 'header field';
  return [told(id, `APISIX takes keys from the ${other} "apikey" as well; that cannot be switched off`)];
}

function jwtRemarks(id: string, { issuer, audience }: GatewayAuth & { kind: 'jwt' }): Remark[] {
  if (issuer !== undefined || audience !== undefined)
    return [refused(id, 'the plugin jwt-auth of APISIX does not check who issued a token, and for whom')];
  return [
    told(
      id,
      'APISIX fetches no keys: a consumer needs plugins: { jwt-auth: { key: <claim "key">, algorithm: RS256, public_key: … } }',
    ),
    told(id, 'APISIX takes tokens from the query parameter and the cookie "jwt" as well; that cannot be switched off'),
  ];
}

function limitRemarks({ id, auth, limits }: GatewayRoute): Remark[] {
  if (limits.length > 1) return [refused(id, 'APISIX has one limit (limit-count) for a route')];
  if (limits[0]?.by !== 'caller' || auth.kind === 'key') return [];
  return auth.kind === 'jwt'
    ? [tightened(id, 'callers with tokens of one consumer share a limit')]
    : [told(id, 'nobody is known here, so APISIX counts by address')];
}

function bufferingRemarks({ id, eventsOnly }: GatewayRoute): Remark[] {
  return eventsOnly ? [] : [told(id, 'proxy-buffering is a plugin of APISIX 3.3 and later: take it out for an older one')];
}

/** The plugins of Kong that a route has, and what they cannot do. */
import type { GatewayAuth, GatewayLimit, GatewayRoute, Remark } from '../conversion/gateway-route.ts';
import type { Raw } from '../conversion/present.ts';
import { refused, tightened, told } from '../conversion/remark.ts';
import { limitWords, windows } from './windows.ts';

export function plugins(route: GatewayRoute): Raw[] {
  return [...authPlugins(route.auth), ...limitPlugins(route.limits), sizePlugin(route.bodyBytes)];
}

function authPlugins(auth: GatewayAuth): Raw[] {
  if (auth.kind === 'none') return [];
  if (auth.kind === 'jwt') return jwtPlugins(auth.hidden);
  const { place, hidden } = auth;
  const config = {
    key_names: [place.name],
    key_in_header: place.in === 'header',
    key_in_query: place.in === 'query',
    key_in_body: false,
    hide_credentials: hidden,
  };
  return [{ name: 'key-auth', config }];
}

/** The plugin `jwt` leaves the token where it is. */
function jwtPlugins(hidden: boolean): Raw[] {
  const jwt = { name: 'jwt', config: { claims_to_verify: ['exp'], uri_param_names: [] } };
  return hidden ? [jwt, { name: 'request-transformer', config: { remove: { headers: ['Authorization'] } } }] : [jwt];
}

function limitPlugins(limits: readonly GatewayLimit[]): Raw[] {
  const [first] = limits;
  if (first === undefined) return [];
  const counts = Object.fromEntries(telling(limits).map(({ count, windowSeconds }) => [windows.get(windowSeconds), count]));
  return [{ name: 'rate-limiting', config: { ...counts, policy: 'local', limit_by: limitWords[first.by] } }];
}

/** Shorter windows first. One that allows no less than a longer one says nothing, and Kong refuses it. */
function telling(limits: readonly GatewayLimit[]): GatewayLimit[] {
  const longestFirst = limits.toSorted((a, b) => b.windowSeconds - a.windowSeconds || a.count - b.count);
  const kept = longestFirst.filter(({ count }, index) => longestFirst.slice(0, index).every((longer) => count < longer.count));
  return kept.toReversed();
}

function sizePlugin(bytes: number): Raw {
  const isEven = bytes % 1024 === 0;
  return {
    name: 'request-size-limiting',
    config: { allowed_payload_size: isEven ? bytes / 1024 : bytes, size_unit: isEven ? 'kilobytes' : 'bytes' },
  };
}

export function pluginRemarks(route: GatewayRoute): Remark[] {
  return [...authRemarks(route), ...limitRemarks(route)];
}

function authRemarks({ id, auth }: GatewayRoute): Remark[] {
  if (auth.kind === 'jwt') return jwtRemarks(id, auth);
  if (auth.kind === 'none' || /^[A-Za-z0-9_-]+$/.test(auth.place.name)) return [];
  return [refused(id, `Kong looks for keys under names of letters, digits, "-" and "_", not ${JSON.stringify(auth.place.name)}`)];
}

function jwtRemarks(id: string, { issuer, audience }: GatewayAuth & { kind: 'jwt' }): Remark[] {
  if (audience !== undefined) return [refused(id, 'the plugin jwt of Kong does not check the audience of tokens')];
  const key = issuer === undefined ? '<iss>' : JSON.stringify(issuer);
  return [
    told(
      id,
      `Kong fetches no keys: a consumer needs jwt_secrets: [{ key: ${key}, algorithm: RS256, rsa_public_key: … }], and tokens of every issuer that has such an entry are taken`,
    ),
  ];
}

function limitRemarks({ id, auth, limits }: GatewayRoute): Remark[] {
  const odd = limits.find(({ windowSeconds }) => !windows.has(windowSeconds));
  if (odd !== undefined)
    return [refused(id, `a limit per ${odd.windowSeconds} seconds: Kong counts by second, minute, hour and day`)];
  if (new Set(limits.map(({ by }) => by)).size > 1)
    return [refused(id, 'its limits count by different things, and Kong has one "limit_by" for a route')];
  if (limits[0]?.by !== 'caller' || auth.kind === 'key') return [];
  return auth.kind === 'jwt'
    ? [tightened(id, 'callers with tokens of one issuer are one consumer for Kong, so they share a limit')]
    : [told(id, 'nobody is known here, so Kong counts by address')];
}

/** A route from a classic definition of Tyk. */
import { foundLimit } from '../conversion/found-limit.ts';
import type { FoundRoute, GatewayAuth, GatewayLimit } from '../conversion/gateway-route.ts';
import type { PlacedMap } from '../conversion/placed.ts';
import { foundApi, jwksOf, tellStrictAuth } from './found-api.ts';

/** They say nothing about what passes. */
const harmless = [
  'id',
  'org_id',
  'definition',
  'slug',
  'tags',
  'config_data',
  'internal',
  'tag_headers',
  'created_at',
  'updated_at',
];

export function readClassic(map: PlacedMap, gateway: URL): Pick<FoundRoute, 'route'>[] {
  const id = map.word('api_id') ?? map.word('name') ?? 'api';
  map.word('name');
  const proxy = map.map('proxy');
  const reason = unread(map, proxy);
  if (proxy === undefined || reason !== undefined) {
    map.tell(id, `${reason ?? 'has no proxy'}; the API is left out`);
    return [];
  }
  const version = readVersion(map, id);
  const extended = version?.map('extended_paths');
  const found = foundApi({
    id,
    gateway,
    listenPath: { from: proxy, key: 'listen_path' },
    target: { from: proxy, key: 'target_url' },
    domain: map.flag('domain_disabled') === true ? undefined : { from: map, key: 'domain' },
    stripPath: proxy.flag('strip_listen_path') ?? false,
    auth: readAuth(map, id),
    limits: readLimits(map, id),
    bodyBytes: sizeOf(version),
    eventsOnly: map.map('config_data')?.map('foregate')?.flag('events') ?? false,
    timeouts: (extended?.maps('hard_timeouts') ?? []).flatMap((one) => one.number('timeout') ?? []),
  });
  tellRest(map, id, { proxy, version, extended, isOurs: map.map('config_data')?.has('foregate') === true });
  return found;
}

function unread(map: PlacedMap, proxy: PlacedMap | undefined): string | undefined {
  const protocol = map.text('protocol') ?? '';
  if (proxy === undefined) return 'has no proxy';
  if (map.flag('active') === false) return 'is switched off';
  return /^(https?)?$/.test(protocol) ? undefined : `speaks ${protocol}`;
}

/** The one that counts where there are no versions; else the first. */
function readVersion(map: PlacedMap, id: string): PlacedMap | undefined {
  const data = map.map('version_data');
  const versions = data?.map('versions');
  const names = versions?.keys() ?? [];
  const name = names.includes('Default') ? 'Default' : names[0];
  if (data?.flag('not_versioned') === false && names.length > 1)
    data.tell(id, `has several versions; only ${name} is taken over`, 'versions');
  return name === undefined ? undefined : versions?.map(name);
}

function sizeOf(version: PlacedMap | undefined): number {
  const bytes = version?.number('global_size_limit') ?? 0;
  const isGlobal = bytes !== 0 && version?.flag('global_size_limit_disabled') !== true;
  return isGlobal ? bytes : sizeOfPosts(version);
}

/** A limit for all paths. */
function sizeOfPosts(version: PlacedMap | undefined): number {
  const limits = version?.map('extended_paths')?.maps('size_limits') ?? [];
  const all = limits.find((limit) => limit.text('path') === '/' && limit.text('method') === 'POST');
  return all?.number('size_limit') ?? Number.POSITIVE_INFINITY;
}

function readLimits(map: PlacedMap, id: string): GatewayLimit[] {
  const limit = map.map('global_rate_limit');
  const count = limit?.number('rate') ?? 0;
  const windowSeconds = limit?.number('per') ?? 0;
  if (limit === undefined || limit.flag('disabled') === true || count === 0 || windowSeconds === 0) return [];
  return foundLimit(limit, id, { count, windowSeconds, by: 'route' });
}

const otherAuth = [
  'use_oauth2',
  'use_basic_auth',
  'enable_signature_checking',
  'use_openid',
  'enable_coprocess_auth',
  'use_go_plugin_auth',
];

function readAuth(map: PlacedMap, id: string): GatewayAuth {
  const other = otherAuth.find((key) => map.flag(key) === true);
  if (map.flag('use_keyless') === true) return { kind: 'none' };
  const hidden = map.flag('strip_auth_data') ?? false;
  const isKey = map.flag('use_standard_auth') === true;
  if (map.flag('enable_jwt') === true) return readToken(map, id, hidden);
  if (other !== undefined && !isKey) return tellStrictAuth(map, id, other, other);
  return { kind: 'key', hidden, place: placeOf(map, id) };
}

function placeOf(map: PlacedMap, id: string): (GatewayAuth & { kind: 'key' })['place'] {
  const auth = map.map('auth_configs')?.map('authToken') ?? map.map('auth');
  const header = auth?.text('auth_header_name') ?? '';
  const inQuery = auth?.flag('use_param') === true;
  const inHeader = auth?.flag('disable_header') !== true;
  const name = header === '' ? 'Authorization' : header;
  if (inQuery && inHeader) auth?.tell(id, 'takes keys from the query, too; only the field is taken over', 'use_param');
  const param = auth?.text('param_name') ?? '';
  auth?.tellUsedRest(id, ['name']);
  return inQuery && !inHeader ? { in: 'query', name: param === '' ? name : param } : { in: 'header', name };
}

function readToken(map: PlacedMap, id: string, hidden: boolean): GatewayAuth {
  const [uris] = map.maps('jwt_jwks_uris');
  const jwks = jwksOf(map, 'jwt_source', id) ?? uris?.text('url');
  map.map('auth_configs');
  map.map('auth');
  return { kind: 'jwt', hidden, issuer: undefined, audience: undefined, jwks };
}

const aboutTokens = [
  'jwt_signing_method',
  'jwt_identity_base_field',
  'jwt_default_policies',
  'jwt_policy_field_name',
  'jwt_skip_kid',
];

interface Parts {
  readonly proxy: PlacedMap;
  readonly version: PlacedMap | undefined;
  readonly extended: PlacedMap | undefined;
  /** Foregate has written it, and knows its allow list. */
  readonly isOurs: boolean;
}

function tellRest(map: PlacedMap, id: string, { proxy, version, extended, isOurs }: Parts): void {
  if (proxy.flag('preserve_host_header') !== true)
    proxy.tell(id, 'the backend gets another Host; what Foregate writes keeps that of the client');
  proxy.tellUsedRest(id, ['transport']);
  version?.tellUsedRest(id, ['name', 'use_extended_paths']);
  extended?.tellUsedRest(id, isOurs ? ['white_list'] : []);
  map.tellUsedRest(id, [...harmless, ...aboutTokens, 'auth', 'auth_configs', 'version_data']);
}

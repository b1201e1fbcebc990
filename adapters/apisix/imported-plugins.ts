/** What the plugins of APISIX do for a route: its own, those of its `plugin_config`, those of its service, and those for all. */
import { foundLimit } from '../conversion/found-limit.ts';
import type { GatewayAuth, GatewayLimit, GatewayRoute } from '../conversion/gateway-route.ts';
import type { PlacedMap } from '../conversion/placed.ts';

interface Settings extends Pick<GatewayRoute, 'auth' | 'limits' | 'bodyBytes'> {
  /** How `proxy-rewrite` changes the path. */
  readonly regexUri: readonly string[] | undefined;
}

/** By their names; those further away first. */
type Found = ReadonlyMap<string, PlacedMap>;

const known = ['key-auth', 'jwt-auth', 'limit-count', 'client-control', 'proxy-rewrite', 'proxy-buffering'];
/** They let nobody in without a credential of another kind. */
const otherAuth =
  /^(?:basic-auth|hmac-auth|openid-connect|ldap-auth|forward-auth|multi-auth|wolf-rbac|authz-.*|cas-auth|jwe-decrypt|opa)$/;

export class PluginReader {
  readonly #forAll: readonly PlacedMap[];
  readonly #configs: ReadonlyMap<string, PlacedMap>;

  constructor(file: PlacedMap) {
    this.#forAll = file.maps('global_rules').flatMap((rule) => rule.map('plugins') ?? []);
    this.#configs = new Map(file.maps('plugin_configs').map((config) => [config.word('id') ?? '', config]));
  }

  settingsOf(route: PlacedMap, service: PlacedMap | undefined, name: string): Settings {
    const config = this.#configs.get(route.word('plugin_config_id') ?? '');
    const places = [...this.#forAll, service?.map('plugins'), config?.map('plugins'), route.map('plugins')];
    const found = pluginsOf(
      places.filter((place) => place !== undefined),
      name,
    );
    const auth = readAuth(found, name);
    const limit = found.get('limit-count');
    return {
      auth,
      limits: limit === undefined ? [] : readLimit(limit, name, auth),
      bodyBytes: readSize(found.get('client-control'), name),
      regexUri: readRewriting(found.get('proxy-rewrite'), name),
    };
  }
}

/** Without those that are switched off; each that nothing is made of is told. */
function pluginsOf(places: readonly PlacedMap[], name: string): Found {
  const found = new Map<string, PlacedMap>();
  for (const place of places)
    for (const plugin of place.keys()) {
      const options = place.map(plugin);
      if (options === undefined || options.map('_meta')?.flag('disable') === true) continue;
      if (known.includes(plugin) || otherAuth.test(plugin)) found.set(plugin, options);
      if (!known.includes(plugin)) place.tell(name, `the plugin ${JSON.stringify(plugin)} is not taken over`, plugin);
    }
  return found;
}

function readAuth(found: Found, name: string): GatewayAuth {
  const key = found.get('key-auth');
  const jwt = found.get('jwt-auth');
  const other = [...found].find(([plugin]) => otherAuth.test(plugin))?.[1];
  if (key !== undefined && jwt !== undefined) jwt.tell(name, 'checks a token besides the key; only the key is taken over');
  if (key !== undefined) return keyAuth(key, name);
  if (jwt !== undefined) return jwtAuth(jwt, name);
  if (other === undefined) return { kind: 'none' };
  other.tell(name, 'checks credentials in another way; "auth: key" stands here until somebody changes it');
  return { kind: 'key', place: { in: 'header', name: 'apikey' }, hidden: true };
}

function keyAuth(options: PlacedMap, name: string): GatewayAuth {
  const header = options.text('header');
  const query = options.text('query');
  const hidden = options.flag('hide_credentials') ?? false;
  if (header !== undefined && query !== undefined)
    options.tell(name, 'takes keys from the query, too; only the field is taken over', 'query');
  tellStrangers(options, name);
  options.tellRest(name, ['_meta']);
  const isQuery = header === undefined && query !== undefined;
  return { kind: 'key', hidden, place: isQuery ? { in: 'query', name: query } : { in: 'header', name: header ?? 'apikey' } };
}

function jwtAuth(options: PlacedMap, name: string): GatewayAuth {
  const header = options.text('header') ?? 'authorization';
  const hidden = options.flag('hide_credentials') ?? false;
  if (header.toLowerCase() !== 'authorization') options.tell(name, 'looks for tokens elsewhere than in Authorization', 'header');
  for (const other of ['query', 'cookie'])
    if (options.text(other) !== undefined) options.tell(name, `looks for tokens in the ${other}, too`, other);
  tellStrangers(options, name);
  options.tellRest(name, ['_meta']);
  return { kind: 'jwt', hidden, issuer: undefined, audience: undefined, jwks: undefined };
}

function tellStrangers(options: PlacedMap, name: string): void {
  if (options.has('anonymous_consumer'))
    options.tell(name, 'lets callers in without a credential; here each needs one', 'anonymous_consumer');
}

const aboutCounting = ['_meta', 'policy', 'rejected_code', 'rejected_msg', 'show_limit_quota_header', 'allow_degradation'];

function readLimit(options: PlacedMap, name: string, auth: GatewayAuth): GatewayLimit[] {
  const by = limitedBy(options.text('key_type') ?? 'var', options.text('key') ?? 'remote_addr', auth);
  const count = options.number('count');
  const windowSeconds = options.number('time_window');
  options.tellRest(name, [...aboutCounting, ...options.keys().filter((option) => option.startsWith('redis_'))]);
  if (by !== undefined && count !== undefined && windowSeconds !== undefined)
    return foundLimit(options, name, { count, windowSeconds, by });
  options.tell(name, 'its limit counts in a way that Foregate has no word for, and is not taken over');
  return [];
}

/** Nobody is known where nothing is checked: then APISIX counts by address. */
function limitedBy(type: string, key: string, auth: GatewayAuth): GatewayLimit['by'] | undefined {
  if (type === 'constant') return 'route';
  if (type !== 'var') return undefined;
  if (key === 'remote_addr') return 'address';
  if (key !== 'consumer_name') return undefined;
  return auth.kind === 'none' ? 'address' : 'caller';
}

function readSize(options: PlacedMap | undefined, name: string): number {
  const bytes = options?.number('max_body_size') ?? 0;
  options?.tellRest(name, ['_meta']);
  return bytes === 0 ? Number.POSITIVE_INFINITY : bytes;
}

function readRewriting(options: PlacedMap | undefined, name: string): readonly string[] | undefined {
  const regexUri = options?.texts('regex_uri') ?? [];
  options?.tellRest(name, ['_meta']);
  return regexUri.length === 0 ? undefined : regexUri;
}

/** What the plugins of Kong do for a route: of those with one name the nearest counts. */
import { foundLimit } from '../conversion/found-limit.ts';
import type { GatewayAuth, GatewayLimit, GatewayRoute } from '../conversion/gateway-route.ts';
import type { PlacedMap } from '../conversion/placed.ts';
import type { Entities, PluginEntity, RouteEntity } from './entities.ts';
import { limitWords, windows } from './windows.ts';

type Settings = Pick<GatewayRoute, 'auth' | 'limits' | 'bodyBytes'>;

const known = ['key-auth', 'jwt', 'rate-limiting', 'request-size-limiting', 'request-transformer'];
/** They let nobody in without a credential of another kind. */
const otherAuth =
  /^(?:basic-auth|hmac-auth|oauth2.*|ldap-auth.*|openid-connect|mtls-auth|header-cert-auth|saml|vault-auth|jwt-signer|key-auth-enc|jwe-decrypt|session|opa)$/;
const harmless = ['id', 'tags', 'created_at', 'updated_at', 'protocols', 'instance_name', 'name', 'enabled', 'route', 'service'];

export class PluginReader {
  readonly #plugins: readonly PluginEntity[];
  readonly #routes: readonly RouteEntity[];
  /** By the route, else the service, that they are said for; undefined: for everything. */
  readonly #byPlace = new Map<PlacedMap | undefined, PluginEntity[]>();
  /** How many routes a plugin counts together. */
  readonly #sharers = new Map<PluginEntity, number>();

  constructor({ plugins, routes, consumers }: Entities) {
    for (const consumer of consumers)
      for (const map of consumer.maps('plugins')) tellForSome(map, consumer.word('username') ?? 'a consumer');
    const some = plugins.filter(({ map }) => map.has('consumer') || map.has('consumer_group'));
    for (const { map } of some) tellForSome(map, 'a consumer');
    this.#plugins = plugins.filter((plugin) => plugin.map.flag('enabled') !== false && !some.includes(plugin));
    this.#routes = routes;
    for (const plugin of this.#plugins) this.#placed(plugin.route ?? plugin.service).push(plugin);
    for (const route of routes) {
      const plugin = this.#nearest(route, 'rate-limiting');
      if (plugin !== undefined) this.#sharers.set(plugin, (this.#sharers.get(plugin) ?? 0) + 1);
    }
  }

  settingsOf(route: RouteEntity): Settings {
    const auth = this.#auth(route);
    return { auth, limits: this.#limits(route, auth), bodyBytes: bodyBytes(this.#nearest(route, 'request-size-limiting')) };
  }

  /** Tells the plugins that nothing is made of. */
  tellRest(file: string): void {
    for (const { map, name, route } of this.#plugins) {
      const about = this.#routes.find((one) => one.map === route)?.name ?? file;
      if (known.includes(name)) map.tellRest(`plugin ${name}`, [...harmless, 'config']);
      else map.tell(about, `the plugin ${JSON.stringify(name)} is not taken over`);
    }
  }

  #placed(place: PlacedMap | undefined): PluginEntity[] {
    const plugins = this.#byPlace.get(place) ?? [];
    this.#byPlace.set(place, plugins);
    return plugins;
  }

  #appliedTo(route: RouteEntity): PluginEntity[] {
    const places = new Set([route.map, route.service, undefined]);
    return [...places].flatMap((place) => this.#byPlace.get(place) ?? []).filter((plugin) => appliesTo(plugin, route));
  }

  #nearest(route: RouteEntity, name: string): PluginEntity | undefined {
    const found = this.#appliedTo(route).filter((plugin) => plugin.name === name);
    return found.toSorted((a, b) => nearness(b) - nearness(a))[0];
  }

  #auth(route: RouteEntity): GatewayAuth {
    const key = this.#nearest(route, 'key-auth');
    const jwt = this.#nearest(route, 'jwt');
    const other = this.#appliedTo(route).find((plugin) => otherAuth.test(plugin.name));
    const transformer = this.#nearest(route, 'request-transformer');
    const hidesToken = transformer === undefined ? false : readTransformer(transformer, jwt !== undefined);
    if (key !== undefined && jwt !== undefined)
      jwt.map.tell(route.name, 'checks a token besides the key; only the key is taken over');
    if (key !== undefined) return keyAuth(key, route);
    if (jwt !== undefined) return jwtAuth(jwt, route, hidesToken);
    if (other === undefined) return { kind: 'none' };
    other.map.tell(
      route.name,
      `checks credentials by ${JSON.stringify(other.name)}; "auth: key" stands here until somebody changes it`,
    );
    return { kind: 'key', place: { in: 'header', name: 'apikey' }, hidden: true };
  }

  #limits(route: RouteEntity, auth: GatewayAuth): GatewayLimit[] {
    const plugin = this.#nearest(route, 'rate-limiting');
    const config = plugin?.map.map('config');
    if (plugin === undefined || config === undefined) return [];
    const sharers = this.#sharers.get(plugin) ?? 0;
    if (sharers > 1) plugin.map.tell('rate-limiting', `${sharers} routes share its counts; here each of them has its own`);
    return readLimits(config, route.name, auth);
  }
}

function tellForSome(map: PlacedMap, whom: string): void {
  map.tell(whom, `the plugin ${JSON.stringify(map.word('name'))} holds for some callers only; it is not taken over`);
}

function appliesTo(plugin: PluginEntity, { map, service }: RouteEntity): boolean {
  return (plugin.route ?? map) === map && (plugin.service ?? service) === service;
}

function nearness({ route, service }: PluginEntity): number {
  return (route === undefined ? 0 : 2) + (service === undefined ? 0 : 1);
}

const aboutAnswers = ['realm', 'run_on_preflight', 'key_in_body', 'cookie_names', 'key_claim_name', 'header_names'];

function keyAuth({ map }: PluginEntity, { name }: RouteEntity): GatewayAuth {
  const config = map.map('config');
  const names = config?.texts('key_names') ?? [];
  if (names.length > 1) config?.tell(name, 'takes keys under several names; only the first is taken over', 'key_names');
  const inHeader = config?.flag('key_in_header') ?? true;
  const inQuery = config?.flag('key_in_query') ?? true;
  if (inHeader && inQuery && config?.has('key_in_query') === true)
    config.tell(name, 'takes keys from the query, too; only the field is taken over', 'key_in_query');
  if (config?.flag('key_in_body') === true) config.tell(name, 'takes keys from bodies, too', 'key_in_body');
  tellStrangers(config, name);
  const hidden = config?.flag('hide_credentials') ?? false;
  config?.tellRest(name, aboutAnswers);
  return { kind: 'key', hidden, place: { in: inHeader || !inQuery ? 'header' : 'query', name: names[0] ?? 'apikey' } };
}

function jwtAuth({ map }: PluginEntity, { name }: RouteEntity, hidden: boolean): GatewayAuth {
  const config = map.map('config');
  tellStrangers(config, name);
  config?.texts('claims_to_verify');
  if ((config?.texts('uri_param_names') ?? []).length > 0)
    config?.tell(name, 'takes tokens from the query, too; only the field is taken over', 'uri_param_names');
  config?.tellRest(name, aboutAnswers);
  return { kind: 'jwt', hidden, issuer: undefined, audience: undefined, jwks: undefined };
}

function tellStrangers(config: PlacedMap | undefined, name: string): void {
  if (config?.has('anonymous') === true)
    config.tell(name, 'lets callers in without a credential; here each needs one', 'anonymous');
}

/** Whether it does nothing but to take the token away. */
function readTransformer({ map }: PluginEntity, hasToken: boolean): boolean {
  const remove = map.map('config')?.map('remove');
  const headers = remove?.texts('headers').map((field) => field.toLowerCase()) ?? [];
  const isAll = map.map('config')?.keys().length === 1 && remove?.keys().length === 1 && headers.length === 1;
  const hides = hasToken && headers.includes('authorization');
  if (!hides || !isAll) map.tell('request-transformer', 'what it changes in requests is not taken over');
  return hides;
}

const unitBytes: Readonly<Record<string, number>> = { bytes: 1, kilobytes: 1024, megabytes: 1024 ** 2 };

function bodyBytes(plugin: PluginEntity | undefined): number {
  if (plugin === undefined) return Number.POSITIVE_INFINITY;
  const config = plugin.map.map('config');
  const size = config?.number('allowed_payload_size') ?? 128;
  const unit = config?.text('size_unit') ?? 'megabytes';
  config?.tellRest('request-size-limiting', ['require_content_length']);
  return size * (unitBytes[unit] ?? 1);
}

const aboutCounting = [
  'policy',
  'fault_tolerant',
  'hide_client_headers',
  'redis',
  'error_code',
  'error_message',
  'sync_rate',
  'header_name',
  'path',
  ...['host', 'port', 'password', 'username', 'database', 'timeout', 'ssl', 'ssl_verify', 'server_name'].map(
    (key) => `redis_${key}`,
  ),
];

function readLimits(config: PlacedMap, name: string, auth: GatewayAuth): GatewayLimit[] {
  const by = limitedBy(config, auth);
  const limits = [...windows].flatMap(([windowSeconds, window]) => {
    const count = config.number(window);
    return count === undefined || by === undefined ? [] : foundLimit(config, name, { count, windowSeconds, by });
  });
  if (by === undefined)
    config.tell(name, `counts by ${JSON.stringify(config.text('limit_by'))}; its limits are not taken over`, 'limit_by');
  config.tellRest(name, aboutCounting);
  return limits;
}

/** Nobody is known where nothing is checked: then Kong counts by address. */
function limitedBy(config: PlacedMap, auth: GatewayAuth): GatewayLimit['by'] | undefined {
  const word = config.text('limit_by') ?? 'consumer';
  const by = word === 'credential' ? 'caller' : byWord.get(word);
  return by === 'caller' && auth.kind === 'none' ? 'address' : by;
}

const byWord = new Map(Object.entries(limitWords).map(([by, word]) => [word, by as GatewayLimit['by']]));

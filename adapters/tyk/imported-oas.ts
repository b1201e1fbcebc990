/** A route from a Tyk OAS definition. */
import { toMs } from '../../gateway/core/duration.ts';
import { foundLimit } from '../conversion/found-limit.ts';
import type { FoundRoute, GatewayAuth, GatewayLimit } from '../conversion/gateway-route.ts';
import type { PlacedMap } from '../conversion/placed.ts';
import { foundApi, jwksOf, strictAuth, tellStrictAuth } from './found-api.ts';

export function readOas(document: PlacedMap, gateway: URL): Pick<FoundRoute, 'route'>[] {
  const api = document.map('x-tyk-api-gateway');
  const upstream = api?.map('upstream');
  const server = api?.map('server');
  const listenPath = server?.map('listenPath');
  const info = api?.map('info');
  const id = info?.word('id') ?? info?.word('name') ?? 'api';
  if (api === undefined || upstream === undefined || listenPath === undefined || server === undefined) {
    document.tell(id, 'has no upstream or no listen path; the API is left out', 'x-tyk-api-gateway');
    return [];
  }
  if (info?.map('state')?.flag('active') === false) {
    info.tell(id, 'is switched off; the API is left out', 'state');
    return [];
  }
  const operations = readOperations(document, api, id);
  const found = foundApi({
    id,
    gateway,
    listenPath: { from: listenPath, key: 'value' },
    target: { from: upstream, key: 'url' },
    domain: domainOf(server),
    stripPath: listenPath.flag('strip') ?? false,
    auth: readAuth(document, server, id),
    limits: readLimits(upstream, id),
    bodyBytes: readSize(api, id),
    ...operations,
    timeouts: [...operations.timeouts, ...globalTimeout(upstream)],
  });
  if (upstream.map('preserveHostHeader')?.flag('enabled') === false)
    upstream.tell(id, 'the backend gets another Host; what Foregate writes keeps that of the client', 'preserveHostHeader');
  for (const map of [upstream, server, api]) map.tellUsedRest(id, ['info']);
  return found;
}

function domainOf(server: PlacedMap): { from: PlacedMap; key: string } | undefined {
  const domain = server.map('customDomain');
  return domain === undefined || domain.flag('enabled') === false ? undefined : { from: domain, key: 'name' };
}

function isOn(map: PlacedMap | undefined): map is PlacedMap {
  return map !== undefined && map.flag('enabled') === true;
}

function readLimits(upstream: PlacedMap, id: string): GatewayLimit[] {
  const limit = upstream.map('rateLimit');
  if (!isOn(limit)) return [];
  const count = limit.number('rate');
  const per = secondsOf(limit.text('per') ?? '');
  if (count !== undefined && per !== undefined) return foundLimit(limit, id, { count, windowSeconds: per, by: 'route' });
  limit.tell(id, 'the limit of requests is not taken over');
  return [];
}

/** `60s`, `1m30s`; undefined if it is no time of at least a second. */
function secondsOf(text: string): number | undefined {
  if (!/^(\d+(ms|s|m|h))+$/.test(text)) return undefined;
  const ms = (text.match(/\d+[a-z]+/g) ?? []).reduce((sum, part) => sum + toMs(part), 0);
  return ms >= 1000 && ms % 1000 === 0 ? ms / 1000 : undefined;
}

function globalTimeout(upstream: PlacedMap): number[] {
  const timeout = upstream.map('enforceTimeout');
  const seconds = isOn(timeout) ? secondsOf(timeout.text('duration') ?? '') : undefined;
  return seconds === undefined ? [] : [seconds];
}

function readSize(api: PlacedMap, id: string): number {
  const global = api.map('middleware')?.map('global');
  const size = global?.map('requestSizeLimit');
  global?.tellUsedRest(id, ['contextVariables', 'trafficLogs']);
  return (isOn(size) ? size.number('value') : undefined) ?? Number.POSITIVE_INFINITY;
}

function readAuth(document: PlacedMap, server: PlacedMap, id: string): GatewayAuth {
  const auth = server.map('authentication');
  if (!isOn(auth)) return { kind: 'none' };
  const hidden = auth.flag('stripAuthorizationData') ?? false;
  const schemes = auth.map('securitySchemes');
  const [name, more] = (schemes?.keys() ?? []).filter((one) => isOn(schemes?.map(one)));
  const scheme = name === undefined ? undefined : schemes?.map(name);
  if (more !== undefined) auth.tell(id, 'checks several credentials; only the first is taken over', 'securitySchemes');
  auth.tellUsedRest(id, ['baseIdentityProvider', 'securityProcessingMode', 'security']);
  if (name === undefined || scheme === undefined) return tellStrictAuth(auth, id, 'something else than a key or a token');
  return readScheme(scheme, { document, name, id, hidden });
}

interface SchemeTerms {
  readonly document: PlacedMap;
  readonly name: string;
  readonly id: string;
  readonly hidden: boolean;
}

function readScheme(scheme: PlacedMap, { document, name, id, hidden }: SchemeTerms): GatewayAuth {
  const declared = document.map('components')?.map('securitySchemes')?.map(name);
  const type = declared?.text('type') ?? 'apiKey';
  const isToken = scheme.has('source') || scheme.has('signingMethod') || scheme.has('jwksURIs');
  if (isToken || (type === 'http' && declared?.text('scheme') === 'bearer')) return readToken(scheme, id, hidden);
  if (type !== 'apiKey') return tellStrictAuth(scheme, id, JSON.stringify(type));
  const header = scheme.map('header');
  const query = scheme.map('query');
  const inQuery = isOn(query) && !isOn(header);
  if (isOn(query) && isOn(header)) scheme.tell(id, 'takes keys from the query, too; only the field is taken over', 'query');
  scheme.tellUsedRest(id);
  const own = (inQuery ? query : header)?.text('name') ?? declared?.text('name') ?? 'Authorization';
  const where = inQuery || (header === undefined && declared?.text('in') === 'query') ? 'query' : 'header';
  return { ...strictAuth, kind: 'key', hidden, place: { in: where, name: own } };
}

const aboutTokens = [
  'signingMethod',
  'identityBaseField',
  'subjectClaims',
  'policyFieldName',
  'defaultPolicies',
  'skipKid',
  'header',
];

function readToken(scheme: PlacedMap, id: string, hidden: boolean): GatewayAuth {
  const [uris] = scheme.maps('jwksURIs');
  const jwks = jwksOf(scheme, 'source', id) ?? uris?.text('url');
  const [issuer, ...issuers] = scheme.texts('allowedIssuers');
  const [audience, ...audiences] = scheme.texts('allowedAudiences');
  if (issuers.length + audiences.length > 0)
    scheme.tell(id, 'takes tokens of several issuers or for several audiences; only the first are taken over');
  scheme.tellUsedRest(id, aboutTokens);
  return { kind: 'jwt', hidden, issuer, audience, jwks };
}

interface Operations {
  readonly eventsOnly: boolean;
  readonly timeouts: readonly number[];
}

interface Operation {
  readonly settings: PlacedMap;
  readonly path: string;
  readonly method: string;
  readonly takesEvents: boolean;
}

function readOperations(document: PlacedMap, api: PlacedMap, id: string): Operations {
  const settings = api.map('middleware')?.map('operations');
  const known = operationsOf(document);
  const all = (settings?.keys() ?? []).flatMap((name): Operation[] => {
    const own = settings?.map(name);
    return own === undefined ? [] : [{ settings: own, ...(known.get(name) ?? { path: name, method: '', takesEvents: false }) }];
  });
  const allowed = all.filter((one) => isOn(one.settings.map('allow')));
  const eventsOnly = allowed.length > 0 && allowed.every(({ method, takesEvents }) => method === 'post' && takesEvents);
  const timeouts = all.flatMap(({ settings: own }) => {
    const timeout = own.map('enforceTimeout');
    return isOn(timeout) ? (timeout.number('value') ?? []) : [];
  });
  if (allowed.some(({ path }) => path !== '/') || (allowed.length > 0 && !eventsOnly))
    settings?.tell(id, 'which methods and paths are allowed is left to the gateway');
  for (const one of all) one.settings.tellUsedRest(id);
  return { eventsOnly, timeouts };
}

/** By `operationId`. */
function operationsOf(document: PlacedMap): Map<string, Omit<Operation, 'settings'>> {
  const paths = document.map('paths');
  const found = new Map<string, Omit<Operation, 'settings'>>();
  for (const path of paths?.keys() ?? []) {
    const item = paths?.map(path);
    for (const method of item?.keys() ?? []) {
      const operation = item?.isMap(method) === true ? item.map(method) : undefined;
      const content = operation?.map('requestBody')?.map('content')?.keys() ?? [];
      const name = operation?.word('operationId');
      if (name !== undefined) found.set(name, { path, method, takesEvents: content.includes('application/websocket-events') });
    }
  }
  return found;
}

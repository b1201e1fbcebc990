/** `x-tyk-api-gateway` of a Tyk OAS document: what Tyk does for all operations of it. */
import type { ExtendedOperation, GatewayExtensions, GatewayMember } from '../../gateway/core/gateway-extensions.ts';
import { isMapping, type Mapping } from '../../gateway/core/mapping.ts';
import { below, member, unread } from '../conversion/extension-levels.ts';

const name = 'x-tyk-api-gateway';

export const tykExtensions: GatewayExtensions = {
  prefix: 'x-tyk-',
  read({ root, levels }: ExtendedOperation) {
    const api = root[name];
    return {
      members: isMapping(api) ? [...upstreamMembers(api), ...serverMembers(api)] : [],
      remarks: unread(levels, 'x-tyk-', [name]),
    };
  },
};

function upstreamMembers(api: Mapping): GatewayMember[] {
  const limit = below(api, 'upstream', 'rateLimit');
  const { enabled, rate, per } = isMapping(limit?.value) ? limit.value : {};
  const isPlain = enabled === true && typeof rate === 'number' && typeof per === 'string' && /^\d+[smh]$/.test(per);
  const url = below(api, 'upstream', 'url');
  return [
    ...member('backend', url, typeof url?.value === 'string' ? url.value.replace(/\/$/, '') : undefined),
    ...member('limits', limit, isPlain ? [{ count: rate, window: per, by: 'route' }] : undefined),
  ];
}

function serverMembers(api: Mapping): GatewayMember[] {
  const server = below(api, 'server', 'authentication');
  const authentication = isMapping(server?.value) ? server.value : {};
  const schemes = authentication['securitySchemes'];
  const scheme = Object.values(isMapping(schemes) ? schemes : {}).find((one) => isMapping(one) && one['enabled'] === true);
  const strip = below(api, 'server', 'listenPath', 'strip');
  return [
    ...member('stripPath', strip),
    ...(authentication['enabled'] === true ? schemeMembers(isMapping(scheme) ? scheme : {}) : member('auth', server, 'none')),
    ...member('hideCredential', below(authentication, 'stripAuthorizationData')),
  ];
}

function schemeMembers(scheme: Mapping): GatewayMember[] {
  const [header, query] = [below(scheme, 'header', 'name'), below(scheme, 'query', 'name')];
  const token = below(scheme, 'source') ?? below(scheme, 'jwksURIs');
  if (token !== undefined) return member('auth', token, 'jwt');
  if (header !== undefined) return member('credential', header, { header: header.value });
  return query === undefined ? [] : member('credential', query, { query: query.value });
}

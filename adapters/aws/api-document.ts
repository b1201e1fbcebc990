/** The OpenAPI document from which AWS makes an API. */
import { backendBase, basePath, includesBase } from '../conversion/cloud-route.ts';
import type { GatewayAuth, GatewayModel, GatewayRoute } from '../conversion/gateway-route.ts';
import { present, type Raw } from '../conversion/present.ts';
import { integrationTimeout, kindOfApi, type ApiKind } from './api-remarks.ts';

export function apiDocument({ routes }: GatewayModel): Raw {
  const kind = kindOfApi(routes);
  const schemes = securitySchemes(routes);
  return present({
    openapi: '3.0.1',
    info: { title: 'foregate', version: '1', description: 'Made by "foregate export aws"; made again, it is overwritten.' },
    tags: [{ name: 'foregate' }],
    ...(kind === 'rest' ? restSettings(routes) : undefined),
    servers: routes.some(({ hosts }) => hosts.length > 0) ? [ownNamesOnly] : undefined,
    paths: Object.fromEntries(routes.flatMap((route) => pathsOf(route, kind))),
    components: Object.keys(schemes).length === 0 ? undefined : { securitySchemes: schemes },
  });
}

/** Without it the API answers under a name of AWS as well. */
const ownNamesOnly: Raw = { url: '/', 'x-amazon-apigateway-endpoint-configuration': { disableExecuteApiEndpoint: true } };

/** Bodies of other types than these are taken for UTF-8 and damaged if they are none. */
function restSettings(routes: readonly GatewayRoute[]): Raw {
  const type = routes.every(({ eventsOnly }) => eventsOnly) ? 'application/websocket-events' : '*/*';
  return { 'x-amazon-apigateway-api-key-source': 'HEADER', 'x-amazon-apigateway-binary-media-types': [type] };
}

function pathsOf(route: GatewayRoute, kind: ApiKind): [string, Raw][] {
  const base = basePath(route);
  const below: [string, Raw] = [`${base}/{proxy+}`, pathItem(route, kind, true)];
  return includesBase(route) ? [[base === '' ? '/' : base, pathItem(route, kind, false)], below] : [below];
}

function pathItem(route: GatewayRoute, kind: ApiKind, below: boolean): Raw {
  const method = route.eventsOnly ? 'post' : 'x-amazon-apigateway-any-method';
  return { [method]: operation(route, kind, below) };
}

function operation(route: GatewayRoute, kind: ApiKind, below: boolean): Raw {
  return present({
    operationId: below ? `${route.id}-below` : route.id,
    tags: ['foregate'],
    security: security(route.auth, route.id),
    parameters: below ? [{ name: 'proxy', in: 'path', required: true, schema: { type: 'string' } }] : undefined,
    requestBody: route.eventsOnly
      ? { content: { 'application/websocket-events': { schema: { type: 'string', format: 'binary' } } } }
      : undefined,
    responses: { default: { description: 'What the backend answers.' } },
    'x-amazon-apigateway-integration': integration(route, kind, below),
  });
}

function integration(route: GatewayRoute, kind: ApiKind, below: boolean): Raw {
  const base = backendBase(route);
  const mapped = parameters(route, kind, below);
  return present({
    type: 'http_proxy',
    httpMethod: route.eventsOnly ? 'POST' : 'ANY',
    uri: below ? `${base}/{proxy}` : bareUri(base),
    connectionType: 'INTERNET',
    ...(kind === 'rest' ? { passthroughBehavior: 'when_no_match' } : { payloadFormatVersion: '1.0' }),
    timeoutInMillis: integrationTimeout(route),
    requestParameters: Object.keys(mapped).length === 0 ? undefined : mapped,
  });
}

/** An address without a path gets its `/`. */
function bareUri(base: string): string {
  return new URL(base).pathname === '/' ? `${base}/` : base;
}

function parameters({ auth }: GatewayRoute, kind: ApiKind, below: boolean): Raw {
  if (kind === 'http') return {};
  return {
    ...(below ? { 'integration.request.path.proxy': 'method.request.path.proxy' } : undefined),
    ...(auth.kind === 'key' && auth.hidden ? { 'integration.request.header.x-api-key': "'hidden'" } : undefined),
  };
}

function security(auth: GatewayAuth, id: string): Raw[] {
  if (auth.kind === 'none') return [];
  return [{ [auth.kind === 'key' ? 'api_key' : id]: [] }];
}

function securitySchemes(routes: readonly GatewayRoute[]): Raw {
  const schemes = routes.flatMap(({ id, auth }): [string, Raw][] => {
    if (auth.kind === 'none') return [];
    return auth.kind === 'key' ? [['api_key', { type: 'apiKey', name: 'x-api-key', in: 'header' }]] : [[id, tokenScheme(auth)]];
  });
  return Object.fromEntries(schemes);
}

function tokenScheme({ issuer, audience }: Extract<GatewayAuth, { kind: 'jwt' }>): Raw {
  return {
    type: 'oauth2',
    flows: {},
    'x-amazon-apigateway-authorizer': {
      type: 'jwt',
      identitySource: '$request.header.Authorization',
      jwtConfiguration: present({ issuer, audience: audience === undefined ? undefined : [audience] }),
    },
  };
}

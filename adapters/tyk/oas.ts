/** An API of Tyk as OpenAPI 3.0 with `x-tyk-api-gateway`. */
import type { GatewayAuth, GatewayRoute } from '../conversion/gateway-route.ts';
import { present, type Raw } from '../conversion/present.ts';
import { methodsOf, secondsOf } from './methods.ts';

const scheme = 'foregate';
const made = 'Made by "foregate export tyk": change foregate.yaml instead, and write it again.';

export function oasDefinition(route: GatewayRoute): Raw {
  const { id, path, auth } = route;
  return present({
    openapi: '3.0.3',
    info: { title: id, version: '1.0.0', description: made },
    tags: [{ name: 'foregate' }],
    servers: [{ url: path }],
    paths: { '/': Object.fromEntries(methodsOf(route).map((method) => [method.toLowerCase(), operation(route, method)])) },
    components: auth.kind === 'none' ? undefined : { securitySchemes: { [scheme]: securityScheme(auth) } },
    security: auth.kind === 'none' ? undefined : [{ [scheme]: [] }],
    'x-tyk-api-gateway': {
      info: { id, orgId: 'default', name: id, state: { active: true } },
      upstream: upstream(route),
      server: server(route),
      middleware: middleware(route),
    },
  });
}

function operationId({ id }: GatewayRoute, method: string): string {
  return `${id}-${method.toLowerCase()}`;
}

function operation(route: GatewayRoute, method: string): Raw {
  const events = { content: { 'application/websocket-events': { schema: { type: 'string', format: 'binary' } } } };
  return present({
    operationId: operationId(route, method),
    requestBody: route.eventsOnly ? events : undefined,
    responses: { 200: { description: 'What the backend answers.', ...(route.eventsOnly ? events : {}) } },
  });
}

function securityScheme(auth: Exclude<GatewayAuth, { kind: 'none' }>): Raw {
  if (auth.kind === 'jwt') return { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' };
  return { type: 'apiKey', in: auth.place.in, name: auth.place.name };
}

function upstream({ backend, limits }: GatewayRoute): Raw {
  const limit = limits.find(({ by }) => by === 'route');
  return present({
    url: backend.href.replace(/\/$/, ''),
    preserveHostHeader: { enabled: true },
    rateLimit: limit && { enabled: true, rate: limit.count, per: `${limit.windowSeconds}s` },
  });
}

function server({ path, stripPath, hosts: [host], auth }: GatewayRoute): Raw {
  return present({
    listenPath: { value: path, strip: stripPath },
    customDomain: host === undefined ? undefined : { enabled: true, name: host },
    authentication: auth.kind === 'none' ? { enabled: false } : authentication(auth),
  });
}

function authentication(auth: Exclude<GatewayAuth, { kind: 'none' }>): Raw {
  return {
    enabled: true,
    stripAuthorizationData: auth.hidden,
    securitySchemes: { [scheme]: auth.kind === 'jwt' ? token(auth) : key(auth.place) },
  };
}

function key({ in: where, name }: { readonly in: string; readonly name: string }): Raw {
  return { enabled: true, [where]: { enabled: true, name } };
}

function token({ jwks, issuer, audience }: GatewayAuth & { kind: 'jwt' }): Raw {
  return present({
    enabled: true,
    header: { enabled: true, name: 'Authorization' },
    source: Buffer.from(jwks ?? '').toString('base64'),
    signingMethod: 'rsa',
    identityBaseField: 'sub',
    allowedIssuers: issuer === undefined ? undefined : [issuer],
    allowedAudiences: audience === undefined ? undefined : [audience],
  });
}

/** A limit of size is one for all methods: see `withBody`. */
function middleware(route: GatewayRoute): Raw {
  const each = present({
    allow: route.eventsOnly ? { enabled: true } : undefined,
    enforceTimeout: { enabled: true, value: secondsOf(route) },
  });
  return present({
    global: route.eventsOnly ? { requestSizeLimit: { enabled: true, value: route.bodyBytes } } : undefined,
    operations: Object.fromEntries(methodsOf(route).map((method) => [operationId(route, method), each])),
  });
}

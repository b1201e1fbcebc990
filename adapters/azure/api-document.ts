/** The OpenAPI document of an API: its paths are those behind the suffix that the API is imported with. */
import { backendBase, includesBase } from '../conversion/cloud-route.ts';
import type { GatewayRoute } from '../conversion/gateway-route.ts';
import { present, type Raw } from '../conversion/present.ts';

/** An operation of Azure has one method. */
export const methods = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch'] as const;

export function apiDocument(route: GatewayRoute): Raw {
  const below = { '/*': pathItem(route, `${route.id}-below`) };
  return {
    openapi: '3.0.1',
    info: { title: route.id, version: '1', description: 'Made by "foregate export azure"; made again, it is overwritten.' },
    servers: [{ url: backendBase(route) }],
    tags: [{ name: 'foregate' }],
    paths: includesBase(route) ? { '/': pathItem(route, route.id), ...below } : below,
  };
}

function pathItem(route: GatewayRoute, id: string): Raw {
  const used = route.eventsOnly ? ['post'] : methods;
  return Object.fromEntries(used.map((method) => [method, operation(route, `${id}-${method}`)]));
}

function operation({ eventsOnly }: GatewayRoute, operationId: string): Raw {
  return present({
    operationId,
    tags: ['foregate'],
    requestBody: eventsOnly ? { content: { 'application/websocket-events': {} } } : undefined,
    responses: { default: { description: 'What the backend answers.' } },
  });
}

/** Calls for probes and dashboards, and the document of the API itself. */
import { controlDocument } from '../../openapi/control/control-document.ts';
import type { ControlHost } from '../core/control-host.ts';
import { jsonAnswer, send, type Answer } from './answer.ts';
import type { Operation } from './operation.ts';

export interface HealthParts {
  readonly host: Pick<ControlHost, 'ready' | 'store' | 'bus' | 'statistics'>;
  readonly metricsText: () => Promise<{ readonly type: string; readonly text: string }>;
}

export function healthOperations({ host, metricsText }: HealthParts): readonly Operation[] {
  return [
    { method: 'get', path: '/health/live', handle: (_request, response) => send(response, live) },
    { method: 'get', path: '/health/ready', handle: (_request, response) => send(response, readiness(host)) },
    {
      method: 'get',
      path: '/metrics',
      handle: async (_request, response) => send(response, { status: 200, ...(await metricsText()) }),
    },
    {
      method: 'get',
      path: '/stats',
      handle: async (_request, response) => send(response, jsonAnswer(200, await host.statistics())),
    },
    { method: 'get', path: '/openapi.json', handle: (_request, response) => send(response, document) },
  ];
}

const live = jsonAnswer(200, { status: 'live' });
const document = jsonAnswer(200, controlDocument);

function readiness(host: HealthParts['host']): Answer {
  const [store, bus] = [host.store(), host.bus()];
  const more = { ...(store && { store }), ...(bus && { bus }) };
  return host.ready() ? jsonAnswer(200, { status: 'ready', ...more }) : jsonAnswer(503, { status: 'unavailable', ...more });
}

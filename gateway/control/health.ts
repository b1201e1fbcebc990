/** Calls for probes and dashboards, and the document of the API itself. */
import { controlDocument } from '../../openapi/control-document.ts';
import type { ControlHost } from '../core/control-host.ts';
import { jsonAnswer, send } from './answer.ts';
import type { Operation } from './operation.ts';

export interface HealthParts {
  readonly host: Pick<ControlHost, 'ready' | 'statistics'>;
  readonly metricsText: () => Promise<{ readonly type: string; readonly text: string }>;
}

export function healthOperations({ host, metricsText }: HealthParts): readonly Operation[] {
  return [
    { method: 'get', path: '/health/live', handle: (_request, response) => send(response, live) },
    { method: 'get', path: '/health/ready', handle: (_request, response) => send(response, host.ready() ? ready : unavailable) },
    {
      method: 'get',
      path: '/metrics',
      handle: async (_request, response) => send(response, { status: 200, ...(await metricsText()) }),
    },
    { method: 'get', path: '/stats', handle: (_request, response) => send(response, jsonAnswer(200, host.statistics())) },
    { method: 'get', path: '/openapi.json', handle: (_request, response) => send(response, document) },
  ];
}

const live = jsonAnswer(200, { status: 'live' });
const ready = jsonAnswer(200, { status: 'ready' });
const unavailable = jsonAnswer(503, { status: 'unavailable' });
const document = jsonAnswer(200, controlDocument);

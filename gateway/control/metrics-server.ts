/** A port for Prometheus alone, as Pushpin has it: any path answers, nobody is asked who he is, and nothing else is there. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { limits } from '../core/limits.ts';
import type { Log } from '../core/log.ts';
import { problemAnswer, send, sendUnread } from './answer.ts';
import type { MetricsText } from './metrics.ts';
import { serverOptions } from './server.ts';

export interface MetricsServerParts {
  readonly metricsText: () => Promise<MetricsText>;
  readonly log: Log;
}

/** Makes the server; it does not listen yet. */
export function metricsServer(parts: MetricsServerParts): Server {
  const server = createServer(serverOptions, (request, response) => void answerScrape(parts, request, response));
  server.maxConnections = limits.metricsConnections;
  return server;
}

async function answerScrape({ metricsText, log }: MetricsServerParts, request: IncomingMessage, response: ServerResponse) {
  const { method = '' } = request;
  if (method !== 'GET' && method !== 'HEAD')
    return sendUnread(request, response, problemAnswer(405, `Method not allowed: ${method}.`, ['Allow', 'GET, HEAD']));
  try {
    send(response, { status: 200, ...(await metricsText()) });
  } catch (error) {
    log.error('control.failed', { path: request.url, error });
    send(response, problemAnswer(500, 'Something went wrong here.'));
  }
}

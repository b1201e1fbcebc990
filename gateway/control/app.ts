/**
 * The control API: publishing and recovering by plain handlers, everything else by Express. What it answers is written down in
 * `openapi/control/control-document.ts`; errors of the JSON calls are problem details (RFC 9457).
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import express, { type ErrorRequestHandler, type Express, type Request, type RequestHandler, type Response } from 'express';
import type { ControlHost } from '../core/control-host.ts';
import { toForegateError } from '../core/errors.ts';
import { denialHead, errorStatus, problemAnswer, send, sendUnread, textAnswer, type Answer } from './answer.ts';
import { createAuthenticate } from './authenticate.ts';
import { connectionOperations } from './connections.ts';
import { docsOperations } from './docs-page.ts';
import { healthOperations, type HealthParts } from './health.ts';
import type { Operation } from './operation.ts';
import { publishHandler, recoverHandler, type PublishParts } from './publish.ts';

export interface ControlParts extends PublishParts, HealthParts {
  readonly host: ControlHost;
}

/**
 * Makes the listener of the control API's server.
 * @throws ForegateError `bad-request` for a key in `auth` that is none
 */
export function createControl(parts: ControlParts): (request: IncomingMessage, response: ServerResponse) => void {
  const publish = publishHandler(parts);
  const recover = recoverHandler(parts);
  const others = createApp(parts);
  return (request, response) => {
    if (request.url === '/publish/' || request.url === '/publish') return publish(request, response);
    if (request.url === '/recover/' || request.url === '/recover') return recover(request, response);
    others(request, response);
  };
}

/** What Express mounts, in its order. */
export function controlOperations(parts: ControlParts): readonly Operation[] {
  return [...connectionOperations(parts.host), ...healthOperations(parts), ...docsOperations()];
}

function createApp(parts: ControlParts): Express {
  const app = express();
  app.disable('x-powered-by').set('query parser', 'simple');
  app.use(admitted(parts));
  for (const operation of controlOperations(parts)) mount(app, operation);
  app.use((request, response) => sendUnread(request, response, request.url === '/' ? apiName : notFound));
  app.use(failed(parts));
  return app;
}

const apiName = textAnswer(200, 'Foregate API');
const notFound = textAnswer(404, 'Not Found');

/** Probes have no credentials. */
function admitted({ auth, log }: ControlParts): RequestHandler {
  const authenticate = createAuthenticate(auth, log);
  return (request, response, next) => {
    const admission = request.path.startsWith('/health/') ? undefined : authenticate(request);
    if (admission?.kind !== 'deny') return next();
    const { status, headers } = denialHead(admission);
    sendUnread(request, response, problemAnswer(status, admission.detail, headers));
  };
}

function mount(app: Express, { method, path, bodyBytes, handle }: Operation): void {
  const allow = method === 'get' ? 'GET, HEAD' : 'POST';
  if (bodyBytes !== undefined)
    app[method](path, acceptBody, express.json({ limit: bodyBytes, inflate: false, type: () => true }));
  app[method](path, handle);
  app.all(path, (request, response) =>
    sendUnread(request, response, problemAnswer(405, `Method not allowed: ${request.method}.`, ['Allow', allow])),
  );
}

const acceptBody: RequestHandler = (request, response, next) => {
  if (request.headers.expect !== undefined) response.writeContinue();
  next();
};

function failed({ log }: ControlParts): ErrorRequestHandler {
  return (thrown: unknown, request: Request, response: Response, next) => {
    const answer = requestFault(thrown) ?? failureAnswer(thrown);
    if (answer.status >= 500) log.error('control.failed', { path: request.path, error: thrown });
    if (response.headersSent) return next(thrown);
    if (request.readableEnded) return send(response, answer);
    sendUnread(request, response, answer);
  };
}

/** Faults of the request that Express found: a body that cannot be read, a path that is not encoded. */
function requestFault(thrown: unknown): Answer | undefined {
  if (!(thrown instanceof Error) || !('status' in thrown) || typeof thrown.status !== 'number') return undefined;
  if (thrown.status < 400 || thrown.status > 499) return undefined;
  return problemAnswer(thrown.status, requestFaults.get(thrown.status) ?? 'The request is not valid.');
}

/** In our own words: Express would quote the body. */
const requestFaults: ReadonlyMap<number, string> = new Map([
  [400, 'The body is not valid JSON, or the path is not valid.'],
  [413, 'The body is too large.'],
  [415, 'The encoding of the body is not known.'],
]);

function failureAnswer(thrown: unknown): Answer {
  const error = toForegateError(thrown);
  return problemAnswer(errorStatus(error), error.message);
}

/**
 * A stand-in for an API gateway: it speaks HTTP and nothing else. It checks a key, counts requests per key, names the caller to
 * the backend, and writes down what it saw. It knows nothing of WebSockets: that is the point.
 */
import {
  Agent,
  createServer,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
} from 'node:http';
import express, { type Request, type RequestHandler, type Response } from 'express';
import { createRequestLog, type Findings } from './request-log.ts';

export interface GatewayTerms {
  /** Where accepted requests go: `http://127.0.0.1:9000`. */
  readonly backend: string;
  /** Requests per key and window; default 20. */
  readonly limit?: number;
  /** Default 10000. */
  readonly windowMs?: number;
  /** A folder of pages that need no key, as developer portals have them. */
  readonly pages?: string;
}

const consumers: ReadonlyMap<string, string> = new Map([
  ['demo-alice', 'alice'],
  ['demo-bob', 'bob'],
]);

export function createGateway({ backend, limit = 20, windowMs = 10_000, pages }: GatewayTerms): Server {
  const log = createRequestLog();
  const agent = new Agent({ keepAlive: true });
  const app = express().disable('x-powered-by');
  app.get('/_log', (request, response) => log.serve(request, response));
  if (pages !== undefined) app.use(express.static(pages));
  app.use((request, response, next) => {
    const findings: Findings = { path: withoutKey(request.originalUrl), consumer: null, verdict: 'forwarded' };
    response.locals['findings'] = findings;
    log.watch(request, response, findings);
    next();
  });
  app.use(checkKey, limitRate(limit, windowMs), (request, response) => forward(request, response, { backend, agent }));
  return createServer(app).once('close', () => agent.destroy());
}

/** What the log will say of this request. */
function findingsOf(response: Response): Findings {
  return response.locals['findings'] as Findings; // Express does not type what middleware leaves behind.
}

function refuse(response: Response, status: number, verdict: string, message: string): void {
  findingsOf(response).verdict = verdict;
  response.status(status).json({ message });
}

const checkKey: RequestHandler = (request, response, next) => {
  const key = request.get('apikey') ?? request.query['apikey'];
  const consumer = typeof key === 'string' ? consumers.get(key) : undefined;
  findingsOf(response).consumer = consumer ?? null;
  if (consumer !== undefined) return next();
  response.set('WWW-Authenticate', 'Key realm="demo"');
  if (key === undefined) return refuse(response, 401, 'no key', 'No API key found in request');
  return refuse(response, 401, 'unknown key', 'Unauthorized');
};

/** A fixed window per consumer; there are as many windows as consumers. */
function limitRate(limit: number, windowMs: number): RequestHandler {
  const windows = new Map<string, { endsMs: number; used: number }>();
  return (_, response, next) => {
    const consumer = findingsOf(response).consumer ?? '';
    const nowMs = Date.now();
    const known = windows.get(consumer);
    const current = known && known.endsMs > nowMs ? known : { endsMs: nowMs + windowMs, used: 0 };
    windows.set(consumer, current);
    current.used += 1;
    const resetSeconds = String(Math.ceil((current.endsMs - nowMs) / 1000));
    const remaining = String(Math.max(0, limit - current.used));
    response.set({ 'RateLimit-Limit': String(limit), 'RateLimit-Remaining': remaining, 'RateLimit-Reset': resetSeconds });
    if (current.used <= limit) return next();
    response.set('Retry-After', resetSeconds);
    return refuse(response, 429, 'rate limited', 'API rate limit exceeded');
  };
}

function forward(
  request: Request,
  response: Response,
  { backend, agent }: { readonly backend: string; readonly agent: Agent },
): void {
  const { path, consumer } = findingsOf(response);
  const { hostname, port } = new URL(backend);
  const onward = httpRequest({
    hostname,
    port,
    path,
    agent,
    method: request.method,
    headers: onwardHeaders(request.headers, consumer ?? ''),
  });
  onward.once('response', (answer: IncomingMessage) => {
    response.writeHead(answer.statusCode ?? 502, endToEnd(answer.headers));
    answer.pipe(response);
  });
  onward.once('error', () => {
    if (response.headersSent) response.destroy();
    else refuse(response, 502, 'backend unreachable', 'An invalid response was received from the upstream server');
  });
  response.once('close', () => onward.destroy());
  request.pipe(onward);
}

/** The backend learns who calls, and never the key. */
function onwardHeaders(headers: IncomingHttpHeaders, consumer: string): IncomingHttpHeaders {
  const { apikey: _, ...kept } = endToEnd(headers);
  return { ...kept, 'x-consumer-username': consumer };
}

/** Without what belongs to one connection. */
function endToEnd(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const { connection: _, 'keep-alive': __, upgrade: ___, ...kept } = headers;
  return kept;
}

/** The path and query as they came, `apikey` cut out. */
function withoutKey(url: string): string {
  const mark = url.indexOf('?');
  if (mark < 0) return url;
  const pairs = url.slice(mark + 1).split('&');
  const query = pairs.filter((pair) => !/^apikey(=|$)/i.test(pair)).join('&');
  return url.slice(0, mark) + (query && `?${query}`);
}

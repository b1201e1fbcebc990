/** The log of the gateway stand-in: the last requests in memory, served as JSON or as an event stream. For the demo only: a log of bodies has no place in production. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { finished } from 'node:stream/promises';
import type { Request, Response } from 'express';

export interface LogEntry {
  /** Counts from 1. */
  readonly n: number;
  /** ISO 8601. */
  readonly time: string;
  readonly method: string;
  /** With its query, without credentials. */
  readonly path: string;
  readonly consumer: string | null;
  readonly connection: string | null;
  readonly type: string | null;
  readonly bytes: number;
  /** Of a body of events: the lines that head them, and the beginning of their content. */
  readonly events: readonly { readonly line: string; readonly content: string }[];
  readonly status: number;
  readonly verdict: string;
  readonly durationMs: number;
}

/** What the gateway has found out when it answers. */
export interface Findings {
  path: string;
  consumer: string | null;
  verdict: string;
}

export interface RequestLog {
  /** Notes a request when it has been answered; the gateway fills in the findings meanwhile. */
  watch(request: IncomingMessage, response: ServerResponse, findings: Findings): void;
  /** Answers `GET /_log?since=N`. */
  serve(request: Request, response: Response): void;
}

const entriesMax = 200;
const streamsMax = 20;
const bodyBytesKept = 4096;
const contentCharactersKept = 80;

export function createRequestLog(): RequestLog {
  const entries: LogEntry[] = [];
  const streams = new Set<ServerResponse>();
  let count = 0;

  const add = (entry: Omit<LogEntry, 'n'>): void => {
    count += 1;
    const numbered = { n: count, ...entry };
    entries.push(numbered);
    if (entries.length > entriesMax) entries.shift();
    for (const stream of streams) stream.write(eventOf(numbered));
  };

  const follow = (response: ServerResponse, missed: readonly LogEntry[]): void => {
    response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
    response.write(`: the requests of this gateway\n\n${missed.map(eventOf).join('')}`);
    streams.add(response);
    response.once('close', () => streams.delete(response));
  };

  return {
    watch(request, response, findings) {
      void observe(request, response, findings).then(add);
    },
    serve(request, response) {
      const since = Number(request.get('last-event-id') ?? request.query['since'] ?? 0) || 0;
      const wanted = entries.filter((entry) => entry.n > since);
      if (!request.get('accept')?.includes('text/event-stream')) response.json({ last: count, entries: wanted });
      else if (streams.size >= streamsMax) response.status(503).json({ message: 'Too many readers of the log' });
      else follow(response, wanted);
    },
  };
}

function eventOf(entry: LogEntry): string {
  return `id: ${entry.n}\ndata: ${JSON.stringify(entry)}\n\n`;
}

async function observe(request: IncomingMessage, response: ServerResponse, findings: Findings): Promise<Omit<LogEntry, 'n'>> {
  const startedMs = performance.now();
  const time = new Date().toISOString();
  const kept: Buffer[] = [];
  let bytes = 0;
  request.on('data', (chunk: Buffer) => {
    if (bytes < bodyBytesKept) kept.push(chunk);
    bytes += chunk.length;
  });
  // A refused request may be answered before its body has been read, and a client may leave before either.
  const answered = finished(response).then(undefined, () => undefined);
  const durationMs = answered.then(() => performance.now() - startedMs);
  await Promise.allSettled([answered, finished(request)]);
  const type = request.headers['content-type'] ?? null;
  return {
    time,
    method: request.method ?? '',
    ...findings,
    connection: request.headers['connection-id']?.toString() ?? null,
    type,
    bytes,
    events: type === 'application/websocket-events' ? eventLines(Buffer.concat(kept)) : [],
    status: response.statusCode,
    durationMs: Math.round((await durationMs) * 10) / 10,
  };
}

/** `TEXT 5\r\nhello\r\n` as line and content; stops at what it cannot read. */
function eventLines(body: Buffer): LogEntry['events'] {
  const events: { line: string; content: string }[] = [];
  let at = 0;
  while (at < body.length) {
    const end = body.indexOf('\r\n', at);
    const line = body.toString('latin1', at, end);
    const found = /^[A-Z]+(?: ([0-9a-f]+))?$/.exec(line);
    if (end < 0 || found === null) break;
    const length = found[1];
    const start = end + 2;
    const size = Number.parseInt(length ?? '0', 16);
    events.push({ line, content: body.toString('utf8', start, Math.min(start + size, start + contentCharactersKept)) });
    at = start + size + (length === undefined ? 0 : 2);
  }
  return events;
}

/** A request as a gateway sends it (GRIP 2.2), and its answer taken apart, for tests of backends. */
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ClientEvent } from '../../gateway/core/event.ts';
import { decodeEvents, encodeEvents, eventsMediaType } from '../../gateway/wire/websocket-events.ts';

export interface Answered {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** One line per event: `text m:hello`; of a close its code and reason. */
  readonly events: readonly string[];
}

export interface RequestTerms {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string | undefined>>;
  /** In place of the events. */
  readonly body?: Buffer | string;
}

export const text = (data: string): ClientEvent => ({ kind: 'text', data: Buffer.from(data) });

/** Sends events; headers given as undefined are left out. */
export async function sendEvents(url: string, events: readonly ClientEvent[], terms: RequestTerms = {}): Promise<Answered> {
  const headers = { accept: eventsMediaType, 'content-type': eventsMediaType, 'connection-id': 'connection-1', ...terms.headers };
  const kept = Object.entries(headers).filter((field): field is [string, string] => field[1] !== undefined);
  const method = terms.method ?? 'POST';
  const body = new Uint8Array(terms.body === undefined ? encodeEvents(events) : Buffer.from(terms.body));
  const response = await fetch(url, { method, headers: kept, redirect: 'manual', ...(method !== 'GET' && { body }) });
  const bytes = Buffer.from(await response.arrayBuffer());
  const readable = response.status === 200 && response.headers.get('content-type') === eventsMediaType;
  return {
    status: response.status,
    headers: response.headers,
    text: bytes.toString(),
    events: readable ? decodeEvents(bytes).map(line) : [],
  };
}

function line(event: ClientEvent): string {
  if (event.kind === 'open' || event.kind === 'disconnect') return event.kind;
  if (event.kind === 'close') return `close ${event.code ?? 'none'} ${event.reason}`.trimEnd();
  return `${event.kind} ${event.data.toString()}`.trimEnd();
}

const servers = new Set<Server>();

/** Starts a server on a free port of the loopback; its origin. */
export async function listen(handler: RequestListener | Server): Promise<string> {
  const server = typeof handler === 'function' ? createServer(handler) : handler;
  servers.add(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`; // A TCP server has no other kind of address.
}

/** For `afterEach`: stops what `listen` started. */
export async function stopServers(): Promise<void> {
  const all = [...servers];
  servers.clear();
  await Promise.all(
    all.map((server) => {
      server.close();
      server.closeAllConnections();
      return once(server, 'close');
    }),
  );
}

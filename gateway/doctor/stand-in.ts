/**
 * Stands in for the backend as long as the doctor looks: where a route of the gateway leads to it, it sees what a backend would. It
 * answers marked requests as a probe wants it, and all others with 404.
 */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { RequestDraft } from '../core/exchange.ts';
import type { HeaderList } from '../core/headers.ts';
import type { Asker, AskTerms, Outcome } from './asker.ts';

/** A request as the backend got it. */
export interface Arrival {
  readonly method: string;
  readonly headers: HeaderList;
  readonly body: Buffer;
  /** `1.0`, `1.1` */
  readonly httpVersion: string;
}

/** Writes the answer, or does not. */
export type Play = (response: ServerResponse) => void;

export interface Seen {
  readonly outcome: Outcome;
  /** More than one: the gateway sent it again. */
  readonly arrivals: readonly Arrival[];
}

export interface StandIn {
  readonly port: number;
  /** Sends a request, and tells what came of it here. @throws DoneAsking */
  see(asker: Asker, draft: RequestDraft, play: Play, terms?: AskTerms): Promise<Seen>;
  close(): Promise<void>;
}

/** Arrivals of one request that are kept. */
const arrivalsMax = 20;
const bodyBytesMax = 1_000_000;
const mark = 'foregate-doctor';

interface Scene {
  readonly play: Play;
  readonly arrivals: Arrival[];
}

/** `port` 0: any. @throws whatever listening throws */
export async function openStandIn(place: { readonly port: number; readonly host: string }): Promise<StandIn> {
  const scenes = new Map<string, Scene>();
  const server = createServer((request, response) => {
    answer(request, response, scenes.get(markOf(request.url ?? ''))).catch(() => response.destroy());
  }).listen(place.port, place.host);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // A TCP server has no other kind of address.
  return {
    port,
    async see(asker, draft, play, terms) {
      const id = randomUUID();
      const scene: Scene = { play, arrivals: [] };
      scenes.set(id, scene);
      try {
        const outcome = await asker.ask({ ...draft, path: marked(draft.path, id) }, terms);
        return { outcome, arrivals: scene.arrivals };
      } finally {
        scenes.delete(id);
      }
    },
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

/** In the query, which gateways leave alone where they change the path. */
function marked(path: string, id: string): string {
  return `${path}${path.includes('?') ? '&' : '?'}${mark}=${id}`;
}

function markOf(url: string): string {
  return new RegExp(`[?&]${mark}=([\\w-]{36})`).exec(url)?.[1] ?? '';
}

async function answer(request: IncomingMessage, response: ServerResponse, scene: Scene | undefined): Promise<void> {
  const body = await readBody(request);
  if (scene === undefined || body === undefined || scene.arrivals.length >= arrivalsMax) {
    // With a body: bare pages are the way of some gateways.
    response.writeHead(404, { 'Content-Type': 'text/plain' }).end('The doctor of Foregate stands in for the backend.\n');
    return;
  }
  const { method = '', rawHeaders: headers, httpVersion } = request;
  scene.arrivals.push({ method, headers, body, httpVersion });
  scene.play(response);
}

/** Undefined if it is larger than anything that is sent. */
async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    bytes += piece.length;
    if (bytes > bodyBytesMax) return undefined;
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

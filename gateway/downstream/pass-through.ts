/**
 * Plain HTTP requests, passed to a route's target and back as they are: bodies untouched and streamed both ways (GRIP 8.1).
 *
 * http-proxy-middleware carries the bytes. It is shown neither path nor header fields of the client, which it would read as
 * URLs and options of its own: what goes out is written here, just before the request leaves.
 */
import type { IncomingMessage } from 'node:http';
import { createProxyMiddleware, type RequestHandler } from 'http-proxy-middleware';
import type { Clock } from '../core/clock.ts';
import type { HeaderList } from '../core/headers.ts';
import { limits } from '../core/limits.ts';
import type { Log } from '../core/log.ts';
import type { Target } from '../core/route.ts';
import { answer, Passage, type Place, type PlainRequest, type Road } from './passage.ts';
import { createTargetAgent, Gate } from './target-agent.ts';

export interface PassThroughTerms {
  readonly clock: Clock;
  readonly log: Log;
  /** Requests that run at once per target; others wait. Default: `limits.targetConnections`. */
  readonly connections?: number;
  /** How long an unused connection to a target is kept. Default: 4000, below what gateways allow. */
  readonly idleMs?: number;
  /** How long a connection may take to stand before the next target is tried. Default: 4000. */
  readonly connectMs?: number;
}

export interface PassThrough {
  /** Answers the request, whatever happens: by the target's reply, a refusal or an error. Upgrades never come here. */
  handle(plain: PlainRequest): void;
}

/** Makes the pass-through of a program. Connections are per target, made at first use and gone when unused. */
export function createPassThrough(terms: PassThroughTerms): PassThrough {
  const places = new WeakMap<Target, Place>();
  const placeOf = (target: Target): Place => {
    let place = places.get(target);
    if (!place) places.set(target, (place = openPlace(target, terms)));
    return place;
  };
  const road: Road = { clock: terms.clock, log: terms.log, placeOf, send: createSender() };
  return {
    handle(plain) {
      const { headers, gripInFront } = plain.session.request;
      if (gripInFront !== true && isEventRequest(headers)) {
        answer(plain, 403, 'Client not allowed to send WebSocket events directly.\n');
        return;
      }
      const passage = new Passage(plain, road);
      (plain.request as Carried)[passageOf] = passage; // What is in it is ours alone.
      passage.start();
    },
  };
}

/** True for bodies that only a gateway may send: WebSocket-over-HTTP events, in any spelling (GRIP 8.1). */
export function isEventRequest(headers: HeaderList): boolean {
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i] ?? '';
    if (name.length === 12 && /^content[-_]type$/i.test(name) && /application\/websocket-events/i.test(headers[i + 1] ?? ''))
      return true;
  }
  return false;
}

const idleMsDefault = 4000;
const connectMsDefault = 4000;

function openPlace(
  target: Target,
  { idleMs = idleMsDefault, connectMs = connectMsDefault, connections }: PassThroughTerms,
): Place {
  const { protocol, hostname, port } = new URL(target.origin);
  const host = hostname.replace(/^\[|\]$/g, '');
  return {
    gate: new Gate(connections ?? limits.targetConnections),
    agent: createTargetAgent(target, { idleMs, connectMs }),
    address: { protocol, host, hostname: host, port },
  };
}

/** Where the library's events find the passage of their request; a WeakMap costs the collector more per request than all else here. */
const passageOf = Symbol('passage');

type Carried = IncomingMessage & { [passageOf]?: Passage };

/** One for all targets, because each leaves a listener at the server for good. */
function createSender(): RequestHandler<Carried> {
  return createProxyMiddleware<Carried>({
    router: (request, _response, options) => {
      const place = request[passageOf]?.place;
      if (!place) throw new Error('A request that never set out.');
      // The options of this request alone: they are copied for each.
      options.agent = place.agent;
      return place.address;
    },
    selfHandleResponse: true,
    ws: false,
    // The default plugins log and answer errors in their own way.
    ejectPlugins: true,
    plugins: [
      (proxy) => {
        proxy.on('proxyReq', (upstream, request) => request[passageOf]?.connected(upstream));
        proxy.on('proxyRes', (reply, request) => request[passageOf]?.replied(reply));
        proxy.on('error', (error, request) => request?.[passageOf]?.failed(error));
      },
    ],
  });
}

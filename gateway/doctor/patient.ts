/**
 * A target as a session of its route would meet it: the same head, credentials and fields, with a client of the doctor's own in
 * place of a real one and without the policies, which are for real clients.
 */
import { randomBytes } from 'node:crypto';
import { compile, type World } from '../config/compile.ts';
import type { LoadedConfig, LoadedRoute } from '../config/load.ts';
import type { Adapter } from '../core/adapter.ts';
import { realClock } from '../core/clock.ts';
import type { ClientEvent } from '../core/event.ts';
import type { RequestDraft, RequestHead } from '../core/exchange.ts';
import { newSessionId } from '../core/ids.ts';
import { silentLog } from '../core/log.ts';
import { noMetrics } from '../core/metrics.ts';
import { programKeyBytes } from '../core/policy.ts';
import { noRevocations } from '../core/revocation.ts';
import { newRouteStatistics } from '../core/route-statistics.ts';
import type { Route, Target } from '../core/route.ts';
import { noMetadata, type ClientRequest, type SessionView } from '../core/session.ts';
import type { RouteSettings, TargetSettings } from '../core/settings.ts';
import { buildHead } from '../downstream/request-head.ts';
import { TargetGuards } from '../downstream/target-guards.ts';
import { memoryStore } from '../engines/memory-store.ts';
import { webSocketOverHttp } from '../wire/websocket-over-http.ts';

/** The client's address in what the doctor sends: one for documentation, nobody's. */
export const clientAddress = '192.0.2.1';
/** A field that only the doctor sends. */
export const ownMeta = 'foregate-doctor';

export interface ClientTerms {
  /** For `User-Agent`. */
  readonly version: string;
  /** Of the request, before the route changes it; left out: below the route's own. */
  readonly path?: string;
  readonly host?: string;
  readonly credential?: ClientCredential;
}

/** What a client would show: a secret, which is never in any output. */
export interface ClientCredential {
  readonly value: string;
  /** The field, where the route does not say where clients have it; left out: where the gateway usually looks. */
  readonly header?: string;
}

export interface Patient {
  readonly loaded: LoadedConfig;
  /** Places in the file. */
  readonly at: { readonly route: number; readonly target: number };
  readonly settings: RouteSettings;
  readonly targetSettings: TargetSettings;
  readonly adapter: Adapter;
  readonly route: Route;
  readonly target: Target;
  /** Whether a credential goes with the requests. */
  readonly showsCredential: boolean;
  /** A request with events, as a session would send it. @throws Error where the adapter refuses the client */
  draft(events: readonly ClientEvent[]): Promise<RequestDraft>;
  /** The same with nothing for a credential. */
  strangerDraft(events: readonly ClientEvent[]): Promise<RequestDraft>;
  /** A plain request without a body. */
  plainDraft(): Promise<RequestDraft>;
}

/** The world of one route without its policies; dispose of it in the end. */
export function compileRoute(loaded: LoadedConfig, route: LoadedRoute): Promise<World> {
  const alone = { ...loaded, routes: [{ ...route, policies: [] }], controlPolicies: [] };
  return compile(alone, {
    store: memoryStore(),
    clock: realClock,
    log: silentLog,
    metrics: noMetrics,
    revocations: noRevocations,
    programKey: randomBytes(programKeyBytes),
    guards: new TargetGuards({ clock: realClock, log: silentLog, metrics: noMetrics }),
    statisticsOf: () => newRouteStatistics(realClock.now()),
  });
}

type Place = Pick<Patient, 'loaded' | 'at' | 'settings' | 'targetSettings' | 'adapter' | 'route' | 'target'>;

export function createPatient(place: Place, terms: ClientTerms): Patient {
  const { settings, route, target } = place;
  const known = clientRequest(place, terms, terms.credential);
  const stranger = clientRequest(place, terms, undefined);
  const withEvents = async (request: ClientRequest, events: readonly ClientEvent[], own: boolean): Promise<RequestDraft> => {
    const view = viewOf(route, request);
    const head = await headOf(view, route, target, own);
    const { method, headers, body } = webSocketOverHttp.encode({ events, replayedBytes: 0, more: false }, view);
    const signature = route.grip?.signer === undefined ? [] : ['Grip-Sig', route.grip.signer.sign()];
    return { method, path: head.path, headers: [...head.headers, ...signature, ...headers], body };
  };
  return {
    ...place,
    showsCredential: showsCredential(settings.adapter.credentials, terms),
    draft: (events) => withEvents(known, events, true),
    strangerDraft: (events) => withEvents(stranger, events, false),
    async plainDraft() {
      const head = await headOf(viewOf(route, known), route, target, true);
      return { method: 'GET', path: head.path, headers: head.headers, body: undefined };
    },
  };
}

function showsCredential(handling: RouteSettings['adapter']['credentials'], { credential }: ClientTerms): boolean {
  return handling === 'replace' || (handling === 'relay' && credential !== undefined);
}

/** `own`: with the credential, whosever it is. @throws Error where the adapter refuses the client */
async function headOf(view: SessionView, route: Route, target: Target, own: boolean): Promise<RequestHead> {
  const refusal = target.profile.take?.(view);
  if (refusal !== undefined) throw new Error(`The credential cannot be sent: ${refusal.detail}`);
  const head = buildHead(view.request, route, target, view.consumed);
  if (own) await target.profile.prepare(head, view);
  return head;
}

function viewOf(route: Route, request: ClientRequest): SessionView {
  return {
    id: newSessionId(),
    routeId: route.id,
    transport: 'websocket',
    request,
    openedAt: Date.now(),
    state: new Map([[ownMeta, 'kept']]),
    meta: noMetadata,
    identity: { subject: 'foregate-doctor', by: 'foregate-doctor' },
    consumed: [],
    send: () => {},
    end: () => {},
  };
}

function clientRequest(place: Place, { version, host, path }: ClientTerms, credential?: ClientCredential): ClientRequest {
  const { match } = place.settings;
  const named = host ?? (match.host?.startsWith('*') === true ? undefined : match.host);
  const headers = [...(named === undefined ? [] : ['Host', named]), 'User-Agent', `foregate-doctor/${version}`];
  const request = { method: 'GET', path: path ?? ownPath(match.path), headers, address: clientAddress, secure: false };
  return credential === undefined ? request : withCredential(request, place, credential);
}

function ownPath(matched: string): string {
  return `${matched.replace(/\/$/, '')}/.foregate-doctor`;
}

/** Puts it where clients have it, as the route says. */
function withCredential(
  request: ClientRequest,
  { settings, adapter }: Place,
  { value, header }: ClientCredential,
): ClientRequest {
  const { from } = settings.adapter;
  const add = (name: string, text: string): ClientRequest => ({ ...request, headers: [...request.headers, name, text] });
  if (from === undefined || header !== undefined) return add(header ?? adapter.credentialHeader ?? 'Authorization', value);
  if (from.header !== undefined) return add(from.header, isAuthorization(from.header) ? `Bearer ${value}` : value);
  if (from.cookie !== undefined) return add('Cookie', `${from.cookie}=${value}`);
  if (from.subprotocol !== undefined) return add('Sec-WebSocket-Protocol', `${from.subprotocol}, ${value}`);
  const parameter = `${encodeURIComponent(from.query ?? '')}=${encodeURIComponent(value)}`;
  return { ...request, path: `${request.path}${request.path.includes('?') ? '&' : '?'}${parameter}` };
}

function isAuthorization(name: string): boolean {
  return name.toLowerCase() === 'authorization';
}

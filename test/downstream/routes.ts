/** Routes, targets and sessions for the tests of this folder: complete, with nothing switched on. */
import { noHooks } from '../../gateway/core/policy.ts';
import { newSessionId, routeId } from '../../gateway/core/ids.ts';
import { limits } from '../../gateway/core/limits.ts';
import { fields, type HeaderList } from '../../gateway/core/headers.ts';
import type { Profile } from '../../gateway/core/profile.ts';
import type { Route, Target } from '../../gateway/core/route.ts';
import { newRouteStatistics } from '../../gateway/core/route-statistics.ts';
import { noMetadata, type ClientRequest, type SessionView } from '../../gateway/core/session.ts';

export const plainProfile: Profile = {
  name: 'none',
  identityHeaders: [],
  prepare: () => undefined,
  fault: () => ({ kind: 'upstream', code: 'downstream-fault', detail: '' }),
};

/** Nobody is trusted, nothing is stripped. */
export const usualForwarding: Route['forwarded'] = { trusts: () => false, strip: [], rules: undefined, cdnLoop: undefined };

export function testTarget(changes: Partial<Target> = {}): Target {
  return {
    origin: 'http://backend.internal:8000',
    host: undefined,
    dialect: undefined,
    profile: plainProfile,
    downstream: { send: () => Promise.reject(new Error('Not for plain requests.')), back: () => Promise.resolve(true) },
    guard: undefined,
    batches: true,
    retry: 'once',
    channels: [],
    timeoutMs: 5000,
    publicOnly: false,
    tls: {},
    ...changes,
  };
}

export function testRoute(changes: Partial<Route> = {}): Route {
  const { messageBytes, queueBytes, unsentBytes, replyBytes, refusalBytes, subscriptions } = limits;
  return {
    id: routeId('test'),
    match: {
      host: undefined,
      path: '/',
      template: undefined,
      transports: ['http', 'websocket'],
      methods: undefined,
      tls: undefined,
      byId: 'never',
    },
    targets: [testTarget()],
    hooks: noHooks,
    limits: { messageBytes, queueBytes, unsentBytes, replyBytes, refusalBytes, subscriptions },
    grip: undefined,
    cachedHolds: 'warn',
    filterRequests: 0,
    channelPrefix: '',
    headers: [],
    hides: undefined,
    path: undefined,
    closeCodes: [],
    sockjs: undefined,
    forwarded: usualForwarding,
    closeFrames: true,
    pings: 'forward',
    notifyAfterFailure: false,
    slowClients: 'close',
    onFault: {
      unauthenticated: 'close',
      forbidden: 'close',
      throttled: 'close',
      quota: 'close',
      'too-large': 'close',
      'no-route': 'close',
      upstream: 'close',
      'not-ours': 'close',
    },
    faultText: undefined,
    faultDelay: { longestMs: 60_000, usualMs: 1000, tries: 3 },
    cors: false,
    jsonp: undefined,
    eventStream: undefined,
    reload: 'keep',
    idleMs: 60_000,
    debug: false,
    log: undefined,
    statistics: newRouteStatistics(0),
    ...changes,
  };
}

export function testRequest(headers: HeaderList, changes: Partial<ClientRequest> = {}): ClientRequest {
  return { method: 'GET', path: '/', address: '192.0.2.7', secure: false, headers, ...changes };
}

export function testSession(request: ClientRequest): SessionView {
  return {
    id: newSessionId(),
    routeId: routeId('test'),
    transport: 'request',
    request,
    openedAt: 0,
    state: noMetadata,
    meta: noMetadata,
    identity: undefined,
    consumed: [],
    send: () => undefined,
    end: () => undefined,
  };
}

/** `Name: value` lines, for comparing. */
export function lines(headers: HeaderList): string[] {
  return [...fields(headers)].map(([name, value]) => `${name}: ${value}`);
}

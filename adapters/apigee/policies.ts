/** The policies of a proxy, in the order in which they run. */
import { includesBase } from '../conversion/cloud-route.ts';
import type { GatewayAuth, GatewayLimit, GatewayRoute } from '../conversion/gateway-route.ts';
import { element, type Element } from '../conversion/xml.ts';
import { atMost } from './at-most.ts';
import { counterOf } from './counter.ts';

export interface Policy {
  readonly element: Element;
  /** When a request comes in, or when it is about to be passed on. */
  readonly moment: 'asked' | 'passed on';
  /** It runs for each of these that holds; left out: always. */
  readonly conditions?: readonly string[];
}

export function policies(route: GatewayRoute): Policy[] {
  const { auth, limits } = route;
  return [
    ...notFound(route),
    ...tooLarge(route),
    ...check(auth),
    ...limits.map((limit, nth): Policy => ({ moment: 'asked', element: limitPolicy(limit, nth + 1, auth) })),
    ...hidden(auth),
  ];
}

function notFound(route: GatewayRoute): Policy[] {
  const { hosts, eventsOnly } = route;
  const conditions = [
    ...(hosts.length === 0 ? [] : [`!(${hosts.map(isHost).join(' or ')})`]),
    ...(eventsOnly ? ['request.verb != "POST"', 'request.header.content-type != "application/websocket-events"'] : []),
    ...(includesBase(route) ? [] : ['proxy.pathsuffix = ""']),
  ];
  return conditions.length === 0
    ? []
    : [answer('RF-NotFound', conditions, 404, 'Not Found', 'messaging.adaptors.http.flow.ApplicationNotFound')];
}

/** A regular expression of Java; a port may follow. */
function isHost(host: string): string {
  const name = host.toLowerCase().replaceAll('.', '[.]').replace(/^\*/, '[^:]+');
  return `(request.header.host ~~ "(?i)^${name}(:[0-9]+)?$")`;
}

/** A body whose length is not said is too large: Foregate says it. */
function tooLarge({ bodyBytes, eventsOnly }: GatewayRoute): Policy[] {
  const conditions = [
    'request.header.transfer-encoding != null',
    ...(eventsOnly ? ['request.header.content-length = null'] : []),
    `(request.header.content-length != null) and !(request.header.content-length ~~ "${atMost(bodyBytes)}")`,
  ];
  return [answer('RF-TooLarge', conditions, 413, 'Content Too Large', 'protocol.http.TooBigBody')];
}

/** As Apigee's own faults are, so that the adapter knows them. */
function answer(name: string, conditions: readonly string[], status: number, reason: string, errorcode: string): Policy {
  const fault = JSON.stringify({ fault: { faultstring: reason, detail: { errorcode } } });
  return {
    moment: 'asked',
    conditions,
    element: element('RaiseFault', { name }, [
      element('DisplayName', {}, name),
      element('FaultResponse', {}, [
        element('Set', {}, [
          // With the usual signs the braces of JSON would be variables.
          element('Payload', { contentType: 'application/json', variablePrefix: '@', variableSuffix: '#' }, fault),
          element('ReasonPhrase', {}, reason),
          element('StatusCode', {}, String(status)),
        ]),
      ]),
      element('IgnoreUnresolvedVariables', {}, 'true'),
    ]),
  };
}

function check(auth: GatewayAuth): Policy[] {
  if (auth.kind === 'none') return [];
  return [{ moment: 'asked', element: auth.kind === 'key' ? keyCheck(auth) : tokenCheck(auth) }];
}

function keyCheck({ place }: Extract<GatewayAuth, { kind: 'key' }>): Element {
  const source = place.in === 'header' ? 'header' : 'queryparam';
  return element('VerifyAPIKey', { name: 'VA-Key' }, [
    element('DisplayName', {}, 'VA-Key'),
    element('APIKey', { ref: `request.${source}.${place.name}` }),
  ]);
}

/** Without a source it looks at `Authorization: Bearer`. */
function tokenCheck({ issuer, audience, jwks = '' }: Extract<GatewayAuth, { kind: 'jwt' }>): Element {
  return element('VerifyJWT', { name: 'VJWT-Token' }, [
    element('DisplayName', {}, 'VJWT-Token'),
    element('Algorithm', {}, 'RS256'),
    element('PublicKey', {}, [element('JWKS', { uri: jwks })]),
    issuer === undefined ? undefined : element('Issuer', {}, issuer),
    audience === undefined ? undefined : element('Audience', {}, audience),
  ]);
}

function limitPolicy(limit: GatewayLimit, nth: number, auth: GatewayAuth): Element {
  const identifier = limit.by === 'caller' ? element('Identifier', { ref: callerOf(auth) }) : undefined;
  const counter = counterOf(limit);
  if (counter.kind === 'spike') {
    const name = `SA-Limit${nth}`;
    return element('SpikeArrest', { name }, [
      element('DisplayName', {}, name),
      identifier,
      element('Rate', {}, `${counter.perSecond}ps`),
      element('UseEffectiveCount', {}, 'true'),
    ]);
  }
  const name = `Q-Limit${nth}`;
  return element('Quota', { name, type: 'rollingwindow' }, [
    element('DisplayName', {}, name),
    identifier,
    element('Allow', { count: String(counter.count) }),
    element('Interval', {}, String(counter.interval)),
    element('TimeUnit', {}, counter.unit),
    element('Distributed', {}, 'true'),
    element('Synchronous', {}, 'true'),
  ]);
}

function callerOf({ kind }: GatewayAuth): string {
  return kind === 'jwt' ? 'jwt.VJWT-Token.claim.subject' : 'verifyapikey.VA-Key.client_id';
}

function hidden(auth: GatewayAuth): Policy[] {
  if (auth.kind === 'none' || !auth.hidden) return [];
  const place = auth.kind === 'key' ? auth.place : ({ in: 'header', name: 'Authorization' } as const);
  const removed =
    place.in === 'header'
      ? element('Headers', {}, [element('Header', { name: place.name })])
      : element('QueryParams', {}, [element('QueryParam', { name: place.name })]);
  const policy = element('AssignMessage', { name: 'AM-HideCredential' }, [
    element('DisplayName', {}, 'AM-HideCredential'),
    element('Remove', {}, [removed]),
    element('IgnoreUnresolvedVariables', {}, 'true'),
  ]);
  return [{ moment: 'passed on', element: policy }];
}

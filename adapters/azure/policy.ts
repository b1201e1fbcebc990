/** The policy of an API: what is checked before a request is passed on, and for how long the backend is waited for. */
import type { GatewayAuth, GatewayLimit, GatewayRoute } from '../conversion/gateway-route.ts';
import { element, type Element } from '../conversion/xml.ts';
import { forwardSeconds, longestRate } from './api-remarks.ts';

const base = element('base');

export function policy(route: GatewayRoute): Element {
  const forward = element('forward-request', {
    timeout: String(forwardSeconds(route)),
    'buffer-request-body': 'false',
    'buffer-response': 'false',
  });
  return element('policies', {}, [
    element('inbound', {}, [base, ...inbound(route)]),
    element('backend', {}, [forward]),
    element('outbound', {}, [base]),
    element('on-error', {}, [base]),
  ]);
}

function inbound(route: GatewayRoute): (Element | undefined)[] {
  const { auth, limits } = route;
  return [
    hostCheck(route),
    route.eventsOnly ? typeCheck : undefined,
    sizeCheck(route),
    auth.kind === 'jwt' ? tokenCheck(auth) : undefined,
    ...limits.map((limit, nth) => limitOf(limit, counterKey(route, limit, nth))),
    ...hidden(auth),
  ];
}

function hostCheck({ hosts }: GatewayRoute): Element | undefined {
  if (hosts.length === 0) return undefined;
  const others = hosts.map((host) => {
    const name = host.toLowerCase();
    return name.startsWith('*.')
      ? `!context.Request.OriginalUrl.Host.EndsWith("${name.slice(1)}")`
      : `context.Request.OriginalUrl.Host != "${name}"`;
  });
  return answerWhen(others.join(' && '), 404, 'Resource not found');
}

const typeCheck = element(
  'check-header',
  {
    name: 'Content-Type',
    'failed-check-httpcode': '415',
    'failed-check-error-message': 'Expected application/websocket-events.',
    'ignore-case': 'true',
  },
  [element('value', {}, 'application/websocket-events')],
);

/** A body whose length is not said is too large: Foregate says it. */
function sizeCheck({ bodyBytes, eventsOnly }: GatewayRoute): Element {
  const unsaid = String(Number.MAX_SAFE_INTEGER);
  const missing = eventsOnly
    ? `"${unsaid}"`
    : `context.Request.Method == "GET" || context.Request.Method == "HEAD" || context.Request.Method == "OPTIONS" || context.Request.Method == "DELETE" ? "0" : "${unsaid}"`;
  const length = `Int64.Parse(context.Request.Headers.GetValueOrDefault("Content-Length", ${missing}))`;
  return answerWhen(
    `context.Request.Headers.ContainsKey("Transfer-Encoding") || ${length} > ${bodyBytes}`,
    413,
    'Request body is too large',
  );
}

/** As Azure's own answers are, so that the adapter knows them. */
function answerWhen(condition: string, status: number, message: string): Element {
  const answer = element('return-response', {}, [
    element('set-status', { code: String(status), reason: message }),
    element('set-header', { name: 'Content-Type', 'exists-action': 'override' }, [element('value', {}, 'application/json')]),
    element('set-body', {}, JSON.stringify({ statusCode: status, message })),
  ]);
  return element('choose', {}, [element('when', { condition: `@(${condition})` }, [answer])]);
}

function tokenCheck({ issuer = '', audience }: Extract<GatewayAuth, { kind: 'jwt' }>): Element {
  const attributes = { 'header-name': 'Authorization', 'failed-validation-httpcode': '401', 'require-scheme': 'Bearer' };
  return element('validate-jwt', { ...attributes, 'require-expiration-time': 'true', 'require-signed-tokens': 'true' }, [
    element('openid-config', { url: `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration` }),
    audience === undefined ? undefined : element('audiences', {}, [element('audience', {}, audience)]),
    element('issuers', {}, [element('issuer', {}, issuer)]),
  ]);
}

function limitOf({ count, windowSeconds }: GatewayLimit, key: string): Element {
  const counted = { calls: String(count), 'renewal-period': String(windowSeconds), 'counter-key': key };
  if (windowSeconds > longestRate) return element('quota-by-key', counted);
  return element('rate-limit-by-key', { ...counted, 'retry-after-header-name': 'Retry-After' });
}

/** Counters with the same key are one, wherever they stand. */
function counterKey({ id, auth }: GatewayRoute, { by }: GatewayLimit, nth: number): string {
  const own = `foregate:${id}:${nth}`;
  if (by !== 'caller') return own;
  const caller =
    auth.kind === 'jwt'
      ? 'context.Request.Headers.GetValueOrDefault("Authorization", "").AsJwt()?.Subject'
      : 'context.Subscription.Id';
  return `@("${own}:" + ${caller})`;
}

/** Azure takes a key from the field or from the query; neither goes on. */
function hidden(auth: GatewayAuth): Element[] {
  if (auth.kind === 'none' || !auth.hidden) return [];
  if (auth.kind === 'jwt') return [deleted('set-header', 'Authorization')];
  const { in: where, name } = auth.place;
  return [
    deleted('set-header', where === 'header' ? name : 'Ocp-Apim-Subscription-Key'),
    deleted('set-query-parameter', where === 'query' ? name : 'subscription-key'),
  ];
}

function deleted(kind: 'set-header' | 'set-query-parameter', name: string): Element {
  return element(kind, { name, 'exists-action': 'delete' });
}

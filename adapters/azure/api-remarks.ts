/** What Azure API Management cannot do for a route, does in another way, or is told when the API is imported. */
import { basePath } from '../conversion/cloud-route.ts';
import type { GatewayModel, GatewayRoute, Remark } from '../conversion/gateway-route.ts';
import { refused, tightened, told } from '../conversion/remark.ts';
import { isXmlText } from '../conversion/xml.ts';
import { methods } from './api-document.ts';

/** Azure may not wait longer. */
const mostSeconds = 240;
/** Longer windows are quotas, which Azure answers with 403. */
export const longestRate = 300;

/** Whole seconds are what Azure knows. */
export function forwardSeconds({ readMs }: GatewayRoute): number {
  return Math.min(Math.floor(readMs / 1000), mostSeconds);
}

export function apiRemarks(route: GatewayRoute): Remark[] {
  return [
    ...authRemarks(route),
    ...timeoutRemarks(route),
    ...route.limits.flatMap(({ count, windowSeconds }) =>
      windowSeconds > longestRate
        ? [
            told(
              route.id,
              `allows ${count} requests in ${windowSeconds} s as a quota: Azure answers 403, not 429, when it is used up`,
            ),
          ]
        : [],
    ),
    ...(route.eventsOnly ? [] : [tightened(route.id, `knows the methods ${methods.join(', ').toUpperCase()} and no other`)]),
    ...route.hosts.map((host) => told(route.id, `is answered for ${host} only; Azure must have it as a custom domain`)),
    told(route.id, `is imported with ${importOptions(route)}`),
  ];
}

/** Of `az apim api import`. */
function importOptions(route: GatewayRoute): string {
  const { auth } = route;
  const path = `--path ${JSON.stringify(basePath(route).slice(1))}`;
  if (auth.kind !== 'key') return `${path} --subscription-required false`;
  const option = auth.place.in === 'header' ? '--subscription-key-header-name' : '--subscription-key-query-param-name';
  return `${path} --subscription-required true ${option} ${auth.place.name}`;
}

function authRemarks(route: GatewayRoute): Remark[] {
  const { auth } = route;
  if (auth.kind === 'none') return [];
  if (auth.kind === 'key')
    return /^[A-Za-z0-9_-]{1,100}$/.test(auth.place.name)
      ? []
      : [
          refused(
            route.id,
            `expects the key in ${JSON.stringify(auth.place.name)}: Azure wants a name of letters, digits, "-" and "_"`,
          ),
        ];
  if (auth.issuer === undefined || !/^https?:\/\//.test(auth.issuer) || !URL.canParse(auth.issuer))
    return [refused(route.id, 'needs the address of an issuer as "jwt.issuer": Azure finds the keys of tokens there')];
  const unsayable = [auth.issuer, auth.audience ?? ''].filter((text) => !isSayable(text));
  return [
    ...unsayable.map((text) =>
      refused(route.id, `has ${JSON.stringify(text)} in "jwt", which a policy of Azure would take for an expression`),
    ),
    ...(auth.jwks === undefined ? [] : [told(route.id, 'finds the keys of tokens through the issuer; "jwt.jwks" is not used')]),
  ];
}

/** In a policy `{{…}}` is a named value, and `@(` begins code. */
function isSayable(text: string): boolean {
  return isXmlText(text) && !text.includes('{{') && !/^\s*@[({]/.test(text);
}

function timeoutRemarks(route: GatewayRoute): Remark[] {
  const seconds = forwardSeconds(route);
  if (seconds < 1) return [refused(route.id, `waits ${route.readMs} ms, but 1 s is the least on Azure`)];
  if (seconds * 1000 === route.readMs) return [];
  return [
    tightened(
      route.id,
      `waits ${seconds} s instead of ${route.readMs} ms: whole seconds and at most ${mostSeconds} s can be said`,
    ),
  ];
}

export function exportRemarks({ callers }: GatewayModel): Remark[] {
  const connect: Remark = {
    about: 'azure',
    verdict: 'told',
    text: 'tries to reach the backend as long as it waits for it; "connectTimeout" cannot be said',
  };
  const keys = callers.map(({ name }): Remark => ({
    about: name,
    verdict: 'told',
    text: 'is to be made a subscription in Azure, which holds its key',
  }));
  return [connect, ...keys];
}

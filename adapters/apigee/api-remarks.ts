/** What Apigee cannot do for a route, or does in another way. */
import type { GatewayAuth, GatewayModel, GatewayRoute, Remark } from '../conversion/gateway-route.ts';
import { refused, tightened, told } from '../conversion/remark.ts';
import { isXmlText } from '../conversion/xml.ts';
import { stricter } from './counter.ts';

export function apiRemarks(route: GatewayRoute): Remark[] {
  const { auth, limits, hosts, id } = route;
  return [
    ...(id.includes('.') ? [refused(route.id, 'has a "." in its id, which no name of a proxy may have')] : []),
    ...(auth.kind === 'key' ? keyRemarks(route, auth) : []),
    ...(auth.kind === 'jwt' ? tokenRemarks(route, auth) : []),
    ...limits.flatMap((limit) => {
      const words = stricter(limit);
      return words === undefined
        ? []
        : [tightened(route.id, `allows ${limit.count} requests in ${limit.windowSeconds} s as ${words}`)];
    }),
    ...hosts.map((host) => told(route.id, `is answered for ${host} only; the environment must have it in a group`)),
  ];
}

function keyRemarks(route: GatewayRoute, { place: { name } }: Extract<GatewayAuth, { kind: 'key' }>): Remark[] {
  if (/^[A-Za-z0-9_-]{1,100}$/.test(name)) return [];
  return [refused(route.id, `expects the key in ${JSON.stringify(name)}: Apigee wants a name of letters, digits, "-" and "_"`)];
}

function tokenRemarks(route: GatewayRoute, { issuer, audience, jwks }: Extract<GatewayAuth, { kind: 'jwt' }>): Remark[] {
  if (jwks === undefined) return [refused(route.id, 'needs "jwt.jwks": Apigee gets the keys of tokens there')];
  const unsayable = [issuer, audience, jwks].filter((text) => text !== undefined && !isSayable(text));
  return [
    ...unsayable.map((text) => refused(route.id, `has ${JSON.stringify(text)} in "jwt", which Apigee would take for a variable`)),
    tightened(route.id, 'takes tokens that are signed with RS256, and no others'),
  ];
}

/** Braces are variables, in some of its texts. */
function isSayable(text: string): boolean {
  return isXmlText(text) && !/[{}]/.test(text);
}

export function exportRemarks({ callers }: GatewayModel): Remark[] {
  return callers.map(({ name }) => ({
    about: name,
    verdict: 'told',
    text: 'is to be made an app in Apigee, which holds its key',
  }));
}

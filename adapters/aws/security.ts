/** What API Gateway checks of a request, from `security` and the schemes that it names. */
import type { GatewayAuth } from '../conversion/gateway-route.ts';
import type { Raw } from '../conversion/present.ts';
import { isRaw, listAt, rawAt, textAt } from './read-document.ts';

interface ReadSecurity {
  readonly auth: GatewayAuth;
  readonly faults: readonly string[];
}

const open: ReadSecurity = { auth: { kind: 'none' }, faults: [] };

/** The first requirement counts: AWS lets a method have one authorizer, and a key beside it. */
export function securityOf(root: Raw, operation: Raw): ReadSecurity {
  const required = listAt(operation, 'security') ?? listAt(root, 'security') ?? [];
  const names = required.flatMap((one) => (isRaw(one) ? Object.keys(one) : []));
  const schemes = { ...rawAt(root, 'securityDefinitions'), ...rawAt(rawAt(root, 'components'), 'securitySchemes') };
  const read = [...new Set(names)].map((name) => schemeOf(name, rawAt(schemes, name)));
  const [first = open, ...more] = read.filter(({ auth }) => auth.kind !== 'none');
  const unused = more.map(() => `is protected by more than one of ${names.join(', ')}; the first is taken`);
  return { auth: first.auth, faults: [...read.flatMap(({ faults }) => faults), ...unused.slice(0, 1)] };
}

function schemeOf(name: string, scheme: Raw): ReadSecurity {
  const authorizer = scheme['x-amazon-apigateway-authorizer'];
  if (isRaw(authorizer)) return authorizerOf(name, authorizer);
  const field = textAt(scheme, 'name') ?? '';
  if (textAt(scheme, 'type') === 'apiKey' && textAt(scheme, 'in') === 'header' && field.toLowerCase() === 'x-api-key')
    return { auth: { kind: 'key', place: { in: 'header', name: field }, hidden: false }, faults: [] };
  return unknown(`the security scheme ${name} is not one that AWS checks, or not one that is understood`);
}

function authorizerOf(name: string, authorizer: Raw): ReadSecurity {
  const type = textAt(authorizer, 'type');
  if (type === 'jwt') return tokens(rawAt(authorizer, 'jwtConfiguration'));
  if (type === 'cognito_user_pools')
    return {
      ...tokens({}),
      faults: [`${name} checks tokens of Cognito; give "jwt.issuer" and "jwt.audience" if they are wanted elsewhere`],
    };
  return unknown(
    `${name} asks an authorizer of the type ${type ?? 'unknown'}, of which nothing is known here; it goes on being asked`,
  );
}

function tokens(configuration: Raw): ReadSecurity {
  const [audience, ...more] = (listAt(configuration, 'audience') ?? []).filter((one) => typeof one === 'string');
  return {
    auth: { kind: 'jwt', hidden: false, issuer: textAt(configuration, 'issuer'), audience, jwks: undefined },
    faults: more.length === 0 ? [] : ['the first audience is taken; the gateway goes on allowing the others'],
  };
}

function unknown(fault: string): ReadSecurity {
  return { ...open, faults: [fault] };
}

/** Lets in pages of certain origins only (RFC 6454): a browser sends cookies with a WebSocket of any page, and asks nobody (RFC 6455 section 10.2). */
import { domainToASCII } from 'node:url';
import { Type } from 'typebox';
import { ForegateError } from '../gateway/core/errors.ts';
import { headerValues } from '../gateway/core/headers.ts';
import { definePolicy, deny, type Policy } from '../gateway/core/policy.ts';

const OriginOptions = Type.Object(
  {
    allow: Type.Array(Type.String({ minLength: 1 }), {
      minItems: 1,
      description:
        'Origins that are let in: `https://app.example`, with its port where that is not the usual one; `https://*.app.example` for all hosts below it, at any depth; without the scheme for both http and https; `null` for sandboxed pages and files.',
    }),
    required: Type.Boolean({
      default: false,
      description:
        'Whether a request without `Origin` is refused. Browsers send it with every WebSocket handshake; other clients need not.',
    }),
  },
  { additionalProperties: false },
);

export const origin = definePolicy({
  name: 'origin',
  summary: 'Lets in browsers that show pages of certain origins only.',
  options: OriginOptions,
  create({ allow, required }): Policy {
    const rules = allow.map(parseRule);
    return {
      connect(session) {
        const [given, ...more] = headerValues(session.request.headers, 'origin');
        if (given === undefined) return required ? deny('forbidden', 'The request names no origin.') : undefined;
        const allowed = more.length === 0 && rules.some((rule) => rule(given.toLowerCase()));
        return allowed ? undefined : deny('forbidden', 'Pages of this origin may not connect.');
      },
    };
  },
});

type Rule = (lowerOrigin: string) => boolean;

const originPattern = /^(?:([a-z][a-z0-9+.-]*):\/\/)?(\*\.)?([^*/:@\s[\]]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?$/;

/** @throws ForegateError `bad-request` for an entry that is no origin. */
function parseRule(entry: string): Rule {
  if (entry === 'null') return (lowerOrigin) => lowerOrigin === 'null';
  const [matched, scheme, wildcard, name, port] = originPattern.exec(entry.toLowerCase()) ?? [];
  const host = name?.startsWith('[') ? name : domainToASCII(name ?? '');
  if (matched === undefined || host === '')
    throw new ForegateError('bad-request', `"${entry}" is not an origin such as https://app.example or *.app.example.`);
  const schemes = scheme === undefined ? ['http', 'https'] : [scheme];
  return (lowerOrigin) => {
    const [given, givenScheme, anyHost, givenHost, givenPort] = originPattern.exec(lowerOrigin) ?? [];
    if (given === undefined || givenScheme === undefined || givenHost === undefined || anyHost !== undefined) return false;
    const hostFits = wildcard === undefined ? givenHost === host : givenHost.endsWith(`.${host}`);
    return hostFits && schemes.includes(givenScheme) && portOf(givenScheme, givenPort) === portOf(givenScheme, port);
  };
}

function portOf(scheme: string, port: string | undefined): string | undefined {
  return port ?? usualPorts[scheme];
}

const usualPorts: Readonly<Record<string, string>> = { http: '80', https: '443', ws: '80', wss: '443' };

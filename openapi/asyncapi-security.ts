/** Security schemes of an AsyncAPI document: where the policies of a route look for credentials. */
import type { Mapping } from '../gateway/core/mapping.ts';

/** A scheme under the name that follows from it: equal schemes have one name, others have others. */
export interface NamedScheme {
  readonly name: string;
  readonly scheme: Mapping;
}

/** What one policy asks of its clients: one of these is enough. */
export type Requirement = readonly NamedScheme[];

/** The requirements of policies with all their options, in their order; a client has to meet all of them. */
export function requirements(policies: readonly Mapping[]): Requirement[] {
  const checking = policies.filter(({ dryRun }) => dryRun !== true);
  const required = checking.filter(({ required: wanted }) => wanted !== false).map((policy) => schemesOf(policy));
  const tickets = checking.filter(({ use }) => use === 'ticket');
  if (tickets.length === 0) return required.filter((schemes) => schemes.length > 0);
  // Whoever was recognised by a policy before it needs no ticket.
  const optional = checking.filter(({ required: wanted }) => wanted === false).flatMap((policy) => schemesOf(policy));
  const open = [...optional, ...tickets.flatMap(({ parameter }) => apiKey('query', String(parameter)))];
  return [...required.filter((schemes) => schemes.length > 0), open];
}

/** The places of its credentials, each as a scheme; none for a policy that looks for none. */
export function schemesOf({ use, from }: Mapping): NamedScheme[] {
  const places = Object.entries((from ?? {}) as Readonly<Record<string, string>>);
  if (use === 'basic') return [{ name: 'basic', scheme: { type: 'http', scheme: 'basic' } }];
  if (use === 'mtls') return [{ name: 'clientCertificate', scheme: { type: 'X509' } }];
  if (use === 'jwt') return places.flatMap(([kind, name]) => placed(kind, name, 'JWT'));
  return use === 'introspect' || use === 'api-key' ? places.flatMap(([kind, name]) => placed(kind, name)) : [];
}

function placed(kind: string, name: string, bearerFormat?: string): NamedScheme[] {
  if (kind === 'header' && name.toLowerCase() === 'authorization') return [bearer(bearerFormat)];
  return kind === 'subprotocol' ? [subprotocol(name)] : apiKey(kind, name);
}

function bearer(bearerFormat: string | undefined): NamedScheme {
  if (bearerFormat === undefined) return { name: 'bearer', scheme: { type: 'http', scheme: 'bearer' } };
  return { name: `bearer${bearerFormat}`, scheme: { type: 'http', scheme: 'bearer', bearerFormat } };
}

function apiKey(place: string, name: string): NamedScheme[] {
  return [{ name: `${place}-${word(name)}`, scheme: { type: 'httpApiKey', in: place, name } }];
}

/** AsyncAPI knows no subprotocols. */
function subprotocol(name: string): NamedScheme {
  const description = `A WebSocket subprotocol: the client offers ${JSON.stringify(name)} and then the credential.`;
  return {
    name: `subprotocol-${word(name)}`,
    scheme: { type: 'httpApiKey', in: 'header', name: 'Sec-WebSocket-Protocol', description },
  };
}

/** Fit for a name in `components`, and another one for each other text. */
function word(text: string): string {
  return text.replaceAll(/[^A-Za-z0-9-]/g, (character) => `_${character.charCodeAt(0).toString(16)}_`);
}

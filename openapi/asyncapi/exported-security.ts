/** Security schemes of an AsyncAPI document: where the policies of a route look for credentials. */
import type { Mapping } from '../../gateway/core/mapping.ts';

/** A scheme under the name that follows from it: equal schemes have one name, others have others. */
export interface NamedScheme {
  readonly name: string;
  readonly scheme: Mapping;
}

/** What one policy asks of its clients: one of these is enough. */
export type Requirement = readonly NamedScheme[];

/** The requirements of policies in their order; a client has to meet all of them. */
export function requirements(policies: readonly Mapping[]): Requirement[] {
  const checking = policies.filter(({ dryRun }) => dryRun !== true);
  const required = checking.filter(({ required: wanted, use }) => wanted !== false && use !== 'ticket').map(requirement);
  const tickets = checking.filter(({ use }) => use === 'ticket').flatMap(schemesOf);
  // Whoever was recognised by a policy before it needs no ticket.
  const optional = checking.filter(({ required: wanted }) => wanted === false).flatMap(schemesOf);
  const open = tickets.length === 0 ? [] : [...optional, ...tickets];
  return [...required, open].map(eachOnce).filter((schemes) => schemes.length > 0);
}

function eachOnce(schemes: Requirement): Requirement {
  return [...new Map(schemes.map((one) => [one.name, one])).values()];
}

function requirement(policy: Mapping): Requirement {
  if (policy['use'] !== 'any-of') return schemesOf(policy);
  const lists = (policy['of'] as readonly (readonly Mapping[])[]).map(requirements);
  // Two at once have no name there, and without any everybody comes in.
  return lists.every(({ length }) => length === 1) ? lists.flat(2) : [];
}

/** The places of its credentials, each as a scheme; none for a policy that looks for none. */
export function schemesOf(policy: Mapping): NamedScheme[] {
  const { use, parameter = 'ticket' } = policy;
  if (use === 'basic') return [{ name: 'basic', scheme: { type: 'http', scheme: 'basic' } }];
  if (use === 'mtls') return [{ name: 'clientCertificate', scheme: { type: 'X509' } }];
  if (use === 'ticket') return typeof parameter === 'string' ? apiKey('query', parameter) : [];
  const usual = usualPlaces.get(use);
  if (usual === undefined) return [];
  const places = Object.entries((policy['from'] ?? usual) as Readonly<Record<string, string>>);
  return places.flatMap(([kind, name]) => placed(kind, name, use === 'jwt' ? 'JWT' : undefined));
}

/** Where policies look that are not told. */
const usualPlaces: ReadonlyMap<unknown, Mapping> = new Map([
  ['jwt', { header: 'Authorization' }],
  ['introspect', { header: 'Authorization' }],
  ['api-key', { header: 'X-API-Key' }],
]);

function placed(kind: string, name: string, bearerFormat: string | undefined): NamedScheme[] {
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

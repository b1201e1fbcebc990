/** The channel of one route in an AsyncAPI document, and its operations. */
import { parameterMembers } from './exported-parameters.ts';
import { documentedMessages, type DocumentedMessages } from './exported-messages.ts';
import type { Mapping } from '../../gateway/core/mapping.ts';
import { pathTemplate } from '../../gateway/core/path-template.ts';
import type { DocumentedRoute, DocumentRemark } from './exported-route.ts';
import { requirements, type Requirement } from './exported-security.ts';
import type { Servers } from './exported-servers.ts';
import { plainValue, type EmbeddedSchemas } from '../schema/embedded-schema.ts';

/** What the channels of a document have in common. */
export interface Shared {
  readonly servers: Servers;
  readonly schemas: EmbeddedSchemas;
  /** Nothing that only Foregate itself reads. */
  readonly forClients: boolean;
}

export interface ChannelContent {
  readonly channel: Mapping;
  readonly operations: Mapping;
  readonly securitySchemes: Mapping;
}

/** @throws UnsayableSchema */
export function channelOf(
  route: DocumentedRoute,
  shared: Shared,
): { readonly content?: ChannelContent; readonly remarks: readonly DocumentRemark[] } {
  const { settings } = route;
  const told = (text: string): DocumentRemark => ({ about: settings.id, verdict: 'told', text });
  const reason = unsaid(settings);
  if (reason !== undefined) return { remarks: [told(reason)] };
  const servers = shared.servers.of(settings);
  if (servers.length === 0)
    return { remarks: [told('is left out: no port leads to it. Say how clients reach it with --server')] };
  const needed = requirements(route.checked);
  // Only a WebSocket has messages.
  const checked = settings.match.transports.includes('websocket') ? route.checked : [];
  const messages = documentedMessages(checked, shared.schemas);
  const remarks = needed
    .slice(1)
    .map((one) => told(`asks for ${namesOf(one)} as well, which "security" cannot say: it stands in the description`));
  return {
    content: {
      channel: channel(route, { servers, messages, shared }),
      operations: operations(route, messages, needed),
      securitySchemes: Object.fromEntries((needed[0] ?? []).map(({ name, scheme }) => [name, scheme])),
    },
    remarks,
  };
}

type RouteSettings = DocumentedRoute['settings'];

/** Why a route is no channel. */
function unsaid({ match, grip }: RouteSettings): string | undefined {
  if (match.byId === 'only') return 'is left out: it has no address, only its id';
  if (match.transports.includes('websocket') || holdsStreams({ match, grip })) return undefined;
  return 'is left out: it is plain HTTP, which AsyncAPI does not describe';
}

/** Whether its backend may answer with an event stream. */
function holdsStreams({ match, grip }: Pick<RouteSettings, 'match' | 'grip'>): boolean {
  return grip && match.transports.includes('http') && match.methods?.includes('GET') !== false;
}

interface ChannelParts {
  readonly servers: readonly string[];
  readonly messages: DocumentedMessages;
  readonly shared: Shared;
}

function channel(route: DocumentedRoute, { servers, messages, shared }: ChannelParts): Mapping {
  const { settings } = route;
  const address = addressOf(settings.match);
  const streams = holdsStreams(settings) ? { [streamName(messages)]: streamMessage } : {};
  return {
    address: address.text,
    ...(address.note !== undefined && { description: address.note }),
    servers: servers.map((name) => ({ $ref: `#/servers/${name}` })),
    ...parameterMembers(route.checked, address.names, shared.schemas),
    messages: { ...(settings.match.transports.includes('websocket') && shownMessages(messages, shared)), ...streams },
    ...(!shared.forClients && ownMembers(route, { address, messages, schemas: shared.schemas })),
  };
}

function shownMessages({ messages }: DocumentedMessages, { forClients }: Shared): Mapping {
  const shown = Object.entries(messages).map(([name, message]) => {
    const { 'x-foregate-kind': _kind, ...rest } = message as Mapping;
    return [name, forClients ? rest : message] as const;
  });
  return Object.fromEntries(shown);
}

interface Address {
  /** Null: AsyncAPI cannot say it. */
  readonly text: string | null;
  readonly note?: string;
  /** Of its parameters. */
  readonly names: readonly string[];
}

function addressOf(match: RouteSettings['match']): Address {
  const { template, path } = match;
  if (template === undefined) {
    const note = `All paths that begin with \`${path}\`.`;
    return { text: /[{}?#]/.test(path) ? null : path, note, names: [] };
  }
  const { names } = pathTemplate(template);
  if (names.every((name) => /^[A-Za-z0-9_-]+$/.test(name))) return { text: template, names };
  return { text: null, note: `The path \`${template}\`.`, names: [] };
}

interface OwnParts {
  readonly address: Address;
  readonly messages: DocumentedMessages;
  readonly schemas: EmbeddedSchemas;
}

/** What AsyncAPI has no words for, as it is read back. */
function ownMembers({ settings, written, policies }: DocumentedRoute, { address, messages, schemas }: OwnParts): Mapping {
  const { id, match, target, targets, ...options } = written;
  const { host } = settings.match;
  const kept = policies.slice(0, policies.length - messages.said).map((policy) => keptPolicy(policy, schemas));
  const own = ownMatch(settings.match, address);
  const route = { ...(Object.keys(own).length > 0 && { match: own }), ...options };
  return {
    'x-foregate': { ...(target === undefined ? { targets } : { target }), ...(host !== undefined && { host }) },
    ...(Object.keys(route).length > 0 && { 'x-foregate-route': route }),
    ...(kept.length > 0 && { 'x-foregate-policies': kept }),
    ...(messages.rules !== undefined && { 'x-foregate-messages': messages.rules }),
  };
}

/** @throws UnsayableSchema for a `$ref` that is none of a schema */
function keptPolicy(policy: Mapping, schemas: EmbeddedSchemas): Mapping {
  const { use } = policy;
  if (use === 'message-schema') return { ...policy, schemas: embeddedKinds(policy['schemas'] as Kinds, schemas) };
  if (use !== 'parameters') return plainValue(policy);
  const parameters = (policy['parameters'] as readonly Mapping[]).map(({ schema, ...one }) =>
    schema === undefined ? one : { ...one, schema: schemas.embed(schema, String(one['name'])) },
  );
  return { ...policy, parameters };
}

type Kinds = Readonly<Record<string, { readonly inline?: unknown }>>;

function embeddedKinds(kinds: Kinds, schemas: EmbeddedSchemas): Mapping {
  return Object.fromEntries(Object.entries(kinds).map(([kind, { inline }]) => [kind, { inline: schemas.embed(inline, kind) }]));
}

/** What of `match` neither the address nor the servers say. */
function ownMatch({ path, template, methods, tls, byId }: RouteSettings['match'], address: Address): Mapping {
  return {
    ...(template === undefined ? { path } : address.text === null && { template }),
    ...(methods !== undefined && { methods }),
    ...(tls !== undefined && { tls }),
    ...(byId !== 'never' && { byId }),
  };
}

function operations(route: DocumentedRoute, messages: DocumentedMessages, needed: readonly Requirement[]): Mapping {
  const { id, match } = route.settings;
  const security = (needed[0] ?? []).map(({ name }) => ({ $ref: `#/components/securitySchemes/${name}` }));
  const note = needed.slice(1).map((one) => `Also needed: ${namesOf(one)}.`);
  const operation = (action: 'receive' | 'send', names: readonly string[]): Mapping => ({
    action,
    channel: { $ref: `#/channels/${id}` },
    ...(note.length > 0 && { description: note.join('\n') }),
    ...(security.length > 0 && { security }),
    messages: names.map((name) => ({ $ref: `#/channels/${id}/messages/${name}` })),
  });
  const isWebSocket = match.transports.includes('websocket');
  // Without methods of its own a route takes any.
  const binding = match.methods !== undefined && { bindings: { http: { method: 'GET', bindingVersion: '0.3.0' } } };
  const stream = { ...operation('send', [streamName(messages)]), ...binding };
  return {
    ...(isWebSocket && { [`${id}.receive`]: operation('receive', messages.sent.client) }),
    ...(isWebSocket && { [`${id}.send`]: operation('send', messages.sent.backend) }),
    ...(holdsStreams(route.settings) && { [`${id}.stream`]: stream }),
  };
}

/** `GET, or a header` for people. */
function namesOf(requirement: Requirement): string {
  return requirement.map(({ name }) => name).join(' or ');
}

const streamMessage: Mapping = {
  name: 'events',
  summary: 'The events of a stream, where the request is answered with one.',
  contentType: 'text/event-stream',
  payload: { type: 'string' },
};

/** A name that no message of a WebSocket has. */
function streamName({ messages }: DocumentedMessages): string {
  for (let name = 'events'; ; name = `${name}-`) if (!Object.hasOwn(messages, name)) return name;
}

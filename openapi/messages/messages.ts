/** `x-foregate-messages` of an API document: the kinds of messages of clients and backends, as entries for the policy `message-schema`. */
import { isMapping, type Mapping } from '../../gateway/core/mapping.ts';
import type { DocumentFinding, SchemaSource } from '../document/document-finding.ts';
import { kindsOf, type MessageKinds } from './message-kinds.ts';
import { selfContained } from '../schema/self-contained.ts';

export interface DescribedMessages {
  /** Where a message says its kind: the name of a member or a JSON Pointer. */
  readonly by: string;
  /** Schemas by kinds, as parts of the document. */
  readonly client: MessageKinds | undefined;
  readonly backend: MessageKinds | undefined;
  /** Patterns of channels whose publications have to be such as `backend` says. */
  readonly publish: readonly string[];
  /** `default`, `over`, `text` and `closeCode`, as far as they are said. */
  readonly terms: Mapping;
}

export interface ReadMessages {
  readonly messages: DescribedMessages;
  readonly findings: readonly DocumentFinding[];
}

/** Reads the extension, which may be merged of several. */
export function readMessages(extension: Mapping, source: SchemaSource): ReadMessages {
  const findings = memberFindings(extension);
  const said = typeof extension['by'] === 'string' ? extension['by'] : undefined;
  const sides = (['client', 'backend'] as const).map((side) =>
    kindsOf(extension[side], { source, by: said, owner: extension, side }),
  );
  const [client, backend] = sides;
  findings.push(...sides.flatMap((side) => side?.findings ?? []));
  const by = said ?? client?.by ?? backend?.by ?? 'type';
  if (client === undefined && backend === undefined) findings.push(whole(extension, 'needs "client" or "backend"'));
  if (client && backend && client.by !== backend.by)
    findings.push(whole(extension, `names the kind of a message by ${client.by} in "client" and by ${backend.by} in "backend"`));
  if (extension['publish'] !== undefined && backend === undefined)
    findings.push({ owner: extension, key: 'publish', at: 'key', message: 'needs "backend", which says what may be published' });
  const publish = textsOf(extension['publish']);
  return { messages: { by, client: client?.kinds, backend: backend?.kinds, publish, terms: termsOf(extension) }, findings };
}

export interface MessagePolicies {
  /** For `policies` of the route. */
  readonly route: readonly Mapping[];
  /** For `policies` of the control API. */
  readonly control: readonly Mapping[];
  readonly findings: readonly DocumentFinding[];
}

/** The entries as they would stand in `policies` of a configuration file. */
export function messagePolicies(
  { by, client, backend, publish, terms }: DescribedMessages,
  source: SchemaSource,
): MessagePolicies {
  const ofClient = inlineSchemas(client, source);
  const ofBackend = inlineSchemas(backend, source);
  const entry = (from: 'client' | 'backend', { schemas }: InlineSchemas, more: Mapping): Mapping[] =>
    schemas === undefined ? [] : [{ use: 'message-schema', from, by, ...more, schemas }];
  const { default: unknownKinds, over, text, closeCode } = terms;
  const shared = given({ default: unknownKinds, over, text });
  return {
    route: [...entry('client', ofClient, { ...shared, ...given({ closeCode }) }), ...entry('backend', ofBackend, shared)],
    control:
      publish.length === 0
        ? []
        : entry('backend', ofBackend, { ...given({ default: unknownKinds }), channels: publish, eventStreams: true }),
    findings: [...ofClient.findings, ...ofBackend.findings],
  };
}

function given(members: Mapping): Mapping {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
}

interface InlineSchemas {
  readonly schemas: Mapping | undefined;
  readonly findings: readonly DocumentFinding[];
}

function inlineSchemas(kinds: MessageKinds | undefined, source: SchemaSource): InlineSchemas {
  if (kinds === undefined) return { schemas: undefined, findings: [] };
  const made = [...kinds].map(([kind, { schema, owner }]) => ({ kind, ...selfContained(schema, source, owner) }));
  return {
    schemas: Object.fromEntries(made.map(({ kind, schema }) => [kind, { inline: schema }])),
    findings: made.flatMap(({ findings }) => findings),
  };
}

function termsOf(extension: Mapping): Mapping {
  return given(Object.fromEntries(['default', 'over', 'text', 'closeCode'].map((key) => [key, extension[key]])));
}

function textsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];
}

type MemberFault = (value: unknown) => string | undefined;

const text: MemberFault = (value) => (typeof value === 'string' && value !== '' ? undefined : 'must be text');
const mapping: MemberFault = (value) => (isMapping(value) ? undefined : 'must be a mapping');

function oneOf(...values: readonly (string | number)[]): MemberFault {
  return (value) => (values.some((one) => one === value) ? undefined : `must be one of ${values.join(', ')}`);
}

const members: Readonly<Record<string, MemberFault>> = {
  by: text,
  client: mapping,
  backend: mapping,
  default: oneOf('refuse', 'pass'),
  over: oneOf('close', 'drop', 'answer'),
  text,
  closeCode: oneOf(4400, 1007),
  publish: (value) => (Array.isArray(value) && value.length > 0 && !value.some(text) ? undefined : 'must be a list of channels'),
};

function memberFindings(extension: Mapping): DocumentFinding[] {
  return Object.entries(extension).flatMap(([key, value]): DocumentFinding[] => {
    const fault = Object.hasOwn(members, key) ? members[key] : undefined;
    if (fault === undefined)
      return [{ owner: extension, key, at: 'key', message: 'is not known here', known: Object.keys(members) }];
    const message = fault(value);
    return message === undefined ? [] : [{ owner: extension, key, at: 'value', message }];
  });
}

function whole(owner: object, message: string): DocumentFinding {
  return { owner, at: 'value', message };
}

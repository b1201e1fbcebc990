/** The messages of an AsyncAPI channel as `x-foregate-messages` of an OpenAPI document says them. */
import { isMapping, type Mapping } from '../../gateway/core/mapping.ts';
import type { ApiDocument } from '../document/api-document.ts';
import { channelKinds, type ChannelKinds, type PayloadMessage } from './channel-kinds.ts';
import type { ChannelOperation, DescribedChannel, NamedMessage } from './described-channel.ts';
import type { DocumentFinding } from '../document/document-finding.ts';
import type { Member, Origins } from '../document/origins.ts';

const name = 'x-foregate-messages';

export interface ChannelMessages {
  /** Each with the extension, for the messages of one side or of both. */
  readonly levels: readonly Mapping[];
  /** What is not checked, and why. */
  readonly remarks: readonly DocumentFinding[];
}

type Sender = ChannelOperation['sender'];

interface MessageTerms {
  readonly document: ApiDocument;
  readonly origins: Origins;
  /** Whose messages policies of the document check already. */
  readonly checked: readonly Sender[];
}

/** `extension`: what the document says itself of its messages. */
export function channelMessages(channel: DescribedChannel, extension: Mapping | undefined, terms: MessageTerms): ChannelMessages {
  const { document, origins, checked } = terms;
  const by = typeof extension?.['by'] === 'string' ? extension['by'] : undefined;
  const remarks: DocumentFinding[] = [];
  const sides = (['client', 'backend'] as const).flatMap((sender): Side[] => {
    if (checked.includes(sender) || isMapping(extension?.[sender])) return [];
    const operations = channel.operations.filter((one) => one.sender === sender);
    const found = kindsOf(operations, by, document);
    if (found === undefined || 'message' in found) {
      if (found !== undefined) remarks.push(found);
      return [];
    }
    return [{ sender, ...found }];
  });
  const own = extension === undefined ? [] : origins.members(extension);
  return { levels: levelsOf(sides, own, origins), remarks };
}

interface Side extends ChannelKinds {
  readonly sender: Sender;
}

/** Sides that name their kinds in different places are said apart. */
function levelsOf(sides: readonly Side[], own: readonly Member[], origins: Origins): Mapping[] {
  const [first, second] = sides;
  if (first === undefined) return own.some(({ key }) => key === 'client' || key === 'backend') ? [level([], own, origins)] : [];
  if (second === undefined || first.by === second.by) return [level(sides, own, origins)];
  // Publishing is a matter of the backend.
  return [
    level(
      [first],
      own.filter(({ key }) => key !== 'publish'),
      origins,
    ),
    level([second], own, origins),
  ];
}

function level(sides: readonly Side[], own: readonly Member[], origins: Origins): Mapping {
  const made = sides.flatMap(({ sender, by, kinds }): Member[] => {
    const origin = kinds[0]?.origin ?? { owner: {} };
    return [
      { key: 'by', value: by, origin },
      { key: sender, value: origins.mapping(kinds), origin },
    ];
  });
  const extension = origins.mapping([...made, ...own]);
  return { [name]: extension };
}

/** A remark where there are messages that cannot be checked; undefined where nothing is said of any. */
function kindsOf(
  operations: readonly ChannelOperation[],
  by: string | undefined,
  document: ApiDocument,
): ChannelKinds | DocumentFinding | undefined {
  const messages = [...new Map(operations.flatMap((one) => one.messages).map((one) => [one.message, one])).values()];
  const onSocket = messages.filter(({ message }) => typeOf(message, document) !== 'text/event-stream');
  const described = onSocket.filter(({ message }) => message['payload'] !== undefined);
  const [operation] = operations;
  if (operation === undefined || described.length === 0) return undefined;
  const remark = (text: string): DocumentFinding => ({
    owner: operation.operation,
    key: 'action',
    at: 'key',
    message: `${text}: what it names is not checked`,
  });
  if (described.length < onSocket.length) return remark('has messages without a payload');
  const payloads = described.map((one) => payloadOf(one, document));
  const other = payloads.find((one) => typeof one === 'string');
  if (typeof other === 'string') return remark(`has messages that are ${other}`);
  const kinds = channelKinds(
    payloads.filter((one) => typeof one !== 'string'),
    by,
    document,
  );
  return kinds ?? remark(`has messages that no member tells apart (a "const" in each, or "by" in "${name}")`);
}

/** In lower case, without parameters. */
function typeOf(message: Mapping, { root }: ApiDocument): string {
  const type = message['contentType'] ?? root['defaultContentType'] ?? 'application/json';
  return typeof type === 'string' ? (type.split(';')[0] ?? '').trim().toLowerCase() : '';
}

/** Or what it is in place of a message with a JSON Schema. */
function payloadOf({ name: key, message }: NamedMessage, document: ApiDocument): PayloadMessage | string {
  const type = typeOf(message, document);
  if (!/^application\/(.*\+)?json$/.test(type)) return type;
  const payload = document.follow(message['payload']);
  const whole = { name: key, message, payload, owner: message, key: 'payload' };
  const format = isMapping(payload) ? payload['schemaFormat'] : undefined;
  if (!isMapping(payload) || typeof format !== 'string') return whole;
  return isJsonSchema(format) ? { ...whole, payload: payload['schema'], owner: payload, key: 'schema' } : `written in ${format}`;
}

function isJsonSchema(format: string): boolean {
  return /^application\/(vnd\.aai\.asyncapi|schema)(\+(json|yaml))?(;|$)/i.test(format);
}

/** The operations of an API document whose messages it describes. */
import { isMapping, type Mapping } from '../../gateway/core/mapping.ts';
import type { PlaceInFile } from '../../gateway/core/problem.ts';
import type { ApiDocument } from '../document/api-document.ts';
import { channelMessages } from '../asyncapi/channel-messages.ts';
import { describedChannels, type DescribedChannel } from '../asyncapi/described-channel.ts';
import type { DocumentFinding } from '../document/document-finding.ts';
import { readMessages, type DescribedMessages } from './messages.ts';
import { pathItems, usesOf, type PathItem } from '../routes/operations.ts';
import { Origins } from '../document/origins.ts';

export interface DescribedOperation {
  /** The operation's id, or `GET /rooms/{room}`; of AsyncAPI, the channel. None twice. */
  readonly name: string;
  /** For people; may be empty. */
  readonly description: string;
  /** Of each side once, where they are described. */
  readonly messages: readonly DescribedMessages[];
  /** Schemas by the names of parameters in the path. */
  readonly path: Mapping;
}

export interface DescribedOperations {
  readonly operations: readonly DescribedOperation[];
  readonly findings: readonly DocumentFinding[];
  /** Where what is wrong stands. */
  locate(finding: DocumentFinding): PlaceInFile;
}

/** Those of an OpenAPI document, in its order. */
export function describedOperations(document: ApiDocument): DescribedOperations {
  const origins = new Origins((owner, key, at) => document.locate(owner, key, at));
  const { items, findings } = pathItems(document, origins);
  const found = items.flatMap((item) => item.operations.flatMap((one) => describe({ ...item, ...one }, document, origins)));
  return {
    operations: found.map(({ operation }) => operation),
    findings: [...findings, ...found.flatMap(({ findings: wrong }) => wrong), ...sameNames(found)],
    locate: ({ owner, key, at }) => origins.place(owner, key, at) ?? document.locate(owner, key, at),
  };
}

interface Found {
  readonly part: Mapping;
  readonly operation: DescribedOperation;
  readonly findings: readonly DocumentFinding[];
}

function describe(
  { path, item, method, operation }: PathItem & PathItem['operations'][number],
  document: ApiDocument,
  origins: Origins,
): Found[] {
  const { root, follow } = document;
  const { webSocket, stream } = usesOf(operation, follow);
  const levels = webSocket || stream ? [root, item, operation] : [item, operation];
  const extension = origins.merged(levels.map((level) => follow(level['x-foregate-messages'])));
  if (extension === undefined) return [];
  const { messages, findings } = readMessages(extension, document);
  const { operationId } = operation;
  const described = {
    name: typeof operationId === 'string' ? operationId : `${method.toUpperCase()} ${path}`,
    description: textOf(operation),
    messages: [messages],
    path: pathParameters([item, operation], document),
  };
  return [{ part: operation, findings, operation: described }];
}

function textOf({ summary, description }: Mapping): string {
  return [summary, description].filter((one) => typeof one === 'string').join('\n\n');
}

function sameNames(found: readonly Found[]): DocumentFinding[] {
  const names = found.map(({ operation }) => operation.name);
  const twice = found.filter(({ operation }, index) => names.indexOf(operation.name) < index);
  return twice.map(({ part, operation }) => {
    const message = `is the id ${JSON.stringify(operation.name)} of another operation, too`;
    return { owner: part, key: 'operationId', at: 'value', message };
  });
}

/** Those of the operation win. */
function pathParameters(levels: readonly Mapping[], { follow }: ApiDocument): Mapping {
  const all = levels.flatMap(({ parameters }) => (Array.isArray(parameters) ? parameters.map(follow) : []));
  const inPath = all.filter(isMapping).filter(({ in: place, name }) => place === 'path' && typeof name === 'string');
  return Object.fromEntries(inPath.map(({ name, schema = {} }) => [name, schema]));
}

/** The channels of an AsyncAPI document, in its order. Messages that cannot be told apart are left out. */
export function describedChannelOperations(document: ApiDocument): DescribedOperations {
  const origins = new Origins((owner, key, at) => document.locate(owner, key, at));
  const { channels, findings } = describedChannels(document, origins);
  const found = channels.flatMap((channel) => describeChannel(channel, document, origins));
  return {
    operations: found.map(({ operation }) => operation),
    findings: [...findings, ...found.flatMap(({ findings: wrong }) => wrong)],
    locate: ({ owner, key, at }) => origins.place(owner, key, at) ?? document.locate(owner, key, at),
  };
}

function describeChannel(channel: DescribedChannel, document: ApiDocument, origins: Origins): Found[] {
  const { name, channel: part } = channel;
  const extension = origins.merged([document.root, part].map((level) => document.follow(level['x-foregate-messages'])));
  const { levels } = channelMessages(channel, extension, { document, origins, checked: [] });
  const read = levels
    .map((level) => level['x-foregate-messages'])
    .filter(isMapping)
    .map((one) => readMessages(one, document));
  if (read.length === 0) return [];
  const operation = {
    name,
    description: textOf(part),
    messages: read.map(({ messages }) => messages),
    path: addressParameters(part, document),
  };
  return [{ part, operation, findings: read.flatMap((one) => one.findings) }];
}

/** They are texts; at most it is said which. */
function addressParameters(channel: Mapping, { follow }: ApiDocument): Mapping {
  const parameters = follow(channel['parameters']);
  const entries = Object.entries(isMapping(parameters) ? parameters : {}).map(([name, value]) => {
    const parameter = follow(value);
    const values = isMapping(parameter) ? parameter['enum'] : undefined;
    return [name, { type: 'string', ...(Array.isArray(values) && { enum: values }) }];
  });
  return Object.fromEntries(entries);
}

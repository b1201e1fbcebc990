/** The operations of an OpenAPI document whose messages it describes. */
import { isMapping, type Mapping } from '../gateway/core/mapping.ts';
import type { PlaceInFile } from '../gateway/core/problem.ts';
import type { ApiDocument } from './api-document.ts';
import type { DocumentFinding } from './document-finding.ts';
import { readMessages, type DescribedMessages } from './messages.ts';
import { pathItems, usesOf, type PathItem } from './operations.ts';
import { Origins } from './origins.ts';

export interface DescribedOperation {
  /** The operation's id, or `GET /rooms/{room}`; none twice. */
  readonly name: string;
  /** For people; may be empty. */
  readonly description: string;
  readonly messages: DescribedMessages;
  /** Schemas by the names of parameters in the path. */
  readonly path: Mapping;
}

export interface DescribedOperations {
  readonly operations: readonly DescribedOperation[];
  readonly findings: readonly DocumentFinding[];
  /** Where what is wrong stands. */
  locate(finding: DocumentFinding): PlaceInFile;
}

/** In the order of the document. */
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
  const { operationId, summary, description } = operation;
  const described = {
    name: typeof operationId === 'string' ? operationId : `${method.toUpperCase()} ${path}`,
    description: [summary, description].filter((one) => typeof one === 'string').join('\n\n'),
    messages,
    path: pathParameters([item, operation], document),
  };
  return [{ part: operation, findings, operation: described }];
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

/** The operations of an OpenAPI document whose messages it describes. */
import { isMapping, type Mapping } from '../gateway/core/mapping.ts';
import type { DocumentFinding, SchemaSource } from './document-finding.ts';
import { readMessages, type DescribedMessages } from './messages.ts';

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
}

/** In the order of the document. */
export function describedOperations(source: SchemaSource): DescribedOperations {
  const found = [...operationsOf(source)].flatMap((one) => describe(one, source));
  const names = found.map(({ operation }) => operation.name);
  const twice = found.filter(({ operation }, index) => names.indexOf(operation.name) < index);
  const unclear = twice.map(({ owner, operation }): DocumentFinding => {
    const message = `is the id ${JSON.stringify(operation.name)} of another operation, too`;
    return { owner, key: 'operationId', at: 'value', message };
  });
  return {
    operations: found.map(({ operation }) => operation),
    findings: [...found.flatMap(({ findings }) => findings), ...unclear],
  };
}

interface FoundOperation {
  readonly address: string;
  readonly item: Mapping;
  readonly operation: Mapping;
}

const methods = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace'];

function* operationsOf({ root, follow }: SchemaSource): Generator<FoundOperation> {
  const { paths } = root;
  for (const [path, value] of Object.entries(isMapping(paths) ? paths : {})) {
    const item = follow(value);
    if (!isMapping(item)) continue;
    for (const method of methods) {
      const operation = item[method];
      if (isMapping(operation)) yield { address: `${method.toUpperCase()} ${path}`, item, operation };
    }
  }
}

interface Read {
  readonly owner: Mapping;
  readonly operation: DescribedOperation;
  readonly findings: readonly DocumentFinding[];
}

function describe({ address, item, operation }: FoundOperation, source: SchemaSource): Read[] {
  const levels = isLasting(operation, source) ? [source.root, item, operation] : [item, operation];
  const extension = levels.map((level) => source.follow(level['x-foregate-messages'])).reduce(merged);
  if (!isMapping(extension)) return [];
  const { messages, findings } = readMessages(extension, source);
  const { operationId, summary, description } = operation;
  const text = [summary, description].filter((one) => typeof one === 'string').join('\n\n');
  const name = typeof operationId === 'string' ? operationId : address;
  return [
    {
      owner: operation,
      findings,
      operation: { name, description: text, messages, path: pathParameters([item, operation], source) },
    },
  ];
}

/** The inner one wins; lists replace one another. */
function merged(outer: unknown, inner: unknown): unknown {
  if (!isMapping(outer) || !isMapping(inner)) return inner ?? outer;
  const entries = Object.entries(inner).map(([key, value]) => [key, merged(outer[key], value)]);
  return { ...outer, ...Object.fromEntries(entries) };
}

/** A WebSocket, or an event stream. */
function isLasting({ requestBody, responses }: Mapping, { follow }: SchemaSource): boolean {
  const answers = Object.values(isMapping(responses) ? responses : {}).flatMap((one) => contentTypes(follow(one)));
  return contentTypes(follow(requestBody)).includes('application/websocket-events') || answers.includes('text/event-stream');
}

/** In lower case, without parameters. */
function contentTypes(part: unknown): string[] {
  const content = isMapping(part) && isMapping(part['content']) ? part['content'] : {};
  return Object.keys(content).map((type) => (type.split(';')[0] ?? '').trim().toLowerCase());
}

/** Those of the operation win. */
function pathParameters(levels: readonly Mapping[], { follow }: SchemaSource): Mapping {
  const all = levels.flatMap(({ parameters }) => (Array.isArray(parameters) ? parameters.map(follow) : []));
  const inPath = all.filter(isMapping).filter(({ in: place, name }) => place === 'path' && typeof name === 'string');
  return Object.fromEntries(inPath.map(({ name, schema = {} }) => [name, schema]));
}

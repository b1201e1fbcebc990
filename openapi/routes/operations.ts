/** The operations of an OpenAPI document: what of it becomes routes. */
import type { OpenAPIV3 } from 'openapi-types';
import { isMapping, type Mapping } from '../../gateway/core/mapping.ts';
import type { ApiDocument } from '../document/api-document.ts';
import type { DocumentFinding } from '../document/document-finding.ts';
import type { Origins } from '../document/origins.ts';

export interface PathItem {
  /** As it stands in the document. */
  readonly path: string;
  /** `paths`, in which it stands. */
  readonly paths: Mapping;
  readonly item: Mapping;
  readonly operations: readonly Operation[];
}

export interface Operation {
  /** In lower case, as OpenAPI has it. */
  readonly method: string;
  readonly operation: Mapping;
}

// The names are the specification's; what stands under them is believed only when it was looked at.
const methods: readonly string[] = [
  'get',
  'put',
  'post',
  'delete',
  'options',
  'head',
  'patch',
  'trace',
] satisfies readonly `${OpenAPIV3.HttpMethods}`[];

/** What stands beside a method in a path. */
const others: readonly string[] = [
  'summary',
  'description',
  'servers',
  'parameters',
  '$ref',
] satisfies readonly (keyof OpenAPIV3.PathItemObject)[];

export interface PathItems {
  readonly items: readonly PathItem[];
  readonly findings: readonly DocumentFinding[];
}

export function pathItems({ root, follow }: Pick<ApiDocument, 'root' | 'follow'>, origins: Origins): PathItems {
  const { paths } = root;
  if (paths === undefined) return { items: [], findings: [] };
  if (!isMapping(paths))
    return { items: [], findings: [{ owner: root, key: 'paths', at: 'value', message: 'must be a mapping' }] };
  const findings: DocumentFinding[] = [];
  const items = Object.entries(paths).flatMap(([path, value]): PathItem[] => {
    if (path.startsWith('x-')) return [];
    if (!path.startsWith('/')) {
      findings.push({ owner: paths, key: path, at: 'key', message: 'must begin with "/"' });
      return [];
    }
    const item = whole(value, follow, origins);
    if (item === undefined) findings.push({ owner: paths, key: path, at: 'value', message: 'must be a mapping of methods' });
    else findings.push(...memberFindings(item));
    return item === undefined ? [] : [{ path, paths, item, operations: operationsOf(item, findings) }];
  });
  return { items, findings };
}

/** With what stands beside a `$ref`, which a path may have. */
function whole(value: unknown, follow: ApiDocument['follow'], origins: Origins): Mapping | undefined {
  const target = follow(value);
  if (!isMapping(target)) return undefined;
  if (target === value || !isMapping(value)) return target;
  const { $ref: _ref, ...beside } = value;
  const members = origins.members(value).filter(({ key }) => Object.hasOwn(beside, key));
  return origins.mapping([...origins.members(target), ...members]);
}

function memberFindings(item: Mapping): DocumentFinding[] {
  const unknown = Object.keys(item).filter((name) => !name.startsWith('x-') && ![...methods, ...others].includes(name));
  return unknown.map((key) => ({
    owner: item,
    key,
    at: 'key',
    message: 'is not a known method',
    known: methods,
  }));
}

function operationsOf(item: Mapping, findings: DocumentFinding[]): Operation[] {
  return methods.flatMap((method): Operation[] => {
    const operation = item[method];
    if (operation === undefined) return [];
    if (isMapping(operation)) return [{ method, operation }];
    findings.push({ owner: item, key: method, at: 'value', message: 'must be a mapping' });
    return [];
  });
}

/** How clients use an operation. */
export interface Uses {
  /** It takes events of WebSockets. */
  readonly webSocket: boolean;
  /** It is a plain request. */
  readonly plain: boolean;
  /** Its answer is an event stream. */
  readonly stream: boolean;
}

export const eventsType = 'application/websocket-events';

export function usesOf(operation: Mapping, follow: ApiDocument['follow']): Uses {
  const requests = contentTypes(follow(operation['requestBody']), follow);
  const webSocket = requests.includes(eventsType);
  const responses = follow(operation['responses']);
  const answers = Object.values(isMapping(responses) ? responses : {}).flatMap((one) => contentTypes(follow(one), follow));
  return { webSocket, plain: !webSocket || requests.length > 1, stream: answers.includes('text/event-stream') };
}

/** In lower case, without parameters. */
function contentTypes(part: unknown, follow: ApiDocument['follow']): string[] {
  const content = isMapping(part) ? follow(part['content']) : undefined;
  return Object.keys(isMapping(content) ? content : {}).map((type) => (type.split(';')[0] ?? '').trim().toLowerCase());
}

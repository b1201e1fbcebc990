/** What is right in an OpenAPI document and may still surprise: it says something that nobody here follows. */
import { isMapping, type Mapping } from '../../gateway/core/mapping.ts';
import type { ApiDocument } from '../document/api-document.ts';
import type { DocumentFinding } from '../document/document-finding.ts';
import type { Operation, PathItem } from './operations.ts';

/** All but what shows while routes are made. */
export function documentRemarks(
  { root, follow }: Pick<ApiDocument, 'root' | 'follow'>,
  items: readonly PathItem[],
): DocumentFinding[] {
  const levels = [root, ...items.flatMap(({ item, operations }) => [item, ...operations.map(({ operation }) => operation)])];
  const schemes = schemesOf(root, follow);
  return [
    ...levels.flatMap(unusedServers),
    ...unaskedSchemes(schemes, levels),
    ...notTaken(root, 'webhooks', 'are requests that are made, not taken: no routes'),
  ];
}

function schemesOf({ components }: Mapping, follow: ApiDocument['follow']): Mapping | undefined {
  const schemes = isMapping(components) ? follow(components['securitySchemes']) : undefined;
  return isMapping(schemes) && Object.keys(schemes).length > 0 ? schemes : undefined;
}

function unusedServers({ servers }: Mapping): DocumentFinding[] {
  if (!Array.isArray(servers)) return [];
  return servers.slice(1).map((_, index) => ({
    owner: servers,
    key: index + 1,
    at: 'value',
    message: 'is not used: of several servers the first counts',
  }));
}

function unaskedSchemes(schemes: Mapping | undefined, levels: readonly Mapping[]): DocumentFinding[] {
  if (schemes === undefined) return [];
  const asked = new Set(levels.flatMap(({ security }) => namesIn(security)));
  const unasked = Object.keys(schemes).filter((name) => !asked.has(name));
  return unasked.map((name) => ({
    owner: schemes,
    key: name,
    at: 'key',
    message: 'is asked for by no operation, so nobody checks it',
  }));
}

function namesIn(security: unknown): string[] {
  return Array.isArray(security) ? security.flatMap((one) => (isMapping(one) ? Object.keys(one) : [])) : [];
}

/** Where others are protected; `security: []` says so on purpose. */
export function openOperation(root: Mapping, item: Mapping, { method, operation }: Operation): DocumentFinding[] {
  const { components } = root;
  const isMeant = operation['security'] !== undefined || root['security'] !== undefined;
  if (isMeant || !isMapping(components) || components['securitySchemes'] === undefined) return [];
  const message = 'asks for no security scheme, so it is open to everybody; "security: []" says that this is meant';
  return [{ owner: item, key: method, at: 'key', message }];
}

function notTaken(root: Mapping, key: string, message: string): DocumentFinding[] {
  return root[key] === undefined ? [] : [{ owner: root, key, at: 'key', message }];
}

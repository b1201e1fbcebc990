/** The extensions of OpenAPI documents that are Foregate's: their names, and what of them stands where. */
import { isMapping, type Mapping } from '../../gateway/core/mapping.ts';
import type { DocumentFinding } from '../document/document-finding.ts';

export const extensionNames = [
  'x-foregate',
  'x-foregate-route',
  'x-foregate-policies',
  'x-foregate-channels',
  'x-foregate-messages',
  'x-foregate-errors',
] as const;
export type ExtensionName = (typeof extensionNames)[number];

/** A document, a path or an operation: where extensions may stand. */
export interface Level {
  readonly kind: 'document' | 'path' | 'operation';
  readonly part: Mapping;
}

/** All that is wrong with the extensions of one level by themselves. */
export function extensionFindings({ kind, part }: Level): DocumentFinding[] {
  const names = Object.keys(part).filter((name) => name.startsWith('x-foregate'));
  return names.flatMap((name): DocumentFinding[] => {
    const check = Object.hasOwn(checks, name) ? checks[name as ExtensionName] : undefined;
    if (check === undefined)
      return [{ owner: part, key: name, at: 'key', message: 'is not a known extension', known: extensionNames }];
    const { type, members } = check;
    const value = part[name];
    if (type === 'list') return Array.isArray(value) ? [] : [{ owner: part, key: name, at: 'value', message: 'must be a list' }];
    if (!isMapping(value)) return [{ owner: part, key: name, at: 'value', message: 'must be a mapping' }];
    return members(value, kind);
  });
}

interface Check {
  readonly type: 'mapping' | 'list';
  members(value: Mapping, kind: Level['kind']): DocumentFinding[];
}

const anyMembers = (): DocumentFinding[] => [];

const checks: Readonly<Record<ExtensionName, Check>> = {
  'x-foregate': { type: 'mapping', members: basicFindings },
  'x-foregate-route': { type: 'mapping', members: routeFindings },
  'x-foregate-policies': { type: 'list', members: anyMembers },
  'x-foregate-channels': { type: 'list', members: anyMembers },
  // Its members are those of the reader of messages.
  'x-foregate-messages': { type: 'mapping', members: anyMembers },
  'x-foregate-errors': { type: 'mapping', members: (value) => unknownMembers(value, errorMembers) },
};

const basicMembers = ['version', 'target', 'targets', 'host', 'security', 'ignore'];
const errorMembers = ['onFault', 'closeCodes', 'faultText', 'faultDelay'];

function basicFindings(value: Mapping): DocumentFinding[] {
  const { version, ignore, security } = value;
  const fault = (key: string, message: string): DocumentFinding[] => [{ owner: value, key, at: 'value', message }];
  return [
    ...unknownMembers(value, basicMembers),
    ...(version === undefined || version === 1 ? [] : fault('version', `must be 1, found ${JSON.stringify(version)}`)),
    ...(ignore === undefined || typeof ignore === 'boolean' ? [] : fault('ignore', 'must be true or false')),
    ...(security === undefined || isMapping(security) ? [] : fault('security', 'must be a mapping of security schemes')),
  ];
}

/** What the document says itself, or another extension. */
const saidElsewhere: Readonly<Record<string, string>> = {
  match: 'is what the document says by its paths and methods; leave it out',
  target: 'belongs into "x-foregate"',
  targets: 'belongs into "x-foregate"',
  policies: 'belongs into "x-foregate-policies"',
};

function routeFindings(value: Mapping, kind: Level['kind']): DocumentFinding[] {
  const findings = Object.keys(value).flatMap((key): DocumentFinding[] =>
    Object.hasOwn(saidElsewhere, key) ? [{ owner: value, key, at: 'key', message: saidElsewhere[key] ?? '' }] : [],
  );
  if (kind === 'operation' || !('id' in value)) return findings;
  return [...findings, { owner: value, key: 'id', at: 'key', message: 'is for one operation only' }];
}

function unknownMembers(value: Mapping, known: readonly string[]): DocumentFinding[] {
  const unknown = Object.keys(value).filter((member) => !known.includes(member));
  return unknown.map((key) => ({ owner: value, key, at: 'key', message: 'is not a known key', known }));
}

/** What is no part of any route, or is one elsewhere. */
const elsewhere: ReadonlySet<string> = new Set([
  'pathItems',
  'webhooks',
  'callbacks',
  'example',
  'examples',
  'default',
  'const',
  'enum',
]);

/** Extensions in other places than the document, its paths and operations: there nobody reads them. */
export function misplacedExtensions(root: Mapping, levels: ReadonlySet<unknown>): DocumentFinding[] {
  const seen = new Set<unknown>();
  const findings: DocumentFinding[] = [];
  const visit = (part: unknown): void => {
    if (typeof part !== 'object' || part === null || seen.has(part)) return;
    seen.add(part);
    if (isMapping(part) && !levels.has(part)) findings.push(...ownExtensions(part));
    for (const [key, value] of Object.entries(part)) if (!elsewhere.has(key) && !key.startsWith('x-')) visit(value);
  };
  visit(root);
  return findings;
}

function ownExtensions(part: Mapping): DocumentFinding[] {
  const names = extensionNames.filter((name) => Object.hasOwn(part, name));
  const message = 'stands where nobody reads it: it belongs to the document, a path or an operation';
  return names.map((key) => ({ owner: part, key, at: 'key', message }));
}

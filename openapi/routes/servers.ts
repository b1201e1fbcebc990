/** `servers` of an OpenAPI document: where its routes lead to, and what their paths begin with. */
import { isMapping, type Mapping } from '../../gateway/core/mapping.ts';
import type { DocumentFinding } from '../document/document-finding.ts';

export interface Server {
  /** Scheme, host and port; undefined for a relative URL, which says only a path. */
  readonly origin: string | undefined;
  /** Without a `/` at its end; empty for none. */
  readonly basePath: string;
  /** The entry it was read from. */
  readonly entry: Mapping | undefined;
}

export interface ServerRead {
  readonly server: Server;
  readonly findings: readonly DocumentFinding[];
}

/** No `servers` at all are one with the URL `/`. */
const noServer: Server = { origin: undefined, basePath: '', entry: undefined };

/** The first server of the innermost part that has any. */
export function serverOf(levels: readonly Mapping[]): ServerRead {
  const owner = levels
    .toReversed()
    .find(({ servers }) => servers !== undefined && !(Array.isArray(servers) && servers.length === 0));
  if (owner === undefined) return { server: noServer, findings: [] };
  const { servers } = owner;
  const entry: unknown = Array.isArray(servers) ? servers[0] : undefined;
  if (isMapping(entry) && typeof entry['url'] === 'string') return read(entry, entry['url']);
  return {
    server: noServer,
    findings: [{ owner, key: 'servers', at: 'value', message: 'must be a list of mappings with a "url"' }],
  };
}

function read(entry: Mapping, template: string): ServerRead {
  const variables = isMapping(entry['variables']) ? entry['variables'] : {};
  const fault = (message: string): ServerRead => ({
    server: { ...noServer, entry },
    findings: [{ owner: entry, key: 'url', at: 'value', message }],
  });
  const lacking: string[] = [];
  const url = template.replaceAll(/\{([^{}]*)\}/g, (_, name: string) => {
    const variable = Object.hasOwn(variables, name) ? variables[name] : undefined;
    const value = isMapping(variable) ? variable['default'] : undefined;
    if (typeof value === 'string' || typeof value === 'number') return String(value);
    lacking.push(name);
    return '';
  });
  if (lacking.length > 0) return fault(`has the variable {${lacking[0] ?? ''}}, which has no "default" in "variables"`);
  const isAbsolute = /^[a-z][a-z0-9+.-]*:/i.test(url);
  const parsed = URL.parse(url, 'http://relative.invalid');
  if (parsed === null || url.startsWith('//')) return fault('is no URL');
  if (isAbsolute && !['http:', 'https:', 'ws:', 'wss:'].includes(parsed.protocol))
    return fault('must be a http, https, ws or wss URL, or a path');
  if (parsed.search !== '' || parsed.hash !== '' || parsed.username !== '' || parsed.password !== '')
    return fault('must not hold a query, a user or a password');
  return {
    server: {
      origin: isAbsolute ? `${parsed.protocol}//${parsed.host}` : undefined,
      basePath: parsed.pathname.replace(/\/+$/, ''),
      entry,
    },
    findings: [],
  };
}

/** The servers of a channel of an AsyncAPI document: those that Foregate can stand before, and where they are. */
import { isMapping, type Mapping } from '../../gateway/core/mapping.ts';
import type { DocumentFinding } from '../document/document-finding.ts';

export type Transport = 'websocket' | 'http';

export interface ChannelServer {
  readonly transport: Transport;
  /** Scheme of a target. */
  readonly scheme: string;
  readonly server: Mapping;
}

/** An event stream is plain HTTP for whoever asks for it. */
const schemes: ReadonlyMap<string, readonly [Transport, string]> = new Map([
  ['ws', ['websocket', 'ws']],
  ['wss', ['websocket', 'wss']],
  ['http', ['http', 'http']],
  ['https', ['http', 'https']],
  ['sse', ['http', 'http']],
  ['sses', ['http', 'https']],
]);

/** Undefined for a server of another protocol. */
export function channelServer(server: Mapping): ChannelServer | undefined {
  const [transport, scheme] = schemes.get(protocolOf(server)) ?? [];
  return transport === undefined || scheme === undefined ? undefined : { transport, scheme, server };
}

/** In lower case; empty for none. */
export function protocolOf({ protocol }: Mapping): string {
  return typeof protocol === 'string' ? protocol.toLowerCase() : '';
}

export type ServerPart = { readonly text: string } | { readonly finding: DocumentFinding };

/** Scheme, host and port, as a target has them. */
export function originOf({ scheme, server }: ChannelServer): ServerPart {
  const host = filledIn(server, 'host');
  if ('finding' in host) return host;
  if (/^[A-Za-z0-9._-]+(:\d+)?$|^\[[0-9A-Fa-f:.]+\](:\d+)?$/.test(host.text)) return { text: `${scheme}://${host.text}` };
  return { finding: { owner: server, key: 'host', at: 'value', message: 'must be a host and, if need be, a port' } };
}

/** What the paths of its channels begin with; empty, or with a `/` only before it. */
export function basePathOf({ server }: ChannelServer): ServerPart {
  if (server['pathname'] === undefined) return { text: '' };
  const path = filledIn(server, 'pathname');
  if ('finding' in path) return path;
  const text = path.text.replace(/^\/*/, '/').replace(/\/+$/, '');
  if (!/[?#]/.test(text)) return { text };
  return { finding: { owner: server, key: 'pathname', at: 'value', message: 'must be a path without a query' } };
}

/** With the defaults of its variables. */
function filledIn(server: Mapping, key: 'host' | 'pathname'): ServerPart {
  const text = server[key];
  if (typeof text !== 'string') return { finding: { owner: server, key, at: 'value', message: 'must be text' } };
  const variables = isMapping(server['variables']) ? server['variables'] : {};
  let lacking: string | undefined;
  const filled = text.replaceAll(/\{([^{}]*)\}/g, (_, name: string) => {
    const variable = Object.hasOwn(variables, name) ? variables[name] : undefined;
    const value = isMapping(variable) ? variable['default'] : undefined;
    if (typeof value !== 'string') lacking ??= name;
    return typeof value === 'string' ? value : '';
  });
  if (lacking === undefined) return { text: filled };
  const message = `has the variable {${lacking}}, which has no "default" in "variables"`;
  return { finding: { owner: server, key, at: 'value', message } };
}

/**
 * An AsyncAPI 3.0 document of the WebSockets and event streams of routes. It describes the application, which is Foregate with what is
 * behind it: what clients send is received (`receive`), what they get is sent (`send`).
 */
import { stringify } from 'yaml';
import { channelOf } from './exported-channel.ts';
import type { Mapping } from '../../gateway/core/mapping.ts';
import type { DocumentedRoute, DocumentRemark } from './exported-route.ts';
import { Servers, type Origin } from './exported-servers.ts';
import { EmbeddedSchemas, UnsayableSchema } from '../schema/embedded-schema.ts';

export interface DocumentTerms {
  readonly title: string;
  /** That of what is described, not of AsyncAPI. */
  readonly version: string;
  readonly origins: readonly Origin[];
  /** For clients: nothing that only Foregate itself reads, such as targets and policies. */
  readonly forClients: boolean;
}

export interface WrittenDocument {
  /** YAML; the same for the same routes. */
  readonly text: string;
  /** With a `refused` among them the document is not whole. */
  readonly remarks: readonly DocumentRemark[];
  /** The routes that are in it. */
  readonly routeCount: number;
}

export function asyncApiDocument(routes: readonly DocumentedRoute[], terms: DocumentTerms): WrittenDocument {
  const parts: DocumentParts = { channels: {}, operations: {}, securitySchemes: {} };
  const shared = { servers: new Servers(terms.origins), schemas: new EmbeddedSchemas(), forClients: terms.forClients };
  const remarks = routes.flatMap((route): readonly DocumentRemark[] => {
    const { id } = route.settings;
    const channel = sayable(id, () => channelOf(route, shared));
    if ('verdict' in channel) return [channel];
    if (channel.content === undefined) return channel.remarks;
    parts.channels[id] = channel.content.channel;
    Object.assign(parts.operations, channel.content.operations);
    Object.assign(parts.securitySchemes, channel.content.securitySchemes);
    return channel.remarks;
  });
  const document = {
    asyncapi: '3.0.0',
    info: { title: terms.title, version: terms.version },
    defaultContentType: 'application/json',
    ...(!terms.forClients && { 'x-foregate': { version: 1 } }),
    servers: shared.servers.all(),
    channels: parts.channels,
    operations: parts.operations,
    ...components(parts.securitySchemes, shared.schemas.all()),
  };
  const text = stringify(document, { lineWidth: 0, aliasDuplicateObjects: false });
  return { text, remarks, routeCount: Object.keys(parts.channels).length };
}

interface DocumentParts {
  readonly channels: Record<string, unknown>;
  readonly operations: Record<string, unknown>;
  readonly securitySchemes: Record<string, unknown>;
}

function components(securitySchemes: Mapping, schemas: Mapping): Mapping {
  const filled = Object.entries({ schemas, securitySchemes }).filter(([, members]) => Object.keys(members).length > 0);
  return filled.length === 0 ? {} : { components: Object.fromEntries(filled) };
}

function sayable<T>(about: string, write: () => T): T | DocumentRemark {
  try {
    return write();
  } catch (error) {
    if (!(error instanceof UnsayableSchema)) throw error;
    return { about, verdict: 'refused', text: error.message };
  }
}

/** Routes as exporters get them, for tests of the gateways of the clouds. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Exporter, GatewayModel, GatewayRoute } from '../../../adapters/conversion/gateway-route.ts';

/** A route of WebSockets with keys, changed as said. */
export function cloudRoute(changes: Partial<GatewayRoute> = {}): GatewayRoute {
  return {
    id: 'chat',
    gateway: new URL('https://api.example.com'),
    hosts: [],
    path: '/chat',
    eventsOnly: true,
    backend: new URL('https://backend.example.com'),
    stripPath: false,
    auth: { kind: 'key', place: { in: 'header', name: 'x-api-key' }, hidden: true },
    limits: [],
    bodyBytes: 102_400,
    connectMs: 2000,
    readMs: 15_000,
    ...changes,
  };
}

export const tokens = {
  kind: 'jwt',
  hidden: false,
  issuer: 'https://login.example.com/',
  audience: 'chat',
  jwks: undefined,
} as const satisfies GatewayRoute['auth'];

export function cloudModel(routes: readonly GatewayRoute[], callers: GatewayModel['callers'] = []): GatewayModel {
  return { routes, callers, trusted: [] };
}

/** The remarks for one route that is changed as said: `refused chat: …`. */
export function remarksFor({ write }: Exporter, changes: Partial<GatewayRoute>): string[] {
  return write(cloudModel([cloudRoute(changes)])).remarks.map(({ about, verdict, text }) => `${verdict} ${about}: ${text}`);
}

/** The text of a file that was written. */
export function written(exporter: Exporter, model: GatewayModel, name: string): string {
  const content = exporter.write(model).files.find((file) => file.name === name)?.content;
  if (typeof content !== 'string') throw new Error(`There is no ${name}.`);
  return content;
}

/** A folder with a `foregate.yaml`; it is gone after the tests of this `describe`. */
export function folderWith(yaml: () => string): () => string {
  let folder = '';
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'foregate-'));
    writeFileSync(join(folder, 'foregate.yaml'), yaml());
  });
  after(() => rmSync(folder, { recursive: true }));
  return () => folder;
}

/** `foregate import aws`: reads OpenAPI documents, 3.0 and 2.0, as API Gateway exports them and as people write them for it. */
import type { FoundRoute, GatewayRoute, Importer, InputFile, Remark } from '../conversion/gateway-route.ts';
import type { Raw } from '../conversion/present.ts';
import { told } from '../conversion/remark.ts';
import { defaultConnectMs, integrationOf, type Integration } from './integration.ts';
import { isRaw, listAt, rawAt, readDocument, textAt, type Path, type ReadDocument } from './read-document.ts';
import { securityOf } from './security.ts';

const methods = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace', 'x-amazon-apigateway-any-method'];
const bodyBytes = 10 * 1024 * 1024;
const eventsType = 'application/websocket-events';

export const awsImporter: Importer = {
  name: 'aws',
  summary: 'Takes over OpenAPI documents of AWS API Gateway, with its extensions.',
  usualAddress: 'https://api.example.com',
  read(files, gateway) {
    const read = files.map((file) => readApi(file, gateway));
    const remarks = read.flatMap((api) => api.remarks);
    const one = joinOperations(read.flatMap(({ found }) => found));
    return { routes: one.routes, callers: [], remarks: [...remarks, ...one.remarks] };
  },
};

/** A route for one operation, and where it stands. */
interface Operation {
  readonly at: string;
  readonly route: GatewayRoute;
}

interface ReadApi {
  readonly found: readonly Operation[];
  readonly remarks: readonly Remark[];
}

function readApi(file: InputFile, gateway: URL): ReadApi {
  const document = readDocument(file);
  if (document.root === undefined) return { found: [], remarks: document.faults.map(({ at, text }) => told(at, text)) };
  if (!isRaw(document.root['paths']))
    return { found: [], remarks: [told(document.at([]), 'has no "paths": it is not an OpenAPI document')] };
  const root = document.root;
  const operations = Object.entries(rawAt(root, 'paths')).flatMap(([path, item]) => operationsOf(path, item));
  const read = operations.map((place) => readOperation(document, root, place, gateway));
  return {
    found: read.flatMap(({ found }) => found),
    remarks: [...rootRemarks(document, root), ...read.flatMap(({ remarks }) => remarks)],
  };
}

interface Place {
  readonly path: string;
  readonly method: string;
  readonly operation: Raw | undefined;
}

function operationsOf(path: string, item: unknown): Place[] {
  if (path.startsWith('x-')) return [];
  const found = methods.flatMap((method) =>
    isRaw(item) && Object.hasOwn(item, method) ? [{ path, method, operation: rawAt(item, method) }] : [],
  );
  return found.length > 0 ? found : [{ path, method: '', operation: undefined }];
}

function readOperation(document: ReadDocument, root: Raw, { path, method, operation }: Place, gateway: URL): ReadApi {
  const way: Path = ['paths', path, method];
  const at = document.at(way);
  if (operation === undefined) return { found: [], remarks: [told(at, `${path} has no operation that is understood`)] };
  const integration = integrationOf(path, operation['x-amazon-apigateway-integration']);
  const place = document.at([...way, 'x-amazon-apigateway-integration']);
  const remarks = integration.remarks.map((text) => told(place, text));
  if (integration.taken === undefined) return { found: [], remarks };
  const { auth, faults } = securityOf(root, operation);
  const route = routeOf(integration.taken, operation, auth, gateway);
  const events = takesEvents(root, method, operation);
  return {
    found: [{ at, route: { ...route, eventsOnly: events } }],
    remarks: [...remarks, ...faults.map((text) => told(at, text))],
  };
}

function routeOf(taken: Integration, operation: Raw, auth: GatewayRoute['auth'], gateway: URL): GatewayRoute {
  const { path, backend, stripPath, readMs } = taken;
  return {
    // The export appends `-below` for what is below a path.
    id: textAt(operation, 'operationId')?.replace(/-below$/, '') ?? path,
    gateway,
    hosts: [],
    path,
    eventsOnly: false,
    backend,
    stripPath,
    auth: auth.kind === 'none' ? auth : { ...auth, hidden: auth.kind === 'key' && taken.hidesKey },
    limits: [],
    bodyBytes,
    connectMs: defaultConnectMs,
    readMs,
  };
}

/** True where a POST takes events and no other type is written. */
function takesEvents(root: Raw, method: string, operation: Raw): boolean {
  if (method !== 'post') return false;
  const types = Object.keys(rawAt(rawAt(operation, 'requestBody'), 'content'));
  const consumed = listAt(operation, 'consumes') ?? listAt(root, 'consumes') ?? [];
  const all = types.length > 0 ? types : consumed;
  return all.length > 0 && all.every((type) => type === eventsType);
}

const known = [
  'x-amazon-apigateway-api-key-source',
  'x-amazon-apigateway-binary-media-types',
  'x-amazon-apigateway-importexport-version',
];

function rootRemarks(document: ReadDocument, root: Raw): Remark[] {
  const extensions = Object.keys(root).filter((name) => name.startsWith('x-') && !known.includes(name));
  return [
    ...serverRemarks(document, root),
    ...keySourceRemarks(document, root),
    ...extensions.map((name) => told(document.at([name]), `${name} is not taken over; the gateway goes on with it`)),
  ];
}

function keySourceRemarks(document: ReadDocument, root: Raw): Remark[] {
  const name = 'x-amazon-apigateway-api-key-source';
  const source = textAt(root, name)?.toUpperCase();
  return source === 'AUTHORIZER'
    ? [told(document.at([name]), 'keys come from an authorizer, not from x-api-key as is written here')]
    : [];
}

/** The address is told, since a stage in front of the path is nothing a target can have. */
function serverRemarks(document: ReadDocument, root: Raw): Remark[] {
  const [server] = listAt(root, 'servers') ?? [];
  const url = isRaw(server) ? textAt(server, 'url') : textAt(root, 'host');
  const at = document.at([isRaw(server) ? 'servers' : 'host']);
  if (isRaw(server) && Object.hasOwn(server, 'x-amazon-apigateway-endpoint-configuration'))
    return [told(at, 'has settings of its endpoint: if only names of its own lead there, they are to be given as "match.host"')];
  if (url === undefined || url === '/') return [];
  return [told(at, `${url} is said to be the address of the API; it is given with --gateway, and a stage is not part of it`)];
}

/** Operations with the same beginning become one route; `/chat/` is part of `/chat` where both lead to the same. */
function joinOperations(found: readonly Operation[]): {
  readonly routes: readonly FoundRoute[];
  readonly remarks: readonly Remark[];
} {
  const byPath = new Map<string, Operation>();
  const remarks: Remark[] = [];
  for (const one of found.toSorted(byLengthAndCheck)) {
    const shorter = one.route.path.replace(/\/$/, '') || '/';
    const first = byPath.get(one.route.path) ?? byPath.get(shorter);
    if (first !== undefined && isSame(first.route, one.route)) byPath.set(first.route.path, both(first, one));
    else if (byPath.has(one.route.path))
      remarks.push(told(one.at, `begins as ${first?.route.id ?? ''} and differs from it; left out`));
    else byPath.set(one.route.path, one);
  }
  const routes = [...byPath.values()].map(({ route }) => route).toSorted((a, b) => b.path.length - a.path.length);
  return { routes: routes.map((route) => ({ route, webSockets: false })), remarks };
}

/** Shorter paths first, and what is checked before what is open: where two differ, the first is taken. */
function byLengthAndCheck({ route: a }: Operation, { route: b }: Operation): number {
  return a.path.length - b.path.length || Number(a.auth.kind === 'none') - Number(b.auth.kind === 'none');
}

function both(first: Operation, { route }: Operation): Operation {
  return { ...first, route: { ...first.route, eventsOnly: first.route.eventsOnly && route.eventsOnly } };
}

/** Without the things that two operations of one route may have of their own. */
function isSame(a: GatewayRoute, b: GatewayRoute): boolean {
  const shape = ({ backend, stripPath, auth, readMs }: GatewayRoute): string =>
    JSON.stringify([backend.href, stripPath, auth, readMs]);
  return shape(a) === shape(b);
}

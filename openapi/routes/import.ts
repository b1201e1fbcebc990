/**
 * Makes routes of an OpenAPI document (3.0 and 3.1): paths, methods, servers, security and parameters as the document has them, all
 * else from its extensions `x-foregate`. The result is what a person would write in foregate.yaml, and is checked as that is.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Adapter } from '../../gateway/core/adapter.ts';
import { isMapping, type Mapping } from '../../gateway/core/mapping.ts';
import type { ApiDocument } from '../document/api-document.ts';
import type { Described, DescribedRoute } from './described-route.ts';
import type { DocumentFinding } from '../document/document-finding.ts';
import { DocumentPlaces } from './document-places.ts';
import { channelsPolicy, innermost, listedPolicies, type PlacedPolicy } from './listed-policies.ts';
import { documentRemarks, openOperation } from './document-remarks.ts';
import { extensionFindings, misplacedExtensions, type Level } from './extensions.ts';
import { readGateway } from './gateway-members.ts';
import { MessageReader } from '../messages/route-messages.ts';
import { versionFault } from './openapi-version.ts';
import { pathItems, usesOf, type Operation, type PathItem } from './operations.ts';
import type { Locate, Member, Origin, Origins } from '../document/origins.ts';
import { ParameterReader } from './route-parameters.ts';
import { RouteIds } from './route-ids.ts';
import { encodedPath } from './request-path.ts';
import { namesGateway, SecurityReader } from './security.ts';
import { serverOf, type Server } from './servers.ts';

/** What the configuration says beside a document. */
export interface ImportTerms {
  /** Its entry under `openapi`, as written: `target`, `targets`, `host`, `security`. It wins over `x-foregate`. */
  readonly entry: Mapping;
  /** Where the entry was read. */
  readonly locateEntry: Locate;
  /** What `defaults` say. Their policies come before those of the document. */
  readonly defaults: Mapping;
  /** Those that read the extensions of their gateways. */
  readonly adapters: readonly Adapter[];
  /** Ids of other routes, which the ones that are made here must not be. */
  readonly takenIds: Iterable<string>;
}

export function describeRoutes(document: ApiDocument, terms: ImportTerms): Described {
  return new Import(document, terms).described();
}

/** One operation as a route, before those of one path that are the same are joined. */
interface Draft {
  readonly id: Member;
  /** `id` was said, not made. */
  readonly isNamed: boolean;
  readonly match: readonly Member[];
  /** Undefined for WebSockets. */
  readonly method: Member | undefined;
  readonly rest: Mapping;
  readonly isStream: boolean;
}

class Import {
  readonly #document: ApiDocument;
  readonly #terms: ImportTerms;
  readonly #places: DocumentPlaces;
  readonly #origins: Origins;
  readonly #security: SecurityReader;
  readonly #parameters: ParameterReader;
  readonly #messages: MessageReader;
  readonly #findings: DocumentFinding[] = [];
  readonly #remarks: DocumentFinding[] = [];
  readonly #ids: RouteIds;

  constructor(document: ApiDocument, terms: ImportTerms) {
    this.#document = document;
    this.#terms = terms;
    this.#places = new DocumentPlaces(document, terms.locateEntry);
    this.#origins = this.#places.origins;
    this.#security = new SecurityReader(document, this.#origins);
    this.#parameters = new ParameterReader(document, this.#origins);
    this.#messages = new MessageReader(document, this.#origins);
    this.#ids = new RouteIds(terms.takenIds);
  }

  described(): Described {
    const fault = versionFault(this.#document.root);
    const routes = fault === undefined ? this.#routes() : [];
    return this.#places.described({
      routes,
      controlPolicies: this.#messages.controlPolicies().map((settings) => this.#places.placed(settings)),
      findings: fault === undefined ? this.#findings : [fault],
      remarks: this.#remarks,
    });
  }

  #routes(): DescribedRoute[] {
    const root: Level = { kind: 'document', part: this.#document.root };
    const { items, findings } = pathItems(this.#document, this.#origins);
    this.#findings.push(...findings, ...extensionFindings(root), ...this.#unknownSchemes(root), ...sameTemplates(items));
    this.#findings.push(...misplacedExtensions(this.#document.root, this.#levelParts(items)));
    this.#remarks.push(...documentRemarks(this.#document, items));
    const drafts = items.flatMap((item) => joined(this.#draftsOf(item, root)));
    const routes = drafts.map((draft) => this.#route(draft));
    if (routes.length === 0 && this.#findings.length === 0) this.#findings.push(noOperations(this.#document.root));
    return routes;
  }

  /** Where extensions may stand; a path may be made of two parts. */
  #levelParts(items: readonly PathItem[]): ReadonlySet<unknown> {
    const { root, follow } = this.#document;
    const written = items.flatMap(({ path, paths }) => [paths[path], follow(paths[path])]);
    return new Set([root, ...written, ...items.flatMap(({ operations }) => operations.map(({ operation }) => operation))]);
  }

  /** With those of the entry for the document. */
  #unknownSchemes({ kind, part }: Level): DocumentFinding[] {
    const basics = kind === 'document' ? this.#basics([part]) : part['x-foregate'];
    const said = isMapping(basics) ? basics['security'] : undefined;
    return isMapping(said) ? this.#security.unknownDetails(said) : [];
  }

  #draftsOf(item: PathItem, root: Level): Draft[] {
    const path: Level = { kind: 'path', part: item.item };
    this.#findings.push(...extensionFindings(path), ...this.#unknownSchemes(path));
    return item.operations.flatMap((operation) => {
      const level: Level = { kind: 'operation', part: operation.operation };
      this.#findings.push(...extensionFindings(level), ...this.#unknownSchemes(level));
      return this.#drafts(item, operation, [root.part, path.part, level.part]);
    });
  }

  /** One for each use: an operation may take events of WebSockets and plain requests. */
  #drafts(item: PathItem, { method, operation }: Operation, levels: readonly Mapping[]): Draft[] {
    const basics = this.#basics(levels);
    const place: Origin = { owner: item.item, key: method, at: 'key' };
    if (basics['ignore'] === true) return this.#leftOut(item.item, method);
    this.#remarks.push(...openOperation(this.#document.root, item.item, { method, operation }));
    const { server, findings } = serverOf(levels);
    this.#findings.push(...findings);
    const targets = this.#targets(basics, server, findings.length > 0, place);
    const template: Member = {
      key: 'template',
      value: encodedPath(server.basePath + item.path),
      origin: { owner: item.paths, key: item.path, at: 'key' },
    };
    const written = this.#options(levels);
    const options = this.#withGateway(written, { item, levels, server, basics });
    const { webSocket, plain, stream } = usesOf(operation, this.#document.follow);
    const isRelay = server.origin?.startsWith('ws') === true;
    const uses = [...(webSocket || isRelay ? ['websocket' as const] : []), ...(plain && !isRelay ? ['http' as const] : [])];
    return uses.map((transport): Draft => {
      const lasts = transport === 'websocket' || stream;
      const policies = this.#policies(levels, { basics, template, lasts, options, place });
      const match = [
        ...(basics['host'] === undefined
          ? []
          : [{ key: 'host', value: basics['host'], origin: this.#origins.of(basics, 'host') }]),
        template,
        { key: 'transports', value: [transport], origin: place },
      ];
      return {
        id: idOf(operation, options, `${method}-${server.basePath}${item.path}`, place, this.#origins),
        isNamed: isMapping(options) && 'id' in options,
        match,
        method: transport === 'http' ? { key: 'methods', value: method.toUpperCase(), origin: place } : undefined,
        rest: this.#origins.mapping([
          ...targets,
          ...this.#origins.members(options).filter(({ key }) => key !== 'id'),
          ...(policies.length === 0 ? [] : [{ key: 'policies', value: this.#origins.list(policies), origin: place }]),
        ]),
        isStream: stream && transport === 'http',
      };
    });
  }

  #leftOut(item: Mapping, method: string): [] {
    this.#remarks.push({ owner: item, key: method, at: 'key', message: 'is left out ("ignore")' });
    return [];
  }

  /** With what the extensions of the gateway say. */
  #withGateway(
    options: Mapping,
    about: {
      readonly item: PathItem;
      readonly levels: readonly Mapping[];
      readonly server: Server;
      readonly basics: Mapping;
    },
  ): Mapping {
    const { item, levels, server, basics } = about;
    const isBehind = 'target' in basics || 'targets' in basics;
    const { defaults, adapters } = this.#terms;
    const owner = 'adapter' in options ? options : defaults;
    const said =
      'adapter' in owner ? { key: 'adapter', value: owner['adapter'], origin: this.#origins.of(owner, 'adapter') } : undefined;
    const { adapter, remarks } = readGateway(
      { adapters, said, path: item.path, root: this.#document.root, levels, backend: isBehind ? server : undefined },
      this.#origins,
    );
    this.#remarks.push(...remarks);
    return adapter === undefined ? options : this.#origins.mapping([...this.#origins.members(options), adapter]);
  }

  /** `x-foregate` of all levels, and the entry over them. */
  #basics(levels: readonly Mapping[]): Mapping {
    return this.#origins.merged([...levels.map((level) => level['x-foregate']), this.#terms.entry]) ?? {};
  }

  #options(levels: readonly Mapping[]): Mapping {
    const named = (name: string): unknown[] => levels.map((level) => level[name]);
    return this.#origins.merged([...named('x-foregate-route'), ...named('x-foregate-errors')]) ?? {};
  }

  #targets(basics: Mapping, server: Server, isBroken: boolean, place: Origin): Member[] {
    const said = this.#origins.members(basics).filter(({ key }) => key === 'target' || key === 'targets');
    // Who names both is told so by the rules for routes.
    if (said.length > 0) return said;
    if (server.origin !== undefined)
      return [{ key: 'target', value: server.origin, origin: { owner: server.entry ?? {}, key: 'url' } }];
    if (!isBroken) this.#findings.push(noTarget(server, this.#document.root));
    return [{ key: 'target', value: 'http://none.invalid', origin: place }];
  }

  #policies(
    levels: readonly Mapping[],
    about: {
      readonly basics: Mapping;
      readonly template: Member;
      /** Messages travel in it, so that what the document says of all messages is about it, too. */
      readonly lasts: boolean;
      readonly options: Mapping;
      readonly place: Origin;
    },
  ): PlacedPolicy[] {
    const [root = {}, path = {}, operation = {}] = levels;
    const { basics, template, lasts, options, place } = about;
    const security = this.#security.read([root, operation], {
      details: isMapping(basics['security']) ? basics['security'] : {},
      hasGateway: namesGateway(options, this.#terms.defaults),
    });
    const parameters = this.#parameters.read([path, operation], template);
    const messages = this.#messages.read(lasts ? levels : [path, operation]);
    this.#findings.push(...security.findings, ...parameters.findings, ...messages.findings);
    const made = [
      ...security.policies,
      ...(parameters.policy === undefined ? [] : [parameters.policy]),
      ...channelsPolicy(levels, this.#origins),
    ];
    const own = innermost(levels, 'x-foregate-policies');
    return [
      ...listedPolicies(this.#terms.defaults, 'policies'),
      ...made.map((value) => ({ value, origin: place })),
      ...(own === undefined ? [] : listedPolicies(own, 'x-foregate-policies')),
      ...messages.policies.map((value) => ({ value, origin: place })),
    ];
  }

  #route({ id, isNamed, match, rest, isStream }: Draft): DescribedRoute {
    const name = isNamed ? id : { ...id, value: this.#ids.free(String(id.value)) };
    const settings = this.#origins.mapping([
      name,
      { key: 'match', value: this.#origins.mapping(match), origin: match[0]?.origin ?? id.origin },
      ...this.#origins.members(rest),
    ]);
    return { ...this.#places.placed(settings), isStream };
  }
}

/** Those of one path that are the same but for their method are one route with several. */
function joined(drafts: readonly Draft[]): Draft[] {
  const routes: { draft: Draft; methods: Member[] }[] = [];
  for (const draft of drafts) {
    const same = routes.find((one) => one.methods.length > 0 && draft.method !== undefined && isSame(one.draft, draft));
    if (same === undefined) routes.push({ draft, methods: draft.method === undefined ? [] : [draft.method] });
    else if (draft.method !== undefined) same.methods.push(draft.method);
  }
  return routes.map(({ draft, methods: [first, ...more] }) => {
    if (first === undefined) return draft;
    const methods = { ...first, value: [first, ...more].map(({ value }) => value) };
    return { ...draft, match: [...draft.match, methods] };
  });
}

function isSame(one: Draft, other: Draft): boolean {
  const namedApart = one.isNamed && other.isNamed && one.id.value !== other.id.value;
  return !namedApart && isDeepStrictEqual(one.rest, other.rest) && isDeepStrictEqual(valuesOf(one.match), valuesOf(other.match));
}

function valuesOf(members: readonly Member[]): unknown[] {
  return members.map(({ value }) => value);
}

function idOf(operation: Mapping, options: Mapping, made: string, place: Origin, origins: Origins): Member {
  if ('id' in options) return { key: 'id', value: options['id'], origin: origins.of(options, 'id') };
  const { operationId } = operation;
  if (typeof operationId === 'string' && operationId !== '')
    return { key: 'id', value: operationId, origin: { owner: operation, key: 'operationId' } };
  return { key: 'id', value: made, origin: place };
}

/** Two paths that differ only in the names of their parameters are one. */
function sameTemplates(items: readonly PathItem[]): DocumentFinding[] {
  const first = new Map<string, string>();
  return items.flatMap(({ path, paths }): DocumentFinding[] => {
    const bare = path.replaceAll(/\{[^{}]*\}/g, '{}');
    const other = first.get(bare);
    if (other === undefined) first.set(bare, path);
    return other === undefined
      ? []
      : [{ owner: paths, key: path, at: 'key', message: `is the same path as ${JSON.stringify(other)}` }];
  });
}

function noTarget({ entry }: Server, root: Mapping): DocumentFinding {
  if (entry !== undefined) return { owner: entry, key: 'url', at: 'value', message: `says no host; ${targetAdvice}` };
  return { owner: root, at: 'value', message: `has no "servers" that say where to go; ${targetAdvice}` };
}

const targetAdvice = 'write "target: http://gateway:8000" into the entry of the document or "x-foregate"';

function noOperations(root: Mapping): DocumentFinding {
  const message = 'describes no operation that could be a route';
  return 'paths' in root ? { owner: root, key: 'paths', at: 'key', message } : { owner: root, at: 'value', message };
}

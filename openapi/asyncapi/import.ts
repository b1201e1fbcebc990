/**
 * Makes routes of an AsyncAPI document (3.0 and 3.1): channels of WebSockets and HTTP with their addresses, servers, security, parameters
 * and messages; all else from its extensions `x-foregate`. The document describes the application, which is Foregate with what is
 * behind it: what the application receives, clients send.
 */
import { isMapping, type Mapping } from '../../gateway/core/mapping.ts';
import type { ApiDocument } from '../document/api-document.ts';
import { asyncApiVersionFault } from './version.ts';
import { channelMessages } from './channel-messages.ts';
import { bindingOf, channelParameters } from './channel-parameters.ts';
import { ChannelSecurity } from './channel-security.ts';
import { basePathOf, channelServer, originOf, protocolOf, type ChannelServer, type Transport } from './channel-servers.ts';
import { describedChannels, type DescribedChannel } from './described-channel.ts';
import type { Described, DescribedRoute } from '../routes/described-route.ts';
import type { DocumentFinding } from '../document/document-finding.ts';
import { DocumentPlaces } from '../routes/document-places.ts';
import { extensionFindings } from '../routes/extensions.ts';
import type { ImportTerms } from '../routes/import.ts';
import type { Member, Origin, Origins } from '../document/origins.ts';
import { OwnPolicies } from '../messages/own-policies.ts';
import { channelsPolicy, innermost, listedPolicies, type PlacedPolicy } from '../routes/listed-policies.ts';
import { RouteIds } from '../routes/route-ids.ts';
import { MessageReader } from '../messages/route-messages.ts';
import { ParameterReader } from '../routes/route-parameters.ts';
import { encodedPath } from '../routes/request-path.ts';
import { namesGateway, SecurityReader } from '../routes/security.ts';

export function describeChannels(document: ApiDocument, terms: ImportTerms): Described {
  return new AsyncApiImport(document, terms).described();
}

/** What is known of a channel before its routes are made. */
interface Draft {
  readonly channel: DescribedChannel;
  /** Where the channel stands. */
  readonly place: Origin;
  /** `x-foregate` of all levels, and the entry over them. */
  readonly basics: Mapping;
  /** `x-foregate-route` of all levels. */
  readonly options: Mapping;
}

class AsyncApiImport {
  readonly #document: ApiDocument;
  readonly #terms: ImportTerms;
  readonly #places: DocumentPlaces;
  readonly #origins: Origins;
  readonly #needs: ChannelSecurity;
  readonly #parameters: ParameterReader;
  readonly #messages: MessageReader;
  readonly #own: OwnPolicies;
  readonly #ids: RouteIds;
  readonly #findings: DocumentFinding[] = [];
  readonly #remarks: DocumentFinding[] = [];

  constructor(document: ApiDocument, terms: ImportTerms) {
    this.#document = document;
    this.#terms = terms;
    this.#places = new DocumentPlaces(document, terms.locateEntry);
    this.#origins = this.#places.origins;
    this.#needs = new ChannelSecurity(document, this.#origins);
    this.#parameters = new ParameterReader(document, this.#origins);
    this.#messages = new MessageReader(document, this.#origins);
    this.#own = new OwnPolicies(document, this.#origins, this.#findings);
    this.#ids = new RouteIds(terms.takenIds);
  }

  described(): Described {
    const fault = asyncApiVersionFault(this.#document.root);
    const routes = fault === undefined ? this.#routes() : [];
    return this.#places.described({
      routes,
      controlPolicies: this.#messages.controlPolicies().map((settings) => this.#places.placed(settings)),
      findings: fault === undefined ? eachOnce(this.#findings) : [fault],
      remarks: eachOnce(this.#remarks),
    });
  }

  #routes(): DescribedRoute[] {
    const { root } = this.#document;
    const { channels, findings } = describedChannels(this.#document, this.#origins);
    this.#findings.push(...findings, ...extensionFindings({ kind: 'document', part: root }));
    const routes = channels.flatMap((channel) => this.#routesOf(channel));
    this.#findings.push(
      ...this.#unknownSchemes([root, this.#terms.entry]),
      ...channels.flatMap(({ channel }) => this.#unknownSchemes([channel])),
    );
    // Why nothing is left is worth more than that nothing is.
    if (routes.length === 0 && this.#findings.length === 0) this.#findings.push(noChannels(root), ...this.#remarks.splice(0));
    return routes;
  }

  /** Details for schemes that the document does not have. */
  #unknownSchemes(levels: readonly Mapping[]): DocumentFinding[] {
    const reader = new SecurityReader(this.#needs.document(), this.#origins);
    const said = levels.map((level) => (level === this.#terms.entry ? level : level['x-foregate']));
    return said.flatMap((one) => (isMapping(one) && isMapping(one['security']) ? reader.unknownDetails(one['security']) : []));
  }

  #routesOf(channel: DescribedChannel): DescribedRoute[] {
    const place: Origin = { owner: channel.channels, key: channel.name, at: 'key' };
    this.#findings.push(...this.#channelFindings(channel));
    const draft = {
      channel,
      place,
      basics: this.#merged(channel, 'x-foregate', [this.#terms.entry]),
      options: this.#merged(channel, 'x-foregate-route'),
    };
    if (draft.basics['ignore'] === true) return [];
    const servers = this.#servers(draft);
    const said = this.#origins.members(draft.basics).filter(({ key }) => key === 'target' || key === 'targets');
    const transports = [...new Set(servers.map(({ transport }) => transport))];
    // Without a word on targets each kind of server is one.
    const parts =
      said.length > 0 ? [servers] : transports.map((transport) => servers.filter((one) => one.transport === transport));
    return parts.filter((part) => part.length > 0).map((part) => this.#route(draft, part, said));
  }

  #merged({ channel }: DescribedChannel, name: string, over: readonly unknown[] = []): Mapping {
    return this.#origins.merged([this.#document.root[name], channel[name], ...over]) ?? {};
  }

  /** What is wrong with the extensions of a channel; here a route may say more of its `match`. */
  #channelFindings({ channel, operations }: DescribedChannel): DocumentFinding[] {
    const route = channel['x-foregate-route'];
    const members = this.#origins.members(channel).filter(({ key }) => key !== 'x-foregate-route');
    const options = isMapping(route) ? this.#origins.members(route).filter(({ key }) => key !== 'match') : [];
    const value = isMapping(route) ? this.#origins.mapping(options) : route;
    const shown =
      route === undefined ? [] : [{ key: 'x-foregate-route', value, origin: { owner: channel, key: 'x-foregate-route' } }];
    const misplaced = operations.flatMap(({ operation }) =>
      Object.keys(operation)
        .filter((key) => key.startsWith('x-foregate'))
        .map((key): DocumentFinding => ({
          owner: operation,
          key,
          at: 'key',
          message: 'belongs to the channel, which is the route',
        })),
    );
    return [...extensionFindings({ kind: 'operation', part: this.#origins.mapping([...members, ...shown]) }), ...misplaced];
  }

  /** Those that Foregate can stand before. */
  #servers(draft: Draft): ChannelServer[] {
    const { servers } = draft.channel;
    if (servers.length === 0) return this.#assumedServers(draft);
    const known = servers.flatMap((server) => channelServer(server) ?? []);
    if (known.length > 0) return known;
    const protocols = [...new Set(servers.map((server) => protocolOf(server) || 'no protocol'))].join(', ');
    const message = `is left out: its servers speak ${protocols}, not ws, wss, http or https`;
    this.#remarks.push({ ...found(draft.place), message });
    return [];
  }

  /** Without servers, how clients talk is said by bindings, by the target, or by `match.transports`. */
  #assumedServers({ channel, options, basics, place }: Draft): ChannelServer[] {
    const parts = [channel.channel, ...channel.operations.map(({ operation }) => operation)];
    const isBound = (protocol: 'ws' | 'http'): boolean =>
      parts.some((part) => bindingOf(part, protocol, this.#document) !== undefined);
    const match = isMapping(options['match']) ? options['match']['transports'] : undefined;
    const written = Array.isArray(match) ? match : [];
    const transports = transportOrder.filter(
      (one) =>
        written.includes(one) ||
        isBound(one === 'websocket' ? 'ws' : 'http') ||
        (one === 'websocket' && isSocket(basics['target'])),
    );
    if (transports.length === 0) this.#findings.push({ ...found(place), message: unknownTransport });
    return transports.map((transport) => ({ transport, scheme: transport === 'websocket' ? 'ws' : 'http', server: {} }));
  }

  #route(draft: Draft, servers: readonly ChannelServer[], said: readonly Member[]): DescribedRoute {
    const { channel, options, place } = draft;
    const template = this.#template(draft, servers);
    const match = this.#match(draft, template, servers);
    const members = this.#origins.members(options).filter(({ key }) => key !== 'id' && key !== 'match');
    const policies = this.#policies(draft, template, servers);
    const settings = this.#origins.mapping([
      this.#id(draft, servers, said.length > 0),
      { key: 'match', value: this.#origins.mapping(match), origin: place },
      ...(said.length > 0 ? said : [this.#target(servers, place)]),
      ...members,
      ...this.#origins.members(this.#merged(channel, 'x-foregate-errors')),
      ...(policies.length === 0 ? [] : [{ key: 'policies', value: this.#origins.list(policies), origin: place }]),
    ]);
    return { ...this.#places.placed(settings), isStream: servers[0]?.transport === 'http' };
  }

  #id({ channel, options, place }: Draft, servers: readonly ChannelServer[], isWhole: boolean): Member {
    if (options['id'] !== undefined) return { key: 'id', value: options['id'], origin: this.#origins.of(options, 'id') };
    const isOther =
      !isWhole && servers[0]?.transport === 'http' && channel.servers.some((one) => protocolOf(one).startsWith('ws'));
    return { key: 'id', value: this.#ids.free(isOther ? `${channel.name}-http` : channel.name), origin: place };
  }

  /** The path that clients ask for, if the address says it. */
  #template({ channel, options, place }: Draft, [server]: readonly ChannelServer[]): Member | undefined {
    const { address } = channel.channel;
    const origin = address === undefined ? place : { owner: channel.channel, key: 'address' };
    const match = options['match'];
    if (isMapping(match) && (match['path'] !== undefined || match['template'] !== undefined)) return undefined;
    if (typeof address !== 'string') {
      this.#findings.push({ ...found(origin), message: 'says no address, and without one there is no route' });
      return undefined;
    }
    if (/[?#]/.test(address))
      this.#findings.push({
        ...found(origin),
        message: 'must be a path without a query: its parameters belong into the bindings',
      });
    const base = server === undefined ? { text: '' } : basePathOf(server);
    if ('finding' in base) this.#findings.push(base.finding);
    const path = `${'text' in base ? base.text : ''}/${address.replace(/^\//, '')}`;
    return { key: 'template', value: encodedPath(path), origin };
  }

  #match({ channel, basics, options, place }: Draft, template: Member | undefined, servers: readonly ChannelServer[]): Member[] {
    const { host } = basics;
    const own = isMapping(options['match']) ? this.#origins.members(options['match']) : [];
    const transports = transportOrder.filter((one) => servers.some(({ transport }) => transport === one));
    const methods = transports.includes('http') ? this.#methods(channel) : [];
    return [
      ...(host === undefined ? [] : [{ key: 'host', value: host, origin: this.#origins.of(basics, 'host') }]),
      ...(template === undefined ? [] : [template]),
      { key: 'transports', value: transports, origin: place },
      ...(own.length === 0 ? methods : []),
      ...own,
    ];
  }

  /** Those that bindings name; else any. */
  #methods({ operations }: DescribedChannel): Member[] {
    const bindings = operations.flatMap(({ operation }) => {
      const binding = bindingOf(operation, 'http', this.#document);
      return binding === undefined ? [] : [binding];
    });
    const named = bindings.filter(({ method }) => method !== undefined);
    const [first] = named;
    if (first === undefined) return [];
    const methods = [...new Set(named.map(({ method }) => String(method).toUpperCase()))];
    return [{ key: 'methods', value: methods, origin: { owner: first, key: 'method' } }];
  }

  #target([server]: readonly ChannelServer[], place: Origin): Member {
    const broken = { key: 'target', value: 'http://none.invalid', origin: place };
    if (server === undefined || Object.keys(server.server).length === 0) {
      this.#findings.push({ ...found(place), message: `has no server that says where to go; ${targetAdvice}` });
      return broken;
    }
    const origin = originOf(server);
    if ('text' in origin) return { key: 'target', value: origin.text, origin: { owner: server.server, key: 'host' } };
    this.#findings.push(origin.finding);
    return broken;
  }

  #policies(draft: Draft, template: Member | undefined, servers: readonly ChannelServer[]): PlacedPolicy[] {
    const { channel, place } = draft;
    const { root } = this.#document;
    const owner = innermost([root, channel.channel], 'x-foregate-policies');
    const own = owner === undefined ? [] : this.#own.read(owner['x-foregate-policies']);
    const made = [
      ...this.#security(draft, servers, own),
      ...this.#parameterPolicy(draft, template, own),
      ...channelsPolicy([root, channel.channel], this.#origins),
    ];
    const messages = servers.some(({ transport }) => transport === 'websocket') ? this.#messagePolicies(channel, own) : [];
    return [
      // They come before those of the document, whose list would replace them.
      ...listedPolicies(this.#terms.defaults, 'policies'),
      ...made.map((value) => ({ value, origin: place })),
      ...own,
      ...messages.map((value) => ({ value, origin: place })),
    ];
  }

  #security(
    { channel, basics, options }: Draft,
    servers: readonly ChannelServer[],
    own: readonly PlacedPolicy[],
  ): readonly Mapping[] {
    const asking = [...servers.map(({ server }) => server), ...channel.operations.map(({ operation }) => operation)];
    const needed = this.#needs.needs(
      [...new Set(asking)],
      own.map(({ value }) => value),
    );
    if (needed === undefined) return [];
    if (isFinding(needed)) {
      this.#findings.push(needed);
      return [];
    }
    const reader = new SecurityReader(this.#needs.document(), this.#origins);
    const details = isMapping(basics['security']) ? basics['security'] : {};
    const { policies, findings } = reader.read([needed], { details, hasGateway: namesGateway(options, this.#terms.defaults) });
    this.#findings.push(...findings);
    return policies;
  }

  #parameterPolicy({ channel }: Draft, template: Member | undefined, own: readonly PlacedPolicy[]): Mapping[] {
    if (own.some(({ value }) => isUsing(value, 'parameters'))) return [];
    const operations = channel.operations.map(({ operation }) => operation);
    const terms = { document: this.#document, origins: this.#origins };
    const { level, findings } = channelParameters(channel.channel, operations, terms);
    this.#findings.push(...findings);
    if (level === undefined || template === undefined) return [];
    const { policy, findings: wrong } = this.#parameters.read([level], template);
    this.#findings.push(...wrong);
    return policy === undefined ? [] : [policy];
  }

  #messagePolicies(channel: DescribedChannel, own: readonly PlacedPolicy[]): readonly Mapping[] {
    const extension = this.#merged(channel, 'x-foregate-messages');
    const checks = own.flatMap(({ value }) => (isMapping(value) && isUsing(value, 'message-schema') ? [value] : []));
    const checked = (['client', 'backend'] as const).filter((sender) =>
      checks.some(({ from = 'client', dryRun }) => dryRun !== true && (from === sender || from === 'both')),
    );
    const terms = { document: this.#document, origins: this.#origins, checked };
    const { levels, remarks } = channelMessages(channel, Object.keys(extension).length === 0 ? undefined : extension, terms);
    this.#remarks.push(...remarks);
    return levels.flatMap((level) => {
      const { policies, findings } = this.#messages.read([level]);
      this.#findings.push(...findings);
      return policies;
    });
  }
}

const transportOrder: readonly Transport[] = ['websocket', 'http'];

const unknownTransport =
  'has neither a server nor a binding for ws or http, so it is not known how clients reach it; write "x-foregate-route: { match: { transports: [websocket] } }", or "x-foregate: { ignore: true }" to leave it out';

function isSocket(target: unknown): boolean {
  const url: unknown = isMapping(target) ? target['url'] : target;
  return typeof url === 'string' && /^wss?:/.test(url);
}

const targetAdvice = 'write "target: http://gateway:8000" into the entry of the document or "x-foregate"';

function isUsing(value: unknown, use: string): boolean {
  return isMapping(value) && value['use'] === use;
}

function isFinding(value: Mapping | DocumentFinding): value is DocumentFinding {
  return 'owner' in value;
}

function found({ owner, key, at = 'value' }: Origin): Omit<DocumentFinding, 'message'> {
  return { owner, ...(key !== undefined && { key }), at };
}

/** Several channels share servers, messages and extensions. */
function eachOnce(findings: readonly DocumentFinding[]): DocumentFinding[] {
  const told = new Map<object, Set<string>>();
  return findings.filter(({ owner, key, message }) => {
    const known = told.get(owner) ?? new Set();
    const text = `${key ?? ''} ${message}`;
    const isNew = !known.has(text);
    told.set(owner, known.add(text));
    return isNew;
  });
}

function noChannels(root: Mapping): DocumentFinding {
  const message = 'describes no channel of WebSockets or HTTP';
  return 'channels' in root ? { owner: root, key: 'channels', at: 'key', message } : { owner: root, at: 'value', message };
}

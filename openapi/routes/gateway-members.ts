/** What the extensions of a gateway in a document make of `adapter` of a route. */
import type { Adapter } from '../../gateway/core/adapter.ts';
import type { ReadExtensions } from '../../gateway/core/gateway-extensions.ts';
import { isMapping, type Mapping } from '../../gateway/core/mapping.ts';
import type { DocumentFinding } from '../document/document-finding.ts';
import type { Member, Origins } from '../document/origins.ts';
import type { Server } from './servers.ts';

export interface GatewayTerms {
  readonly adapters: readonly Adapter[];
  /** `adapter` as the route or `defaults` have it: a name, or a mapping. */
  readonly said: Member | undefined;
  readonly path: string;
  readonly root: Mapping;
  readonly levels: readonly Mapping[];
  /** Of the document; behind the gateway where a target is said elsewhere. */
  readonly backend: Server | undefined;
}

export interface GatewayRead {
  /** In place of what was said; undefined: that stays. */
  readonly adapter: Member | undefined;
  readonly remarks: readonly DocumentFinding[];
}

export function readGateway(terms: GatewayTerms, origins: Origins): GatewayRead {
  const { adapters, said, path, root, levels } = terms;
  const written = isMapping(said?.value) ? said.value : {};
  const use = isMapping(said?.value) ? written['use'] : said?.value;
  const { extensions } = adapters.find(({ name }) => name === use) ?? {};
  const strangers = strangeExtensions(levels, adapters, extensions?.prefix);
  if (extensions === undefined || said === undefined) return { adapter: undefined, remarks: strangers };
  const read = extensions.read({ path, root, levels });
  const remarks = [...strangers, ...read.remarks.map(({ owner, from, text }) => remark(owner, from, text))];
  const gateway = gatewayOf(read, { ...terms, written: written['gateway'] }, origins);
  if (gateway === undefined) return { adapter: undefined, remarks: [...remarks, ...withoutBackend(read)] };
  const own = isMapping(said.value) ? origins.members(said.value) : [{ key: 'use', value: use, origin: said.origin }];
  const kept = own.filter(({ key }) => key !== 'gateway');
  const adapter = { ...said, value: origins.mapping([...kept, { key: 'gateway', value: gateway, origin: said.origin }]) };
  return { adapter, remarks };
}

/** Undefined where nothing was read, or nobody says what is behind the gateway. What is written wins. */
function gatewayOf(
  { members }: ReadExtensions,
  { backend, written }: GatewayTerms & { readonly written: unknown },
  origins: Origins,
): Mapping | undefined {
  if (members.length === 0) return undefined;
  const { origin, entry } = backend ?? {};
  const behind: Member[] =
    origin === undefined || entry === undefined ? [] : [{ key: 'backend', value: origin, origin: { owner: entry, key: 'url' } }];
  const read = members.map(({ key, value, owner, from }): Member => ({ key, value, origin: { owner, key: from } }));
  const made = origins.merged([origins.mapping([...behind, ...read]), written]) ?? {};
  return 'backend' in made ? made : undefined;
}

function withoutBackend({ members: [first] }: ReadExtensions): DocumentFinding[] {
  const text = 'is not read, since nobody says what is behind the gateway: write "adapter.gateway.backend"';
  return first === undefined ? [] : [remark(first.owner, first.from, text)];
}

/** Extensions of gateways that are not the route's. */
function strangeExtensions(levels: readonly Mapping[], adapters: readonly Adapter[], own: string | undefined): DocumentFinding[] {
  return levels.flatMap((level) =>
    Object.keys(level).flatMap((name) => {
      const stranger = adapters.find(({ extensions }) => extensions !== undefined && name.startsWith(extensions.prefix));
      if (stranger?.extensions === undefined || stranger.extensions.prefix === own) return unknownGateway(level, name);
      return [remark(level, name, `is read where the adapter is "${stranger.name}"; here it is not`)];
    }),
  );
}

/** Of gateways that have no adapter here, or one that reads nothing. */
function unknownGateway(level: Mapping, name: string): DocumentFinding[] {
  return /^x-(?:adc|ms|azure)-/.test(name) ? [remark(level, name, 'is not read')] : [];
}

function remark(owner: object, key: string, message: string): DocumentFinding {
  return { owner, key, at: 'key', message };
}

/**
 * `security` of AsyncAPI documents in the words of OpenAPI. A server and an operation list schemes, of which one is enough; whoever
 * uses several of them meets all their lists. A list counts as met if a policy looks where one of its schemes says.
 */
import { isMapping, type Mapping } from '../../gateway/core/mapping.ts';
import type { ApiDocument } from '../document/api-document.ts';
import { schemesOf } from './exported-security.ts';
import type { DocumentFinding } from '../document/document-finding.ts';
import type { Member, Origin, Origins } from '../document/origins.ts';

/** More ways to combine schemes are a mistake. */
const waysMax = 64;

interface Scheme {
  readonly name: string;
  readonly scheme: Mapping;
  readonly origin: Origin;
}

export class ChannelSecurity {
  readonly #document: ApiDocument;
  readonly #origins: Origins;
  readonly #names = new Map<Mapping, string>();
  readonly #schemes = new Map<string, Mapping>();

  constructor(document: ApiDocument, origins: Origins) {
    this.#document = document;
    this.#origins = origins;
    const { components } = document.root;
    const schemes = isMapping(components) ? document.follow(components['securitySchemes']) : undefined;
    for (const [name, value] of Object.entries(isMapping(schemes) ? schemes : {})) {
      const scheme = document.follow(value);
      if (isMapping(scheme)) this.#name(scheme, name);
    }
  }

  /** The schemes as a document of OpenAPI has them. */
  document(): Pick<ApiDocument, 'root' | 'follow'> {
    return { root: { components: { securitySchemes: Object.fromEntries(this.#schemes) } }, follow: (value) => value };
  }

  /** What all these parts ask for that no policy meets: `security` of OpenAPI, or what is wrong. Undefined for nothing. */
  needs(parts: readonly Mapping[], policies: readonly unknown[]): Mapping | DocumentFinding | undefined {
    let ways: readonly (readonly Scheme[])[] = [[]];
    let first: Origin | undefined;
    for (const part of parts) {
      const list = this.#listed(part);
      if (list === undefined) return { owner: part, key: 'security', at: 'value', message: 'must be a list of security schemes' };
      if (
        list.length === 0 ||
        policies.filter(isMapping).some((policy) =>
          meets(
            policy,
            list.map(({ scheme }) => scheme),
          ),
        )
      )
        continue;
      first ??= { owner: part, key: 'security' };
      ways = ways.flatMap((way) => list.map((one) => [...way.filter(({ name }) => name !== one.name), one]));
      if (ways.length > waysMax) return { owner: part, key: 'security', at: 'value', message: 'can be met in too many ways' };
    }
    return first === undefined ? undefined : this.#security(distinct(ways), first);
  }

  #security(ways: readonly (readonly Scheme[])[], origin: Origin): Mapping {
    const requirements = ways.map((way) =>
      this.#origins.mapping(
        way.map(({ name, scheme, origin: at }): Member => ({ key: name, value: scheme['scopes'] ?? [], origin: at })),
      ),
    );
    return this.#origins.mapping([{ key: 'security', value: requirements, origin }]);
  }

  #listed(part: Mapping): Scheme[] | undefined {
    const list = this.#document.follow(part['security']);
    if (list === undefined) return [];
    if (!Array.isArray(list)) return undefined;
    const schemes = list.map((value) => this.#document.follow(value));
    if (!schemes.every(isMapping)) return undefined;
    return schemes.map((scheme, index) => ({ name: this.#nameOf(scheme), scheme, origin: { owner: list, key: index } }));
  }

  /** One that is no component gets a name. */
  #nameOf(scheme: Mapping): string {
    const known = this.#names.get(scheme);
    if (known !== undefined) return known;
    for (let number = 1; ; number += 1) if (!this.#schemes.has(`scheme-${number}`)) return this.#name(scheme, `scheme-${number}`);
  }

  #name(scheme: Mapping, name: string): string {
    this.#names.set(scheme, name);
    this.#schemes.set(name, this.#translated(scheme));
    return name;
  }

  #translated(scheme: Mapping): Mapping {
    const words = translations.get(scheme['type']);
    if (words === undefined) return scheme;
    const changed = Object.entries(words).map(([key, value]) => ({ key, value, origin: { owner: scheme, key: 'type' } }));
    return this.#origins.mapping([...this.#origins.members(scheme), ...changed]);
  }
}

/** What OpenAPI calls otherwise. `apiKey` of AsyncAPI stands in the user or the password. */
const translations: ReadonlyMap<unknown, Readonly<Record<string, string>>> = new Map([
  ['httpApiKey', { type: 'apiKey' }],
  ['X509', { type: 'mutualTLS' }],
  ['userPassword', { type: 'http', scheme: 'basic' }],
  ['apiKey', { type: 'http', scheme: 'basic' }],
]);

function isChecking({ required, dryRun }: Mapping): boolean {
  return required !== false && dryRun !== true;
}

/** Whoever passes the policy has shown what one of the schemes asks for. */
function meets(policy: Mapping, schemes: readonly Mapping[]): boolean {
  if (!isChecking(policy)) return false;
  if (policy['use'] !== 'any-of') return schemes.some((scheme) => looksFor(policy, scheme));
  const lists: readonly unknown[] = Array.isArray(policy['of']) ? policy['of'] : [];
  return (
    lists.length > 0 &&
    lists.every((list) =>
      [list]
        .flat()
        .filter(isMapping)
        .some((one) => meets(one, schemes)),
    )
  );
}

function looksFor(policy: Mapping, scheme: Mapping): boolean {
  return schemesOf(policy).some((place) => isSamePlace(place.scheme, scheme));
}

/** Tokens of OAuth 2 and OpenID Connect are bearer tokens. */
const bearerTypes: readonly unknown[] = ['oauth2', 'openIdConnect'];

function isSamePlace(one: Mapping, other: Mapping): boolean {
  const isBearer = one['type'] === 'http' && lower(one['scheme']) === 'bearer';
  if (isBearer && bearerTypes.includes(other['type'])) return true;
  if (one['type'] !== other['type']) return false;
  if (one['type'] === 'http') return lower(one['scheme']) === lower(other['scheme']);
  if (one['type'] !== 'httpApiKey') return one['type'] === 'X509';
  const name = one['in'] === 'header' ? lower : String;
  return one['in'] === other['in'] && name(one['name']) === name(other['name']);
}

function lower(value: unknown): string {
  return String(value).toLowerCase();
}

function distinct(ways: readonly (readonly Scheme[])[]): (readonly Scheme[])[] {
  const named = ways.map(
    (way) =>
      [
        way
          .map(({ name }) => name)
          .toSorted()
          .join('\n'),
        way,
      ] as const,
  );
  return [...new Map(named).values()];
}

/** `security` of OpenAPI documents: each scheme that is asked for is checked here by a policy, or left to the gateway behind. */
import { isMapping, type Mapping } from '../../gateway/core/mapping.ts';
import type { ApiDocument } from '../document/api-document.ts';
import type { DocumentFinding } from '../document/document-finding.ts';
import type { Member, Origin, Origins } from '../document/origins.ts';

export interface SecurityTerms {
  /** By the names of schemes: `gateway`, or a policy with its options. */
  readonly details: Mapping;
  /** An adapter knows the gateway, which checks what nothing else is said of. */
  readonly hasGateway: boolean;
}

export interface SecurityRead {
  readonly policies: readonly Mapping[];
  readonly findings: readonly DocumentFinding[];
}

/** Whether a route has the adapter of a gateway, by its own options or the `defaults`. */
export function namesGateway(options: Mapping, defaults: Mapping): boolean {
  const adapter = options['adapter'] ?? defaults['adapter'];
  const use = isMapping(adapter) ? adapter['use'] : adapter;
  return typeof use === 'string' && use !== 'generic';
}

/** Makes the policies for what an operation asks for. Those for the same are the same. */
export class SecurityReader {
  readonly #root: Mapping;
  readonly #follow: ApiDocument['follow'];
  readonly #origins: Origins;
  readonly #made = new Map<unknown, Map<string, Mapping>>();

  constructor({ root, follow }: Pick<ApiDocument, 'root' | 'follow'>, origins: Origins) {
    this.#root = root;
    this.#follow = follow;
    this.#origins = origins;
  }

  /** `levels`: the document and the operation, of which the inner one counts. */
  read(levels: readonly Mapping[], terms: SecurityTerms): SecurityRead {
    const owner = levels.toReversed().find(({ security }) => security !== undefined);
    if (owner === undefined) return { policies: [], findings: [] };
    const { security } = owner;
    if (!Array.isArray(security) || !security.every(isMapping))
      return { policies: [], findings: [{ owner, key: 'security', at: 'value', message: 'must be a list of mappings' }] };
    const requirements = security as readonly Mapping[];
    const needs = requirements.flatMap((requirement) => Object.keys(requirement).map((name) => ({ requirement, name })));
    const unknown = needs.flatMap(({ requirement, name }) => this.#unknown(requirement, name));
    if (unknown.length > 0) return { policies: [], findings: unknown };
    const left = needs.filter(({ name }) => this.#isLeft(name, terms));
    if (left.length === needs.length) return { policies: [], findings: [] };
    if (left.length > 0 && requirements.length > 1)
      return { policies: [], findings: [{ owner, key: 'security', at: 'value', message: halfLeft(left[0]?.name ?? '') }] };
    const read = requirements.map((requirement) => this.#all(requirement, terms));
    const findings = read.flatMap((one) => one.findings);
    const [only, ...more] = read;
    if (findings.length > 0 || only === undefined) return { policies: [], findings };
    return { policies: more.length === 0 ? only.policies : [this.#oneOf(read, owner)], findings };
  }

  /** Of one requirement all hold. */
  #all(requirement: Mapping, terms: SecurityTerms): SecurityRead {
    const names = Object.keys(requirement).filter((name) => !this.#isLeft(name, terms));
    const made = names.map((name) => this.#policy(requirement, name, terms));
    return {
      policies: made.flatMap((one) => ('policy' in one ? [one.policy] : [])),
      findings: made.flatMap((one) => ('finding' in one ? [one.finding] : [])),
    };
  }

  /** Of several requirements one holds; an empty one lets everybody in. */
  #oneOf(requirements: readonly SecurityRead[], owner: Mapping): Mapping {
    const { security } = owner;
    const lists = requirements.map(({ policies }, index) => ({
      value: this.#origins.list(policies.map((value) => ({ value, origin: { owner: security as object, key: index } }))),
      origin: { owner: security as object, key: index },
    }));
    const origin = { owner, key: 'security' };
    return this.#origins.mapping([
      { key: 'use', value: 'any-of', origin },
      { key: 'of', value: this.#origins.list(lists), origin },
    ]);
  }

  /** Names of schemes that the document does not have. */
  unknownDetails(details: Mapping): DocumentFinding[] {
    const known = Object.keys(this.#schemes());
    return Object.keys(details)
      .filter((name) => !known.includes(name))
      .map((name) => ({ ...wrong(this.#origins.of(details, name), 'is no security scheme of the document', 'key'), known }));
  }

  #schemes(): Mapping {
    const { components } = this.#root;
    const schemes = isMapping(components) ? this.#follow(components['securitySchemes']) : undefined;
    return isMapping(schemes) ? schemes : {};
  }

  #scheme(name: string): unknown {
    const schemes = this.#schemes();
    return Object.hasOwn(schemes, name) ? this.#follow(schemes[name]) : undefined;
  }

  #unknown(requirement: Mapping, name: string): DocumentFinding[] {
    if (isMapping(this.#scheme(name))) return [];
    const message = 'is no security scheme of the document ("components.securitySchemes")';
    return [{ owner: requirement, key: name, at: 'key', message, known: Object.keys(this.#schemes()) }];
  }

  #isLeft(name: string, { details, hasGateway }: SecurityTerms): boolean {
    const said = Object.hasOwn(details, name) ? details[name] : undefined;
    return said === 'gateway' || (said === undefined && hasGateway);
  }

  #policy(requirement: Mapping, name: string, { details }: SecurityTerms): Made {
    const scheme = this.#scheme(name) as Mapping; // Unknown ones are told before.
    const said = Object.hasOwn(details, name) ? details[name] : undefined;
    const usual = usualPolicy(scheme);
    if (said === undefined && !usual.complete)
      return { finding: { owner: requirement, key: name, at: 'key', message: unchecked(name, usual.use) } };
    if (said !== undefined && !isMapping(said)) return { finding: wrong(this.#origins.of(details, name), noDetails) };
    if (said !== undefined && !('use' in said) && usual.use === undefined)
      return { finding: wrong(this.#origins.of(details, name), noUse) };
    const scopes = scopesOf(requirement[name]);
    const origin: Origin = { owner: requirement, key: name, at: 'key' };
    const made = this.#once(said ?? scheme, JSON.stringify([name, scopes]), () => this.#make(scheme, said ?? {}, origin, scopes));
    return { policy: made };
  }

  #once(by: unknown, name: string, make: () => Mapping): Mapping {
    const made = this.#made.get(by) ?? new Map<string, Mapping>();
    this.#made.set(by, made);
    const known = made.get(name) ?? make();
    made.set(name, known);
    return known;
  }

  /** What `said` says wins over what the scheme does. */
  #make(scheme: Mapping, said: Mapping, origin: Origin, scopes: readonly string[]): Mapping {
    const usual = usualPolicy(scheme);
    const use = typeof said['use'] === 'string' ? said['use'] : usual.use;
    const ofScheme = (usual.options ?? []).filter(({ key, policies }) => policies.includes(use ?? '') && !isReplaced(key, said));
    const added: Member[] = [
      { key: 'use', value: use, origin },
      ...ofScheme.map(({ key, value, from }) => ({ key, value, origin: { owner: scheme, key: from } })),
      ...(asksScopes(use, scopes, said) ? [{ key: 'scopes', value: scopes, origin }] : []),
    ];
    return this.#origins.mapping([...added.filter(({ key }) => !(key in said)), ...this.#origins.members(said)]);
  }
}

function asksScopes(use: string | undefined, scopes: readonly string[], said: Mapping): boolean {
  return scopes.length > 0 && scoped.includes(use ?? '') && !('claims' in said);
}

/** One source of keys is enough. */
function isReplaced(option: string, said: Mapping): boolean {
  return option === 'discovery' && ['secret', 'publicKey', 'jwks', 'issuers'].some((other) => other in said);
}

type Made = { readonly policy: Mapping } | { readonly finding: DocumentFinding };

function halfLeft(name: string): string {
  return `has alternatives of which "${name}" is left to the gateway, so that nobody would know whether one holds; leave all of them to it, or none`;
}

const noDetails = 'must be "gateway", or a mapping with the options of a policy';
const noUse = 'needs "use": no policy is usual for this kind of scheme';

function unchecked(name: string, use: string | undefined): string {
  const example = use === undefined ? 'the options of a policy' : `{ use: ${use}, ... }`;
  return `is checked by nobody: write under "security" of the document's entry or of "x-foregate" either "${name}: gateway", or "${name}:" with ${example}`;
}

interface Usual {
  readonly use: string | undefined;
  /** Nothing needs to be said besides. */
  readonly complete: boolean;
  /** What the scheme says for these policies, and the member it is read from. */
  readonly options?: readonly {
    readonly policies: readonly string[];
    readonly key: string;
    readonly value: unknown;
    readonly from: string;
  }[];
}

/** Policies that look for a credential where `from` says. */
const placed = ['api-key', 'jwt', 'introspect'];
/** Policies that know the scopes of a token. */
const scoped = ['jwt', 'introspect'];

function usualPolicy(scheme: Mapping): Usual {
  switch (scheme['type']) {
    case 'apiKey':
      return {
        use: 'api-key',
        complete: false,
        options: [{ policies: placed, key: 'from', value: { [String(scheme['in'])]: scheme['name'] }, from: 'name' }],
      };
    case 'http':
      return { use: httpPolicy(scheme['scheme']), complete: false };
    case 'oauth2':
      return { use: 'jwt', complete: false };
    case 'openIdConnect':
      return {
        use: 'jwt',
        complete: true,
        options: [{ policies: ['jwt'], key: 'discovery', value: scheme['openIdConnectUrl'], from: 'openIdConnectUrl' }],
      };
    case 'mutualTLS':
      return { use: 'mtls', complete: true };
    default:
      return { use: undefined, complete: false };
  }
}

function httpPolicy(scheme: unknown): string | undefined {
  const name = typeof scheme === 'string' ? scheme.toLowerCase() : '';
  if (name === 'bearer') return 'jwt';
  return name === 'basic' ? 'basic' : undefined;
}

function scopesOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];
}

function wrong({ owner, key }: Origin, message: string, at: 'key' | 'value' = 'value'): DocumentFinding {
  return key === undefined ? { owner, at, message } : { owner, key, at, message };
}

/** `x-foregate-policies` with schemas that need no document any more. */
import { isMapping, type Mapping } from '../../gateway/core/mapping.ts';
import type { ApiDocument } from '../document/api-document.ts';
import type { DocumentFinding } from '../document/document-finding.ts';
import type { Origins } from '../document/origins.ts';
import type { PlacedPolicy } from '../routes/listed-policies.ts';
import { selfContained } from '../schema/self-contained.ts';

export class OwnPolicies {
  readonly #document: ApiDocument;
  readonly #origins: Origins;
  readonly #findings: DocumentFinding[];

  /** What is wrong is added to `findings`. */
  constructor(document: ApiDocument, origins: Origins, findings: DocumentFinding[]) {
    this.#document = document;
    this.#origins = origins;
    this.#findings = findings;
  }

  /** The entries of a list. */
  read(list: unknown): PlacedPolicy[] {
    const followed = this.#document.follow(list);
    if (!Array.isArray(followed)) return [];
    return followed.map((entry: unknown, index) => ({
      value: this.#policy(this.#document.follow(entry)),
      origin: { owner: followed, key: index },
    }));
  }

  #policy(entry: unknown): unknown {
    if (!isMapping(entry)) return entry;
    if (entry['use'] === 'message-schema') return this.#changed(entry, 'schemas', (schemas) => this.#kinds(schemas));
    if (entry['use'] !== 'parameters') return entry;
    return this.#changed(entry, 'parameters', (list) => this.#list(list, (one) => this.#withSchema(one, 'schema')));
  }

  #kinds(schemas: unknown): unknown {
    if (!isMapping(schemas)) return schemas;
    const members = this.#origins.members(schemas);
    return this.#origins.mapping(members.map((member) => ({ ...member, value: this.#withSchema(member.value, 'inline') })));
  }

  #list(value: unknown, change: (entry: unknown) => unknown): unknown {
    if (!Array.isArray(value)) return value;
    return this.#origins.list(value.map((entry: unknown, key) => ({ value: change(entry), origin: { owner: value, key } })));
  }

  #withSchema(part: unknown, key: string): unknown {
    const schema = isMapping(part) ? part[key] : undefined;
    return isMapping(part) && isMapping(schema) ? this.#changed(part, key, () => this.#contained(schema, part)) : part;
  }

  /** No variables are put into schemas. */
  #contained(schema: Mapping, owner: Mapping): Mapping {
    const { schema: whole, findings } = selfContained(schema, this.#document, owner);
    this.#findings.push(...findings);
    return this.#origins.verbatim(whole);
  }

  #changed(part: Mapping, name: string, change: (value: unknown) => unknown): Mapping {
    const members = new Map(this.#origins.members(part).map((one) => [one.key, one]));
    const meant = members.get(name);
    if (meant !== undefined) members.set(name, { ...meant, value: change(meant.value) });
    return this.#origins.mapping([...members.values()]);
  }
}

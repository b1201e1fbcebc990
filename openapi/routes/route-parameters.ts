/** `parameters` of OpenAPI documents, as the policy `parameters` takes them. */
import { isMapping, type Mapping } from '../../gateway/core/mapping.ts';
import type { ApiDocument } from '../document/api-document.ts';
import type { DocumentFinding } from '../document/document-finding.ts';
import type { Member, Origins } from '../document/origins.ts';
import { selfContained } from '../schema/self-contained.ts';

export interface ParametersRead {
  /** Undefined where there are none. */
  readonly policy: Mapping | undefined;
  readonly findings: readonly DocumentFinding[];
}

/** Schemas are made once for each parameter, however many operations share it. */
export class ParameterReader {
  readonly #document: ApiDocument;
  readonly #origins: Origins;
  readonly #made = new Map<Mapping, { readonly entry: Mapping; readonly findings: readonly DocumentFinding[] }>();

  constructor(document: ApiDocument, origins: Origins) {
    this.#document = document;
    this.#origins = origins;
  }

  /** Those of the path and the operation, of which the operation's win; `template` is the path that clients ask for. */
  read(levels: readonly Mapping[], template: Member): ParametersRead {
    const findings: DocumentFinding[] = [];
    const found = new Map<
      string,
      { readonly value: unknown; readonly origin: { readonly owner: object; readonly key: number } }
    >();
    for (const level of levels) {
      for (const { parameter, list, index } of this.#listed(level, findings)) {
        const { entry, findings: wrong } = this.#once(parameter);
        findings.push(...wrong);
        found.set(`${String(entry['in'])} ${String(entry['name'])}`, { value: entry, origin: { owner: list, key: index } });
      }
    }
    if (found.size === 0) return { policy: undefined, findings };
    const entries = [...found.values()];
    const hasPath = entries.some(({ value }) => isMapping(value) && value['in'] === 'path');
    const { origin } = entries[0] ?? template;
    return {
      policy: this.#origins.verbatim(
        this.#origins.mapping([
          { key: 'use', value: 'parameters', origin },
          ...(hasPath ? [template] : []),
          { key: 'parameters', value: this.#origins.list(entries), origin },
        ]),
      ),
      findings,
    };
  }

  #listed(level: Mapping, findings: DocumentFinding[]): { parameter: Mapping; list: object; index: number }[] {
    const list = this.#document.follow(level['parameters']);
    if (list === undefined) return [];
    if (!Array.isArray(list)) {
      findings.push({ owner: level, key: 'parameters', at: 'value', message: 'must be a list' });
      return [];
    }
    return list.flatMap((value: unknown, index) => {
      const parameter = this.#document.follow(value);
      if (isMapping(parameter)) return [{ parameter, list, index }];
      findings.push({ owner: list, key: index, at: 'value', message: 'must be a mapping' });
      return [];
    });
  }

  #once(parameter: Mapping): { readonly entry: Mapping; readonly findings: readonly DocumentFinding[] } {
    const known = this.#made.get(parameter);
    if (known !== undefined) return known;
    const made = this.#make(parameter);
    this.#made.set(parameter, made);
    return made;
  }

  #make(parameter: Mapping): { readonly entry: Mapping; readonly findings: readonly DocumentFinding[] } {
    const members = this.#origins.members(parameter).filter(({ key }) => kept.has(key));
    const { schema, owner, json } = this.#schemaOf(parameter);
    const made = schema === undefined ? undefined : selfContained(schema, this.#document, owner);
    const origin = { owner: parameter, key: json ? 'content' : 'schema' };
    return {
      entry: this.#origins.mapping([
        ...members,
        ...(json ? [{ key: 'json', value: true, origin }] : []),
        ...(made === undefined ? [] : [{ key: 'schema', value: made.schema, origin }]),
      ]),
      findings: [...missing(parameter), ...(made?.findings ?? [])],
    };
  }

  /** With `content` there is one type, of which JSON can be looked into. */
  #schemaOf(parameter: Mapping): { readonly schema: unknown; readonly owner: object; readonly json: boolean } {
    const { follow } = this.#document;
    const content = follow(parameter['content']);
    if (!isMapping(content)) return { schema: parameter['schema'], owner: parameter, json: false };
    const media = follow(content['application/json']);
    return isMapping(media)
      ? { schema: media['schema'], owner: media, json: true }
      : { schema: undefined, owner: parameter, json: false };
  }
}

/** What is called the same in the policy. */
const kept: ReadonlySet<string> = new Set(['name', 'in', 'required', 'style', 'explode', 'allowEmptyValue']);

function missing(parameter: Mapping): DocumentFinding[] {
  return ['name', 'in'].flatMap((key): DocumentFinding[] =>
    typeof parameter[key] === 'string' ? [] : [{ owner: parameter, key, at: 'value', message: 'must be text' }],
  );
}

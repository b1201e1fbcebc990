/** Parameters of AsyncAPI channels, of their addresses and of the handshakes of their WebSockets, as OpenAPI lists them. */
import { isMapping, type Mapping } from '../../gateway/core/mapping.ts';
import type { ApiDocument } from '../document/api-document.ts';
import type { DocumentFinding } from '../document/document-finding.ts';
import type { Member, Origin, Origins } from '../document/origins.ts';

export interface ChannelParameters {
  /** With `parameters`, as in OpenAPI; undefined for none that has to be checked. */
  readonly level: Mapping | undefined;
  readonly findings: readonly DocumentFinding[];
}

interface Entry {
  readonly value: Mapping;
  readonly origin: Origin;
}

/** Bindings of operations stand beside those of the channel. */
export function channelParameters(
  channel: Mapping,
  operations: readonly Mapping[],
  { document, origins }: { readonly document: ApiDocument; readonly origins: Origins },
): ChannelParameters {
  const findings: DocumentFinding[] = [];
  const bindings = [bindingOf(channel, 'ws', document), ...operations.map((one) => bindingOf(one, 'http', document))];
  const entries = [
    ...inAddress(channel, document, origins),
    ...bindings
      .filter(isMapping)
      .flatMap((binding) => [
        ...inBinding(binding, 'query', { document, origins, findings }),
        ...inBinding(binding, 'headers', { document, origins, findings }),
      ]),
  ];
  const once = [
    ...new Map(entries.map((entry) => [`${String(entry.value['in'])} ${String(entry.value['name'])}`, entry])).values(),
  ];
  const [first] = once;
  if (first === undefined) return { level: undefined, findings };
  return { level: origins.mapping([{ key: 'parameters', value: origins.list(once), origin: first.origin }]), findings };
}

/** The binding of a part for one protocol. */
export function bindingOf(part: Mapping, protocol: 'ws' | 'http', document: ApiDocument): Mapping | undefined {
  const bindings = document.follow(part['bindings']);
  const binding = isMapping(bindings) ? document.follow(bindings[protocol]) : undefined;
  return isMapping(binding) ? binding : undefined;
}

/** Of those in the address AsyncAPI says at most which texts they may be. */
function inAddress(channel: Mapping, document: ApiDocument, origins: Origins): Entry[] {
  const parameters = document.follow(channel['parameters']);
  if (!isMapping(parameters)) return [];
  return Object.keys(parameters).flatMap((name): Entry[] => {
    const parameter = document.follow(parameters[name]);
    if (!isMapping(parameter) || !Array.isArray(parameter['enum'])) return [];
    const origin = { owner: parameter, key: 'enum' };
    const schema = origins.mapping([{ key: 'enum', value: parameter['enum'], origin }]);
    const place = { owner: parameters, key: name };
    return [entryOf({ name, in: 'path', required: true, schema }, place, origins)];
  });
}

interface BindingTerms {
  readonly document: ApiDocument;
  readonly origins: Origins;
  readonly findings: DocumentFinding[];
}

/** A schema of an object, whose members are the parameters. */
function inBinding(binding: Mapping, key: 'query' | 'headers', { document, origins, findings }: BindingTerms): Entry[] {
  const schema = document.follow(binding[key]);
  if (schema === undefined) return [];
  const properties = isMapping(schema) ? document.follow(schema['properties']) : undefined;
  if (!isMapping(properties)) {
    findings.push({ owner: binding, key, at: 'value', message: 'must be a schema with "properties"' });
    return [];
  }
  const { required } = schema as Mapping;
  const place = key === 'query' ? 'query' : 'header';
  return Object.keys(properties).map((name) =>
    entryOf(
      { name, in: place, required: Array.isArray(required) && required.includes(name), schema: properties[name] },
      { owner: properties, key: name },
      origins,
    ),
  );
}

function entryOf(parameter: Mapping, origin: Origin, origins: Origins): Entry {
  const members = Object.entries(parameter).map(([key, value]): Member => ({ key, value, origin }));
  return { value: origins.mapping(members), origin };
}

/** Parameters in an AsyncAPI document: of a channel's address, and in the binding for WebSockets those of the handshake. */
import type { Mapping } from '../../gateway/core/mapping.ts';
import type { EmbeddedSchemas } from '../schema/embedded-schema.ts';

interface Described {
  readonly name: string;
  readonly in: string;
  readonly required: boolean;
  readonly schema: Mapping;
}

/**
 * `parameters` and `bindings` of a channel; `names` are those in its address.
 * @throws UnsayableSchema
 */
export function parameterMembers(policies: readonly Mapping[], names: readonly string[], schemas: EmbeddedSchemas): Mapping {
  const described = policies.flatMap(({ use, dryRun, parameters }) =>
    use === 'parameters' && dryRun !== true ? (parameters as readonly Described[]) : [],
  );
  const inAddress = names.map((name) => [
    name,
    addressParameter(described.find((one) => one.in === 'path' && one.name === name)),
  ]);
  const parts = (place: string): Mapping =>
    objectOf(
      described.filter((one) => one.in === place),
      schemas,
    );
  const binding = { ...named('query', parts('query')), ...named('headers', parts('header')) };
  return {
    ...(names.length > 0 && { parameters: Object.fromEntries(inAddress) as Mapping }),
    ...(Object.keys(binding).length > 0 && { bindings: { ws: { method: 'GET', ...binding, bindingVersion: '0.1.0' } } }),
  };
}

/** AsyncAPI has no schemas there, only lists of texts. */
function addressParameter(described: Described | undefined): Mapping {
  const { enum: values } = described?.schema ?? {};
  const areTexts = Array.isArray(values) && values.length > 0 && values.every((value) => typeof value === 'string');
  const { description } = described?.schema ?? {};
  return { ...(areTexts && { enum: values }), ...(typeof description === 'string' && { description }) };
}

function named(name: string, schema: Mapping): Mapping {
  return Object.keys(schema).length === 0 ? {} : { [name]: schema };
}

/** A schema for all parameters of one place; none for none. */
function objectOf(described: readonly Described[], schemas: EmbeddedSchemas): Mapping {
  if (described.length === 0) return {};
  const required = described.filter((one) => one.required).map(({ name }) => name);
  const properties = described.map(({ name, schema }) => [name, schemas.embed(schema, name)] as const);
  return { type: 'object', properties: Object.fromEntries(properties), ...(required.length > 0 && { required }) };
}

/**
 * The configuration file's schema, made from the settings' own (`core/settings.ts`): what has a default may be left out, unknown
 * keys are refused, and a route names one `target` or several `targets`. Two forms of it: one to check with, in which short forms
 * are already written out, and one for editors, complete with the options of every policy.
 */
import type { TSchema } from 'typebox';
import { anyOf } from '../core/any-of.ts';
import { derivedMark, dryRunText } from '../core/setting-types.ts';
import { SettingsSchema } from '../core/settings.ts';
import type { PolicyDefinition } from '../core/policy.ts';
import type { JsonSchema, Schemas } from './json-schema.ts';
import type { Parts } from './parts.ts';

let checking: JsonSchema | undefined;

/** The schema that `loadConfig` checks with, after targets and adapters given as text were written out; always the same one. */
export function checkingSchema(): JsonSchema {
  return (checking ??= fileSchema((forms) => forms));
}

/** The schema for editors: `foregate.schema.json`. */
export function editorSchema(parts: Parts): JsonSchema {
  const names = { enum: parts.adapters.map(({ name }) => name) };
  const policy = { anyOf: [...parts.policies.map(builtIn), alternatives(), custom([...parts.policies, anyOf])] };
  let target: JsonSchema = {};
  const schema = fileSchema((forms) => {
    target = { anyOf: [forms.target.properties?.['url'] ?? {}, forms.target] };
    return {
      target: { $ref: '#/$defs/target', ...annotations(forms.target) },
      adapter: {
        ...annotations(forms.adapter),
        anyOf: [names, { ...forms.adapter, properties: { ...forms.adapter.properties, use: names } }],
      },
      policies: { ...forms.policies, items: { $ref: '#/$defs/policy' } },
    };
  });
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Foregate configuration',
    ...schema,
    properties: {
      ...schema.properties,
      openapi: documentForms(schema.properties?.['openapi'] ?? {}),
      asyncapi: documentForms(schema.properties?.['asyncapi'] ?? {}),
    },
    anyOf: [{ required: ['routes'] }, { required: ['openapi'] }, { required: ['asyncapi'] }],
    $defs: { target, policy },
  };
}

/** A document may be its file alone, and its targets are those of routes. */
function documentForms(documents: JsonSchema): JsonSchema {
  const { items = {} } = documents;
  const { file = {}, target, targets, ...rest } = items.properties ?? {};
  const one = { $ref: '#/$defs/target' };
  const properties = { file, target: { ...target, anyOf: [one] }, targets: { ...targets, items: one }, ...rest };
  return { ...documents, items: { anyOf: [file, { ...items, properties }] } };
}

/** A schema as plain data in which everything with a default may be left out and unknown keys are refused. */
export function asWritten(schema: TSchema): JsonSchema {
  return once(written, schema, () => relaxed(plain(schema)));
}

/** A typebox schema as plain data: typebox marks its schemas with hidden properties. */
export function plain(schema: TSchema): JsonSchema {
  return once(plainForms, schema, () => JSON.parse(JSON.stringify(schema)) as JsonSchema);
}

// Thousands of routes may use one policy: its schema is made, and compiled, once.
const written = new WeakMap<object, JsonSchema>();
const plainForms = new WeakMap<object, JsonSchema>();

function once(made: WeakMap<object, JsonSchema>, schema: object, make: () => JsonSchema): JsonSchema {
  const known = made.get(schema) ?? make();
  made.set(schema, known);
  return known;
}

/** The three places of the file that are written in more than one form. */
interface Forms {
  readonly target: JsonSchema;
  readonly adapter: JsonSchema;
  readonly policies: JsonSchema;
}

function fileSchema(change: (forms: Forms) => Forms): JsonSchema {
  const { routes, ...rest } = asWritten(SettingsSchema).properties ?? {};
  const { control } = rest;
  const { id, match, targets, ...options } = routes?.items?.properties ?? {};
  const controlPolicies = control?.properties?.['policies'] ?? {};
  const { target, adapter, policies } = change({
    target: targets?.items ?? {},
    adapter: options['adapter'] ?? {},
    policies: options['policies'] ?? {},
  });
  const changed = { ...options, adapter, policies };
  const one = {
    ...target,
    description: 'The place to go to: its url, or a mapping as in `targets`. A route has either `target` or `targets`.',
  };
  const file = closed(plain(SettingsSchema), {
    $schema: { type: 'string', description: 'Where editors find the schema of this file.' },
    ...rest,
    control: { ...control, properties: { ...control?.properties, policies: { ...policies, ...annotations(controlPolicies) } } },
    defaults: closed({ description: defaultsText }, changed),
    routes: {
      ...routes,
      items: { ...closed({}, { id, match, target: one, targets: { ...targets, items: target }, ...changed }), required: ['id'] },
    },
  });
  return file;
}

const defaultsText =
  "What holds for all routes that say nothing else: any option of a route but `id`, `match` and its targets. Mappings are merged key by key; lists and `adapter` of a route replace the default's.";

function closed(
  { description }: { description?: string },
  properties: Readonly<Record<string, JsonSchema | undefined>>,
): JsonSchema {
  const known = Object.entries(properties).flatMap(([key, schema]) => (schema ? [[key, schema] as const] : []));
  return {
    type: 'object',
    ...(description && { description }),
    properties: Object.fromEntries(known),
    additionalProperties: false,
  };
}

function annotations(schema: JsonSchema): Pick<JsonSchema, 'description' | 'default'> {
  return {
    ...(schema.description && { description: schema.description }),
    ...('default' in schema && { default: schema.default }),
  };
}

const dryRun: JsonSchema = { type: 'boolean', default: false, description: dryRunText };

/** The options of a policy with its `use` put before them. */
function builtIn({ name, summary, options }: PolicyDefinition): JsonSchema {
  const schema = asWritten(options);
  const use = { const: name, description: summary };
  if (schema.properties === undefined)
    return { type: 'object', description: summary, properties: { use, dryRun }, required: ['use'], allOf: [schema] };
  return {
    ...schema,
    description: summary,
    properties: { use, dryRun, ...schema.properties },
    required: ['use', ...(schema.required ?? [])],
  };
}

/** Its lists are of policies, with all their options. */
function alternatives(): JsonSchema {
  const schema = builtIn(anyOf);
  const one = { $ref: '#/$defs/policy' };
  const of = { ...schema.properties?.['of'], items: { anyOf: [one, { type: 'array', items: one }] } };
  return { ...schema, properties: { ...schema.properties, of } };
}

function custom(policies: readonly PolicyDefinition[]): JsonSchema {
  return {
    type: 'object',
    description: 'A policy of your own: a file (`./policies/mine.mjs`) or an installed package.',
    properties: { use: { type: 'string', not: { enum: policies.map(({ name }) => name) } }, dryRun },
    required: ['use'],
    additionalProperties: true,
  };
}

function relaxed(schema: JsonSchema): JsonSchema {
  const { properties, patternProperties, required, items, anyOf: branches, additionalProperties } = schema;
  return {
    ...schema,
    ...(items && { items: relaxed(items) }),
    ...(branches && { anyOf: branches.map(relaxed) }),
    ...(patternProperties && {
      patternProperties: mapValues(patternProperties, relaxed),
      additionalProperties: additionalProperties ?? false,
    }),
    ...(properties && {
      properties: mapValues(properties, relaxed),
      required: (required ?? []).filter((key) => !mayBeLeftOut(properties[key])),
      additionalProperties: additionalProperties ?? false,
    }),
  };
}

function mayBeLeftOut(schema: JsonSchema | undefined): boolean {
  return schema !== undefined && ('default' in schema || derivedMark in schema);
}

function mapValues(schemas: Schemas, change: (schema: JsonSchema) => JsonSchema): Schemas {
  return Object.fromEntries(Object.entries(schemas).map(([key, schema]) => [key, change(schema)]));
}

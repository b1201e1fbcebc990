/** Values made from the schemas of the control document: such as fit, and such as nearly do. */
import * as fc from 'fast-check';
import { controlDocument } from '../../../openapi/control/control-document.ts';

/** What the schemas of the control document are made of. */
interface Schema {
  readonly $ref?: string;
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly patternProperties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly format?: string;
  readonly minimum?: number;
  readonly maximum?: number;
}

type Values = fc.Arbitrary<unknown>;

/** Longest list or text that is made, where the schema allows it. */
const longest = 6;

/** Values that fit but for some places, where there is anything, or a bound is passed, or a member is missing. */
export function nearlyFitting(schema: object): Values {
  return valuesOf(schema, (values, at) => fc.oneof({ weight: 12, arbitrary: values }, { weight: 1, arbitrary: spoilt(at) }));
}

/** Values that fit. */
export function fitting(schema: object): Values {
  return valuesOf(schema, (values) => values);
}

type Change = (fittingValues: Values, schema: Schema) => Values;

function valuesOf(schema: Schema, change: Change): Values {
  const at = followed(schema);
  return change(made(at, change), at);
}

function followed(schema: Schema): Schema {
  if (schema.$ref === undefined) return schema;
  const found: unknown = controlDocument.components?.schemas?.[schema.$ref.replace('#/components/schemas/', '')];
  if (found === undefined || found === null) throw new Error(`${schema.$ref} leads nowhere.`);
  return found;
}

function made(schema: Schema, change: Change): Values {
  if (schema.enum) return fc.constantFrom(...schema.enum);
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (schema.anyOf) return fc.oneof(...schema.anyOf.map((each) => valuesOf(each, change)));
  const make = makers[schema.type ?? 'anything'];
  if (!make) throw new Error(`No values are made for ${JSON.stringify(schema)}.`);
  return make(schema, change);
}

const makers: Readonly<Record<string, (schema: Schema, change: Change) => Values>> = {
  anything: () => fc.jsonValue({ maxDepth: 2 }),
  boolean: () => fc.boolean(),
  integer: ({ minimum = -1000, maximum = 1000 }) => fc.integer({ min: minimum, max: maximum }),
  string: textOf,
  array: ({ items = {}, minItems = 0, maxItems = longest }, change) =>
    fc.array(valuesOf(items, change), { minLength: minItems, maxLength: Math.min(Math.max(minItems, longest), maxItems) }),
  object: objectOf,
};

function textOf({ pattern, format, minLength = 0, maxLength = 20 }: Schema): Values {
  if (pattern !== undefined) return fc.stringMatching(new RegExp(pattern));
  if (format === 'date-time')
    return fc
      .date({ min: new Date('2000-01-01'), max: new Date('2200-01-01'), noInvalidDate: true })
      .map((date) => date.toISOString());
  return fc.string({ minLength, maxLength: Math.max(minLength, Math.min(maxLength, 20)) });
}

function objectOf({ properties = {}, required = [], patternProperties }: Schema, change: Change): Values {
  const [others] = Object.values(patternProperties ?? {});
  if (others) return fc.dictionary(fc.string(), valuesOf(others, change), { maxKeys: longest });
  const members = Object.fromEntries(Object.entries(properties).map(([name, member]) => [name, valuesOf(member, change)]));
  return fc.record(members, { requiredKeys: [...required] });
}

/** What does not fit here, most of the time. */
function spoilt({ minLength = 0, maxLength = 1000, minimum = 0, maximum = 0, properties, required = [] }: Schema): Values {
  const outside = [
    fc.constantFrom(minimum - 1, maximum + 1, 0.5, 1e300, -0, String(maximum)),
    fc.constantFrom(null, true, [], {}),
  ];
  const texts = fc.constantFrom(
    'x'.repeat(Math.max(0, minLength - 1)),
    'x'.repeat(maxLength + 1),
    '\u0000',
    '\ud800',
    '__proto__',
  );
  const member = fc.constantFrom(...Object.keys(properties ?? {}), ...required, '__proto__', 'constructor');
  const wrongMember = fc.tuple(member, fc.jsonValue({ maxDepth: 1 })).map(([name, value]) => Object.fromEntries([[name, value]]));
  return fc.oneof(...outside, texts, wrongMember, fc.jsonValue({ maxDepth: 3 }));
}

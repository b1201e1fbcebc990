/** Schemas of documents become JSON Schemas of their own, which say the same. */
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { compileForeignSchema } from '../../../openapi/schema/json-schema.ts';
import { selfContained, type SelfContainedTerms } from '../../../openapi/schema/self-contained.ts';
import { linked, told } from '../document/linked-document.ts';

function made(schema: unknown, root: object = {}, terms: SelfContainedTerms = {}): unknown {
  const { schema: own, findings } = selfContained(schema, linked({ openapi: '3.1.0', ...root }), {}, terms);
  assert.deepEqual(told(findings), []);
  return own;
}

/** Whether the compiled schema takes a value. */
function takes(schema: unknown, root: object, value: unknown): boolean {
  return compileForeignSchema(made(schema, root) as object)(value).kind === 'valid';
}

describe('schemas of documents', () => {
  it('are what they were where nothing has to be done', () => {
    const schema = { type: 'object', properties: { a: { const: { $ref: '#/no/reference' } } }, required: ['a'], items: false };
    assert.deepEqual(made(schema), schema);
    assert.deepEqual([made(true), made(false)], [{}, { not: {} }]);
  });

  it('lose what is only for people and tools', () => {
    const schema = {
      $id: 'https://example.com/a',
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      $anchor: 'a',
      $defs: { unused: {} },
      'x-internal': true,
      example: { $ref: 'x' },
      xml: {},
      externalDocs: {},
      discriminator: { propertyName: 'type' },
      title: 'kept',
      properties: { example: { type: 'string', example: 'a' } },
    };
    assert.deepEqual(made(schema), { title: 'kept', properties: { example: { type: 'string' } } });
  });

  it('have parts once that are used several times, by their names', () => {
    const user = { type: 'object', properties: { name: { type: 'string' } } };
    const short = { type: 'string' };
    const schema = { properties: { from: user, to: user, a: short, b: short } };
    assert.deepEqual(made(schema, { components: { schemas: { User: user } } }), {
      properties: {
        from: { $ref: '#/$defs/User' },
        to: { $ref: '#/$defs/User' },
        a: { type: 'string' },
        b: { type: 'string' },
      },
      $defs: { User: user },
    });
    const keepsNames = made({ items: user }, { components: { schemas: { 'User/x': user } } }, { keepsNames: true });
    assert.deepEqual(keepsNames, { items: { $ref: '#/$defs/User~1x' }, $defs: { 'User/x': user } });
  });

  it('never grow with the number of ways to a part', () => {
    let part: object = { type: 'string' };
    for (let level = 0; level < 60; level += 1) part = { title: 'same', properties: { a: part, b: part } };
    const text = JSON.stringify(made(part));
    assert.ok(text.length < 20_000, `${text.length} characters`);
    const nested = (leaf: unknown): unknown => Array.from({ length: 60 }).reduce((value) => ({ a: value }), leaf);
    assert.ok(takes(part, {}, nested('text')));
    assert.ok(!takes(part, {}, nested(1)));
  });

  it('may lead to themselves', () => {
    const tree: Record<string, unknown> = { type: 'object', properties: { left: { $ref: '#/components/schemas/Tree' } } };
    const root = { components: { schemas: { Tree: tree, Leaf: { type: 'integer' } } } };
    assert.deepEqual(made(tree, root), {
      $ref: '#/$defs/Tree',
      $defs: { Tree: { type: 'object', properties: { left: { $ref: '#/$defs/Tree' } } } },
    });
    assert.ok(takes(tree, root, { left: { left: {} } }));
    assert.ok(!takes(tree, root, { left: { left: 1 } }));
    const beside = { $ref: '#/components/schemas/Tree', required: ['left'], unevaluatedProperties: false };
    assert.ok(takes(beside, root, { left: {} }));
    assert.ok(!takes(beside, root, {}));
    assert.ok(!takes(beside, root, { left: {}, right: 1 }));
  });

  it('take the same values as when each part is written out', () => {
    const { part } = fc.letrec<{ part: object }>((tie) => ({
      part: fc.oneof(
        { maxDepth: 4, withCrossShrink: true },
        fc.constantFrom(
          { type: 'string' },
          { type: 'integer', minimum: 0 },
          { enum: [1, 2, 'a', null, true] },
          { type: 'array' },
        ),
        fc.record({ type: fc.constant('object'), properties: fc.record({ a: tie('part'), b: tie('part') }) }),
        fc.record({ type: fc.constant('array'), items: tie('part') }),
        fc.record({ anyOf: fc.tuple(tie('part'), tie('part')) }),
        fc.record({ not: tie('part'), type: fc.constantFrom('object', 'string', 'array') }),
      ),
    }));
    const value = fc.jsonValue({ maxDepth: 3 });
    fc.assert(
      fc.property(part, part, fc.array(value, { minLength: 5, maxLength: 20 }), (one, other, values) => {
        const shared = { properties: { a: one, b: { anyOf: [one, other] }, c: { items: one } }, anyOf: [other, one, true] };
        const whole = { oneOf: [shared, { items: shared }] };
        const direct = compileForeignSchema(JSON.parse(JSON.stringify(whole)) as object);
        const own = compileForeignSchema(made(whole, { components: { schemas: { One: one } } }) as object);
        for (const each of [...values, { a: values[0], b: values[1] }, values])
          assert.deepEqual(own(each).kind, direct(each).kind);
      }),
      { numRuns: 40 },
    );
  });

  it('of OpenAPI 3.0 are put into newer words', () => {
    const root = { openapi: '3.0.3', components: { schemas: { Text: { type: 'string' } } } };
    const schema = {
      type: 'object',
      properties: {
        a: { type: 'string', nullable: true, enum: ['x', null] },
        b: { type: 'number', minimum: 1, exclusiveMinimum: true, maximum: 9, exclusiveMaximum: false },
        c: { exclusiveMaximum: true },
        d: { $ref: '#/components/schemas/Text', maxLength: 1 },
        e: { nullable: true },
      },
    };
    assert.deepEqual(made(schema, root), {
      type: 'object',
      properties: {
        a: { type: ['string', 'null'], enum: ['x', null] },
        b: { type: 'number', exclusiveMinimum: 1, maximum: 9 },
        c: {},
        d: { $ref: '#/$defs/Text' },
        e: {},
      },
      $defs: root.components.schemas,
    });
  });

  it('of AsyncAPI are put into newer words', () => {
    const list = { items: [{ type: 'string' }, { type: 'integer' }], additionalItems: false };
    const schema = { properties: { list }, dependencies: { a: ['b'], c: { required: ['d'] } } };
    assert.deepEqual(made(schema, { openapi: undefined, asyncapi: '3.0.0' }), {
      properties: { list: { prefixItems: list.items, items: false } },
      dependentRequired: { a: ['b'] },
      dependentSchemas: { c: { required: ['d'] } },
    });
  });

  const faults: readonly (readonly [schema: unknown, ...told: string[]])[] = [
    [{ maxLenght: 1 }, 'maxLenght (key) is no keyword of JSON Schema'],
    [{ properties: { a: { typ: 'text' } } }, 'typ (key) is no keyword of JSON Schema'],
    [
      { items: { type: 'text' } },
      'type (value) is no type of JSON Schema; types are array, boolean, integer, null, number, object, string',
    ],
    [
      { type: ['string', 1] },
      'type (value) is no type of JSON Schema; types are array, boolean, integer, null, number, object, string',
    ],
    [{ $dynamicRef: '#a' }, '$dynamicRef (key) is not supported here; write "$ref"'],
    [{ type: 'string', nullable: true }, `nullable (key) is of OpenAPI 3.0 only; write "type: [..., 'null']"`],
    [{ uniqueItems: true }, 'uniqueItems (value) needs "maxItems" of 256 at most beside it'],
    [{ not: { properties: { a: 'text' } } }, 'is no schema: it must be a mapping, true or false'],
    ['text', 'is no schema: it must be a mapping, true or false'],
  ];
  for (const [schema, ...expected] of faults) {
    it(`are refused with "${expected.join()}"`, () => {
      assert.deepEqual(told(selfContained(schema, linked({ openapi: '3.1.0' }), {}).findings), expected);
    });
  }

  it('are refused where they are too deep, however they are', () => {
    const chain = (levels: number): object =>
      Array.from({ length: levels }).reduce<object>((below) => ({ properties: { a: below, b: below } }), {});
    assert.deepEqual(told(selfContained(chain(100), linked({}), {}).findings), []);
    assert.ok(compileForeignSchema(made(chain(100)) as object)({ a: {} }).kind === 'valid');
    for (const levels of [101, 3000]) {
      const [first, ...more] = told(selfContained(chain(levels), linked({}), {}).findings);
      assert.match(first ?? '', /^is too deep: a schema may have 100 levels/);
      assert.deepEqual(more, []);
    }
  });

  it('are refused with the name of a format or pattern that cannot be used, and with the part it stands in', () => {
    const wrong = { format: 'colour', patternProperties: { '(?=a)': {} }, pattern: '\\1(' };
    const { findings } = selfContained({ allOf: [wrong] }, linked({}), {});
    assert.deepEqual(
      findings.map(({ key, owner }) => [key, owner === wrong]),
      [
        ['format', true],
        ['patternProperties', true],
        ['pattern', true],
      ],
    );
    assert.match(findings[1]?.message ?? '', /cannot be used: .*\(\?=a\)/);
  });
});

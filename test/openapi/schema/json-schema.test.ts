import assert from 'node:assert/strict';
import { Type } from 'typebox';
import { compileSchema, describeFault } from '../../../openapi/schema/json-schema.ts';

describe('JSON Schema', () => {
  const schema = Type.Object({ name: Type.String({ minLength: 2 }), at: Type.Optional(Type.String({ format: 'date-time' })) });

  it('gives the value that fits', () => {
    const value = { name: 'ann', at: '2026-11-24T09:30:00Z' };
    assert.deepEqual(compileSchema(schema)(value), { kind: 'valid', value });
  });

  it('tells where a value does not fit', () => {
    const check = compileSchema(schema);
    assert.deepEqual(check({ name: 'a' }), {
      kind: 'invalid',
      fault: { pointer: '/name', text: 'must NOT have fewer than 2 characters' },
    });
    assert.deepEqual(check({ name: 'ann', at: 'noon' }), {
      kind: 'invalid',
      fault: { pointer: '/at', text: 'must match format "date-time"' },
    });
    assert.deepEqual(check(5), { kind: 'invalid', fault: { pointer: '', text: 'must be object' } });
  });

  it('says faults as sentences', () => {
    assert.equal(describeFault({ pointer: '', text: 'must be object' }), 'The body must be object.');
    assert.equal(describeFault({ pointer: '/a/0', text: 'must be string' }), '/a/0 must be string.');
  });

  it('follows references inside of it', () => {
    const check = compileSchema({ $ref: '#/$defs/n', $defs: { n: { type: 'integer' } } });
    assert.equal(check(1).kind, 'valid');
    assert.equal(check('1').kind, 'invalid');
  });

  it('compiles two schemas with the same id', () => {
    compileSchema({ $id: 'https://example.org/a', type: 'string' });
    assert.equal(compileSchema({ $id: 'https://example.org/a', type: 'number' })(1).kind, 'valid');
  });

  for (const [name, bad] of [
    ['that is not valid', { type: 'strin' }],
    ['with an unknown format', { type: 'string', format: 'colour' }],
    ['with an unknown keyword', { type: 'string', minLenght: 3 }],
    ['that refers to what is not there', { $ref: 'https://example.org/nothing.json' }],
  ] as const) {
    it(`refuses a schema ${name}, when it is compiled`, () => {
      assert.throws(() => compileSchema(bad), { code: 'bad-request', message: /^The JSON Schema cannot be used: / });
    });
  }
});

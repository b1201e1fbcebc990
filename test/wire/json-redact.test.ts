import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { redactor } from '../../gateway/wire/json-redact.ts';

function redacted(paths: readonly string[], value: unknown): unknown {
  return redactor(paths, 20)(value);
}

const x = '[redacted]';

describe('taking secrets out of JSON', () => {
  for (const [path, value, expected] of [
    ['token', { token: 's', other: 1 }, { token: x, other: 1 }],
    ['token', { a: { token: 1 } }, { a: { token: 1 } }],
    ['token', { TOKEN: { deep: 's' } }, { TOKEN: x }],
    ['user.password', { user: { password: 's', name: 'n' } }, { user: { password: x, name: 'n' } }],
    ['*.card', { a: { card: 1 }, b: [{ card: 1 }] }, { a: { card: x }, b: [{ card: 1 }] }],
    ['items.*.card', { items: [{ card: 1 }, { card: 2 }] }, { items: [{ card: x }, { card: x }] }],
    ['items.1', { items: ['a', 'b'] }, { items: ['a', x] }],
    ['**.card', { card: 1, a: [{ b: { card: 2 } }] }, { card: x, a: [{ b: { card: x } }] }],
    ['a.**.card', { card: 1, a: { card: 2, b: { card: 3 } } }, { card: 1, a: { card: x, b: { card: x } } }],
    ['**', { a: 1, b: { c: 2 } }, { a: x, b: x }],
    ['*', [1, [2]], [x, x]],
  ] as const)
    it(`${path} of ${JSON.stringify(value)}`, () => assert.deepEqual(redacted([path], value), expected));

  it('takes __proto__ for a name like others', () => {
    assert.equal(
      JSON.stringify(redacted(['token'], JSON.parse('{"__proto__":{"a":1},"token":1}'))),
      `{"__proto__":{"a":1},"token":"${x}"}`,
    );
  });

  it('shows nothing of what lies deeper than it looks', () => {
    assert.deepEqual(redactor(['a'], 2)({ b: { c: { d: 1 } } }), { b: { c: x } });
  });

  it('is done soon, whatever the paths', () => {
    let value: unknown = { end: 's' };
    for (let i = 0; i < 18; i += 1) value = { a: value };
    const text = JSON.stringify(redacted(['**.**.**.**.**.**.a.**.**.**.nothing', '**.a.**.a.**.a.**.end'], value));
    assert.ok(!text.includes('"s"'));
  });

  it('lets no value through that stands under the name, wherever it is', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), fc.array(fc.constantFrom('a', 'b', '0'), { maxLength: 5 }), (other, place) => {
        const planted = place.reduce<unknown>((inner, name) => (name === '0' ? [inner] : { [name]: inner, other }), {
          Secret: 'PLANTED',
        });
        assert.ok(!JSON.stringify(redacted(['**.secret'], planted)).includes('PLANTED'));
      }),
    );
  });

  it('changes nothing else', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), (value) => {
        assert.equal(JSON.stringify(redacted(['**.no such name'], value)), JSON.stringify(value));
      }),
    );
  });
});

import assert from 'node:assert/strict';
import { PatchError, patched } from '../../gateway/wire/json-patch.ts';

function apply(document: unknown, ...patch: unknown[]): unknown {
  return patched(structuredClone(document), patch);
}

function refuses(document: unknown, ...patch: unknown[]): void {
  assert.throws(() => apply(document, ...patch), PatchError, JSON.stringify(patch));
}

describe('JSON Patch', () => {
  it('adds', () => {
    assert.deepEqual(apply({ a: 1 }, { op: 'add', path: '/b', value: null }), { a: 1, b: null });
    assert.deepEqual(apply({ a: 1 }, { op: 'add', path: '/a', value: [2] }), { a: [2] });
    assert.deepEqual(apply([1, 3], { op: 'add', path: '/1', value: 2 }, { op: 'add', path: '/3', value: 4 }), [1, 2, 3, 4]);
    assert.deepEqual(apply({ a: [1] }, { op: 'add', path: '/a/-', value: 2 }), { a: [1, 2] });
    assert.deepEqual(apply({ a: { '-': 1 } }, { op: 'add', path: '/a/-', value: 2 }), { a: { '-': 2 } });
    assert.equal(apply({ a: 1 }, { op: 'add', path: '', value: 2 }), 2);
  });

  it('removes and replaces', () => {
    assert.deepEqual(apply({ a: null, b: [1, 2, 3] }, { op: 'remove', path: '/a' }, { op: 'remove', path: '/b/1' }), {
      b: [1, 3],
    });
    assert.deepEqual(apply({ a: 1 }, { op: 'replace', path: '/a', value: { b: 1 } }), { a: { b: 1 } });
    assert.deepEqual(apply([1, 2], { op: 'replace', path: '/1', value: null }), [1, null]);
    assert.deepEqual(apply(1, { op: 'replace', path: '', value: [] }), []);
  });

  it('moves and copies, and what is copied is another', () => {
    assert.deepEqual(apply({ a: [1], b: {} }, { op: 'move', from: '/a', path: '/b/a' }), { b: { a: [1] } });
    assert.deepEqual(apply([1, 2, 3], { op: 'move', from: '/0', path: '/2' }), [2, 3, 1]);
    assert.deepEqual(apply({ a: [1] }, { op: 'copy', from: '/a', path: '/b' }, { op: 'add', path: '/b/-', value: 2 }), {
      a: [1],
      b: [1, 2],
    });
    assert.deepEqual(apply({ a: 1 }, { op: 'copy', from: '', path: '/b' }), { a: 1, b: { a: 1 } });
    assert.deepEqual(apply({ a: [1] }, { op: 'copy', from: '/a', path: '' }), [1]);
  });

  it('tests for equal values, whatever the order of members', () => {
    const document = { a: { b: 1, c: [1, { d: null }] }, e: 'x' };
    assert.deepEqual(
      apply(
        document,
        { op: 'test', path: '/a', value: { c: [1, { d: null }], b: 1 } },
        { op: 'test', path: '', value: document },
        { op: 'test', path: '/a/c/1/d', value: null },
      ),
      document,
    );
    for (const [path, value] of [
      ['/e', 'y'],
      ['/a/b', '1'],
      ['/a/c', [{ d: null }, 1]],
      ['/x', null],
      ['/a', { b: 1 }],
    ] as const)
      refuses(document, { op: 'test', path, value });
  });

  it('reads escapes of pointers, and members without a name', () => {
    const document = { 'a/b': 1, 'c~d': 2, '~1': 3, '': { '': 4 } };
    assert.deepEqual(
      apply(
        document,
        { op: 'test', path: '/a~1b', value: 1 },
        { op: 'test', path: '/c~0d', value: 2 },
        { op: 'test', path: '/~01', value: 3 },
        { op: 'replace', path: '//', value: 5 },
      ),
      { ...document, '': { '': 5 } },
    );
  });

  it('passes over members of an operation that it does not know', () => {
    assert.deepEqual(apply({}, { op: 'add', path: '/a', value: 1, xyz: 2, from: 3 }), { a: 1 });
  });

  it('refuses operations that are none', () => {
    for (const operation of [
      null,
      [],
      'add',
      {},
      { op: 'spam', path: '/a' },
      { op: 'add', value: 1 },
      { op: 'add', path: '/a' },
      { op: 'replace', path: '/a' },
      { op: 'test', path: '/a' },
      { op: 'add', path: 'a', value: 1 },
      { op: 'add', path: 1, value: 1 },
      { op: 'add', path: '/~2', value: 1 },
      { op: 'remove', path: '/a~' },
      { op: 'move', path: '/b' },
      { op: 'copy', path: '/b', from: 'a' },
      { op: 'toString', path: '/a' },
    ])
      refuses({ a: 1 }, operation);
  });

  it('refuses places that there are not', () => {
    const document = { a: 1, b: [1, 2], c: null };
    for (const operation of [
      { op: 'remove', path: '/x' },
      { op: 'remove', path: '/b/2' },
      { op: 'remove', path: '/b/-' },
      { op: 'remove', path: '' },
      { op: 'replace', path: '/x', value: 1 },
      { op: 'replace', path: '/b/2', value: 1 },
      { op: 'replace', path: '/b/01', value: 1 },
      { op: 'replace', path: '/b/1e0', value: 1 },
      { op: 'replace', path: '/b/-', value: 1 },
      { op: 'replace', path: '/b/length', value: 1 },
      { op: 'add', path: '/x/y', value: 1 },
      { op: 'add', path: '/a/y', value: 1 },
      { op: 'add', path: '/c/y', value: 1 },
      { op: 'add', path: '/b/3', value: 1 },
      { op: 'add', path: '/b/-1', value: 1 },
      { op: 'add', path: '/b/x', value: 1 },
      { op: 'move', from: '/x', path: '/y' },
      { op: 'move', from: '/b', path: '/b/0' },
      { op: 'move', from: '', path: '/x' },
      { op: 'copy', from: '/b/2', path: '/y' },
      { op: 'copy', from: '/a', path: '/b/9' },
      { op: 'copy', from: '/toString', path: '/y' },
    ])
      refuses(document, operation);
  });

  it('changes no prototype and no member of another name', () => {
    for (const path of ['/__proto__/x', '/constructor/prototype/x', '/constructor', '/prototype/x', '/a/__proto__'])
      refuses({ a: {} }, { op: 'add', path, value: 1 });
    refuses({}, { op: 'copy', from: '/__proto__', path: '/a' });
    assert.equal(Object.hasOwn(Object.prototype, 'x'), false);
    const value: unknown = JSON.parse('{"__proto__":{"x":1}}');
    assert.equal(Reflect.get(Object(apply({}, { op: 'add', path: '/a', value }, { op: 'remove', path: '/a' })), 'x'), undefined);
  });

  it('does not let copies of copies fill the memory', () => {
    const double = Array.from({ length: 40 }, () => ({ op: 'copy', from: '', path: '/-' }));
    refuses([1], ...double);
  });

  it('takes no quadratic time for tests of long lists', () => {
    const start = performance.now();
    const long = Array.from({ length: 20_000 }, (_, i) => ({ id: i }));
    apply(long, { op: 'test', path: '', value: long });
    refuses(long, { op: 'test', path: '', value: long.toReversed() });
    assert.ok(performance.now() - start < 1_000);
  });
});

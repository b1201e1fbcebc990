import assert from 'node:assert/strict';
import { gripLast } from '../../gateway/wire/grip-headers.ts';
import { isLinkUri, readLastIds } from '../../gateway/wire/last-ids.ts';
import * as fc from 'fast-check';

describe('last ids', () => {
  for (const [fields, ids] of [
    [[], {}],
    [['a; last-id=1'], { a: '1' }],
    [['a; last-id=1, b;last-id="2;,\\"x"', 'c ; x=y; last-id=3'], { a: '1', b: '2;,"x', c: '3' }],
    [['a; last-id=1, a; last-id=2'], { a: '2' }],
    [['a; last-id='], { a: '' }],
    [['a; last-id="\u00c3\u00bc"'], { a: 'ü' }],
  ] as const) {
    it(`are read from ${JSON.stringify(fields)}`, () => {
      assert.deepEqual(Object.fromEntries(readLastIds(fields) ?? assert.fail()), ids);
    });
  }

  for (const field of [
    '',
    ',',
    'a',
    'a; Last-Id=1',
    'a; id=1',
    '; last-id=1',
    'a; last-id="1',
    'a; last-id=1, b',
    '\xff; last-id=1',
  ])
    it(`are not read from ${JSON.stringify(field)}, nor is what stands beside it`, () => {
      assert.equal(readLastIds(['x; last-id=1', field]), undefined);
    });

  it('are bounded in length, in bytes', () => {
    assert.equal(readLastIds([`a; last-id=${'x'.repeat(1024)}`])?.size, 1);
    assert.equal(readLastIds([`a; last-id=${'x'.repeat(1025)}`]), undefined);
    assert.equal(readLastIds([`a; last-id=${Buffer.from('ü'.repeat(513)).toString('latin1')}`]), undefined);
  });

  it('come back as they were written, whatever the id', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 100 }), (id) => {
        const field = gripLast('news', id);
        if (field === undefined) return;
        assert.deepEqual(readLastIds([field, field]), new Map([['news', id]]));
      }),
    );
  });
});

describe('the URI of a link inside a socket', () => {
  for (const uri of ['/items?after=7', 'items', '?a', '//other.example/x', 'https://other.example/', ''])
    it(`may be ${JSON.stringify(uri)}`, () => assert.ok(isLinkUri(uri)));
  for (const uri of [7, null, 'a b', 'a\r\nb', '</x>', 'ü', 'javascript:x', 'ws://x/', 'http://', `/${'x'.repeat(4096)}`])
    it(`may not be ${JSON.stringify(uri).slice(0, 30)}`, () => assert.equal(isLinkUri(uri), false));
});

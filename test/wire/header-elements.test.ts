import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { readElement, readLinks, readList, readPairs } from '../../gateway/wire/header-elements.ts';

function wire(text: string): string {
  return Buffer.from(text).toString('latin1');
}

/** As `value|name=value|...`, one per element. */
function list(field: string): string[] | undefined {
  return readList(field)?.map(({ value, parameters }) =>
    [value, ...parameters.map((parameter) => `${parameter.name}=${parameter.value}`)].join('|'),
  );
}

describe('header elements', () => {
  it('are separated by commas, their parameters by semicolons', () => {
    assert.deepEqual(list('a; x=1;y=2 ,b,c ;z'), ['a|x=1|y=2', 'b', 'c|z=']);
    assert.deepEqual(list('  one  '), ['one']);
    assert.deepEqual(list('a; x = 1 ; y= 2'), ['a|x=1|y=2']);
    assert.deepEqual(list('a; x=1; x=2'), ['a|x=1|x=2']);
    assert.deepEqual(list('a=b; c=d=e'), ['a=b|c=d=e']);
  });

  it('may be empty, and then are none', () => {
    assert.deepEqual(list(''), []);
    assert.deepEqual(list(' , ,, a,'), ['a']);
    assert.deepEqual(list('a;;'), ['a']);
    assert.deepEqual(list('; x=1'), ['|x=1']);
  });

  it('keep what is in quotes together, with backslashes before single characters', () => {
    assert.deepEqual(list(String.raw`a; x="1, 2; 3"; y="\"\\\a", b`), [String.raw`a|x=1, 2; 3|y="\a`, 'b']);
    assert.deepEqual(list('a; x=" 1 "; y=""'), ['a|x= 1 |y=']);
    assert.deepEqual(list('a; x="1" rest; y=2'), ['a|x=1|y=2']);
  });

  it('take quotes for ordinary characters where no value begins', () => {
    assert.deepEqual(list('"a", 5" pipe; x=1"2'), ['"a"', '5" pipe|x=1"2']);
    assert.deepEqual(list('"a,b"'), ['"a', 'b"']);
  });

  it('of links keep what is in angle brackets together', () => {
    const values = (field: string): string[] | undefined => readLinks(field)?.map(({ value }) => value);
    assert.deepEqual(values(' </a;b?c=1,2>; rel=next, </b>'), ['</a;b?c=1,2>', '</b>']);
    assert.deepEqual(values('<a, b'), ['<a', 'b']);
    assert.deepEqual(list('<a,b>'), ['<a', 'b>']);
  });

  it('are text: UTF-8 on the wire', () => {
    assert.deepEqual(list(wire('größe; x=à; y="à"')), ['größe|x=à|y=à']);
    assert.deepEqual(readPairs(wire('à=à')), [{ name: 'à', value: 'à' }]);
  });

  it('cannot be read where a quote is not closed or bytes are no UTF-8', () => {
    for (const field of [
      'a; x="1',
      String.raw`a; x="1\"`,
      'a, b; x="',
      'a; x="1\\',
      '\xe0',
      'a; x=\xe0',
      'a; \xe0=1',
      'a; x="\xe0"',
    ])
      assert.equal(readList(field), undefined, field);
  });

  it('of a single field may hold commas', () => {
    assert.deepEqual(readElement('a, b; x=1, 2; y="3"'), {
      value: 'a, b',
      parameters: [
        { name: 'x', value: '1, 2' },
        { name: 'y', value: '3' },
      ],
    });
    assert.equal(readElement('a; x="1'), undefined);
  });

  it('are pairs in a list of pairs, of which the first of each element counts', () => {
    assert.deepEqual(readPairs('a=1, b="2, 3"; c=4,d'), [
      { name: 'a', value: '1' },
      { name: 'b', value: '2, 3' },
      { name: 'd', value: '' },
    ]);
    assert.equal(readPairs('a="1'), undefined);
  });

  it('come back as they were written', () => {
    const name = fc.stringMatching(/^[a-z][a-z-]{0,8}$/);
    const parameters = fc.array(fc.record({ name, value: fc.string({ unit: 'grapheme' }) }, { noNullPrototype: true }), {
      maxLength: 4,
    });
    const element = fc.record({ value: fc.stringMatching(/^[a-zäß"\\=-]{1,12}$/), parameters }, { noNullPrototype: true });
    fc.assert(
      fc.property(fc.array(element), (elements) => {
        const quote = (text: string): string => `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"`;
        const field = elements.map((one) =>
          [one.value, ...one.parameters.map((p) => `${p.name}=${quote(p.value)}`)].join(' ;\t'),
        );
        assert.deepEqual(readList(wire(field.join(', '))), elements);
      }),
    );
  });

  it('take no quadratic time with hostile fields', () => {
    const start = performance.now();
    for (const field of [
      'a; x="'.repeat(20_000),
      ' '.repeat(300_000),
      `a;${' '.repeat(300_000)}x`,
      '<'.repeat(100_000),
      ','.repeat(20_000),
    ])
      [readList(field), readLinks(field), readPairs(field)].forEach(String);
    assert.ok(performance.now() - start < 1_000);
  });
});

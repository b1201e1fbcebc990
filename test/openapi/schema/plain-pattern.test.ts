/** Which patterns the built-in engine may have, and that it says the same of texts as RE2. */
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { RE2JS } from 're2js';
import { plainPattern } from '../../../openapi/schema/plain-pattern.ts';

describe('plain patterns', () => {
  const plain = [
    '^a+$',
    '^[a-z0-9-]{1,32}$',
    '^[A-Za-z0-9_.-]*$',
    '^\\d{4}-\\d{2}-\\d{2}$',
    '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$',
    '^x-?$',
    '^\\w+\\.json$',
    '^[\\w.\\]-]{2,}@[a-z]{3}$',
    '^\\+[1-9]\\d{0,14}',
    '^',
    '^$',
    '^[+*?()|$-]+$',
    '^a\\{2\\}b{3}$',
  ];
  const others = [
    'a+',
    '^(a+)+$',
    '^a+b+$',
    '^a*[ab]*$',
    '^.+$',
    '^\\s+$',
    '^a|b$',
    '^(a)$',
    '^[^a]+$',
    '^é$',
    '^\\1$',
    '^\\b$',
    '^a$b',

    '^a{2}{3}$',
    '^a+?$',
    '^a++$',
    '^a{1,2}{3,4}$',
    '^a{99}b{99}c{99}+$',
    `^${'a'.repeat(300)}$`,
    '^[z-a]$',
    '^\\u0061$',
    '^{2}$',
    '^[[:alpha:]]+$',
    '^(?i)a$',
    '^\\p{L}$',
    '^[a&&b]$\n',
    '^\\k<a>$',
    '^\\cA$',
    '^\\x41$',
    '^a{2',
  ];

  for (const pattern of plain) {
    it(`are such as ${pattern}, which says the same as in RE2`, () => {
      const fast = plainPattern(pattern);
      assert.ok(fast);
      const slow = RE2JS.compile(RE2JS.translateRegExp(pattern));
      const near = fc.stringMatching(fast, { size: 'small' });
      const any = fc.string({ unit: fc.constantFrom(...Array.from('abxz019-_.@+é\n\u2028😀A]{}$^')), maxLength: 12 });
      fc.assert(
        fc.property(
          fc.oneof(
            any,
            near,
            fc.tuple(near, any).map(([one, more]) => one + more),
          ),
          (text) => {
            assert.equal(fast.test(text), slow.test(text), JSON.stringify(text));
          },
        ),
        { numRuns: 60 },
      );
    });
  }

  for (const pattern of others) {
    it(`are not such as ${JSON.stringify(pattern).slice(0, 40)}`, () => {
      assert.equal(plainPattern(pattern), undefined);
    });
  }

  it('say no more slowly of long texts than their length allows', () => {
    const pattern = plainPattern('^a{20}a+[ab]{90}[ab]{90}c$');
    const started = performance.now();
    assert.equal(pattern?.test('a'.repeat(200_000)), false);
    assert.ok(performance.now() - started < 5000);
  });
});

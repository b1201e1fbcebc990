import assert from 'node:assert/strict';
import { isCallback } from '../../gateway/wire/script-callback.ts';

describe('a callback', () => {
  it('has a dotted name and nothing else', () => {
    for (const good of ['a', '_jp.abc', '$', 'a1.b_2.$c', 'a'.repeat(255)]) assert.equal(isCallback(good), true, good);
    for (const bad of ['', '.', 'a.', '.a', '1', 'a b', 'a(', 'a;b', 'a[0]', 'a\n', 'é', '/**/', 'a'.repeat(256)])
      assert.equal(isCallback(bad), false, bad);
  });
});

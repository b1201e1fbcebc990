/** The code in docs/write-a-policy.md does what the page says. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { definePolicy, deny } from '../../gateway/policy.ts';
import type { PolicyDefinition } from '../../gateway/core/policy.ts';
import * as kit from '../../gateway/testing/index.ts';

const page = await readFile(new URL('../../docs/write-a-policy.md', import.meta.url), 'utf8');
const [policyCode = '', testCode = ''] = [...page.matchAll(/```js\n(.*?)```/gs)].map(([, code]) => code ?? '');

/** The code without its import lines, with the names they would bring; it ends by returning what it exports. */
function run(code: string, names: Readonly<Record<string, unknown>>): unknown {
  const body = code.replaceAll(/^import .*$/gm, '').replace('export default', 'return');
  // oxlint-disable-next-line typescript/no-implied-eval -- it is the page's own code that is tested
  return new Function(...Object.keys(names), body)(...Object.values(names));
}

const officeHours = run(policyCode, { definePolicy, deny }) as PolicyDefinition;
run(testCode, { assert, officeHours, ...kit });

describe('docs/write-a-policy.md', () => {
  it('imports only what the package entries export', async () => {
    const imported = [...page.matchAll(/^import \{(.*)\} from 'foregate\/(policy|testing)'/gm)];
    assert.equal(imported.length, 2);
    for (const [, names = '', entry] of imported) {
      const offered: object = await import(`../../gateway/${entry === 'policy' ? 'policy.ts' : 'testing/index.ts'}`);
      for (const name of names.split(',')) assert.ok(name.trim() in offered, name);
    }
  });
});

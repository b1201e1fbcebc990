/** The code, the settings and the messages in docs/writing-a-policy.md are what the page says. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { ConfigError, createForegate, loadConfig } from 'foregate';
import * as policyEntry from 'foregate/policy';
import * as kit from 'foregate/testing';

const page = await readFile(new URL('../../docs/writing-a-policy.md', import.meta.url), 'utf8');
const blocks = (language: string): string[] =>
  [...page.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, 'gms'))].map(([, text]) => text ?? '');
const [policyCode = '', ...testCodes] = blocks('js');

/** The code without its import lines, with the names they would bring; it ends by returning what it exports. */
function run(code: string, names: Readonly<Record<string, unknown>>): unknown {
  const body = code.replaceAll(/^import .*$/gm, '').replace('export default', 'return');
  // oxlint-disable-next-line typescript/no-implied-eval -- it is the page's own code that is tested
  return new Function(...Object.keys(names), body)(...Object.values(names));
}

const officeHours = run(policyCode, policyEntry) as policyEntry.PolicyDefinition;
for (const code of testCodes) run(code, { assert, officeHours, ...kit });

describe('docs/writing-a-policy.md', () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'foregate-office-'));
  });
  after(() => rm(folder, { recursive: true }));

  it('imports only what the package entries export', () => {
    const imported = [...page.matchAll(/^import \{(.*)\} from 'foregate\/(policy|testing)'/gm)];
    assert.equal(imported.length, 1 + testCodes.length);
    for (const [, names = '', entry] of imported)
      for (const name of names.split(',')) assert.ok(name.trim() in (entry === 'policy' ? policyEntry : kit), name);
  });

  it('has a configuration that is right, and shows what is told of a wrong one', async () => {
    const [settings = ''] = blocks('yaml');
    const place = /Put\s+this\s+into\s+`(policies\/.*?)`/.exec(page)?.[1] ?? '';
    await mkdir(join(folder, dirname(place)));
    await writeFile(join(folder, place), policyCode);
    const file = join(folder, 'foregate.yaml');
    await writeFile(file, settings);
    await (await createForegate(await loadConfig(file))).stop();
    await writeFile(file, settings.replace('to: 18', 'to: 30'));
    await assert.rejects(loadConfig(file), (thrown) => {
      assert.ok(thrown instanceof ConfigError);
      assert.ok(page.includes(`\n${thrown.message.replace(`${folder}/`, '').trim()}\n`), thrown.message);
      return true;
    });
  });
});

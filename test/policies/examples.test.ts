/** The examples of policies of one's own, in a program that reads them from a configuration. */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ConfigError, createForegate, loadText } from 'foregate';

const folder = join(import.meta.dirname, '../../examples/policies');

const options: Readonly<Record<string, object>> = {
  'profanity.mjs': { words: './words.txt' },
  'tenant-limit.mjs': { limits: './tenants.mjs' },
  'business-hours.mjs': { timeZone: 'Europe/Berlin' },
};

const settings = (policies: readonly object[]): string => JSON.stringify({ routes: [{ id: 'a', target: 'http://h', policies }] });

describe('the examples of policies', () => {
  it('are read from a configuration by their file', async () => {
    const policies = Object.entries(options).map(([file, more]) => ({ use: `./${file}`, ...more }));
    const foregate = await createForegate(await loadText(settings(policies), join(folder, 'foregate.yaml')));
    await foregate.stop();
  });

  it('tell with its place what is wrong with an option, also what only they can judge', async () => {
    const load = async (policy: object) => loadText(settings([policy]), join(folder, 'foregate.yaml'));
    await assert.rejects(load({ use: './business-hours.mjs', timezone: 'UTC' }), ConfigError);
    const loaded = await load({ use: './business-hours.mjs', timeZone: 'Mars/Base' });
    await assert.rejects(createForegate(loaded), (thrown) => {
      assert.ok(thrown instanceof ConfigError);
      assert.match(thrown.message, /foregate\.yaml:1:\d+ .*There is no time zone Mars\/Base\./);
      return true;
    });
  });

  it('use what the package offers to everybody, and nothing else of it', async () => {
    const files = (await readdir(folder)).filter((name) => name.endsWith('.mjs'));
    assert.deepEqual(files.toSorted(), [...Object.keys(options), 'tenants.mjs'].toSorted());
    for (const file of files) {
      const text = await readFile(join(folder, file), 'utf8');
      for (const [, from = ''] of text.matchAll(/^import .* from '(.*)'/gm))
        assert.match(from, /^(node:|foregate\/policy$)/, file);
    }
  });
});

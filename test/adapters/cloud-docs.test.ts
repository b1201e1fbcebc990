/** The guides for the gateways of the clouds show settings that are taken, and what the command prints for them. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { foregate } from '../bin/command.ts';

/** The first block of that kind. */
function block(guide: string, kind: string): string {
  const [, text] = new RegExp(`\`\`\`${kind}\n([^]*?)\`\`\``).exec(guide) ?? [];
  assert.ok(text, kind);
  return text;
}

describe('the guide for', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'foregate-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  for (const gateway of ['apigee', 'aws', 'azure'])
    it(`${gateway} shows what is printed`, async () => {
      const guide = readFileSync(new URL(`../../docs/gateways/${gateway}.md`, import.meta.url), 'utf8');
      writeFileSync(join(folder, 'foregate.yaml'), block(guide, 'yaml'));
      const [line = '', ...printed] = block(guide, 'console').split('\n');
      const { code, stdout, stderr } = await foregate(line.split(' ').slice(2), { cwd: folder });
      assert.deepEqual([code, `${stdout}${stderr}`], [0, printed.join('\n')]);
    }).timeout(20_000);
});

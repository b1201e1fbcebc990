/**
 * What is said about wrong configuration files. Each fixture is a file, a line of dashes, and the report; `ok` where the file is
 * right. Variables that fixtures may use stand below.
 */
import { deepEqual } from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parts } from '../../gateway/parts.ts';
import { loadText } from '../../gateway/config/load.ts';
import { ConfigError } from '../../gateway/core/problem.ts';

const fixtures = fileURLToPath(new URL('../fixtures/config/', import.meta.url));
const environment = { PORT: '8080', WORD: 'eighty', EMPTY: '', SECRET: 'very-secret-value' };

describe('a wrong configuration file is reported:', () => {
  for (const name of readdirSync(fixtures).filter((file) => file.endsWith('.txt'))) {
    it(name.replace('.txt', '').replaceAll('-', ' '), async () => {
      const [text = '', expected = ''] = readFileSync(join(fixtures, name), 'utf8').split(/^-{5,}\n/m);
      deepEqual((await reportOf(text)).split('\n'), expected.trimEnd().split('\n'));
    });
  }
});

/** The report, with the file under the name it would have in the working directory. */
async function reportOf(text: string): Promise<string> {
  try {
    await loadText(join(fixtures, 'foregate.yaml'), text, parts, environment);
    return 'ok';
  } catch (error) {
    if (error instanceof ConfigError) return error.message.replaceAll(fixtures, '');
    throw error;
  }
}

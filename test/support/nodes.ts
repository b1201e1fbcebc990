/** Other versions of Node, for the tests of what is published: from the npm package `node`, in `.cache/nodes`. */
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runProcess } from './processes.ts';

const folder = join(import.meta.dirname, '..', '..', '.cache', 'nodes');

/** The newest release of a major version, installed the first time. @throws Error with npm's output */
export async function nodeOfMajor(major: number): Promise<string> {
  const home = join(folder, String(major));
  const program = join(home, 'node_modules', 'node', 'bin', 'node');
  if (existsSync(program)) return program;
  await mkdir(home, { recursive: true });
  await writeFile(join(home, 'package.json'), JSON.stringify({ private: true, allowScripts: { node: true } }));
  await runProcess('npm', ['install', `node@${major}`, '--prefix', home, '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: home,
  });
  return program;
}

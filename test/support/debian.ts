/** Programs that tests need from Debian: where they are, or the one line that installs them. Nothing is skipped for want of one. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

export type Program = 'nginx' | 'haproxy' | 'caddy' | 'redis-server' | 'chromium' | 'curl';

// Servers live in `sbin`, which is not in every user's PATH.
const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/bin'];

/** Where the program is. @throws Error with the line to run, if it is not installed. */
export function need(program: Program): string {
  const found = folders.map((folder) => join(folder, program)).find(isExecutable);
  if (found) return found;
  throw new Error(`These tests need ${program}: run \`apt-get install -y --no-install-recommends ${program}\`.`);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

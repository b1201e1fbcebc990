/**
 * Gateways that come as npm packages, and the program that checks what is made for Apigee. They are old or heavy, and not ours, so
 * they live in a folder of their own (`.cache/gateways`), which the first of these tests fills from the registry; the product never
 * sees them.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { runProcess } from '../support/processes.ts';

const folder = join(import.meta.dirname, '..', '..', '.cache', 'gateways');

const versions: Readonly<Record<string, string>> = {
  apigeelint: '2.85.1',
  'express-gateway': '1.16.11',
  'microgateway-core': '3.3.7',
  'microgateway-plugins': '3.3.5',
};

/** What a mocha `before` needs for `installGateways` the first time, in milliseconds. */
export const installTimeoutMs = 240_000;

/** Loads modules from that folder: `requireGateway('express-gateway')`. */
export const requireGateway = createRequire(join(folder, 'package.json'));

/** Installs them unless they are there. @throws Error with npm's output */
export async function installGateways(): Promise<void> {
  if (await isInstalled()) return;
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'package.json'), JSON.stringify({ private: true, dependencies: versions }));
  // No scripts: nothing of these packages runs before a test starts it.
  const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock', '--loglevel=error', '--prefer-offline'];
  await runProcess('npm', ['install', '--prefix', folder, ...flags], { cwd: folder });
}

async function isInstalled(): Promise<boolean> {
  const found = await Promise.all(Object.keys(versions).map(installedVersion));
  return found.every((version, i) => version === Object.values(versions)[i]);
}

async function installedVersion(name: string): Promise<string | undefined> {
  try {
    const text = await readFile(join(folder, 'node_modules', name, 'package.json'), 'utf8');
    const { version } = JSON.parse(text) as { version: string }; // npm checks what it writes.
    return version;
  } catch {
    return undefined;
  }
}

/** The version of this package. */
import { readFileSync } from 'node:fs';
import { findPackageJSON } from 'node:module';

export function version(): string {
  // Found by Node, since the built command stands one folder deeper than its source.
  const path = findPackageJSON('..', import.meta.url);
  if (path === undefined) return 'unknown';
  const { version: own } = JSON.parse(readFileSync(path, 'utf8')) as { readonly version?: unknown };
  return typeof own === 'string' ? own : 'unknown';
}

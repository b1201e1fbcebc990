/** What must be there before anything is measured: the built product, the compiled load generator, the peers, enough open files. */
import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { openFilesMax } from './processes.ts';
import { product, root, targets, type Target, type TargetName } from './targets.ts';

const sources = ['gateway', 'adapters', 'policies', 'openapi', 'bin', 'package.json', 'tsconfig.json', 'tsconfig.build.json'];

/** Builds `dist` when it is missing or older than a source. @throws Error when that fails. */
export function buildProduct(): void {
  const builtAt = changedAt(product);
  if (builtAt > 0 && sources.every((source) => newestBelow(join(root, source)) <= builtAt)) return;
  run('npm', ['run', '--silent', 'build']);
}

/** Compiles the load generator; installs and configures the peers among the targets. @throws Error when that fails. */
export function setUp(names: readonly TargetName[]): void {
  const peers = names.flatMap((name) => targetOf(name).peer ?? []);
  run('bash', [join(import.meta.dirname, 'setup.sh'), ...peers]);
}

/**
 * Asks for room for so many connections, and some more, for this process and those it starts; root may have it.
 * @throws Error when there is not enough.
 */
export function allowOpenFiles(connections: number): void {
  const needed = connections + 1000;
  if (openFilesMax() >= needed) return;
  spawnSync('/usr/bin/prlimit', ['--pid', String(process.pid), `--nofile=${needed}:${needed}`]);
  if (openFilesMax() < needed)
    throw new Error(`${needed} open files are needed: raise "ulimit -n", or leave out the large scenarios.`);
}

/** Cores, memory and system, in one line. */
export function describeMachine(): string {
  const model = cpus()[0]?.model ?? 'unknown processor';
  const gb = Math.round(totalmem() / 2 ** 30);
  return `${cpus().length} cores of ${model}, ${gb} GB; ${systemName()}, Linux ${release().split('.').slice(0, 2).join('.')}; loopback`;
}

/** Of Node and of the Debian packages of the targets. */
export function versions(names: readonly TargetName[]): Record<string, string> {
  const packages = names.flatMap((name) => targetOf(name).packages ?? []);
  return { node: process.versions.node, ...Object.fromEntries(packages.map((name) => [name, packageVersion(name)])) };
}

function targetOf(name: TargetName): Target {
  return targets[name];
}

function packageVersion(name: string): string {
  // The upstream version: what stands between an epoch and Debian's own number.
  const { stdout } = spawnSync('/usr/bin/dpkg-query', ['-W', '-f', '${Version}', name], { encoding: 'utf8' });
  return /^(?:\d+:)?([^-+~]+)/.exec(stdout)?.[1] ?? 'unknown';
}

function systemName(): string {
  const { stdout } = spawnSync('sh', ['-c', '. /etc/os-release && echo "$PRETTY_NAME"'], { encoding: 'utf8' });
  return stdout.trim() || 'unknown system';
}

function newestBelow(path: string): number {
  if (!statSync(path).isDirectory()) return changedAt(path);
  const files = readdirSync(path, { recursive: true, encoding: 'utf8' });
  return files.reduce((newest, file) => Math.max(newest, changedAt(join(path, file))), 0);
}

/** 0 when there is no such file; folders do not count. */
function changedAt(path: string): number {
  const found = statSync(path, { throwIfNoEntry: false });
  return found?.isFile() === true ? found.mtimeMs : 0;
}

function run(program: string, args: readonly string[]): void {
  execFileSync(program, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
}

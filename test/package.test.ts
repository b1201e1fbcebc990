/**
 * The package as its users get it: packed, installed into an empty folder without development dependencies, and then run, loaded,
 * compiled against and published-checked. The program is started on every version of Node that `engines` allows and people run.
 */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { echo, startBackend } from './support/backend.ts';
import { openClient } from './support/client.ts';
import { nodeOfMajor } from './support/nodes.ts';
import { freePort, runProcess, startProcess, waitForPort } from './support/processes.ts';

const root = join(import.meta.dirname, '..');
const tool = (name: string): string => join(root, 'node_modules', '.bin', name);
const quiet = ['--no-audit', '--no-fund', '--loglevel=error'];
const entries = ['foregate', 'foregate/express', 'foregate/policy', 'foregate/testing'];
const npmTimeoutMs = 240_000;

/** What a user's first program may look like: every entry, with the types in use. */
const consumer = `
import { createServer } from 'node:http';
import { ConfigError, createForegate, loadText, type Foregate } from 'foregate';
import * as express from 'foregate/express';
import * as testing from 'foregate/testing';
import { definePolicy, deny, type Policy } from 'foregate/policy';
import { Type } from 'typebox';

export const curfew = definePolicy({
  name: 'curfew',
  summary: 'Nobody gets in late.',
  options: Type.Object({ hour: Type.Integer({ minimum: 0, maximum: 23 }) }),
  create: ({ hour }, { clock }): Policy => ({
    connect: () => (new Date(clock.now()).getHours() >= hour ? deny('forbidden', 'Too late.') : undefined),
  }),
});
// @ts-expect-error A policy must have a name.
export const nameless = definePolicy({ summary: '', options: Type.Object({}), create: () => ({}) });
export async function start(text: string): Promise<Foregate | undefined> {
  try {
    const foregate = await createForegate(await loadText(text));
    await foregate.start();
    return foregate;
  } catch (error) {
    if (error instanceof ConfigError) return undefined;
    throw error;
  }
}
export const rest = [createServer, express, testing] as const;
`;

const consumerSettings = {
  compilerOptions: {
    target: 'es2023',
    module: 'nodenext',
    strict: true,
    exactOptionalPropertyTypes: true,
    noEmit: true,
    skipLibCheck: false,
    types: ['node'],
    typeRoots: [join(root, 'node_modules', '@types')],
  },
  include: ['consumer.ts'],
};

describe('the package', () => {
  let folder: string;

  before(async function () {
    this.timeout(npmTimeoutMs);
    folder = await mkdtemp(join(tmpdir(), 'foregate-package-'));
    const packed = await runProcess('npm', ['pack', '--pack-destination', folder, '--loglevel=error'], { cwd: root });
    const tarball = (await readdir(folder)).find((name) => name.endsWith('.tgz'));
    assert.ok(tarball, packed);
    await writeFile(join(folder, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
    await runProcess('npm', ['install', '--omit=dev', '--prefer-offline', ...quiet, `./${tarball}`], { cwd: folder });
  });
  after(() => rm(folder, { recursive: true, force: true }));

  const installed = (...path: string[]): string => join(folder, 'node_modules', 'foregate', ...path);
  const program = (): string => join(folder, 'node_modules', '.bin', 'foregate');

  it('holds what is needed to run it, and nothing of the workshop', async () => {
    const files = await readdir(installed());
    for (const name of ['dist', 'package.json', 'README.md', 'LICENSE']) assert.ok(files.includes(name), `${name} is missing`);
    for (const name of ['test', 'bench', 'gateway', 'node_modules', '.ci']) assert.ok(!files.includes(name), `${name} is in it`);
  });

  it('says its version and explains itself', async () => {
    const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
    assert.ok((await runProcess(program(), ['--version'])).includes(version));
    const help = await runProcess(program(), ['--help']);
    for (const command of ['run', 'check']) assert.match(help, new RegExp(`\\b${command}\\b`));
  });

  for (const entry of entries) {
    it(`loads as ${entry}`, async () => {
      const script = `const names = Object.keys(await import('${entry}')); if (names.length === 0) throw new Error('empty'); console.log(names.join());`;
      await runProcess(process.execPath, ['--input-type=module', '--eval', script], { cwd: folder });
    });
  }

  it('keeps its inside to itself', async () => {
    const script = `import('foregate/dist/gateway/index.js').then(() => process.exit(1), () => process.exit(0));`;
    await runProcess(process.execPath, ['--eval', script], { cwd: folder });
  });

  it('has types that a TypeScript program compiles against', async function () {
    this.timeout(60_000);
    await writeFile(join(folder, 'consumer.ts'), consumer);
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(consumerSettings));
    await runProcess(tool('tsc'), ['-p', folder], { cwd: folder });
  });

  it('passes the checks for publishing', async function () {
    this.timeout(60_000);
    await runProcess(tool('publint'), ['--strict', installed()], { cwd: root });
  });

  for (const major of [22, 24, 26]) {
    it(`carries a message on Node ${major}`, async function () {
      this.timeout(npmTimeoutMs);
      const node = major === 26 ? process.execPath : await nodeOfMajor(major);
      assert.match(await runProcess(node, ['--version']), new RegExp(`^v${major}\\.`));
      await carryMessage(node, installed('dist', 'bin', 'foregate.js'), folder);
    });
  }
});

/** Starts the program on a version of Node and sends a message through it and back. */
async function carryMessage(node: string, file: string, folder: string): Promise<void> {
  const backend = await startBackend(echo);
  const [port, controlPort] = [await freePort(), await freePort()];
  const config = join(folder, 'foregate.yaml');
  await writeFile(config, JSON.stringify(settings(port, controlPort, backend.origin)));
  const foregate = startProcess(node, [file, 'run', '--config', config]);
  try {
    await waitForPort(port, foregate);
    const client = await openClient(`ws://127.0.0.1:${port}/room`);
    client.send('hello');
    assert.equal(await client.nextText(), 'hello');
    await client.close();
    for (const path of ['/health/ready', '/docs', '/docs/swagger-ui-bundle.js'])
      assert.equal((await fetch(`http://127.0.0.1:${controlPort}${path}`)).status, 200, path);
  } finally {
    await foregate.stop('SIGTERM', 5000);
    await backend.stop();
  }
  assert.equal(await foregate.ended, 0, foregate.output());
}

function settings(port: number, controlPort: number, target: string): unknown {
  return {
    listen: [{ host: '127.0.0.1', port }],
    control: { host: '127.0.0.1', port: controlPort },
    drain: '1s',
    routes: [{ id: 'all', target }],
  };
}

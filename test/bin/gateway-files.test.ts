/** `foregate export` and `foregate import` as commands, with files in a folder of their own. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { foregate, type Ended } from './command.ts';

const secret = 'a-key-that-nobody-may-see';

describe('files of gateways', function () {
  this.timeout(20_000);
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'foregate-'));
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  function run(...args: readonly string[]): Promise<Ended> {
    return foregate(args, { cwd: folder });
  }

  function configure(use: string, gateway: string): void {
    writeFileSync(
      join(folder, 'foregate.yaml'),
      `routes:
  - id: chat
    match: { path: /chat, transports: [websocket] }
    target: http://127.0.0.1:8000
    adapter: { use: ${use}, gateway: { backend: 'http://127.0.0.1:9000', callers: [{ name: alice, key: ${secret} }], ${gateway} } }
`,
    );
  }

  const read = (name: string): string => readFileSync(join(folder, name), 'utf8');

  it('go from Foregate to Kong and back, without keys', async () => {
    configure('kong', 'limits: [{ count: 600, window: 1m }]');
    const exported = await run('export', 'kong', '--trust', '10.0.0.0/8');
    assert.deepEqual([exported.code, exported.stdout], [0, 'Wrote kong.yaml.\n']);
    assert.match(exported.stderr, /^kong\.conf: set trusted_ips = 10\.0\.0\.0\/8, /m);
    assert.equal(statSync(join(folder, 'kong.yaml')).mode & 0o777, 0o600);
    const imported = await run('import', 'kong', 'kong.yaml', '-o', 'back.yaml');
    assert.equal(imported.code, 0);
    assert.match(imported.stdout, /^Wrote back\.yaml\.\nLook through it, then run: foregate check --config back\.yaml\n$/);
    const { routes } = parse(read('back.yaml')) as { routes: readonly Record<string, unknown>[] };
    assert.deepEqual(routes[0]?.['match'], { path: '/chat', transports: ['websocket'] });
    assert.equal((await run('check', '-c', 'back.yaml')).code, 0);
    for (const text of [read('kong.yaml'), read('back.yaml'), exported.stderr]) assert.ok(!text.includes(secret));
  });

  it('hold keys where that is asked for, both ways', async () => {
    configure('kong', 'limits: []');
    assert.equal((await run('export', 'kong', '--with-secrets')).code, 0);
    assert.ok(read('kong.yaml').includes(secret));
    assert.equal((await run('import', 'kong', 'kong.yaml', '-o', 'back.yaml', '--with-secrets')).code, 0);
    assert.ok(read('back.yaml').includes(secret));
  });

  it('are not written when something in them cannot be said', async () => {
    configure('kong', 'limits: [{ count: 600, window: 90s }]');
    const { code, stdout, stderr } = await run('export', 'kong');
    assert.notEqual(code, 0);
    assert.equal(stdout, '');
    assert.match(stderr, /Nothing is written\.\n(.*\n)*refused: chat: a limit per 90 seconds/);
    assert.deepEqual(readdirSync(folder), ['foregate.yaml']);
  });

  it('are not read into nothing', async () => {
    writeFileSync(join(folder, 'kong.yaml'), 'services: [1\n');
    const { code, stderr } = await run('import', 'kong', 'kong.yaml');
    assert.notEqual(code, 0);
    assert.match(stderr, /No route is left, so nothing is written\.[^]*kong\.yaml: is not valid YAML or JSON \(kong\.yaml:\d, /);
    assert.ok(!existsSync(join(folder, 'foregate.yaml')));
  });

  it('of AsyncAPI name what is left out, and are one file', async () => {
    writeFileSync(
      join(folder, 'foregate.yaml'),
      `routes: [{ id: chat, match: { path: /chat }, target: 'http://127.0.0.1:1', headers: { A: ${secret} } }]`,
    );
    const { code, stdout, stderr } = await run('export', 'asyncapi', '--server', 'wss://chat.example.com', '--title', 'Chat');
    assert.deepEqual([code, stdout], [0, 'Wrote asyncapi.yaml.\n']);
    assert.match(stderr, /^chat: "headers\.A" is left out, as it is secret; /);
    const document = parse(read('asyncapi.yaml')) as Record<string, unknown>;
    assert.deepEqual(document['info'], { title: 'Chat', version: '1.0.0' });
    assert.ok(!read('asyncapi.yaml').includes(secret));
    const wrong = await run('export', 'asyncapi', '--server', 'wss://chat.example.com/below');
    assert.match(wrong.stderr, /Write scheme, host and port: wss:\/\/chat\.example\.com\./);
    assert.match((await run('export', 'asyncapi', '--route', 'chta')).stderr, /There is no route "chta"; routes are chat\./);
  });

  for (const [gateway, form, file] of [
    ['apisix', 'apisix', 'apisix.yaml'],
    ['tyk', 'tyk', 'chat.json'],
    ['tyk', 'tyk-classic', 'chat.json'],
  ] as const)
    it(`go to ${form} and back`, async () => {
      configure(gateway, 'limits: [{ count: 600, window: 90s, by: route }]');
      assert.equal((await run('export', form, '-o', 'out')).code, 0);
      const imported = await run('import', gateway, join('out', file), '-o', 'back.yaml');
      assert.equal(imported.code, 0, imported.stderr);
      assert.equal((await run('check', '-c', 'back.yaml')).code, 0);
      assert.match(read('back.yaml'), /window: 90s\n +by: route/);
    });
});

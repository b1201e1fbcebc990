/** `--asyncapi` and `asyncapi:`: documents beside a configuration, or in place of one, written and read by the command. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parse } from 'yaml';
import { foregate, type Ended } from './command.ts';

const fixtures = resolve('test/fixtures/asyncapi');

describe('foregate with AsyncAPI documents', function () {
  this.timeout(20_000);
  let folder: string;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'foregate-'));
  });

  after(() => rmSync(folder, { recursive: true }));

  const run = (...args: readonly string[]): Promise<Ended> => foregate(args, { cwd: folder });

  it('checks one without a configuration', async () => {
    const { code, stdout, stderr } = await run('check', '--asyncapi', join(fixtures, 'exchange.yaml'));
    assert.equal(code, 0, stderr);
    const { routes, asyncapi } = parse(stdout) as Record<string, { id: string; match: { template: string } }[]>;
    assert.deepEqual(
      routes?.map(({ id, match }) => `${id} ${match.template}`),
      ['currencyExchange /feed/'],
    );
    assert.equal(asyncapi, undefined);
  });

  it('refuses one of version 2, and one whose schemes nobody checks, with the place', async () => {
    const old = await run('check', '--asyncapi', join(fixtures, 'version-2.yaml'));
    assert.equal(old.code, 2);
    assert.match(old.stderr, /version-2\.yaml:2:11 {2}asyncapi {2}must be 3\.0\.x or 3\.1\.x, found "2\.6\.0"; convert it first/);
    const open = await run('check', '--asyncapi', join(fixtures, 'team-chat.yaml'));
    assert.match(open.stderr, /team-chat\.yaml:14:9 .*is checked by nobody: write under "security"/);
  });

  it('reads back what it has written, and writes the same', async () => {
    const policies = [
      { use: 'jwt', secret: '${SECRET}' },
      {
        use: 'message-schema',
        over: 'drop',
        schemas: { join: { inline: { type: 'object', properties: { type: { const: 'join' } } } } },
      },
    ];
    const routes = [
      { id: 'chat', match: { template: '/chat/{room}', transports: ['websocket'] }, target: 'http://127.0.0.1:1', policies },
    ];
    writeFileSync(join(folder, 'first.yaml'), JSON.stringify({ routes }));
    writeFileSync(join(folder, 'second.yaml'), 'asyncapi: [chat.yaml]');
    const environment = { env: { SECRET: 'planted-planted-planted-planted-1' } };
    const write = (config: string, output: string): Promise<Ended> =>
      foregate(['export', 'asyncapi', '-c', config, '-o', output], { cwd: folder, ...environment });
    assert.equal((await write('first.yaml', 'chat.yaml')).code, 0);
    const again = await write('second.yaml', 'again.yaml');
    assert.equal(again.code, 0, again.stderr);
    const text = readFileSync(join(folder, 'again.yaml'), 'utf8');
    assert.equal(text, readFileSync(join(folder, 'chat.yaml'), 'utf8'));
    assert.ok(!text.includes('planted'));
    // Where the secret is not known, the place in the document is told.
    const without = await run('check', '-c', 'second.yaml');
    assert.match(without.stderr, /^chat\.yaml:\d+:\d+ .*needs the environment variable SECRET/m);
  });
});

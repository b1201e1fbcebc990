/** `foregate import pushpin`, with files in a folder of its own. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text as textOf } from 'node:stream/consumers';
import jsonwebtoken from 'jsonwebtoken';
import { parse } from 'yaml';
import { convertPushpin, importCommand, importPushpinFile } from '../../../bin/import.ts';
import { startBackend } from '../../support/backend.ts';
import { startForegate } from '../../support/gateway.ts';

describe('foregate import pushpin', () => {
  let folder: string;
  let conf: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'foregate-'));
    conf = join(folder, 'pushpin.conf');
    writeFileSync(conf, '[global]\ninclude=base.conf\n[proxy]\nroutesfile=my-routes\nsig_key=file:grip.pem\n');
    writeFileSync(join(folder, 'base.conf'), '[proxy]\nsig_iss=base\n');
    writeFileSync(join(folder, 'my-routes'), '* 127.0.0.1:8080,over_http\n');
    writeFileSync(join(folder, 'other'), 'other.example 127.0.0.1:8081\n');
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  /** As if typed. */
  async function run(...args: readonly string[]): Promise<void> {
    await importCommand().parseAsync(['pushpin', ...args], { from: 'user' });
  }

  it('reads the routes file and the base file that the configuration names, from its folder', () => {
    const settings = parse(convertPushpin(conf).text) as { grip: unknown; routes: readonly { id: string }[] };
    assert.deepEqual(settings.grip, { issuer: 'base', key: `file:${join(folder, 'grip.pem')}` });
    assert.deepEqual(
      settings.routes.map(({ id }) => id),
      ['main'],
    );
  });

  it('reads another routes file where one is given', () => {
    const { text } = convertPushpin(conf, join(folder, 'other'));
    assert.match(text, /from pushpin\.conf and other\./);
    assert.match(text, /host: other\.example/);
  });

  it('gives the same text for the same files, without the path of their folder where none is needed', () => {
    const { text } = convertPushpin(conf);
    assert.equal(convertPushpin(conf).text, text);
    assert.ok(!text.replace(`file:${folder}`, '').includes(folder));
  });

  it('writes a file that only its owner may read, and tells what it left out', async () => {
    writeFileSync(join(folder, 'my-routes'), 'bad\n* 127.0.0.1:8080,ipc_file_mode=1\n');
    const output = join(folder, 'foregate.yaml');
    const printed = await importPushpinFile(conf, { output });
    assert.equal(readFileSync(output, 'utf8'), convertPushpin(conf).text);
    assert.equal(statSync(output).mode & 0o777, 0o600);
    assert.match(printed, /perhaps missed \(1\):\n {2}my-routes:1 {2}The line is skipped/);
    assert.match(printed, /mostly not missed \(1\):\n {2}my-routes:2 {2}ipc_file_mode/);
  });

  it('writes nothing where no route is left, and says why', async () => {
    writeFileSync(join(folder, 'my-routes'), '* zhttp/tcp://127.0.0.1:1\n');
    for (const output of [join(folder, 'foregate.yaml'), '-'])
      await assert.rejects(run(conf, '-o', output), /No route is left, so nothing is written\.[^]*my-routes:1 .*\(zhttp\)/);
    assert.ok(!existsSync(join(folder, 'foregate.yaml')));
  });

  it('prints the file for the output "-"', async () => {
    assert.equal(await importPushpinFile(conf, { output: '-' }), convertPushpin(conf).text);
  });

  it('writes over no file', async () => {
    const output = join(folder, 'other');
    await assert.rejects(run(conf, '-o', output), { message: `${output} exists already; name another with --output.` });
    assert.match(readFileSync(output, 'utf8'), /^other\.example/);
  });

  it('says which file cannot be read or written', async () => {
    await assert.rejects(run(join(folder, 'none.conf')), /The file ".*none\.conf" cannot be read/);
    await assert.rejects(run(conf, '--routes', join(folder, 'none')), /The file ".*none" cannot be read/);
    await assert.rejects(run(conf, '-o', join(folder, 'none', 'x')), /cannot be written/);
  });
});

describe('what foregate import pushpin wrote', () => {
  let stop: readonly (() => Promise<void>)[] = [];

  afterEach(async () => {
    for (const one of stop) await one();
  });

  it('runs, and its routes lead where those of Pushpin did', async () => {
    const backend = await startBackend(({ path, headers }) => ({
      body: `${path} ${headers.cookie ?? 'no cookie'} ${issuerOf(headers['grip-sig'])}`,
    }));
    const routes = [
      `a.example,path_beg=/v1/,replace_beg=/v2/,sig_iss=own,sig_key=k1,header=Cookie: 127.0.0.1:${backend.port},over_http`,
      `b.example,path_beg=/cut,path_rem=4 127.0.0.1:${backend.port},over_http`,
      'b.example,ssl=yes 127.0.0.1:1',
      `* 127.0.0.1:${backend.port},over_http`,
    ];
    const { port, stop: stopForegate } = await startForegate(imported(routes));
    stop = [stopForegate, backend.stop];
    const table: readonly (readonly [host: string, path: string, answer: string])[] = [
      ['a.example', '/v1/x?y', '200 /v2/x?y no cookie own'],
      ['a.example', '/else', '502 Route not found\n'],
      ['b.example', '/cut/x', '200 /x c=1 pushpin'],
      ['b.example', '/else', '502 Route not found\n'],
      ['c.example', '/v1/x', '200 /v1/x c=1 pushpin'],
    ];
    for (const [host, path, answer] of table) assert.equal(await ask(port, host, path), answer, `${host}${path}`);
  });

  /** With any free ports. */
  function imported(routes: readonly string[]): object {
    const folder = mkdtempSync(join(tmpdir(), 'foregate-'));
    writeFileSync(join(folder, 'pushpin.conf'), '');
    writeFileSync(join(folder, 'routes'), routes.join('\n'));
    const settings = parse(convertPushpin(join(folder, 'pushpin.conf')).text) as object;
    rmSync(folder, { recursive: true });
    return { ...settings, listen: [{ host: '127.0.0.1', port: 0 }], control: { host: '127.0.0.1', port: 0 } };
  }
});

function issuerOf(token: string | string[] | undefined): string {
  return String((jsonwebtoken.decode(String(token)) as { readonly iss?: string } | null)?.iss); // A JWT holds an object.
}

async function ask(port: number, host: string, path: string): Promise<string> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const headers = { Host: host, Cookie: 'c=1' };
    request({ host: '127.0.0.1', port, path, headers, agent: false }, resolve).once('error', reject).end();
  });
  return `${response.statusCode} ${await textOf(response)}`;
}

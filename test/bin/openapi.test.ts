/** `--openapi`: documents beside a configuration, or in place of one. */
import { deepEqual, equal, match } from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { Process } from '../support/processes.ts';
import { foregate, outputOf, startForegate } from './command.ts';

describe('foregate with OpenAPI documents', () => {
  let folder: string;
  let backend: Server;
  let started: Process | undefined;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'foregate-'));
    backend = createServer((request, response) => response.end(`backend: ${request.url ?? ''}`));
    await new Promise<void>((done) => backend.listen(0, '127.0.0.1', done));
  });

  after(async () => {
    await started?.stop('SIGKILL');
    backend.closeAllConnections();
    await new Promise((done) => backend.close(done));
    await rm(folder, { recursive: true });
  });

  function document(path: string): Promise<void> {
    const { port } = backend.address() as AddressInfo; // A TCP server has no other kind of address.
    const operation = { parameters: [{ name: 'n', in: 'query', schema: { type: 'integer' } }] };
    const api = {
      openapi: '3.1.0',
      webhooks: {},
      servers: [{ url: `http://127.0.0.1:${port}/v1` }],
      paths: { [path]: { get: operation } },
    };
    return writeFile(join(folder, 'api.json'), JSON.stringify(api));
  }

  async function answer(url: string, method = 'GET'): Promise<string> {
    const reply = await fetch(url, { method });
    return `${reply.status} ${await reply.text()}`;
  }

  it('checks one without a configuration, and says what it comes to', async () => {
    await document('/things/{id}');
    const { code, stdout, stderr } = await foregate(['check', '--openapi', 'api.json'], { cwd: folder });
    equal(code, 0, stderr);
    const { routes, openapi } = parse(stdout) as Record<string, { id: string; match: { template: string } }[]>;
    deepEqual(
      routes?.map(({ id, match: { template } }) => `${id} ${template}`),
      ['get-v1-things-id /v1/things/{id}'],
    );
    equal(openapi, undefined);
    const wrong = await foregate(['check', '--openapi', 'none.json'], { cwd: folder });
    deepEqual([wrong.code, wrong.stderr.trim()], [2, 'none.json  was not found']);
    const both = await foregate(['check', '-c', 'foregate.yaml', '--openapi', 'api.json'], { cwd: folder });
    deepEqual(both.code, 2);
    match(both.stderr, /^foregate\.yaml {2}was not found/);
  });

  it('serves its paths and methods, and reads it again on SIGHUP', async () => {
    await document('/things');
    await writeFile(join(folder, 'own.yaml'), 'listen: [{ host: 127.0.0.1 }]\ncontrol: { port: 0 }\n');
    started = startForegate(['run', '-c', 'own.yaml', '--openapi', 'api.json', '--port', '0'], { cwd: folder });
    const [, url = ''] = await outputOf(started, /"for":"clients","address":"([^"]+)"/);
    // What may surprise in it, as `foregate check` tells it.
    await outputOf(started, /"text":"api\.json:1:\d+ {2}.*no routes.*"event":"document\.remark"/);
    equal(await answer(`${url}/v1/things?n=1`), '200 backend: /v1/things?n=1');
    match(await answer(`${url}/v1/things?n=x`), /^400 .*query parameter \\?"n/);
    match(await answer(`${url}/v1/things`, 'POST'), /^405/);
    match(await answer(`${url}/v1/things/1`), /^404/);
    await document('/others');
    process.kill(started.pid, 'SIGHUP');
    await outputOf(started, /"event":"config\.reloaded"/);
    match(await answer(`${url}/v1/things`), /^404/);
    equal(await answer(`${url}/v1/others`), '200 backend: /v1/others');
    await writeFile(join(folder, 'api.json'), '{"openapi":"3.1.0"}');
    process.kill(started.pid, 'SIGHUP');
    await outputOf(
      started,
      /api\.json:1:1 {2}describes no operation.*"event":"config\.refused"|"event":"config\.refused".*api\.json:1:1 {2}describes no operation/,
    );
    equal(await answer(`${url}/v1/others`), '200 backend: /v1/others');
  });
});

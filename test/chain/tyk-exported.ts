/** Foregate, Tyk on its exported definitions, unedited, and a backend; by `npm run chain:tyk`. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { stringify } from 'yaml';
import { foregate as command } from '../bin/command.ts';
import { echo, startBackend, type Backend } from '../support/backend.ts';
import { openClient, refusedClient } from '../support/client.ts';
import { startForegate, type RunningForegate } from '../support/gateway.ts';
import { admin, createKey, launchTyk } from './tyk.ts';

const limit = { count: 5, window: '5m' };

/** In OAS a limit of size holds for all methods, Tyk refuses what has no length then, and older releases do not know it. */
function settings(form: string, backend: string, origin: string): string {
  const route = (id: string, path: string, transports: readonly string[], more: object): object => ({
    id,
    match: { path, transports },
    target: origin,
    adapter: { use: 'tyk', gateway: { backend, credential: { header: 'apikey' }, ...more } },
  });
  return stringify({
    listen: [{ host: '127.0.0.1', port: 0 }],
    control: { host: '127.0.0.1', port: 0 },
    drain: '1s',
    routes: [
      route('chat', '/chat', ['websocket'], { limits: [limit], bodyBytes: 4096 }),
      route('kept', '/kept', ['websocket'], { stripPath: true, backend: `${backend}/base`, hideCredential: false }),
      route('events', '/events', ['http'], { auth: 'none', ...(form !== 'tyk' && { bodyBytes: 4096 }) }),
    ],
  });
}

/** What `foregate export` writes, by the names of the files. */
async function exported(form: string, text: string): Promise<Record<string, string>> {
  const folder = await mkdtemp(join(tmpdir(), 'foregate-tyk-export-'));
  await writeFile(join(folder, 'foregate.yaml'), text);
  const { code, stderr } = await command(['export', form, '-o', 'out'], { cwd: folder });
  assert.equal(code, 0, stderr);
  const names = await readdir(join(folder, 'out'));
  const files = await Promise.all(names.map(async (name) => [name, await readFile(join(folder, 'out', name), 'utf8')] as const));
  await rm(folder, { recursive: true });
  return Object.fromEntries(files);
}

/** The way that the export itself tells. */
const handedOver: Readonly<Record<string, (files: Readonly<Record<string, string>>) => ReturnType<typeof launchTyk>>> = {
  'tyk-classic': launchTyk,
  tyk: async (files) => {
    const running = await launchTyk({});
    for (const text of Object.values(files)) await admin(running.origin, 'POST', 'apis/oas', JSON.parse(text) as object);
    await admin(running.origin, 'GET', 'reload/?block=true');
    return running;
  },
};

for (const [form, launch] of Object.entries(handedOver))
  describe(`through Tyk on what foregate export ${form} wrote`, function () {
    this.timeout(20_000);
    let backend: Backend;
    let tyk: Awaited<ReturnType<typeof launchTyk>>;
    let foregate: RunningForegate;

    before(async () => {
      backend = await startBackend();
      tyk = await launch(await exported(form, settings(form, backend.origin, 'http://127.0.0.1:1')));
      for (const path of ['/chat', '/kept', '/events']) await known(tyk.origin, path);
      foregate = await startForegate(settings(form, backend.origin, tyk.origin));
    });
    after(async () => {
      await foregate.stop();
      await tyk.stop();
      await backend.stop();
    });

    it('refuses a handshake without a key', async () => {
      const refusal = await refusedClient(`${foregate.socketUrl}/chat`, {});
      assert.equal(refusal.status, 401);
    });

    it('counts the OPEN and every message of a key, and refuses the sixth of five', async () => {
      const apikey = await createKey(tyk.origin, 'chat', { rate: limit.count, per: 300 });
      const client = await openClient(`${foregate.socketUrl}/chat/room`, { headers: { apikey } });
      for (let i = 1; i < limit.count; i += 1) {
        client.send(`message ${i}`);
        assert.equal(await client.nextText(), `message ${i}`);
      }
      client.send('one too many');
      assert.equal((await client.closed()).code, 4429);
      assert.equal(backend.requests.at(-1)?.headers['apikey'], undefined);
    });

    it('strips the beginning of the path, puts that of the backend in front, and leaves the key where it is to stay', async () => {
      const apikey = await createKey(tyk.origin, 'kept', { rate: 0, per: 0 });
      const client = await openClient(`${foregate.socketUrl}/kept/room`, { headers: { apikey } });
      const request = backend.requests.findLast(({ path }) => path === '/base/room');
      assert.equal(request?.headers['apikey'], apikey);
      client.socket.terminate();
    });

    it('lets plain requests through that have no body', async () => {
      backend.answer = () => ({ headers: { 'Content-Type': 'text/plain' }, body: 'seen' });
      assert.equal(await (await fetch(`${foregate.url}/events`)).text(), 'seen');
      backend.answer = echo;
    });

    if (form !== 'tyk')
      it('refuses bodies that are too large, which closes a WebSocket with 1009', async () => {
        const apikey = await createKey(tyk.origin, 'chat', { rate: 0, per: 0 });
        const client = await openClient(`${foregate.socketUrl}/chat/room`, { headers: { apikey } });
        client.send(Buffer.alloc(5000));
        assert.equal((await client.closed()).code, 1009);
        const large = await fetch(`${foregate.url}/events`, { method: 'POST', body: Buffer.alloc(5000) });
        assert.equal(large.status, 400);
      });
  });

/** A definition that was handed over takes its time. */
async function known(origin: string, path: string): Promise<void> {
  const deadline = Date.now() + 15_000;
  while ((await fetch(`${origin}${path}`)).status === 404) {
    assert.ok(Date.now() < deadline, `Tyk does not know ${path}.`);
    await pause(50);
  }
}

/** API keys from a file: who gets in, and what happens to open connections when the file changes or a key ends. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Log } from '../../gateway/core/log.ts';
import { effectiveSettings } from '../../gateway/config/effective.ts';
import { echo } from '../support/backend.ts';
import { refusedClient } from '../support/client.ts';
import { byPath, held, setHoldStage, stream, takeAnswer, takeChunk, type HoldStage } from './holds.ts';
import { clearStage, eventually, onClear, stageConfig } from './stage.ts';

const patience = 15_000;
const longest = 40_000;
const entry = (name: string, key: string, expires?: string): string =>
  `- { name: ${name}, hash: "sha256:${createHash('sha256').update(key).digest('hex')}"${expires === undefined ? '' : `, expires: ${expires}`} }\n`;
const bearing = (key: string) => ({ headers: { 'X-API-Key': key } });
const soon = (ms: number): string => new Date(Date.now() + ms).toISOString();

interface KeyStage extends HoldStage {
  readonly write: (...entries: string[]) => Promise<void>;
  /** Names of logged events, and what was logged. */
  readonly events: readonly string[];
  readonly logged: readonly string[];
  readonly shown: () => Promise<string>;
}

async function setKeyStage(...entries: string[]): Promise<KeyStage> {
  const folder = await mkdtemp(join(tmpdir(), 'foregate-keys-'));
  const file = join(folder, 'keys.yaml');
  await writeFile(file, entries.join(''));
  const events: string[] = [];
  const logged: string[] = [];
  const note = (event: string, fields: object = {}): void => {
    events.push(event);
    logged.push(Object.values(fields).map(String).join(' '));
  };
  const log: Log = { error: note, warn: note, info: note, debug: note };
  const others = byPath({ '/events': stream('c'), '/poll': held('c') });
  const route = { policies: [{ use: 'api-key', file, from: { header: 'X-API-Key', query: 'key' } }] };
  const answer = (request: Parameters<typeof echo>[0]) => (request.path === '/' ? echo(request) : others(request));
  const stage = await setHoldStage({ route, log, answer });
  onClear(() => rm(folder, { recursive: true }));
  const shown = async (): Promise<string> => effectiveSettings(await stageConfig({ route }, [{ url: stage.backend.origin }]));
  return { ...stage, events, logged, shown, write: (...now) => replaceFile(file, now.join('')) };
}

/** As editors do, so that it is never half there. */
async function replaceFile(file: string, text: string): Promise<void> {
  await writeFile(`${file}.new`, text);
  await rename(`${file}.new`, file);
}

afterEach(clearStage);

describe('a file of keys', () => {
  it('lets in who has one of them, by its hash', async () => {
    const stage = await setKeyStage(entry('shop', 'key-1'), entry('press', 'key-2', '2100-01-01'));
    const client = await stage.open('/', bearing('key-1'));
    client.send('hello');
    assert.equal(await client.nextText(), 'hello');
    await stage.open('/', bearing('key-2'));
    const socketUrl = stage.url.replace('http', 'ws');
    for (const wrong of ['key-3', '', createHash('sha256').update('key-1').digest('hex')])
      assert.equal((await refusedClient(socketUrl, bearing(wrong))).status, 401);
    const sessions = (await (await fetch(`${stage.controlUrl}/connections`)).json()) as { readonly subject: string }[];
    assert.deepEqual(sessions.map(({ subject }) => subject).toSorted(), ['press', 'shop']);
  });

  it('is taken up when it changes: new keys get in, and sessions of a key that is gone end with 4401', async () => {
    const stage = await setKeyStage(entry('shop', 'key-1'), entry('press', 'key-2'));
    const lost = await stage.open('/', bearing('key-1'));
    const kept = await stage.open('/', bearing('key-2'));
    const events = await stage.request('/events', { headers: ['X-API-Key: key-1'] });
    await events.takeHead();
    const poll = await stage.request('/poll', { headers: ['X-API-Key: key-1'] });
    await stage.joined('c', 2);
    await stage.write(entry('press', 'key-2'), entry('news', 'key-3'));
    assert.deepEqual(await lost.closed(patience), { code: 4401, reason: 'The credentials were revoked.' });
    assert.equal(await takeChunk(events, patience), '');
    assert.equal((await takeAnswer(poll, patience)).status, 401);
    assert.equal((await refusedClient(stage.url.replace('http', 'ws'), bearing('key-1'))).status, 401);
    await stage.open('/', bearing('key-3'));
    kept.send('still here');
    assert.equal(await kept.nextText(), 'still here');
  }).timeout(longest);

  it('ends the sessions of a key that has got another name', async () => {
    const stage = await setKeyStage(entry('shop', 'key-1'));
    const client = await stage.open('/', bearing('key-1'));
    await stage.write(entry('press', 'key-1'));
    assert.equal((await client.closed(patience)).code, 4401);
  }).timeout(longest);

  it('may become empty', async () => {
    const stage = await setKeyStage(entry('shop', 'key-1'));
    const client = await stage.open('/', bearing('key-1'));
    await stage.write('# none\n');
    assert.equal((await client.closed(patience)).code, 4401);
  }).timeout(longest);

  const wrong: readonly (readonly [what: string, text: string])[] = [
    ['what is no YAML', '- { name: planted-text\n'],
    ['a mapping', 'name: shop\n'],
    ['an entry with a plain key', '- { name: shop, hash: planted-text }\n'],
    ['an entry without a name', entry('""', 'key-1')],
    ['an entry with more', `- { name: shop, hash: "sha256:${'0'.repeat(64)}", planted-text: 1 }\n`],
    ['an end that is none', entry('shop', 'key-1', 'planted-text')],
    ['the same key twice', entry('shop', 'key-1') + entry('press', 'key-1')],
    ['aliases', `- &a { name: shop, hash: "sha256:${'0'.repeat(64)}" }\n- *a\n`],
    ['a megabyte and more', `# ${'x'.repeat(1_100_000)}\n`],
  ];
  for (const [what, text] of wrong) {
    it(`changes nothing by ${what}, and says so without what stands there`, async () => {
      const stage = await setKeyStage(entry('shop', 'key-1'));
      const client = await stage.open('/', bearing('key-1'));
      await stage.write(text);
      await eventually(() => stage.events.includes('api-key.file-refused'), patience);
      client.send('still here');
      assert.equal(await client.nextText(), 'still here');
      await stage.open('/', bearing('key-1'));
      assert.ok(stage.logged.some((line) => line.includes('The keys cannot be read')));
      assert.ok(stage.logged.every((line) => !line.includes('planted-text')));
    }).timeout(longest);
  }

  it('is no file that a start would take if it is wrong', async () => {
    await assert.rejects(setKeyStage('- shop\n'), /entry 1 must have "name" and "hash"/);
  });

  it('ends sessions with their key, also where the end has moved', async () => {
    const stage = await setKeyStage(entry('shop', 'key-1', soon(4000)), entry('press', 'key-2', soon(3_600_000)));
    const first = await stage.open('/', bearing('key-1'));
    const second = await stage.open('/', bearing('key-2'));
    const events = await stage.request('/events', { headers: ['X-API-Key: key-1'] });
    await events.takeHead();
    assert.deepEqual(await first.closed(patience), { code: 4401, reason: 'The API key has expired.' });
    assert.equal(await takeChunk(events, patience), '');
    const refusal = await refusedClient(stage.url.replace('http', 'ws'), bearing('key-1'));
    assert.deepEqual([refusal.status, JSON.parse(refusal.body).detail], [401, 'The API key has expired.']);
    await stage.write(entry('press', 'key-2', soon(1500)));
    assert.equal((await second.closed(patience)).code, 4401);
  }).timeout(longest);

  it('shows neither keys nor hashes anywhere', async () => {
    const stage = await setKeyStage(entry('shop', 'planted-key'));
    const client = await stage.open('/?key=planted-key');
    await refusedClient(`${stage.url.replace('http', 'ws')}/?key=planted-key-2`);
    await stage.write('');
    await client.closed(patience);
    const texts = [...stage.logged, ...stage.events, await stage.shown()];
    for (const path of ['/metrics', '/connections']) texts.push(await (await fetch(stage.controlUrl + path)).text());
    const hidden = ['planted-key', createHash('sha256').update('planted-key').digest('hex')];
    for (const text of texts) for (const secret of hidden) assert.ok(!text.includes(secret), text);
    assert.ok(stage.backend.requests.every(({ path }) => !path.includes('planted')));
  }).timeout(longest);
});

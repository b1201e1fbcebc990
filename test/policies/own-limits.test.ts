/** Keys with limits of their own: who gets which, and what happens when the file gives others. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createPolicy, testSession } from '../../gateway/testing/index.ts';
import { apiKey } from '../../policies/api-key.ts';
import { clearStage, eventually, onClear, setStage, type Stage } from '../protocol/stage.ts';
import type { Client } from '../support/client.ts';

const entry = (name: string, limits = ''): string =>
  `- { name: ${name}, hash: "sha256:${createHash('sha256').update(`key of ${name}`).digest('hex')}"${limits === '' ? '' : `, limits: ${limits}`} }\n`;

interface KeyStage extends Stage {
  readonly enter: (name: string) => Promise<Client>;
  readonly write: (text: string) => Promise<void>;
}

async function setKeyStage(text: string, ...policies: readonly object[]): Promise<KeyStage> {
  const folder = await mkdtemp(join(tmpdir(), 'foregate-own-limits-'));
  const file = join(folder, 'keys.yaml');
  await writeFile(file, text);
  const stage = await setStage({ route: { policies: [{ use: 'api-key', file }, ...policies] } });
  onClear(() => rm(folder, { recursive: true }));
  const write = async (later: string): Promise<void> => {
    await writeFile(`${file}.new`, later);
    await rename(`${file}.new`, file);
  };
  return { ...stage, enter: (name) => stage.open('/', { headers: { 'X-API-Key': `key of ${name}` } }), write };
}

/** How many of `count` messages were sent back; over the limit each gets an answer that begins with `no`. */
async function passed(client: Client, count: number): Promise<number> {
  for (let i = 0; i < count; i += 1) client.send(`message ${i}`);
  const answers: string[] = [];
  while (answers.length < count) answers.push(await client.nextText());
  return answers.filter((answer) => answer.startsWith('message')).length;
}

describe('limits of a key', () => {
  afterEach(clearStage);

  const answering = { over: 'answer', text: 'no' };
  const perHour = { use: 'rate-limit', messages: 2, window: '1h', by: 'key', ...answering };
  const two = entry('ann', '{ messages: 5, window: 1h, quota: 4 }') + entry('bob');

  it('stand in place of those of rate-limit, for who has them', async () => {
    const stage = await setKeyStage(two, perHour);
    assert.equal(await passed(await stage.enter('ann'), 7), 5);
    assert.equal(await passed(await stage.enter('bob'), 7), 2);
    assert.equal(await passed(await stage.enter('ann'), 2), 0, 'a second connection has no limit of its own');
  });

  it('stand in place of that of quota', async () => {
    const stage = await setKeyStage(two, { use: 'quota', messages: 1, period: 'month', by: 'key', ...answering });
    const [ann, bob] = [await stage.enter('ann'), await stage.enter('bob')];
    assert.equal(await passed(ann, 6), 4);
    assert.equal(await passed(bob, 6), 1);
  });

  it('count for connections and subjects as well, and tell the client', async () => {
    const keys = entry('ann', '{ connections: 2, window: 1h }');
    const stage = await setKeyStage(keys, { use: 'rate-limit', connections: 1, window: '1m', by: 'subject' });
    const ask = (): Promise<Response> => fetch(stage.url, { headers: { 'X-API-Key': 'key of ann' } });
    const [first, second, third] = [await ask(), await ask(), await ask()];
    assert.equal(first.headers.get('ratelimit-policy'), '"connections";q=2;w=3600');
    assert.deepEqual([second.status === 429, third.status], [false, 429]);
  });

  it('are none where it is counted by something else, or something else is counted', async () => {
    const byAddress = await setKeyStage(two, { ...perHour, by: 'address' });
    assert.equal(await passed(await byAddress.enter('ann'), 7), 2);
    await clearStage();
    const bytes = await setKeyStage(two, { ...perHour, messages: undefined, bytes: 18 });
    assert.equal(await passed(await bytes.enter('ann'), 7), 2);
  });

  it('change with the file, also for connections that are open', async () => {
    const stage = await setKeyStage(two, perHour);
    const client = await stage.enter('ann');
    assert.equal(await passed(client, 6), 5);
    await stage.write(entry('ann', '{ messages: 1000000, window: 1h }') + entry('bob'));
    await eventually(async () => (await passed(client, 1)) === 1, 15_000);
  }).timeout(40_000);

  for (const limits of [
    '5',
    '{ messages: 0 }',
    '{ messages: many }',
    '{ message: 1 }',
    '{ messages: 1, window: 0s }',
    '{ messages: 1, window: 25d }',
  ]) {
    it(`are told with their entry where they are wrong: ${limits}`, async () => {
      await assert.rejects(setKeyStage(entry('bob') + entry('ann', limits)), /entry 2 has "limits" that are none/);
    });
  }

  it('may stand in the options, too', async () => {
    const keys = [{ key: 'one', name: 'ann', limits: { messages: 5, window: '1m' } }];
    const session = testSession({ headers: ['X-API-Key', 'one'] });
    const policy = await createPolicy(apiKey, { keys });
    await policy.connect?.(session, []);
    assert.deepEqual(session.identity, { subject: 'ann', by: 'api-key', limits: { messages: 5, windowMs: 60_000 } });
    const long = [{ key: 'one', name: 'ann', limits: { messages: 5, window: '25d' } }];
    await assert.rejects(createPolicy(apiKey, { keys: long }), /A window of 25d is not possible/);
  });
});

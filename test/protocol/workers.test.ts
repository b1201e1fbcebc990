/** Two workers of one program, each with a port of its own so that a test can choose between them. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Publisher } from 'zeromq';
import { limits } from '../../gateway/core/limits.ts';
import { silentLog, type Log } from '../../gateway/core/log.ts';
import { createWorker } from '../../gateway/foregate.ts';
import { useCluster } from '../engines/cluster.ts';
import { byPath, held, setHoldStage, takeAnswer, type HoldStage } from './holds.ts';
import { acceptedWithGrip, clearStage, eventually, onClear, pause, type StageTerms } from './stage.ts';
import { text } from '../support/backend.ts';
import { refusedClient } from '../support/client.ts';

describe('two workers', () => {
  afterEach(clearStage);
  const cluster = useCluster();

  async function worker(terms: StageTerms): Promise<HoldStage> {
    const { member } = cluster().connect();
    return setHoldStage({
      ...terms,
      create: (loaded, options) => createWorker(loaded, { log: options?.log ?? silentLog, member }),
    });
  }

  it('ask again for a long-poll when an item was published to the other one before it was held (GRIP 4.5)', async () => {
    let asked = 0;
    const other = await worker({});
    const stage = await worker({
      answer: async () => {
        asked += 1;
        if (asked > 1) return { body: 'the item' };
        await other.answered('c', 'nobody gets this');
        return held('c');
      },
    });
    assert.equal((await takeAnswer(await stage.request('/poll'))).body, 'the item');
    assert.equal(asked, 2);
  });

  it('know what a client that polls has missed while it was away, published to the other one (GRIP 4.5)', async () => {
    let asked = 0;
    const other = await worker({});
    const stage = await worker({
      settings: { holds: { recheck: false } },
      answer: byPath({
        '/poll': () => {
          asked += 1;
          return asked < 3 ? held(`c; prev-id=${asked}`) : { body: 'all there is' };
        },
      }),
    });
    const first = await stage.request('/poll');
    await stage.joined('c');
    await other.answered('c', 'two', { id: '2', 'prev-id': '1' });
    assert.equal((await takeAnswer(first)).body, 'two');
    await other.answered('c', 'three', { id: '3', 'prev-id': '2' });
    assert.equal((await takeAnswer(await stage.request('/poll'))).body, 'all there is');
    assert.equal(asked, 3);
  });

  it('are ready when all are up, and not before', async () => {
    const stage = await worker({});
    const readiness = async (): Promise<number> => (await fetch(`${stage.controlUrl}/health/ready`)).status;
    assert.equal(await readiness(), 503);
    cluster().primary.complete();
    await eventually(async () => (await readiness()) === 200);
    const later = await worker({});
    assert.equal((await fetch(`${later.controlUrl}/health/ready`)).status, 200);
  });

  it('take the tickets of one another, and each of them once', async () => {
    const policies = [{ use: 'api-key', keys: [{ name: 'ann', key: 'k' }], required: false }, { use: 'ticket' }];
    const [one, two] = [await worker({ route: { policies } }), await worker({ route: { policies } })];
    const given = await fetch(`${one.url}/tickets`, { method: 'POST', headers: { 'X-API-Key': 'k' } });
    const { ticket } = (await given.json()) as { readonly ticket: string };
    await two.open(`/?ticket=${ticket}`);
    for (const { url } of [one, two])
      assert.equal((await refusedClient(`${url.replace('http', 'ws')}/?ticket=${ticket}`)).status, 401);
  });

  it('take an item once that came to one of them before it had a subscriber', async () => {
    const joins = acceptedWithGrip([text('c:{"type":"subscribe","channel":"c"}')]);
    const [one, two] = [await worker({ answer: () => joins }), await worker({ answer: () => joins })];
    await one.publish('c', { content: 'for nobody' }, { id: '1' });
    const client = await two.open();
    await two.joined('c');
    await one.publish('c', { content: 'again' }, { id: '1' });
    await one.publish('c', { content: 'new' }, { id: '2' });
    assert.equal(await client.nextText(), 'new');
  });

  it('ask publishers over ZeroMQ for what clients of the other one want', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'foregate-'));
    onClear(() => rm(folder, { recursive: true }));
    const spec = `ipc://${folder}/sub`;
    const settings = { control: { port: 0, zeromq: { subscribe: [spec] } } };
    const answer = () => acceptedWithGrip([text('c:{"type":"subscribe","channel":"c"}')]);
    await worker({ settings, answer });
    const second = await worker({ settings, answer });
    const client = await second.open();
    const publisher = new Publisher({ linger: 0 });
    onClear(() => publisher.close());
    publisher.connect(spec);
    const hearing = client.nextText(8000);
    // Until the subscription has come to the publisher it drops what it sends.
    for (let heard: unknown; heard !== 'hello'; heard = await Promise.race([hearing, pause(20)]))
      await publisher.send(['c', `J${JSON.stringify({ channel: 'c', 'ws-message': { content: 'hello' } })}`]);
  });

  it('go on when one of them cannot do what it is told, and say so in the log', async () => {
    const failures: unknown[] = [];
    const log: Log = { ...silentLog, error: (event, fields) => void failures.push([event, fields?.['kind']]) };
    const stage = await worker({ log });
    const { member } = await cluster().worker();
    const until = Date.now() + 3_600_000;
    for (let i = 0; i <= limits.revocations; i += 1) {
      const revocation = { of: 'jti', value: String(i), issuedBefore: 0, until } as const;
      member.say({ kind: 'tell', notice: { kind: 'revoke', revocation } });
      if (i % 10_000 === 0) await pause(0);
    }
    await eventually(() => failures.length > 0, 8000);
    assert.deepEqual(failures, [['notice.failed', 'revoke']]);
    const client = await stage.open();
    client.send('still there');
    assert.equal(await client.nextText(), 'still there');
  }).timeout(20_000);
});

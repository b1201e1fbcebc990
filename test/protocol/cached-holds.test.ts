/** Holds that a cache of the gateway behind hands out again (`cachedHolds`). */
import assert from 'node:assert/strict';
import { silentLog } from '../../gateway/core/log.ts';
import { byPath, held, instruct, setHoldStage, stream, takeAnswer, takeChunk, takeText, type HoldStage } from './holds.ts';
import { clearStage, eventually } from './stage.ts';

const cached = { 'X-Cache-Status': 'Hit' };

/** The field stands in some replies only, and must be seen where the client does not see it. */
const answers = byPath({
  '/poll': held('mine', cached),
  '/stream': stream('mine', cached, 'first'),
  '/document': instruct({ hold: { mode: 'response', channels: [{ name: 'mine' }] } }, { Age: '7' }),
  '/exposed': held('mine', { ...cached, 'Grip-Expose-Headers': 'Content-Type' }),
  '/fresh': stream('mine', { 'X-Cache-Status': 'Miss', Age: '0', 'Grip-Link': '<page>; rel=next; timeout=1' }, 'first'),
  '/page': stream('mine', { ...cached, 'Grip-Link': '<page>; rel=next; timeout=1' }, 'second'),
  '/plain': { headers: { ...cached, 'Grip-Status': '200' }, body: 'plain' },
});

describe('a hold out of a cache', () => {
  afterEach(clearStage);

  it('is refused where the route says so, whatever its form, and nobody joins its channels', async () => {
    const { stage } = await setCachedStage('refuse');
    for (const path of ['/poll', '/stream', '/document', '/exposed']) {
      const { status, body } = await takeAnswer(await stage.request(path));
      assert.deepEqual([status, body.includes('mine')], [502, false], path);
    }
    assert.equal(await stage.members('mine'), 0);
  });

  it('is refused in the reply of a next link, too: the stream ends', async () => {
    const { stage } = await setCachedStage('refuse');
    const socket = await stage.request('/fresh');
    await socket.takeHead();
    await takeText(socket, 'first');
    await stage.joined('mine');
    await stage.recover();
    await eventually(() => stage.at('/page').length === 1);
    assert.equal(await takeChunk(socket), '');
    await stage.joined('mine', 0);
  });

  it("is refused when the client's request is made again", async () => {
    const { stage } = await setCachedStage('refuse');
    stage.backend.answer = () => held('mine');
    const socket = await stage.request('/');
    await stage.joined('mine');
    stage.backend.answer = () => held('mine', cached);
    await stage.recover();
    assert.equal((await takeAnswer(socket)).status, 502);
  });

  it('is no matter where nothing is held', async () => {
    const { stage, warnings } = await setCachedStage('refuse');
    assert.equal((await takeAnswer(await stage.request('/plain'))).body, 'plain');
    assert.deepEqual(warnings, []);
  });

  it('is told in the log unless it is refused', async () => {
    const { stage, warnings } = await setCachedStage(undefined);
    await stage.request('/poll');
    await stage.request('/stream');
    await stage.joined('mine', 2);
    assert.deepEqual(warnings, [['hold.cached', 'X-Cache-Status']]);
  });
});

async function setCachedStage(cachedHolds: 'refuse' | undefined): Promise<{ stage: HoldStage; warnings: unknown[] }> {
  const warnings: unknown[] = [];
  const log = {
    ...silentLog,
    warn: (event: string, fields?: object) => void warnings.push([event, Reflect.get(fields ?? {}, 'field')]),
  };
  return { stage: await setHoldStage({ answer: answers, log, ...(cachedHolds && { route: { cachedHolds } }) }), warnings };
}

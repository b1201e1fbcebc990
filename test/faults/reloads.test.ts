/** Reload after reload under load: nobody is disconnected, nothing is lost, and what was replaced goes. */
import assert from 'node:assert/strict';
import { startBackend, type Backend } from '../support/backend.ts';
import { loadSettings, startForegate, type RunningForegate } from '../support/gateway.ts';
import { eventually, pause } from '../protocol/stage.ts';
import { answerCrowd, Crowd } from './crowd.ts';

const each = 100;
const reloads = 20;

describe('20 reloads under load', function () {
  this.timeout(60_000);
  let backend: Backend;
  let foregate: RunningForegate;
  let crowd: Crowd;
  afterEach(async () => {
    crowd.leave();
    await foregate.stop();
    await backend.stop();
  });

  it('disturb no socket, stream or plain request', async () => {
    backend = await startBackend(answerCrowd);
    const policies = [{ use: 'rate-limit', messages: 1_000_000, window: '1h', by: 'session' }];
    const settings = { routes: [{ id: 'all', target: backend.origin, policies }] };
    foregate = await startForegate(settings);
    crowd = new Crowd(foregate);
    await crowd.open(each, each);
    for (let reload = 1; reload <= reloads; reload += 1) {
      crowd.say();
      const [reloaded, plain] = await Promise.all([
        foregate.foregate.reload(await loadSettings(settings)),
        fetch(`${foregate.url}/plain`),
        crowd.publish(),
      ]);
      assert.deepEqual([reloaded.kept, reloaded.drained], [2 * each, 0]);
      assert.equal(await plain.text(), 'plain');
      await pause(20);
    }
    const { counts } = crowd;
    const all = each * reloads;
    await eventually(() => counts.echoes === all && counts.pushed === all && counts.streamed === all, 20_000);
    assert.deepEqual(counts, { echoes: all, pushed: all, streamed: all, closed: 0, wrong: 0 });
  });
});

/** A backend that goes away and comes back under many sockets and streams: nobody is disconnected, nothing is lost (GRIP 2.10, 4.6). */
import assert from 'node:assert/strict';
import { startBackend } from '../support/backend.ts';
import { startForegate, type RunningForegate } from '../support/gateway.ts';
import { eventually } from '../protocol/stage.ts';
import { answerCrowd, Crowd } from './crowd.ts';

const each = 1000;

describe('a backend that is restarted under 1,000 sockets and 1,000 streams', function () {
  this.timeout(60_000);
  let foregate: RunningForegate;
  let crowd: Crowd;
  afterEach(async () => {
    crowd.leave();
    await foregate.stop();
  });

  it('loses none of them, and no event, item or publication', async () => {
    const first = await startBackend(answerCrowd);
    foregate = await startForegate({ routes: [{ id: 'all', target: first.origin }] });
    crowd = new Crowd(foregate);
    await crowd.open(each, each);
    const { counts } = crowd;
    await crowd.publish();
    await eventually(() => counts.pushed === each && counts.streamed === each, 10_000);

    await first.stop();
    crowd.say();
    await crowd.publish();
    await eventually(() => counts.pushed === 2 * each && counts.streamed === 2 * each, 10_000);
    assert.equal(counts.echoes, 0);

    const second = await startBackend(answerCrowd, first.port);
    await eventually(() => counts.echoes === each, 20_000);
    assert.deepEqual(counts, { echoes: each, pushed: 2 * each, streamed: 2 * each, closed: 0, wrong: 0 });
    await second.stop();
  });
});

/** How long a link inside a socket is asked for, and what the client hears then. */
import assert from 'node:assert/strict';
import { ForegateError } from '../../gateway/core/errors.ts';
import { channelName } from '../../gateway/core/ids.ts';
import { noMetrics } from '../../gateway/core/metrics.ts';
import type { Publication } from '../../gateway/core/publication.ts';
import { noMetadata, type Denial } from '../../gateway/core/session.ts';
import { silentLog } from '../../gateway/core/log.ts';
import type { SessionParts } from '../../gateway/session/parts.ts';
import { Recovery, type RecoveryHost } from '../../gateway/session/recovery.ts';
import { ManualClock } from '../../gateway/testing/index.ts';
import { Hub } from '../../gateway/channel/hub.ts';
import { turns } from '../channel/recorder.ts';
import { testRequest, testRoute, testSession, testTarget } from '../downstream/routes.ts';
import { messageShape } from '../../gateway/wire/message-shape.ts';

const channel = channelName('c');
const second: Publication = {
  channel,
  id: '2',
  previousId: '1',
  meta: noMetadata,
  formats: { message: { action: 'send', type: 'text', content: Buffer.from('two') } },
};

describe('a link inside a socket that always fails', () => {
  it('is asked again after 1, 2, 4, 8 and 16 s and up to a second more each, then the client is sent away; items flow meanwhile', async () => {
    const clock = new ManualClock();
    const started = clock.now();
    const askedAt: number[] = [];
    const hub = new Hub({ want: () => undefined, log: silentLog, metrics: noMetrics });
    const ended: Denial[] = [];
    const written: string[] = [];
    const host = hostOf(
      (denial) => ended.push(denial),
      (bytes) => written.push(bytes.subarray(2).toString()),
    );
    const fetch: SessionParts['links']['fetch'] = async ({ draft }) => {
      draft();
      askedAt.push((clock.now() - started) / 1000);
      throw new ForegateError('downstream-unreachable');
    };
    // Of all parts, these are what recovery needs.
    const parts = {
      clock,
      hub,
      links: { fetch },
      log: silentLog,
      metrics: noMetrics,
      lastId: () => undefined,
    } as unknown as SessionParts;
    const recovery = new Recovery(parts, host, []);
    void recovery.subscribe({ channel, filters: [], previousId: '1', next: '/items' });
    recovery.missed(channel);
    for (let i = 0; i < 40 * 4; i += 1) {
      if (i === 20) hub.receive(second);
      await turns(2);
      clock.advance(250);
    }
    assert.equal(askedAt.length, 6);
    for (const [i, waitS] of [1, 2, 4, 8, 16].entries()) {
      const tookS = (askedAt[i + 1] ?? 0) - (askedAt[i] ?? 0);
      assert.ok(tookS >= waitS && tookS <= waitS + 1.5, `${tookS} s`);
    }
    assert.deepEqual(
      ended.map(({ code, detail }) => [code, detail]),
      [['recovery-failed', "Try again: what came after id '2' of channel 'c' is not to be had now."]],
    );
    assert.deepEqual(written, ['two']);
  });
});

function hostOf(end: (denial: Denial) => void, write: (bytes: Buffer) => void): RecoveryHost {
  const request = testRequest(['Host', 'client.example']);
  const view = testSession(request);
  return {
    id: view.id,
    view,
    request,
    route: testRoute(),
    target: testTarget(),
    head: { path: '/', headers: ['Host', 'client.example'] },
    open: true,
    shape: messageShape,
    meta: noMetadata,
    joined: () => false,
    asksFilters: false,
    filterFailed: () => undefined,
    askFilter: () => Promise.resolve('drop'),
    act: () => undefined,
    missed: () => undefined,
    apply: () => undefined,
    room: () => undefined,
    write: (bytes) => {
      write(bytes);
      return true;
    },
    end: (denial) => assert.fail(denial.detail),
    endInWords: end,
  };
}

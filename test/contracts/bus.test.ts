/** Runs the contract of buses on the one of a single process. */
import assert from 'node:assert/strict';
import { channelName } from '../../gateway/core/ids.ts';
import type { Publication } from '../../gateway/core/publication.ts';
import { noMetadata } from '../../gateway/core/session.ts';
import { createLocalBus } from '../../gateway/engines/local-bus.ts';
import { busContract } from '../../gateway/testing/bus-contract.ts';

busContract('local', { open: createLocalBus, processes: 'one' });

describe('local bus', () => {
  it('delivers before publish returns, and makes no promise', () => {
    const got: Publication[] = [];
    const bus = createLocalBus({ deliver: (item) => void got.push(item), notice: () => assert.fail() });
    const publication: Publication = { channel: channelName('news'), meta: noMetadata, formats: {} };
    assert.equal(bus.want(publication.channel, true), undefined);
    assert.equal(bus.publish(publication), undefined);
    assert.equal(got[0], publication);
  });
});

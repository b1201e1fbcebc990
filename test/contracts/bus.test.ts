/** Runs the contract of buses on the one of a single process, and on the one of worker processes. */
import assert from 'node:assert/strict';
import { channelName } from '../../gateway/core/ids.ts';
import type { Publication } from '../../gateway/core/publication.ts';
import { noMetadata } from '../../gateway/core/session.ts';
import { createClusterBus } from '../../gateway/engines/cluster-bus.ts';
import { createLocalBus } from '../../gateway/engines/local-bus.ts';
import { busContract } from '../../gateway/testing/bus-contract.ts';
import { EchoChannel, TestCluster } from '../engines/cluster.ts';

busContract('local', { open: createLocalBus, processes: 'one' });

describe('with a channel between processes', () => {
  let channel: EchoChannel;
  let cluster: TestCluster;
  before(() => {
    channel = new EchoChannel();
  });
  beforeEach(() => {
    cluster = new TestCluster(channel);
  });
  afterEach(() => cluster.primary.close());
  after(() => channel.close());

  busContract('cluster', {
    processes: 'many',
    open: async (receiver) => createClusterBus((await cluster.worker()).member, receiver),
  });
});

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

/** Runs the contract of buses on the one of a single process, on the one of worker processes and on the one in Redis. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { channelName } from '../../gateway/core/ids.ts';
import type { Publication } from '../../gateway/core/publication.ts';
import { noMetadata } from '../../gateway/core/session.ts';
import { createClusterBus } from '../../gateway/engines/cluster-bus.ts';
import { silentLog } from '../../gateway/core/log.ts';
import { noMetrics } from '../../gateway/core/metrics.ts';
import { createLocalBus } from '../../gateway/engines/local-bus.ts';
import { redisBus } from '../../gateway/engines/redis-bus.ts';
import { busContract } from '../../gateway/testing/bus-contract.ts';
import { useCluster } from '../engines/cluster.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';

busContract('local', { open: createLocalBus, processes: 'one' });

describe('with a channel between processes', () => {
  const cluster = useCluster();

  busContract('cluster', {
    processes: 'many',
    open: async (receiver) => createClusterBus((await cluster().worker()).member, receiver),
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

describe('with a redis-server', () => {
  let redis: RedisServer;
  let prefix = '';
  before(async () => {
    redis = await startRedis();
  });
  beforeEach(() => {
    prefix = `${randomUUID()}:`;
  });
  after(() => redis.kill());

  busContract('redis', {
    processes: 'many',
    open: async (receiver) => {
      const settings = { use: 'redis', url: redis.url, prefix, timeout: '10s' } as const;
      const bus = redisBus({ settings, receiver, log: silentLog, metrics: noMetrics });
      await bus.open();
      assert.equal(bus.away, false);
      return bus;
    },
  });
});

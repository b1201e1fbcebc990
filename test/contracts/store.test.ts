/** Runs the contract of stores on the one in memory, on that of worker processes, and on the one in Redis. */
import { randomUUID } from 'node:crypto';
import { silentLog } from '../../gateway/core/log.ts';
import { noMetrics } from '../../gateway/core/metrics.ts';
import type { Store } from '../../gateway/core/store.ts';
import { clusterStore } from '../../gateway/engines/cluster-store.ts';
import { memoryStore } from '../../gateway/engines/memory-store.ts';
import { redisStore } from '../../gateway/engines/redis-store.ts';
import { storeContract } from '../../gateway/testing/store-contract.ts';
import { EchoChannel, TestCluster } from '../engines/cluster.ts';
import { startRedis, type RedisServer } from '../support/redis.ts';

storeContract('memory', () => memoryStore());

describe('with a channel between processes', () => {
  let channel: EchoChannel;
  before(() => {
    channel = new EchoChannel();
  });
  after(() => channel.close());

  storeContract('cluster', async () => clusterStore((await new TestCluster(channel).worker()).member));
});

describe('with a redis-server', () => {
  let redis: RedisServer;
  before(async () => {
    redis = await startRedis();
  });
  after(() => redis.kill());

  const openAt = async (prefix: string): Promise<Store> => {
    // Nothing but Redis may have answered.
    const settings = { use: 'redis', url: redis.url, prefix, whenAway: 'deny', timeout: '10s' } as const;
    const store = redisStore({ settings, log: silentLog, metrics: noMetrics });
    await store.open();
    return store;
  };

  storeContract(
    'redis',
    () => openAt(`${randomUUID()}:`),
    (processes) => {
      const prefix = `${randomUUID()}:`;
      return Promise.all(Array.from({ length: processes }, () => openAt(prefix)));
    },
  );
});

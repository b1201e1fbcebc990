/**
 * One of several processes whose clients all come back at once: `node redis-storm-process.ts URL ATTEMPTS`. Prints how many of its
 * attempts `rate-limit` and `concurrency` let in, with 100 for all; then it holds what it has until it is ended.
 */
import { silentLog } from '../../gateway/core/log.ts';
import type { Policy } from '../../gateway/core/policy.ts';
import { redisStore } from '../../gateway/engines/redis-store.ts';
import { createPolicy, testSession } from '../../gateway/testing/index.ts';
import { concurrency } from '../../policies/concurrency.ts';
import { rateLimit } from '../../policies/rate-limit.ts';

const [url = '', attempts = '0'] = process.argv.slice(2);
let misses = 0;
const store = redisStore({
  settings: { use: 'redis', url, prefix: 'p:', whenAway: 'deny', timeout: '30s' },
  log: silentLog,
  metrics: { count: () => (misses += 1) },
});
await store.open();

async function storm(policy: Policy): Promise<number> {
  const sessions = Array.from({ length: Number(attempts) }, () => testSession());
  const verdicts = await Promise.all(sessions.map(async (session) => policy.connect?.(session, [])));
  return verdicts.filter((verdict) => verdict === undefined).length;
}

const admitted = {
  rateLimit: await storm(await createPolicy(rateLimit, { connections: 100, window: '1h', by: 'route' }, { store, scope: 'a' })),
  concurrency: await storm(await createPolicy(concurrency, { max: 100, by: 'route' }, { store, scope: 'b' })),
};
process.stdout.write(`${JSON.stringify({ ...admitted, misses })}\n`);
process.once('SIGTERM', () => void store.close().then(() => process.exit(0)));
setInterval(() => {}, 60_000);

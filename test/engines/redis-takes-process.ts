/**
 * One of several processes that take from the same budget in Redis: `node redis-takes-process.ts URL WINDOWS`. Ends after so many
 * windows and prints, for each number of points that remained, how many takes were told it, and the takes that Redis did not count.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { silentLog } from '../../gateway/core/log.ts';
import { redisStore } from '../../gateway/engines/redis-store.ts';

const [url = '', windows = '1'] = process.argv.slice(2);
const budget = { limit: 1000, windowMs: 1000 };
let misses = 0;
const store = redisStore({
  settings: { use: 'redis', url, prefix: 'p:', whenAway: 'deny', timeout: '10s' },
  log: silentLog,
  metrics: { count: () => (misses += 1) },
});
await store.open();

const remained = Array.from({ length: budget.limit }, () => 0);
const endsAt = performance.now() + Number(windows) * budget.windowMs;
const take = async (): Promise<void> => {
  const { allowed, remaining } = await store.take('key', budget, 1);
  if (allowed) remained[remaining] = (remained[remaining] ?? 0) + 1;
};
while (performance.now() < endsAt) {
  await Promise.all([...Array.from({ length: 20 }, take), wait(20)]);
}
await store.close();
process.stdout.write(JSON.stringify({ remained, misses }));

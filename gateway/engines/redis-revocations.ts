/** Revocations in Redis, each for as long as it holds: for processes that start later, or were away when it was told. */
import type { Notice } from '../core/bus.ts';
import { limits } from '../core/limits.ts';
import { decodeNotice, encodeNotice } from './bus-message.ts';
import type { RedisClient } from './redis-client.ts';

export type RevokeNotice = Extract<Notice, { readonly kind: 'revoke' }>;

/** So many are fetched in one call, since others wait for Redis meanwhile. */
const fetchedAtOnce = 1000;

/** Keeps one and tells it in one go. */
const keepScript = `
local time = redis.call('time')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('zremrangebyscore', KEYS[1], '-inf', now)
if tonumber(ARGV[4]) > now and redis.call('zcard', KEYS[1]) < tonumber(ARGV[5]) then
  redis.call('zadd', KEYS[1], ARGV[4], ARGV[3])
  redis.call('pexpireat', KEYS[1], redis.call('zrange', KEYS[1], -1, -1, 'withscores')[2])
end
return redis.call('publish', ARGV[1], ARGV[2])
`;

/** Those that end last come first: what is added or ends meanwhile lets none be skipped. */
const fetchScript = `return redis.call('zrevrangebyscore', KEYS[1], '+inf', ARGV[1], 'limit', ARGV[2], ARGV[3])`;

/** Rejects if that was not done. */
export async function keepRevocation(
  client: RedisClient,
  notice: RevokeNotice,
  { key, channel, message }: { readonly key: string; readonly channel: string; readonly message: Buffer },
): Promise<unknown> {
  // Redis takes whole milliseconds; those that never end, it does not.
  const until = Math.min(Math.ceil(notice.revocation.until), Number.MAX_SAFE_INTEGER);
  return client.run(keepScript, [key], [channel, message, encodeNotice(notice), until, limits.revocations]);
}

/** All that hold, page by page. Rejects where there is no connection. */
export async function* keptRevocations(client: RedisClient, key: string): AsyncGenerator<readonly RevokeNotice[]> {
  for (let from = 0; from < limits.revocations; from += fetchedAtOnce) {
    const page = await client.run(fetchScript, [key], [Date.now(), from, fetchedAtOnce]);
    const texts = Array.isArray(page) ? page.map(String) : [];
    yield texts.map(decodeNotice).filter((notice) => notice?.kind === 'revoke');
    if (texts.length < fetchedAtOnce) return;
  }
}

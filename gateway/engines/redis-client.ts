/**
 * A connection to Redis by the package ioredis, which is an optional one and loaded only where Redis is configured. It comes back by
 * itself. Whoever asks while it is gone is told so at once, and nothing is sent twice.
 */
import { setTimeout as wait } from 'node:timers/promises';
import type { Redis } from 'ioredis';

export interface RedisClient {
  /** Runs a Lua script on keys. Rejects where there is no connection, or where it breaks off before the answer. */
  run(script: string, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown>;
  /** Breaks off a connection that is of no use, and makes a new one. */
  reconnect(): void;
  close(): void;
}

export interface RedisTerms {
  /** Holds the password: never to be shown. */
  readonly url: string;
  /** So long a connection may take to be made, before it is tried anew. */
  readonly connectMs: number;
  /** Between two tries. */
  readonly retryMs: number;
  /** A connection broke off. */
  readonly lost: (reason: string) => void;
}

/**
 * Resolves when it is connected, or when the first try has failed.
 * @throws Error with what to install
 */
export async function openRedis({ url, connectMs, retryMs, lost }: RedisTerms): Promise<RedisClient> {
  const library = await loadLibrary();
  const redis = new library.Redis(url, {
    // The oldest protocol does, and proxies know it.
    protocol: 2,
    disableClientInfo: true,
    lazyConnect: true,
    connectTimeout: connectMs,
    disconnectTimeout: disconnectMs,
    retryStrategy: () => retryMs,
    // A server that loads its data, or may only be read, is asked whether it counts: its own word says less.
    enableReadyCheck: false,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
  });
  const client = makeClient(redis, lost);
  await Promise.race([redis.connect().catch(() => undefined), wait(connectMs, undefined, { ref: false })]);
  return client;
}

/** What has not said goodbye by then is cut off. */
const disconnectMs = 100;

async function loadLibrary(): Promise<{ readonly Redis: typeof Redis }> {
  try {
    return await import('ioredis');
  } catch (cause) {
    throw new Error(missing, { cause });
  }
}

const missing =
  '"use: redis" needs the package ioredis, which cannot be loaded: run "npm install ioredis@6" where Foregate is installed.';

function makeClient(redis: Redis, lost: RedisTerms['lost']): RedisClient {
  let trouble = 'There is no connection.';
  // The text alone: errors of the library hold the command, and that may be the password.
  redis.on('error', (error: Error) => {
    trouble = error.message;
  });
  redis.on('ready', () => {
    trouble = 'The connection broke off.';
  });
  redis.on('close', () => lost(trouble));
  return {
    run: async (script, keys, args) => {
      if (redis.status !== 'ready') throw new Error(trouble);
      return redis.eval(script, keys.length, ...keys, ...args);
    },
    reconnect: () => {
      if (redis.status === 'ready' || redis.status === 'connect') redis.disconnect(true);
    },
    close: () => redis.disconnect(),
  };
}

/**
 * A connection to Redis by the package ioredis, which is an optional one and loaded only where Redis is configured. It comes back by
 * itself. Whoever asks while it is gone is told so at once, and nothing is sent twice.
 */
import { setTimeout as wait } from 'node:timers/promises';
import type { Redis } from 'ioredis';

export interface RedisClient {
  /** Runs a Lua script on keys. Rejects where there is no connection, or where it breaks off before the answer. */
  run(script: string, keys: readonly string[], args: readonly (string | number | Buffer)[]): Promise<unknown>;
  /** Resolves when Redis has it. Rejects as `run` does. */
  publish(channel: string, message: Buffer): Promise<unknown>;
  /** From then on a connection can do nothing else. Resolves when Redis has confirmed it; rejects as `run` does. */
  subscribe(channels: readonly string[]): Promise<unknown>;
  unsubscribe(channels: readonly string[]): Promise<unknown>;
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
  /** A connection was made, the first one or a new one: nothing is subscribed. */
  readonly ready?: () => void;
  /** A message of a channel that was subscribed. */
  readonly got?: (channel: string, message: Buffer) => void;
}

/**
 * Resolves when it is connected, or when the first try has failed.
 * @throws Error with what to install
 */
export async function openRedis(terms: RedisTerms): Promise<RedisClient> {
  const { url, connectMs, retryMs } = terms;
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
    autoResubscribe: false,
    maxRetriesPerRequest: 0,
  });
  const client = makeClient(redis, terms);
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

function makeClient(redis: Redis, { lost, ready, got }: RedisTerms): RedisClient {
  let trouble = 'There is no connection.';
  // The text alone: errors of the library hold the command, and that may be the password.
  redis.on('error', (error: Error) => {
    trouble = error.message;
  });
  redis.on('ready', () => {
    trouble = 'The connection broke off.';
    ready?.();
  });
  redis.on('close', () => lost(trouble));
  if (got !== undefined) redis.on('messageBuffer', (channel: Buffer, message: Buffer) => got(channel.toString(), message));
  const connected = (): Redis => {
    if (redis.status !== 'ready') throw new Error(trouble);
    return redis;
  };
  return {
    run: async (script, keys, args) => connected().eval(script, keys.length, ...keys, ...args),
    publish: async (channel, message) => connected().publish(channel, message),
    subscribe: async (channels) => connected().subscribe(...channels),
    unsubscribe: async (channels) => connected().unsubscribe(...channels),
    reconnect: () => {
      if (redis.status === 'ready' || redis.status === 'connect') redis.disconnect(true);
    },
    close: () => redis.disconnect(),
  };
}

/** The text alone: errors of the library hold the command. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Without user and password. */
export function addressOf(url: string): string {
  return new URL(url).host;
}

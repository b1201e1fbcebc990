/** bcrypt, each in a thread of its own: it takes up to a second, and here everybody else would have to wait for it. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

export interface BcryptQuestion {
  readonly password: string;
  /** Cost and salt, and what else stands behind them. */
  readonly salt: string;
}

/** About a second; with one more it would be two. */
export const bcryptCostMax = 14;

/** The whole text, as it would stand in a file. Of a password 72 bytes count. @throws Error when there is no thread to be had */
export async function bcrypt(question: BcryptQuestion): Promise<string> {
  const thread = new Worker(threadFile, {
    workerData: question,
    env: {},
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: 64 },
  });
  const [hash]: unknown[] = await once(thread, 'message');
  return String(hash);
}

/** Beside this file, whether it was built or runs as it is. */
const threadFile = new URL(`./bcrypt-thread${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url);

/** The other end of `bcrypt.ts`: hashes one password, says the hash and ends. */
import { parentPort, workerData } from 'node:worker_threads';
import { hashSync } from 'bcryptjs';
import type { BcryptQuestion } from './bcrypt.ts';

const { password, salt } = workerData as BcryptQuestion; // From nobody else.
parentPort?.postMessage(hashSync(password, salt)); // oxlint-disable-line unicorn/require-post-message-target-origin -- that is for windows

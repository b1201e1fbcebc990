/** A file of users and hashed passwords, as `htpasswd` writes it; a changed file counts a second later. */
import { readFileSync, statSync } from 'node:fs';
import type { Clock } from '../gateway/core/clock.ts';
import { ForegateError, toForegateError } from '../gateway/core/errors.ts';
import type { Log } from '../gateway/core/log.ts';
import { passwordCheck, type PasswordCheck } from './password-hash.ts';

/** By name. A new file is a new map. */
export type Users = ReadonlyMap<string, PasswordCheck>;

const bytesMax = 1_000_000;
/** Between two looks at the file. */
const pauseMs = 1000;

export class Htpasswd {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #log: Log;
  #users: Users;
  #stamp: string;
  #lookedAt: number;

  /** @throws ForegateError `bad-request` for a file that cannot be used, with the line */
  constructor(path: string, clock: Clock, log: Log) {
    this.#path = path;
    this.#clock = clock;
    this.#log = log;
    this.#lookedAt = clock.now();
    this.#stamp = stampOf(path);
    this.#users = readUsers(path);
  }

  /** Those of the file as it was a second ago at most. A broken file changes nothing. */
  get users(): Users {
    const now = this.#clock.now();
    if (now - this.#lookedAt >= pauseMs) this.#look(now);
    return this.#users;
  }

  #look(now: number): void {
    this.#lookedAt = now;
    const stamp = stampOf(this.#path);
    if (stamp === this.#stamp) return;
    this.#stamp = stamp;
    try {
      this.#users = readUsers(this.#path);
      this.#log.info('basic.file-read', { file: this.#path, users: this.#users.size });
    } catch (thrown) {
      this.#log.error('basic.file-broken', { file: this.#path, reason: toForegateError(thrown).message });
    }
  }
}

/** Changes when the file is written or replaced. */
function stampOf(path: string): string {
  try {
    const { ino, size, mtimeNs } = statSync(path, { bigint: true });
    return `${ino} ${size} ${mtimeNs}`;
  } catch {
    // Who reads it next says what is wrong.
    return '';
  }
}

function readUsers(path: string): Users {
  const users = new Map<string, PasswordCheck>();
  for (const [index, line] of readText(path).split(/\r?\n/).entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const wrong = addUser(line, users);
    if (wrong !== undefined) throw new ForegateError('bad-request', `${path}:${index + 1} ${wrong}.`);
  }
  if (users.size === 0) throw new ForegateError('bad-request', `${path} holds no user.`);
  return users;
}

/** What is wrong with the line, without anything of it. */
function addUser(line: string, users: Map<string, PasswordCheck>): string | undefined {
  const colon = line.indexOf(':');
  if (colon < 1) return 'is not of the form "user:hash"';
  const name = line.slice(0, colon);
  if (users.has(name)) return 'has a user that stands in the file twice';
  const check = passwordCheck(line.slice(colon + 1).trim());
  if ('fault' in check) return check.fault;
  users.set(name, check);
  return undefined;
}

function readText(path: string): string {
  try {
    const bytes = readFileSync(path);
    if (bytes.length <= bytesMax) return bytes.toString();
  } catch (cause) {
    throw new ForegateError('bad-request', `${path} cannot be read.`, { cause });
  }
  throw new ForegateError('bad-request', `${path} is larger than ${bytesMax} bytes.`);
}

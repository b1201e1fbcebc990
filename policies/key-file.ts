/** A file of API keys, hashed: a YAML list that `foregate key` makes the entries of. It is read again when it changes. */
import { readFileSync, statSync, type Stats } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { parseDocument, type Document } from 'yaml';
import type { Clock, Timer } from '../gateway/core/clock.ts';
import { ForegateError } from '../gateway/core/errors.ts';
import { limits } from '../gateway/core/limits.ts';
import type { Log } from '../gateway/core/log.ts';
import { digest as digestOf } from '../gateway/core/secret.ts';
import type { OwnLimits } from '../gateway/core/session.ts';
import { readOwnLimits } from './own-limits.ts';

export interface KnownKey {
  readonly name: string;
  /** Milliseconds since 1970. */
  readonly expiresAt?: number;
  readonly limits?: OwnLimits;
}

/** By {@link keyDigest}. */
export type KeyRing = ReadonlyMap<string, KnownKey>;

/** What stands for a key wherever it is kept. Keys are long and random, so a hash that is slow on purpose would add nothing. */
export function keyDigest(key: string): string {
  return digestOf(key).toString('hex');
}

/** Two looks at a file that is not being written any more come after this at the latest. */
const lookEveryMs = 400;

export class KeyFile {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #changed: (ring: KeyRing) => void;
  /** How the file looked when it was read, and when it was last looked at: `''` where it is not there. */
  #read: string;
  #seen: string;
  #next: Timer | undefined;
  #closed = false;

  /** @throws ForegateError `bad-request` with what is wrong with the file */
  static open(path: string, context: { readonly clock: Clock; readonly log: Log }, changed: (ring: KeyRing) => void): KeyFile {
    const look = lookOf(existing(path));
    changed(parsed(readFileSync(path, 'utf8')));
    return new KeyFile(path, context, look, changed);
  }

  private constructor(
    path: string,
    { clock, log }: { readonly clock: Clock; readonly log: Log },
    look: string,
    changed: (ring: KeyRing) => void,
  ) {
    this.#path = path;
    this.#clock = clock;
    this.#log = log;
    this.#read = look;
    this.#seen = look;
    this.#changed = changed;
    this.#lookLater();
  }

  close(): void {
    this.#closed = true;
    this.#next?.cancel();
  }

  #lookLater(): void {
    if (!this.#closed) this.#next = this.#clock.after(lookEveryMs, () => void this.#look().finally(() => this.#lookLater()));
  }

  /** A file that has just changed may be half written: it is read when it looks the same again. */
  async #look(): Promise<void> {
    const look = await stat(this.#path).then(lookOf, () => '');
    const settled = look === this.#seen && look !== this.#read;
    this.#seen = look;
    if (settled && !this.#closed) await this.#take(look);
  }

  /** A file that is wrong changes nothing. */
  async #take(look: string): Promise<void> {
    this.#read = look;
    try {
      existing(this.#path);
      const ring = parsed(await readFile(this.#path, 'utf8'));
      this.#log.info('api-key.file-read', { keys: ring.size });
      if (!this.#closed) this.#changed(ring);
    } catch (error) {
      this.#log.error('api-key.file-refused', { error });
    }
  }
}

function lookOf({ mtimeMs, ctimeMs, size, ino }: Stats): string {
  return [mtimeMs, ctimeMs, size, ino].join(' ');
}

function existing(path: string): Stats {
  const about = statSync(path, { throwIfNoEntry: false });
  if (about === undefined || !about.isFile()) throw fault(`the file ${JSON.stringify(path)} does not exist`);
  if (about.size > limits.keyFileBytes) throw fault(`it is larger than ${limits.keyFileBytes} bytes`);
  return about;
}

/** @throws ForegateError with what is wrong, without anything that stands there */
function parsed(text: string): KeyRing {
  const document = parseDocument(text, { prettyErrors: false });
  const [error] = document.errors;
  if (error !== undefined) throw fault(`line ${text.slice(0, error.pos[0]).split('\n').length} is not valid YAML`);
  const list = valueOf(document);
  if (list !== null && !Array.isArray(list)) throw fault('it must be a list');
  const ring = new Map<string, KnownKey>();
  for (const [index, entry] of (list ?? []).entries()) {
    const { digest, known } = readEntry(entry, `entry ${index + 1}`);
    if (ring.has(digest)) throw fault(`entry ${index + 1} has the hash of another`);
    ring.set(digest, known);
  }
  return ring;
}

/** Without aliases: a short text could stand for a list without end. */
function valueOf(document: Document): unknown {
  try {
    return document.toJS({ maxAliasCount: 0 });
  } catch (cause) {
    throw new ForegateError('bad-request', 'The keys cannot be read: aliases are not possible.', { cause });
  }
}

function readEntry(entry: unknown, where: string): { readonly digest: string; readonly known: KnownKey } {
  if (typeof entry !== 'object' || entry === null) throw fault(`${where} must have "name" and "hash"`);
  const { name, hash, expires, limits: own, ...rest } = entry as Readonly<Record<string, unknown>>;
  const [other] = Object.keys(rest);
  if (other !== undefined) throw fault(`${where} may have "name", "hash", "expires" and "limits" only`);
  if (typeof name !== 'string' || name === '') throw fault(`${where} has no name`);
  const digest = typeof hash === 'string' ? /^sha256:([0-9a-f]{64})$/.exec(hash)?.[1] : undefined;
  if (digest === undefined) throw fault(`${where} has no hash as "foregate key" prints it`);
  const known = {
    name,
    ...(expires !== undefined && { expiresAt: timeOf(expires, where) }),
    ...(own !== undefined && { limits: limitsOf(own, where) }),
  };
  return { digest, known };
}

function limitsOf(written: unknown, where: string): OwnLimits {
  const own = readOwnLimits(written);
  if (own === undefined) throw fault(`${where} has "limits" that are none, such as { messages: 100, window: 1s, quota: 10000 }`);
  return own;
}

function timeOf(expires: unknown, where: string): number {
  const time = typeof expires === 'string' ? expiryTime(expires) : undefined;
  if (time === undefined) throw fault(`${where} has an "expires" that is no date such as 2027-01-31 or 2027-01-31T12:00:00Z`);
  return time;
}

/** Of a date its beginning, in UTC; undefined for what is neither a date nor a time. */
export function expiryTime(text: string): number | undefined {
  if (!/^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:\d{2}))?$/.test(text)) return undefined;
  const time = Date.parse(text);
  return Number.isNaN(time) ? undefined : time;
}

function fault(what: string): ForegateError {
  return new ForegateError('bad-request', `The keys cannot be read: ${what}.`);
}

/**
 * Checks passwords against what `htpasswd` and `openssl passwd` write: `{SHA}`, `$apr1$` (MD5 as Apache has it), `$2y$` (bcrypt), `$5$` and `$6$`
 * (SHA-crypt, https://www.akkadia.org/drepper/SHA-crypt.txt). Slow ones give way to everybody else between their rounds.
 */
import { hash as digestOf } from 'node:crypto';
import { digest, isSameDigest } from '../gateway/core/secret.ts';
import { bcrypt, bcryptCostMax } from './bcrypt.ts';

export type PasswordCheck = (password: string) => Promise<boolean>;

/** What a hash is not, as the end of a sentence. */
export interface HashFault {
  readonly fault: string;
}

/** A longer one would be slow on purpose; `htpasswd` takes no longer one either. */
const passwordBytesMax = 256;
/** More would keep everybody waiting for seconds. */
const roundsMax = 500_000;
/** About a millisecond. */
const roundsAtOnce = 500;

export function passwordCheck(text: string): PasswordCheck | HashFault {
  const make = makerOf(text);
  if ('fault' in make) return make;
  return async (password) => {
    const bytes = Buffer.from(password);
    return bytes.length <= passwordBytesMax && isSameDigest(digest(text), digest(await make.hash(bytes)));
  };
}

/** Gives the whole text for a password, as it would stand in the file. */
interface Maker {
  readonly hash: (password: Buffer) => Promise<string>;
}

function makerOf(text: string): Maker | HashFault {
  if (/^\{SHA\}[A-Za-z0-9+/]{27}=$/.test(text))
    return { hash: async (password) => `{SHA}${digestOf('sha1', password, 'base64')}` };
  const [, apr1Salt] = /^\$apr1\$([./0-9A-Za-z]{1,8})\$[./0-9A-Za-z]{22}$/.exec(text) ?? [];
  if (apr1Salt !== undefined) return { hash: (password) => apr1(password, apr1Salt) };
  const [, id, rounds, salt] = /^\$([56])\$(?:rounds=([1-9][0-9]{3,8})\$)?([^$:\s]{1,16})\$[./0-9A-Za-z]+$/.exec(text) ?? [];
  if (salt !== undefined) return shaMaker(id === '5' ? sha256 : sha512, rounds, salt);
  const [, cost] = /^\$2[aby]\$(\d\d)\$[./0-9A-Za-z]{53}$/.exec(text) ?? [];
  if (cost !== undefined) return bcryptMaker(text, Number(cost));
  return { fault: `has no hash that is supported ({SHA}, $apr1$, $2y$, $5$, $6$); ${hint}` };
}

const hint = 'write it with "htpasswd -B", "htpasswd -5" or "openssl passwd -6"';

function bcryptMaker(text: string, cost: number): Maker | HashFault {
  if (cost < 4 || cost > bcryptCostMax)
    return { fault: `has a bcrypt cost of ${cost}, which is too slow here or none; 4 to ${bcryptCostMax} are possible` };
  return { hash: (password) => bcrypt({ password: password.toString(), salt: text }) };
}

function shaMaker(kind: ShaKind, rounds: string | undefined, salt: string): Maker | HashFault {
  const count = Number(rounds ?? 5000);
  if (count > roundsMax) return { fault: `has ${count} rounds, which is too slow here; at most ${roundsMax} are possible` };
  const start = rounds === undefined ? `$${kind.id}$${salt}$` : `$${kind.id}$rounds=${rounds}$${salt}$`;
  return { hash: async (password) => start + (await shaCrypt(kind, password, Buffer.from(salt), count)) };
}

async function apr1(password: Buffer, saltText: string): Promise<string> {
  const magic = Buffer.from(`$apr1$${saltText}`);
  const salt = Buffer.from(saltText);
  const md5 = (...parts: readonly Buffer[]): Buffer => digestOf('md5', Buffer.concat(parts), 'buffer');
  const mixed = repeated(md5(password, salt, password), password.length);
  const first = bits(password.length).map((bit) => (bit ? zero : password.subarray(0, 1)));
  const start = md5(password, magic, mixed, ...first);
  const last = await inRounds(1000, start, (before, i) => md5(...roundParts(i, before, password, salt)));
  const triples: Triples = [0, 1, 2, 3, 4].map((i) => [i, i + 6, i === 4 ? 5 : i + 12]);
  return `$apr1$${saltText}$${encoded(last, [...triples, [11]])}`;
}

interface ShaKind {
  readonly id: '5' | '6';
  readonly name: 'sha256' | 'sha512';
  /** In which order the bytes of the hash are written. */
  readonly triples: Triples;
}
type Triples = readonly (readonly number[])[];

const sha256: ShaKind = { id: '5', name: 'sha256', triples: [...shaTriples(10, 2), [31, 30]] };
const sha512: ShaKind = { id: '6', name: 'sha512', triples: [...shaTriples(21, 1), [63]] };

/** Each begins `turn` places further round than the one before. */
function shaTriples(count: number, turn: number): number[][] {
  return Array.from({ length: count }, (_, i) => [0, 1, 2].map((place) => i + count * ((place + i * turn) % 3)));
}

async function shaCrypt({ name, triples }: ShaKind, password: Buffer, salt: Buffer, rounds: number): Promise<string> {
  const sha = (...parts: readonly Buffer[]): Buffer => digestOf(name, Buffer.concat(parts), 'buffer');
  const mixed = sha(password, salt, password);
  const byBits = bits(password.length).map((bit) => (bit ? mixed : password));
  const start = sha(password, salt, repeated(mixed, password.length), ...byBits);
  const longPassword = sha(...Array.from({ length: password.length }, () => password));
  const longSalt = sha(...Array.from({ length: 16 + (start[0] ?? 0) }, () => salt));
  const passwordPart = repeated(longPassword, password.length);
  const saltPart = repeated(longSalt, salt.length);
  const last = await inRounds(rounds, start, (before, i) => sha(...roundParts(i, before, passwordPart, saltPart)));
  return encoded(last, triples);
}

function roundParts(i: number, before: Buffer, password: Buffer, salt: Buffer): Buffer[] {
  const isOdd = i % 2 === 1;
  const parts = [isOdd ? password : before];
  if (i % 3 !== 0) parts.push(salt);
  if (i % 7 !== 0) parts.push(password);
  parts.push(isOdd ? before : password);
  return parts;
}

async function inRounds(count: number, start: Buffer, round: (before: Buffer, i: number) => Buffer): Promise<Buffer> {
  let value = start;
  for (let i = 0; i < count; i += 1) {
    if (i % roundsAtOnce === 0) await new Promise((resolve) => setImmediate(resolve));
    value = round(value, i);
  }
  return value;
}

const zero = Buffer.alloc(1);

/** Lowest first. */
function bits(value: number): boolean[] {
  return value === 0 ? [] : [value % 2 === 1, ...bits(Math.floor(value / 2))];
}

function repeated(part: Buffer, length: number): Buffer {
  return length === 0 ? Buffer.alloc(0) : Buffer.alloc(length, part);
}

const letters = './0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** Three bytes are four letters, the last ones fewer; the lowest six bits first. */
function encoded(bytes: Buffer, triples: Triples): string {
  return triples
    .map((triple) => {
      const value = triple.reduce((sum, index) => (sum << 8) | (bytes[index] ?? 0), 0);
      const length = Math.ceil((triple.length * 8) / 6);
      return Array.from({ length }, (_, i) => letters[(value >> (6 * i)) & 63]).join('');
    })
    .join('');
}

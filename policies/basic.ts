/** Lets in who knows a name and its password (HTTP Basic, RFC 7617), by a file as `htpasswd` writes it. */
import { createHmac, randomBytes } from 'node:crypto';
import { resolve } from 'node:path';
import { Type } from 'typebox';
import type { Clock } from '../gateway/core/clock.ts';
import { errors } from '../gateway/core/errors.ts';
import { fields, type HeaderList } from '../gateway/core/headers.ts';
import { limits } from '../gateway/core/limits.ts';
import { definePolicy, deny, type Policy, type Verdict } from '../gateway/core/policy.ts';
import type { MaybePromise } from '../gateway/core/promise.ts';
import type { SessionView } from '../gateway/core/session.ts';
import { Answers, Questions } from './answers.ts';
import { Htpasswd, type Users } from './htpasswd.ts';

const BasicOptions = Type.Object(
  {
    file: Type.String({
      minLength: 1,
      description:
        'File with a line `user:hash` for each user, as `htpasswd` and `openssl passwd` write it: `{SHA}`, `$apr1$`, `$5$`, `$6$`, and bcrypt (`$2y$`, `$2b$`, `$2a$`) with a cost of 14 at most. Passwords are hashed one after the other, bcrypt in a thread of its own. A changed file is read by itself, within a second of the next client; a broken one is told in the log, and the one before stays. Sessions that are open are not ended.',
    }),
    realm: Type.String({
      pattern: '^[\\x20\\x21\\x23-\\x5B\\x5D-\\x7E]+$',
      default: 'Foregate',
      description: 'What browsers show where they ask for the password.',
    }),
    forward: Type.Boolean({ default: false, description: 'Whether the password goes on to the backend.' }),
  },
  { additionalProperties: false },
);

export const basic = definePolicy({
  name: 'basic',
  summary: 'Lets in who knows a name and its password.',
  options: BasicOptions,
  create({ file, realm, forward }, { clock, log, directory }): Policy {
    const passwords = new Passwords(new Htpasswd(resolve(directory, file), clock, log), clock);
    const headers = ['WWW-Authenticate', `Basic realm="${realm}", charset="UTF-8"`];
    const refuse = (detail: string): Verdict => deny('unauthorized', detail, { headers });

    const settle = (session: SessionView, name: string, checked: Checked): Verdict => {
      if (checked === 'overloaded') return deny('overloaded', errors.overloaded.text, { retryAfterMs: 1000 });
      if (checked === 'wrong') return refuse('Name or password is wrong.');
      session.identity = { subject: name, by: 'basic' };
      return undefined;
    };
    return {
      connect(session) {
        const found = findPassword(session.request.headers);
        if (typeof found === 'string') return refuse(found);
        if (!forward) session.consumed.push({ in: 'header', name: 'Authorization' });
        const checked = passwords.check(found);
        return typeof checked === 'string'
          ? settle(session, found.name, checked)
          : checked.then((later) => settle(session, found.name, later));
      },
    };
  },
});

interface NameAndPassword {
  readonly name: string;
  readonly password: string;
}

/** Or why there is none. */
function findPassword(headers: HeaderList): NameAndPassword | string {
  const [value = '', ...more] = [...fields(headers)].flatMap(([name, text]) =>
    name.toLowerCase() === 'authorization' ? [text] : [],
  );
  if (more.length > 0) return 'The header holds more than one credential.';
  const [, encoded] = /^basic +(\S+)$/i.exec(value.trim()) ?? [];
  if (encoded === undefined) return 'Name and password are needed.';
  if (encoded.length > limits.credentialBytes) return 'The credential is too long.';
  const decoded = Buffer.from(encoded, 'base64');
  const text = decoded.toString();
  const colon = text.indexOf(':');
  // What is read in two ways here and elsewhere may be two credentials.
  const isClear = decoded.toString('base64') === encoded && !/\p{Cc}/u.test(text);
  if (colon < 0 || !isClear) return 'The credential is malformed.';
  return { name: text.slice(0, colon), password: text.slice(colon + 1) };
}

type Checked = 'right' | 'wrong' | 'overloaded';

/** So long a password that was right is not hashed again. */
const rememberedMs = 300_000;

/** Slow hashes are made one after the other, so that those who guess take each other's time. */
class Passwords {
  readonly #file: Htpasswd;
  readonly #clock: Clock;
  readonly #secret = randomBytes(32);
  #users: Users | undefined;
  #right: Answers<Checked>;
  #questions = new Questions<Checked>();
  #waiting = 0;
  #last: Promise<unknown> = Promise.resolve();

  constructor(file: Htpasswd, clock: Clock) {
    this.#file = file;
    this.#clock = clock;
    this.#right = new Answers(clock);
  }

  /** At once for a password that was right not long ago. */
  check(credential: NameAndPassword): MaybePromise<Checked> {
    const users = this.#current();
    const key = this.#keyOf(credential);
    const known = this.#right.get(key);
    if (known !== undefined) return known;
    return this.#questions.ask(key, async () => {
      if (this.#waiting >= limits.passwordChecks) return 'overloaded';
      const checked = await this.#inTurn(() => isRight(users, credential));
      if (checked && users === this.#users) this.#right.keep(key, 'right', rememberedMs);
      return checked ? 'right' : 'wrong';
    });
  }

  /** With a new file nothing counts that was right before, or is being found out. */
  #current(): Users {
    const { users } = this.#file;
    if (users === this.#users) return users;
    this.#users = users;
    this.#right = new Answers(this.#clock);
    this.#questions = new Questions();
    return users;
  }

  async #inTurn(check: () => Promise<boolean>): Promise<boolean> {
    this.#waiting += 1;
    const turn = this.#last.then(check);
    this.#last = turn.catch(() => false);
    try {
      return await turn;
    } finally {
      this.#waiting -= 1;
    }
  }

  #keyOf({ name, password }: NameAndPassword): string {
    return createHmac('sha256', this.#secret).update(`${name}:${password}`).digest('base64');
  }
}

/** An unknown name takes as long as a known one. */
async function isRight(users: Users, { name, password }: NameAndPassword): Promise<boolean> {
  const check = users.get(name);
  const [anybodys] = users.values();
  const fits = await (check ?? anybodys)?.(password);
  return check !== undefined && fits === true;
}

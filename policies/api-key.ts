/**
 * Lets in who has one of a list of keys, and ends the session when its key expires or is taken out of its file. Keys are kept and
 * compared as digests.
 */
import { resolve } from 'node:path';
import { Type, type Static } from 'typebox';
import type { Clock } from '../gateway/core/clock.ts';
import { errors, ForegateError } from '../gateway/core/errors.ts';
import { definePolicy, deny, type Policy } from '../gateway/core/policy.ts';
import { Secret } from '../gateway/core/secret.ts';
import type { Denial, SessionView } from '../gateway/core/session.ts';
import { findCredential } from '../gateway/core/credential.ts';
import { Expiry } from './expiry.ts';
import { expiryTime, keyDigest, KeyFile, type KeyRing, type KnownKey } from './key-file.ts';
import { ownLimits, OwnLimitsSchema } from './own-limits.ts';

const Place = (description: string) => Type.Optional(Type.String({ minLength: 1, description }));

const ApiKeyOptions = Type.Object(
  {
    keys: Type.Optional(
      Type.Array(
        Type.Object(
          {
            key: Secret({ description: 'The key itself.' }),
            name: Type.String({
              minLength: 1,
              description: 'Whose key it is: the subject for logs, limits and channel rules. Several keys may have one name.',
            }),
            expires: Type.Optional(
              Type.String({
                description: 'When it ends: a date (its beginning, in UTC), or a time such as `2027-01-31T12:00:00Z`.',
              }),
            ),
            limits: Type.Optional(OwnLimitsSchema),
          },
          { additionalProperties: false },
        ),
        { minItems: 1, description: 'The keys that are accepted. One of `keys` and `file` is needed.' },
      ),
    ),
    file: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          'A YAML file with a list of keys that are accepted besides: `name`, `hash`, `expires` if it shall end, and `limits` of its own. `foregate key` makes a key and its entry. A change is taken up by itself in a second or two, and ends the sessions of keys that are not there any more; a file that is wrong changes nothing.',
      }),
    ),
    from: Type.Object(
      {
        header: Place('A header field; in `Authorization` the key stands after `Bearer`.'),
        query: Place('A query parameter. It shows in the logs of everything before this server.'),
        cookie: Place('A cookie.'),
      },
      {
        additionalProperties: false,
        minProperties: 1,
        default: { header: 'X-API-Key' },
        description:
          'Where the key is: one place, or several that are tried in the order given. Without it: `header: X-API-Key`.',
      },
    ),
    required: Type.Boolean({
      default: true,
      description: 'Whether a client without a key is refused. A key that is not known is always refused.',
    }),
    forward: Type.Boolean({ default: false, description: 'Whether the key goes on to the backend.' }),
  },
  { additionalProperties: false },
);
type ApiKeyOptions = Static<typeof ApiKeyOptions>;

export const apiKey = definePolicy({
  name: 'api-key',
  summary: 'Lets in who has one of the listed keys.',
  options: ApiKeyOptions,
  create({ keys, file: path, from, required, forward }, { clock, log, directory }): Policy {
    if (keys === undefined && path === undefined) throw new ForegateError('bad-request', 'One of "keys" and "file" is needed.');
    const fixed = ringOf(keys ?? []);
    const holders = new KeyHolders(fixed, clock);
    const file =
      path === undefined
        ? undefined
        : KeyFile.open(resolve(directory, path), { clock, log }, (ring) => holders.change(new Map([...ring, ...fixed])));
    return {
      connect(session) {
        const found = findCredential(session.request, from);
        if (found.kind === 'none') return required ? refuse('An API key is needed.') : undefined;
        if (found.kind === 'unclear') return refuse(found.detail);
        const refusal = holders.admit(session, found.value);
        if (refusal !== undefined) return refuse(refusal);
        if (!forward) session.consumed.push(...found.places);
        return undefined;
      },
      held: (session) => holders.held(session),
      disconnect: (session) => holders.forget(session),
      dispose: () => file?.close(),
    };
  },
});

/** @throws ForegateError `bad-request` when a key stands there twice, or ends at no time. */
function ringOf(keys: NonNullable<ApiKeyOptions['keys']>): KeyRing {
  const ring = new Map(
    keys.map(({ key, name, expires, limits }) => [keyDigest(key), { name, ...endOf(expires), ...ownOf(limits) }]),
  );
  if (ring.size < keys.length) throw new ForegateError('bad-request', 'Each API key must be listed only once.');
  return ring;
}

function endOf(expires: string | undefined): Pick<KnownKey, 'expiresAt'> {
  if (expires === undefined) return {};
  const expiresAt = expiryTime(expires);
  if (expiresAt !== undefined) return { expiresAt };
  throw new ForegateError('bad-request', `${JSON.stringify(expires)} is no date such as 2027-01-31 or 2027-01-31T12:00:00Z.`);
}

function ownOf(written: Static<typeof OwnLimitsSchema> | undefined): Pick<KnownKey, 'limits'> {
  if (written === undefined) return {};
  const limits = ownLimits(written);
  if (limits !== undefined) return { limits };
  throw new ForegateError('bad-request', `A window of ${written.window} is not possible; it may have 1ms to 24d.`);
}

interface HeldKey {
  readonly digest: string;
  readonly name: string;
}

/** The keys, and the sessions that were let in with them. */
class KeyHolders {
  readonly #clock: Clock;
  readonly #expiry: Expiry;
  /** From its `connect` to its end: the key it came with. */
  readonly #sessions = new Map<SessionView, HeldKey>();
  #ring: KeyRing;

  constructor(ring: KeyRing, clock: Clock) {
    this.#ring = ring;
    this.#clock = clock;
    this.#expiry = new Expiry(clock, { text: 'The API key has expired.' });
  }

  /** Why the key is not taken, or undefined. */
  admit(session: SessionView, presented: string): string | undefined {
    const digest = keyDigest(presented);
    // Found by its digest, so that the time it takes tells nothing about how much of a key was right.
    const known = this.#ring.get(digest);
    if (known === undefined) return 'The API key is not known.';
    if (known.expiresAt !== undefined && known.expiresAt <= this.#clock.now()) return 'The API key has expired.';
    this.#sessions.set(session, { digest, name: known.name });
    this.#identify(session, known);
    return undefined;
  }

  /** The key may have been taken out while the backend made up its mind. */
  held(session: SessionView): void {
    this.#check(session, this.#sessions.get(session));
  }

  change(ring: KeyRing): void {
    this.#ring = ring;
    for (const [session, key] of this.#sessions) this.#check(session, key);
  }

  forget(session: SessionView): void {
    this.#sessions.delete(session);
    this.#expiry.forget(session);
  }

  #check(session: SessionView, key: HeldKey | undefined): void {
    // A plain request ends by itself.
    if (key === undefined || session.transport === 'request') return;
    const known = this.#ring.get(key.digest);
    if (known?.name !== key.name) session.end(deny('revoked', errors.revoked.text));
    // A policy behind this one may know better who it is.
    else if (session.identity?.by === 'api-key') this.#identify(session, known);
  }

  #identify(session: SessionView, { name, expiresAt, limits }: KnownKey): void {
    const own = { ...(expiresAt !== undefined && { expiresAt }), ...(limits !== undefined && { limits }) };
    session.identity = { subject: name, by: 'api-key', ...own };
    if (session.transport !== 'request') this.#expiry.watch(session, expiresAt);
  }
}

function refuse(detail: string): Denial {
  return deny('unauthorized', detail, { headers: ['WWW-Authenticate', 'ApiKey'] });
}

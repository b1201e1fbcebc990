/** Lets in who has one of a list of keys. Keys are compared by digest and in constant time. */
import { Type, type Static } from 'typebox';
import { ForegateError } from '../gateway/core/errors.ts';
import { definePolicy, deny, type Policy } from '../gateway/core/policy.ts';
import { digest, isSameDigest, Secret } from '../gateway/core/secret.ts';
import type { Denial } from '../gateway/core/session.ts';
import { findCredential } from './credential.ts';

const Place = (description: string) => Type.Optional(Type.String({ minLength: 1, description }));

const ApiKeyOptions = Type.Object(
  {
    keys: Type.Array(
      Type.Object(
        {
          key: Secret({ description: 'The key itself.' }),
          name: Type.String({
            minLength: 1,
            description: 'Whose key it is: the subject for logs, limits and channel rules. Several keys may have one name.',
          }),
        },
        { additionalProperties: false },
      ),
      { minItems: 1, description: 'The keys that are accepted.' },
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
    forward: Type.Boolean({ default: false, description: 'Whether the key goes on to the backend.' }),
  },
  { additionalProperties: false },
);

export const apiKey = definePolicy({
  name: 'api-key',
  summary: 'Lets in who has one of the listed keys.',
  options: ApiKeyOptions,
  create({ keys, from, forward }): Policy {
    const nameOf = keyRing(keys);
    return {
      connect(session) {
        const found = findCredential(session.request, from);
        if (found.kind === 'none') return refuse('An API key is needed.');
        if (found.kind === 'unclear') return refuse(found.detail);
        const name = nameOf(found.value);
        if (name === undefined) return refuse('The API key is not known.');
        session.identity = { subject: name, by: 'api-key' };
        if (!forward) session.consumed.push(...found.places);
        return undefined;
      },
    };
  },
});

/**
 * Looks a key up by its digest, so that the time it takes tells nothing about how much of a key was right.
 * @throws ForegateError `bad-request` when a key stands there twice.
 */
function keyRing(keys: Static<typeof ApiKeyOptions>['keys']): (presented: string) => string | undefined {
  const ring = new Map(keys.map(({ key, name }) => [digest(key).toString('hex'), { digest: digest(key), name }]));
  if (ring.size < keys.length) throw new ForegateError('bad-request', 'Each API key must be listed only once.');
  return (presented) => {
    const presentedDigest = digest(presented);
    const entry = ring.get(presentedDigest.toString('hex'));
    return entry && isSameDigest(entry.digest, presentedDigest) ? entry.name : undefined;
  };
}

function refuse(detail: string): Denial {
  return deny('unauthorized', detail, { headers: ['WWW-Authenticate', 'ApiKey'] });
}

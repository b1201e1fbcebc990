/** Bearer tokens (RFC 6750): where clients may put them, and how they are told that one is missing or not good. */
import { Type } from 'typebox';
import { deny } from '../gateway/core/policy.ts';
import type { Denial } from '../gateway/core/session.ts';

const Place = (description: string) => Type.Optional(Type.String({ minLength: 1, description }));

export const TokenPlaces = Type.Object(
  {
    header: Place('A header field; in `Authorization` the token stands after `Bearer`.'),
    query: Place('A query parameter. It shows in the logs of everything before this server.'),
    cookie: Place('A cookie.'),
    subprotocol: Place('A WebSocket subprotocol: the client offers this name and then the token, or `name.token`.'),
  },
  {
    additionalProperties: false,
    minProperties: 1,
    default: { header: 'Authorization' },
    description:
      'Where the token is: one place, or several that are tried in the order given. Without it: `header: Authorization`.',
  },
);

/** RFC 6750 section 3.1: no error code where no token was given. */
export const missingToken = deny('unauthorized', 'A token is needed.', { headers: ['WWW-Authenticate', 'Bearer'] });

export function refuseToken(detail: string): Denial {
  return deny('unauthorized', detail, { headers: challenge('invalid_token', detail) });
}

/** The token is good, and not for this. */
export function lackingToken(detail: string): Denial {
  return deny('forbidden', detail, { headers: challenge('insufficient_scope', detail) });
}

/** A quoted string takes no quotes and no bytes beyond ASCII (RFC 6750 section 3); claims may be named with either. */
function challenge(error: string, detail: string): string[] {
  const description = detail.replaceAll(/[^\x20-\x21\x23-\x5b\x5d-\x7e]/g, '?');
  return ['WWW-Authenticate', `Bearer error="${error}", error_description="${description}"`];
}

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
  return deny('unauthorized', detail, {
    headers: ['WWW-Authenticate', `Bearer error="invalid_token", error_description="${detail}"`],
  });
}

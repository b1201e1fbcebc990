/** What the API gateway in between is to do for a route: `foregate export` writes its configuration from this. */
import { Type } from 'typebox';
import { Duration } from './duration.ts';
import { Secret } from './secret.ts';
import { flag } from './setting-types.ts';

const GatewayLimitSchema = Type.Object(
  {
    count: Type.Integer({ minimum: 1, examples: [600], description: 'Requests in `window`; each may carry several messages.' }),
    window: Duration({ description: 'The time in which they count.' }),
    by: Type.Enum(['caller', 'address', 'route'], {
      default: 'caller',
      description:
        'Who has a count of its own: each `caller` that the gateway knows, each `address` of a client, or the `route`.',
    }),
  },
  { description: 'A limit of the gateway.' },
);

const CallerSchema = Type.Object(
  {
    name: Type.String({
      pattern: '^[A-Za-z0-9._-]{1,100}$',
      examples: ['alice'],
      description: 'What the gateway calls the caller.',
    }),
    key: Type.Optional(Secret({ description: 'The key; written only with `--with-secrets`.' })),
  },
  { description: 'A caller whom the gateway knows.' },
);

export const GatewaySchema = Type.Object(
  {
    backend: Type.String({
      pattern: '^https?://[A-Za-z0-9._:\\[\\]-]+(/[\\x21-\\x22\\x24-\\x3e\\x40-\\x7e]*)?$',
      examples: ['http://127.0.0.1:9000'],
      description: 'Where the gateway sends the requests: scheme, host, port, and a path that stands before that of the request.',
    }),
    auth: Type.Enum(['key', 'jwt', 'none'], {
      default: 'key',
      description: 'What the gateway checks: a `key` of a caller, a JWT in `Authorization` (`jwt`), or nothing (`none`).',
    }),
    credential: Type.Optional(
      Type.Object(
        {
          header: Type.Optional(Type.String({ minLength: 1, description: 'A header field.' })),
          query: Type.Optional(Type.String({ minLength: 1, description: 'A query parameter.' })),
        },
        {
          minProperties: 1,
          maxProperties: 1,
          description: 'Where it looks for the key; left out: `adapter.to`, else where such a gateway usually does.',
        },
      ),
    ),
    jwt: Type.Optional(
      Type.Object(
        {
          issuer: Type.Optional(Type.String({ minLength: 1, description: 'The `iss` claim that tokens must have.' })),
          audience: Type.Optional(Type.String({ minLength: 1, description: 'The `aud` claim that tokens must have.' })),
          jwks: Type.Optional(
            Type.String({ pattern: '^https?://', description: 'Where the gateway gets the keys of the issuer.' }),
          ),
        },
        { description: 'For `auth: jwt`; which of them a gateway needs differs.' },
      ),
    ),
    hideCredential: flag(true, 'The gateway removes the credential before the request goes to the backend.'),
    limits: Type.Array(GatewayLimitSchema, { default: [], description: 'How many requests it lets through.' }),
    bodyBytes: Type.Optional(
      Type.Integer({
        minimum: 1024,
        description:
          'The largest body that it lets through; left out: room for the largest request with events that `limits` allows.',
      }),
    ),
    connectTimeout: Duration({ default: '2s', description: 'How long it tries to reach the backend.' }),
    timeout: Type.Optional(
      Duration({
        description:
          'How long it waits for the backend; left out: a second less than `timeout` of the target, but at least half of it.',
      }),
    ),
    stripPath: flag(false, 'The gateway cuts the beginning of the path that it matches off, before `backend` is put in front.'),
    callers: Type.Array(CallerSchema, {
      default: [],
      description: 'Callers that the configuration of the gateway holds; left out: they are kept elsewhere.',
    }),
  },
  {
    description:
      'What the gateway in between does for this route; Foregate itself does nothing with it. `foregate export` writes the configuration of the gateway from it, and `foregate import` reads it from there.',
  },
);

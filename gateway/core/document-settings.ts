/** The settings of API documents that describe routes. */
import { Type } from 'typebox';
import { flag } from './setting-types.ts';

const target = Type.Union([Type.String(), Type.Record(Type.String(), Type.Unknown())], {
  description: 'A target, as a route has it.',
});

export const DocumentSchema = Type.Object(
  {
    file: Type.String({
      minLength: 1,
      examples: ['./orders.openapi.yaml'],
      description: 'The document, YAML or JSON; from the folder of this file.',
    }),
    target: Type.Optional(
      Type.Union([Type.String(), Type.Record(Type.String(), Type.Unknown())], {
        description:
          'Where its requests go, in place of the host in `servers` of the document: a url or a mapping as in `routes`.',
      }),
    ),
    targets: Type.Optional(Type.Array(target, { minItems: 1, description: 'The same for several.' })),
    host: Type.Optional(Type.String({ description: '`match.host` of all its routes. Left out: every host.' })),
    network: flag(false, 'Follow `$ref`s to http(s) URLs.'),
    security: Type.Optional(
      Type.Record(Type.String(), Type.Unknown(), {
        description:
          'What checks a security scheme of the document, by its name: `gateway` leaves it to the gateway behind, which gets the credential; a mapping is a policy with `use` and options, of which what the scheme itself says may be left out.',
      }),
    ),
  },
  { additionalProperties: false, description: 'An API document, or its file alone.' },
);

/** Any routes that a configuration may have, as far as a document of AsyncAPI can tell of them. */
import * as fc from 'fast-check';
import type { Mapping } from '../../../gateway/core/mapping.ts';
import { templateFault } from '../../../gateway/core/path-template.ts';

export const target = 'http://127.0.0.1:8000';

/** A policy with schemas by kinds. */
export function schemaPolicy(schemas: Mapping, options: Mapping = {}): Mapping {
  return {
    use: 'message-schema',
    schemas: Object.fromEntries(Object.entries(schemas).map(([kind, inline]) => [kind, { inline }])),
    ...options,
  };
}

/** Schemas that stand in a list of definitions and refer to each other, and themselves. */
const anySchema: fc.Arbitrary<Mapping> = fc
  .letrec<{ part: Mapping }>((tie) => ({
    part: fc.oneof(
      { maxDepth: 3 },
      fc.constantFrom<Mapping>(
        {},
        { type: 'string', format: 'uuid' },
        { enum: ['a', 1, null] },
        { properties: { type: { enum: ['a', 'b'] } } },
        { type: ['integer', 'null'] },
      ),
      fc.constantFrom<Mapping>({ $ref: '#/$defs/a' }, { $ref: '#/$defs/b~1c', maxLength: 3 }, { $ref: '#d' }, { $ref: '#' }),
      fc.record({ type: fc.constant('object'), properties: fc.dictionary(fc.string(), tie('part'), { maxKeys: 3 }) }),
      fc.record({
        type: fc.constant('array'),
        prefixItems: fc.array(tie('part'), { minLength: 1, maxLength: 2 }),
        items: fc.constant(true),
      }),
      fc.record({ anyOf: fc.array(tie('part'), { minLength: 1, maxLength: 2 }), not: tie('part') }),
    ),
  }))
  .part.map((part) => ({
    ...(part['$ref'] === '#' ? {} : part),
    $defs: {
      a: { type: 'object', properties: { next: { $ref: '#/$defs/b~1c' } } },
      'b/c': { anyOf: [{ $ref: '#/$defs/a' }, true] },
      d: { $anchor: 'd', type: 'number' },
    },
  }));

const anyPolicy: fc.Arbitrary<Mapping> = fc.oneof(
  fc.constantFrom<Mapping>(
    { use: 'origin', allow: ['https://a.example'] },
    { use: 'mtls' },
    { use: 'basic', file: 'users' },
    { use: 'ticket' },
    { use: 'any-of', of: [{ use: 'jwt', jwks: 'https://id.example/jwks' }, [{ use: 'basic', file: 'users' }, { use: 'mtls' }]] },
    {
      use: 'any-of',
      of: [
        { use: 'jwt', jwks: 'https://id.example/jwks' },
        { use: 'jwt', secret: '${TOKEN}' },
      ],
    },
    { use: 'channels', allow: ['a*'] },
    { use: 'jwt', jwks: 'https://id.example/jwks', from: { query: 'a b&', cookie: 'ü' } },
    { use: 'jwt', jwks: 'https://id.example/jwks', required: false },
    { use: 'api-key', keys: [{ key: '${TOKEN}', name: 'x' }], dryRun: true },
    { use: 'introspect', url: 'https://id.example/', clientId: 'x', clientSecret: '${TOKEN}', from: { subprotocol: 'a' } },
  ),
  fc
    .record({
      kinds: fc.dictionary(fc.string({ minLength: 1 }), anySchema, { minKeys: 1, maxKeys: 3 }),
      from: fc.constantFrom('client', 'backend', 'both'),
      dryRun: fc.boolean(),
    })
    .map(({ kinds, ...options }) => schemaPolicy(kinds, options)),
);

export const anyRoute: fc.Arbitrary<Mapping> = fc.record({
  match: fc
    .record(
      {
        host: fc.constantFrom('chat.example.com', '*.example.com'),
        path: fc.stringMatching(/^\/[\x21-\x23\x25-\x7e]{0,12}$/),
        transports: fc.constantFrom(['websocket'], ['http'], ['http', 'websocket']),
        methods: fc.constantFrom(['GET'], ['GET', 'POST'], ['PUT']),
        tls: fc.boolean(),
        byId: fc.constantFrom('never', 'also', 'only'),
      },
      { requiredKeys: ['path'] },
    )
    .map(({ methods, ...match }) => ({ ...match, ...(match.transports?.join() !== 'websocket' && { methods }) }))
    .chain((match) =>
      fc.oneof(
        fc.constant(match),
        fc
          .stringMatching(/^(\/[a-z.]{1,5}|\/[a-z]{0,2}\{[a-zA-Z_%.-]{1,4}\}[a-z]{0,2}){1,3}$/)
          .filter((template) => templateFault(template) === undefined)
          .map((template) => ({ ...match, path: undefined, template })),
      ),
    ),
  target: fc.constantFrom<unknown>(target, { url: 'ws://127.0.0.1:1', timeout: '5s' }),
  policies: fc.array(anyPolicy, { maxLength: 4 }),
});

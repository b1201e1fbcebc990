/** The settings of a target: one place where requests of a route go, and under which terms. */
import { Type } from 'typebox';
import { Duration } from './duration.ts';
import { limits } from './limits.ts';
import { Pem, Secret } from './secret.ts';
import { count, derivedMark, flag } from './setting-types.ts';

/** In place of a target's address: the backend that comes with the program. */
export const testBackendUrl = 'builtin:test';

export const TargetSchema = Type.Object(
  {
    url: Type.String({
      minLength: 1,
      examples: ['http://127.0.0.1:8080', 'wss://chat.internal'],
      description:
        'Scheme, host and port: `http://`, `https://`, `ws://` or `wss://`. The path is always the one the client asked for. ' +
        `\`${testBackendUrl}\` is a backend that comes with Foregate, for trying things: it answers \`/\`, \`/response\`, \`/stream\` and \`/ws\`.`,
    }),
    dialect: Type.Enum(['websocket-over-http', 'relay'], {
      [derivedMark]: '`relay` for `ws://` and `wss://`, else `websocket-over-http`',
      description:
        'How events reach the backend: `websocket-over-http` in short HTTP requests, `relay` frame by frame over a WebSocket of its own.',
    }),
    host: Type.Optional(
      Type.String({
        pattern: '^[A-Za-z0-9._:\\[\\]-]+$',
        examples: ['api.internal'],
        description: "`Host` for this target; left out: the client's own.",
      }),
    ),
    oneEventPerRequest: flag(false, 'Send one event in each request, for backends or gateways that count requests as messages.'),
    channels: Type.Array(Type.String({ minLength: 1, description: 'A channel, without `channelPrefix`.' }), {
      default: [],
      description: 'Channels that every session joins by itself.',
    }),
    retry: Type.Enum(['once', 'never', 'idempotent'], {
      default: 'once',
      description:
        'Whether a request is sent again when a kept connection turns out to be closed before a byte of the reply: `once`, or `never`. `idempotent`: each request with events has an `Idempotency-Key`, which stays the same when it is sent again, and after the opening it is sent again up to five times also when the connection broke in its midst, after 1, 2, 4, 8 and 16 s. The backend must know a key that it has seen.',
    }),
    timeout: Duration({ default: '30s', description: 'How long one request may take.' }),
    idle: Duration({
      default: '4s',
      description: 'How long an unused connection to the target is kept: less than the target keeps it.',
    }),
    breaker: Type.Optional(
      Type.Object(
        {
          failureRatio: Type.Number({
            exclusiveMinimum: 0,
            maximum: 1,
            default: 0.5,
            description: 'The share of requests that must have failed, such as `0.5` for half of them.',
          }),
          minimum: count(20, 'So many requests at least must have been made in `window`.'),
          window: Duration({ default: '10s', description: 'The time that is looked at.' }),
          openFor: Duration({ default: '10s', description: 'How long nothing is sent then; at most 24d.' }),
          probes: count(1, 'Requests that may try after that. If all are answered the target is used again.'),
        },
        {
          description:
            'Leaves the target alone when too many requests to it have failed: the next target of the route is used, or the answer is 503 with `Retry-After` (`circuit-open`). Failed are those without connection, without an answer in time or with a broken one, and answers with 502, 503 and 504; with events not a 503 that the adapter knows as a limit. Left out: every request is sent.',
        },
      ),
    ),
    inFlight: Type.Optional(
      Type.Object(
        {
          max: Type.Integer({ minimum: 1, examples: [100], description: 'Requests at once.' }),
          queue: count(100, 'Requests that may wait for their turn.', 0),
          wait: Duration({ default: '1s', description: 'How long each of them may wait; at most 24d.' }),
          adaptive: Type.Optional(
            Type.Object(
              {
                min: count(limits.inFlightMin, 'The limit begins here and never goes below; at most `max`.'),
                latency: Type.Optional(
                  Duration({
                    description: 'An answer that took longer is a sign of too much load; left out: only failures are.',
                  }),
                ),
                backoff: Type.Number({
                  minimum: 0.1,
                  maximum: 0.99,
                  default: 0.9,
                  description: 'What is left of the limit at such a sign.',
                }),
              },
              {
                description:
                  'Finds the limit between `min` and `max` by itself: up by one for each round of good answers, down by `backoff` when one failed or was slow.',
              },
            ),
          ),
        },
        {
          description:
            'Limits the requests that are in flight to the target at the same time, those of plain HTTP included; the rest waits, and what finds no room or waits too long gets 503 (`overloaded`). Left out: `connections` is the only limit.',
        },
      ),
    ),
    publicOnly: flag(
      false,
      'Connect to public addresses only, whatever the name resolves to: never to the loopback, private networks and the like. Links of its replies lead to public addresses only, too. For targets that are not your own.',
    ),
    connections: count(limits.targetConnections, 'Connections to this target at once; further requests wait.'),
    tls: Type.Optional(
      Type.Object(
        {
          ca: Type.Optional(Pem({ description: 'Authority to trust instead of the well-known ones (PEM).' })),
          cert: Type.Optional(Pem({ description: 'Client certificate (PEM).' })),
          key: Type.Optional(Secret({ description: 'Private key of the client certificate (PEM).' })),
          servername: Type.Optional(
            Type.String({ minLength: 1, description: 'Name to ask for and to check; left out: the host of `url`.' }),
          ),
          verify: flag(true, "Check the target's certificate. `false` is for tests only."),
        },
        { description: 'For `https://` and `wss://`.' },
      ),
    ),
  },
  { description: 'One place where requests go.' },
);

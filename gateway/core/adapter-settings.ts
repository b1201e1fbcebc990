/** The settings of a route about the API gateway in between: its adapter, and what its refusals mean. */
import { Type } from 'typebox';
import { Duration } from './duration.ts';
import { GatewaySchema } from './gateway-settings.ts';
import type { FaultKind } from './profile.ts';
import { Secret } from './secret.ts';
import { count } from './setting-types.ts';

/** Fields of replies in which gateways show themselves; a `*` at the end of one stands for any rest. */
export const gatewayFields = [
  'X-Kong-*',
  'Via',
  'Server',
  'X-Generator',
  'X-APISIX-Upstream-Status',
  'X-Tyk-*',
  'X-Varnish',
  'target_*',
];

const place = (description: string) => Type.Optional(Type.String({ minLength: 1, description }));

const fieldName = (description: string, example: string) => Type.String({ minLength: 1, examples: [example], description });

const faultAction = (description: string) => Type.Enum(['close', 'drop', 'answer'], { default: 'close', description });

/** For kinds that a wait may help. */
const waitingFaultAction = (description: string) =>
  Type.Enum(['close', 'drop', 'answer', 'delay'], { default: 'close', description });

const faultTexts: Readonly<Record<FaultKind, string>> = {
  unauthenticated: 'The gateway does not accept the credentials any more.',
  forbidden: 'The gateway does not allow this message.',
  throttled: 'A rate or quota of the gateway is used up.',
  quota: 'The quota is used up, where the adapter can tell it from a rate; else that is `throttled`.',
  'too-large': 'The message is larger than the gateway allows.',
  'no-route':
    'The gateway has no route for this, where the adapter can tell that from an answer of the backend; else that is `upstream`.',
  upstream:
    'The gateway could not reach the backend. `delay` only with `retry: idempotent` on the targets, since the request may have arrived.',
  'not-ours': 'A page or anything else with a status of success. Without an adapter of its own that is `upstream`.',
};

export const AdapterSchema = Type.Object(
  {
    use: Type.String({ minLength: 1, description: 'The name of the adapter.' }),
    credentials: Type.Enum(['relay', 'replace', 'none'], {
      default: 'relay',
      description:
        "What the gateway gets for a credential, with every request of a session: the client's own (`relay`), `secret` instead of it (`replace`), or `none`.",
    }),
    from: Type.Optional(
      Type.Object(
        {
          header: place('A header field; in `Authorization` the credential stands after `Bearer`.'),
          query: place('A query parameter.'),
          cookie: place('A cookie.'),
          subprotocol: place(
            'A WebSocket subprotocol: the client offers this name and then the credential, or `name.credential`.',
          ),
        },
        {
          minProperties: 1,
          description:
            'Where clients put their credential; it does not go on there. Of several the first that has one counts, and two different ones in one place are refused. Left out: it goes on as it came. A credential that a policy has used up does not go on.',
        },
      ),
    ),
    to: Type.Optional(
      Type.Object(
        { header: place('A header field.'), query: place('A query parameter. It shows in the logs of the gateway.') },
        {
          minProperties: 1,
          maxProperties: 1,
          description: 'Where the gateway looks for it; left out: where the gateway of the adapter usually does.',
        },
      ),
    ),
    prefix: Type.String({
      default: '',
      examples: ['Bearer '],
      description: 'What stands before the credential there, with `from` or `secret`.',
    }),
    secret: Type.Optional(Secret({ description: 'The credential of this service at the gateway, for `replace`.' })),
    consumer: Type.Optional(
      Type.String({
        minLength: 1,
        examples: ['X-App-User'],
        description:
          'With `replace`: the header field with the name of the caller, as a policy has verified it. Clients without a name are refused.',
      }),
    ),
    links: Type.Enum(['bare', 'credentials'], {
      default: 'bare',
      description:
        "What goes with links that lead to the route's own target (next, gone and those that fill gaps): nothing of the client (`bare`, as GRIP has it), or the credential of its requests and `consumer` (`credentials`), for gateways that ask for one with every request. Links to other origins, and those that another origin has named, are always bare. Without `from`, `to` or `secret` it is `Authorization` and the field of the adapter.",
    }),
    identity: Type.Optional(
      Type.Object(
        {
          subject: Type.Optional(fieldName('Who the caller is.', 'X-Consumer-Username')),
          groups: Type.Optional(fieldName('Names with commas between them, for the claim `groups`.', 'X-Consumer-Groups')),
          claims: Type.Record(Type.String({ minLength: 1 }), fieldName('The field with its value.', 'X-Consumer-Custom-ID'), {
            default: {},
            description: 'Further claims, by their names.',
          }),
        },
        {
          description:
            'Header fields of good replies to `OPEN` and later events, and of holds, in which the gateway or the backend says who the caller is: limits, logs, `GET /connections` and `POST /revoke` know the session by it from then on. The subject for whom a policy has vouched stays, and so do its claims. Clients neither set these fields nor see them. What comes from a cache says nothing.',
        },
      ),
    ),
    gateway: Type.Optional(GatewaySchema),
  },
  {
    default: { use: 'generic' },
    description: 'The API gateway in between, whose refusals and headers are understood; also just its name.',
  },
);

export const OnFaultSchema = Type.Object(
  {
    unauthenticated: faultAction(faultTexts.unauthenticated),
    forbidden: faultAction(faultTexts.forbidden),
    throttled: waitingFaultAction(faultTexts.throttled),
    quota: waitingFaultAction(faultTexts.quota),
    'too-large': faultAction(faultTexts['too-large']),
    'no-route': faultAction(faultTexts['no-route']),
    upstream: waitingFaultAction(faultTexts.upstream),
    'not-ours': faultAction(faultTexts['not-ours']),
  },
  {
    default: {},
    description:
      'What a refusal by the gateway means in an open session: `close` it, `drop` the message, `answer` with a frame, or `delay`: the same request is made again after a wait, while what the client sends meanwhile is kept in its order up to `limits.queueBytes`. Only what the gateway itself refused is delayed (`by` in the log), never what the backend may have answered; that is closed.',
  },
);

export const FaultTextSchema = Type.Optional(
  Type.String({
    minLength: 1,
    examples: ['{"error":"{kind}","retryAfter":{wait}}'],
    description:
      'The text of the frame for `answer` of `onFault`, in which `{kind}` becomes the word of `onFault`, `{code}` the [error](errors.md), `{detail}` a sentence and `{wait}` the seconds to wait (0: not known). Left out: `{"type":"error","code":...,"detail":...,"retryAfterMs":...}`.',
  }),
);

export const FaultDelaySchema = Type.Object(
  {
    longest: Duration({ default: '1m', description: 'Where the gateway says to wait longer, the session is closed at once.' }),
    usual: Duration({
      default: '1s',
      description: 'The wait where the gateway says nothing; twice as long before each further try, up to `longest`.',
    }),
    tries: count(3, 'So often one request is made again; then the session is closed.'),
  },
  {
    default: {},
    description:
      'The waits for `delay` of `onFault`, each up to a second longer at random. A client that closes or leaves, or the end of the program, ends a wait at once.',
  },
);

/** The settings of a route: what it matches, where it leads, and under which terms. */
import { Type } from 'typebox';
import { Duration } from './duration.ts';
import { errors, type ErrorCode } from './errors.ts';
import { GatewaySchema } from './gateway-settings.ts';
import { limits } from './limits.ts';
import type { FaultKind } from './profile.ts';
import { Pem, Secret } from './secret.ts';
import { count, derivedMark, flag, policyList } from './setting-types.ts';

/** In place of a target's address: the backend that comes with the program. */
export const testBackendUrl = 'builtin:test';

const TargetSchema = Type.Object(
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

/** No query, no empty segment. */
const sockJsPath = '^(/[\\x21-\\x22\\x24-\\x2e\\x30-\\x3e\\x40-\\x7e]+)+$';

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

/** Names under which messages usually carry credentials. */
const secretMembers = [
  'password',
  'secret',
  'token',
  'access_token',
  'accessToken',
  'refresh_token',
  'refreshToken',
  'authorization',
  'cookie',
].map((name) => `**.${name}`);

const errorCodes = Object.keys(errors) as ErrorCode[]; // Object.keys forgets which keys they are.

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

/** What a route may set apart from its id, match and targets. */
const routeOptions = {
  adapter: Type.Object(
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
  ),
  policies: policyList('Rules for the clients of this route, in order; see [policies](policies.md).'),
  grip: flag(true, 'Whether the backend may use GRIP: subscribe its clients to channels and hold requests.'),
  cachedHolds: Type.Enum(['warn', 'refuse'], {
    default: 'warn',
    description:
      'A reply with a hold that shows signs of a cache (`Age` above 0, `X-Cache: HIT`, `X-Cache-Status`, `Apisix-Cache-Status`, `X-Tyk-Cached-Response: 1`) subscribes one client to the channels of another: `warn` in the log, once a minute at most, or `refuse` it as a reply that is wrong.',
  }),
  filterRequests: count(
    0,
    'Requests per second and URL that `http-check` and `http-modify` may make; more wait. 0: subscriptions that name one of these filters get no items.',
    0,
  ),
  channelPrefix: Type.String({
    default: '',
    description: 'Put before every channel name the backend gives, so that routes cannot mix.',
  }),
  headers: Type.Record(
    Type.String(),
    Secret({ minLength: 0, description: 'Value of the header field; empty: the field is removed.' }),
    {
      default: {},
      description:
        'Header fields set in every request, in place of those that the client sent; an empty value removes the field. Values are hidden in output, as they may be credentials.',
    },
  ),
  path: Type.Optional(
    Type.Object(
      {
        remove: Type.Optional(
          Type.Integer({ minimum: 1, examples: [4], description: 'So many characters are cut off the beginning of the path.' }),
        ),
        replace: Type.Optional(
          Type.String({
            pattern: '^(/[\\x21-\\x22\\x24-\\x3e\\x40-\\x7e]*)?$',
            examples: ['/v2/'],
            description: 'Stands in place of what `match.path` says.',
          }),
        ),
      },
      {
        description:
          'Changes the path on its way to the target: `remove` or `replace`. The query stays, and a path that does not begin with `/` any more gets one.',
      },
    ),
  ),
  signature: Type.Optional(
    Type.Object(
      {
        issuer: Type.Optional(Type.String({ minLength: 1, description: 'The `iss` claim; left out: `grip.issuer`.' })),
        key: Type.Optional(Secret({ description: 'Key, in the forms of `grip.key`; left out: `grip.key`.' })),
      },
      { description: '`Grip-Sig` of this route, where it is not that of `grip`.' },
    ),
  ),
  hideGateway: flag(
    false,
    `Leave out of what clients get the header fields in which gateways show themselves: ${gatewayFields.map((name) => `\`${name}\``).join(', ')}.`,
  ),
  sockjs: Type.Optional(
    Type.Object(
      {
        path: Type.String({
          pattern: sockJsPath,
          examples: ['/sock'],
          description: 'Where SockJS clients connect: their base URL, without a `/` at its end. Below `match.path`.',
        }),
        asPath: Type.Optional(
          Type.String({
            pattern: '^/[\\x21-\\x22\\x24-\\x3e\\x40-\\x7e]*$',
            examples: ['/ws'],
            description: 'The path towards the backend, for all of them; left out: `path`.',
          }),
        ),
        clientUrl: Type.Optional(
          Type.String({
            pattern: '^(https?://|/)[\\x21\\x23-\\x26\\x28-\\x3b\\x3d\\x3f-\\x7e]+$',
            examples: ['https://static.example/sockjs.min.js'],
            description:
              'The SockJS client as a script, for the page `/iframe.html` that browsers without CORS need. Left out: there is no such page. With it pages of every origin connect as if they were of the origin of Foregate, so the policy `origin` says nothing of them.',
          }),
        ),
        cookie: flag(
          false,
          'Tell clients to send cookies, and set `JSESSIONID` where there is none, for balancers that need it to find the process again.',
        ),
      },
      {
        description:
          'Lets SockJS clients in, which fall back to requests where WebSockets do not get through. For the backend and the policies each is a WebSocket.',
      },
    ),
  ),
  limits: Type.Object(
    {
      messageBytes: count(limits.messageBytes, 'Size of one message from a client; a larger one closes the session (1009).'),
      queueBytes: count(limits.queueBytes, 'Bytes from one client that wait for the backend; then reading from it pauses.'),
      unsentBytes: count(
        limits.unsentBytes,
        'Bytes that one client has not taken yet, in its socket and in the queue of its session together; then no next request starts, and `slowClients` applies. A larger item goes alone.',
      ),
      replyBytes: count(limits.replyBytes, 'Body of one reply of the backend.'),
      refusalBytes: count(limits.refusalBytes, 'Body of a refused handshake that is passed on.'),
      subscriptions: count(limits.subscriptions, 'Channels that one session may have joined.', 0),
    },
    { default: {}, description: 'Maximum values of one session.' },
  ),
  closeFrames: flag(true, 'Send a close frame before the connection ends on a failure.'),
  closeCodes: Type.Array(
    Type.Object(
      {
        error: Type.Enum(errorCodes, { examples: ['rate-limited'], description: 'A code of the [table of errors](errors.md).' }),
        subprotocol: Type.Optional(
          Type.String({
            pattern: "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$",
            examples: ['graphql-transport-ws'],
            description: 'Only for WebSockets with this subprotocol; such a rule comes before one without.',
          }),
        ),
        code: Type.Integer({ minimum: 1000, maximum: 4999, examples: [4008], description: 'The close code.' }),
      },
      { additionalProperties: false },
    ),
    {
      default: [],
      description:
        'Close codes in place of those of the table of errors, for clients that expect their own. A policy with a close code of its own keeps it.',
    },
  ),
  pings: Type.Enum(['forward', 'answer'], {
    default: 'forward',
    description: 'Pings of clients go to the backend, or are answered here.',
  }),
  notifyAfterFailure: flag(false, 'Tell the backend that the session is gone also when its own failure ended it.'),
  slowClients: Type.Enum(['close', 'drop-newest', 'drop-oldest', 'latest'], {
    default: 'close',
    description:
      'When a client does not take what is published: `close` the session (1013), or leave items out: the new one (`drop-newest`), those that have waited longest (`drop-oldest`), or, of what waits, all but the newest of each channel (`latest`). Where a subscription has ids, what was left out is fetched by its link.',
  }),
  onFault: Type.Object(
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
  ),
  faultText: Type.Optional(
    Type.String({
      minLength: 1,
      examples: ['{"error":"{kind}","retryAfter":{wait}}'],
      description:
        'The text of the frame for `answer` of `onFault`, in which `{kind}` becomes the word of `onFault`, `{code}` the [error](errors.md), `{detail}` a sentence and `{wait}` the seconds to wait (0: not known). Left out: `{"type":"error","code":...,"detail":...,"retryAfterMs":...}`.',
    }),
  ),
  faultDelay: Type.Object(
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
  ),
  cors: flag(
    false,
    'Add the CORS fields that the backend leaves out, so that pages of every origin can use the answers, with the cookies of their users. Preflight requests still go to the backend.',
  ),
  jsonp: Type.Optional(
    Type.Object(
      {
        mode: Type.Enum(['extended', 'basic'], {
          default: 'extended',
          description: "What the page's function gets: an object with `code`, `reason`, `headers` and `body`, or the body alone.",
        }),
        callback: Type.String({ minLength: 1, default: 'callback', description: 'The parameter that names the function.' }),
        body: Type.Optional(
          Type.String({
            minLength: 1,
            description: 'The parameter with a body, which is then JSON; left out: `_body`, of any type.',
          }),
        ),
        defaultCallback: Type.Optional(
          Type.String({
            pattern: '^[A-Za-z_$][A-Za-z0-9_$]*(\\.[A-Za-z_$][A-Za-z0-9_$]*)*$',
            examples: ['handle'],
            description: 'The function, where only the parameter of `body` is there.',
          }),
        ),
        method: Type.Optional(
          Type.Enum(['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'HEAD'], {
            [derivedMark]: '`GET`, or `POST` with `mode: basic`',
            description: 'The method where no `_method` is given.',
          }),
        ),
      },
      {
        description:
          'Take GET requests with a callback as JSONP: `_method`, `_headers` (a JSON object) and `_body` describe the request, and the answer is a script. Every page can call it with the cookies of its users.',
      },
    ),
  ),
  eventStream: Type.Object(
    {
      retry: Type.Optional(
        Duration({
          description:
            'Clients are told (`retry:`) to wait so long before they connect again, and at random up to half as long again, so that not all come at once.',
        }),
      ),
      heartbeat: Type.Optional(
        Duration({ description: 'A comment is sent after so long without a byte, where the backend asks for no keep-alive.' }),
      ),
      unbuffered: flag(false, 'Add `X-Accel-Buffering: no`: proxies in front that know it pass every byte on at once.'),
      lastEventId: flag(
        false,
        'Ask for next links with `Last-Event-ID`: the id of the last event that the client was sent, or the one it came with.',
      ),
    },
    { default: {}, description: 'What is added to held answers of the type `text/event-stream`; nothing unless set.' },
  ),
  log: Type.Object(
    {
      connections: flag(
        false,
        'A line `connection.closed` for each connection that has ended, plain requests included: session, transport, address, path without its query, subject, duration, messages and bytes in and out, requests, close code or status, who ended it.',
      ),
      messages: Type.Optional(
        Type.Object(
          {
            sample: Type.Number({
              exclusiveMinimum: 0,
              maximum: 1,
              default: 0.01,
              description: 'The share of messages that have a line, by chance; `1` for all.',
            }),
            bytes: count(0, 'So much of a text message is shown, once it is redacted; 0: only its kind and size.', 0),
            redact: Type.Array(
              Type.String({
                pattern: '^[^.]+(\\.[^.]+)*$',
                examples: ['user.password', 'items.*.card'],
                description:
                  'A path: names with dots between them, `*` for any one member or element, `**` for any number of levels.',
              }),
              {
                default: secretMembers,
                description:
                  'Members of JSON whose values are hidden, whatever the case of their names. Text that is no JSON object or array is not shown at all, unless the list is empty.',
              },
            ),
          },
          {
            description:
              'Lines `message.sampled` for some messages of WebSockets: those of clients as they come in, and what is sent to them by the backend, policies and Foregate; no published items. Content of messages is private: know who reads the log.',
          },
        ),
      ),
    },
    { default: {}, description: 'What the log tells of this route besides what goes wrong; nothing unless set.' },
  ),
  reload: Type.Enum(['keep', 'drain'], {
    default: 'keep',
    description:
      'When the configuration changes, open sessions stay under the old one (`keep`) or are closed with 1012 during `drain`.',
  }),
  idle: Duration({ default: '30m', description: 'A session ends when nothing came or went for so long.' }),
  debug: flag(false, 'Tell clients the reason of an error in full. Not for production.'),
};

const routeIdentity = {
  id: Type.String({
    pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$',
    examples: ['chat', 'prices-v2'],
    description: 'Unique name, seen in logs and lists.',
  }),
  match: Type.Object(
    {
      host: Type.Optional(
        Type.String({
          pattern: '^(\\*\\.)?[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$',
          examples: ['chat.example.com', '*.example.com'],
          description: '`Host` of the request, without port; `*.example.com` for all names below it. Left out: any.',
        }),
      ),
      path: Type.String({
        pattern: '^/[\\x21-\\x7e]*$',
        examples: ['/', '/chat/'],
        default: '/',
        description: 'Beginning of the path. The longest that fits wins.',
      }),
      transports: Type.Array(Type.Enum(['websocket', 'http'], { description: 'A transport.' }), {
        minItems: 1,
        uniqueItems: true,
        default: ['websocket', 'http'],
        description: 'What clients may use on this route: `websocket`, `http`.',
      }),
      tls: Type.Optional(
        Type.Boolean({
          description:
            'Only requests that came to Foregate over TLS (`true`), or not over TLS (`false`); left out: both. What proxies in front say counts with `forwarded.acceptProto` only.',
        }),
      ),
      byId: Type.Enum(['never', 'also', 'only'], {
        default: 'never',
        description:
          'Requests that name the id of the route in `routeHeader` get there whatever else `match` says: `also`, or as the `only` ones.',
      }),
    },
    { default: {}, description: 'Which requests belong to the route.' },
  ),
};

export const RouteSchema = Type.Object({
  ...routeIdentity,
  targets: Type.Array(TargetSchema, {
    minItems: 1,
    description: 'Places to go to. The next is tried when one cannot be reached; then it is kept.',
  }),
  ...routeOptions,
});

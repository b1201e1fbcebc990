/** The settings of a route: what it matches, where it leads, and under which terms. */
import { Type } from 'typebox';
import { AdapterSchema, FaultDelaySchema, FaultTextSchema, gatewayFields, OnFaultSchema } from './adapter-settings.ts';
import { Duration } from './duration.ts';
import { errors, type ErrorCode } from './errors.ts';
import { limits } from './limits.ts';
import { Secret } from './secret.ts';
import { count, derivedMark, flag, policyList } from './setting-types.ts';
import { TargetSchema } from './target-settings.ts';

/** No query, no empty segment. */
const sockJsPath = '^(/[\\x21-\\x22\\x24-\\x2e\\x30-\\x3e\\x40-\\x7e]+)+$';

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

/** What a route may set apart from its id, match and targets. */
const routeOptions = {
  adapter: AdapterSchema,
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
  onFault: OnFaultSchema,
  faultText: FaultTextSchema,
  faultDelay: FaultDelaySchema,
  cors: flag(
    false,
    'Add the CORS fields that the backend leaves out, so that pages of every origin can use the answers, with the cookies of their users. Preflight requests go to the backend, but are answered here where policies or the adapter look at credentials, which browsers do not send with them.',
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
      template: Type.Optional(
        Type.String({
          pattern: '^/[\\x21-\\x7e]*$',
          examples: ['/chat/{room}', '/v1/orders'],
          description:
            'In place of `path`: the whole path, as OpenAPI writes it. `{name}` stands for one segment, or a part of one. It wins over beginnings of paths, and text wins over a name in the same segment.',
        }),
      ),
      transports: Type.Array(Type.Enum(['websocket', 'http'], { description: 'A transport.' }), {
        minItems: 1,
        uniqueItems: true,
        default: ['websocket', 'http'],
        description: 'What clients may use on this route: `websocket`, `http`.',
      }),
      methods: Type.Optional(
        Type.Array(Type.String({ pattern: '^[A-Z][A-Z-]{0,31}$', examples: ['GET', 'POST'], description: 'A method.' }), {
          minItems: 1,
          uniqueItems: true,
          description:
            'Methods of plain requests; WebSockets have none to choose. GET stands for HEAD, too, and a preflight of CORS goes where the request would that it asks for. Left out: all. Where only the method does not fit, the answer is 405.',
        }),
      ),
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

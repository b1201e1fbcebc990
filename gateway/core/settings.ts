/**
 * The settings: the shape of the configuration file once it is read, with every default. Descriptions are the reference
 * (`docs/configuration.md`), and defaults stand nowhere else. In the file a field with a default may be left out, and a target
 * or an adapter may be a plain string: `config/schema.ts`.
 */
import { Type, type Static } from 'typebox';
import { Duration } from './duration.ts';
import { limits } from './limits.ts';
import type { FaultKind } from './profile.ts';
import { Pem, Secret } from './secret.ts';

/** Fields that gateways and proxies use to vouch for a caller; a client that sends one is lying. */
const identityHeaders = [
  'X-Consumer-*',
  'X-Credential-*',
  'X-Anonymous-Consumer',
  'X-Authenticated-*',
  'X-Authorization-Claims',
  'Eg-*',
  'X-Ms-Client-Principal*',
  'X-Apigee-*',
  'X-Tyk-*',
  'X-Userinfo',
  'X-Id-Token',
  'X-Access-Token',
  'X-Ssl-Client-*',
  'X-Client-Cert*',
  'X-Forwarded-Client-Cert',
];

/** What fills in a required field that the file may leave out; shown in the reference as its default. */
export const derivedMark = 'x-foregate-derived';

const port = (number: number, description: string) => Type.Integer({ minimum: 0, maximum: 65_535, default: number, description });

const count = (number: number, description: string, minimum = 1) => Type.Integer({ minimum, default: number, description });

const flag = (on: boolean, description: string) => Type.Boolean({ default: on, description });

const ListenSchema = Type.Object(
  {
    host: Type.String({ minLength: 1, default: '0.0.0.0', description: 'Address to listen on.' }),
    port: port(7999, 'Port to listen on; 0 takes any free one.'),
    socket: Type.Optional(
      Type.String({
        minLength: 1,
        examples: ['/run/foregate/clients.sock'],
        description: 'Path of a Unix socket to listen on, instead of `host` and `port`. Its clients have the address `unix`.',
      }),
    ),
    socketMode: Type.Optional(
      Type.String({
        pattern: '^0?[0-7]{3}$',
        examples: ['0666'],
        description: 'Who may connect to the socket, as `chmod` has it, in quotes. Left out: `0660`.',
      }),
    ),
    tls: Type.Optional(
      Type.Object(
        {
          cert: Type.Optional(Pem({ description: 'Certificate chain (PEM). A file is read again when it changes.' })),
          key: Type.Optional(Secret({ description: 'Private key (PEM). A file is read again when it changes.' })),
          ca: Type.Optional(
            Pem({ description: 'Clients are asked for a certificate signed by this authority (PEM); see the policy `mtls`.' }),
          ),
          clientCertificates: Type.Optional(
            Type.Enum(['request', 'require'], {
              description:
                'What happens to clients without such a certificate. `require`, which holds where nothing is said: there is no connection. `request`: they may come, and the policy `mtls` decides on each route.',
            }),
          ),
          folder: Type.Optional(
            Type.String({
              minLength: 1,
              examples: ['tls/certs'],
              description:
                'Instead of `cert` and `key`: a folder with `HOST.crt` and `HOST.key` for each host that clients ask for, else `_.PARENT-DOMAIN.crt`, else `default_PORT.crt` or `default.crt`. Files are read again when they change.',
            }),
          ),
        },
        { description: 'Makes the port speak TLS (`wss://`, `https://`): `cert` and `key`, or `folder`.' },
      ),
    ),
    http2: Type.Optional(
      Type.Boolean({
        description: 'HTTP/2 beside HTTP/1.1, for clients that ask for it (ALPN). Left out: on where there is `tls`.',
      }),
    ),
  },
  { description: 'One port or Unix socket for clients.' },
);

/** What `dryRun` beside any `use` means. */
export const dryRunText =
  'With `true` the policy decides, counts and logs, but everything passes: what it would have refused is told in the log (`policy.would-deny`) and counted (`foregate_policy_dry_run_denials_total`).';

/** `use` names the policy, the rest of the mapping is its options. */
const UseSchema = Type.Object(
  {
    use: Type.String({ minLength: 1, description: 'The name of a policy, a file (`./mine.mjs`) or an installed package.' }),
    dryRun: Type.Optional(Type.Boolean({ description: dryRunText })),
  },
  { additionalProperties: true, description: 'A policy and its options.' },
);

const policyList = (description: string) => Type.Array(UseSchema, { default: [], description });

const zeroMqSpec = (description: string) =>
  Type.String({
    pattern: '^(tcp://.+:[0-9]{1,5}|ipc://.+)$',
    examples: ['tcp://127.0.0.1:5560', 'ipc:///run/foregate/in'],
    description,
  });

const ZeroMqSchema = Type.Object(
  {
    pull: Type.Optional(zeroMqSpec('Takes items from PUSH sockets.')),
    subscribe: Type.Array(zeroMqSpec('Where PUB sockets publish.'), {
      default: [],
      description: 'Takes items from PUB sockets, those of channels with subscribers.',
    }),
    connect: flag(false, '`subscribe` names publishers to connect to. `false`: publishers connect to Foregate there.'),
    commands: Type.Optional(zeroMqSpec('Answers the commands of REQ sockets.')),
    unprotected: flag(
      false,
      'Let other machines reach these sockets, which ask nobody who he is: needed for `tcp://` on anything but a loopback address.',
    ),
    optional: flag(false, 'Start without these sockets, and with a warning, if the package `zeromq` is not installed.'),
  },
  {
    description:
      'Sockets of ZeroMQ as Pushpin has them, for publishers that know no HTTP. They need the package `zeromq`: `npm install zeromq@6`. `auth` does not hold for them; `policies` do.',
  },
);

const ControlSchema = Type.Object(
  {
    host: Type.String({
      minLength: 1,
      default: '127.0.0.1',
      description: 'Address to listen on. Anything but a loopback address needs `auth` or `tls.ca`.',
    }),
    port: port(5561, 'Port to listen on; 0 takes any free one.'),
    tls: Type.Optional(
      Type.Object(
        {
          cert: Pem({ description: 'Certificate chain (PEM).' }),
          key: Secret({ description: 'Private key (PEM).' }),
          ca: Type.Optional(Pem({ description: 'Callers must show a certificate signed by this authority (PEM).' })),
        },
        { description: 'Makes the port speak TLS.' },
      ),
    ),
    auth: Type.Object(
      {
        bearer: Type.Array(Secret({ description: 'A token.' }), {
          default: [],
          description: 'Tokens accepted in `Authorization: Bearer`.',
        }),
        jwt: Type.Array(
          Type.Object({
            issuer: Type.String({ minLength: 1, description: 'The `iss` claim that goes with the key.' }),
            key: Secret({ description: 'Key of the signature: text, `base64:...`, or a public key (PEM).' }),
          }),
          { default: [], description: 'Signed tokens accepted in `Authorization: Bearer`, as GRIP libraries send them.' },
        ),
        basic: Type.Array(
          Type.Object({
            user: Type.String({ minLength: 1, description: 'User name.' }),
            password: Secret({ description: 'Password.' }),
          }),
          { default: [], description: 'Accounts accepted in `Authorization: Basic`.' },
        ),
      },
      {
        default: {},
        description: 'Who may call: one fitting entry is enough. With no entry at all everybody who can reach the port may.',
      },
    ),
    policies: policyList('Rules for publishers, in order; see [policies](policies.md).'),
    zeromq: Type.Optional(ZeroMqSchema),
  },
  { default: {}, description: 'The control API: publishing, health, metrics, sessions.' },
);

const MetricsSchema = Type.Object(
  {
    prefix: Type.String({
      pattern: '^([A-Za-z_:][A-Za-z0-9_:]*)?$',
      examples: ['pushpin_'],
      default: '',
      description: 'Put before the names that Pushpin has too, such as `request_received`; all others begin with `foregate_`.',
    }),
    port: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 65_535,
        examples: [9090],
        description:
          'A port of their own, where any path answers and nobody is asked who he is; 0 takes any free one. Left out: none.',
      }),
    ),
    host: Type.String({ minLength: 1, default: '127.0.0.1', description: 'Address of that port.' }),
  },
  {
    default: {},
    description: 'What Prometheus reads: at `/metrics` of the control API, and at a port of its own if there is one.',
  },
);

const TargetSchema = Type.Object(
  {
    url: Type.String({
      minLength: 1,
      examples: ['http://127.0.0.1:8080', 'wss://chat.internal'],
      description:
        'Scheme, host and port: `http://`, `https://`, `ws://` or `wss://`. The path is always the one the client asked for.',
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
    retry: Type.Enum(['once', 'never'], {
      default: 'once',
      description: 'Whether a request is sent again when a kept connection turns out to be closed before a byte of the reply.',
    }),
    timeout: Duration({ default: '30s', description: 'How long one request may take.' }),
    idle: Duration({
      default: '4s',
      description: 'How long an unused connection to the target is kept: less than the target keeps it.',
    }),
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

const faultAction = (description: string) => Type.Enum(['close', 'drop', 'answer'], { default: 'close', description });

const faultTexts: Readonly<Record<FaultKind, string>> = {
  unauthenticated: 'The gateway does not accept the credentials any more.',
  forbidden: 'The gateway does not allow this message.',
  throttled: 'A rate or quota of the gateway is used up.',
  'too-large': 'The message is larger than the gateway allows.',
  upstream: 'The gateway could not reach the backend.',
};

/** What a route may set apart from its id, match and targets. */
const routeOptions = {
  adapter: Type.Object(
    { use: Type.String({ minLength: 1, description: 'The name of the adapter.' }) },
    {
      default: { use: 'generic' },
      description: 'The API gateway in between, whose refusals and headers are understood; also just its name.',
    },
  ),
  policies: policyList('Rules for the clients of this route, in order; see [policies](policies.md).'),
  grip: flag(true, 'Whether the backend may use GRIP: subscribe its clients to channels and hold requests.'),
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
      throttled: faultAction(faultTexts.throttled),
      'too-large': faultAction(faultTexts['too-large']),
      upstream: faultAction(faultTexts.upstream),
    },
    {
      default: {},
      description:
        'What a refusal by the gateway means in an open session: `close` it, `drop` the message, or `answer` with a frame.',
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

const RouteSchema = Type.Object({
  ...routeIdentity,
  targets: Type.Array(TargetSchema, {
    minItems: 1,
    description: 'Places to go to. The next is tried when one cannot be reached; then it is kept.',
  }),
  ...routeOptions,
});

const forwardedFor = (description: string) =>
  Type.Optional(
    Type.Object(
      {
        keep: Type.Optional(
          Type.Integer({ minimum: 0, description: 'So many addresses at the end of what came are kept; left out: all.' }),
        ),
        append: flag(true, 'The address of the peer is put at the end.'),
      },
      { description },
    ),
  );

const ForwardedSchema = Type.Object(
  {
    for: forwardedFor(
      '`X-Forwarded-For`. Left out: the chain of `trustedProxies` goes on, that of everybody else begins with the peer.',
    ),
    forSigned: forwardedFor('The same for a gateway in front (`grip.upstreamKey`). Left out: its chain goes on.'),
    proto: Type.Optional(
      Type.Enum(['both', 'x-forwarded-proto', 'none'], {
        description:
          'What tells the backend of TLS: `X-Forwarded-Proto` and `X-Forwarded-Protocol`, the first, or nothing; with `https` or `wss`, and only where the request came over TLS. Fields that came are removed. Left out: `X-Forwarded-Proto` is always written, with `http` or `https`.',
      }),
    ),
    acceptProto: flag(
      false,
      'A request counts as one over TLS, for `match.tls` and for the backend, if `X-Forwarded-Proto` or `X-Forwarded-Protocol` says `https` or `wss`.',
    ),
    others: Type.Enum(['own', 'pass'], {
      default: 'own',
      description:
        '`X-Forwarded-Host`, `X-Forwarded-Port`, `Forwarded`, `X-Real-IP` and their like: `own` ones are written, or those that came `pass` and none is written.',
    }),
  },
  {
    description:
      'Rules for what proxies in front say, as Pushpin has them. With this setting **everybody** is believed, so that clients can lie about where they come from, unless `trustedProxies` says who is: then what others say is left out.',
  },
);

const CdnLoopSchema = Type.Object(
  {
    id: Type.String({
      pattern: "^[A-Za-z0-9!#$%&'*+.^_`|~:\\[\\]-]+$",
      examples: ['edge.example.com'],
      description: 'Name of this gateway, or of all that stand beside it; better one of your own domain.',
    }),
    passes: count(
      1,
      'A request that carries the name so often already is refused. More than 1 where gateways in a row share it.',
    ),
  },
  { description: '`CDN-Loop` (RFC 8586): the name is put into every request, and one that goes round in circles gets 508.' },
);

export const SettingsSchema = Type.Object(
  {
    listen: Type.Array(ListenSchema, { minItems: 1, default: [{}], description: 'Ports for clients.' }),
    control: ControlSchema,
    metrics: MetricsSchema,
    grip: Type.Object(
      {
        issuer: Type.String({ minLength: 1, default: 'foregate', description: 'The `iss` claim of `Grip-Sig`.' }),
        key: Type.Optional(
          Secret({
            description:
              'Key that `Grip-Sig` is signed with: text, `base64:...`, or a private key (PEM). Left out: no `Grip-Sig` is sent.',
          }),
        ),
        algorithm: Type.Optional(
          Type.Enum(['HS256', 'ES256', 'RS256'], { description: 'Algorithm of `Grip-Sig`. Left out: by the type of the key.' }),
        ),
        upstreamKey: Type.Optional(
          Secret({
            description:
              'Key of gateways in front: text, `base64:...`, or a public key (PEM). A request whose `Grip-Sig` fits it comes from one: `Grip-*` fields pass in both directions, also events of WebSocket-over-HTTP, and nothing is held or joined here, since that gateway does it.',
          }),
        ),
      },
      { default: {}, description: 'How backends can tell that a request came through here.' },
    ),
    trustedProxies: Type.Array(
      Type.String({ description: 'An address or a range, such as `10.0.0.0/8`; `unix` for all Unix sockets.' }),
      {
        default: [],
        description: 'Proxies in front whose `X-Forwarded-*` and `Forwarded` fields are believed: addresses or CIDR ranges.',
      },
    ),
    forwarded: Type.Optional(ForwardedSchema),
    cdnLoop: Type.Optional(CdnLoopSchema),
    routeHeader: Type.Optional(
      Type.String({
        minLength: 1,
        examples: ['Pushpin-Route'],
        description:
          'Field in which a client names the id of its route, if the route allows it with `match.byId`. Everybody may choose so, and what else `match` says does not count then. The field does not go on, and any other id gets `noRouteStatus`.',
      }),
    ),
    stripHeaders: Type.Array(Type.String({ description: 'A name; a `*` at its end stands for any rest.' }), {
      default: identityHeaders,
      description:
        'Header fields that no client may set, because gateways vouch for callers with them. A list here replaces the default.',
    }),
    exclusiveHosts: flag(
      false,
      'A host that stands in `match.host` of a route, not only under a `*.`, never uses routes without host, even if no path of its own fits.',
    ),
    noRouteStatus: Type.Enum([404, 502], { default: 404, description: 'Status of the answer to a request that no route fits.' }),
    publish: Type.Object(
      {
        waitForEarlier: Duration({
          default: `${limits.sequenceWaitMs / 1000}s`,
          description: 'How long an item waits for the one that its `prev-id` names; at most 24d.',
        }),
        rememberIds: Duration({
          default: `${limits.duplicateMemoryMs / 1000}s`,
          description: 'How long the id of an item is known, so that the item is delivered once; at most 24d. `0s`: not at all.',
        }),
      },
      { default: {}, description: 'Order and repetition of published items. A reload does not change it.' },
    ),
    holds: Type.Object(
      {
        recheck: flag(
          true,
          'Ask the backend again for a held request if an item of a channel was published after the request and before it was subscribed, so that nothing is missed in between.',
        ),
        linger: Duration({
          default: `${limits.lingerMs / 1000}s`,
          description:
            'How long the ids of a channel are remembered after its last subscriber has left: a client that polls comes back. At most 24d.',
        }),
      },
      { default: {}, description: 'Held requests: long-polls and streams. A reload does not change it.' },
    ),
    limits: Type.Object(
      {
        sessions: count(limits.sessions, 'Sessions of this process; further handshakes get 503.'),
        headerBytes: count(limits.headerBytes, 'Request line and header fields of a client, in bytes.', 1024),
        headerFields: count(limits.headerFields, 'Header fields of a client request.', 8),
        publishBytes: count(limits.publishBytes, 'Body of a call to the control API.'),
        publishItems: count(limits.publishItems, 'Items of one publish call.'),
        controlConnections: count(limits.controlConnections, 'Connections to the control API at once.'),
      },
      { default: {}, description: 'Maximum values of the process.' },
    ),
    log: Type.Object(
      {
        level: Type.Enum(['error', 'warn', 'info', 'debug'], {
          default: 'info',
          description: 'The least important level that is written.',
        }),
        format: Type.Enum(['json', 'text'], { default: 'json', description: '`json`: one object a line; `text`: for people.' }),
      },
      { default: {}, description: 'The log, on standard output.' },
    ),
    drain: Duration({
      default: '10s',
      description: 'How long a stop, or a route with `reload: drain`, takes to close its sessions.',
    }),
    routes: Type.Array(RouteSchema, { minItems: 1, description: 'Where requests go, and under which terms.' }),
  },
  { description: 'Foregate configuration.' },
);

/** Nobody changes settings once they are read. */
type Frozen<T> = T extends object ? { readonly [Key in keyof T]: Frozen<T[Key]> } : T;

export type Settings = Frozen<Static<typeof SettingsSchema>>;
export type RouteSettings = Settings['routes'][number];
export type TargetSettings = RouteSettings['targets'][number];
export type LogSettings = Settings['log'];

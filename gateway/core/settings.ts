/**
 * The settings: the shape of the configuration file once it is read, with every default. Descriptions are the reference
 * (`docs/configuration.md`), and defaults stand nowhere else. In the file a field with a default may be left out, and a target
 * or an adapter may be a plain string: `config/schema.ts`.
 */
import { Type, type Static } from 'typebox';
import { BusSchema } from './bus-settings.ts';
import { DocumentSchema } from './document-settings.ts';
import { Duration } from './duration.ts';
import { limits } from './limits.ts';
import { ControlSchema, ListenSchema, MetricsSchema } from './listen-settings.ts';
import { RouteSchema } from './route-settings.ts';
import { Secret } from './secret.ts';
import { count, derivedMark, flag, redisPrefix, redisUrl } from './setting-types.ts';

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

const StoreSchema = Type.Object(
  {
    use: Type.Enum(['memory', 'redis'], {
      default: 'memory',
      description:
        '`memory`: this program counts for itself, its workers together. `redis`: all that use the same Redis and `prefix` count together; it needs the package `ioredis`: `npm install ioredis@6`.',
    }),
    url: redisUrl(),
    prefix: redisPrefix('Put before all keys in Redis: one for each group of gateways that count together.'),
    whenAway: Type.Enum(['local', 'allow', 'deny'], {
      default: 'local',
      description:
        'While Redis is away each process counts for itself (`local`; its counts start anew, with the same limits), nothing is limited (`allow`), or everything that has a limit is refused (`deny`; then the process is not ready either).',
    }),
    timeout: Duration({ default: '100ms', description: 'Redis counts as away for whatever it does not answer by then.' }),
  },
  {
    default: {},
    description: 'Where policies count; see [several machines](operate.md#several-machines). A reload does not change it.',
  },
);

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
    workers: Type.Integer({
      minimum: 1,
      maximum: limits.workers,
      default: 1,
      description:
        'Processes that `foregate run` starts, which share the ports; as many as there are processors, at most. See [several processors](operate.md#several-processors). A reload does not change it.',
    }),
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
    store: StoreSchema,
    bus: BusSchema,
    limits: Type.Object(
      {
        sessions: count(limits.sessions, 'Sessions of each process; further handshakes get 503.'),
        headerBytes: count(limits.headerBytes, 'Request line and header fields of a client, in bytes.', 1024),
        headerFields: count(limits.headerFields, 'Header fields of a client request.', 8),
        publishBytes: count(limits.publishBytes, 'Body of a call to the control API.'),
        publishItems: count(limits.publishItems, 'Items of one publish call.'),
        controlConnections: count(limits.controlConnections, 'Connections to the control API at once, of each process.'),
      },
      { default: {}, description: 'Maximum values of each process.' },
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
    openapi: Type.Array(DocumentSchema, {
      default: [],
      description:
        'OpenAPI documents (3.0 or 3.1) whose operations are routes, behind those of `routes`; see [OpenAPI](openapi.md). A reload reads them again.',
    }),
    asyncapi: Type.Array(DocumentSchema, {
      default: [],
      description:
        'AsyncAPI documents (3.0 or 3.1) whose channels of WebSockets and HTTP are routes, behind those of `openapi`; see [AsyncAPI](asyncapi.md). A reload reads them again.',
    }),
    routes: Type.Array(RouteSchema, {
      minItems: 1,
      [derivedMark]: 'needed without `openapi` and `asyncapi`',
      description: 'Where requests go, and under which terms.',
    }),
  },
  { description: 'Foregate configuration.' },
);

/** Nobody changes settings once they are read. */
type Frozen<T> = T extends object ? { readonly [Key in keyof T]: Frozen<T[Key]> } : T;

export type Settings = Frozen<Static<typeof SettingsSchema>>;
export type RouteSettings = Settings['routes'][number];
export type TargetSettings = RouteSettings['targets'][number];
export type LogSettings = Settings['log'];

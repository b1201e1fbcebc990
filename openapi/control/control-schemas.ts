/** Bodies and answers of the control API. The handlers check with them, the document shows them, and the types come from them. */
import { Type, type Static } from 'typebox';
import { routeCounters } from '../../gateway/core/route-statistics.ts';

/** Ids that one `/conncheck/` may ask for. */
export const connectionIdsMax = 10_000;
/** What the page at `/docs` loads. */
export const docsFiles = ['swagger-ui.css', 'swagger-ui-bundle.js', 'start.js'] as const;
/** Entries of a list, unless the caller says otherwise, and at most. */
export const listLimit = { default: 1000, max: 10_000 } as const;

const contentFilters = Type.Array(Type.String(), {
  description: "Delivered only where the subscription's content filters are exactly these, in this order.",
});
const base64 = (what: string) =>
  Type.String({ contentEncoding: 'base64', description: `${what} as base64; comes before the text form.` });
const wholeNumber = (minimum: number, maximum: number, description: string) =>
  Type.Union([Type.Integer({ minimum, maximum }), Type.String({ pattern: '^[0-9]+$' })], { description });

export const HttpResponseFormat = Type.Object(
  {
    action: Type.Optional(
      Type.Enum(['send', 'hint', 'close', 'refresh'], { default: 'send', description: 'All but `send` do nothing here.' }),
    ),
    code: Type.Optional(wholeNumber(0, 999, 'Status of the answer; 200 if left out.')),
    reason: Type.Optional(Type.String({ description: 'Reason phrase; the usual one of the status if left out.' })),
    headers: Type.Optional(
      Type.Union(
        [Type.Array(Type.Array(Type.String(), { minItems: 2, maxItems: 2 })), Type.Record(Type.String(), Type.String())],
        {
          description: 'Header fields, as pairs or as an object.',
        },
      ),
    ),
    'body-bin': Type.Optional(base64('The body')),
    body: Type.Optional(Type.String({ description: 'The body as text.' })),
    'body-patch': Type.Optional(
      Type.Array(Type.Unknown(), { description: "JSON Patch (RFC 6902) for the body that the hold's instruction came with." }),
    ),
    'content-filters': Type.Optional(contentFilters),
  },
  { description: 'For long-polls that are being held. `send` needs one of `body-bin`, `body` and `body-patch`.' },
);

export const HttpStreamFormat = Type.Object(
  {
    action: Type.Optional(
      Type.Enum(['send', 'hint', 'close', 'refresh'], { default: 'send', description: '`close` ends the stream.' }),
    ),
    'content-bin': Type.Optional(base64('The content')),
    content: Type.Optional(Type.String({ description: 'The content as text.' })),
    'content-filters': Type.Optional(contentFilters),
  },
  { description: 'For streams that are being held. `send` needs `content` or `content-bin`.' },
);

export const WsMessageFormat = Type.Object(
  {
    action: Type.Optional(
      Type.Enum(['send', 'close', 'refresh', 'hint'], {
        default: 'send',
        description: '`close` closes the WebSockets, `refresh` makes each session ask its backend at once, `hint` does nothing.',
      }),
    ),
    type: Type.Optional(
      Type.Enum(['text', 'binary', 'ping', 'pong'], {
        description: 'Left out: `binary` for `content-bin`, `text` for `content`.',
      }),
    ),
    'content-bin': Type.Optional(base64('The content')),
    content: Type.Optional(Type.String({ description: 'The content as text.' })),
    code: Type.Optional(wholeNumber(1000, 4999, 'For `close`; 1000 if left out. Codes that must not be sent are refused.')),
    reason: Type.Optional(Type.String({ description: 'For `close`; cut to 123 bytes.' })),
    'content-filters': Type.Optional(contentFilters),
  },
  { description: 'For WebSockets. `send` needs `content` or `content-bin`, save for pings and pongs.' },
);

const formats = {
  'http-response': Type.Optional(Type.Unsafe({ $ref: '#/components/schemas/HttpResponseFormat' })),
  'http-stream': Type.Optional(Type.Unsafe({ $ref: '#/components/schemas/HttpStreamFormat' })),
  'ws-message': Type.Optional(Type.Unsafe({ $ref: '#/components/schemas/WsMessageFormat' })),
};

export const PublishItem = Type.Object(
  {
    channel: Type.String({
      minLength: 1,
      maxLength: 1024,
      description: 'Subscribers of exactly this channel get the item; no control characters.',
    }),
    id: Type.Optional(
      Type.String({ description: 'Id of the item in its channel; an id that was seen lately is not delivered again.' }),
    ),
    'prev-id': Type.Optional(Type.String({ description: 'Id of the item before it; the item waits a moment for that one.' })),
    formats: Type.Optional(
      Type.Object(formats, {
        description: 'One form for each kind of client; others are ignored. May be left out if the formats stand beside it.',
      }),
    ),
    ...formats,
    meta: Type.Optional(
      Type.Record(Type.String(), Type.String(), {
        description: 'For filters: `sender`, `skip_users`, `require_sub` or your own.',
      }),
    ),
    size: Type.Optional(wholeNumber(0, 0x7fff_ffff, 'Stated size, for statistics.')),
    'no-seq': Type.Optional(Type.Boolean({ description: 'Deliver at once, whatever `prev-id` says.' })),
  },
  { description: 'One item for one channel.' },
);

export const PublishBody = Type.Object(
  {
    items: Type.Array(Type.Unsafe({ $ref: '#/components/schemas/PublishItem' }), {
      description: 'All are checked first: one that is not valid refuses the whole call.',
    }),
  },
  { description: 'What is to be published.' },
);

export const RefreshBody = Type.Object(
  { cid: Type.String({ minLength: 1, description: 'Id of the session: what backends see as `Connection-Id`.' }) },
  { description: 'Which session should ask its backend.' },
);
export type RefreshBody = Static<typeof RefreshBody>;

export const ConncheckBody = Type.Object(
  { ids: Type.Array(Type.String(), { maxItems: connectionIdsMax, description: 'Ids of sessions.' }) },
  { description: 'Which sessions to look for.' },
);
export type ConncheckBody = Static<typeof ConncheckBody>;

export const ConnectionIds = Type.Array(Type.String(), {
  description: 'Those of the ids that belong to an open session, in the order asked.',
});

export const RevokeBody = Type.Object(
  {
    subject: Type.Optional(
      Type.String({
        minLength: 1,
        description: 'Whose credentials: what policies recognise as the subject. One of the three is given.',
      }),
    ),
    key: Type.Optional(Type.String({ minLength: 1, description: 'Which API keys: their name.' })),
    jti: Type.Optional(Type.String({ minLength: 1, description: 'Which token: its `jti`.' })),
    issuedBefore: Type.Optional(
      Type.String({
        format: 'date-time',
        description:
          'Of a subject only tokens that were issued (`iat`) before are meant, and those that do not say when. Without it: now.',
      }),
    ),
    until: Type.Optional(
      Type.String({
        format: 'date-time',
        description: 'So long it is remembered: until the last token that it is about has expired. Without it: 24 hours.',
      }),
    ),
  },
  { description: 'What is revoked.' },
);
export type RevokeBody = Static<typeof RevokeBody>;

export const Revoked = Type.Object(
  { ended: Type.Integer({ minimum: 0, description: 'Open sessions of this program that were ended.' }) },
  { description: 'What that did.' },
);

export const RenewBody = Type.Object(
  {
    cid: Type.String({ minLength: 1, description: 'What backends see as `Connection-Id`.' }),
    token: Type.String({ minLength: 1, maxLength: 8192, description: 'The newer token, without `Bearer`.' }),
  },
  { description: 'A session and its newer token.' },
);
export type RenewBody = Static<typeof RenewBody>;

export const Message = Type.Object({ message: Type.String() }, { description: 'What was done.' });

export const Connection = Type.Object(
  {
    id: Type.String({ description: 'What backends see as `Connection-Id`.' }),
    route: Type.String({ description: 'Id of the route.' }),
    transport: Type.Enum(['websocket', 'stream', 'response'], {
      description: 'A WebSocket, or a held request: an answer that goes on (`stream`) or that is waited for (`response`).',
    }),
    address: Type.String({ description: "The client's IP address." }),
    path: Type.String({ description: 'Path that the client asked for, without the query.' }),
    subject: Type.Optional(Type.String({ description: 'Who the client has proved to be.' })),
    channels: Type.Array(Type.String(), { description: 'Channels it has joined.' }),
    openedAt: Type.String({ format: 'date-time', description: 'When it was opened.' }),
    unsentBytes: Type.Optional(
      Type.Integer({ minimum: 1, description: 'Bytes that the client has not taken; left out for none.' }),
    ),
  },
  { description: 'One open session.' },
);

export const Channel = Type.Object(
  {
    channel: Type.String({ description: 'Its name.' }),
    subscribers: Type.Integer({ minimum: 0, description: 'Sessions of this program that have joined it.' }),
    dropped: Type.Optional(
      Type.Integer({
        minimum: 1,
        description: 'Deliveries left out for clients that read too slowly, since it has had subscribers; left out for none.',
      }),
    ),
  },
  { description: 'One channel with subscribers.' },
);

const total = (description: string) => Type.Integer({ minimum: 0, description });

/** All counters with the texts they have where they are counted. */
const countedMembers = Object.fromEntries(Object.entries(routeCounters).map(([name, text]) => [name, total(text)]));

const statisticsMembers = {
  connections: total('Clients that are connected now: sessions, and requests that are being answered.'),
  connectionsHighest: total('The most at once, in this interval and the one before. In total the sum of what each route had.'),
  connectionMinutes: total('Minutes that clients were connected, each begun minute of each client.'),
  sessions: Type.Object(
    {
      websocket: total('WebSockets.'),
      stream: total('Answers that go on.'),
      response: total('Requests on hold.'),
    },
    { description: 'Open sessions by their transport.' },
  ),
  ...countedMembers,
};

export const RouteStatistics = Type.Object(
  { route: Type.String({ description: 'Id of the route.' }), ...statisticsMembers },
  { description: 'What one route has counted.' },
);

const TargetState = Type.Object(
  {
    target: Type.String({ description: 'Its url.' }),
    circuit: Type.Optional(
      Type.Enum(['closed', 'half-open', 'open'], {
        description: 'Of its breaker: it is used, tried, or left alone. Only if it has one.',
      }),
    ),
    inFlight: Type.Optional(
      Type.Object(
        {
          running: total('Requests in flight.'),
          waiting: total('Requests that wait for their turn.'),
          limit: total('Requests that may be in flight at present.'),
        },
        { description: 'Only if they are limited.' },
      ),
    ),
  },
  { description: 'How one target is.' },
);

export const Statistics = Type.Object(
  {
    since: Type.String({ format: 'date-time', description: 'When the process started; every counter was 0 then.' }),
    durationMs: total('Milliseconds since then.'),
    intervalSeconds: total('Length of the intervals of `connectionsHighest`.'),
    total: Type.Object(
      {
        ...statisticsMembers,
        received: total('Items that were published, without those that came twice. They are of channels, not of routes.'),
        channels: total('Channels with subscribers.'),
        subscriptions: total('Subscriptions of all sessions.'),
      },
      { description: 'All routes together, those included that are not in the configuration any more.' },
    ),
    routes: Type.Array(Type.Unsafe({ $ref: '#/components/schemas/RouteStatistics' }), {
      description: 'The routes of the configuration, and earlier ones to which clients are still connected.',
    }),
    targets: Type.Array(TargetState, {
      description: 'Targets of the configuration with `breaker` or `inFlight`, as they are now.',
    }),
  },
  { description: 'What was counted. Counters only grow, and no reader resets them.' },
);

export const Health = Type.Object(
  {
    status: Type.Enum(['live', 'ready', 'unavailable'], {
      description: '`unavailable` while starting and while draining, and without its store if `store.whenAway` is `deny`.',
    }),
    store: Type.Optional(
      Type.Enum(['up', 'away'], { description: 'Whether the store that several machines share counts; only if there is one.' }),
    ),
    bus: Type.Optional(
      Type.Enum(['up', 'away'], {
        description: 'Whether publications go to other machines; only if they shall. Away, it is ready all the same.',
      }),
    ),
  },
  { description: 'How the process is.' },
);

export const Problem = Type.Object(
  {
    type: Type.Literal('about:blank', { description: 'The status says what kind of problem it is.' }),
    title: Type.String({ description: 'The phrase of the status.' }),
    status: Type.Integer({ minimum: 400, maximum: 599, description: 'The status of the answer.' }),
    detail: Type.String({ description: 'What was wrong with this call.' }),
  },
  { description: 'Problem details (RFC 9457).' },
);

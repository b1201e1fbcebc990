/** The OpenAPI 3.1 document of the control API; `docs/control.openapi.json` is its committed copy, and `/openapi.json` serves it. */
import type { OpenAPIV3_1 } from 'openapi-types';
import type { TSchema } from 'typebox';
import * as schemas from './control-schemas.ts';

// No annotations here: the published types of an operation are those of OpenAPI 3.0 and of 3.1 at once, and what TypeScript infers fits both.
const ref = (name: keyof typeof schemas) => ({ $ref: `#/components/schemas/${name}` });
const sharedResponse = (name: string) => ({ $ref: `#/components/responses/${name}` });
const list = (name: keyof typeof schemas) => ({ type: 'array' as const, items: ref(name) });

const json = <Schema extends object>(description: string, schema: Schema, example: unknown) => ({
  description,
  content: { 'application/json': { schema, example } },
});

const text = (description: string, example: string) => ({
  description,
  content: { 'text/plain': { schema: { type: 'string' as const }, example } },
});

const problem = (description: string, status: number, title: string, detail: string) => ({
  description,
  content: { 'application/problem+json': { schema: ref('Problem'), example: { type: 'about:blank', title, status, detail } } },
});

const jsonBody = (name: keyof typeof schemas, description: string, example: unknown) => ({
  required: true,
  description,
  content: { 'application/json': { schema: ref(name), example } },
});

const textQuery = (name: string, description: string, example: string) => ({
  name,
  in: 'query',
  description,
  schema: { type: 'string' as const },
  example,
});

/** What every call but the health checks may answer. */
const refusals = { '401': sharedResponse('Unauthorized'), '403': sharedResponse('Forbidden') };

/** And what those may answer, too, that ask for something. */
const failure = { '500': sharedResponse('Failure') };

/** And those with a body. */
const bodyFaults = {
  '400': sharedResponse('BadRequest'),
  '413': sharedResponse('BodyTooLarge'),
  '415': sharedResponse('UnknownEncoding'),
};

const limit = {
  name: 'limit',
  in: 'query',
  description: 'Longest list that is wanted.',
  schema: { type: 'integer' as const, minimum: 1, maximum: schemas.listLimit.max, default: schemas.listLimit.default },
  example: 100,
};

const sessionIdExample = '2f1c8d1e-6a3b-4c57-9d0e-8b7a6f5e4d3c';

const connectionExample = {
  id: sessionIdExample,
  route: 'chat',
  transport: 'websocket',
  address: '203.0.113.7',
  path: '/chat/room-1',
  subject: 'alice',
  channels: ['room-1'],
  openedAt: '2026-11-24T09:30:00.000Z',
};

const publishPath: OpenAPIV3_1.PathItemObject = {
  post: {
    operationId: 'publish',
    tags: ['Publishing'],
    summary: 'Publishes items to channels',
    description:
      'Hands the items to everybody who is subscribed to their channels. 200 means: all items were valid and allowed, and are on their way. ' +
      'Otherwise nothing was published. The media type of the body is not looked at, but its length must be stated (`Content-Length`).',
    requestBody: jsonBody('PublishBody', 'At most 1,000,000 bytes and 10,000 items, unless set otherwise.', {
      items: [
        {
          channel: 'news',
          id: '11',
          'prev-id': '10',
          formats: {
            'http-response': { code: 200, headers: [['Content-Type', 'application/json']], body: '{"n":11}\n' },
            'http-stream': { content: 'event: message\ndata: {"n":11}\n\n' },
            'ws-message': { content: '{"n":11}' },
          },
        },
      ],
    }),
    responses: {
      '200': {
        description: 'Published. In text, or in JSON where `Accept` prefers it.',
        content: {
          'text/plain': { schema: { type: 'string', enum: ['Published\n'] }, example: 'Published\n' },
          'application/json': { schema: ref('Message'), example: { message: 'Published' } },
        },
      },
      '400': text(
        'The body is too large or not valid; the text says what is wrong first.',
        "Invalid format: object does not contain 'items'\n",
      ),
      '401': text('Credentials are missing or not valid.', 'Credentials are missing or not valid.\n'),
      '403': text('A policy does not allow it.', 'You may not publish to this channel.\n'),
      '405': text('Only POST is taken.', 'Method not allowed: GET.\n'),
      '406': text('`Accept` takes neither form.', 'Not Acceptable. Supported formats are text/plain and application/json.\n'),
      '411': text('The length of the body is not stated.', 'Request requires Content-Length.\n'),
      '429': {
        ...text('A policy wants the publisher to slow down.', 'Too many publications.\n'),
        headers: { 'Retry-After': { description: 'Seconds to wait.', schema: { type: 'integer', minimum: 0 } } },
      },
      '500': text('A policy could not decide, or something went wrong here.', 'Something went wrong here.\n'),
      '503': text('Too much is waiting.', 'Too much is waiting.\n'),
    },
  },
};

const recoverPath: OpenAPIV3_1.PathItemObject = {
  post: {
    operationId: 'recover',
    tags: ['Publishing'],
    summary: 'Makes all held requests and recoverable subscriptions ask their backends',
    description:
      'For publishers that may have lost items. The last ids of all channels are forgotten; responses that are held are asked for again, ' +
      'streams fetch their next link, and so do WebSockets for subscriptions that have one. No body is needed.',
    responses: {
      '200': {
        description: 'They will ask. In text, or in JSON where `Accept` prefers it.',
        content: {
          'text/plain': { schema: { type: 'string', enum: ['Updated\n'] }, example: 'Updated\n' },
          'application/json': { schema: ref('Message'), example: { message: 'Updated' } },
        },
      },
      '401': text('Credentials are missing or not valid.', 'Credentials are missing or not valid.\n'),
      '403': text(
        'Only a client certificate would do, or a page of another site has called, or a name that leads to this machine was used.',
        'A client certificate is needed.\n',
      ),
      '405': text('Only POST is taken.', 'Method not allowed: GET.\n'),
      '406': text('`Accept` takes neither form.', 'Not Acceptable. Supported formats are text/plain and application/json.\n'),
    },
  },
};

const refreshPath: OpenAPIV3_1.PathItemObject = {
  post: {
    operationId: 'refresh',
    tags: ['Sessions'],
    summary: 'Makes a session ask its backend',
    description:
      'The session sends a request to its backend at once, with or without events. Whoever has no session id publishes the action `refresh`.',
    requestBody: jsonBody('RefreshBody', 'The session.', { cid: sessionIdExample }),
    responses: {
      '200': json('The session will ask.', ref('Message'), { message: 'Refreshed' }),
      ...bodyFaults,
      ...refusals,
      ...failure,
      '404': sharedResponse('UnknownConnection'),
    },
  },
};

const conncheckPath: OpenAPIV3_1.PathItemObject = {
  post: {
    operationId: 'conncheck',
    tags: ['Sessions'],
    summary: 'Tells which sessions are open',
    description: 'For backends that remember session ids and want to forget those that are gone.',
    requestBody: jsonBody('ConncheckBody', `At most ${schemas.connectionIdsMax} ids.`, {
      ids: [sessionIdExample, '00000000-0000-4000-8000-000000000000'],
    }),
    responses: {
      '200': json('Those that are open.', ref('ConnectionIds'), [sessionIdExample]),
      ...bodyFaults,
      ...refusals,
      ...failure,
    },
  },
};

const revokePath: OpenAPIV3_1.PathItemObject = {
  post: {
    operationId: 'revoke',
    tags: ['Sessions'],
    summary: 'Takes credentials back',
    description:
      'Ends the open sessions of this program that were let in with them (WebSockets with code 4401) and lets no more in. Exactly one of `subject`, `key` and `jti` is given. ' +
      'It is remembered by this program until the time given, and forgotten when it stops.',
    requestBody: jsonBody('RevokeBody', 'Whose, or which.', { subject: 'alice', until: '2100-01-01T00:00:00Z' }),
    responses: {
      '200': json('They are revoked.', ref('Revoked'), { ended: 2 }),
      ...bodyFaults,
      ...refusals,
      ...failure,
      '503': problem(
        'No more can be remembered, and nothing was done.',
        503,
        'Service Unavailable',
        'Too many revocations are remembered; give shorter times, or change keys.',
      ),
    },
  },
};

const renewPath: OpenAPIV3_1.PathItemObject = {
  post: {
    operationId: 'renew',
    tags: ['Sessions'],
    summary: 'Renews the token of a session',
    description:
      'Puts a newer token in place of that of an open session, a WebSocket or a held request, which was let in by `jwt`. ' +
      'The token is checked as at the handshake, must be of the same subject and issuer, and says from now on when the session ends. ' +
      'A token that is refused changes nothing. The client is not told.',
    requestBody: jsonBody('RenewBody', 'Which session, and its newer token.', {
      cid: connectionExample.id,
      token: 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl',
    }),
    responses: {
      '200': json('The token is renewed.', ref('Message'), { message: 'Renewed' }),
      ...bodyFaults,
      ...refusals,
      '404': sharedResponse('UnknownConnection'),
      '409': problem(
        'The session has no token that could be renewed.',
        409,
        'Conflict',
        'The session has no token that could be renewed.',
      ),
      '422': problem('The token is not taken.', 422, 'Unprocessable Entity', 'The token is of another subject.'),
      '500': problem(
        'Whether it may be taken could not be found out, and nothing was done.',
        500,
        'Internal Server Error',
        'The policy jwt could not decide.',
      ),
    },
  },
};

const connectionsPath: OpenAPIV3_1.PathItemObject = {
  get: {
    operationId: 'listConnections',
    tags: ['Sessions'],
    summary: 'Lists open sessions',
    description: 'The sessions of this program, in no order one could rely on.',
    parameters: [
      limit,
      textQuery('channel', 'Only sessions that have joined this channel.', 'room-1'),
      textQuery('subject', 'Only sessions of this subject.', 'alice'),
    ],
    responses: {
      '200': json('The sessions.', list('Connection'), [connectionExample]),
      '400': sharedResponse('BadRequest'),
      ...refusals,
      ...failure,
    },
  },
};

const connectionPath: OpenAPIV3_1.PathItemObject = {
  get: {
    operationId: 'getConnection',
    tags: ['Sessions'],
    summary: 'Shows one session',
    description: 'What is known of an open session; nothing of its messages.',
    parameters: [
      {
        name: 'id',
        in: 'path',
        required: true,
        description: 'What backends see as `Connection-Id`.',
        schema: { type: 'string' },
        example: sessionIdExample,
      },
    ],
    responses: {
      '200': json('The session.', ref('Connection'), connectionExample),
      '400': sharedResponse('BadRequest'),
      ...refusals,
      ...failure,
      '404': sharedResponse('UnknownConnection'),
    },
  },
};

const channelsPath: OpenAPIV3_1.PathItemObject = {
  get: {
    operationId: 'listChannels',
    tags: ['Sessions'],
    summary: 'Lists channels that have subscribers',
    description: 'The channels of this program, in no order one could rely on.',
    parameters: [limit, textQuery('prefix', 'Only channels whose name begins so.', 'room-')],
    responses: {
      '200': json('The channels.', list('Channel'), [{ channel: 'room-1', subscribers: 3 }]),
      '400': sharedResponse('BadRequest'),
      ...refusals,
      ...failure,
    },
  },
};

const livePath: OpenAPIV3_1.PathItemObject = {
  get: {
    operationId: 'live',
    tags: ['Operation'],
    summary: 'Tells whether the process runs',
    description: 'Needs no credentials.',
    security: [],
    responses: { '200': json('It runs.', ref('Health'), { status: 'live' }) },
  },
};

const readyPath: OpenAPIV3_1.PathItemObject = {
  get: {
    operationId: 'ready',
    tags: ['Operation'],
    summary: 'Tells whether clients may be sent here',
    description: 'Needs no credentials.',
    security: [],
    responses: {
      '200': json('They may.', ref('Health'), { status: 'ready' }),
      '503': json('It is starting or draining, or lacks a store that it may not go on without.', ref('Health'), {
        status: 'unavailable',
      }),
    },
  },
};

const metricsPath: OpenAPIV3_1.PathItemObject = {
  get: {
    operationId: 'metrics',
    tags: ['Operation'],
    summary: 'Gives all metrics',
    description: 'In the text format of Prometheus.',
    responses: { '200': text('The metrics.', '# TYPE foregate_sessions gauge\nforegate_sessions 2\n'), ...refusals, ...failure },
  },
};

const countsExample = {
  connections: 2,
  connectionsHighest: 3,
  connectionMinutes: 41,
  sessions: { websocket: 1, stream: 1, response: 0 },
  requestsReceived: 9,
  sent: 120,
  httpResponseSent: 4,
  clientMessagesReceived: 75,
  clientMessagesSent: 190,
  clientContentBytesReceived: 3004,
  serverMessagesReceived: 74,
  serverMessagesSent: 75,
  serverContentBytesReceived: 8120,
  serverContentBytesSent: 3004,
};

const statsPath: OpenAPIV3_1.PathItemObject = {
  get: {
    operationId: 'statistics',
    tags: ['Operation'],
    summary: 'Gives statistics, in total and by route',
    description:
      "The counters of Pushpin's statistics (`report` and `counts`), without its resets: whoever wants a rate reads twice. " +
      'Of its twelve counters named `client-` and `server-`, seven are measured: `messages-` and `content-bytes-` in both directions, but `client-content-bytes-sent`. ' +
      'That one and the four `header-bytes-` are not, nor are `blocks-received` and `blocks-sent`.',
    responses: {
      '200': json('The statistics.', ref('Statistics'), {
        since: '2026-11-24T09:30:00.000Z',
        durationMs: 1_260_000,
        intervalSeconds: 10,
        total: { ...countsExample, received: 130, channels: 1, subscriptions: 2 },
        routes: [{ route: 'chat', ...countsExample }],
        targets: [{ target: 'http://127.0.0.1:8080', circuit: 'closed', inFlight: { running: 3, waiting: 0, limit: 40 } }],
      }),
      ...refusals,
      ...failure,
    },
  },
};

const documentPath: OpenAPIV3_1.PathItemObject = {
  get: {
    operationId: 'document',
    tags: ['Operation'],
    summary: 'Gives this document',
    description: 'In JSON.',
    responses: {
      '200': json(
        'The document.',
        { type: 'object' as const, required: ['openapi', 'info', 'paths'] },
        { openapi: '3.1.0', info: { title: 'Foregate control API', version: '1.0.0' }, paths: {} },
      ),
      ...refusals,
    },
  },
};

const docsPath: OpenAPIV3_1.PathItemObject = {
  get: {
    operationId: 'docs',
    tags: ['Operation'],
    summary: 'Shows this document as a page',
    description: 'For browsers. All it needs comes from here.',
    responses: {
      '200': {
        description: 'The page.',
        content: { 'text/html': { schema: { type: 'string' }, example: '<!doctype html><title>Foregate control API</title>' } },
      },
      ...refusals,
    },
  },
};

const script = { schema: { type: 'string' as const }, example: 'document.title;' };
const styles = { schema: { type: 'string' as const }, example: 'body { margin: 0 }' };

const docsFilePath: OpenAPIV3_1.PathItemObject = {
  get: {
    operationId: 'docsFile',
    tags: ['Operation'],
    summary: 'Gives what the page loads',
    description: 'Scripts and styles.',
    parameters: [
      {
        name: 'file',
        in: 'path',
        required: true,
        description: 'Name of the file.',
        schema: { type: 'string', enum: [...schemas.docsFiles] },
        example: 'start.js',
      },
    ],
    responses: {
      '200': { description: 'The file.', content: { 'text/javascript': script, 'text/css': styles } },
      '304': { description: 'It is still what the browser has.' },
      '400': sharedResponse('BadRequest'),
      ...refusals,
      ...failure,
      '404': problem('No such file.', 404, 'Not Found', 'The page has no such file.'),
    },
  },
};

const rootPath: OpenAPIV3_1.PathItemObject = {
  get: {
    operationId: 'root',
    tags: ['Operation'],
    summary: 'Tells that this is the control API',
    description: 'Every other method has the same answer.',
    responses: {
      '200': text('It is.', 'Foregate API\n'),
      ...refusals,
    },
  },
};

/** TypeBox's types are narrower than those of OpenAPI: any schema of TypeBox is an object of JSON Schema. */
const schemaObject = (schema: TSchema): OpenAPIV3_1.SchemaObject => schema;

export const controlDocument: OpenAPIV3_1.Document = {
  openapi: '3.1.0',
  jsonSchemaDialect: 'https://json-schema.org/draft/2020-12/schema',
  info: {
    title: 'Foregate control API',
    version: '1.0.0',
    summary: 'How publishers and operators talk to Foregate.',
    description:
      'A slash at the end of a path may be there or not. Members of queries and bodies that are not known are ignored.\n\n' +
      'Errors are problem details (RFC 9457), as are those of other methods on these paths (`MethodNotAllowed`). Not so where clients of ' +
      'GRIP know them as a line of text: those of `/publish/` and `/recover/`, of other paths (`NotFound`), and of what cannot be read as ' +
      'a request of HTTP/1.1.',
    license: { name: 'MIT', identifier: 'MIT' },
  },
  servers: [{ url: 'http://127.0.0.1:5561', description: 'Where the control API listens, unless set otherwise.' }],
  security: [{ basic: [] }, { bearer: [] }, { mutualTLS: [] }],
  tags: [
    { name: 'Publishing', description: 'Items for channels.' },
    { name: 'Sessions', description: 'Who is connected.' },
    { name: 'Operation', description: 'For probes and dashboards.' },
  ],
  paths: {
    '/publish/': publishPath,
    '/recover/': recoverPath,
    '/refresh/': refreshPath,
    '/conncheck/': conncheckPath,
    '/revoke': revokePath,
    '/renew': renewPath,
    '/connections': connectionsPath,
    '/connections/{id}': connectionPath,
    '/channels': channelsPath,
    '/health/live': livePath,
    '/health/ready': readyPath,
    '/metrics': metricsPath,
    '/stats': statsPath,
    '/openapi.json': documentPath,
    '/docs': docsPath,
    '/docs/{file}': docsFilePath,
    '/': rootPath,
  },
  components: {
    schemas: {
      PublishBody: schemaObject(schemas.PublishBody),
      PublishItem: schemaObject(schemas.PublishItem),
      HttpResponseFormat: schemaObject(schemas.HttpResponseFormat),
      HttpStreamFormat: schemaObject(schemas.HttpStreamFormat),
      WsMessageFormat: schemaObject(schemas.WsMessageFormat),
      RefreshBody: schemaObject(schemas.RefreshBody),
      ConncheckBody: schemaObject(schemas.ConncheckBody),
      RevokeBody: schemaObject(schemas.RevokeBody),
      RenewBody: schemaObject(schemas.RenewBody),
      Revoked: schemaObject(schemas.Revoked),
      ConnectionIds: schemaObject(schemas.ConnectionIds),
      Message: schemaObject(schemas.Message),
      Connection: schemaObject(schemas.Connection),
      Channel: schemaObject(schemas.Channel),
      RouteStatistics: schemaObject(schemas.RouteStatistics),
      Statistics: schemaObject(schemas.Statistics),
      Health: schemaObject(schemas.Health),
      Problem: schemaObject(schemas.Problem),
    },
    responses: {
      BadRequest: problem('The call is not valid.', 400, 'Bad Request', 'limit must be a whole number from 1 to 10000.'),
      Unauthorized: {
        ...problem('Credentials are missing or not valid.', 401, 'Unauthorized', 'Credentials are missing or not valid.'),
        headers: { 'WWW-Authenticate': { description: 'The ways that are open.', required: true, schema: { type: 'string' } } },
      },
      Forbidden: problem(
        'Only a client certificate would do, or a page of another site has called, or a name that leads to this machine was used.',
        403,
        'Forbidden',
        'A client certificate is needed.',
      ),
      UnknownConnection: problem('No such session.', 404, 'Not Found', 'There is no open session with this id.'),
      BodyTooLarge: problem('The body is too large.', 413, 'Payload Too Large', 'The body is too large.'),
      UnknownEncoding: problem(
        'The body is compressed, which is not taken.',
        415,
        'Unsupported Media Type',
        'The encoding of the body is not known.',
      ),
      Failure: problem(
        'Something went wrong here; the log says more.',
        500,
        'Internal Server Error',
        'Something went wrong here.',
      ),
      MethodNotAllowed: {
        ...problem('The path takes other methods.', 405, 'Method Not Allowed', 'Method not allowed: PUT.'),
        headers: { Allow: { description: 'Those that it takes.', required: true, schema: { type: 'string' } } },
      },
      NotFound: text('There is no such path.', 'Not Found\n'),
    },
    securitySchemes: {
      basic: { type: 'http', scheme: 'basic', description: 'A user and a password of `control.auth.basic`.' },
      bearer: {
        type: 'http',
        scheme: 'bearer',
        bearerFormat: 'JWT',
        description:
          'A key of `control.auth.bearer`, or a JWT (HS256, RS256, ES256) with the `iss` and the key of `control.auth.jwt` and an `exp`.',
      },
      // The published types know OpenAPI 3.0 schemes only.
      mutualTLS: {
        type: 'mutualTLS',
        description: 'A client certificate of `control.tls.ca`.',
      } as unknown as OpenAPIV3_1.SecuritySchemeObject,
    },
  },
};

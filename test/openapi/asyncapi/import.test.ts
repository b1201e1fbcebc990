/** AsyncAPI documents as routes: documents in the shape of the public examples, round trips, and what is refused, with its place. */
import assert from 'node:assert/strict';
import { pathToFileURL } from 'node:url';
import { resolve } from 'node:path';
import * as fc from 'fast-check';
import { parse, stringify } from 'yaml';
import { writtenDocument } from '../../../bin/export-asyncapi.ts';
import { loadText } from '../../../gateway/config/load.ts';
import { isMapping, type Mapping } from '../../../gateway/core/mapping.ts';
import { ConfigError } from '../../../gateway/core/problem.ts';
import { parts } from '../../../gateway/parts.ts';
import { readApiDocument } from '../../../openapi/document/api-document.ts';
import { describeChannels } from '../../../openapi/asyncapi/import.ts';
import type { Described } from '../../../openapi/routes/described-route.ts';
import type { DocumentFinding } from '../../../openapi/document/document-finding.ts';
import { anyRoute } from './routes.ts';

interface Reading {
  readonly described: Described;
  readonly routes: readonly Mapping[];
  /** `file:line:column message` */
  readonly errors: readonly string[];
  readonly remarks: readonly string[];
}

/** A file below the fixtures, or a text under a name of its own. */
async function read(file: string, { text, entry = {} }: { text?: string; entry?: Mapping } = {}): Promise<Reading> {
  const known = pathToFileURL(resolve(file)).href;
  const document = await readApiDocument(file, {
    ...(text !== undefined && { read: async (url) => (url.href === known ? text : assert.fail(url.href)) }),
  });
  const described = describeChannels(document, { entry, locateEntry: () => undefined, defaults: {}, adapters: [], takenIds: [] });
  const shown = (finding: DocumentFinding): string => {
    const { line, column } = described.locate(finding);
    return `${line}:${column} ${finding.message}`;
  };
  return {
    described,
    routes: described.routes.map(({ settings }) => settings),
    errors: described.findings.map(shown),
    remarks: described.remarks.map(shown),
  };
}

/** `id path transports target policies` */
function summary(route: Mapping): string {
  const match = route['match'] as { template?: string; transports?: readonly string[]; methods?: readonly string[] };
  const policies = ((route['policies'] ?? []) as Mapping[]).map((policy) => {
    if (isMapping(policy['schemas']))
      return `${String(policy['from'])} by ${String(policy['by'])}: ${Object.keys(policy['schemas']).join(' ')}`;
    const names = Array.isArray(policy['parameters']) ? (policy['parameters'] as Mapping[]).map(({ name }) => String(name)) : [];
    return [String(policy['use']), ...names].join(' ');
  });
  const how = [...(match.transports ?? []), ...(match.methods ?? [])].join(' ');
  return `${String(route['id'])} ${match.template ?? ''} ${how} ${String(route['target'])} [${policies.join(', ')}]`;
}

const nowhere =
  'has neither a server nor a binding for ws or http, so it is not known how clients reach it; write "x-foregate-route: { match: { transports: [websocket] } }", or "x-foregate: { ignore: true }" to leave it out';
const noChannel = 'describes no channel of WebSockets or HTTP';
const untold = (what: string): string => `has ${what}: what it names is not checked`;
const alike = untold('messages that no member tells apart (a "const" in each, or "by" in "x-foregate-messages")');

describe('an AsyncAPI document in the shape of a public example', () => {
  const token = { token: { use: 'api-key', file: 'keys.yaml' }, httpBearerToken: 'gateway' };
  const cases: Readonly<Record<string, { entry?: Mapping; routes?: string[]; errors?: string[]; remarks?: string[] }>> = {
    'market-data.yaml': {
      routes: [
        'marketDataV1 /v1/marketdata/{symbol} websocket wss://api.exchange.example [parameters symbol heartbeat trades, backend by type: heartbeat update]',
      ],
    },
    'exchange.yaml': {
      routes: [
        'currencyExchange /feed/ websocket wss://ws.exchange.example:8443 [client by event: ping subscribe, backend by event: pong subscriptionStatus heartbeat]',
      ],
    },
    'team-chat.yaml': {
      entry: { security: { token: token.token } },
      routes: ['root /api/rtm.connect/ http https://chat.example [api-key]'],
    },
    'team-socket.yaml': {
      entry: { security: { token: 'gateway' }, target: 'http://gateway:8000' },
      routes: ['socket /socket websocket http://gateway:8000 [backend by type: hello emoji_changed]'],
      remarks: [`25:5 ${alike}`],
    },
    'room-stream.yaml': {
      entry: { security: { httpBearerToken: 'gateway' } },
      routes: ['rooms /v1/rooms/{roomId}/{resource} http POST https://stream.rooms.example [parameters resource]'],
    },
    'likes/backend.yaml': {
      routes: ['likes /ws/likes/{commentId} websocket ws://live.likes.example [mtls, client by kind: liked]'],
      remarks: ['8:3 is left out: its servers speak mqtt, not ws, wss, http or https'],
    },
    'streetlights-kafka.yaml': {
      errors: [
        `12:1 ${noChannel}`,
        ...['13:3', '17:3'].map((at) => `${at} is left out: its servers speak kafka, not ws, wss, http or https`),
      ],
    },
    'streetlights-mqtt.yaml': {
      errors: [
        `12:1 ${noChannel}`,
        ...['13:3', '17:3'].map((at) => `${at} is left out: its servers speak mqtt, not ws, wss, http or https`),
      ],
    },
    'rpc-server.yaml': { errors: [`7:1 ${noChannel}`, '8:3 is left out: its servers speak amqp, not ws, wss, http or https'] },
    'simple.yaml': { errors: [`5:3 ${nowhere}`] },
    'anyof.yaml': { errors: [`5:3 ${nowhere}`] },
    'oneof.yaml': {
      entry: { target: 'ws://backend:8080' },
      routes: ['test /test websocket ws://backend:8080 []'],
      remarks: [`11:5 ${alike}`],
    },
    'not.yaml': {
      entry: { target: 'ws://backend:8080' },
      routes: ['test /test websocket ws://backend:8080 []'],
      remarks: [`11:5 ${alike}`],
    },
    'operation-security.yaml': {
      entry: { target: 'http://gateway:8000' },
      routes: ['authRevoke /revocations http POST http://gateway:8000 []'],
      errors: [
        '15:9 is checked by nobody: write under "security" of the document\'s entry or of "x-foregate" either "scheme-1: gateway", or "scheme-1:" with { use: jwt, ... }',
      ],
    },
    'version-2.yaml': {
      errors: [
        '2:11 must be 3.0.x or 3.1.x, found "2.6.0"; convert it first: asyncapi convert FILE --target-version=3.0.0 (npm install -g @asyncapi/cli)',
      ],
    },
  };
  for (const [name, { entry, routes = [], errors = [], remarks = [] }] of Object.entries(cases))
    it(`${name} ${errors.length > 0 ? 'is refused' : 'gives routes'}`, async () => {
      const found = await read(`test/fixtures/asyncapi/${name}`, { ...(entry && { entry }) });
      assert.deepEqual(found.routes.map(summary), routes);
      assert.deepEqual([found.errors, found.remarks], [errors, remarks]);
      if (errors.length === 0) await loadText('foregate.yaml', JSON.stringify({ routes: found.routes }), parts);
    });

  it('costing.yaml is refused, as it needs the network', async () => {
    const failure = await read('test/fixtures/asyncapi/costing.yaml').then(
      () => undefined,
      (error: unknown) => error,
    );
    assert.ok(failure instanceof ConfigError);
    assert.deepEqual(
      failure.problems.map(({ line, column }) => [line, column]),
      [[13, 27]],
    );
  });
});

const base = { asyncapi: '3.0.0', info: { title: 'Chat', version: '1' } };
const servers = { sockets: { host: 'chat.example', protocol: 'wss' } };
const document = (more: Mapping): string => stringify({ ...base, servers, ...more });
const kind = (name: string): Mapping => ({ payload: { type: 'object', properties: { type: { const: name } } } });

describe('a channel of AsyncAPI', () => {
  it('is a route of its own for each way where no target is said, and one for all where one is', async () => {
    const text = stringify({
      ...base,
      servers: { sockets: { host: 'a.example', protocol: 'wss' }, plain: { host: 'b.example', protocol: 'https' } },
      channels: { chat: { address: '/chat' } },
    });
    assert.deepEqual((await read('x.yaml', { text })).routes.map(summary), [
      'chat /chat websocket wss://a.example []',
      'chat-http /chat http https://b.example []',
    ]);
    const { routes } = await read('x.yaml', { text, entry: { target: 'http://gateway', host: 'chat.example' } });
    assert.deepEqual(routes.map(summary), ['chat /chat websocket http http://gateway []']);
    assert.deepEqual(
      routes.map(({ match }) => (match as Mapping)['host']),
      ['chat.example'],
    );
  });

  it('takes its settings from the extensions, in order: security, parameters, channels, own policies, messages', async () => {
    const text = document({
      'x-foregate': { target: 'http://gateway', security: { key: { use: 'api-key', file: 'keys.yaml' } } },
      'x-foregate-route': { idle: '5m', limits: { queueBytes: 1000 } },
      channels: {
        chat: {
          address: 'chat/{room}',
          parameters: { room: { enum: ['a', 'b'] } },
          messages: { join: kind('join'), note: kind('note') },
          'x-foregate-route': { id: 'talk', limits: { messageBytes: 500 } },
          'x-foregate-channels': ['room-*'],
          'x-foregate-policies': [{ use: 'origin', allow: ['https://chat.example'] }],
          'x-foregate-messages': { over: 'answer', closeCode: 1007 },
          'x-foregate-errors': { faultText: 'no' },
        },
      },
      operations: {
        in: { action: 'receive', channel: { $ref: '#/channels/chat' }, security: [{ $ref: '#/components/securitySchemes/key' }] },
      },
      components: { securitySchemes: { key: { type: 'httpApiKey', in: 'query', name: 'k' } } },
    });
    const { routes, errors } = await read('x.yaml', { text });
    assert.deepEqual(errors, []);
    const [{ policies, ...rest } = {}] = routes;
    assert.deepEqual(rest, {
      id: 'talk',
      match: { template: '/chat/{room}', transports: ['websocket'] },
      target: 'http://gateway',
      idle: '5m',
      limits: { queueBytes: 1000, messageBytes: 500 },
      faultText: 'no',
    });
    const list = policies as readonly Mapping[];
    assert.deepEqual(
      list.map(({ use }) => use),
      ['api-key', 'parameters', 'channels', 'origin', 'message-schema'],
    );
    assert.deepEqual(list[0], { use: 'api-key', from: { query: 'k' }, file: 'keys.yaml' });
    assert.deepEqual(Object.keys(list[4]?.['schemas'] as Mapping), ['join', 'note']);
    assert.deepEqual([list[4]?.['over'], list[4]?.['closeCode']], ['answer', 1007]);
  });

  it('tells messages apart by what is said, or what differs; sides may do it in different ways', async () => {
    const message = (payload: Mapping, more: Mapping = {}): Mapping => ({ payload, ...more });
    const channel = (messages: Mapping, more: Mapping = {}): Mapping => ({ address: '/a', messages, ...more });
    const both = (chat: Mapping, client: readonly string[], backend: readonly string[]): string => {
      const refs = (names: readonly string[]) => names.map((name) => ({ $ref: `#/channels/chat/messages/${name}` }));
      const operation = (action: string, names: readonly string[]) => ({
        action,
        channel: { $ref: '#/channels/chat' },
        messages: refs(names),
      });
      return document({ channels: { chat }, operations: { in: operation('receive', client), out: operation('send', backend) } });
    };
    const text = both(
      channel({
        a: message({ properties: { v: { const: 1 }, op: { const: 'a' } } }),
        b: message({ properties: { v: { const: 1 }, op: { const: 'b' } } }),
        c: message({
          oneOf: [
            { properties: { event: { enum: ['x', 'y'] } }, required: ['event'] },
            { properties: { event: { const: 2 } }, required: ['event'] },
          ],
        }),
      }),
      ['a', 'b'],
      ['c'],
    );
    const { routes, errors } = await read('x.yaml', { text });
    assert.deepEqual(errors, []);
    assert.deepEqual(routes.map(summary), ['chat /a websocket wss://chat.example [client by op: a b, backend by event: 2 x y]']);
    const named = both(
      channel(
        { a: message({}, { name: 'join' }), b: message({}, { 'x-foregate-kind': 'leave' }), c: message({}) },
        { 'x-foregate-messages': { by: '/head/kind' } },
      ),
      ['a', 'b', 'c'],
      [],
    );
    assert.deepEqual((await read('x.yaml', { text: named })).routes.map(summary), [
      'chat /a websocket wss://chat.example [client by /head/kind: join leave c]',
    ]);
    // A message may be without the member, so that it would be refused.
    const loose = both(channel({ a: message({ properties: { side: { enum: ['bid', 'ask'] } } }) }), ['a'], []);
    assert.deepEqual((await read('x.yaml', { text: loose })).remarks, [`22:5 ${alike}`]);
  });

  for (const [what, security, details, outcome] of [
    ['one scheme of each list', [['a'], ['b']], { a: { use: 'jwt', secret: 's' }, b: { file: 'keys' } }, ['jwt', 'api-key']],
    ['a list that is left to the gateway', [['a', 'b'], []], { a: 'gateway', b: 'gateway' }, []],
    ['a scheme that stands in both lists', [['b'], ['b']], { b: { file: 'keys' } }, ['api-key']],
    ['a scheme that nobody checks', [['b'], []], {}, /is checked by nobody/],
  ] as const)
    it(`asks for ${what}`, async () => {
      const refs = (names: readonly string[]) => names.map((name) => ({ $ref: `#/components/securitySchemes/${name}` }));
      const text = stringify({
        ...base,
        servers: { sockets: { ...servers.sockets, security: refs(security[0]) } },
        channels: { chat: { address: '/chat' } },
        operations: { in: { action: 'receive', channel: { $ref: '#/channels/chat' }, security: refs(security[1]) } },
        components: {
          securitySchemes: { a: { type: 'http', scheme: 'bearer' }, b: { type: 'httpApiKey', in: 'header', name: 'K' } },
        },
      });
      const { routes, errors } = await read('x.yaml', { text, entry: { security: details } });
      if (outcome instanceof RegExp) return assert.match(errors.join(), outcome);
      assert.deepEqual(errors, []);
      return assert.deepEqual(
        ((routes[0]?.['policies'] ?? []) as Mapping[]).map(({ use }) => use),
        outcome,
      );
    });

  for (const [policy, isMet] of [
    [{ use: 'jwt', secret: 's' }, true],
    [{ use: 'jwt', secret: 's', required: false }, false],
    [{ use: 'jwt', secret: 's', dryRun: true }, false],
    [{ use: 'jwt', secret: 's', from: { query: 'token' } }, false],
    [{ use: 'api-key', file: 'keys', from: { header: 'authorization' } }, true],
    [{ use: 'basic', file: 'users' }, false],
    [{ use: 'any-of', of: [{ use: 'jwt', secret: 's' }, [{ use: 'introspect' }]] }, true],
    [{ use: 'any-of', of: [{ use: 'jwt', secret: 's' }, []] }, false],
  ] as const)
    it(`has a bearer token ${isMet ? 'checked' : 'not checked'} by ${JSON.stringify(policy)}`, async () => {
      const text = document({
        channels: { chat: { address: '/chat', 'x-foregate-policies': [policy] } },
        operations: {
          in: { action: 'receive', channel: { $ref: '#/channels/chat' }, security: [{ $ref: '#/components/securitySchemes/a' }] },
        },
        components: { securitySchemes: { a: { type: 'http', scheme: 'Bearer' } } },
      });
      assert.equal((await read('x.yaml', { text })).errors.length, isMet ? 0 : 1);
    });

  for (const [what, more, expected] of [
    ['a list for a mapping', { channels: [] }, '9:11 must be a mapping'],
    ['no address', { channels: { a: { address: null } } }, '11:14 says no address, and without one there is no route'],
    [
      'a query in the address',
      { channels: { a: { address: '/a?b=1' } } },
      '11:14 must be a path without a query: its parameters belong into the bindings',
    ],
    [
      'a word that is no action',
      { channels: { a: { address: '/a' } }, operations: { x: { action: 'publish', channel: { $ref: '#/channels/a' } } } },
      '14:13 must be send or receive',
    ],
    [
      'an extension at an operation',
      {
        channels: { a: { address: '/a' } },
        operations: { x: { action: 'send', channel: { $ref: '#/channels/a' }, 'x-foregate-route': {} } },
      },
      '17:5 belongs to the channel, which is the route',
    ],
    ['an extension that is none', { channels: { a: { address: '/a', 'x-foregate-rout': {} } } }, '12:5 is not a known extension'],
    [
      'a target in the wrong place',
      { channels: { a: { address: '/a', 'x-foregate-route': { target: 'http://a' } } } },
      '13:7 belongs into "x-foregate"',
    ],
    [
      'a binding without names',
      { channels: { a: { address: '/a', bindings: { ws: { query: { type: 'string' } } } } } },
      '15:11 must be a schema with "properties"',
    ],
    [
      'security that is no list',
      {
        channels: { a: { address: '/a' } },
        operations: { x: { action: 'send', channel: { $ref: '#/channels/a' }, security: {} } },
      },
      '17:15 must be a list of security schemes',
    ],
    [
      'a rule for messages that is none',
      {
        channels: { a: { address: '/a', messages: { m: kind('m') }, 'x-foregate-messages': { overr: 'drop' } } },
        operations: { x: { action: 'send', channel: { $ref: '#/channels/a' } } },
      },
      '20:7 is not known here',
    ],
  ] as const)
    it(`with ${what} is told with its place`, async () => {
      assert.deepEqual((await read('x.yaml', { text: document(more) })).errors, [expected]);
    });

  it('leaves examples of messages alone, which may look like references', async () => {
    const examples = [{ payload: { $ref: '#/nowhere' }, headers: { $ref: 'none.yaml' } }];
    const text = document({
      channels: { a: { address: '/a', messages: { m: { ...kind('m'), examples } } } },
      operations: { x: { action: 'send', channel: { $ref: '#/channels/a' } } },
    });
    assert.deepEqual((await read('x.yaml', { text })).routes.map(summary), [
      'a /a websocket wss://chat.example [backend by type: m]',
    ]);
  });

  it('has servers whose variables need a default, where they say more than a target does', async () => {
    const text = stringify({
      ...base,
      servers: { s: { host: '{name}.example', protocol: 'ws' } },
      channels: { a: { address: '/a' } },
    });
    assert.deepEqual((await read('x.yaml', { text })).errors, [
      '7:11 has the variable {name}, which has no "default" in "variables"',
    ]);
    assert.deepEqual((await read('x.yaml', { text, entry: { target: 'http://gateway' } })).errors, []);
  });
});

describe('a document that was exported', function () {
  this.timeout(30_000);

  it('gives the same document once it is read back, whatever the configuration', async () => {
    let channels = 0;
    const listen = [{ port: 7999 }];
    const exported = async (routes: readonly Mapping[]): Promise<string> => {
      const config = { listen, routeHeader: 'Route', routes };
      const loaded = await loadText('foregate.yaml', JSON.stringify(config), parts, { TOKEN: 'from-outside' });
      return (await writtenDocument(loaded, {})).text;
    };
    const check = async (list: readonly Mapping[]): Promise<void> => {
      const text = await exported(list.map((route, index) => ({ ...route, id: `r${index}.x` })));
      const { routes, errors } = await read('x.yaml', { text });
      const known = Object.keys((parse(text) as { channels: Mapping }).channels);
      assert.deepEqual(errors, known.length === 0 ? [`9:1 ${noChannel}`] : [], text);
      channels += known.length;
      assert.equal(known.length === 0 ? text : await exported(routes), text);
    };
    await fc.assert(fc.asyncProperty(fc.array(anyRoute, { minLength: 1, maxLength: 8 }), check), { numRuns: 30 });
    assert.ok(channels > 10);
  });
});

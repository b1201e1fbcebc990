/** Documents that `foregate export asyncapi` writes: what is in them, and that AsyncAPI's own parser takes all of them. */
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { parse } from 'yaml';
import { writtenDocument } from '../../../bin/export-asyncapi.ts';
import { loadText } from '../../../gateway/config/load.ts';
import { parts } from '../../../gateway/parts.ts';
import { parserFindings } from '../../support/asyncapi.ts';
import { anyRoute, schemaPolicy, target } from './routes.ts';

type Mapping = Readonly<Record<string, any>>; // oxlint-disable-line no-explicit-any -- a document is asked for what is not there, too

async function exported(config: Mapping, options: Parameters<typeof writtenDocument>[1] = {}) {
  const loaded = await loadText('foregate.yaml', JSON.stringify(config), parts, { TOKEN: 'from-outside' });
  const written = await writtenDocument(loaded, options);
  return { ...written, document: parse(written.text) as Mapping };
}

async function exportedRoute(route: Mapping, options: Parameters<typeof writtenDocument>[1] = {}) {
  const written = await exported({ routes: [{ id: 'chat', target, ...route }] }, options);
  const { channels, operations = {} } = written.document;
  return { ...written, channel: channels['chat'] as Mapping, operations: operations as Mapping };
}

describe('a document for AsyncAPI', function () {
  this.timeout(30_000);

  it('has a channel for each route, where its clients find it', async () => {
    const { document } = await exported({
      listen: [
        { port: 7999 },
        {
          host: '10.1.2.3',
          port: 443,
          tls: { cert: 'test/fixtures/control-tls/server.crt', key: 'file:test/fixtures/control-tls/server.key' },
        },
      ],
      routes: [
        { id: 'chat', match: { template: '/chat/{room}', transports: ['websocket'], tls: true }, target },
        { id: 'prices', match: { path: '/prices/', host: '*.example.com' }, target },
      ],
    });
    assert.deepEqual(document['servers'], {
      wss: { host: '10.1.2.3', protocol: 'wss' },
      ws: { host: '{name}.example.com:7999', protocol: 'ws', variables: { name: { description: 'Any name below the domain.' } } },
      'wss-2': {
        host: '{name}.example.com',
        protocol: 'wss',
        variables: { name: { description: 'Any name below the domain.' } },
      },
      http: {
        host: '{name}.example.com:7999',
        protocol: 'http',
        variables: { name: { description: 'Any name below the domain.' } },
      },
      https: {
        host: '{name}.example.com',
        protocol: 'https',
        variables: { name: { description: 'Any name below the domain.' } },
      },
    });
    const { chat, prices } = document['channels'];
    assert.deepEqual([chat.address, chat.parameters, chat.servers], ['/chat/{room}', { room: {} }, [{ $ref: '#/servers/wss' }]]);
    assert.deepEqual([prices.address, prices.description], ['/prices/', 'All paths that begin with `/prices/`.']);
    assert.deepEqual(Object.keys(document['operations']), [
      'chat.receive',
      'chat.send',
      'prices.receive',
      'prices.send',
      'prices.stream',
    ]);
    assert.equal(document['operations']['chat.receive'].action, 'receive');
  });

  it('tells messages of clients and of backends apart, and has equal ones once', async () => {
    const join = { type: 'object', properties: { type: { const: 'join' } } };
    const { channel, operations } = await exportedRoute({
      policies: [schemaPolicy({ join, 'say/it': {} }), schemaPolicy({ join, 'say/it': { type: 'object' } }, { from: 'backend' })],
    });
    assert.deepEqual(Object.keys(channel['messages']), ['join', 'say-it', 'say-it-2', 'events']);
    assert.deepEqual(channel['messages']['join'].payload, join);
    assert.equal(channel['messages']['say-it-2'].name, 'say/it');
    const sent = (name: string) => operations[name].messages.map(({ $ref }: Mapping) => $ref as string);
    assert.deepEqual(sent('chat.receive'), ['#/channels/chat/messages/join', '#/channels/chat/messages/say-it']);
    assert.deepEqual(sent('chat.send'), ['#/channels/chat/messages/join', '#/channels/chat/messages/say-it-2']);
    assert.deepEqual(channel['x-foregate-messages'], { by: 'type', default: 'refuse', over: 'close', closeCode: 4400 });
    assert.equal(channel['x-foregate-policies'], undefined);
  });

  it('keeps policies whole where their order says more than messages do', async () => {
    const list = [
      schemaPolicy({ join: { $ref: '#/$defs/a', $defs: { a: { type: 'object' } } } }),
      { use: 'message-size', text: '1KB' },
    ];
    const { channel } = await exportedRoute({ policies: list });
    assert.equal(channel['x-foregate-messages'], undefined);
    assert.deepEqual(channel['x-foregate-policies'], [
      schemaPolicy({ join: { type: 'object' } }),
      { use: 'message-size', text: '1KB' },
    ]);
    assert.ok('join' in channel['messages']);
  });

  it('has the schemas of files in it, and components only for what refers to itself', async () => {
    const tree = { type: 'array', items: { $ref: '#' }, maxItems: 4 };
    const list = {
      $defs: {
        node: { $anchor: 'n', properties: { next: { $ref: '#n' }, size: { $ref: '#/$defs/size', minimum: 1 } } },
        size: { type: 'integer' },
      },
      $ref: '#/$defs/node',
    };
    const { document, channel } = await exportedRoute({
      policies: [
        {
          use: 'message-schema',
          schemas: { tree: { inline: tree }, list: { inline: list }, file: { file: 'test/fixtures/asyncapi/say.schema.json' } },
        },
      ],
    });
    assert.deepEqual(document['components'].schemas, {
      n: { properties: { next: { $ref: '#/components/schemas/n' }, size: { minimum: 1, allOf: [{ type: 'integer' }] } } },
      tree: { type: 'array', items: { $ref: '#/components/schemas/tree' }, maxItems: 4 },
    });
    assert.deepEqual(channel['messages']['tree'].payload, { $ref: '#/components/schemas/tree' });
    assert.deepEqual(channel['messages']['list'].payload, { $ref: '#/components/schemas/n' });
    assert.deepEqual(channel['messages']['file'].payload.required, ['type', 'text']);
  });

  it('gives another name to a component where there is another schema of its name', async () => {
    const node = (type: string) => ({ $ref: '#/$defs/node', $defs: { node: { type, items: { $ref: '#/$defs/node' } } } });
    const { document } = await exportedRoute({
      policies: [schemaPolicy({ a: node('array'), b: node('string'), c: node('array') })],
    });
    const { schemas } = document['components'];
    assert.deepEqual(Object.keys(schemas), ['node', 'node-2']);
    const { a, b, c } = document['channels'].chat.messages;
    assert.deepEqual(
      [a, b, c].map(({ payload }) => payload.$ref),
      ['node', 'node-2', 'node'].map((name) => `#/components/schemas/${name}`),
    );
  });

  for (const [what, schema, reason] of [
    ['nothing but itself', { $ref: '#' }, 'has a schema that only refers to itself'],
    ['a value with "$ref"', { const: { $ref: '#/x' } }, 'has a value with "$ref" in it'],
    [
      'a dynamic reference',
      { $dynamicAnchor: 'a', items: { $dynamicRef: '#a' } },
      'has a schema with "$dynamicRef", which AsyncAPI does not know',
    ],
    [
      'another document',
      { $ref: 'https://json-schema.org/draft/2020-12/schema' },
      'has a schema that refers to "https://json-schema.org/draft/2020-12/schema", which is not in it',
    ],
  ] as const)
    it(`is refused for a schema with ${what}`, async () => {
      const { remarks, routeCount } = await exportedRoute({ policies: [schemaPolicy({ a: schema })] });
      assert.deepEqual([remarks, routeCount], [[{ about: 'chat', verdict: 'refused', text: reason }], 0]);
    });

  it('says where credentials are looked for: each place is enough, and what else is needed stands beside it', async () => {
    const { document, operations, remarks } = await exportedRoute({
      match: { transports: ['websocket'] },
      policies: [
        { use: 'jwt', jwks: 'https://id.example/jwks', from: { header: 'authorization', query: 'token', subprotocol: 'bearer' } },
        { use: 'api-key', file: 'keys.yaml' },
      ],
    });
    assert.deepEqual(operations['chat.receive'].security, [
      { $ref: '#/components/securitySchemes/bearerJWT' },
      { $ref: '#/components/securitySchemes/query-token' },
      { $ref: '#/components/securitySchemes/subprotocol-bearer' },
    ]);
    assert.deepEqual(document['components'].securitySchemes['query-token'], { type: 'httpApiKey', in: 'query', name: 'token' });
    assert.equal(operations['chat.send'].description, 'Also needed: header-X-API-Key.');
    assert.deepEqual(
      remarks.map(({ text }) => text),
      ['asks for header-X-API-Key as well, which "security" cannot say: it stands in the description'],
    );
  });

  it('has the parameters of the handshake', async () => {
    const { channel } = await exportedRoute({
      match: { template: '/chat/{room}' },
      policies: [
        {
          use: 'parameters',
          template: '/chat/{room}',
          parameters: [
            { name: 'room', in: 'path', schema: { enum: ['a', 'b'] } },
            { name: 'since', in: 'query', required: true, schema: { type: 'integer' } },
            { name: 'X-Client', in: 'header' },
          ],
        },
      ],
    });
    assert.deepEqual(channel['parameters'], { room: { enum: ['a', 'b'] } });
    assert.deepEqual(channel['bindings'].ws, {
      method: 'GET',
      query: { type: 'object', properties: { since: { type: 'integer' } }, required: ['since'] },
      headers: { type: 'object', properties: { 'X-Client': {} } },
      bindingVersion: '0.1.0',
    });
  });

  it('holds no secret, but the name of the variable or file that it comes from', async () => {
    const { text, remarks } = await exportedRoute({
      headers: { 'X-A': 'planted', 'X-B': '${TOKEN}' },
      policies: [
        { use: 'jwt', secret: 'planted-32-bytes-planted-32-bytes' },
        { use: 'introspect', url: 'https://planted:planted@id.example/', clientId: 'a', clientSecret: 'file:package.json' },
      ],
    });
    assert.ok(!/planted|from-outside/.test(text), text);
    assert.ok(text.includes('${TOKEN}') && text.includes('file:package.json'));
    assert.deepEqual(
      remarks.filter(({ text: one }) => one.includes('secret')).map(({ text: one }) => one.slice(0, one.indexOf(' is'))),
      ['"policies[0].secret"', '"policies[1].url"', '"headers.X-A"'],
    );
  });

  it('for clients has nothing of what is behind', async () => {
    const odd = schemaPolicy({ a: { properties: { type: { const: 'b' } } } });
    assert.match((await exportedRoute({ policies: [odd] })).text, /x-foregate-kind: a/);
    const policies = [{ use: 'jwt', jwks: 'https://id.example/jwks' }, odd];
    const { text } = await exportedRoute({ policies }, { forClients: true });
    assert.ok(!/x-foregate|8000|jwks/.test(text), text);
  });

  it('leaves out what has no place in it, and says so', async () => {
    const { document, remarks } = await exported({
      listen: [{ socket: '/run/foregate.sock' }, { port: 7999 }],
      routeHeader: 'Route',
      routes: [
        { id: 'plain', match: { transports: ['http'] }, grip: false, target },
        { id: 'posts', match: { path: '/posts', transports: ['http'], methods: ['POST'] }, target },
        { id: 'hidden', match: { byId: 'only' }, target },
        { id: 'secure', match: { path: '/s', tls: true }, target },
        { id: 'odd', match: { path: '/a{b}' }, target },
      ],
    });
    assert.deepEqual(Object.keys(document['channels']), ['odd']);
    assert.equal(document['channels'].odd.address, null);
    assert.deepEqual(
      remarks.map(({ about, text }) => `${about} ${text}`),
      [
        'plain is left out: it is plain HTTP, which AsyncAPI does not describe',
        'posts is left out: it is plain HTTP, which AsyncAPI does not describe',
        'hidden is left out: it has no address, only its id',
        'secure is left out: no port leads to it. Say how clients reach it with --server',
      ],
    );
  });

  it('names the servers that it is told of', async () => {
    const server = [new URL('wss://eu.example.com:8443'), new URL('http://localhost:80')];
    const { document } = await exported(
      {
        routes: [
          { id: 'a', match: { host: '*.example.com', transports: ['websocket'] }, target },
          { id: 'b', match: { transports: ['http'] }, target },
        ],
      },
      { server },
    );
    assert.deepEqual(
      Object.entries<Mapping>(document['servers']).map(([name, { protocol, host }]) => `${name} ${protocol}://${host}`),
      [
        'wss wss://eu.example.com:8443',
        'ws ws://{name}.example.com',
        'https https://eu.example.com:8443',
        'http http://localhost',
      ],
    );
  });

  it('is taken by the parser, whatever the configuration', async () => {
    let documents = 0;
    const check = async (routes: readonly Mapping[]): Promise<void> => {
      const config = {
        listen: [{ port: 7999 }],
        routeHeader: 'Route',
        routes: routes.map((route, index) => ({ ...route, id: `r${index}.x` })),
      };
      const { text, remarks } = await exported(config);
      assert.deepEqual(
        remarks.filter(({ verdict }) => verdict === 'refused'),
        [],
      );
      assert.deepEqual(await parserFindings(text), [], text);
      assert.equal((await exported(config)).text, text);
      documents += 1;
    };
    const lists = fc.array(anyRoute, { minLength: 12, maxLength: 12 });
    await fc.assert(fc.asyncProperty(lists, check), { numRuns: 2, endOnFailure: true });
    assert.equal(documents, 2);
    assert.match((await parserFindings('asyncapi: 3.0.0\ninfo: {}')).join(), /info/);
  });
});

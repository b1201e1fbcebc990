/** Routes from OpenAPI documents: what paths, servers, security, parameters and extensions come out as, and where what is wrong stands. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadText, type LoadedConfig } from '../../../gateway/config/load.ts';
import { ConfigError } from '../../../gateway/core/problem.ts';
import { parts } from '../../../gateway/parts.ts';

let folder: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'foregate-openapi-'));
});

after(async () => rm(folder, { recursive: true }));

/** A configuration of `api.yaml` with this text; `config` is beside it. */
async function loaded(document: string, config = 'openapi: [api.yaml]'): Promise<LoadedConfig> {
  await writeFile(join(folder, 'api.yaml'), document);
  return loadText(join(folder, 'foregate.yaml'), config, parts, { WORD: 'from-outside' });
}

async function reportOf(document: string, config?: string): Promise<string> {
  try {
    await loaded(document, config);
    return 'ok';
  } catch (error) {
    if (error instanceof ConfigError) return error.message.replaceAll(`${folder}/`, '');
    throw error;
  }
}

/** What a test looks at: id, match and policies of each route. */
function shown({ routes }: LoadedConfig): unknown[] {
  return routes.map(({ settings: { id, match, targets }, policies }) => {
    const { byId: _, path: __, ...matched } = match;
    return {
      id,
      ...matched,
      targets: targets.map(({ url }) => url),
      policies: policies.map(({ use, options }) => ({ use, ...options })),
    };
  });
}

const head = 'openapi: 3.1.0\ninfo: { title: T, version: "1" }\n';
const withServer = `${head}servers: [{ url: "http://backend:8080/v1/" }]\n`;

/** The use of each policy of the first route. */
function uses({ routes }: LoadedConfig): string[] {
  return routes[0]?.policies.map(({ use }) => use) ?? [];
}

describe('an OpenAPI document', () => {
  it('says of all messages what holds for WebSockets and event streams, and not for plain requests', async () => {
    const config = await loaded(`${withServer}x-foregate-messages: { backend: { price: { type: object } }, publish: [ticker] }
paths:
  /ticker: { get: { operationId: ticker, responses: { "200": { content: { text/event-stream: {} } } } } }
  /orders: { get: { operationId: orders } }
`);
    const used = config.routes.map(({ settings, policies }) => [settings.id, ...policies.map(({ use }) => use)]);
    assert.deepEqual(used, [['ticker', 'message-schema'], ['orders']]);
    const [published] = config.controlPolicies;
    assert.deepEqual([published?.options['channels'], published?.options['eventStreams']], [['ticker'], true]);
  });

  it('gives a route for each path, with the methods that are treated alike', async () => {
    const config = await loaded(`${withServer}paths:
  /orders: { get: {}, post: {}, delete: { operationId: drop all, x-foregate-route: { idle: 1m } } }
  /orders/{id}.json: { summary: one, get: { operationId: one } }
  /größe: { get: {} }
`);
    const common = { transports: ['http'], targets: ['http://backend:8080'], policies: [] };
    assert.deepEqual(shown(config), [
      { id: 'get-v1-orders', template: '/v1/orders', methods: ['GET', 'POST'], ...common },
      { id: 'drop-all', template: '/v1/orders', methods: ['DELETE'], ...common },
      { id: 'one', template: '/v1/orders/{id}.json', methods: ['GET'], ...common },
      { id: 'get-v1-gr-e', template: '/v1/gr%C3%B6%C3%9Fe', methods: ['GET'], ...common },
    ]);
    assert.equal(config.settings.routes[1]?.idle, '1m');
  });

  it('gives a route for WebSockets where an operation takes their events, beside one for other content', async () => {
    const config = await loaded(`${withServer}paths:
  /chat: { post: { operationId: chat, requestBody: { content: { application/websocket-events: {} } } } }
  /both: { post: { operationId: both, requestBody: { $ref: "#/components/requestBodies/Both" } } }
components:
  requestBodies: { Both: { content: { "Application/WebSocket-Events; x=y": {}, application/json: {} } } }
`);
    assert.deepEqual(
      config.routes.map(({ settings: { id, match } }) => [id, match.template, match.transports, match.methods]),
      [
        ['chat', '/v1/chat', ['websocket'], undefined],
        ['both', '/v1/both', ['websocket'], undefined],
        ['both-2', '/v1/both', ['http'], ['POST']],
      ],
    );
  });

  it('leads to its servers, the innermost first, unless a target is said elsewhere', async () => {
    const document = `${head}servers: [{ url: "https://{name}.example/{base}", variables: { name: { default: api }, base: { default: v2 } } }]
paths:
  /a: { get: {} }
  /b: { servers: [{ url: "ws://sockets:9000" }], get: {} }
  /c: { get: { servers: [{ url: /own }], x-foregate: { target: { url: "http://c", timeout: 3s } } } }
`;
    const places = ({ settings }: LoadedConfig): unknown =>
      settings.routes.map(({ match, targets }) => [match.template, ...targets.map(({ url, dialect }) => `${url} ${dialect}`)]);
    assert.deepEqual(places(await loaded(document)), [
      ['/v2/a', 'https://api.example websocket-over-http'],
      ['/b', 'ws://sockets:9000 relay'],
      ['/own/c', 'http://c websocket-over-http'],
    ]);
    const entry = 'openapi: [{ file: api.yaml, target: "http://kong:8000", host: "a.example" }]';
    const config = await loaded(document, entry);
    assert.deepEqual(places(config), [
      ['/v2/a', 'http://kong:8000 websocket-over-http'],
      ['/b', 'http://kong:8000 websocket-over-http'],
      ['/own/c', 'http://kong:8000 websocket-over-http'],
    ]);
    assert.equal(config.settings.routes[0]?.match.host, 'a.example');
  });

  it('merges its extensions over document, path and operation; lists replace one another', async () => {
    const config = await loaded(`${withServer}
x-foregate-route: { limits: { messageBytes: 10, queueBytes: 20 }, idle: 1m }
x-foregate-policies: [{ use: rate-limit, messages: 1 }]
x-foregate-errors: { onFault: { throttled: answer } }
paths:
  /a:
    x-foregate-route: { limits: { queueBytes: 30 } }
    get:
      x-foregate-route: { id: mine, limits: { messageBytes: 40 } }
      x-foregate-policies: [{ use: message-size, textBytes: 5 }]
      x-foregate-errors: { onFault: { quota: drop } }
  /b: { x-foregate: { ignore: true }, get: {}, post: { x-foregate: { ignore: false } } }
`);
    const [a, b] = config.settings.routes;
    assert.deepEqual([a?.id, a?.idle, a?.limits.messageBytes, a?.limits.queueBytes], ['mine', '1m', 40, 30]);
    assert.deepEqual([a?.onFault.throttled, a?.onFault.quota], ['answer', 'drop']);
    assert.deepEqual(uses(config), ['message-size']);
    assert.deepEqual(b?.match.methods, ['POST']);
    assert.equal(config.settings.routes.length, 2);
  });

  it('has policies in this order: defaults, security, parameters, channels, its own, messages', async () => {
    const config = await loaded(
      `${withServer}security: [{ key: [] }]
paths:
  /chat/{room}:
    parameters: [{ name: room, in: path, required: true, schema: { type: string } }, { name: n, in: query, schema: { type: string } }]
    post:
      parameters: [{ $ref: "#/components/parameters/N" }]
      requestBody: { content: { application/websocket-events: {} } }
      x-foregate-channels: [room-*]
      x-foregate-policies: [{ use: rate-limit, messages: 5 }]
      x-foregate-messages: { by: type, client: { say: { $ref: "#/components/schemas/Say" } }, publish: [room-*], backend: { said: true } }
components:
  securitySchemes: { key: { type: apiKey, in: query, name: apikey } }
  parameters: { N: { name: n, in: query, schema: { type: integer, pattern: "^\${x" } } }
  schemas: { Say: { type: object, properties: { re: { $ref: "#/components/schemas/Say" } } } }
`,
      'defaults: { policies: [{ use: origin, allow: ["http://a"] }] }\nopenapi: [{ file: api.yaml, security: { key: { keys: [{ key: "${WORD}", name: me }] } } }]',
    );
    assert.deepEqual(uses(config), [
      'origin',
      'api-key',
      'parameters',
      'channels',
      'rate-limit',
      'message-schema',
      'message-schema',
    ]);
    const [, key, parameters] = config.routes[0]?.policies ?? [];
    assert.deepEqual(key?.options['from'], { query: 'apikey' });
    assert.deepEqual(key?.options['keys'], [{ key: 'from-outside', name: 'me' }]);
    assert.equal(parameters?.options['template'], '/v1/chat/{room}');
    const [room, n] = (parameters?.options['parameters'] ?? []) as Readonly<Record<string, unknown>>[];
    assert.equal(room?.['name'], 'room');
    // No variables are put into schemas.
    assert.deepEqual(n?.['schema'], { type: 'integer', pattern: '^${x' });
    assert.deepEqual(
      config.controlPolicies.map(({ use, options }) => [use, options['channels']]),
      [['message-schema', ['room-*']]],
    );
  });

  it('has its security checked by policies, which know what the schemes say', async () => {
    const config = await loaded(`${withServer}
x-foregate: { security: { bearer: { jwks: "https://id.example/jwks.json", audience: chat }, basic: { file: users }, key: { use: jwt, secret: "${'x'.repeat(32)}" } } }
paths:
  /a: { get: { security: [{ oidc: [read, write] }] } }
  /b: { get: { security: [{ bearer: [admin] }] } }
  /c: { get: { security: [{ basic: [] }] } }
  /d: { get: { security: [{ cert: [], key: [] }] } }
  /e: { get: { security: [] } }
components:
  securitySchemes:
    oidc: { type: openIdConnect, openIdConnectUrl: "https://id.example/.well-known/openid-configuration" }
    bearer: { type: http, scheme: Bearer }
    basic: { type: http, scheme: basic }
    cert: { type: mutualTLS }
    key: { type: apiKey, in: cookie, name: token }
`);
    const picked = config.routes.map(({ policies }) =>
      policies.map(({ use, options }) => ({
        use,
        discovery: options['discovery'],
        scopes: options['scopes'],
        from: options['from'],
      })),
    );
    const header = { header: 'Authorization' };
    const issuer = 'https://id.example/.well-known/openid-configuration';
    assert.deepEqual(picked, [
      [{ use: 'jwt', discovery: issuer, scopes: ['read', 'write'], from: header }],
      [{ use: 'jwt', discovery: undefined, scopes: ['admin'], from: header }],
      [{ use: 'basic', discovery: undefined, scopes: undefined, from: undefined }],
      [
        { use: 'mtls', discovery: undefined, scopes: undefined, from: undefined },
        { use: 'jwt', discovery: undefined, scopes: undefined, from: { cookie: 'token' } },
      ],
      [],
    ]);
  });

  it('leaves security to the gateway where that is said, or its adapter is known', async () => {
    const document = `${withServer}security: [{ key: [] }, {}]
paths: { /a: { get: {} } }
components: { securitySchemes: { key: { type: apiKey, in: header, name: apikey } } }
`;
    assert.deepEqual(uses(await loaded(document, 'openapi: [{ file: api.yaml, security: { key: gateway } }]')), []);
    assert.deepEqual(uses(await loaded(document, 'openapi: [api.yaml]\ndefaults: { adapter: kong }')), []);
  });

  it('lets in whom one of several requirements lets in, all of which are checked here', async () => {
    const document = `${withServer}security: [{ key: [], cert: [] }, { token: [read] }, {}]
paths: { /a: { get: {} } }
components:
  securitySchemes:
    key: { type: apiKey, in: header, name: apikey }
    cert: { type: mutualTLS }
    token: { type: http, scheme: bearer }
`;
    const checked = `key: { keys: [{ key: ${'k'.repeat(20)}, name: me }] }`;
    const config = await loaded(
      document,
      `openapi: [{ file: api.yaml, security: { ${checked}, token: { secret: "${'x'.repeat(32)}" } } }]`,
    );
    assert.deepEqual(uses(config), ['any-of']);
    const policies: unknown = config.routes[0]?.settings.policies;
    const [{ of: alternatives }] = policies as [{ readonly of: readonly (readonly { readonly use: string }[])[] }];
    assert.deepEqual(
      alternatives.map((list) => list.map(({ use }) => use)),
      [['api-key', 'mtls'], ['jwt'], []],
    );
    const half = `openapi: [{ file: api.yaml, security: { ${checked}, token: gateway } }]`;
    assert.match(await reportOf(document, half), /^api\.yaml:4:11 {2}security {2}has alternatives of which "token" is left/);
  });

  it('makes its ids unlike those of other routes', async () => {
    const config = await loaded(
      `${withServer}paths: { /a: { get: { operationId: main } } }`,
      'routes: [{ id: main, target: "http://a" }]\nopenapi: [api.yaml, { file: api.yaml, host: b.example }]',
    );
    assert.deepEqual(
      config.routes.map(({ settings }) => settings.id),
      ['main', 'main-2', 'main-3'],
    );
  });
});

describe('what is wrong in an OpenAPI document is told with its place:', () => {
  const reports = new URL('../../fixtures/openapi/reports/', import.meta.url);

  it('each fixture has its report', async () => {
    const names = (await readdir(reports)).filter((name) => name.endsWith('.txt'));
    assert.ok(names.length > 0);
    for (const name of names) {
      const [document = '', expected = ''] = (await readFile(new URL(name, reports), 'utf8')).split(/^-{5,}\n/m);
      assert.deepEqual((await reportOf(document)).split('\n'), expected.trimEnd().split('\n'), name);
    }
  });

  it('also what a route or policy finds wrong of it', async () => {
    const report = await reportOf(`${withServer}paths:
  /a:
    get:
      x-foregate-route: { idel: 1m, timeout: 3 }
      x-foregate-policies: [{ use: rate-limi }, { use: rate-limit, messages: x }]
      x-foregate-channels: [1]
`);
    assert.deepEqual(
      report.split('\n').map((line) => line.replace(/; known here.*/, '').replaceAll(/ {2,}/g, '  ')),
      [
        'api.yaml:7:27  paths["/a"].get.x-foregate-route.idel  is not a known key; did you mean "idle"?',
        'api.yaml:7:37  paths["/a"].get.x-foregate-route.timeout  is not a known key',
        'api.yaml:8:36  paths["/a"].get.x-foregate-policies[0].use  is neither a policy nor an installed package: "rate-limi"; did you mean "rate-limit"?',
        'api.yaml:8:78  paths["/a"].get.x-foregate-policies[1].messages  must be a whole number, found "x"',
        'api.yaml:9:29  paths["/a"].get.x-foregate-channels[0]  must be text, found 1 (put it in quotes)',
      ],
    );
  });

  it('also of its entry in the configuration', async () => {
    const document = `${withServer}security: [{ key: [] }]
paths: { /a: { get: {} } }
components: { securitySchemes: { key: { type: apiKey, in: header, name: apikey } } }
`;
    const entry = (more: string): string => `openapi:\n  - file: api.yaml\n    ${more}\n`;
    assert.match(
      await reportOf(document, entry('security: { kye: gateway }')),
      /^foregate\.yaml:3:17 {2}openapi\[0\]\.security\.kye .*did you mean "key"/,
    );
    assert.match(
      await reportOf(document, entry('security: { key: { keys: 1 } }')),
      /^foregate\.yaml:3:30 {2}openapi\[0\]\.security\.key\.keys .*must be a list/,
    );
    assert.match(
      await reportOf(document, entry('netwrok: 1\n    security: { key: gateway }')),
      /^foregate\.yaml:3:5 .*did you mean "network"/,
    );
    assert.match(await reportOf(document, 'openapi: [none.yaml]'), /^none\.yaml {2}was not found/);
    assert.match(await reportOf(document, '{}'), /routes {2}is missing/);
  });
});

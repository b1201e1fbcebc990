/** Vendor extensions of OpenAPI documents, read by the adapters of their gateways; and what `foregate check` tells of a document. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exportLines } from '../../../bin/export-warnings.ts';
import { documentWarnings, problemLine } from '../../../gateway/config/document-warnings.ts';
import { limitWarnings, warningLines } from '../../../gateway/config/gateway-limits.ts';
import { loadText, type LoadedConfig } from '../../../gateway/config/load.ts';
import { parts } from '../../../gateway/parts.ts';

describe('the extensions of a gateway', () => {
  let folder: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'foregate-openapi-'));
  });

  after(async () => rm(folder, { recursive: true }));

  async function loaded(document: string, adapter: string, entry = ''): Promise<LoadedConfig> {
    await writeFile(join(folder, 'api.yaml'), document);
    const config = `defaults: { adapter: ${adapter} }\nopenapi: [{ file: api.yaml, target: "http://gateway:8000"${entry} }]`;
    return loadText(join(folder, 'foregate.yaml'), config, parts, {});
  }

  function warnings(config: LoadedConfig): string[] {
    return documentWarnings(config).map((problem) => problemLine(problem).replaceAll(`${folder}/`, ''));
  }

  const kong = `openapi: 3.0.2
x-kong-service-defaults: { protocol: https, host: backend.example, port: 8443, path: /base/, read_timeout: 20000 }
x-kong-plugin-key-auth: { config: { key_names: [mykey], hide_credentials: true } }
x-kong-upstream-defaults: { algorithm: least-connections }
servers: [{ url: "https://elsewhere.example" }]
paths:
  /a:
    x-kong-plugin-rate-limiting: { config: { minute: 60, hour: 1000, limit_by: ip } }
    get: { x-kong-plugin-request-size-limiting: { config: { allowed_payload_size: 2 } } }
    post: { x-kong-plugin-key-auth: { enabled: false }, x-foregate-route: { adapter: { use: kong, gateway: { backend: "http://own", auth: none } } } }
`;

  it('of Kong say what it does for an operation, the inner ones more than the outer', async () => {
    const { settings } = await loaded(kong, 'kong');
    const [get, post] = settings.routes.map(({ adapter }) => adapter.gateway);
    assert.deepEqual(get, {
      backend: 'https://backend.example:8443/base',
      auth: 'key',
      credential: { header: 'mykey' },
      hideCredential: true,
      limits: [
        { count: 60, window: '60s', by: 'address' },
        { count: 1000, window: '3600s', by: 'address' },
      ],
      bodyBytes: 2 * 1024 * 1024,
      connectTimeout: '2s',
      timeout: '20000ms',
      stripPath: false,
      callers: [],
    });
    // What is written here wins.
    assert.deepEqual([post?.backend, post?.auth], ['http://own', 'none']);
  });

  it('are told where its adapter is not the route’s, or nothing reads them', async () => {
    assert.deepEqual(warnings(await loaded(kong, 'kong')), [
      'warning: api.yaml:4:1  x-kong-upstream-defaults  is not read; the gateway goes on with it',
    ]);
    const config = await loaded('openapi: 3.0.2\nx-adc-name: a\npaths: { /a: { x-kong-name: a, get: {} } }\n', 'tyk');
    assert.deepEqual(warnings(config), [
      'warning: api.yaml:2:1  x-adc-name  is not read',
      'warning: api.yaml:3:16  paths["/a"].x-kong-name  is read where the adapter is "kong"; here it is not',
    ]);
  });

  it('of Tyk say it for the whole document', async () => {
    const { settings } = await loaded(
      `openapi: 3.0.6
paths: { /a: { get: {} } }
x-tyk-api-gateway:
  upstream: { url: "http://backend:9000/", rateLimit: { enabled: true, rate: 100, per: 10s } }
  server:
    listenPath: { value: /, strip: true }
    authentication: { enabled: true, stripAuthorizationData: true, securitySchemes: { k: { enabled: true, header: { enabled: true, name: X-Key } } } }
`,
      'tyk',
    );
    const { backend, credential, limits, stripPath, hideCredential } = settings.routes[0]?.adapter.gateway ?? {};
    assert.deepEqual(
      { backend, credential, limits, stripPath, hideCredential },
      {
        backend: 'http://backend:9000',
        credential: { header: 'X-Key' },
        limits: [{ count: 100, window: '10s', by: 'route' }],
        stripPath: true,
        hideCredential: true,
      },
    );
  });

  it('of Google say it in the form of OpenAPI 3, and in the older one', async () => {
    const { settings } = await loaded(
      `openapi: 3.0.4
security: [{ key: [] }]
x-google-api-management:
  metrics: { reads: { displayName: Reads } }
  quota: { readLimit: { metric: reads, unit: "1/min/{project}", values: 1000 } }
  backends: { main: { address: "https://run.example/base/", deadline: 12.5, pathTranslation: APPEND_PATH_TO_ADDRESS } }
x-google-backend: main
paths:
  /a:
    get: { x-google-quota: { metricCosts: { reads: 4 } } }
    put: { security: [{ token: [] }], x-google-backend: { address: "https://other.example", path_translation: APPEND_PATH_TO_ADDRESS } }
components:
  securitySchemes:
    key: { type: apiKey, in: query, name: key }
    token: { type: oauth2, flows: {}, x-google-issuer: "https://id.example", x-google-jwks_uri: "https://id.example/jwks", x-google-audiences: "a, b" }
`,
      'apigee',
    );
    const [get, put] = settings.routes.map(({ adapter }) => adapter.gateway);
    assert.deepEqual(
      [get?.backend, get?.timeout, get?.auth, get?.credential],
      ['https://run.example/base', '12500ms', 'key', { query: 'key' }],
    );
    assert.deepEqual(get?.limits, [{ count: 250, window: '60s', by: 'caller' }]);
    assert.deepEqual([put?.backend, put?.auth, put?.limits], ['https://other.example', 'jwt', []]);
    assert.deepEqual(put?.jwt, { issuer: 'https://id.example', jwks: 'https://id.example/jwks', audience: 'a' });
  });

  it('of Google are not read where an operation has one address, or names a backend that is not there', async () => {
    const config = await loaded(
      `openapi: 3.0.4
x-google-allow: all
x-google-management: { quota: { limits: [{ name: l, metric: m, unit: "1/min/{project}", values: { STANDARD: 60 } }] } }
x-google-backend: { address: "https://run.example" }
paths:
  /a:
    get: { security: [], x-google-backend: { address: "https://run.example/hello" } }
    put: { security: [], x-google-backend: none }
    post: { security: [], x-google-quota: { metricCosts: { m: 1 } } }
`,
      'apigee',
    );
    const post = config.settings.routes.find(({ id }) => id === 'post-a')?.adapter.gateway;
    assert.deepEqual([post?.backend, post?.limits], ['https://run.example', [{ count: 60, window: '60s', by: 'caller' }]]);
    assert.deepEqual(
      warnings(config).map((line) => line.replace('warning: ', '')),
      [
        'api.yaml:2:1  x-google-allow  is not read; the gateway goes on with it',
        'api.yaml:7:26  paths["/a"].get.x-google-backend  has one address for all paths, which is not read',
        'api.yaml:8:26  paths["/a"].put.x-google-backend  names no backend that is described',
      ],
    );
  });

  it('of AWS say it by the integration of an operation', async () => {
    const config = await loaded(
      `openapi: 3.0.1
x-amazon-apigateway-cors: {}
paths:
  /a/{id}:
    get:
      security: [{ key: [] }]
      x-amazon-apigateway-integration: { type: http_proxy, httpMethod: GET, uri: "https://backend.example/v1/a/{id}", timeoutInMillis: 9000 }
    put: { security: [], x-amazon-apigateway-integration: { type: mock } }
components: { securitySchemes: { key: { type: apiKey, in: header, name: x-api-key } } }
`,
      'aws',
    );
    const [get, put] = config.settings.routes.map(({ adapter }) => adapter.gateway);
    assert.deepEqual([get?.backend, get?.timeout, get?.auth], ['https://backend.example/v1', '9000ms', 'key']);
    assert.equal(put, undefined);
    assert.deepEqual(
      warnings(config).map((line) => line.split('  ')[1]),
      [
        'x-amazon-apigateway-cors',
        'paths["/a/{id}"].get.x-amazon-apigateway-integration',
        'paths["/a/{id}"].put.x-amazon-apigateway-integration',
      ],
    );
  });

  it('are not the only thing that may surprise', async () => {
    const config = await loaded(
      `openapi: 3.1.0
servers: [{ url: "http://a" }, { url: "http://b" }]
webhooks: {}
paths:
  /a:
    get: { responses: { "200": { content: { text/event-stream: {} } } } }
    put: { security: [] }
    post: { x-foregate: { ignore: true } }
components: { securitySchemes: { key: { type: apiKey, in: header, name: k } } }
`,
      'nginx',
    );
    assert.deepEqual(warnings(config), [
      'warning: api.yaml:2:32  servers[1]  is not used: of several servers the first counts',
      'warning: api.yaml:3:1  webhooks  are requests that are made, not taken: no routes',
      'warning: api.yaml:6:5  paths["/a"].get  asks for no security scheme, so it is open to everybody; "security: []" says that this is meant',
      'warning: api.yaml:6:5  paths["/a"].get  streams events, which nginx may hold back unless its proxy_http_version 1.1 and proxy_buffering off is set, or the backend leaves the stream to Foregate by Grip-Hold',
      'warning: api.yaml:8:5  paths["/a"].post  is left out ("ignore")',
      'warning: api.yaml:9:34  components.securitySchemes.key  is asked for by no operation, so nobody checks it',
    ]);
  });

  it('and a route that another one hides is told', async () => {
    const document = 'openapi: 3.1.0\nservers: [{ url: "http://b" }]\npaths: { "/a/{b}": { get: {}, put: {} } }\n';
    await writeFile(join(folder, 'api.yaml'), document);
    const own = 'routes: [{ id: own, match: { template: "/a/{c}", methods: [PUT], transports: [http] }, target: "http://a" }]';
    const config = await loadText(
      join(folder, 'foregate.yaml'),
      `${own}\nopenapi: [api.yaml, { file: api.yaml, host: h }]`,
      parts,
      {},
    );
    assert.deepEqual(warnings(config), [
      'warning: api.yaml:3:10  paths["/a/{b}"]  has requests that the route own gets, since it comes first',
    ]);
  });

  it('and limits that many operations meet are told once, with what to write into the document', async () => {
    const paths = 'paths: { /a: { get: {} }, /b: { get: {} }, /c: { get: {} } }';
    const linesOf = (config: LoadedConfig): string[] =>
      warningLines(limitWarnings(config)).map((text) => text.replaceAll(`${folder}/`, ''));
    const [first, second] = linesOf(await loaded(`openapi: 3.1.0\n${paths}\n`, 'aws'));
    assert.match(first ?? '', /^warning: route get-a and 2 more: AWS/);
    assert.match(second ?? '', /^ {2}foregate\.yaml:2:37 .*write "target: \{ url: "http:\/\/gateway:8000", timeout: 29s \}"$/);
    await writeFile(join(folder, 'api.yaml'), `openapi: 3.1.0\nservers: [{ url: "http://b" }]\n${paths}\n`);
    const text = 'defaults: { adapter: aws }\nopenapi: [api.yaml]';
    const [, inDocument] = linesOf(await loadText(join(folder, 'foregate.yaml'), text, parts, {}));
    assert.match(
      inDocument ?? '',
      /^ {2}api\.yaml:2:18 .*write "x-foregate: \{ target: \{ url: "http:\/\/b", timeout: 29s \} \}"$/,
    );
  });

  it('and what a gateway cannot do of it is told by its export', async () => {
    const document = (by: string): string =>
      `openapi: 3.1.0\npaths: { /a: { get: { x-foregate-route: { adapter: { use: azure, gateway: { backend: "http://b", limits: [{ count: 1, window: 7d, by: ${by} }] } } } } } }\n`;
    const lines = exportLines(await loaded(document('caller'), 'azure'));
    assert.ok(lines.length > 0);
    assert.match(lines[0] ?? '', /^warning: route get-a: export: /);
  });
});

/** `foregate import aws`: documents of both versions, what is not understood with its line, and there and back. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { awsExporter } from '../../../adapters/aws/export.ts';
import { awsImporter } from '../../../adapters/aws/import.ts';
import type { GatewayRoute } from '../../../adapters/conversion/gateway-route.ts';
import { foregate } from '../../bin/command.ts';
import { cloudModel, cloudRoute, folderWith, tokens, written } from '../conversion/cloud-fixtures.ts';

const gateway = new URL('https://api.example.com');

function read(text: string): { readonly routes: readonly GatewayRoute[]; readonly remarks: readonly string[] } {
  const { routes, remarks } = awsImporter.read([{ name: 'api.yaml', text }], gateway);
  return { routes: routes.map(({ route }) => route), remarks: remarks.map(({ about, text: what }) => `${about}: ${what}`) };
}

/** What is read of one operation: its path and the members of its integration, as YAML. */
function readOne(path: string, integration: string, more = ''): ReturnType<typeof read> {
  return read(`openapi: 3.0.1\npaths:\n  ${path}:\n    get:\n      x-amazon-apigateway-integration: ${integration}\n${more}`);
}

/** A route as it can be read, without what AWS has no place for. */
function there(changes: Partial<GatewayRoute>): GatewayRoute {
  return cloudRoute({ bodyBytes: 10 * 1024 * 1024, ...changes });
}

describe('foregate import aws', () => {
  it('reads what was exported as it was', () => {
    const groups: readonly (readonly GatewayRoute[])[] = [
      [
        there({ id: 'rooms', path: '/chat/rooms', auth: { kind: 'none' }, eventsOnly: false, readMs: 700 }),
        there({ backend: new URL('https://b.example:8443/v1'), stripPath: true }),
        there({ id: 'all', path: '/', auth: { kind: 'key', place: { in: 'header', name: 'x-api-key' }, hidden: false } }),
      ],
      [there({ auth: tokens, path: '/chat/' })],
    ];
    for (const routes of groups) {
      const { routes: back, remarks } = read(written(awsExporter, cloudModel(routes), 'aws-api.json'));
      assert.deepEqual(JSON.parse(JSON.stringify(back)), JSON.parse(JSON.stringify(routes)));
      assert.deepEqual(remarks, []);
    }
  });

  it('reads OpenAPI 2.0 too, and takes a parameter for the end of a beginning', () => {
    const { routes, remarks } = read(`swagger: "2.0"
host: abc.execute-api.eu-west-1.amazonaws.com
securityDefinitions:
  key: { type: apiKey, name: X-API-Key, in: header }
paths:
  /rooms/{room}/messages:
    post:
      consumes: [application/websocket-events]
      security: [{ key: [] }]
      x-amazon-apigateway-integration:
        type: HTTP_PROXY
        uri: https://b.example/api/rooms/{r}/messages
        requestParameters: { integration.request.path.r: method.request.path.room }
        timeoutInMillis: 3000
`);
    const [route] = routes;
    assert.deepEqual([route?.path, route?.backend.href, route?.stripPath], ['/rooms/', 'https://b.example/api', false]);
    assert.deepEqual(
      [route?.auth, route?.readMs, route?.eventsOnly],
      [{ kind: 'key', place: { in: 'header', name: 'X-API-Key' }, hidden: false }, 3000, true],
    );
    assert.deepEqual(remarks, [
      'api.yaml:2: abc.execute-api.eu-west-1.amazonaws.com is said to be the address of the API; it is given with --gateway, and a stage is not part of it',
      'api.yaml:10: /rooms/{room}/messages is taken for all below /rooms/; AWS refuses what is not there',
    ]);
  });

  it('has one route for operations that lead to the same, and tells of one that differs', () => {
    const operation = (uri: string): string => `{ x-amazon-apigateway-integration: { type: http_proxy, uri: "${uri}" } }`;
    const { routes, remarks } = read(`openapi: 3.0.1
paths:
  /a: { get: ${operation('https://b.example/a')}, put: ${operation('https://b.example/a')} }
  /a/{proxy+}: { x-amazon-apigateway-any-method: ${operation('https://b.example/a/{proxy}')} }
  /a/{proxy+}/x: { get: ${operation('https://c.example/{proxy}/x')} }
  /a/{id}: { get: ${operation('https://c.example/a/{id}')} }
`);
    assert.deepEqual(
      routes.map(({ id, path, backend }) => [id, path, backend.host]),
      [
        ['/a/', '/a/', 'c.example'],
        ['/a', '/a', 'b.example'],
      ],
    );
    assert.match(remarks.join('\n'), /^api\.yaml:6: begins as .* and differs from it; left out$/m);
  });

  const untaken: readonly (readonly [string, ReturnType<typeof read>, RegExp])[] = [
    [
      'a function',
      readOne('/f', '{ type: aws_proxy, uri: "arn:aws:lambda" }'),
      /^api\.yaml:5: \/f leads to aws_proxy, not to an address/,
    ],
    [
      'a stage variable',
      readOne('/v', '{ type: http_proxy, uri: "https://${stageVariables.h}/v" }'),
      /^api\.yaml:5: \/v leads to https:\/\/\$\{stageVariables\.h\}\/v, which is no plain address$/,
    ],
    [
      'one address for all',
      readOne('/o/{id}', '{ type: http_proxy, uri: "https://b.example/o" }'),
      /^api\.yaml:5: \/o\/\{id\} leads to https:\/\/b\.example\/o, which does not end as the path does/,
    ],
    [
      'an intrinsic function',
      readOne('/i', '{ type: http_proxy, uri: { Fn::Sub: "https://b" } }'),
      /^api\.yaml:5: \/i leads to , which is no plain address$/,
    ],
    ['a reference', readOne('/r', '{ $ref: "#/components/x" }'), /^api\.yaml:5: \/r leads to something unknown/],
    ['a path with spaces', readOne('"/a b"', '{ type: http_proxy, uri: "https://b/a b" }'), /^api\.yaml:5: "\/a b" is no path$/],
  ];
  for (const [what, { routes, remarks }, pattern] of untaken)
    it(`leaves out ${what}, and says where it stands`, () => {
      assert.deepEqual(routes, []);
      assert.equal(remarks.length, 1);
      assert.match(remarks[0] ?? '', pattern);
    });

  const changed: readonly (readonly [string, ReturnType<typeof read>, RegExp])[] = [
    [
      'mappings',
      readOne('/p', '{ type: http_proxy, uri: "https://b/p", requestParameters: { integration.request.header.X: "\'1\'" } }'),
      /the mapping of integration\.request\.header\.X is not taken over/,
    ],
    [
      'other members',
      readOne('/p', '{ type: http_proxy, uri: "https://b/p", tlsConfig: {} }'),
      /"tlsConfig" of the integration is not taken over/,
    ],
    ['VPC links', readOne('/p', '{ type: http_proxy, uri: "http://b/p", connectionType: VPC_LINK }'), /leads through a VPC link/],
    ['templates', readOne('/p', '{ type: http, uri: "http://b/p" }'), /is of the type "http"/],
    [
      'extensions',
      readOne('/p', '{ type: http_proxy, uri: "http://b/p" }', 'x-amazon-apigateway-policy: {}\n'),
      /^api\.yaml:6: x-amazon-apigateway-policy is not taken over/m,
    ],
    [
      'authorizers',
      readOne(
        '/p',
        '{ type: http_proxy, uri: "http://b/p" }',
        '      security: [{ l: [] }]\ncomponents: { securitySchemes: { l: { type: apiKey, x-amazon-apigateway-authorizer: { type: request } } } }\n',
      ),
      /^api\.yaml:4: l asks an authorizer of the type request/m,
    ],
    [
      'unknown schemes',
      readOne('/p', '{ type: http_proxy, uri: "http://b/p" }', '      security: [{ nowhere: [] }]\n'),
      /^api\.yaml:4: the security scheme nowhere is not one that AWS checks/m,
    ],
    ['a timeout that is none', readOne('/p', '{ type: http_proxy, uri: "http://b/p", timeoutInMillis: soon }'), /^$/],
  ];
  for (const [what, { routes, remarks }, pattern] of changed)
    it(`tells of ${what} and takes the route`, () => {
      assert.deepEqual([routes.length, routes[0]?.auth.kind, routes[0]?.readMs], [1, 'none', 29_000]);
      assert.match(remarks.join('\n'), pattern);
    });

  it('takes what is checked where another method of the path is open', () => {
    const integration = 'x-amazon-apigateway-integration: { type: http_proxy, uri: "https://b.example/a" }';
    const { routes, remarks } = read(`openapi: 3.0.1
components: { securitySchemes: { key: { type: apiKey, name: x-api-key, in: header } } }
paths:
  /a:
    get: { ${integration} }
    post: { security: [{ key: [] }], ${integration} }
`);
    assert.deepEqual(
      routes.map(({ auth }) => auth.kind),
      ['key'],
    );
    assert.deepEqual(remarks, ['api.yaml:5: begins as /a and differs from it; left out']);
  });

  it('tells that an API has names of its own', () => {
    const { remarks } = read(written(awsExporter, cloudModel([cloudRoute({ hosts: ['a.example'] })]), 'aws-api.json'));
    assert.equal(remarks.length, 1);
    assert.match(remarks.join(), /^api\.yaml:\d+: has settings of its endpoint/);
  });

  it('copies no password of an address, not even into what it tells', () => {
    const { routes, remarks } = readOne('/p', '{ type: http_proxy, uri: "https://u:hunter2@b.example/p?key=hunter3" }');
    assert.deepEqual([routes, remarks.length], [[], 1]);
    assert.doesNotMatch(remarks.join(), /hunter/);
  });

  it('tells of files that it cannot read, with the line, and never throws', () => {
    const lists = Array.from(
      { length: 12 },
      (_, nth) =>
        `b${nth}: &b${nth} [${Array(9)
          .fill(nth === 0 ? 'x' : `*b${nth - 1}`)
          .join(', ')}]`,
    );
    const bad: readonly (readonly [string, RegExp])[] = [
      ['a: [', /^api\.yaml:\d: /],
      ['[]', /^api\.yaml:1: is not a mapping$/],
      ['', /^api\.yaml:1: is not a mapping$/],
      ['Resources: {}', /^api\.yaml:1: has no "paths"/],
      [lists.join('\n'), /^api\.yaml:1: cannot be read: Excessive alias count/],
      ['['.repeat(100_000), /^api\.yaml:\d+: /],
      [
        'paths: { /a: 7, /b: { get: [] }, /c: { get: { security: 3, x-amazon-apigateway-integration: { type: [] } } } }',
        /^api\.yaml:1: \/a has no operation/,
      ],
    ];
    for (const [text, pattern] of bad) {
      const { routes, remarks } = read(text);
      assert.deepEqual(routes, []);
      assert.match(remarks.join('\n'), pattern);
    }
  }).timeout(20_000);
});

describe('the command foregate import aws', () => {
  const folder = folderWith(() => 'routes: []\n');

  it('makes a file that foregate check takes and foregate export writes as it was', async () => {
    const document = written(awsExporter, cloudModel([there({ id: 'rooms', path: '/rooms/' }), there({})]), 'aws-api.json');
    writeFileSync(join(folder(), 'api.json'), document);
    const run = async (...args: readonly string[]): Promise<void> => {
      const { code, stderr } = await foregate(args, { cwd: folder() });
      assert.equal(code, 0, stderr);
    };
    await run('import', 'aws', 'api.json', '--gateway', 'https://api.example.com', '-o', 'made.yaml');
    await run('check', '-c', 'made.yaml');
    await run('export', 'aws', '-c', 'made.yaml', '-o', 'out');
    assert.equal(readFileSync(join(folder(), 'out/aws-api.json'), 'utf8'), document);
  }).timeout(20_000);

  it('writes nothing and ends with 1 where no route is left, and prints no control characters of the file', async () => {
    writeFileSync(join(folder(), 'none.yaml'), 'paths:\n  /f: {}\n  "/\\e[31m": {}\n');
    const { code, stderr } = await foregate(['import', 'aws', 'none.yaml', '-o', 'none.made'], { cwd: folder() });
    assert.equal(code, 1);
    assert.match(stderr, /No route is left, so nothing is written\.[^]*none\.yaml:2: \/f has no operation that is understood/);
    assert.match(stderr, /none\.yaml:3: \/\?\[31m has no operation/);
    assert.ok(!existsSync(join(folder(), 'none.made')));
  }).timeout(20_000);
});

/** `foregate export aws`: the document, the usage plan, and what is refused. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Validator } from '@seriousme/openapi-schema-validator';
import { awsExporter } from '../../../adapters/aws/export.ts';
import type { GatewayLimit, GatewayModel } from '../../../adapters/conversion/gateway-route.ts';
import { foregate } from '../../bin/command.ts';
import { cloudModel, cloudRoute, folderWith, remarksFor, tokens, written } from '../conversion/cloud-fixtures.ts';

interface Operation {
  readonly operationId: string;
  readonly security: readonly unknown[];
  readonly 'x-amazon-apigateway-integration': Readonly<Record<string, unknown>>;
}

interface Api {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly servers?: unknown;
  readonly components?: { readonly securitySchemes: unknown };
  readonly 'x-amazon-apigateway-binary-media-types'?: readonly string[];
}

interface Plan {
  readonly Resources: Readonly<Record<string, { readonly Type: string; readonly Properties: Readonly<Record<string, unknown>> }>>;
}

function api(model: GatewayModel): Api {
  return JSON.parse(written(awsExporter, model, 'aws-api.json')) as Api;
}

function plan(model: GatewayModel): Plan {
  return JSON.parse(written(awsExporter, model, 'aws-usage-plan.json')) as Plan;
}

/** What the plan says for a route with these limits. */
function planFor(...limits: readonly GatewayLimit[]): unknown {
  const { Throttle, Quota } = plan(cloudModel([cloudRoute({ limits })])).Resources['UsagePlan']?.Properties ?? {};
  return { Throttle, Quota };
}

function uris(model: GatewayModel): unknown[] {
  return Object.entries(api(model).paths).map(([path, item]) => [
    path,
    Object.values(item)
      .map((operation) => operation['x-amazon-apigateway-integration']['uri'])
      .join(),
  ]);
}

const minute = { count: 600, windowSeconds: 60, by: 'caller' } as const;

describe('foregate export aws', () => {
  it('writes one operation for the path and one for all below', () => {
    assert.deepEqual(api(cloudModel([cloudRoute()])).paths['/chat/{proxy+}'], {
      post: {
        operationId: 'chat-below',
        tags: ['foregate'],
        security: [{ api_key: [] }],
        parameters: [{ name: 'proxy', in: 'path', required: true, schema: { type: 'string' } }],
        requestBody: { content: { 'application/websocket-events': { schema: { type: 'string', format: 'binary' } } } },
        responses: { default: { description: 'What the backend answers.' } },
        'x-amazon-apigateway-integration': {
          type: 'http_proxy',
          httpMethod: 'POST',
          uri: 'https://backend.example.com/chat/{proxy}',
          connectionType: 'INTERNET',
          passthroughBehavior: 'when_no_match',
          timeoutInMillis: 15_000,
          requestParameters: {
            'integration.request.path.proxy': 'method.request.path.proxy',
            'integration.request.header.x-api-key': "'hidden'",
          },
        },
      },
    });
    assert.equal(api(cloudModel([cloudRoute()])).paths['/chat']?.['post']?.operationId, 'chat');
  });

  it('puts the path behind that of the backend, or cuts it off', () => {
    const backend = new URL('https://b.example/v1');
    assert.deepEqual(uris(cloudModel([cloudRoute({ backend })])), [
      ['/chat', 'https://b.example/v1/chat'],
      ['/chat/{proxy+}', 'https://b.example/v1/chat/{proxy}'],
    ]);
    assert.deepEqual(uris(cloudModel([cloudRoute({ backend, stripPath: true })])), [
      ['/chat', 'https://b.example/v1'],
      ['/chat/{proxy+}', 'https://b.example/v1/{proxy}'],
    ]);
    assert.deepEqual(uris(cloudModel([cloudRoute({ path: '/' })])), [
      ['/', 'https://backend.example.com/'],
      ['/{proxy+}', 'https://backend.example.com/{proxy}'],
    ]);
    assert.deepEqual(uris(cloudModel([cloudRoute({ path: '/chat/' })])), [
      ['/chat/{proxy+}', 'https://backend.example.com/chat/{proxy}'],
    ]);
  });

  it('lets every method and type through where plain HTTP comes too', () => {
    const document = api(cloudModel([cloudRoute({ eventsOnly: false })]));
    assert.deepEqual(Object.keys(document.paths['/chat'] ?? {}), ['x-amazon-apigateway-any-method']);
    assert.deepEqual(document['x-amazon-apigateway-binary-media-types'], ['*/*']);
    assert.deepEqual(api(cloudModel([cloudRoute()]))['x-amazon-apigateway-binary-media-types'], ['application/websocket-events']);
  });

  it('makes an HTTP API where tokens are checked', () => {
    const model = cloudModel([cloudRoute({ auth: tokens })]);
    assert.deepEqual(api(model).components, {
      securitySchemes: {
        chat: {
          type: 'oauth2',
          flows: {},
          'x-amazon-apigateway-authorizer': {
            type: 'jwt',
            identitySource: '$request.header.Authorization',
            jwtConfiguration: { issuer: 'https://login.example.com/', audience: ['chat'] },
          },
        },
      },
    });
    assert.deepEqual(
      awsExporter.write(model).files.map(({ name }) => name),
      ['aws-api.json'],
    );
  });

  it('answers under its own names only where a route has hosts', () => {
    const hosts = ['chat.example.com'];
    assert.deepEqual(api(cloudModel([cloudRoute({ hosts })])).servers, [
      { url: '/', 'x-amazon-apigateway-endpoint-configuration': { disableExecuteApiEndpoint: true } },
    ]);
    assert.match(remarksFor(awsExporter, { hosts }).join('\n'), /^told chat: .*map chat\.example\.com to the API$/m);
    const { remarks } = awsExporter.write(cloudModel([cloudRoute({ hosts }), cloudRoute({ id: 'other', path: '/o' })]));
    assert.match(JSON.stringify(remarks), /"other","verdict":"refused","text":"has other hosts than chat/);
  });

  it('is valid OpenAPI 3.0 in each form', async () => {
    const models = [
      cloudModel([cloudRoute(), cloudRoute({ id: 'all', path: '/', eventsOnly: false, auth: { kind: 'none' } })]),
      cloudModel([cloudRoute({ auth: tokens, hosts: ['*.example.com'] })]),
    ];
    for (const model of models) {
      const validator = new Validator();
      const result = await validator.validate(structuredClone(api(model)) as never);
      assert.equal(result.valid, true, JSON.stringify(result.errors));
      assert.equal(validator.version, '3.0');
    }
  });

  it('escapes what stands in addresses and claims', () => {
    const audience = 'a"b<c>&{{d}}${e}\\';
    const model = cloudModel([cloudRoute({ auth: { ...tokens, audience }, backend: new URL('https://b.example/{x}"<$&') })]);
    assert.match(JSON.stringify(api(model).components), /"audience":\["a\\"b<c>&\{\{d\}\}\$\{e\}\\\\"\]/);
    assert.deepEqual(uris(model)[1], ['/chat/{proxy+}', 'https://b.example/%7Bx%7D%22%3C$&/chat/{proxy}']);
  });

  it('gives the same bytes for the same model', () => {
    const model = (): GatewayModel => cloudModel([cloudRoute({ limits: [minute] })], [{ name: 'alice', key: undefined }]);
    assert.deepEqual(awsExporter.write(model()), awsExporter.write(model()));
  });
});

describe('the usage plan for AWS', () => {
  it('never lets more through in a window than the limit, and says how', () => {
    assert.deepEqual(planFor(minute), { Throttle: { RateLimit: 5, BurstLimit: 300 }, Quota: undefined });
    assert.match(
      remarksFor(awsExporter, { limits: [minute] }).join('\n'),
      /^tightened chat: allows 600 requests in 60 s as 300 at once and 5 a second$/m,
    );
    for (const [count, windowSeconds] of [
      [7, 3],
      [1000, 3600],
      [2, 1],
    ] as const) {
      const { Throttle } = planFor({ count, windowSeconds, by: 'caller' }) as {
        Throttle: { RateLimit: number; BurstLimit: number };
      };
      assert.ok(Throttle.BurstLimit + Throttle.RateLimit * windowSeconds <= count, JSON.stringify(Throttle));
    }
  });

  it('takes the strictest of several limits', () => {
    assert.deepEqual(planFor(minute, { count: 20, windowSeconds: 1, by: 'caller' }), {
      Throttle: { RateLimit: 5, BurstLimit: 10 },
      Quota: undefined,
    });
  });

  it('has quotas for days, weeks and months, the shortest month for a month', () => {
    const days = (count: number) => ({ count: 1000, windowSeconds: count * 86_400, by: 'caller' }) as const;
    assert.deepEqual(planFor(days(1)), { Throttle: undefined, Quota: { Limit: 1000, Period: 'DAY' } });
    assert.deepEqual(planFor(days(7)), { Throttle: undefined, Quota: { Limit: 1000, Period: 'WEEK' } });
    assert.deepEqual(planFor(days(30)), { Throttle: undefined, Quota: { Limit: 933, Period: 'MONTH' } });
    assert.match(remarksFor(awsExporter, { limits: [days(30)] }).join('\n'), /^tightened chat: .* as 933 in each MONTH$/m);
    assert.match(remarksFor(awsExporter, { limits: [days(1), days(7)] }).join('\n'), /^refused chat: .*different periods/m);
  });

  it('keeps the name of a resource whoever else has a key', () => {
    const names = (...callers: readonly string[]): string[] =>
      Object.keys(
        plan(
          cloudModel(
            [cloudRoute()],
            callers.map((name) => ({ name, key: undefined })),
          ),
        ).Resources,
      );
    const [, alone = ''] = names('b.ob');
    assert.match(alone, /^Keybob[0-9a-f]{8}$/);
    assert.ok(names('alice', 'b-ob', 'b.ob').includes(alone));
    assert.equal(new Set(names('bob', 'b-ob', 'b.ob')).size, 7);
  });

  it('has the key of a caller only where it was asked for, and only one that AWS takes', () => {
    const model = (key: string | undefined): GatewayModel => cloudModel([cloudRoute()], [{ name: 'alice', key }]);
    assert.ok(!JSON.stringify(plan(model(undefined))).includes('"Enabled":true,"Value"'));
    assert.match(JSON.stringify(plan(model('alice-secret-0123456789'))), /"Enabled":true,"Value":"alice-secret-0123456789"/);
    const { remarks } = awsExporter.write(model('short'));
    assert.match(JSON.stringify(remarks), /"about":"alice","verdict":"refused","text":"has a key that AWS does not take/);
    assert.ok(!JSON.stringify(remarks).includes('short'));
  });
});

describe('what AWS cannot do', () => {
  const cases: readonly (readonly [RegExp, Parameters<typeof remarksFor>[1]])[] = [
    [
      /^refused chat: expects the key in apikey/,
      { auth: { kind: 'key', place: { in: 'query', name: 'apikey' }, hidden: false } },
    ],
    [/^refused chat: wants bodies up to 10485761 bytes/, { bodyBytes: 10 * 1024 * 1024 + 1 }],
    [/^refused chat: allows bodies of 1024 bytes only/, { bodyBytes: 1024, limitsBody: true }],
    [/^tightened chat: waits 29000 ms instead of 60000 ms/, { readMs: 60_000 }],
    [/^refused chat: waits 49 ms/, { readMs: 49 }],
    [/^refused chat: limits by address/, { limits: [{ ...minute, by: 'address' }] }],
    [/^refused chat: limits the whole route/, { limits: [{ ...minute, by: 'route' }] }],
    [/^refused chat: limits by caller, but has "auth: none"/, { auth: { kind: 'none' }, limits: [minute] }],
    [/^refused chat: allows 1 requests in 60 s, which is too little/, { limits: [{ ...minute, count: 1 }] }],
    [/^refused chat: needs "jwt\.issuer" and "jwt\.audience"/, { auth: { ...tokens, audience: undefined } }],
    [/^refused chat: wants the token removed/, { auth: { ...tokens, hidden: true } }],
    [/^refused chat: has limits, but/, { auth: tokens, limits: [minute] }],
    [/^refused chat: has the path "\/a b\{c\}"/, { path: '/a b{c}' }],
    [/^refused chat: has the path "\/a\/\.\.\/b"/, { path: '/a/../b' }],
    [/^refused chat: has the path "\/a\/\/b"/, { path: '/a//b' }],
    [/^tightened chat: knows whole segments: \/chat and what is below \/chat\/, but not \/chatx/, {}],
    [/^told chat: leads to 10\.0\.0\.7/, { backend: new URL('http://10.0.0.7:9000') }],
    [/^told aws: lets bodies up to 10485760 bytes through/, {}],
  ];
  for (const [pattern, changes] of cases)
    it(`is told: ${pattern.source.slice(1).replaceAll('\\', '')}`, () => {
      const remarks = remarksFor(awsExporter, changes);
      assert.ok(
        remarks.some((remark) => pattern.test(remark)),
        remarks.join('\n'),
      );
    });

  it('is told of keys and tokens in one export, and of one path twice', () => {
    const routes = [cloudRoute(), cloudRoute({ id: 'two', auth: tokens, path: '/two' }), cloudRoute({ id: 'again' })];
    const remarks = awsExporter.write(cloudModel(routes)).remarks.map(({ about, text }) => `${about}: ${text}`);
    assert.match(remarks.join('\n'), /^two: asks for tokens, another route for keys/m);
    assert.match(remarks.join('\n'), /^again: has the path of chat/m);
  });
});

describe('the command foregate export aws', () => {
  const gateway = 'backend: "https://backend.example.com", callers: [{ name: alice, key: alice-secret-0123456789 }]';
  const folder = folderWith(() =>
    [
      'routes:',
      '  - id: chat',
      '    match: { path: /chat, transports: [websocket] }',
      '    target: https://api.example.com',
      `    adapter: { use: aws, gateway: { ${gateway} } }`,
      '  - id: large',
      '    match: { path: /large }',
      '    target: https://api.example.com',
      '    adapter: { use: aws, gateway: { backend: "https://backend.example.com", bodyBytes: 20000000 } }',
      '',
    ].join('\n'),
  );

  it('writes both files without keys, and with them where that is asked', async () => {
    const { code, stdout } = await foregate(['export', 'aws', '--route', 'chat', '-o', 'out'], { cwd: folder() });
    assert.deepEqual([code, stdout], [0, 'Wrote out/aws-api.json.\nWrote out/aws-usage-plan.json.\n']);
    const text = (): string => readFileSync(join(folder(), 'out/aws-usage-plan.json'), 'utf8');
    assert.ok(!text().includes('alice-secret'));
    await foregate(['export', 'aws', '--route', 'chat', '-o', 'out', '--with-secrets'], { cwd: folder() });
    assert.ok(text().includes('alice-secret-0123456789'));
  }).timeout(20_000);

  it('writes nothing and ends with 1 where something is refused', async () => {
    const { code, stdout, stderr } = await foregate(['export', 'aws', '-o', 'refused'], { cwd: folder() });
    assert.deepEqual([code, stdout], [1, '']);
    assert.match(stderr, /Nothing is written\.\n[^]*refused: large: wants bodies up to 20000000 bytes/);
    assert.ok(!existsSync(join(folder(), 'refused')));
  }).timeout(20_000);
});

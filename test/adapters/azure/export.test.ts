/** `foregate export azure`: documents, policies, and what is refused. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Validator } from '@seriousme/openapi-schema-validator';
import { azureExporter } from '../../../adapters/azure/export.ts';
import type { GatewayRoute } from '../../../adapters/conversion/gateway-route.ts';
import { foregate } from '../../bin/command.ts';
import { cloudModel, cloudRoute, folderWith, remarksFor, tokens, written } from '../conversion/cloud-fixtures.ts';
import { elementsOf, readXml, type XmlNode } from '../conversion/read-xml.ts';

interface Api {
  readonly servers: readonly { readonly url: string }[];
  readonly paths: Readonly<Record<string, object>>;
}

function api(changes: Partial<GatewayRoute>): Api {
  return JSON.parse(written(azureExporter, cloudModel([cloudRoute(changes)]), 'azure-chat.json')) as Api;
}

function policy(changes: Partial<GatewayRoute>): XmlNode {
  return readXml(written(azureExporter, cloudModel([cloudRoute(changes)]), 'azure-chat.xml'));
}

/** The attributes of all elements of that name in the policy. */
function inPolicy(name: string, changes: Partial<GatewayRoute>): unknown[] {
  return elementsOf(policy(changes), name).map(({ attributes }) => attributes);
}

const minute = { count: 600, windowSeconds: 60, by: 'caller' } as const;

describe('foregate export azure', () => {
  it('writes a policy for each route', () => {
    const changes = { limits: [minute], hosts: ['chat.example.com'] };
    assert.equal(
      written(azureExporter, cloudModel([cloudRoute(changes)]), 'azure-chat.xml'),
      `<policies>
  <!-- Made by "foregate export azure"; made again, it is overwritten. -->
  <inbound>
    <base />
    <choose>
      <when condition="@(context.Request.OriginalUrl.Host != &quot;chat.example.com&quot;)">
        <return-response>
          <set-status code="404" reason="Resource not found" />
          <set-header name="Content-Type" exists-action="override">
            <value>application/json</value>
          </set-header>
          <set-body>{"statusCode":404,"message":"Resource not found"}</set-body>
        </return-response>
      </when>
    </choose>
    <check-header name="Content-Type" failed-check-httpcode="415" failed-check-error-message="Expected application/websocket-events." ignore-case="true">
      <value>application/websocket-events</value>
    </check-header>
    <choose>
      <when condition="@(context.Request.Headers.ContainsKey(&quot;Transfer-Encoding&quot;) || Int64.Parse(context.Request.Headers.GetValueOrDefault(&quot;Content-Length&quot;, &quot;9007199254740991&quot;)) &gt; 102400)">
        <return-response>
          <set-status code="413" reason="Request body is too large" />
          <set-header name="Content-Type" exists-action="override">
            <value>application/json</value>
          </set-header>
          <set-body>{"statusCode":413,"message":"Request body is too large"}</set-body>
        </return-response>
      </when>
    </choose>
    <rate-limit-by-key calls="600" renewal-period="60" counter-key="@(&quot;foregate:chat:0:&quot; + context.Subscription.Id)" retry-after-header-name="Retry-After" />
    <set-header name="x-api-key" exists-action="delete" />
    <set-query-parameter name="subscription-key" exists-action="delete" />
  </inbound>
  <backend>
    <forward-request timeout="15" buffer-request-body="false" buffer-response="false" />
  </backend>
  <outbound>
    <base />
  </outbound>
  <on-error>
    <base />
  </on-error>
</policies>
`,
    );
  });

  it('writes a document with the backend as its server, behind the suffix of the API', () => {
    const backend = new URL('https://b.example/v1');
    const url = (changes: Partial<GatewayRoute>): string | undefined => api(changes).servers[0]?.url;
    assert.equal(url({ backend }), 'https://b.example/v1/chat');
    assert.equal(url({ backend, stripPath: true }), 'https://b.example/v1');
    assert.deepEqual(Object.keys(api({}).paths), ['/', '/*']);
    assert.deepEqual(Object.keys(api({ path: '/chat/' }).paths), ['/*']);
    assert.deepEqual(Object.keys(api({}).paths['/'] ?? {}), ['post']);
    assert.equal(Object.keys(api({ eventsOnly: false }).paths['/'] ?? {}).length, 7);
  });

  it('is valid OpenAPI 3.0', async () => {
    for (const changes of [{}, { eventsOnly: false, path: '/' }]) {
      const result = await new Validator().validate(structuredClone(api(changes)) as never);
      assert.equal(result.valid, true, JSON.stringify(result.errors));
    }
  });

  it('checks tokens by the issuer, and escapes what they must say', () => {
    const audience = `a<b>&"c"{d}$'`;
    const changes = { auth: { ...tokens, audience, hidden: true }, limits: [minute] };
    assert.deepEqual(inPolicy('openid-config', changes), [{ url: 'https://login.example.com/.well-known/openid-configuration' }]);
    assert.deepEqual(
      elementsOf(policy(changes), 'audience').map(({ text }) => text),
      [audience],
    );
    assert.deepEqual(inPolicy('set-header', changes).at(-1), { name: 'Authorization', 'exists-action': 'delete' });
    assert.match(JSON.stringify(inPolicy('rate-limit-by-key', changes)), /AsJwt\(\)\?\.Subject/);
  });

  it('counts each limit for itself, longer ones as a quota', () => {
    const limits = [
      minute,
      { count: 5, windowSeconds: 300, by: 'route' },
      { count: 9, windowSeconds: 301, by: 'caller' },
    ] as const;
    assert.deepEqual(
      inPolicy('rate-limit-by-key', { limits }).map((rate) => (rate as Record<string, string>)['counter-key']),
      ['@("foregate:chat:0:" + context.Subscription.Id)', 'foregate:chat:1'],
    );
    assert.deepEqual(inPolicy('quota-by-key', { limits }), [
      { calls: '9', 'renewal-period': '301', 'counter-key': '@("foregate:chat:2:" + context.Subscription.Id)' },
    ]);
  });

  it('takes any body of a GET for none, and one of unsaid length elsewhere for too large', () => {
    const [condition] = inPolicy('when', { eventsOnly: false }) as { condition: string }[];
    assert.match(
      condition?.condition ?? '',
      /"Content-Length", context\.Request\.Method == "GET" .*\? "0" : "9007199254740991"\)/,
    );
  });

  it('answers for its hosts only, all below one included', () => {
    const [first] = inPolicy('when', { hosts: ['*.Example.com', 'b.example'] }) as { condition: string }[];
    assert.equal(
      first?.condition,
      '@(!context.Request.OriginalUrl.Host.EndsWith(".example.com") && context.Request.OriginalUrl.Host != "b.example")',
    );
  });

  const cases: readonly (readonly [RegExp, Partial<GatewayRoute>])[] = [
    [/^told chat: is imported with --path "chat" --subscription-required true --subscription-key-header-name x-api-key$/, {}],
    [/^told chat: is imported with --path "" --subscription-required false$/, { path: '/', auth: { kind: 'none' } }],
    [/--subscription-key-query-param-name k$/, { auth: { kind: 'key', place: { in: 'query', name: 'k' }, hidden: true } }],
    [/^refused chat: expects the key in "a b"/, { auth: { kind: 'key', place: { in: 'header', name: 'a b' }, hidden: true } }],
    [/^refused chat: needs the address of an issuer/, { auth: { ...tokens, issuer: 'me' } }],
    [/^refused chat: has "\{\{secret\}\}" in "jwt"/, { auth: { ...tokens, audience: '{{secret}}' } }],
    [/^refused chat: has "@\(1\)" in "jwt"/, { auth: { ...tokens, audience: '@(1)' } }],
    [/^refused chat: waits 999 ms/, { readMs: 999 }],
    [/^tightened chat: waits 1 s instead of 1999 ms/, { readMs: 1999 }],
    [/^tightened chat: waits 240 s instead of 300000 ms/, { readMs: 300_000 }],
    [/^told chat: allows 600 requests in 3600 s as a quota/, { limits: [{ ...minute, windowSeconds: 3600 }] }],
    [/^refused chat: limits by address/, { limits: [{ ...minute, by: 'address' }] }],
    [/^tightened chat: knows the methods GET, /, { eventsOnly: false }],
  ];
  for (const [pattern, changes] of cases)
    it(`says: ${pattern.source.replace('^', '').replaceAll('\\', '')}`, () => {
      const remarks = remarksFor(azureExporter, changes);
      assert.ok(
        remarks.some((remark) => pattern.test(remark)),
        remarks.join('\n'),
      );
    });

  it('gives the same bytes for the same model, sorted by name', () => {
    const model = cloudModel([cloudRoute(), cloudRoute({ id: 'a', path: '/a' })]);
    assert.deepEqual(azureExporter.write(model), azureExporter.write(model));
    const names = azureExporter.write(model).files.map(({ name }) => name);
    assert.deepEqual(names, ['azure-a.json', 'azure-a.xml', 'azure-chat.json', 'azure-chat.xml']);
  });
});

describe('the command foregate export azure', () => {
  const folder = folderWith(() =>
    [
      'routes:',
      '  - id: chat',
      '    match: { path: /chat, transports: [websocket] }',
      '    target: https://api.example.com',
      '    adapter: { use: azure, gateway: { backend: "https://b.example", callers: [{ name: alice, key: hunter2 }] } }',
      '  - id: quick',
      '    match: { path: /quick }',
      '    target: https://api.example.com',
      '    adapter: { use: azure, gateway: { backend: "https://b.example", timeout: 500ms } }',
      '',
    ].join('\n'),
  );

  it('looks for keys where Azure usually does, and writes no key of a caller', async () => {
    const ended = await foregate(['export', 'azure', '--route', 'chat', '-o', 'out', '--with-secrets'], { cwd: folder() });
    assert.deepEqual([ended.code, ended.stdout], [0, 'Wrote out/azure-chat.json.\nWrote out/azure-chat.xml.\n']);
    assert.match(ended.stderr, /^alice: is to be made a subscription in Azure/m);
    const text = readFileSync(join(folder(), 'out/azure-chat.xml'), 'utf8');
    assert.match(text, /<set-header name="Ocp-Apim-Subscription-Key" exists-action="delete" \/>/);
    assert.doesNotMatch(text + ended.stderr, /hunter2/);
  }).timeout(20_000);

  it('writes nothing and ends with 1 where something is refused', async () => {
    const { code, stdout, stderr } = await foregate(['export', 'azure', '-o', 'refused'], { cwd: folder() });
    assert.deepEqual([code, stdout], [1, '']);
    assert.match(stderr, /Nothing is written\.\n[^]*refused: quick: waits 500 ms, but 1 s is the least on Azure/);
    assert.ok(!existsSync(join(folder(), 'refused')));
  }).timeout(20_000);
});

/** What is written for APISIX, and what is refused. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import * as fc from 'fast-check';
import { parse } from 'yaml';
import { apisixExporter } from '../../../adapters/apisix/export.ts';
import type { GatewayModel, GatewayRoute } from '../../../adapters/conversion/gateway-route.ts';
import { anyCallers, anyRoute, chat, modelOf, numbered, refusals } from '../conversion/gateway-routes.ts';

function written(model: GatewayModel): string {
  const { files, remarks } = apisixExporter.write(model);
  assert.deepEqual(refusals(remarks), []);
  assert.equal(files.length, 1);
  return String(files[0]?.content);
}

function refusalOf(changes: Partial<GatewayRoute>): string {
  return refusals(apisixExporter.write(modelOf([chat(changes)])).remarks).join('\n');
}

const jwt = { kind: 'jwt', hidden: true, issuer: undefined, audience: undefined, jwks: undefined } as const;

describe('the export for APISIX', () => {
  it('is a route with an upstream for each of ours, and the callers, and ends with #END', () => {
    assert.equal(
      written(modelOf([chat()], [{ name: 'alice', key: 'k1' }])),
      `# Made by "foregate export apisix": change foregate.yaml instead, and write it again.

upstreams:
  - id: chat
    type: roundrobin
    nodes:
      127.0.0.1:9000: 1
    pass_host: pass
    retries: 0
    timeout:
      connect: 2
      send: 10
      read: 10
    labels:
      made-by: foregate
routes:
  - id: chat
    name: chat
    labels:
      made-by: foregate
    uri: /chat*
    priority: 1
    methods:
      - POST
    vars:
      - - http_content_type
        - ==
        - application/websocket-events
    upstream_id: chat
    plugins:
      key-auth:
        header: apikey
        hide_credentials: true
      limit-count:
        count: 600
        time_window: 60
        key_type: var
        key: consumer_name
        policy: local
        rejected_code: 429
        rejected_msg: rate limit exceeded
      client-control:
        max_body_size: 262144
consumers:
  - username: alice
    labels:
      made-by: foregate
    plugins:
      key-auth:
        key: k1
#END
`,
    );
  });

  it('puts the path of the backend in front by a rewrite, and lets streams pass', () => {
    const backend = new URL('https://b.internal/v1');
    assert.match(written(modelOf([chat({ backend, eventsOnly: false })])), /scheme: https\n.*\n +b\.internal:443: 1/);
    assert.match(written(modelOf([chat({ backend, eventsOnly: false })])), /disable_proxy_buffering: true/);
    assert.match(written(modelOf([chat({ backend })])), /regex_uri:\n +- \^\(\/\.\*\)\n +- \/v1\$1\n/);
    assert.match(written(modelOf([chat({ backend, stripPath: true })])), /regex_uri:\n +- \^\/chat\/\?\(\.\*\)\n +- \/v1\/\$1\n/);
  });

  it('names what stands outside of the file, and an order that an older router does not keep', () => {
    const routes = [chat({ hosts: ['a.example'], path: '/' }), chat({ id: 'any' })];
    const text = apisixExporter
      .write({ routes, callers: [{ name: 'bob', key: undefined }], trusted: ['10.0.0.0/8', '::1'] })
      .remarks.map((remark) => remark.text)
      .join('\n');
    assert.match(text, /real_ip_header: X-Forwarded-For, .*real_ip_from: \["10\.0\.0\.0\/8", "::1"\]/);
    assert.match(text, /chat before any only with apisix: \{ router: \{ http: radixtree_host_uri \} \}/);
    assert.match(text, /only with --with-secrets: bob/);
    assert.match(text, /from the query parameter "apikey" as well/);
  });

  it('refuses, with the name of the route, what APISIX cannot say', () => {
    const limit = { count: 1, windowSeconds: 1, by: 'caller' } as const;
    assert.match(refusalOf({ limits: [limit, { ...limit, windowSeconds: 2 }] }), /^chat: APISIX has one limit/);
    assert.match(refusalOf({ path: '/a*b' }), /^chat: APISIX compares no path that has "\*"/);
    assert.match(refusalOf({ path: '/a//b' }), /^chat: APISIX compares no path that has "\/\/"/);
    assert.match(refusalOf({ auth: { ...jwt, issuer: 'a' } }), /^chat: .* who issued a token/);
    assert.match(refusalOf({ auth: { kind: 'key', hidden: true, place: { in: 'query', name: 'a b' } } }), /^chat: .*"a b"/);
    assert.match(
      refusals(apisixExporter.write(modelOf([chat()], [{ name: 'a.b', key: 'k' }])).remarks).join('\n'),
      /^a\.b: callers of APISIX have names/,
    );
  });

  it('says what is stricter than it was meant', () => {
    const { remarks } = apisixExporter.write(modelOf([chat({ auth: jwt })]));
    assert.deepEqual(
      remarks.filter(({ verdict }) => verdict === 'tightened').map(({ about }) => about),
      ['chat'],
    );
  });

  it('is what APISIX documents, in block style, and the same each time', () => {
    const file = join(import.meta.dirname, '../../fixtures/apisix/standalone.schema.json');
    const validate = new Ajv({ strict: false }).compile(JSON.parse(readFileSync(file, 'utf8')) as object);
    fc.assert(
      fc.property(fc.array(anyRoute, { minLength: 1, maxLength: 4 }), anyCallers, (some, callers) => {
        const model = modelOf(numbered(some), callers);
        const content = written(model);
        assert.ok(validate(parse(content)), JSON.stringify(validate.errors));
        assert.doesNotMatch(content.replace(/key: .*/g, ''), /: [[{]/);
        assert.ok(content.endsWith('\n#END\n'));
        assert.equal(written(model), content);
      }),
    );
  });
});

/** What is written for Kong, and what is refused. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import * as fc from 'fast-check';
import { parse } from 'yaml';
import type { GatewayLimit, GatewayModel, GatewayRoute } from '../../../adapters/conversion/gateway-route.ts';
import { kongExporter } from '../../../adapters/kong/export.ts';
import { anyCallers, anyRoute, chat, modelOf, numbered, refusals } from '../conversion/gateway-routes.ts';

function written(model: GatewayModel): string {
  const { files, remarks } = kongExporter.write(model);
  assert.deepEqual(refusals(remarks), []);
  assert.equal(files.length, 1);
  return String(files[0]?.content);
}

function refusalsOf(...routes: readonly GatewayRoute[]): string[] {
  return refusals(kongExporter.write(modelOf(routes)).remarks);
}

const limit = (count: number, windowSeconds: number, by: GatewayLimit['by'] = 'caller'): GatewayLimit => ({
  count,
  windowSeconds,
  by,
});
const jwt = { kind: 'jwt', hidden: true, issuer: undefined, audience: undefined, jwks: undefined } as const;

describe('the export for Kong', () => {
  it('is a service with a route for each of ours, and the callers', () => {
    assert.equal(
      written(modelOf([chat()], [{ name: 'alice', key: 'k1' }])),
      `# Made by "foregate export kong": change foregate.yaml instead, and write it again.

_format_version: '3.0'
services:
  - name: chat
    url: http://127.0.0.1:9000
    connect_timeout: 2000
    write_timeout: 10000
    read_timeout: 10000
    retries: 0
    tags:
      - foregate
    routes:
      - name: chat
        paths:
          - /chat
        methods:
          - POST
        headers:
          content-type:
            - application/websocket-events
        strip_path: false
        preserve_host: true
        tags:
          - foregate
        plugins:
          - name: key-auth
            config:
              key_names:
                - apikey
              key_in_header: true
              key_in_query: false
              key_in_body: false
              hide_credentials: true
          - name: rate-limiting
            config:
              minute: 600
              policy: local
              limit_by: consumer
          - name: request-size-limiting
            config:
              allowed_payload_size: 256
              size_unit: kilobytes
consumers:
  - username: alice
    tags:
      - foregate
    keyauth_credentials:
      - key: k1
`,
    );
  });

  it('takes the token away after the plugin jwt has seen it', () => {
    assert.match(
      written(modelOf([chat({ auth: jwt, limits: [] })])),
      /name: jwt[^]*uri_param_names: \[\][^]*name: request-transformer[^]*remove:\n +headers:\n +- Authorization\n/,
    );
    assert.doesNotMatch(written(modelOf([chat({ auth: { ...jwt, hidden: false } })])), /request-transformer/);
  });

  it('lets streams pass unbuffered', () => {
    assert.match(written(modelOf([chat({ eventsOnly: false })])), /response_buffering: false/);
  });

  it('leaves out what Kong refuses and a longer window says already', () => {
    const text = written(modelOf([chat({ limits: [limit(50, 1), limit(20, 60), limit(30, 60), limit(1000, 3600)] })]));
    assert.match(text, /config:\n +minute: 20\n +hour: 1000\n +policy/);
  });

  it('names what stands outside of the file', () => {
    const { remarks } = kongExporter.write({ routes: [chat()], callers: [], trusted: ['10.0.0.0/8', '::1'] });
    assert.match(
      remarks.map(({ text }) => text).join('\n'),
      /trusted_ips = 10\.0\.0\.0\/8,::1, real_ip_header = X-Forwarded-For/,
    );
  });

  it('refuses, with the name of the route, what Kong cannot say', () => {
    assert.deepEqual(refusalsOf(chat({ limits: [limit(600, 90)] })), [
      'chat: a limit per 90 seconds: Kong counts by second, minute, hour and day',
    ]);
    assert.match(refusalsOf(chat({ limits: [limit(1, 1), limit(9, 60, 'route')] }))[0] ?? '', /^chat: its limits count by/);
    assert.match(refusalsOf(chat({ path: '/a%2fb' }))[0] ?? '', /^chat: Kong compares no path that has "%"/);
    assert.match(refusalsOf(chat({ auth: { ...jwt, audience: 'a' } }))[0] ?? '', /^chat: .* audience/);
    assert.match(
      refusalsOf(chat({ auth: { ...jwt, issuer: 'a' } }), chat({ id: 'b', path: '/b', auth: { ...jwt, issuer: 'b' } }))[0] ?? '',
      /^b: has another issuer than chat/,
    );
    const place = { in: 'header', name: 'x.key' } as const;
    assert.match(refusalsOf(chat({ auth: { kind: 'key', hidden: true, place } }))[0] ?? '', /^chat: .*"x\.key"/);
    assert.match(refusalsOf(chat({ connectMs: 2 ** 31 }))[0] ?? '', /^chat: timeouts/);
  });

  it('refuses an order that Kong would not keep', () => {
    const admin = chat({ id: 'admin', path: '/chat/admin', eventsOnly: false });
    assert.match(refusalsOf(admin, chat())[0] ?? '', /^admin: Kong would not try it before chat/);
    assert.deepEqual(refusalsOf(chat(), chat({ id: 'rest', eventsOnly: false })), []);
    assert.deepEqual(refusalsOf(chat({ id: 'admin', path: '/admin', eventsOnly: false }), chat()), []);
  });

  it('is what Kong documents, and the same each time', () => {
    const file = join(import.meta.dirname, '../../fixtures/kong/declarative.schema.json');
    const validate = new Ajv({ strict: false }).compile(JSON.parse(readFileSync(file, 'utf8')) as object);
    const limits = fc.constantFrom(
      [],
      [limit(1, 1)],
      [limit(5, 60, 'address')],
      [limit(2, 1, 'route'), limit(7, 86_400, 'route')],
    );
    const routes = fc.array(
      fc.record({ route: anyRoute, limits }).map(({ route, limits: some }) => ({ ...route, limits: some })),
      {
        minLength: 1,
        maxLength: 4,
      },
    );
    fc.assert(
      fc.property(routes, anyCallers, (some, callers) => {
        const model = modelOf(numbered(some), callers);
        const content = String(kongExporter.write(model).files[0]?.content);
        assert.ok(validate(parse(content)), JSON.stringify(validate.errors));
        assert.equal(String(kongExporter.write(model).files[0]?.content), content);
      }),
    );
  });
});

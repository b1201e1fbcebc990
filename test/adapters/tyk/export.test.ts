/** What is written for Tyk in both forms, and what is refused. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv } from 'ajv';
import * as fc from 'fast-check';
import type { Exporter, GatewayModel, GatewayRoute } from '../../../adapters/conversion/gateway-route.ts';
import { tykClassicExporter, tykExporter } from '../../../adapters/tyk/export.ts';
import { chat, modelOf, refusals } from '../conversion/gateway-routes.ts';
import { tykRoutes } from './tyk-routes.ts';

const extension = 'x-tyk-api-gateway';
const jwt = {
  kind: 'jwt',
  hidden: true,
  issuer: undefined,
  audience: undefined,
  jwks: 'https://keys.example/jwks',
} as const;

function written(exporter: Exporter, model: GatewayModel): Record<string, Record<string, unknown>> {
  const { files, remarks } = exporter.write(model);
  assert.deepEqual(refusals(remarks), []);
  return Object.fromEntries(files.map(({ name, content }) => [name, JSON.parse(String(content)) as Record<string, unknown>]));
}

function refusalOf(changes: Partial<GatewayRoute>, exporter = tykExporter): string {
  return refusals(exporter.write(modelOf([chat(changes)])).remarks).join('\n');
}

function told(routes: readonly GatewayRoute[], exporter = tykExporter): string {
  return exporter
    .write(modelOf(routes))
    .remarks.map(({ about, text }) => `${about}: ${text}`)
    .join('\n');
}

describe('the export for Tyk', () => {
  it('is an OAS definition for each route', () => {
    const definition = written(tykExporter, modelOf([chat()]))['chat.json'];
    assert.deepEqual(definition?.['servers'], [{ url: '/chat' }]);
    assert.deepEqual(definition?.[extension], {
      info: { id: 'chat', orgId: 'default', name: 'chat', state: { active: true } },
      upstream: { url: 'http://127.0.0.1:9000', preserveHostHeader: { enabled: true } },
      server: {
        listenPath: { value: '/chat', strip: false },
        authentication: {
          enabled: true,
          stripAuthorizationData: true,
          securitySchemes: { foregate: { enabled: true, header: { enabled: true, name: 'apikey' } } },
        },
      },
      middleware: {
        global: { requestSizeLimit: { enabled: true, value: 262_144 } },
        operations: { 'chat-post': { allow: { enabled: true }, enforceTimeout: { enabled: true, value: 10 } } },
      },
    });
  });

  it('is a classic definition for each route', () => {
    const place = { in: 'query', name: 'key' } as const;
    const changes = { eventsOnly: false, auth: { kind: 'key', hidden: false, place } } as const;
    const definition = written(tykClassicExporter, modelOf([chat({ ...changes, limits: [] })]))['chat.json'];
    assert.deepEqual(definition?.['auth'], { disable_header: true, use_param: true, param_name: 'key' });
    assert.deepEqual(definition?.['proxy'], {
      listen_path: '/chat',
      target_url: 'http://127.0.0.1:9000',
      strip_listen_path: false,
      preserve_host_header: true,
    });
    const allowed = JSON.stringify(written(tykClassicExporter, modelOf([chat()])));
    assert.match(allowed, /"white_list":\[\{"path":"\/","method_actions":\{"POST":\{"action":"no_action","code":200\}\}\}\]/);
    assert.match(allowed, /"hard_timeouts":\[\{"path":"\/","method":"POST","timeout":10\}\]/);
    assert.match(allowed, /"global_size_limit":262144/);
  });

  it('says what stands in Redis and in tyk.conf', () => {
    const text = told([chat(), chat({ id: 'all', path: '/', eventsOnly: false, hosts: ['a.example'] })]);
    assert.match(
      text,
      /^chat: .*POST \{"org_id":"default","rate":600,"per":60,"access_rights":\{"chat":.* to \/tyk\/keys\/create/m,
    );
    for (const line of [
      '"enable_redis_rolling_limiter": true',
      '"xff_depth": 1',
      '"flush_interval": 1',
      '"enable_custom_domains": true',
    ])
      assert.ok(text.includes(`tyk.conf: set ${line}`) || text.includes(line), line);
    assert.match(told([chat({ auth: jwt })]), /^chat: tokens need a policy, named by "defaultPolicies"/m);
  });

  it('refuses, with the name of the route, what Tyk cannot say', () => {
    const limit = { count: 1, windowSeconds: 1, by: 'caller' } as const;
    assert.match(refusalOf({ limits: [{ ...limit, by: 'address' }] }), /^chat: Tyk has no limit by address/);
    assert.match(refusalOf({ limits: [limit, { ...limit, windowSeconds: 60 }] }), /^chat: Tyk has one limit/);
    assert.match(refusalOf({ auth: { kind: 'none' } }), /^chat: has a limit by caller/);
    assert.match(refusalOf({ hosts: ['*.example.com'] }), /^chat: a custom domain of Tyk has no wildcard/);
    assert.match(refusalOf({ hosts: ['a.example', 'b.example'] }), /^chat: .* one custom domain/);
    assert.match(refusalOf({ path: '/{a}' }), /^chat: Tyk takes no listen path that has "\{"/);
    assert.match(refusalOf({ readMs: 999 }), /^chat: Tyk waits at least a second/);
    assert.match(refusalOf({ auth: { ...jwt, jwks: undefined } }), /^chat: Tyk needs "jwt.jwks"/);
    assert.equal(refusalOf({ auth: { ...jwt, issuer: 'me' } }), '');
    assert.match(refusalOf({ auth: { ...jwt, issuer: 'me' } }, tykClassicExporter), /^chat: classic definitions check no issuer/);
    assert.match(
      refusals(tykExporter.write(modelOf([chat(), chat({ id: 'rest' })])).remarks).join('\n'),
      /^rest: has the same path as chat/,
    );
  });

  it('rounds times down, and says so', () => {
    const { remarks } = tykExporter.write(modelOf([chat({ readMs: 2900 })]));
    assert.deepEqual(
      remarks.filter(({ verdict }) => verdict === 'tightened').map(({ text }) => text),
      ['Tyk waits whole seconds: 2 s instead of 2900 ms'],
    );
  });

  it('is valid OpenAPI with what Tyk documents of its extension, and the same each time', async () => {
    const file = join(import.meta.dirname, '../../fixtures/tyk/extension.schema.json');
    const validate = new Ajv({ strict: false }).compile(JSON.parse(readFileSync(file, 'utf8')) as object);
    const openapi = new Validator();
    await fc.assert(
      fc.asyncProperty(tykRoutes('oas'), async (routes) => {
        const definitions = written(tykExporter, modelOf(routes));
        assert.deepEqual(written(tykExporter, modelOf(routes)), definitions);
        for (const definition of Object.values(definitions)) {
          assert.ok(validate(definition[extension]), JSON.stringify(validate.errors));
          const { valid, errors } = await openapi.validate(definition);
          assert.ok(valid, JSON.stringify(errors));
        }
      }),
      { numRuns: 20 },
    );
  });
});

import assert from 'node:assert/strict';
import type { Server } from 'node:http';
import type { Response } from 'supertest';
import { deny, noHooks } from '../../gateway/core/policy.ts';
import { documentedOperations } from '../openapi/control/document-schemas.ts';
import { documentedCalls, faultyCalls } from './documented-calls.ts';
import { controlParts, FakeHost, listen, plainServer, publishBody } from './fake-host.ts';

interface Call {
  readonly method: 'get' | 'post';
  readonly path: string;
  /** With the parameters filled in. */
  readonly url?: string;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly status: number;
}

const faultyFile = '/docs/package.json';

const calls: readonly Call[] = [
  { method: 'post', path: '/publish/', body: publishBody('a', 'b'), status: 200 },
  { method: 'post', path: '/publish/', body: publishBody('a'), headers: { Accept: 'application/json' }, status: 200 },
  { method: 'post', path: '/publish/', body: '{"items":5}', status: 400 },
  { method: 'post', path: '/publish/', body: publishBody('forbidden'), status: 403 },
  { method: 'post', path: '/publish/', body: publishBody('often'), status: 429 },
  { method: 'post', path: '/publish/', body: publishBody('a'), headers: { Accept: 'image/png' }, status: 406 },
  { method: 'post', path: '/publish/', body: publishBody('broken'), status: 500 },
  { method: 'post', path: '/publish/', body: publishBody('full'), status: 503 },
  { method: 'post', path: '/recover/', status: 200 },
  { method: 'post', path: '/recover/', headers: { Accept: 'application/json' }, status: 200 },
  { method: 'post', path: '/recover/', headers: { Accept: 'image/png' }, status: 406 },
  { method: 'post', path: '/refresh/', body: '{"cid":"s1"}', status: 200 },
  { method: 'post', path: '/refresh/', body: '{"cid":"s9"}', status: 404 },
  { method: 'post', path: '/refresh/', body: '{}', status: 400 },
  { method: 'post', path: '/refresh/', body: JSON.stringify({ cid: 'x'.repeat(200_000) }), status: 413 },
  { method: 'post', path: '/conncheck/', body: '{"ids":["s1","s9"]}', status: 200 },
  { method: 'post', path: '/conncheck/', body: '{"ids":1}', status: 400 },
  { method: 'post', path: '/conncheck/', body: JSON.stringify({ ids: ['x'.repeat(600_000)] }), status: 413 },
  { method: 'post', path: '/revoke', body: '{"subject":"alice"}', status: 200 },
  { method: 'post', path: '/revoke', body: '{"subject":"alice","key":"shop"}', status: 400 },
  { method: 'post', path: '/revoke', body: '{"jti":"one too many"}', status: 503 },
  { method: 'post', path: '/revoke', body: JSON.stringify({ jti: 'x'.repeat(200_000) }), status: 413 },
  { method: 'post', path: '/renew', body: '{"cid":"s1","token":"second"}', status: 200 },
  { method: 'post', path: '/renew', body: '{"cid":"s1"}', status: 400 },
  { method: 'post', path: '/renew', body: '{"cid":"s9","token":"second"}', status: 404 },
  { method: 'post', path: '/renew', body: '{"cid":"s2","token":"second"}', status: 409 },
  { method: 'post', path: '/renew', body: JSON.stringify({ cid: 's1', token: 'x'.repeat(200_000) }), status: 413 },
  { method: 'post', path: '/renew', body: '{"cid":"s1","token":"third"}', status: 422 },
  { method: 'post', path: '/renew', body: '{"cid":"s1","token":"broken"}', status: 500 },
  { method: 'post', path: '/refresh/', body: '{}', headers: { 'Content-Encoding': 'gzip' }, status: 415 },
  { method: 'post', path: '/conncheck/', body: '{}', headers: { 'Content-Encoding': 'gzip' }, status: 415 },
  { method: 'post', path: '/revoke', body: '{}', headers: { 'Content-Encoding': 'gzip' }, status: 415 },
  { method: 'post', path: '/renew', body: '{}', headers: { 'Content-Encoding': 'gzip' }, status: 415 },
  { method: 'get', path: '/connections', url: '/connections?limit=1&channel=a&subject=alice', status: 200 },
  { method: 'get', path: '/connections', url: '/connections?limit=0', status: 400 },
  { method: 'get', path: '/connections/{id}', url: '/connections/s1', status: 200 },
  { method: 'get', path: '/connections/{id}', url: '/connections/s9', status: 404 },
  { method: 'get', path: '/connections/{id}', url: '/connections/%ff', status: 400 },
  { method: 'get', path: '/channels', url: '/channels?prefix=a', status: 200 },
  { method: 'get', path: '/channels', url: '/channels?limit=x', status: 400 },
  { method: 'get', path: '/health/live', status: 200 },
  { method: 'get', path: '/health/ready', status: 200 },
  { method: 'get', path: '/metrics', status: 200 },
  { method: 'get', path: '/stats', status: 200 },
  { method: 'get', path: '/openapi.json', status: 200 },
  { method: 'get', path: '/docs', status: 200 },
  { method: 'get', path: '/docs/{file}', url: '/docs/start.js', status: 200 },
  { method: 'get', path: '/docs/{file}', url: '/docs/swagger-ui.css', status: 200 },
  { method: 'get', path: '/docs/{file}', url: '/docs/%ff', status: 400 },
  { method: 'get', path: '/docs/{file}', url: faultyFile, status: 404 },
  { method: 'get', path: '/', status: 200 },
];

/** What is tested elsewhere, for one path or all. */
const elsewhere = ['304', '401', '403', '405', '411', '/docs/{file} 500', '/health/ready 503'];

describe('what the document says', () => {
  let host: FakeHost;
  let server: Server;
  let broken: Server;

  before(async () => {
    host = new FakeHost();
    host.add('s1', ['a'], 'alice');
    host.add('s2', []);
    const publish = [({ channel }: { readonly channel: string }) => verdicts.get(channel)];
    server = plainServer(controlParts(host, { hooks: { ...noHooks, publish }, auth: { bearer: ['k'] } }));
    broken = plainServer(controlParts(brokenHost, { metricsText: fails, auth: { bearer: ['k'] } }));
    await Promise.all([listen(server), listen(broken)]);
  });

  after(() => {
    for (const each of [server, broken]) {
      each.closeAllConnections();
      each.close();
    }
  });

  for (const call of calls) {
    it(`${call.method.toUpperCase()} ${call.url ?? call.path} with ${call.body?.slice(0, 40) ?? 'nothing'} is answered as documented: ${call.status}`, async () => {
      await assertAsDocumented(call);
    });
  }

  for (const { method, path, operation } of documentedOperations()) {
    if (operation.security?.length === 0) continue;
    const call = calls.find((good) => good.status === 200 && good.method === method && good.path === path);
    it(`${method.toUpperCase()} ${path} needs credentials as documented`, async () => {
      const answer = await assertAsDocumented({ method, path, ...call, status: 401 });
      assert.ok(answer.headers['www-authenticate']);
    });
    if (operation.responses?.['500'] === undefined || elsewhere.includes(`${path} 500`)) continue;
    it(`${method.toUpperCase()} ${path} fails as documented`, async () => {
      await assertAsDocumented({ method, path, ...call, status: 500 }, broken);
    });
  }

  it('is tested for every operation and every answer that one process can be brought to', () => {
    const done = new Set(calls.map(({ method, path, status }) => `${method} ${path} ${status}`));
    const documented = documentedOperations().flatMap(({ method, path, operation }) =>
      Object.keys(operation.responses ?? {})
        .filter((status) => !elsewhere.includes(status) && !elsewhere.includes(`${path} ${status}`))
        .filter((status) => status !== '500' && !done.has(`${method} ${path} ${status}`))
        .map((status) => `${method} ${path} ${status}`),
    );
    assert.deepEqual(documented, []);
  });

  it('holds while the process is draining', async () => {
    host.draining = true;
    await assertAsDocumented({ method: 'get', path: '/health/ready', status: 503 });
    host.draining = false;
  });

  async function assertAsDocumented(call: Call, asked = server): Promise<Response> {
    const { method, path, url = path, body, headers, status } = call;
    const send = status === 400 || status === 413 || status === 415 || url === faultyFile ? faultyCalls : documentedCalls;
    const agent = send(asked);
    const request = agent[method](url).set({ ...(status !== 401 && { Authorization: 'Bearer k' }), ...headers });
    const answer = await (body === undefined ? request : request.type('json').send(body));
    assert.equal(answer.status, status, answer.text);
    return answer;
  }
});

async function fails(): Promise<never> {
  throw new TypeError('secret detail');
}

/** Every question to it fails. */
const brokenHost = new Proxy(new FakeHost(), { get: () => fails });

const verdicts: ReadonlyMap<string, ReturnType<typeof deny>> = new Map([
  ['forbidden', deny('forbidden', 'You may not publish to this channel.')],
  ['often', deny('rate-limited', 'Too many publications.', { retryAfterMs: 1000 })],
  ['broken', deny('policy-failed', 'A policy could not decide.')],
  ['full', deny('overloaded', 'Too much is waiting.')],
]);

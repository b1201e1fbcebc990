import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Server } from 'node:http';
import { request } from 'node:https';
import { text } from 'node:stream/consumers';
import { Publisher as GripPublisher } from '@fanoutio/grip';
import jsonwebtoken from 'jsonwebtoken';
import { createAuthenticate, type ControlAuth } from '../../gateway/control/authenticate.ts';
import { controlServer } from '../../gateway/control/server.ts';
import { silentLog } from '../../gateway/core/log.ts';
import { noHooks, type Publisher } from '../../gateway/core/policy.ts';
import { documentedCalls, faultyCalls } from './documented-calls.ts';
import { controlParts, FakeHost, listen, plainServer, publishBody } from './fake-host.ts';

const pem = (key: KeyObject): string => key.export({ type: 'spki', format: 'pem' });
const inTenMinutes = (): number => Math.floor(Date.now() / 1000) + 600;

describe('authentication of publishers', () => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const ec = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const auth: ControlAuth = {
    bearer: ['plain-key', 'base64:a2V5LWJ5dGVz'],
    jwt: [
      { issuer: 'shop', key: 'old secret' },
      { issuer: 'shop', key: 'base64:bmV3IHNlY3JldA==' },
      { issuer: 'bank', key: pem(rsa.publicKey) },
      { issuer: 'post', key: pem(ec.publicKey) },
    ],
    basic: [
      { user: 'ann', password: 'päss:word' },
      { user: 'bob', password: 'b' },
    ],
  };
  const seen: Publisher[] = [];
  let host: FakeHost;
  let server: Server;
  let port: number;

  before(async () => {
    host = new FakeHost();
    const publish = [(_publication: unknown, publisher: Publisher) => void seen.push(publisher)];
    server = plainServer(controlParts(host, { auth, hooks: { ...noHooks, publish } }));
    port = await listen(server);
  });

  after(() => {
    server.closeAllConnections();
    server.close();
  });

  const publish = (authorization: string) =>
    documentedCalls(server).post('/publish/').type('json').set('Authorization', authorization).send(publishBody('a'));
  const basic = (credentials: string): string => `Basic ${Buffer.from(credentials).toString('base64')}`;
  const token = (claims: object, key: string | KeyObject, algorithm: jsonwebtoken.Algorithm): string =>
    `Bearer ${jsonwebtoken.sign(claims, key, { algorithm })}`;

  const good: readonly (readonly [name: string, authorization: () => string, subject: string, by: string])[] = [
    ['a password', () => basic('ann:päss:word'), 'ann', 'basic'],
    ['the password of another user', () => basic('bob:b'), 'bob', 'basic'],
    ['a key', () => 'Bearer plain-key', 'key 1', 'bearer'],
    ['a key, with the scheme in lower case', () => 'bearer  plain-key', 'key 1', 'bearer'],
    ['a base64 key as it is written', () => 'Bearer base64:a2V5LWJ5dGVz', 'key 2', 'bearer'],
    ['a base64 key as the bytes it means', () => 'Bearer key-bytes', 'key 2', 'bearer'],
    ['a token of HS256', () => token({ iss: 'shop', exp: inTenMinutes() }, 'old secret', 'HS256'), 'shop', 'jwt'],
    [
      'a token of the newer of two keys',
      () => token({ iss: 'shop', sub: 'till 3', exp: inTenMinutes() }, 'new secret', 'HS256'),
      'till 3',
      'jwt',
    ],
    ['a token of RS256', () => token({ iss: 'bank', exp: inTenMinutes() }, rsa.privateKey, 'RS256'), 'bank', 'jwt'],
    ['a token of ES256', () => token({ iss: 'post', exp: inTenMinutes() }, ec.privateKey, 'ES256'), 'post', 'jwt'],
  ];
  for (const [name, authorization, subject, by] of good) {
    it(`takes ${name} and tells policies who it was`, async () => {
      await publish(authorization()).expect(200);
      const { identity } = seen.at(-1) ?? {};
      assert.equal(identity?.subject, subject);
      assert.equal(identity?.by, by);
    });
  }

  it('hands the claims of a token to policies', async () => {
    await publish(token({ iss: 'shop', exp: inTenMinutes(), channels: ['a'] }, 'old secret', 'HS256')).expect(200);
    assert.deepEqual(seen.at(-1)?.identity?.claims?.['channels'], ['a']);
  });

  const bad: readonly (readonly [name: string, authorization: () => string])[] = [
    ['nothing', () => ''],
    ['a wrong password', () => basic('ann:password')],
    ['the password of somebody else', () => basic('ann:b')],
    ['an unknown user', () => basic('eve:b')],
    ['a user alone', () => basic('ann')],
    ['Basic without credentials', () => 'Basic '],
    ['Basic with what is no base64', () => 'Basic %%%'],
    ['a wrong key', () => 'Bearer plain-kez'],
    ['the start of a key', () => 'Bearer plain'],
    ['a key as a password', () => basic('plain-key:')],
    ['a key with another scheme', () => 'Digest plain-key'],
    ['a key and more', () => 'Bearer plain-key more'],
    ['an expired token', () => token({ iss: 'shop', exp: inTenMinutes() - 601 }, 'old secret', 'HS256')],
    ['a token without an end', () => token({ iss: 'shop' }, 'old secret', 'HS256')],
    ['a token without an issuer', () => token({ exp: inTenMinutes() }, 'old secret', 'HS256')],
    [
      'a token that is not valid yet',
      () => token({ iss: 'shop', nbf: inTenMinutes(), exp: inTenMinutes() + 9 }, 'old secret', 'HS256'),
    ],
    ['a token of another issuer', () => token({ iss: 'mall', exp: inTenMinutes() }, 'old secret', 'HS256')],
    ["one issuer's token with the key of another", () => token({ iss: 'shop', exp: inTenMinutes() }, rsa.privateKey, 'RS256')],
    ['a token with a wrong signature', () => token({ iss: 'shop', exp: inTenMinutes() }, 'wrong', 'HS256')],
    ['a token of another algorithm', () => token({ iss: 'shop', exp: inTenMinutes() }, 'old secret', 'HS512')],
    ['a token that uses the public key as a secret', () => `Bearer ${forgedWithPublicKey(pem(rsa.publicKey))}`],
    [
      'a token without a signature',
      () => `Bearer ${jsonwebtoken.sign({ iss: 'shop', exp: inTenMinutes() }, '', { algorithm: 'none' })}`,
    ],
    ['what looks like a token', () => 'Bearer a.b.c'],
  ];
  for (const [name, authorization] of bad) {
    it(`refuses ${name}`, async () => {
      const before = host.published.length;
      const answer = await publish(authorization());
      assert.equal(answer.status, 401);
      assert.equal(answer.text, 'Credentials are missing or not valid.\n');
      assert.equal(answer.headers['www-authenticate'], 'Bearer realm="foregate", Basic realm="foregate", charset="UTF-8"');
      assert.equal(host.published.length, before);
    });
  }

  const undocumented = ['/nothing', '/health', '/HEALTH/live/../../metrics'];
  for (const path of [
    '/',
    '/connections',
    '/connections/x',
    '/channels',
    '/metrics',
    '/openapi.json',
    '/docs',
    '/docs/swagger-ui.css',
    '/docs/start.js',
    ...undocumented,
  ]) {
    it(`is needed for ${path}`, async () => {
      const { get } = (undocumented.includes(path) ? faultyCalls : documentedCalls)(server);
      const answer = await get(path);
      assert.equal(answer.status, 401);
      assert.equal(answer.headers['content-type'], 'application/problem+json');
      assert.deepEqual(JSON.parse(answer.text), {
        type: 'about:blank',
        title: 'Unauthorized',
        status: 401,
        detail: 'Credentials are missing or not valid.',
      });
      assert.notEqual((await get(path).auth('bob', 'b')).status, 401);
    });
  }

  for (const path of ['/health/live', '/health/ready', '/health/live/']) {
    it(`is not needed for ${path}`, async () => {
      await documentedCalls(server).get(path).expect(200);
    });
  }

  it('understands the GRIP library for JavaScript in its three ways', async () => {
    const uri = `http://127.0.0.1:${port}/`;
    const urls = [
      `http://bob:b@127.0.0.1:${port}/`,
      `${uri}?key=plain-key`,
      `${uri}?iss=shop&key=base64:${encodeURIComponent(Buffer.from('new secret').toString('base64'))}`,
    ];
    const subjects: (string | undefined)[] = [];
    for (const url of urls) {
      const publisher = new GripPublisher(url);
      await publisher.publishHttpStream('news', 'hello');
      subjects.push(seen.at(-1)?.identity?.by);
    }
    assert.deepEqual(subjects, ['basic', 'bearer', 'jwt']);
  });

  it('refuses keys at the start that are none', () => {
    for (const key of [
      '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----',
      pem(generateKeyPairSync('ed25519').publicKey),
      '',
    ]) {
      assert.throws(() => createAuthenticate({ jwt: [{ issuer: 'x', key }] }, silentLog), { code: 'bad-request' });
    }
  });

  it('asks only for what is configured', async () => {
    const only = plainServer(controlParts(new FakeHost(), { auth: { bearer: ['k'] } }));
    await listen(only);
    const answer = await documentedCalls(only).post('/publish/').type('json').auth('ann', 'x').send(publishBody('a'));
    assert.equal(answer.headers['www-authenticate'], 'Bearer realm="foregate"');
    only.close();
  });
});

/** A token of HS256 whose secret is the text of a public key, which everybody knows (RFC 8725 section 2.1). */
function forgedWithPublicKey(publicKey: string): string {
  return jsonwebtoken.sign({ iss: 'bank', exp: inTenMinutes() }, Buffer.from(publicKey), { algorithm: 'HS256' });
}

describe('without authentication', () => {
  let server: Server;

  beforeEach(async () => {
    server = plainServer(controlParts(new FakeHost()));
    await listen(server);
  });

  afterEach(() => {
    server.close();
  });

  it('everybody who can reach it may call', async () => {
    await documentedCalls(server).post('/publish/').type('json').send(publishBody('a')).expect(200);
    await documentedCalls(server).get('/connections').expect(200);
  });

  it('pages of other sites may not call through a browser on this machine', async () => {
    const answer = await documentedCalls(server)
      .post('/publish/')
      .type('json')
      .set('Sec-Fetch-Site', 'cross-site')
      .send(publishBody('a'));
    assert.equal(answer.status, 403);
  });
});

describe('client certificates', () => {
  const file = (name: string): string => readFileSync(new URL(`../fixtures/control-tls/${name}`, import.meta.url), 'utf8');
  const ca = file('ca.crt');
  const pair = (name: string) => ({ cert: file(`${name}.crt`), key: file(`${name}.key`) });
  const seen: Publisher[] = [];
  let servers: Server[] = [];

  async function start(auth: ControlAuth = {}): Promise<number> {
    const publish = [(_publication: unknown, publisher: Publisher) => void seen.push(publisher)];
    const parts = controlParts(new FakeHost(), { auth, hooks: { ...noHooks, publish } });
    const server = controlServer(parts, { tls: { ...pair('server'), ca } });
    servers.push(server);
    return listen(server);
  }

  afterEach(() => {
    for (const server of servers) {
      server.closeAllConnections();
      server.close();
    }
    servers = [];
  });

  async function call(port: number, path: string, options: object = {}): Promise<{ status: number | undefined; text: string }> {
    const body = path === '/publish/' ? publishBody('a') : '';
    const method = body ? 'POST' : 'GET';
    const made = request({
      port,
      host: '127.0.0.1',
      path,
      method,
      ca,
      agent: false,
      headers: { 'Content-Length': body.length },
      ...options,
    });
    const answered = new Promise<{ status: number | undefined; text: string }>((resolve, reject) => {
      made.on('error', reject);
      made.on(
        'response',
        (response) => void text(response).then((answer) => resolve({ status: response.statusCode, text: answer }), reject),
      );
    });
    made.end(body);
    return answered;
  }

  it('let their owner in, under the name in the certificate', async () => {
    const port = await start();
    assert.deepEqual(await call(port, '/publish/', pair('client')), { status: 200, text: 'Published\n' });
    assert.deepEqual(seen.at(-1)?.identity, { subject: 'billing-service', by: 'mtls' });
  });

  it('are needed where nothing else is configured', async () => {
    const port = await start();
    assert.deepEqual(await call(port, '/publish/'), { status: 403, text: 'A client certificate is needed.\n' });
  });

  it('do not help when somebody else signed them', async () => {
    const port = await start();
    assert.equal((await call(port, '/publish/', pair('stranger'))).status, 403);
  });

  it('are not needed by probes, nor by those who have a key', async () => {
    const port = await start({ bearer: ['k'] });
    assert.equal((await call(port, '/health/live')).status, 200);
    assert.equal((await call(port, '/metrics')).status, 401);
    assert.equal((await call(port, '/metrics', { headers: { Authorization: 'Bearer k' } })).status, 200);
  });
});

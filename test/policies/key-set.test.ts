/** Tokens checked with the key set of an issuer: a real HTTP server that may fail, hang, or change its keys. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createHmac, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import jsonwebtoken, { type Algorithm } from 'jsonwebtoken';
import { ForegateError } from '../../gateway/core/errors.ts';
import { silentLog } from '../../gateway/core/log.ts';
import { compileHooks, runHooks, type Policy, type ConnectVerdict } from '../../gateway/core/policy.ts';
import { isPromise } from '../../gateway/core/promise.ts';
import { noMetrics } from '../../gateway/core/metrics.ts';
import { connect, createPolicy, ManualClock, testSession } from '../../gateway/testing/index.ts';
import { jwt } from '../../policies/jwt.ts';
import { KeySet } from '../../policies/key-set.ts';

const one = generateKeyPairSync('rsa', { modulusLength: 2048 });
const two = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
const jwk = (key: KeyObject, more: object): object => ({ ...key.export({ format: 'jwk' }), use: 'sig', ...more });
const minute = 60_000;

describe('jwt with a key set', () => {
  let server: Server;
  let url: string;
  let requests: number;
  let answer: (response: ServerResponse) => void;
  let clock: ManualClock;

  const serve = (...keys: object[]): void => {
    answer = (response) => response.end(JSON.stringify({ keys }));
  };
  const make = async (options: object = {}): Promise<Policy> => createPolicy(jwt, { jwks: url, ...options }, { clock });

  before(async () => {
    server = createServer((_request, response) => {
      requests += 1;
      answer(response);
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`;
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  beforeEach(() => {
    requests = 0;
    clock = new ManualClock();
    serve(jwk(one.publicKey, { kid: 'one' }), jwk(two.publicKey, { kid: 'two' }));
  });

  it('reads the set once for many tokens, then answers at once', async () => {
    const policy = await make();
    const verdicts = await Promise.all([
      arrive(policy, signed('one')),
      arrive(policy, signed('two')),
      arrive(policy, signed('one')),
    ]);
    assert.deepEqual(verdicts, [undefined, undefined, undefined]);
    assert.equal(requests, 1);
    assert.equal(isPromise(policy.connect?.(bearing(signed('one')), [])), false);
  });

  it('finds a new key when a token names it', async () => {
    serve(jwk(one.publicKey, { kid: 'one' }));
    const policy = await make();
    assert.equal(await arrive(policy, signed('one')), undefined);
    serve(jwk(two.publicKey, { kid: 'two' }));
    clock.advance(minute);
    assert.equal(await arrive(policy, signed('two')), undefined);
    assert.equal(requests, 2);
  });

  it('is not made to read the set by invented key ids', async () => {
    const policy = await make();
    for (let i = 0; i < 20; i += 1) assertRefused(await arrive(policy, signed('one', { kid: `invented-${i}` })), /not known/);
    assert.equal(requests, 1);
    assert.equal(await arrive(policy, signed('one')), undefined);
  });

  it('is not made to read the set by tokens of other algorithms', async () => {
    const policy = await make();
    assertRefused(await arrive(policy, jsonwebtoken.sign({}, 'secret', { keyid: 'one' })), /algorithm/);
    assertRefused(await arrive(policy, jsonwebtoken.sign({}, null, { algorithm: 'none' })), /algorithm/);
    assertRefused(await arrive(policy, 'abc'), /malformed/);
    assert.equal(requests, 0);
  });

  it('refuses a key that was taken back, ten minutes later at the latest', async () => {
    const policy = await make();
    assert.equal(await arrive(policy, signed('one')), undefined);
    serve(jwk(two.publicKey, { kid: 'two' }));
    clock.advance(10 * minute);
    assertRefused(await arrive(policy, signed('one')), /not known/);
  });

  it('refuses a token that another key of the set signed', async () => {
    const ids = generateKeyPairSync('rsa', { modulusLength: 2048 });
    serve(jwk(one.publicKey, { kid: 'one' }), jwk(ids.publicKey, { kid: 'three' }));
    assertRefused(await arrive(await make(), signed('one', { kid: 'three' })), /signature/);
  });

  it('takes a token without a key id when the set has one key, and not when it has two', async () => {
    assertRefused(await arrive(await make(), signed('one', { kid: undefined })), /not known/);
    serve(jwk(one.publicKey, {}));
    assert.equal(await arrive(await make(), signed('one', { kid: undefined })), undefined);
  });

  it('uses a key for its own algorithm only', async () => {
    serve(jwk(one.publicKey, { kid: 'one', alg: 'RS512' }));
    const policy = await make({ algorithms: ['RS256', 'RS512'] });
    assertRefused(await arrive(policy, signed('one')), /algorithm/);
    assert.equal(await arrive(policy, signed('one', { algorithm: 'RS512' })), undefined);
  });

  it('passes over keys that are no public keys for signatures', async () => {
    const secret = { kty: 'oct', k: 'c2VjcmV0', kid: 'one' };
    serve(
      secret,
      jwk(one.publicKey, { kid: 'one', use: 'enc' }),
      { kty: 'strange', kid: 'one' },
      jwk(two.publicKey, { kid: 'two' }),
    );
    const policy = await make();
    assert.equal(await arrive(policy, signed('two')), undefined);
    assertRefused(await arrive(policy, signed('one')), /not known/);
  });

  it('takes what a token says of its key for the name of one of the set, and for nothing else', async () => {
    const evil = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const tricks: readonly object[] = [
      { jku: `${url}?evil` },
      { x5u: `${url}?evil` },
      { jwk: evil.publicKey.export({ format: 'jwk' }) },
      { x5c: [evil.publicKey.export({ format: 'der', type: 'spki' }).toString('base64')] },
      { kid: '../../../../dev/null' },
      { kid: 'file:///etc/passwd' },
      { kid: `${url}?evil` },
      { kid: "' OR 1=1 --" },
      { kid: 'one\0' },
      { kid: '__proto__' },
      { kid: 'constructor' },
      { kid: '' },
      { kid: ['one'] },
      { kid: { toString: 'one' } },
      { kid: 1 },
    ];
    const policy = await make();
    assert.equal(await arrive(policy, signed('one')), undefined);
    for (const trick of tricks) {
      const header = { alg: 'RS256' as const, kid: 'one', ...trick } as jsonwebtoken.JwtHeader;
      const forged = jsonwebtoken.sign({ sub: 'root' }, evil.privateKey, { algorithm: 'RS256', header });
      assertRefused(await arrive(policy, forged), /not known|signature|malformed|algorithm/);
    }
    assert.equal(requests, 1, 'something was asked for');
  });

  it('does not take a public key of the set for a shared secret', async () => {
    serve(jwk(one.publicKey, { kid: 'one' }));
    const policy = await make();
    const pem = one.publicKey.export({ format: 'pem', type: 'spki' });
    const input = [{ alg: 'HS256', kid: 'one' }, { sub: 'root' }].map((part) =>
      Buffer.from(JSON.stringify(part)).toString('base64url'),
    );
    for (const key of [pem, JSON.stringify(one.publicKey.export({ format: 'jwk' }))]) {
      const signature = createHmac('sha256', key).update(input.join('.')).digest('base64url');
      assertRefused(await arrive(policy, [...input, signature].join('.')), /algorithm/);
    }
  });

  it('stops reading a set of a gigabyte at its limit', async () => {
    let sent = 0;
    const part = 'x'.repeat(65_536);
    answer = (response) => {
      const more = (): void => {
        while (!response.destroyed && sent < 1e9 && response.write(part)) sent += part.length;
        if (!response.destroyed) response.once('drain', more);
      };
      more();
    };
    await assertUndecided(await make(), signed('one'));
    assert.ok(sent < 50_000_000, `${sent} bytes were sent`);
  });

  it('takes no key that is of another kind than the token says', async () => {
    serve(jwk(two.publicKey, { kid: 'one' }), jwk(one.publicKey, { kid: 'two' }));
    for (const by of ['one', 'two'] as const)
      assertRefused(await arrive(await make(), signed(by)), /algorithm|signature|not valid/);
  });

  const failures: readonly (readonly [what: string, answer: (response: ServerResponse) => void])[] = [
    ['an error', (response) => void response.writeHead(503).end()],
    ['a redirect', (response) => void response.writeHead(302, { location: '/other' }).end()],
    ['something that is not JSON', (response) => void response.end('<html>')],
    ['JSON that is no key set', (response) => void response.end('[]')],
    ['an empty key set', (response) => void response.end('{"keys":[]}')],
    ['a set without end', (response) => void response.end(`{"keys":[],"x":"${'x'.repeat(300_000)}"}`)],
    ['a broken connection', (response) => void response.destroy()],
  ];
  for (const [what, failing] of failures) {
    it(`cannot decide when the key server answers with ${what}`, async () => {
      answer = failing;
      await assertUndecided(await make(), signed('one'));
    });
  }

  it('gives up on a key server that does not finish', async () => {
    answer = (response) => void response.write('{"keys":[');
    const keys = new KeySet(url, { clock, log: silentLog, timeoutMs: 50 });
    await assert.rejects(async () => keys.keyFor('one'), isUndecided);
  });

  it('asks a failing key server again only after a pause', async () => {
    answer = (response) => void response.writeHead(500).end();
    const policy = await make();
    for (let i = 0; i < 5; i += 1) await assertUndecided(policy, signed('one'));
    assert.equal(requests, 1);
    serve(jwk(one.publicKey, { kid: 'one' }));
    clock.advance(10_000);
    assert.equal(await arrive(policy, signed('one')), undefined);
  });

  it('goes on with known keys for an hour while the key server is away, and cannot decide about others', async () => {
    const policy = await make();
    assert.equal(await arrive(policy, signed('one')), undefined);
    answer = (response) => void response.destroy();
    clock.advance(30 * minute);
    assert.equal(await arrive(policy, signed('one')), undefined);
    await assertUndecided(policy, signed('one', { kid: 'new' }));
    clock.advance(30 * minute);
    await assertUndecided(policy, signed('one'));
  });

  it('is refused as a failed policy by the hooks of a route', async () => {
    answer = (response) => void response.destroy();
    const hooks = compileHooks([['jwt', await make()]], { log: silentLog, metrics: noMetrics });
    const verdict = await runHooks(hooks.connect, bearing(signed('one')), []);
    assert.ok(verdict?.kind === 'deny');
    assert.equal(verdict.code, 'policy-failed');
  });

  it('sets no timer for a client that left while the set was read', async () => {
    const policy = await make();
    const session = bearing(signed('one', { exp: Math.floor(clock.now() / 1000) + 60 }));
    const verdict = policy.connect?.(session, []);
    policy.disconnect?.(session);
    assert.equal(await verdict, undefined);
    assert.equal(clock.pending, 0);
  });
});

interface Signing {
  readonly kid?: string | undefined;
  readonly algorithm?: Algorithm;
  readonly exp?: number;
}

function signed(by: 'one' | 'two', signing: Signing = {}): string {
  const { kid, algorithm = by === 'one' ? 'RS256' : 'ES256', exp } = { kid: by, ...signing };
  const claims = exp === undefined ? { sub: 'ann' } : { sub: 'ann', exp };
  return jsonwebtoken.sign(claims, by === 'one' ? one.privateKey : two.privateKey, {
    algorithm,
    ...(kid === undefined ? {} : { keyid: kid }),
  });
}

function bearing(token: string) {
  return testSession({ headers: ['Authorization', `Bearer ${token}`] });
}

async function arrive(policy: Policy, token: string): Promise<ConnectVerdict> {
  return (await connect(policy, bearing(token))).verdict;
}

function assertRefused(verdict: ConnectVerdict, why: RegExp): void {
  assert.ok(verdict?.kind === 'deny', 'not denied');
  assert.equal(verdict.code, 'unauthorized');
  assert.match(verdict.detail, why);
}

async function assertUndecided(policy: Policy, token: string): Promise<void> {
  await assert.rejects(async () => arrive(policy, token), isUndecided);
}

function isUndecided(thrown: unknown): boolean {
  return thrown instanceof ForegateError && thrown.code === 'policy-failed';
}

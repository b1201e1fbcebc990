/** Which tokens get in, where they may stand, what goes on of them, and when a session ends with its token. */
import assert from 'node:assert/strict';
import { createHmac, generateKeyPairSync, sign as signBytes } from 'node:crypto';
import jsonwebtoken, { type SignOptions } from 'jsonwebtoken';
import { silentLog, type LogFields } from '../../gateway/core/log.ts';
import type { Policy, ConnectVerdict } from '../../gateway/core/policy.ts';
import type { HeaderList } from '../../gateway/core/headers.ts';
import { isPromise } from '../../gateway/core/promise.ts';
import { connect, createPolicy, ManualClock, testSession, type TestSession } from '../../gateway/testing/index.ts';
import { jwt } from '../../policies/jwt.ts';

const secret = 'a secret of thirty-two bytes or more';
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ec = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
const pem = (key: typeof rsa.publicKey): string => key.export({ format: 'pem', type: 'spki' });

const clock = new ManualClock();
const seconds = Math.floor(clock.now() / 1000);
const inAnHour = { sub: 'ann', exp: seconds + 3600 };

describe('jwt', () => {
  it('lets a valid token in, at once, and keeps who it is for', async () => {
    const policy = await make({ secret });
    const session = bearing(token(inAnHour));
    const verdict = policy.connect?.(session, []);
    assert.equal(verdict, undefined);
    assert.equal(session.identity?.subject, 'ann');
    assert.equal(session.identity?.by, 'jwt');
    assert.equal(session.identity?.claims?.['exp'], inAnHour.exp);
  });

  it('takes the bytes of a base64 secret', async () => {
    const bytes = Buffer.from('00ff00ff'.repeat(8), 'hex');
    const policy = await make({ secret: `base64:${bytes.toString('base64')}` });
    await assertAllowed(policy, bearing(jsonwebtoken.sign(inAnHour, bytes)));
  });

  it('takes tokens signed with RSA and with elliptic curves', async () => {
    await assertAllowed(
      await make({ publicKey: pem(rsa.publicKey) }),
      bearing(token(inAnHour, rsa.privateKey, { algorithm: 'RS256' })),
    );
    await assertAllowed(
      await make({ publicKey: pem(ec.publicKey) }),
      bearing(token(inAnHour, ec.privateKey, { algorithm: 'ES256' })),
    );
    const pss = await make({ publicKey: pem(rsa.publicKey), algorithms: ['PS256'] });
    await assertAllowed(pss, bearing(token(inAnHour, rsa.privateKey, { algorithm: 'PS256' })));
  });

  it('takes a token without a subject, and one that never ends', async () => {
    const turned = new ManualClock();
    const session = bearing(token({ scope: 'chat' }));
    await assertAllowed(await make({ secret }, silentLog, turned), session);
    assert.equal(session.identity?.subject, '');
    assert.equal(turned.pending, 0);
  });

  it('takes one of several issuers and audiences', async () => {
    const policy = await make({ secret, issuer: ['https://a.example', 'https://b.example'], audience: ['chat', 'news'] });
    await assertAllowed(policy, bearing(token({ ...inAnHour, iss: 'https://b.example', aud: ['mail', 'news'] })));
  });

  it('allows for a clock that is off, both ways', async () => {
    const policy = await make({ secret, clockTolerance: '5s', closeAtExpiry: false });
    await assertAllowed(policy, bearing(token({ exp: seconds - 4 })));
    await assertAllowed(policy, bearing(token({ nbf: seconds + 5 })));
    await assertRefused(policy, bearing(token({ exp: seconds - 5 })), /expired/);
    await assertRefused(policy, bearing(token({ nbf: seconds + 6 })), /not valid yet/);
  });

  it('warns of a secret that is shorter than its algorithm needs, without the secret', async () => {
    const warnings: [string, LogFields | undefined][] = [];
    await make(
      { secret: 'short', algorithms: ['HS256', 'HS512'] },
      { ...silentLog, warn: (event, fields) => void warnings.push([event, fields]) },
    );
    assert.deepEqual(warnings, [['jwt.short-secret', { bytes: 5, neededBytes: 64 }]]);
  });

  it('says why options do not go together', async () => {
    await assert.rejects(
      make({ publicKey: pem(rsa.publicKey), algorithms: ['HS256'] }),
      /HS256 cannot be used with a public key/,
    );
    await assert.rejects(make({ secret, algorithms: ['RS256'] }), /RS256 cannot be used with a secret/);
    await assert.rejects(make({}), /exactly one of "secret", "publicKey", "jwks" and "discovery"/);
  });

  it('never names the secret when it refuses options', async () => {
    await assert.rejects(make({ secret, jwks: 'https://id.example' }), (error: Error) => !error.message.includes(secret));
  });
});

describe('jwt, of tokens that are not valid', () => {
  const signed = token(inAnHour);
  const [head = '', payload = '', signature = ''] = signed.split('.');
  const cases: readonly (readonly [what: string, token: string, why: RegExp, options?: object])[] = [
    ['one that expired a second ago', token({ exp: seconds - 1 }), /expired/],
    ['one that expires in this very second', token({ exp: seconds }), /expired/],
    ['one from the future', token({ ...inAnHour, nbf: seconds + 1 }), /not valid yet/],
    ['one signed with another secret', token(inAnHour, 'another secret of thirty-two bytes'), /signature/],
    ['one whose claims were changed', [head, encode({ ...inAnHour, sub: 'bob' }), signature].join('.'), /signature/],
    ['one whose signature was cut', signed.slice(0, -2), /signature/],
    ['one without a signature', `${head}.${payload}.`, /signature/],
    ['one of "alg: none"', `${encode({ alg: 'none' })}.${payload}.`, /signature/],
    ['one of "alg: none" with a signature', `${encode({ alg: 'none' })}.${payload}.${signature}`, /algorithm/],
    ['one of "alg: NONE"', `${encode({ alg: 'NONE' })}.${payload}.x`, /algorithm/],
    ['one without an algorithm', `${encode({ typ: 'JWT' })}.${payload}.${signature}`, /algorithm/],
    ['one with a number for its algorithm', `${encode({ alg: 1 })}.${payload}.${signature}`, /algorithm/],
    ['one of an algorithm that is not listed', token(inAnHour, secret, { algorithm: 'HS512' }), /algorithm/],
    ['one that another kind of key signed', token(inAnHour, rsa.privateKey, { algorithm: 'RS256' }), /algorithm/],
    [
      'one signed with the public key as if it were a secret',
      forged(pem(rsa.publicKey)),
      /algorithm/,
      { publicKey: pem(rsa.publicKey) },
    ],
    [
      'RS256 for a key of an elliptic curve',
      token(inAnHour, rsa.privateKey, { algorithm: 'RS256' }),
      /algorithm/,
      { publicKey: pem(ec.publicKey) },
    ],
    ['ES256 with a signature of the wrong length', es256(Buffer.alloc(10)), /signature/, { publicKey: pem(ec.publicKey) }],
    [
      'one of another issuer',
      token({ ...inAnHour, iss: 'https://evil.test' }),
      /issuer/,
      { secret, issuer: 'https://id.example' },
    ],
    ['one of no issuer', signed, /issuer/, { secret, issuer: 'https://id.example' }],
    ['one for another audience', token({ ...inAnHour, aud: 'mail' }), /audience/, { secret, audience: 'chat' }],
    ['one for no audience', signed, /audience/, { secret, audience: 'chat' }],
    ['one with an end that is no number', resigned({ alg: 'HS256' }, JSON.stringify({ exp: 'never' })), /not valid/],
    [
      'one with a critical header that nobody understands',
      resigned({ alg: 'HS256', crit: ['b64'], b64: true }, '{}'),
      /malformed/,
    ],
    ['one whose payload is a text', resigned({ alg: 'HS256' }, '"ann"'), /malformed/],
    ['one whose payload is a list', resigned({ alg: 'HS256' }, '[]'), /malformed/],
    ['one whose payload is not JSON', resigned({ alg: 'HS256', typ: 'JWT' }, '{'), /malformed/],
    ['one whose header is not JSON', `${Buffer.from('{').toString('base64url')}.${payload}.${signature}`, /malformed/],
    ['something else', 'abc', /malformed/],
    ['two dots', '..', /malformed/],
    ['five parts', 'a.b.c.d.e', /malformed/],
    ['an empty one', '', /empty/],
    ['one of 100 KB', token({ ...inAnHour, blob: 'x'.repeat(100_000) }), /too long/],
  ];
  for (const [what, presented, why, options] of cases) {
    it(`refuses ${what}`, async () => {
      const session = bearing(presented);
      await assertRefused(await make(options ?? { secret }), session, why);
      assert.equal(session.identity, undefined);
    });
  }

  it('refuses an invalid token also where none is required', async () => {
    await assertRefused(await make({ secret, required: false }), bearing('abc'), /malformed/);
  });

  it('sets no timer for a token that was refused', async () => {
    const turned = new ManualClock();
    await assertRefused(await make({ secret }, silentLog, turned), bearing(token({ exp: seconds - 1 })), /expired/);
    assert.equal(turned.pending, 0);
  });
});

describe('jwt, in the places of a request', () => {
  const valid = token(inAnHour);

  const found: readonly (readonly [
    what: string,
    from: object,
    request: { path?: string; headers?: HeaderList },
    consumed: object[],
  ])[] = [
    [
      'Authorization',
      { header: 'Authorization' },
      { headers: ['authorization', `Bearer ${valid}`] },
      [{ in: 'header', name: 'authorization' }],
    ],
    [
      'Authorization, in any letters',
      { header: 'authorization' },
      { headers: ['AUTHORIZATION', `bEARER  ${valid} `] },
      [{ in: 'header', name: 'AUTHORIZATION' }],
    ],
    ['another header field', { header: 'X-Token' }, { headers: ['X-Token', valid] }, [{ in: 'header', name: 'X-Token' }]],
    ['the query', { query: 'token' }, { path: `/chat?a=1&token=${valid}&b=2` }, [{ in: 'query', name: 'token' }]],
    ['a cookie', { cookie: 'session' }, { headers: ['Cookie', `a=1; session=${valid}`] }, [{ in: 'cookie', name: 'session' }]],
    [
      'a second Cookie field',
      { cookie: 'session' },
      { headers: ['Cookie', 'a=1', 'Cookie', `session=${valid}`] },
      [{ in: 'cookie', name: 'session' }],
    ],
    [
      'the subprotocol after a marker',
      { subprotocol: 'bearer' },
      { headers: ['Sec-WebSocket-Protocol', `chat, bearer, ${valid}`] },
      [
        { in: 'subprotocol', name: valid },
        { in: 'subprotocol', name: 'bearer', answer: 'bearer' },
      ],
    ],
    [
      'the subprotocol after a marker, in two fields',
      { subprotocol: 'bearer' },
      { headers: ['Sec-WebSocket-Protocol', 'bearer', 'sec-websocket-protocol', valid] },
      [
        { in: 'subprotocol', name: valid },
        { in: 'subprotocol', name: 'bearer', answer: 'bearer' },
      ],
    ],
    [
      'the subprotocol behind a marker and a dot',
      { subprotocol: 'bearer' },
      { headers: ['Sec-WebSocket-Protocol', `bearer.${valid},chat`] },
      [{ in: 'subprotocol', name: `bearer.${valid}`, answer: `bearer.${valid}` }],
    ],
    [
      'the second place',
      { header: 'Authorization', query: 'token' },
      { path: `/?token=${valid}` },
      [{ in: 'query', name: 'token' }],
    ],
  ];
  for (const [what, from, request, consumed] of found) {
    it(`finds the token in ${what}, and takes it out`, async () => {
      const session = testSession(request);
      await assertAllowed(await make({ secret, from }), session);
      assert.deepEqual(session.consumed, consumed);
    });
  }

  it('leaves the token where it is when it shall go on', async () => {
    const session = bearing(valid);
    await assertAllowed(await make({ secret, forward: true }), session);
    assert.deepEqual(session.consumed, []);
  });

  const unclear: readonly (readonly [what: string, from: object, request: { path?: string; headers?: HeaderList }])[] = [
    [
      'two Authorization fields',
      { header: 'Authorization' },
      { headers: ['Authorization', `Bearer ${valid}`, 'Authorization', 'Bearer x'] },
    ],
    [
      'Basic and Bearer at once',
      { header: 'Authorization' },
      { headers: ['Authorization', 'Basic eDp5', 'Authorization', `Bearer ${valid}`] },
    ],
    ['Bearer without a token', { header: 'Authorization' }, { headers: ['Authorization', 'Bearer'] }],
    ['two tokens in one field', { header: 'Authorization' }, { headers: ['Authorization', `Bearer ${valid}, Bearer ${valid}`] }],
    ['two parameters', { query: 'token' }, { path: `/?token=${valid}&token=${valid}` }],
    ['two cookies', { cookie: 'token' }, { headers: ['Cookie', `token=${valid}; token=x`] }],
    ['a marker with nothing behind it', { subprotocol: 'bearer' }, { headers: ['Sec-WebSocket-Protocol', 'chat, bearer'] }],
    ['two markers', { subprotocol: 'bearer' }, { headers: ['Sec-WebSocket-Protocol', `bearer, ${valid}, bearer, x`] }],
    [
      'an invalid token in the first place',
      { query: 'token', header: 'Authorization' },
      { path: '/?token=x', headers: ['Authorization', `Bearer ${valid}`] },
    ],
  ];
  for (const [what, from, request] of unclear) {
    it(`refuses ${what}`, async () => {
      await assertRefused(await make({ secret, from }), testSession(request), /./);
    });
  }

  const absent: readonly (readonly [what: string, from: object, request: { path?: string; headers?: HeaderList }])[] = [
    ['nothing', { header: 'Authorization' }, {}],
    ['another scheme', { header: 'Authorization' }, { headers: ['Authorization', `Basic ${valid}`] }],
    ['a scheme that begins like Bearer', { header: 'Authorization' }, { headers: ['Authorization', `Bearerx ${valid}`] }],
    ['a token in another place', { header: 'Authorization' }, { path: `/?access_token=${valid}` }],
    ['a parameter of a longer name', { query: 'token' }, { path: `/?mytoken=${valid}` }],
    ['a parameter behind no question mark', { query: 'token' }, { path: `/&token=${valid}` }],
    ['a marker of a longer name', { subprotocol: 'bearer' }, { headers: ['Sec-WebSocket-Protocol', `bearers.${valid}`] }],
  ];
  for (const [what, from, request] of absent) {
    it(`finds no token in ${what}: refused, or let in as nobody where none is required`, async () => {
      const { verdict } = await connect(await make({ secret, from }), testSession(request));
      assert.ok(verdict?.kind === 'deny');
      assert.deepEqual(verdict.headers, ['WWW-Authenticate', 'Bearer']);
      const session = testSession(request);
      await assertAllowed(await make({ secret, from, required: false }), session);
      assert.equal(session.identity, undefined);
    });
  }
});

describe('jwt at the end of a token', () => {
  it('ends an idle session in the second its token expires', async () => {
    const turned = new ManualClock();
    const session = bearing(token({ exp: seconds + 60 }));
    await assertAllowed(await make({ secret }, silentLog, turned), session);
    turned.advance(59_999);
    assertOpen(session);
    turned.advance(1);
    assert.equal(session.ended?.code, 'expired-token');
    assert.equal(turned.pending, 0);
  });

  it('waits for the tolerance', async () => {
    const turned = new ManualClock();
    const session = bearing(token({ exp: seconds + 60 }));
    await assertAllowed(await make({ secret, clockTolerance: '10s' }, silentLog, turned), session);
    turned.advance(69_999);
    assertOpen(session);
    turned.advance(1);
    assert.equal(session.ended?.code, 'expired-token');
  });

  it('forgets a session that has ended before', async () => {
    const turned = new ManualClock();
    const policy = await make({ secret }, silentLog, turned);
    const session = bearing(token({ exp: seconds + 60 }));
    await assertAllowed(policy, session);
    policy.disconnect?.(session);
    assert.equal(turned.pending, 0);
    turned.advance(120_000);
    assertOpen(session);
  });

  it('leaves sessions alone where the options say so, and plain requests always', async () => {
    const turned = new ManualClock();
    await assertAllowed(await make({ secret, closeAtExpiry: false }, silentLog, turned), bearing(token(inAnHour)));
    const headers = ['Authorization', `Bearer ${token(inAnHour)}`];
    await assertAllowed(await make({ secret }, silentLog, turned), testSession({ transport: 'request', headers }));
    assert.equal(turned.pending, 0);
  });

  it('ends a request that is held', async () => {
    const turned = new ManualClock();
    const policy = await make({ secret }, silentLog, turned);
    const headers = ['Authorization', `Bearer ${token({ exp: seconds + 60 })}`];
    const arrived = testSession({ transport: 'request', headers });
    await assertAllowed(policy, arrived);
    assert.equal(turned.pending, 0);
    const session = testSession({ transport: 'stream', headers });
    session.identity = arrived.identity;
    policy.held?.(session);
    assert.equal(turned.pending, 1);
    turned.advance(60_000);
    assert.equal(session.ended?.code, 'expired-token');
    assert.equal(turned.pending, 0);
  });

  it('is exact beyond the longest timer there is', async () => {
    const turned = new ShortTimers();
    const days = 86_400;
    const session = bearing(token({ exp: seconds + 100 * days }));
    await assertAllowed(await make({ secret }, silentLog, turned), session);
    turned.advance(100 * days * 1000 - 1);
    assertOpen(session);
    turned.advance(1);
    assert.equal(session.ended?.code, 'expired-token');
    assert.equal(turned.longestMs, 0x7fff_ffff);
  });

  it('survives an end beyond all numbers', async () => {
    const turned = new ShortTimers();
    const session = bearing(resigned({ alg: 'HS256' }, '{"exp":1e999}'));
    await assertAllowed(await make({ secret }, silentLog, turned), session);
    turned.advance(60 * 86_400_000);
    assertOpen(session);
  });
});

/** As the real clock: a timer is at most 24 days long, whatever was asked for. */
class ShortTimers extends ManualClock {
  longestMs = 0;

  override after(ms: number, run: () => void) {
    const cut = Math.min(ms, 0x7fff_ffff);
    this.longestMs = Math.max(this.longestMs, cut);
    return super.after(cut, run);
  }
}

async function make(options: object, log = silentLog, time: ManualClock = clock): Promise<Policy> {
  return createPolicy(jwt, options, { clock: time, log });
}

function token(claims: object, key: string | typeof rsa.privateKey = secret, options: SignOptions = {}): string {
  return jsonwebtoken.sign(claims, key, { noTimestamp: true, ...options });
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

/** Any header and payload, with a signature that is right. */
function resigned(header: object, payload: string, key = secret): string {
  const input = `${encode(header)}.${Buffer.from(payload).toString('base64url')}`;
  return `${input}.${createHmac('sha256', key).update(input).digest('base64url')}`;
}

function forged(publicKey: string): string {
  return resigned({ alg: 'HS256', typ: 'JWT' }, JSON.stringify(inAnHour), publicKey);
}

function es256(signature: Buffer): string {
  const input = `${encode({ alg: 'ES256' })}.${encode(inAnHour)}`;
  assert.ok(signBytes('sha256', Buffer.from(input), ec.privateKey).length > signature.length);
  return `${input}.${signature.toString('base64url')}`;
}

function bearing(presented: string): TestSession {
  return testSession({ headers: ['Authorization', `Bearer ${presented}`] });
}

/** Not by `assert`, which would make the compiler believe that it stays so. */
function assertOpen(session: TestSession): void {
  assert.equal(session.ended, undefined);
}

async function assertAllowed(policy: Policy, session: TestSession): Promise<void> {
  assert.equal((await connect(policy, session)).verdict, undefined);
}

async function assertRefused(policy: Policy, session: TestSession, why: RegExp): Promise<void> {
  const verdict: ConnectVerdict | Promise<ConnectVerdict> = policy.connect?.(session, []);
  assert.ok(!isPromise(verdict) && verdict?.kind === 'deny', 'not denied');
  assert.equal(verdict.code, 'unauthorized');
  assert.match(verdict.detail, why);
  assert.deepEqual(verdict.headers, ['WWW-Authenticate', `Bearer error="invalid_token", error_description="${verdict.detail}"`]);
}

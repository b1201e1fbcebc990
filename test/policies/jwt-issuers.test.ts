/** Several issuers with rules of their own, issuers found by discovery, and what claims and scopes must say. */
import assert from 'node:assert/strict';
import { createHmac, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import jsonwebtoken, { type SignOptions } from 'jsonwebtoken';
import type { ConnectVerdict, Policy } from '../../gateway/core/policy.ts';
import { connect, createPolicy, ManualClock, testSession, type TestSession } from '../../gateway/testing/index.ts';
import { discovery } from '../../policies/discovery.ts';
import { KeySet } from '../../policies/key-set.ts';
import { jwt } from '../../policies/jwt.ts';
import { silentLog } from '../../gateway/core/log.ts';

const secret = 'a secret of thirty-two bytes or more';
const otherSecret = 'another secret of thirty-two bytes';
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const pem = rsa.publicKey.export({ format: 'pem', type: 'spki' });
const minute = 60_000;

const sign = (claims: object, key: string | KeyObject = secret, options: SignOptions = {}): string =>
  jsonwebtoken.sign(claims, key, { noTimestamp: true, ...options });
const bearing = (token: string): TestSession => testSession({ headers: ['Authorization', `Bearer ${token}`] });
const arrive = async (policy: Policy, token: string): Promise<ConnectVerdict> => (await connect(policy, bearing(token))).verdict;

function assertDenied(verdict: ConnectVerdict, why: RegExp, code = 'unauthorized'): void {
  assert.ok(verdict?.kind === 'deny', 'not denied');
  assert.equal(verdict.code, code);
  assert.match(verdict.detail, why);
}

describe('jwt with several issuers', () => {
  let policy: Policy;
  const a = 'https://a.example';
  const b = 'https://b.example';

  before(async () => {
    policy = await createPolicy(jwt, {
      issuers: [
        { issuer: a, secret, audience: 'chat', scopes: ['chat:write'] },
        { issuer: b, publicKey: pem },
      ],
    });
  });

  it('takes the tokens of each by its own rules', async () => {
    assert.equal(await arrive(policy, sign({ iss: a, sub: 'ann', aud: 'chat', scope: 'chat:write' })), undefined);
    assert.equal(await arrive(policy, sign({ iss: b, sub: 'ann' }, rsa.privateKey, { algorithm: 'RS256' })), undefined);
  });

  const cases: readonly (readonly [what: string, token: () => string, why: RegExp])[] = [
    ['one of neither', () => sign({ iss: 'https://evil.example' }), /another issuer/],
    ['one without an issuer', () => sign({ sub: 'ann' }), /another issuer/],
    ['one with a list of issuers', () => raw({ alg: 'HS256' }, { iss: [a, b], aud: 'chat' }), /another issuer/],
    ['one with a prototype for its issuer', () => sign({ iss: '__proto__' }), /another issuer/],
    ["one's token signed by the other", () => sign({ iss: a, aud: 'chat' }, rsa.privateKey, { algorithm: 'RS256' }), /algorithm/],
    ["the other's token signed with the first secret", () => sign({ iss: b }), /algorithm/],
    ['one signed with the public key as a secret', () => raw({ alg: 'HS256' }, { iss: b }, pem), /algorithm/],
    ['one without a signature', () => sign({ iss: b }, '', { algorithm: 'none' }), /signature|algorithm/],
    ['one with the other audience', () => sign({ iss: a, aud: 'mail' }), /audience/],
    ['something else', () => 'abc', /malformed/],
    ['a payload that is not JSON', () => `${encode({ alg: 'HS256', typ: 'JWT' })}.e2.x`, /malformed/],
  ];
  for (const [what, token, why] of cases) {
    it(`refuses ${what}`, async () => assertDenied(await arrive(policy, token()), why));
  }

  it('does not follow what a header says of keys', async () => {
    const header = {
      alg: 'HS256',
      jku: 'http://127.0.0.1:9/',
      x5u: 'http://127.0.0.1:9/',
      jwk: { kty: 'oct', k: 'eA' },
      kid: '../../x',
    };
    assertDenied(await arrive(policy, raw(header, { iss: a, aud: 'chat' }, otherSecret)), /signature/);
    assert.equal(await arrive(policy, raw(header, { iss: a, aud: 'chat', scp: ['chat:write'] })), undefined);
  });

  it('does not mix with the short form', async () => {
    const issuers = [{ issuer: a, secret }];
    for (const beside of [{ secret }, { issuer: a }, { audience: 'chat' }, { scopes: ['x'] }])
      await assert.rejects(createPolicy(jwt, { issuers, ...beside }), /belongs to the entries/);
    await assert.rejects(createPolicy(jwt, { issuers: [...issuers, ...issuers] }), /only once/);
    await assert.rejects(createPolicy(jwt, { issuers: [{ issuer: a }] }), /exactly one of/);
  });
});

describe('jwt, of what claims and scopes say', () => {
  it('wants each claim to have one of its values', async () => {
    const policy = await createPolicy(jwt, { secret, claims: { role: ['admin', 'editor'], level: 3, verified: true } });
    const good = { role: 'editor', level: 3, verified: true };
    assert.equal(await arrive(policy, sign(good)), undefined);
    assert.equal(await arrive(policy, sign({ ...good, role: ['guest', 'admin'] })), undefined);
    for (const wrong of [
      { role: 'guest' },
      { role: undefined },
      { role: [] },
      { role: { admin: true } },
      { level: '3' },
      { verified: 'true' },
    ])
      assertDenied(
        await arrive(policy, sign(JSON.parse(JSON.stringify({ ...good, ...wrong })) as object)),
        /The claim \w+/,
        'forbidden',
      );
  });

  it('does not take what every object has for a claim', async () => {
    const policy = await createPolicy(jwt, { secret, claims: { constructor: 'x' } });
    assertDenied(await arrive(policy, sign({})), /constructor/, 'forbidden');
  });

  it('wants all scopes, from a text or a list', async () => {
    const policy = await createPolicy(jwt, { secret, scopes: ['chat:read', 'chat:write'] });
    for (const claims of [
      { scope: 'a chat:write chat:read' },
      { scp: ['chat:read', 'chat:write'] },
      { scp: 'chat:read chat:write' },
    ])
      assert.equal(await arrive(policy, sign(claims)), undefined, JSON.stringify(claims));
    for (const claims of [
      {},
      { scope: 'chat:read' },
      { scope: 'chat:write chat:reader' },
      { scope: { 'chat:read': 1 } },
      { scp: [1] },
    ])
      assertDenied(await arrive(policy, sign(claims)), /lacks the scope chat:/, 'forbidden');
  });

  it('says it in the form of RFC 6750', async () => {
    const policy = await createPolicy(jwt, { secret, claims: { 'https://x.example/"é"': 'x' } });
    const verdict = await arrive(policy, sign({}));
    assert.ok(verdict?.kind === 'deny');
    assert.match(
      verdict.headers?.[1] ?? '',
      /^Bearer error="insufficient_scope", error_description="[\x20\x21\x23-\x5b\x5d-\x7e]+"$/,
    );
  });
});

describe('jwt with discovery', () => {
  let server: Server;
  let issuer: string;
  let document: (response: ServerResponse) => void;
  let keys: object[];
  let paths: string[];
  let clock: ManualClock;

  const serve = (about: object): void => {
    document = (response) => response.end(JSON.stringify(about));
  };
  const signed = (claims: object = {}, key = rsa.privateKey): string =>
    sign({ sub: 'ann', iss: issuer, ...claims }, key, { algorithm: 'RS256', keyid: 'one' });
  const make = async (options: object = {}): Promise<Policy> => createPolicy(jwt, { discovery: issuer, ...options }, { clock });

  before(async () => {
    server = createServer((request, response) => {
      const { url = '' } = request;
      paths.push(url);
      if (url.includes('/.well-known/')) document(response);
      else response.end(JSON.stringify({ keys }));
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  beforeEach(() => {
    paths = [];
    keys = [{ ...rsa.publicKey.export({ format: 'jwk' }), kid: 'one', use: 'sig' }];
    clock = new ManualClock();
    serve({ issuer, jwks_uri: `${issuer}/keys` });
  });

  it('finds the keys by the issuer or by the document, once for many tokens', async () => {
    for (const address of [issuer, `${issuer}/.well-known/openid-configuration`]) {
      paths = [];
      const policy = await make({ discovery: address });
      assert.deepEqual(await Promise.all([arrive(policy, signed()), arrive(policy, signed())]), [undefined, undefined]);
      assert.equal(await arrive(policy, signed()), undefined);
      assert.deepEqual(paths, ['/.well-known/openid-configuration', '/keys']);
    }
  });

  it('reads the document again with the keys, and follows where they went', async () => {
    const policy = await make();
    assert.equal(await arrive(policy, signed()), undefined);
    serve({ issuer, jwks_uri: `${issuer}/moved` });
    clock.advance(10 * minute);
    assert.equal(await arrive(policy, signed()), undefined);
    assert.deepEqual(paths.slice(2), ['/.well-known/openid-configuration', '/moved']);
  });

  it('wants the issuer of the document in each token', async () => {
    assertDenied(await arrive(await make(), signed({ iss: 'https://evil.example' })), /another issuer/);
    assertDenied(
      await arrive(await make(), sign({ sub: 'ann' }, rsa.privateKey, { algorithm: 'RS256', keyid: 'one' })),
      /another issuer/,
    );
  });

  it('works among several issuers', async () => {
    const policy = await createPolicy(
      jwt,
      {
        issuers: [
          { issuer, discovery: issuer },
          { issuer: 'https://b.example', secret },
        ],
      },
      { clock },
    );
    assert.equal(await arrive(policy, signed()), undefined);
    assert.equal(await arrive(policy, sign({ iss: 'https://b.example' })), undefined);
    assertDenied(await arrive(policy, sign({ iss: issuer })), /algorithm/);
  });

  it('cannot decide when the document says another issuer than the one given', async () => {
    await assert.rejects(
      arrive(await make({ issuer: 'https://other.example' }), signed({ iss: 'https://other.example' })),
      /cannot be read/,
    );
  });

  const failures: readonly (readonly [what: string, answer: (response: ServerResponse) => void])[] = [
    [
      'another issuer',
      (response) => void response.end(JSON.stringify({ issuer: 'https://evil.example', jwks_uri: `${issuer}/keys` })),
    ],
    [
      'its issuer with a slash more',
      (response) => void response.end(JSON.stringify({ issuer: `${issuer}/`, jwks_uri: `${issuer}/keys` })),
    ],
    ['no key set', (response) => void response.end(JSON.stringify({ issuer }))],
    [
      'a key set in the clear elsewhere',
      (response) => void response.end(JSON.stringify({ issuer, jwks_uri: 'http://192.0.2.1/keys' })),
    ],
    ['a key set in a file', (response) => void response.end(JSON.stringify({ issuer, jwks_uri: 'file:///etc/passwd' }))],
    ['an error', (response) => void response.writeHead(500).end()],
    ['a redirect', (response) => void response.writeHead(302, { location: `${issuer}/keys` }).end()],
    ['something without end', (response) => void response.end('x'.repeat(300_000))],
    ['a list', (response) => void response.end('[]')],
  ];
  for (const [what, answer] of failures) {
    it(`cannot decide when the document has ${what}`, async () => {
      document = answer;
      await assert.rejects(arrive(await make(), signed()), /cannot be read/);
      assert.ok(!paths.includes('/keys'));
    });
  }

  const placesOfKeys: readonly (readonly [document: string, keys: string, taken: boolean])[] = [
    ['https://id.example', 'https://keys.example/set', true],
    ['https://id.example', 'http://keys.example/set', false],
    ['https://id.example', 'http://127.0.0.1/set', false],
    ['http://localhost:8080', 'http://127.0.0.1/set', true],
    ['http://127.0.0.1:8080', 'http://192.0.2.1/set', false],
    ['http://127.0.0.1:8080', 'file:///etc/passwd', false],
  ];
  for (const [address, url, taken] of placesOfKeys) {
    it(`${taken ? 'takes' : 'does not take'} the keys at ${url} from a document at ${address}`, async () => {
      const { fetch } = globalThis;
      globalThis.fetch = async () => Response.json({ issuer: address, jwks_uri: url });
      try {
        const { place } = discovery(address, undefined);
        assert.ok(typeof place !== 'string');
        if (taken) assert.equal(await place.find(1000), url);
        else await assert.rejects(place.find(1000), /no key set at an https URL/);
      } finally {
        globalThis.fetch = fetch;
      }
    });
  }

  it('goes on with known keys while the document is wrong', async () => {
    const policy = await make();
    assert.equal(await arrive(policy, signed()), undefined);
    serve({ issuer: 'https://evil.example', jwks_uri: `${issuer}/keys` });
    clock.advance(30 * minute);
    assert.equal(await arrive(policy, signed()), undefined);
  });

  it('stops reading a document of a gigabyte at its limit', async () => {
    let sent = 0;
    const part = 'x'.repeat(65_536);
    document = (response) => {
      const more = (): void => {
        while (!response.destroyed && sent < 1e9 && response.write(part)) sent += part.length;
        if (!response.destroyed) response.once('drain', more);
      };
      more();
    };
    await assert.rejects(arrive(await make(), signed()), /cannot be read/);
    assert.ok(sent < 50_000_000, `${sent} bytes were sent`);
  });

  it('gives up on a document that does not end', async () => {
    document = (response) => void response.write('{');
    const set = new KeySet(discovery(issuer, undefined).place, { clock, log: silentLog, timeoutMs: 50 });
    await assert.rejects(async () => set.keyFor('one'), /cannot be read/);
  });

  it('wants https, save on this machine, and one issuer', async () => {
    for (const address of [
      'http://id.example',
      'ftp://id.example',
      'id.example',
      'https://user:password@id.example',
      'http://127.0.0.1.example',
    ])
      await assert.rejects(createPolicy(jwt, { discovery: address }), /must be an https URL/, address);
    await assert.rejects(createPolicy(jwt, { discovery: 'https://id.example', issuer: ['a', 'b'] }), /of one issuer/);
    await createPolicy(jwt, { discovery: 'https://id.example/tenant/' });
  });
});

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

/** Any header and payload, signed by HMAC. */
function raw(header: object, payload: object, key: string = secret): string {
  const input = `${encode(header)}.${encode(payload)}`;
  return `${input}.${createHmac('sha256', key).update(input).digest('base64url')}`;
}

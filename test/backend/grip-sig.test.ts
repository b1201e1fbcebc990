import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import jsonwebtoken from 'jsonwebtoken';
import { verifyGripSig, webSocketEvents, type GripSigOptions } from '../../gateway/backend/express.ts';
import { listen, sendEvents, stopServers } from './event-request.ts';

const key = 'a secret that only gateway and backend know';
const sign = (claims: object, signingKey: jsonwebtoken.Secret = key, algorithm: jsonwebtoken.Algorithm = 'HS256'): string =>
  jsonwebtoken.sign(claims, signingKey, { algorithm, noTimestamp: true });
const soon = (): number => Math.floor(Date.now() / 1000) + 60;
const good = (): string => sign({ iss: 'foregate', exp: soon() });

function check(token: string | undefined, options: Partial<GripSigOptions> = {}): string {
  const result = verifyGripSig(
    { headers: token === undefined ? {} : { 'grip-sig': token } },
    { key, issuer: 'foregate', ...options },
  );
  return result.kind === 'valid' ? 'valid' : String(result.status);
}

describe('verifyGripSig', () => {
  it('takes a good signature by a secret, also written in base64 or as bytes', () => {
    assert.equal(check(good()), 'valid');
    assert.equal(check(good(), { key: `base64:${Buffer.from(key).toString('base64')}` }), 'valid');
    assert.equal(check(good(), { key: Buffer.from(key) }), 'valid');
  });

  it('gives the claims', () => {
    const result = verifyGripSig({ headers: { 'grip-sig': good() } }, { key });
    assert.equal(result.kind === 'valid' && result.claims.iss, 'foregate');
  });

  for (const [algorithm, pair] of [
    ['ES256', generateKeyPairSync('ec', { namedCurve: 'P-256' })],
    ['RS256', generateKeyPairSync('rsa', { modulusLength: 2048 })],
  ] as const) {
    const pem = pair.publicKey.export({ type: 'spki', format: 'pem' });
    it(`takes ${algorithm} with a public key, and does not take the public key for a secret`, () => {
      assert.equal(check(sign({ iss: 'foregate', exp: soon() }, pair.privateKey, algorithm), { key: pem }), 'valid');
      assert.equal(check(good(), { key: pem }), '403');
    });
    it(`does not take the text of an ${algorithm} key as HMAC secret`, () => {
      const forged = `${Buffer.from('{"alg":"HS256","typ":"JWT"}').toString('base64url')}.${Buffer.from(JSON.stringify({ iss: 'foregate', exp: soon() })).toString('base64url')}`;
      assert.equal(check(`${forged}.${Buffer.from('x').toString('base64url')}`, { key: pem }), '403');
    });
  }

  it('says 401 if there is none', () => {
    assert.equal(check(undefined), '401');
    assert.equal(check(''), '401');
  });

  const bad: [string, () => string][] = [
    ['is signed by another key', () => sign({ iss: 'foregate', exp: soon() }, 'another')],
    ['names another issuer', () => sign({ iss: 'someone', exp: soon() })],
    ['names no issuer', () => sign({ exp: soon() })],
    ['has expired', () => sign({ iss: 'foregate', exp: 1 })],
    ['never expires', () => sign({ iss: 'foregate' })],
    ['is not valid yet', () => sign({ iss: 'foregate', exp: soon() + 60, nbf: soon() })],
    ['is not signed', () => sign({ iss: 'foregate', exp: soon() }, '', 'none')],
    ['uses another algorithm', () => sign({ iss: 'foregate', exp: soon() }, key, 'HS512')],
    ['is no token', () => 'abc'],
    ['is cut', () => good().slice(0, -5)],
  ];
  for (const [name, token] of bad) it(`says 403 if it ${name}`, () => assert.equal(check(token()), '403'));

  it('takes another algorithm if told so', () => {
    assert.equal(check(sign({ iss: 'foregate', exp: soon() }, key, 'HS512'), { algorithms: ['HS512'] }), 'valid');
  });

  it('throws where the key itself is of no use', () => {
    assert.throws(() => check(good(), { key: '' }), TypeError);
    assert.throws(() => check(good(), { key: generateKeyPairSync('ed25519').publicKey }), TypeError);
    assert.throws(() => check(good(), { key: generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey }), TypeError);
  });
});

describe('webSocketEvents with a signature', () => {
  afterEach(stopServers);
  const status = async (token: string | undefined, required?: boolean): Promise<number> => {
    const signature = { key, issuer: 'foregate', ...(required !== undefined && { required }) };
    const origin = await listen(webSocketEvents({}, { signature }));
    return (await sendEvents(origin, [{ kind: 'open' }], { headers: { 'grip-sig': token } })).status;
  };

  it('takes signed requests only', async () => {
    assert.deepEqual([await status(good()), await status(undefined), await status('abc')], [200, 401, 403]);
  });

  it('lets requests without a signature through if told so, but never a bad one', async () => {
    assert.deepEqual([await status(good(), false), await status(undefined, false), await status('abc', false)], [200, 200, 403]);
  });
});

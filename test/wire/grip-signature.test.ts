/** GRIP 8.4: tokens that prove to a backend where a request came through. */
import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import jsonwebtoken from 'jsonwebtoken';
import { ForegateError } from '../../gateway/core/errors.ts';
import { createSigner } from '../../gateway/wire/grip-signature.ts';
import { ManualClock } from '../../gateway/testing/manual-clock.ts';

const startMs = Date.UTC(2026, 10, 24, 12);

function pem(key: KeyObject): string {
  return key.export({ type: key.type === 'private' ? 'pkcs8' : 'spki', format: 'pem' });
}

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const secret = 'a secret that is long enough';

describe('Grip-Sig (GRIP 8.4)', () => {
  const table = [
    ['HS256', secret, secret],
    ['HS256', `base64:${Buffer.from(secret).toString('base64')}`, secret],
    ['RS256', pem(rsa.privateKey), pem(rsa.publicKey)],
    ['ES256', pem(ec.privateKey), pem(ec.publicKey)],
  ] as const;
  for (const [algorithm, key, verify] of table) {
    it(`is signed with ${algorithm} by ${key.slice(0, 27).trim()}`, () => {
      const token = createSigner({ issuer: 'gw', key }, new ManualClock(startMs)).sign();
      const decoded = jsonwebtoken.verify(token, verify, {
        algorithms: [algorithm],
        issuer: 'gw',
        complete: true,
        clockTimestamp: startMs / 1000,
      });
      assert.equal(decoded.header.alg, algorithm);
      assert.equal(decoded.header.typ, 'JWT');
      assert.deepEqual(decoded.payload, { iss: 'gw', iat: startMs / 1000, exp: startMs / 1000 + 3600 });
    });
  }

  it('is the same within a second, and another in the next', () => {
    const clock = new ManualClock(startMs);
    const signer = createSigner({ issuer: 'gw', key: secret }, clock);
    const first = signer.sign();
    clock.advance(999);
    assert.equal(signer.sign(), first);
    clock.advance(1);
    const second = signer.sign();
    assert.notEqual(second, first);
    const { exp } = jsonwebtoken.decode(second, { json: true }) ?? {};
    assert.equal(exp, startMs / 1000 + 3601);
  });

  it('does not verify with another key', () => {
    const token = createSigner({ issuer: 'gw', key: secret }, new ManualClock(startMs)).sign();
    assert.throws(() => jsonwebtoken.verify(token, 'another secret', { clockTimestamp: startMs / 1000 }), /invalid signature/);
  });

  const bad = [
    ['an empty text', ''],
    ['an empty base64', 'base64:'],
    ['a public key', pem(rsa.publicKey)],
    ['a broken PEM', '-----BEGIN PRIVATE KEY-----\nrubbish\n-----END PRIVATE KEY-----'],
    ['a curve that ES256 does not know', pem(generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey)],
    ['an Ed25519 key', pem(generateKeyPairSync('ed25519').privateKey)],
  ] as const;
  for (const [what, key] of bad) {
    it(`is not made with ${what}, and the error does not tell the key`, () => {
      assert.throws(
        () => createSigner({ issuer: 'gw', key }, new ManualClock(startMs)),
        (error) => error instanceof ForegateError && error.code === 'bad-request' && !error.message.includes('rubbish'),
      );
    });
  }
});

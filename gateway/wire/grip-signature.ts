/**
 * `Grip-Sig`: a token that tells the backend that a request came through here (GRIP 8.4), or us that one came through a gateway in
 * front (GRIP 8.5). Nothing of the request is signed.
 */
import { createPrivateKey, createPublicKey, createSecretKey, type KeyObject } from 'node:crypto';
import jsonwebtoken from 'jsonwebtoken';
import type { Clock } from '../core/clock.ts';
import { ForegateError } from '../core/errors.ts';
import type { SignatureCheck, Signer } from '../core/route.ts';

const lifeSeconds = 3600;

/**
 * A signer for a key: text or `base64:...` signs HS256, a PEM private key RS256 or ES256. A token is signed at most once a
 * second: its times have whole seconds, so it is as fresh as one made for each request.
 *
 * @throws ForegateError `bad-request` for a PEM that is no RSA or P-256 private key.
 */
export function createSigner(settings: { readonly issuer: string; readonly key: string }, clock: Clock): Signer {
  const { key, algorithm } = signingKey(settings.key);
  let second = -1;
  let token = '';
  return {
    sign() {
      const now = Math.floor(clock.now() / 1000);
      if (now !== second) {
        second = now;
        token = jsonwebtoken.sign({ iss: settings.issuer, iat: now, exp: now + lifeSeconds }, key, { algorithm });
      }
      return token;
    },
  };
}

/**
 * A check for a key: text or `base64:...` fits HS256, a PEM public key (or the private one) RS256 or ES256. A token must say when
 * it ends.
 *
 * @throws ForegateError `bad-request` for a PEM that is no RSA or P-256 key.
 */
export function createSignatureCheck(text: string, clock: Clock): SignatureCheck {
  const { key, algorithm } = text.includes('-----BEGIN') ? pemKey(text, createPublicKey) : secretKey(text);
  return {
    fits(token) {
      try {
        const claims = jsonwebtoken.verify(token, key, {
          algorithms: [algorithm],
          clockTimestamp: Math.floor(clock.now() / 1000),
        });
        return typeof claims !== 'string' && typeof claims.exp === 'number';
      } catch {
        // Whatever is wrong with it, it is a client's.
        return false;
      }
    },
  };
}

interface SigningKey {
  readonly key: KeyObject;
  /** One for each kind of key: with a choice, a public key could be used as a secret. */
  readonly algorithm: 'HS256' | 'RS256' | 'ES256';
}

function signingKey(text: string): SigningKey {
  return text.includes('-----BEGIN') ? pemKey(text, createPrivateKey) : secretKey(text);
}

function secretKey(text: string): SigningKey {
  const secret = text.startsWith('base64:') ? Buffer.from(text.slice('base64:'.length), 'base64') : Buffer.from(text);
  if (secret.length === 0) throw new ForegateError('bad-request', 'The key for Grip-Sig is empty.');
  return { key: createSecretKey(secret), algorithm: 'HS256' };
}

function pemKey(pem: string, read: (pem: string) => KeyObject): SigningKey {
  const key = readPem(pem, read);
  if (key.asymmetricKeyType === 'rsa') return { key, algorithm: 'RS256' };
  if (key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1') return { key, algorithm: 'ES256' };
  throw new ForegateError('bad-request', 'The key for Grip-Sig must be a text secret, an RSA or a P-256 key.');
}

function readPem(pem: string, read: (pem: string) => KeyObject): KeyObject {
  try {
    return read(pem);
  } catch (cause) {
    throw new ForegateError('bad-request', 'The key for Grip-Sig looks like PEM, but is none that can be used.', { cause });
  }
}

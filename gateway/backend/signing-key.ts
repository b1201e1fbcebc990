/** Keys as GRIP writes them (8.4, 9): plain text, `base64:...`, or a PEM text; and which algorithm belongs to which kind. */
import { createPrivateKey, createPublicKey, createSecretKey, KeyObject } from 'node:crypto';

/** A secret or key. In a string `base64:` stands before encoded bytes; a PEM text is recognised. */
export type KeyInput = string | Uint8Array | KeyObject;

/** What a token can be signed with; `none` is not among them. */
export type SigningAlgorithm =
  'HS256' | 'HS384' | 'HS512' | 'RS256' | 'RS384' | 'RS512' | 'ES256' | 'ES384' | 'ES512' | 'PS256' | 'PS384' | 'PS512';

/** The key to check signatures with: a secret or a public key (a private one stands for its public half). @throws TypeError */
export function verifyingKey(input: KeyInput): KeyObject {
  return toKey(input, createPublicKey);
}

/** The key to sign with: a secret or a private key. @throws TypeError */
export function signingKey(input: KeyInput): KeyObject {
  return toKey(input, createPrivateKey);
}

/** `base64:` and plain forms as bytes. */
export function keyBytes(input: string | Uint8Array): Buffer {
  if (typeof input !== 'string') return Buffer.from(input);
  return input.startsWith('base64:') ? Buffer.from(input.slice('base64:'.length), 'base64') : Buffer.from(input);
}

/** One algorithm per kind of key: with a choice, a public key could be used as a secret. @throws TypeError */
export function algorithmOf(key: KeyObject): 'HS256' | 'RS256' | 'ES256' {
  if (key.type === 'secret') return 'HS256';
  if (key.asymmetricKeyType === 'rsa') return 'RS256';
  if (key.asymmetricKeyDetails?.namedCurve === 'prime256v1') return 'ES256';
  throw new TypeError(
    `A key of type ${key.asymmetricKeyType ?? 'unknown'} cannot be used: take a secret, an RSA or a P-256 key.`,
  );
}

function toKey(input: KeyInput, fromPem: (pem: string) => KeyObject): KeyObject {
  if (input instanceof KeyObject) return input;
  const bytes = keyBytes(input);
  if (bytes.length === 0) throw new TypeError('The key is empty.');
  return bytes.includes('-----BEGIN ') ? fromPem(bytes.toString()) : createSecretKey(bytes);
}

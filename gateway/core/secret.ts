/**
 * Strings that must not be shown: keys, passwords, tokens; and PEM texts. The mark stands in the schema, so that the loader
 * knows what to read from files, and the printed settings and messages know what to hide. Also how secrets are compared.
 */
import { hash, timingSafeEqual } from 'node:crypto';
import { Type, type TString } from 'typebox';

interface SecretOptions {
  readonly description: string;
  readonly minLength?: number;
}

/**
 * A schema for a secret: a key, password or token, or a private key as PEM. In the configuration file it is text (better
 * `${NAME}`) or `file:PATH`; the policy gets the text, or the content of the file.
 */
export function Secret(options: SecretOptions): TString {
  return Type.String({ minLength: 1, ...options, [secretMark]: true });
}

/** A schema for a certificate or public key as PEM: the text, `file:PATH`, or just the path. The part gets the text. */
export function Pem(options: SecretOptions): TString {
  return Type.String({ minLength: 1, ...options, [pemMark]: true });
}

/** True for a schema made by {@link Secret}: its value must not be shown. */
export function isSecretSchema(schema: object): boolean {
  return secretMark in schema;
}

/** True for a schema made by {@link Pem}. */
export function isPemSchema(schema: object): boolean {
  return pemMark in schema;
}

/** The bytes of a symmetric secret: `base64:...` decoded, anything else as UTF-8. */
export function secretBytes(secret: string): Buffer {
  return secret.startsWith('base64:') ? Buffer.from(secret.slice('base64:'.length), 'base64') : Buffer.from(secret);
}

/** SHA-256: what is kept and compared in place of a secret. */
export function digest(secret: string | Buffer): Buffer {
  return hash('sha256', secret, 'buffer');
}

/**
 * The one comparison of secrets; the architecture test looks for others. Digests have one length, so the time it takes tells
 * neither how much of a secret was right nor how long it is.
 */
export function isSameDigest(known: Buffer, presented: Buffer): boolean {
  return timingSafeEqual(known, presented);
}

// Ordinary keywords, not symbols: the mark survives writing the schema to a file and copying it.
export const secretMark = 'x-foregate-secret';
export const pemMark = 'x-foregate-pem';

/** `GRIP_URL`: where to publish, and with which keys, in one string as the GRIP libraries have it (GRIP 9). */
import type { GripSigOptions } from './grip-sig.ts';
import { keyBytes, type KeyInput } from './signing-key.ts';

/** How a publisher shows who it is: a token as it is, a token made for each 10 minutes from a key, or HTTP Basic. */
export type PublisherAuth =
  | { readonly bearer: string }
  | { readonly issuer: string; readonly key: KeyInput }
  | { readonly user: string; readonly password: string };

export interface GripUrl {
  /** The control API, without query and credentials. */
  readonly url: string;
  readonly auth: PublisherAuth | undefined;
  /** How to check `Grip-Sig`, where the string says so. */
  readonly signature: GripSigOptions | undefined;
}

/**
 * Reads a `GRIP_URL` such as `http://127.0.0.1:5561/?iss=app&key=base64:c2VjcmV0`.
 * @throws TypeError if it is not an http or https URL; the message does not repeat it, as it may hold a key.
 */
export function parseGripUrl(text: string): GripUrl {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:') throw new TypeError('A GRIP_URL begins with http:// or https://.');
  return { url: baseOf(url), auth: authOf(url), signature: signatureOf(url) };
}

function baseOf(url: URL): string {
  return `${url.origin}${url.pathname}`.replace(/\/+$/, '');
}

function authOf(url: URL): PublisherAuth | undefined {
  const key = keyParameter(url, 'key');
  const issuer = url.searchParams.get('iss');
  if (url.username) return { user: decodeURIComponent(url.username), password: decodeURIComponent(url.password) };
  if (key === undefined) return undefined;
  return issuer === null ? { bearer: keyBytes(key).toString() } : { issuer, key };
}

/** Without a key of its own, the key for publishing also checks signatures. */
function signatureOf(url: URL): GripSigOptions | undefined {
  const issuer = url.searchParams.get('verify-iss');
  const key = keyParameter(url, 'verify-key') ?? (url.searchParams.has('iss') ? keyParameter(url, 'key') : undefined);
  return key === undefined ? undefined : { key, ...(issuer !== null && { issuer }) };
}

/** A `+` of base64 that was not escaped has become a space. */
function keyParameter(url: URL, name: string): string | undefined {
  const value = url.searchParams.get(name);
  if (value === null || value === '') return undefined;
  return value.startsWith('base64:') ? value.replaceAll(' ', '+') : value;
}

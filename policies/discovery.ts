/** Finds the key set of an issuer by its metadata (OpenID Connect Discovery 1.0, RFC 8414). */
import { ForegateError } from '../gateway/core/errors.ts';
import { fetchJson } from './fetch-json.ts';
import type { KeySetPlace } from './key-set.ts';

const wellKnown = '/.well-known/openid-configuration';

export interface Discovery {
  /** What the document must say, and so every token. */
  readonly issuer: string;
  readonly place: KeySetPlace;
}

/**
 * `address` is the issuer's URL or that of its document. Without `issuer` it is what stands before `/.well-known/`.
 * @throws ForegateError `bad-request` for an address that is not https, save on this machine
 */
export function discovery(address: string, issuer: string | undefined): Discovery {
  const url = address.includes('/.well-known/') ? address : address.replace(/\/$/, '') + wellKnown;
  const parsed = URL.parse(url);
  if (parsed === null || !isSafe(parsed) || parsed.username !== '' || parsed.password !== '')
    throw new ForegateError(
      'bad-request',
      'The discovery must be an https URL without a user name; http is for this machine only.',
    );
  const expected = issuer ?? (address.includes('/.well-known/') ? address.slice(0, address.indexOf('/.well-known/')) : address);
  return {
    issuer: expected,
    place: { url, find: async (timeoutMs) => keySetOf(await fetchJson(url, timeoutMs), expected, parsed) },
  };
}

/** @throws Error with what is wrong with the document */
function keySetOf(document: unknown, issuer: string, from: URL): string {
  if (typeof document !== 'object' || document === null || !('issuer' in document) || document.issuer !== issuer)
    throw new Error('The discovery document is of another issuer.');
  const url = 'jwks_uri' in document && typeof document.jwks_uri === 'string' ? URL.parse(document.jwks_uri) : null;
  // A document from elsewhere must not make this server call itself or its neighbours in the clear.
  if (url === null || !(url.protocol === 'https:' || (isSafe(url) && isLocal(from))))
    throw new Error('The discovery document names no key set at an https URL.');
  return url.href;
}

function isSafe(url: URL): boolean {
  return url.protocol === 'https:' || (url.protocol === 'http:' && isLocal(url));
}

function isLocal({ hostname }: URL): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}

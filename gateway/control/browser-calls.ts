/**
 * Calls that a browser makes for a page of another site. A browser adds what lets its user in without being asked: a password it
 * remembers, a client certificate, or simply that it runs on this machine. So pages of others could publish (CSRF), or read, once
 * a name of theirs leads to this machine (DNS rebinding).
 */
import { isIP } from 'node:net';
import type { IncomingMessage } from 'node:http';

type Head = Pick<IncomingMessage, 'headers' | 'method'>;

/** Whether a page of another origin makes this call. Who follows a link to here, or types the address, is no page. */
export function isFromAnotherSite(request: Head): boolean {
  const { origin, host, 'sec-fetch-site': site } = request.headers;
  if (site !== undefined) return site !== 'same-origin' && site !== 'none' && !isVisit(request);
  // Browsers say where a page is from only to servers they trust (TLS, localhost); all of them name the origin of what is not a GET.
  return origin !== undefined && origin !== `http://${host}` && origin !== `https://${host}`;
}

/** Opening a page by a link: it cannot be read by the site with the link, and changes nothing. */
function isVisit({ method, headers }: Head): boolean {
  return method === 'GET' && headers['sec-fetch-mode'] === 'navigate' && headers['sec-fetch-dest'] === 'document';
}

/**
 * Whether the name by which this machine is called is one that anybody could have led here: no address, nor `localhost`. Publishers
 * may call it as they like: a browser names the origin of a POST, and they do not.
 */
export function isUnderForeignName({ method, headers: { host, origin } }: Head): boolean {
  if (host === undefined || (method === 'POST' && origin === undefined)) return false;
  const name = host.replace(/:\d*$/, '').toLowerCase();
  return name !== 'localhost' && !name.endsWith('.localhost') && isIP(name.replace(/^\[(.*)\]$/, '$1')) === 0;
}

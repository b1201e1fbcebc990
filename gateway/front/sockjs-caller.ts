/**
 * Who may go on with a polling session. Its id is chosen by the client and stands in every path, so it is no secret to logs and
 * proxies: what proved the caller at the opening has to come again with every request.
 */
import { createHash } from 'node:crypto';
import { headerValues, type HeaderList } from '../core/headers.ts';
import type { ClientRequest, ConsumedCredential } from '../core/session.ts';

/** A request that opens a session or goes on with it. */
export type Asking = Pick<ClientRequest, 'path' | 'headers'>;

/** The same for two requests with the same credentials: those that policies used up, and `Authorization`. */
export function proofOf(request: Asking, consumed: readonly ConsumedCredential[]): string {
  const hash = createHash('sha256');
  const places: readonly ConsumedCredential[] = [{ in: 'header', name: 'authorization' }, ...consumed];
  for (const place of places) hash.update(JSON.stringify(valuesAt(request, place)));
  return hash.digest('base64');
}

function valuesAt({ path, headers }: Asking, place: ConsumedCredential): readonly string[] {
  switch (place.in) {
    case 'header':
      return headerValues(headers, place.name.toLowerCase());
    case 'query':
      return named(path.slice(path.indexOf('?') + 1).split('&'), place.name);
    case 'cookie':
      return named(
        headerValues(headers, 'cookie').flatMap((value) => value.split(';')),
        place.name.trim(),
      );
    case 'subprotocol':
      return []; // Only WebSockets offer one.
  }
}

function named(pairs: readonly string[], name: string): string[] {
  return pairs.map((pair) => pair.trim()).filter((pair) => pair.startsWith(`${name}=`));
}

/**
 * The fields of a request that opens a session. Browsers name the origin of every WebSocket and POST, but not of a script: there
 * it is the referrer's, or none that a policy would let in.
 */
export function withOrigin(method: string, headers: HeaderList): HeaderList {
  if (method !== 'GET' || headerValues(headers, 'origin').length > 0) return headers;
  return [...headers, 'Origin', originOf(headerValues(headers, 'referer')[0])];
}

function originOf(referer: string | undefined): string {
  return referer !== undefined && URL.canParse(referer) ? new URL(referer).origin : 'null';
}

/** Finds the credential in a client's request: a header field, a query parameter, a cookie or an offered subprotocol. */
import { fields, headerValues, type HeaderList } from './headers.ts';
import { limits } from './limits.ts';
import type { ClientRequest, ConsumedCredential } from './session.ts';

/** Where to look, in the order of its keys, and under which name. */
export type CredentialPlaces = Readonly<Partial<Record<Place, string | undefined>>>;
type Place = ConsumedCredential['in'];

export type FoundCredential =
  | { readonly kind: 'none' }
  /** Nothing that could be told apart or checked; `detail` is a sentence without the credential. */
  | { readonly kind: 'unclear'; readonly detail: string }
  | { readonly kind: 'found'; readonly value: string; readonly places: readonly ConsumedCredential[] };

/**
 * The first place that holds a credential decides; `places` names every one that holds any, so that none goes on unchecked.
 * A place with two different credentials is unclear, whoever of the two the backend would have believed.
 */
export function findCredential(request: ClientRequest, from: CredentialPlaces): FoundCredential {
  let first: string | undefined;
  const places: ConsumedCredential[] = [];
  for (const [place, name] of Object.entries(from)) {
    const hits = name === undefined || !isPlace(place) ? [] : look[place](request, name);
    if (hits.length > 1) return { kind: 'unclear', detail: `The ${place} holds more than one credential.` };
    first ??= hits[0]?.value;
    places.push(...(hits[0]?.places ?? []));
  }
  if (first === undefined) return { kind: 'none' };
  if (first === '') return { kind: 'unclear', detail: 'The credential is empty.' };
  if (first.length > limits.credentialBytes) return { kind: 'unclear', detail: 'The credential is too long.' };
  return { kind: 'found', value: first, places };
}

interface Hit {
  readonly value: string;
  readonly places: readonly ConsumedCredential[];
}

const look: Readonly<Record<Place, (request: ClientRequest, name: string) => readonly Hit[]>> = {
  header: (request, name) => inHeader(request.headers, name.toLowerCase()),
  query: (request, name) => inQuery(request.path, name),
  cookie: (request, name) => inCookie(request.headers, name),
  subprotocol: (request, name) => inSubprotocol(request.headers, name),
};

function isPlace(text: string): text is Place {
  return Object.hasOwn(look, text);
}

function inHeader(headers: HeaderList, lowerName: string): Hit[] {
  const sameName = [...fields(headers)].filter(([name]) => name.toLowerCase() === lowerName);
  return sameName.flatMap(([name, text]) => {
    // Two fields are one too many, whatever their schemes.
    const value = lowerName === 'authorization' && sameName.length === 1 ? bearer(text) : text.trim();
    return value === undefined ? [] : [{ value, places: [{ in: 'header', name }] }];
  });
}

/** RFC 6750 section 2.1; undefined for another scheme. */
function bearer(text: string): string | undefined {
  const match = /^bearer(?: +(.*))?$/i.exec(text.trim());
  return match ? (match[1] ?? '') : undefined;
}

function inQuery(path: string, name: string): Hit[] {
  const start = path.indexOf('?');
  if (start < 0) return [];
  return pairs(path.slice(start + 1), '&')
    .filter(([rawName]) => decodeForm(rawName) === name)
    .map(([rawName, value]) => ({ value: decodeForm(value), places: [{ in: 'query', name: rawName }] }));
}

function inCookie(headers: HeaderList, name: string): Hit[] {
  return headerValues(headers, 'cookie')
    .flatMap((value) => pairs(value, ';'))
    .filter(([cookie]) => cookie.trim() === name)
    .map(([, value]) => ({ value: value.trim().replace(/^"(.*)"$/, '$1'), places: [{ in: 'cookie', name }] }));
}

/** A browser can set no header field on a WebSocket: the token is offered after a marker, or behind `marker.`. */
function inSubprotocol(headers: HeaderList, marker: string): Hit[] {
  const offered = headerValues(headers, 'sec-websocket-protocol')
    .flatMap((value) => value.split(','))
    .map((name) => name.trim());
  const hits: Hit[] = [];
  for (let i = 0; i < offered.length; i += 1) {
    const name = offered[i] ?? '';
    if (name === marker) {
      const value = offered[(i += 1)] ?? '';
      hits.push({
        value,
        places: [
          { in: 'subprotocol', name: value },
          { in: 'subprotocol', name, answer: name },
        ],
      });
    }
    if (name.startsWith(`${marker}.`)) {
      hits.push({ value: name.slice(marker.length + 1), places: [{ in: 'subprotocol', name, answer: name }] });
    }
  }
  return hits;
}

function pairs(text: string, separator: string): [name: string, value: string][] {
  return text.split(separator).map((pair) => {
    const equals = pair.indexOf('=');
    return equals < 0 ? [pair, ''] : [pair.slice(0, equals), pair.slice(equals + 1)];
  });
}

function decodeForm(text: string): string {
  const spaced = text.replaceAll('+', ' ');
  try {
    return decodeURIComponent(spaced);
  } catch {
    // Not an encoding of anything: it can only be meant as it stands.
    return spaced;
  }
}

/**
 * What a client that comes back says it has: `Foregate-Last: <channel>; last-id=<id>` in its handshake, or the same text as the query
 * parameter `foregate-last`, for browsers. It is used up here; the backend gets it as `Grip-Last` with OPEN.
 */
import { headerValues, isHeaderValue, type HeaderList } from '../core/headers.ts';
import { isChannelName, type ChannelName } from '../core/ids.ts';
import type { Route } from '../core/route.ts';
import type { ClientRequest, ConsumedCredential } from '../core/session.ts';
import { readLastIds } from '../wire/last-ids.ts';

const field = 'foregate-last';

export interface ClientLastIds {
  /** With the route's prefix. */
  readonly ids: ReadonlyMap<ChannelName, string>;
  /** Where they stood. */
  readonly consumed: readonly ConsumedCredential[];
}

/** Undefined where the client said nothing, which is nearly always; `invalid` where it cannot be understood. */
export function clientLastIds({ headers, path }: ClientRequest, route: Route): ClientLastIds | 'invalid' | undefined {
  const inQuery = path.includes(`${field}=`) ? inParameters(path) : [];
  const inHeader = says(headers) ? headerValues(headers, field) : [];
  if (inQuery.length === 0 && inHeader.length === 0) return undefined;
  const said = readLastIds([...inQuery, ...inHeader]);
  const ids = said && withPrefix(said, route);
  if (ids === undefined) return 'invalid';
  return {
    ids,
    consumed: [
      { in: 'query', name: field },
      { in: 'header', name: field },
    ],
  };
}

/** Without an array for those, nearly all, who say nothing. */
function says(headers: HeaderList): boolean {
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i];
    if (name?.length === field.length && name.toLowerCase() === field) return true;
  }
  return false;
}

/** The values of the query parameter, with the bytes that a header field would have. */
function inParameters(path: string): string[] {
  const parameters = path.slice(path.indexOf('?') + 1).split('&');
  return parameters
    .filter((parameter) => parameter.startsWith(`${field}=`))
    .map((parameter) => decoded(parameter.slice(field.length + 1)));
}

/** Empty, so not valid, for what is no text or has line ends. */
function decoded(written: string): string {
  try {
    const bytes = Buffer.from(decodeURIComponent(written.replaceAll('+', ' '))).toString('latin1');
    return isHeaderValue(bytes) ? bytes : '';
  } catch {
    return '';
  }
}

function withPrefix(
  said: ReadonlyMap<string, string>,
  { channelPrefix, limits }: Route,
): ReadonlyMap<ChannelName, string> | undefined {
  if (said.size > limits.subscriptions) return undefined;
  const ids = new Map<ChannelName, string>();
  for (const [name, id] of said) {
    const channel = channelPrefix + name;
    if (!isChannelName(channel)) return undefined;
    ids.set(channel, id);
  }
  return ids;
}

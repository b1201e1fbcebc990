/** The last ids that somebody has of channels, as header fields say them (`<channel>; last-id=<id>`, in a list, GRIP 4.5), and what goes with them. */
import { limits } from '../core/limits.ts';
import { readList, type HeaderElement } from './header-elements.ts';

/** By channel. Of a channel that is named twice the last counts. Undefined if any of it cannot be read. */
export function readLastIds(fieldValues: readonly string[]): ReadonlyMap<string, string> | undefined {
  const ids = new Map<string, string>();
  for (const value of fieldValues) {
    const elements = readList(value);
    if (elements === undefined || elements.length === 0) return undefined;
    for (const element of elements) {
      const id = idOf(element);
      if (element.value === '' || id === undefined) return undefined;
      ids.set(element.value, id);
    }
  }
  return ids;
}

/** True for a text that is not too long; an empty one may stand for the time before the first item. */
export function isLastId(id: unknown): id is string {
  return typeof id === 'string' && id.length <= limits.lastIdBytes && Buffer.byteLength(id) <= limits.lastIdBytes;
}

/** True for the URI of a link inside a socket: relative or of HTTP, and written as it goes into a request. */
export function isLinkUri(uri: unknown): uri is string {
  if (typeof uri !== 'string' || uri.length > limits.linkBytes || /[^\x21-\x7e]|[<>]/.test(uri)) return false;
  return /^https?:$/.test(URL.parse(uri, 'http://localhost/')?.protocol ?? '');
}

function idOf({ parameters }: HeaderElement): string | undefined {
  const id = parameters.findLast(({ name }) => name === 'last-id')?.value;
  return isLastId(id) ? id : undefined;
}

/** Tells from its header fields that a reply came out of a cache on the way. */
import { fields, type HeaderList } from '../core/headers.ts';

/** Several caches list what each of them did: one that had the reply is enough. */
const hit = /(?:^|[\s,])hit(?:$|[\s,;])/i;

/** By names in lower case. */
const signs: ReadonlyMap<string, RegExp> = new Map([
  ['age', /^\s*0*[1-9]\d*\s*$/],
  ['x-cache', hit],
  ['x-cache-status', hit],
  ['apisix-cache-status', hit],
  ['x-tyk-cached-response', /^\s*1\s*$/],
]);

/** The name of the field that shows it, as the reply spells it; undefined: none does. */
export function cacheSign(headers: HeaderList): string | undefined {
  for (const [name, value] of fields(headers)) if (signs.get(name.toLowerCase())?.test(value) === true) return name;
  return undefined;
}

/**
 * What a backend stores with a session: it comes with each request as `Meta-*`, and changes go back as `Set-Meta-*` (GRIP 2.6).
 * So the backend itself needs no memory.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { isHeaderName, isHeaderValue } from '../core/headers.ts';

const incomingPrefix = 'meta-';

/** Names are not case-sensitive. `Name` is the union of the names a backend uses, for the compiler only. */
export class SessionMeta<Name extends string = string> {
  readonly #before = new Map<string, string>();
  readonly #now: Map<string, string>;

  constructor(headers: IncomingHttpHeaders) {
    for (const [name, value] of Object.entries(headers)) {
      if (name.startsWith(incomingPrefix) && typeof value === 'string')
        this.#before.set(name.slice(incomingPrefix.length), value);
    }
    this.#now = new Map(this.#before);
  }

  get(name: Name): string | undefined {
    return this.#now.get(name.toLowerCase());
  }

  /**
   * Stores an item until the session ends. An empty value is the same as `delete`.
   * @throws TypeError for what cannot stand in a header field; encode other text, for example by `encodeURIComponent`.
   */
  set(name: Name, value: string): void {
    if (!isHeaderName(name)) throw new TypeError(`"${name}" cannot be the name of a meta item: it is part of a header name.`);
    if (!isHeaderValue(value)) throw new TypeError(`The value of meta item "${name}" cannot stand in a header: encode it first.`);
    if (value === '') this.delete(name);
    else this.#now.set(name.toLowerCase(), value);
  }

  delete(name: Name): void {
    this.#now.delete(name.toLowerCase());
  }

  /** The changes as header fields; an empty value deletes. */
  changes(): Record<string, string> {
    const fields: Record<string, string> = {};
    for (const [name, value] of this.#now) if (this.#before.get(name) !== value) fields[`Set-Meta-${name}`] = value;
    for (const name of this.#before.keys()) if (!this.#now.has(name)) fields[`Set-Meta-${name}`] = '';
    return fields;
  }
}

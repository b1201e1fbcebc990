/** Tells the backend in header fields what a token says of its bearer, in place of whatever the client wrote there. */
import { ForegateError } from '../gateway/core/errors.ts';
import type { RequestDraft } from '../gateway/core/exchange.ts';
import { isHeaderName, isHopByHop, type HeaderDraft } from '../gateway/core/headers.ts';
import type { Identity } from '../gateway/core/session.ts';

type Claims = NonNullable<Identity['claims']>;

export class ForwardClaims {
  readonly #claims: readonly (readonly [field: string, claim: string])[];
  readonly #names: ReadonlySet<string>;

  /** @throws ForegateError `bad-request` for fields that are not for this */
  constructor(fields: Readonly<Record<string, string>>) {
    this.#claims = Object.entries(fields);
    this.#names = new Set(this.#claims.map(([field]) => normalName(field)));
    const wrong = this.#claims.find(([field]) => !isHeaderName(field) || isReserved(normalName(field)));
    if (wrong !== undefined)
      throw new ForegateError('bad-request', `The header field ${JSON.stringify(wrong[0])} cannot carry a claim.`);
    if (this.#names.size < this.#claims.length) throw new ForegateError('bad-request', 'Each header field can carry one claim.');
  }

  /** The name of a claim that no header field can carry, or undefined. */
  flawIn(claims: Claims): string | undefined {
    return this.#claims.find(([, claim]) => fieldValue(claims, claim) === undefined)?.[1];
  }

  /** Without claims the fields are only taken out: a client must not be able to set them. */
  write({ headers }: RequestDraft, claims: Claims | undefined): void {
    this.#remove(headers);
    if (claims === undefined) return;
    for (const [field, claim] of this.#claims) {
      const value = fieldValue(claims, claim);
      if (value !== undefined && value !== '') headers.push(field, value);
    }
  }

  #remove(headers: HeaderDraft): void {
    for (let i = headers.length - 2; i >= 0; i -= 2) if (this.#names.has(normalName(headers[i] ?? ''))) headers.splice(i, 2);
  }
}

/** Backends that see `_` and `-` as the same would else take a forged field for the real one. */
function normalName(name: string): string {
  return name.toLowerCase().replaceAll('_', '-');
}

/** Fields that say something about the connection, the body or GRIP. */
function isReserved(name: string): boolean {
  return (
    isHopByHop(name) ||
    /^(?:host|expect|accept-encoding|content-.*|connection-id|keep-alive-interval|(?:grip|meta|set-meta|sec-websocket)-.*)$/.test(
      name,
    )
  );
}

/** Empty for a claim that is not there; undefined for one that would not arrive as it is. */
function fieldValue(claims: Claims, name: string): string | undefined {
  const claim = Object.hasOwn(claims, name) ? claims[name] : undefined;
  if (claim === undefined || claim === null) return '';
  if (!Array.isArray(claim)) return textOf(claim);
  const items = claim.map(textOf);
  // A comma inside would make two items of one.
  return items.some((item) => item === undefined || item.includes(',')) ? undefined : items.join(',');
}

function textOf(claim: unknown): string | undefined {
  if (typeof claim === 'number' || typeof claim === 'boolean') return String(claim);
  // The next hop would cut off spaces at the ends; control characters could begin a field of their own.
  if (typeof claim !== 'string' || claim !== claim.trim() || /\p{Cc}|\p{Cs}/u.test(claim)) return undefined;
  // Header fields are bytes: those of UTF-8 arrive as such.
  return Buffer.from(claim).toString('latin1');
}

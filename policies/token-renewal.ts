/**
 * Newer tokens for open WebSockets: reads the messages by which clients hand them in, in the form that their route names, and puts
 * them in place of the first where that goes on to the backend.
 */
import type { Message } from '../gateway/core/event.ts';
import type { RequestDraft } from '../gateway/core/exchange.ts';
import { header, setHeader } from '../gateway/core/headers.ts';
import { limits } from '../gateway/core/limits.ts';
import type { SessionView } from '../gateway/core/session.ts';

export interface RenewalForm {
  readonly member: string;
  readonly value: string;
  readonly token: string;
}

export type RenewalMessage =
  | { readonly kind: 'other' }
  | { readonly kind: 'token'; readonly token: string }
  /** Meant as one, and without a token that could be checked. */
  | { readonly kind: 'unclear' };

/** Runs for every message of every client: what cannot be one is told apart without parsing. */
export function renewalReader({ member, value, token }: RenewalForm): (message: Message) => RenewalMessage {
  const mark = Buffer.from(JSON.stringify(value).slice(1, -1));
  return ({ kind, data }) => {
    if (kind !== 'text' || data[0] !== openingBrace || data.length > longestBytes || !data.includes(mark)) return other;
    const parsed = parse(data);
    if (parsed === undefined || parsed[member] !== value) return other;
    const presented = parsed[token];
    const isClear = typeof presented === 'string' && presented !== '' && presented.length <= limits.credentialBytes;
    return isClear ? { kind: 'token', token: presented } : { kind: 'unclear' };
  };
}

const other: RenewalMessage = { kind: 'other' };
const openingBrace = 0x7b;
/** Room for a token of the longest kind and what may stand around it. */
const longestBytes = limits.credentialBytes * 2;

function parse(data: Buffer): Readonly<Record<string, unknown>> | undefined {
  try {
    // Begins with a brace: it can only be an object.
    return JSON.parse(data.toString()) as Readonly<Record<string, unknown>>;
  } catch {
    return undefined;
  }
}

/** The newest token of each session that has renewed its own. */
export class RenewedTokens {
  readonly #field: string;
  readonly #tokens = new WeakMap<SessionView, string>();

  /** `field`: the header field where tokens stand. */
  constructor(field: string) {
    this.#field = field;
  }

  note(session: SessionView, token: string): void {
    this.#tokens.set(session, /^authorization$/i.test(this.#field) ? `Bearer ${token}` : token);
  }

  /** Only where the first one stood in the field. */
  write({ headers }: RequestDraft, session: SessionView): void {
    const value = this.#tokens.get(session);
    if (value !== undefined && header(headers, this.#field.toLowerCase()) !== undefined) setHeader(headers, this.#field, value);
  }
}

/** Close codes that may stand on the wire (RFC 6455 section 7.4.1, GRIP chapter 9). */

import { errors, type ErrorCode } from './errors.ts';

/** False for codes that must not be sent: 0-999, 1004-1006, 1015 and the reserved rest, above 4999. */
export function isSendableCloseCode(code: number): boolean {
  if (code >= 3000) return code <= 4999;
  return code >= 1000 && code <= 1014 && code !== 1004 && code !== 1005 && code !== 1006;
}

/** What a route says instead of the close code of an error. */
export interface CloseCodeRule {
  readonly error: ErrorCode;
  /** Only where this subprotocol was agreed; undefined: in all others. */
  readonly subprotocol: string | undefined;
  readonly code: number;
}

/** The rule for the subprotocol comes before the one for all, and this before the table of errors. */
export function closeCodeOf(error: ErrorCode, rules: readonly CloseCodeRule[], subprotocol: string | undefined): number {
  const fitting = rules.filter((rule) => rule.error === error);
  const own = fitting.find((rule) => rule.subprotocol !== undefined && rule.subprotocol === subprotocol);
  return (own ?? fitting.find((rule) => rule.subprotocol === undefined))?.code ?? errors[error].close;
}

/** Cuts a reason to the 123 bytes a close frame has room for, never inside a character. */
export function closeReason(reason: string): string {
  const bytes = Buffer.from(reason);
  if (bytes.length <= 123) return reason;
  let end = 123;
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.toString('utf8', 0, end);
}

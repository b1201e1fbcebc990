/** Close codes that may stand on the wire (RFC 6455 section 7.4.1, GRIP chapter 9). */

/** False for codes that must not be sent: 0-999, 1004-1006, 1015 and the reserved rest, above 4999. */
export function isSendableCloseCode(code: number): boolean {
  if (code >= 3000) return code <= 4999;
  return code >= 1000 && code <= 1014 && code !== 1004 && code !== 1005 && code !== 1006;
}

/** Cuts a reason to the 123 bytes a close frame has room for, never inside a character. */
export function closeReason(reason: string): string {
  const bytes = Buffer.from(reason);
  if (bytes.length <= 123) return reason;
  let end = 123;
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.toString('utf8', 0, end);
}

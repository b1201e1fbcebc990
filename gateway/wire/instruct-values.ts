/** What the two forms of GRIP instructions, header fields and JSON documents, check alike (GRIP 4.2-4.4). */
import { STATUS_CODES } from 'node:http';
import { ForegateError } from '../core/errors.ts';
import { isHeaderName, isHeaderValue } from '../core/headers.ts';
import { isChannelName } from '../core/ids.ts';
import type { Membership } from '../core/instruction.ts';
import { limits } from '../core/limits.ts';
import type { Metadata } from '../core/session.ts';

/** An instruction that cannot be followed; `fault` is what a backend's author is told. */
export function badInstruct(fault: string): ForegateError {
  return new ForegateError('bad-reply', fault);
}

/** Checks what both forms give: a name, at most five filters. */
export function membership(name: string, filters: readonly string[], previousId: string | undefined, prefix: string): Membership {
  const channel = prefix + name;
  if (name === '' || !isChannelName(channel)) throw badInstruct('failed to parse Grip-Channel');
  if (filters.length > limits.filters) throw badInstruct(`too many filters for channel '${name}'`);
  return { channel, filters, ...(previousId !== undefined && { previousId }) };
}

/** Metadata for filters: names in lower case, what is too much or too long left out. */
export function metadata(items: Iterable<readonly [name: string, value: string]>): Metadata {
  const meta = new Map<string, string>();
  for (const [name, value] of items) {
    const lowerName = name.toLowerCase();
    if (value.length > limits.metadataBytes) continue;
    if (meta.size < limits.metadataItems || meta.has(lowerName)) meta.set(lowerName, value);
  }
  return meta;
}

/** Milliseconds for a response hold; below five seconds acts as five. Default 55 seconds. */
export function responseTimeoutMs(seconds: number | undefined): number {
  return seconds === undefined ? 55_000 : Math.max(seconds * 1000, 5000);
}

/** Milliseconds for a keep-alive; below one second acts as one. Default 55 seconds. */
export function keepAliveTimeoutMs(seconds: number | undefined): number {
  return seconds === undefined ? 55_000 : Math.max(seconds * 1000, 1000);
}

/** The largest timeout in seconds, as backends know it: a signed 32-bit number. */
const secondsMax = 0x7fff_ffff;

/** A sign and digits, within 32 bits; undefined for anything else. */
export function wholeNumber(text: string): number | undefined {
  const number = /^\s*[+-]?\d+\s*$/.test(text) ? Number(text) : NaN;
  return Math.abs(number) <= secondsMax ? number : undefined;
}

/** True for the status of a final answer. GRIP also lets 0 to 199 through, which no client would take for one. */
export function isFinalStatus(status: number): boolean {
  return Number.isInteger(status) && status >= 200 && status <= 999;
}

/** The phrase for a status that came without one. */
export function reasonPhrase(status: number): string {
  return STATUS_CODES[status] ?? 'Undefined Reason';
}

/** A pair of a JSON document as header fields: its bytes on the wire, or undefined for what cannot be one. */
export function headerPair(name: string, value: string): readonly [name: string, value: string] | undefined {
  const bytes = onWire(value);
  return isHeaderName(name) && isHeaderValue(bytes) ? [name, bytes] : undefined;
}

/** UTF-8 as the Latin-1 text that header lists hold. */
export function onWire(text: string): string {
  return Buffer.from(text).toString('latin1');
}

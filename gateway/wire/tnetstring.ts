/**
 * Tnetstrings, `<length>:<payload><type>`, as Pushpin and its publishers exchange them over ZeroMQ (GRIP 6.6). What comes in is
 * read strictly: no length beyond what is there, nothing behind the value, no more levels than {@link limits.tnetstringDepth}.
 */
import { isUtf8 } from 'node:buffer';
import { ForegateError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';

/** Text is bytes here. Integers are those that JavaScript knows exactly. */
export type TnetValue = Buffer | number | boolean | null | readonly TnetValue[] | TnetMap;

export interface TnetMap {
  readonly [key: string]: TnetValue;
}

/** @throws TypeError for NaN and infinite numbers, which have no form */
export function encodeTnetstring(value: TnetValue | string): Buffer {
  if (typeof value === 'string') return framed(Buffer.from(value), ',');
  if (Buffer.isBuffer(value)) return framed(value, ',');
  if (value === null) return framed(Buffer.alloc(0), '~');
  if (typeof value === 'boolean') return framed(Buffer.from(String(value)), '!');
  if (typeof value === 'number') return encodeNumber(value);
  if (isList(value)) return framed(Buffer.concat(value.map(encodeTnetstring)), ']');
  return framed(Buffer.concat(Object.entries(value).flat().map(encodeTnetstring)), '}');
}

function encodeNumber(value: number): Buffer {
  if (!Number.isFinite(value)) throw new TypeError(`A tnetstring cannot hold ${value}.`);
  if (Object.is(value, -0)) return framed(Buffer.from('-0'), '^');
  return framed(Buffer.from(String(value)), Number.isSafeInteger(value) ? '#' : '^');
}

function framed(payload: Buffer, type: string): Buffer {
  return Buffer.concat([Buffer.from(`${payload.length}:`), payload, Buffer.from(type)]);
}

/** Bytes of the result share the memory of `bytes`. @throws ForegateError `bad-request` */
export function decodeTnetstring(bytes: Buffer): TnetValue {
  const reader = new Reader(bytes);
  const value = reader.value(bytes.length, 0);
  if (reader.at < bytes.length) throw invalid('something stands behind it');
  return value;
}

export function isTnetMap(value: TnetValue | undefined): value is TnetMap {
  return typeof value === 'object' && value !== null && !Buffer.isBuffer(value) && !isList(value);
}

export function isList(value: TnetValue | undefined): value is readonly TnetValue[] {
  return Array.isArray(value);
}

/** @throws ForegateError `bad-request` */
export function textOf(bytes: Buffer): string {
  if (!isUtf8(bytes)) throw invalid('a text is not UTF-8');
  return bytes.toString();
}

const colon = 0x3a;
/** Digits of a length: more would be longer than any message. */
const lengthDigits = 9;

class Reader {
  at = 0;
  readonly #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** Reads one value that must end before `end`. */
  value(end: number, depth: number): TnetValue {
    const length = this.#length(end);
    const start = this.at;
    const typeAt = start + length;
    if (typeAt >= end) throw invalid('it is shorter than it says');
    const type = String.fromCharCode(this.#bytes[typeAt] ?? 0);
    const value = this.#payload(type, typeAt, depth);
    this.at = typeAt + 1;
    return value;
  }

  #length(end: number): number {
    let length = 0;
    for (let digits = 0; this.at < end; digits += 1) {
      const code = this.#bytes[this.at] ?? 0;
      this.at += 1;
      if (code === colon && digits > 0) return length;
      if (code < 0x30 || code > 0x39 || digits >= lengthDigits || (length === 0 && digits > 0)) break;
      length = length * 10 + code - 0x30;
    }
    throw invalid('a length is not valid');
  }

  #payload(type: string, end: number, depth: number): TnetValue {
    if (type === ']') return this.#list(end, deeper(depth));
    if (type === '}') return this.#map(end, deeper(depth));
    return scalar(type, this.#bytes.subarray(this.at, end));
  }

  #list(end: number, depth: number): TnetValue[] {
    const list: TnetValue[] = [];
    while (this.at < end) list.push(this.value(end, depth));
    return list;
  }

  #map(end: number, depth: number): TnetMap {
    const entries: [string, TnetValue][] = [];
    while (this.at < end) {
      const key = this.value(end, depth);
      if (!Buffer.isBuffer(key)) throw invalid('a key is not a text');
      entries.push([textOf(key), this.value(end, depth)]);
    }
    return Object.fromEntries(entries); // Defines `__proto__` too as a member like any other.
  }
}

function deeper(depth: number): number {
  if (depth >= limits.tnetstringDepth) throw invalid('it has too many levels');
  return depth + 1;
}

const integer = /^-?\d{1,16}$/;
const float = /^-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?$/;

function scalar(type: string, payload: Buffer): TnetValue {
  switch (type) {
    case ',':
      return payload;
    case '#':
      return numberOf(payload, integer);
    case '^':
      return numberOf(payload, float);
    case '!':
      return booleanOf(payload.toString('latin1'));
    case '~':
      if (payload.length === 0) return null;
      throw invalid('a null has content');
    default:
      throw invalid('a type is not known');
  }
}

function numberOf(payload: Buffer, form: RegExp): number {
  const text = payload.length > 400 ? '' : payload.toString('latin1');
  const number = form.test(text) ? Number(text) : NaN;
  if (!Number.isFinite(number) || (form === integer && !Number.isSafeInteger(number))) throw invalid('a number is not valid');
  return number;
}

function booleanOf(text: string): boolean {
  if (text === 'true' || text === 'false') return text === 'true';
  throw invalid('a boolean is neither true nor false');
}

function invalid(what: string): ForegateError {
  return new ForegateError('bad-request', `The tnetstring is not valid: ${what}.`);
}

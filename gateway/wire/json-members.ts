/** Members of JSON objects from publishers: each read checks the type and refuses with the texts of GRIP 6.3. */
import { ForegateError } from '../core/errors.ts';

/** A parsed JSON object. A member that is missing reads as undefined, which no JSON value is. */
export type JsonObject = Readonly<Record<string, unknown>>;

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The refusal of a publish call; `fault` says what is wrong and is empty for an unknown action. */
export function invalidFormat(fault: string): ForegateError {
  return new ForegateError('bad-request', `Invalid format: ${fault}`);
}

export function wrongType(owner: string, name: string): ForegateError {
  return invalidFormat(`${owner} contains '${name}' with wrong type`);
}

export function invalidValue(owner: string, name: string): ForegateError {
  return invalidFormat(`${owner} contains '${name}' with invalid value`);
}

/** @throws ForegateError `bad-request` */
export function stringMember(owner: string, object: JsonObject, name: string): string | undefined {
  const value = object[name];
  if (value === undefined || typeof value === 'string') return value;
  throw wrongType(owner, name);
}

/** @throws ForegateError `bad-request` */
export function listMember(owner: string, object: JsonObject, name: string): readonly unknown[] | undefined {
  const value = object[name];
  if (value === undefined || Array.isArray(value)) return value;
  throw wrongType(owner, name);
}

/** @throws ForegateError `bad-request` */
export function objectMember(owner: string, object: JsonObject, name: string): JsonObject | undefined {
  const value = object[name];
  if (value === undefined || isJsonObject(value)) return value;
  throw wrongType(owner, name);
}

/** @throws ForegateError `bad-request` */
export function booleanMember(owner: string, object: JsonObject, name: string): boolean | undefined {
  const value = object[name];
  if (value === undefined || typeof value === 'boolean') return value;
  throw wrongType(owner, name);
}

/**
 * A whole number from 0 to `max`, also written as a string: client libraries send codes that way. A string that is no number
 * counts as 0, as publishers know it.
 * @throws ForegateError `bad-request`
 */
export function wholeNumberMember(owner: string, object: JsonObject, name: string, max: number): number | undefined {
  const value = object[name];
  if (value === undefined) return undefined;
  const number = typeof value === 'string' ? numberOfText(value) : value;
  if (typeof number !== 'number' || !Number.isInteger(number)) throw wrongType(owner, name);
  if (number < 0 || number > max) throw invalidValue(owner, name);
  return number;
}

function numberOfText(text: string): number {
  const number = /^\s*[+-]?\d+\s*$/.test(text) ? Number(text) : 0;
  return Number.isSafeInteger(number) ? number : 0;
}

/**
 * Bytes written as base64, in the one form of RFC 4648 section 4: nothing is skipped and nothing is guessed. An encoding that has
 * bytes of its own (tnetstring) gives them as they are.
 * @throws ForegateError `bad-request`
 */
export function base64Member(owner: string, object: JsonObject, name: string): Buffer | undefined {
  if (Buffer.isBuffer(object[name])) return object[name];
  const text = stringMember(owner, object, name);
  if (text === undefined) return undefined;
  const bytes = Buffer.from(text, 'base64');
  // Node's decoder skips what it does not know; encoding again shows whether there was anything.
  if (bytes.toString('base64') !== text) throw wrongType(owner, name);
  return bytes;
}

/** JSON Patch (RFC 6902) for `body-patch` (GRIP 6.3): a library behind one function, with bounds that it does not have. */
import { isDeepStrictEqual } from 'node:util';
import { applyPatch, Pointer, type Operation } from 'rfc6902';
import { limits } from '../core/limits.ts';
import { isJsonObject } from './json-members.ts';

/** A patch that does not fit its document. */
export class PatchError extends Error {}

/**
 * Applies all operations or none; the document may be changed by it in both cases.
 * @returns the new document, which may be the one that was given
 * @throws PatchError for operations that are not valid, or do not fit the document
 */
export function patched(document: unknown, patch: readonly unknown[]): unknown {
  // The library cannot replace a whole document, so it is put into a member without a name, and every path begins with it.
  const root = { '': document };
  let copiesLeft: number = limits.replyBytes;
  for (const operation of patch.map(checked)) {
    if (!fits(root, operation)) throw notFitting(operation);
    if (operation.op === 'copy') copiesLeft -= JSON.stringify(lookUp(root, operation.from)).length;
    // Each copy may double the document.
    if (copiesLeft < 0) throw new PatchError('the patch copies too much');
    // The library compares arrays in a time that grows with the product of their lengths.
    if (operation.op === 'test') continue;
    const [fault] = applyPatch(root, [operation]);
    if (fault) throw notFitting(operation);
  }
  return root[''];
}

/** An operation with its paths below {@link patched}'s root. */
function checked(operation: unknown): Operation {
  if (!isJsonObject(operation)) throw new PatchError('an operation is not an object');
  const { op, path, from, value } = operation;
  const pair = { path: pointerOf(path), ...((op === 'move' || op === 'copy') && { from: pointerOf(from) }) };
  const needsValue = op === 'add' || op === 'replace' || op === 'test';
  if (needsValue && value === undefined) throw new PatchError('an operation has no value');
  if (!needsValue && op !== 'remove' && op !== 'move' && op !== 'copy') throw new PatchError('an operation is not known');
  return { op, ...pair, ...(needsValue && { value }) } as Operation; // The members that its `op` needs are there.
}

/** Names that objects have of themselves: the library passes over them, so that other members would be changed. */
const reserved: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

function pointerOf(path: unknown): string {
  if (typeof path !== 'string' || (path !== '' && !path.startsWith('/')) || /~(?![01])/.test(path))
    throw new PatchError('a path is not a JSON pointer');
  if (Pointer.fromJSON(path).tokens.some((token) => reserved.has(token))) throw new PatchError('a path has a reserved name');
  return `/${path}`;
}

/** What the library leaves to its caller: values that must be there, and places in arrays. */
function fits(root: unknown, operation: Operation): boolean {
  const { op, path } = operation;
  if (op === 'test') return isDeepStrictEqual(lookUp(root, path), operation.value);
  if (op === 'remove') return path !== '/' && lookUp(root, path) !== undefined;
  if (op === 'replace') return lookUp(root, path) !== undefined;
  if (op === 'add') return hasPlace(root, path);
  return lookUp(root, operation.from) !== undefined && hasPlace(root, path) && (op === 'copy' || operation.from !== '/');
}

function hasPlace(root: unknown, path: string): boolean {
  const at = path.lastIndexOf('/');
  const parent = at === 0 ? root : lookUp(root, path.slice(0, at));
  const token = path.slice(at + 1);
  if (!Array.isArray(parent)) return isJsonObject(parent);
  return token === '-' || (indexPattern.test(token) && Number(token) <= parent.length);
}

const indexPattern = /^(?:0|[1-9]\d*)$/;

/** Undefined where there is nothing. */
function lookUp(root: unknown, path: string): unknown {
  let value = root;
  for (const token of Pointer.fromJSON(path).tokens.slice(1)) value = memberOf(value, token);
  return value;
}

function memberOf(value: unknown, token: string): unknown {
  if (Array.isArray(value)) return indexPattern.test(token) ? value[Number(token)] : undefined;
  return isJsonObject(value) && Object.hasOwn(value, token) ? value[token] : undefined;
}

function notFitting({ op, path }: Operation): PatchError {
  return new PatchError(`the operation ${op} does not fit at ${path.slice(1) || 'the root'}`);
}

/** Keys and files as Pushpin names them: a relative path starts from the folder of `pushpin.conf`. */
import { posix } from 'node:path';
import { realClock } from '../../gateway/core/clock.ts';
import { createSignatureCheck, createSigner } from '../../gateway/wire/grip-signature.ts';

/** Text and `base64:...` as they are, `file:PATH` with the whole path. */
export function keySource(key: string, folder: string): string {
  return key.startsWith('file:') ? fileSource(key.slice('file:'.length), folder) : key;
}

/** `file:` and the whole path. */
export function fileSource(path: string, folder: string): string {
  return `file:${posix.resolve(folder, path)}`;
}

/** False for a key that cannot sign; what a file holds is not looked at. */
export function isKey(key: string): boolean {
  return isRead(key) || works(() => createSigner({ issuer: '', key }, realClock));
}

/** False for a key that cannot check signatures, likewise. */
export function isUpstreamKey(key: string): boolean {
  return isRead(key) || works(() => createSignatureCheck(key, realClock));
}

function isRead(key: string): boolean {
  return key.startsWith('file:') && key.length > 'file:'.length;
}

function works(make: () => unknown): boolean {
  try {
    make();
    return true;
  } catch {
    return false;
  }
}

/** What is said of a key for which {@link isKey} is false. */
export const noKey = 'Not a key that can sign.';

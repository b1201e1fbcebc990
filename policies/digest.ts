/** Secrets are compared here and nowhere else: by digests of equal length, in constant time. */
import { createHash, timingSafeEqual } from 'node:crypto';

/** SHA-256 of a text. */
export function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/** How long it takes tells nothing about the two. */
export function isSame(secret: string, presented: string): boolean {
  return timingSafeEqual(digest(secret), digest(presented));
}

/** Names in Redis: callers choose what is in them, of any length, and it may be personal. */
import { hash } from 'node:crypto';

export function digest(text: string): string {
  return hash('sha256', text, 'base64url');
}

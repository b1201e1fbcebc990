/**
 * Tickets that carry an identity themselves, sealed (AES-256-GCM): nothing is kept for one that is never used, and every process
 * that has the secret can open it. What makes them single is not here.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import type { Identity } from '../gateway/core/session.ts';

export interface Ticket {
  /** Different for each one: 128 random bits. */
  readonly id: string;
  readonly identity: Identity;
  /** Milliseconds since 1970. */
  readonly until: number;
}

const idBytes = 16;
const tagBytes = 16;

export class TicketSeal {
  readonly #key: Buffer;

  constructor(secret: Buffer) {
    this.#key = Buffer.from(hkdfSync('sha256', secret, '', 'foregate ticket', 32));
  }

  /** `place`: where alone it is good. */
  close({ identity, until }: Omit<Ticket, 'id'>, place: string): string {
    const id = randomBytes(idBytes);
    const cipher = createCipheriv('aes-256-gcm', this.#key, id, { authTagLength: tagBytes }).setAAD(Buffer.from(place));
    const sealed = Buffer.concat([cipher.update(JSON.stringify({ identity, until })), cipher.final()]);
    return Buffer.concat([id, sealed, cipher.getAuthTag()]).toString('base64url');
  }

  /** Undefined for anything that was not closed with this key for this place. */
  open(text: string, place: string): Ticket | undefined {
    const bytes = Buffer.from(text, 'base64url');
    // One ticket has one spelling, or it could be told from itself.
    if (bytes.length <= idBytes + tagBytes || bytes.toString('base64url') !== text) return undefined;
    const id = bytes.subarray(0, idBytes);
    const decipher = createDecipheriv('aes-256-gcm', this.#key, id, { authTagLength: tagBytes })
      .setAAD(Buffer.from(place))
      .setAuthTag(bytes.subarray(-tagBytes));
    const opened = openedBytes(decipher, bytes.subarray(idBytes, -tagBytes));
    // What the seal has kept whole is what was written here.
    return opened && { id: id.toString('base64url'), ...(JSON.parse(opened.toString()) as Omit<Ticket, 'id'>) };
  }
}

function openedBytes(decipher: ReturnType<typeof createDecipheriv>, sealed: Buffer): Buffer | undefined {
  try {
    return Buffer.concat([decipher.update(sealed), decipher.final()]);
  } catch {
    // Thrown for every seal that is not whole.
    return undefined;
  }
}

/** WebSocket frames as a server sends them: whole messages, never masked (RFC 6455 section 5.2). */
import { isUtf8 } from 'node:buffer';
import { ForegateError } from '../core/errors.ts';
import type { Message } from '../core/event.ts';

/** FIN is always set: a message is one frame. */
const firstBytes = { text: 0x81, binary: 0x82, ping: 0x89, pong: 0x8a } as const satisfies Record<Message['kind'], number>;

/** What a ping or pong may carry (RFC 6455 section 5.5). */
export const controlPayloadBytesMax = 125;

/** Whether a frame may carry it: text must be UTF-8, a ping or pong has at most 125 bytes (RFC 6455 sections 5.5 and 8.1). */
export function isSendable({ kind, data }: Message): boolean {
  if (kind === 'text') return isUtf8(data);
  return kind === 'binary' || data.length <= controlPayloadBytesMax;
}

/** Bytes of a frame with so many bytes of payload. */
export function frameBytes(payloadLength: number): number {
  if (payloadLength < 126) return payloadLength + 2;
  return payloadLength + (payloadLength < 65_536 ? 4 : 10);
}

/**
 * Writes one frame and returns where it ends. There must be room for {@link frameBytes}.
 * @throws ForegateError `internal` for a ping or pong with more than 125 bytes: who lets such content in checks it there.
 */
export function writeFrame(into: Buffer, offset: number, message: Message): number {
  const { kind, data } = message;
  const { length } = data;
  if (length > controlPayloadBytesMax && (kind === 'ping' || kind === 'pong')) {
    throw new ForegateError('internal', `A ${kind} frame cannot carry ${length} bytes.`);
  }
  into[offset] = firstBytes[kind];
  const start = writeLength(into, offset + 1, length);
  // A loop over the bytes wins 6 ns at 4 bytes and loses 9 at 20 and 20 at 32 (Node 26).
  into.set(data, start);
  return start + length;
}

/** All the messages as frames behind one another, in one allocation. @throws as {@link writeFrame} */
export function encodeFrames(messages: readonly Message[]): Buffer {
  let total = 0;
  for (const message of messages) total += frameBytes(message.data.length);
  const frames = Buffer.allocUnsafe(total);
  let offset = 0;
  for (const message of messages) offset = writeFrame(frames, offset, message);
  return frames;
}

function writeLength(into: Buffer, offset: number, length: number): number {
  if (length < 126) {
    into[offset] = length;
    return offset + 1;
  }
  if (length < 65_536) {
    into[offset] = 126;
    return into.writeUInt16BE(length, offset + 1);
  }
  into[offset] = 127;
  into.writeUInt16BE(0, offset + 1);
  return into.writeUIntBE(length, offset + 3, 6);
}

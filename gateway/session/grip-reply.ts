/** Reads a reply with GRIP instructions: its body within GRIP's limit, or the start of one that streams on (GRIP 4.1). */
import type { IncomingMessage } from 'node:http';
import { ForegateError } from '../core/errors.ts';
import type { Instruct, ReplyHead } from '../core/hold.ts';
import { limits } from '../core/limits.ts';
import { hasDocument, readInstruct } from '../wire/grip-headers.ts';
import { readInstructDocument } from '../wire/grip-instruct.ts';

export interface ReadInstruct {
  readonly instruct: Instruct;
  /** What has been read of the body: all of it, unless `rest` is there. */
  readonly body: Buffer;
  /** The body goes on: it is streamed to the client before the hold begins. */
  readonly rest: IncomingMessage | undefined;
}

/** @throws ForegateError `bad-reply` with what is wrong, `reply-too-large`, `downstream-lost` */
export async function readGripReply(head: ReplyHead, reply: IncomingMessage, channelPrefix: string): Promise<ReadInstruct> {
  const { body, complete } = await readStart(reply);
  if (!complete) return streaming(head, reply, body, channelPrefix);
  if (hasDocument(head.headers)) {
    const instruct = readInstructDocument({ ...head, body }, channelPrefix);
    return { instruct, body: instruct.body ?? body, rest: undefined };
  }
  return { instruct: { ...readInstruct(head, channelPrefix), body }, body, rest: undefined };
}

/** A large body may stream if nothing has to be done with it as a whole. */
function streaming(head: ReplyHead, reply: IncomingMessage, body: Buffer, channelPrefix: string): ReadInstruct {
  const instruct = hasDocument(head.headers) ? undefined : readInstruct(head, channelPrefix);
  const streams = instruct?.hold.mode === 'stream' || (instruct?.hold.mode === 'none' && instruct.hold.next !== undefined);
  const built = instruct?.hold.channels.some(({ filters }) => filters.includes('build-id')) ?? true;
  if (instruct !== undefined && streams && !built) return { instruct, body, rest: reply };
  reply.destroy();
  throw new ForegateError('reply-too-large', 'GRIP instruct response too large.');
}

/** Reads up to the limit; `complete` is false if there is more. */
function readStart(reply: IncomingMessage): Promise<{ body: Buffer; complete: boolean }> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const settle = (complete: boolean): void => {
      reply.off('data', take).off('end', ended).off('error', lost).off('close', lost);
      resolve({ body: Buffer.concat(chunks, bytes), complete });
    };
    const take = (part: Buffer): void => {
      chunks.push(part);
      bytes += part.length;
      if (bytes <= limits.instructBytes) return;
      reply.pause();
      settle(false);
    };
    const ended = (): void => settle(true);
    const lost = (): void => reject(new ForegateError('downstream-lost'));
    reply.on('data', take).on('end', ended).on('error', lost).on('close', lost);
  });
}

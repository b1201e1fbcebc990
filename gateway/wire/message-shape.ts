/** Publications as frames for raw WebSocket clients: `ws-message` with the action `send` (GRIP 6.3). */
import type { Message } from '../core/event.ts';
import type { Publication, Shape } from '../core/publication.ts';
import { encodeFrames, isSendable } from './websocket-frame.ts';

/**
 * The shape of every session that speaks plain WebSocket. There is nothing to write for text that is not UTF-8 (it came as
 * `content-bin`; clients would close with 1007) and for a ping or pong with more than 125 bytes.
 */
export const messageShape: Shape = {
  format: 'message',
  joins: true,

  encode(publication) {
    const format = sendFormat(publication);
    if (format === undefined) return undefined;
    const message: Message = { kind: format.type, data: format.content };
    return isSendable(message) ? encodeFrames([message]) : undefined;
  },

  content(publication) {
    return sendFormat(publication)?.content;
  },

  withContent(publication, content) {
    const format = sendFormat(publication);
    if (format === undefined) return publication;
    return { ...publication, formats: { ...publication.formats, message: { ...format, content } } };
  },
};

function sendFormat({ formats: { message } }: Publication) {
  return message?.action === 'send' ? message : undefined;
}

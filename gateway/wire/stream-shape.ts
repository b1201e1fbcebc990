/** Publications as bytes of a held response: `http-stream` with the action `send` (GRIP 4.6, 6.3). No framing is added to the content. */
import type { Publication, Shape } from '../core/publication.ts';

/** Ends a chunked body (RFC 9112 section 7.1). */
export const lastChunk = Buffer.from('0\r\n\r\n');

const lineEnd = Buffer.from('\r\n');
const nothing = Buffer.alloc(0);

/** One chunk of a chunked body. No bytes for no content: an empty chunk would end the body. */
export function chunk(content: Buffer): Buffer {
  if (content.length === 0) return nothing;
  const size = `${content.length.toString(16)}\r\n`;
  const bytes = Buffer.allocUnsafe(size.length + content.length + lineEnd.length);
  bytes.write(size, 'latin1');
  content.copy(bytes, size.length);
  lineEnd.copy(bytes, size.length + content.length);
  return bytes;
}

/** For clients of HTTP/1.1: ready to be written to the socket. */
export const chunkedStream: Shape = streamShape(chunk);

/** For clients of HTTP/1.0, where the end of the connection ends the body. */
export const plainStream: Shape = streamShape((content) => content);

function streamShape(frame: (content: Buffer) => Buffer): Shape {
  return {
    format: 'stream',
    joins: true,

    encode(publication) {
      const format = sendFormat(publication);
      return format && frame(format.content);
    },

    content(publication) {
      return sendFormat(publication)?.content;
    },

    withContent(publication, content) {
      const format = sendFormat(publication);
      if (format === undefined) return publication;
      return { ...publication, formats: { ...publication.formats, stream: { ...format, content } } };
    },
  };
}

function sendFormat({ formats: { stream } }: Publication) {
  return stream?.action === 'send' ? stream : undefined;
}

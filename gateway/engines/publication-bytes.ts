/** About how many bytes a publication takes up on its way to another process. */
import type { Publication } from '../core/publication.ts';

/** Names, ids and what stands around them. */
const besidesContent = 256;

export function bytesOf({ formats: { message, stream, response } }: Publication): number {
  const body = response?.action === 'send' && response.body.kind === 'bytes' ? response.body.bytes.length : 0;
  return contentBytes(message) + contentBytes(stream) + body + besidesContent;
}

function contentBytes(format: Publication['formats']['message'] | Publication['formats']['stream']): number {
  return format?.action === 'send' ? format.content.length : 0;
}

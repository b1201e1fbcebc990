/** The bytes of a request's body, whether a body parser was there before or not. */
import type { IncomingMessage } from 'node:http';

export type BodyResult =
  | { readonly kind: 'body'; readonly body: Buffer }
  | { readonly kind: 'too-large' }
  /** The client went away in the middle: there is nobody to answer. */
  | { readonly kind: 'aborted' }
  /** A body parser took the bytes and left none of them. */
  | { readonly kind: 'consumed' };

/** Express, and platforms that parse bodies themselves, leave the body here. */
type ParsedRequest = IncomingMessage & { readonly body?: unknown; readonly rawBody?: unknown };

export async function readBody(request: ParsedRequest, bytesMax: number): Promise<BodyResult> {
  const parsed = parsedBody(request);
  if (parsed !== undefined) return parsed.length > bytesMax ? { kind: 'too-large' } : { kind: 'body', body: parsed };
  if (request.readableDidRead || request.readableEnded) return { kind: 'consumed' };
  if (request.destroyed) return { kind: 'aborted' };
  if (Number(request.headers['content-length'] ?? 0) > bytesMax) return { kind: 'too-large' };
  return collect(request, bytesMax);
}

/** Other values, such as the `{}` of a JSON parser that was not concerned, are no body. */
function parsedBody(request: ParsedRequest): Buffer | undefined {
  for (const value of [request.rawBody, request.body]) {
    if (Buffer.isBuffer(value)) return value;
    if (value instanceof Uint8Array) return Buffer.from(value);
    if (typeof value === 'string') return Buffer.from(value);
  }
  return undefined;
}

function collect(request: IncomingMessage, bytesMax: number): Promise<BodyResult> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      chunks.push(chunk);
      if (bytes <= bytesMax) return;
      // Read no further; the answer closes the connection.
      request.removeAllListeners('data').pause();
      resolve({ kind: 'too-large' });
    });
    request.once('end', () => resolve({ kind: 'body', body: Buffer.concat(chunks) }));
    request.once('error', () => resolve({ kind: 'aborted' }));
    request.once('close', () => resolve({ kind: 'aborted' }));
  });
}

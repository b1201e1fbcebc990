/** Fields that let pages of other origins use the answers (Fetch standard, "CORS protocol"), where the backend has not written them (GRIP 8.6). */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { header, isHopByHop, type HeaderDraft, type HeaderList } from '../core/headers.ts';
import type { ClientRequest } from '../core/session.ts';
import { beforeHead } from './before-head.ts';

/** Adds the fields to whatever is answered, in the moment the head is written. */
export function allowCrossOrigin(request: IncomingMessage, response: ServerResponse): void {
  const asked = request.rawHeaders;
  beforeHead(response, (headers) => [...headers, ...crossOriginFields(asked, headers)]);
}

/** A browser's question whether a page may make a request (Fetch standard, "CORS-preflight request"). */
export function isPreflight({ method, headers }: ClientRequest): boolean {
  return (
    method === 'OPTIONS' &&
    header(headers, 'origin') !== undefined &&
    header(headers, 'access-control-request-method') !== undefined
  );
}

const methods = 'OPTIONS, HEAD, GET, POST, PUT, DELETE';
const maxAgeSeconds = '3600';

function crossOriginFields(asked: HeaderList, answered: HeaderList): HeaderDraft {
  const origin = header(asked, 'origin');
  const fields: readonly (readonly [name: string, value: string | undefined])[] = [
    ['Access-Control-Allow-Methods', header(asked, 'access-control-request-method') ?? methods],
    ['Access-Control-Allow-Headers', header(asked, 'access-control-request-headers')],
    ['Access-Control-Expose-Headers', exposed(answered)],
    ['Access-Control-Allow-Credentials', 'true'],
    ['Access-Control-Allow-Origin', origin ?? '*'],
    ['Access-Control-Max-Age', maxAgeSeconds],
  ];
  const missing = fields.flatMap(([name, value]) =>
    value === undefined || header(answered, name.toLowerCase()) !== undefined ? [] : [name, value],
  );
  // A cache must not give one origin the answer made for another.
  return origin === undefined ? missing : [...missing, 'Vary', 'Origin'];
}

/** What scripts may read without being told so ("CORS-safelisted response-header name"). */
const simple: ReadonlySet<string> = new Set([
  'cache-control',
  'content-language',
  'content-length',
  'content-type',
  'expires',
  'last-modified',
  'pragma',
]);

function exposed(headers: HeaderList): string | undefined {
  const names = new Set<string>();
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] ?? '';
    const lower = name.toLowerCase();
    if (!simple.has(lower) && !isHopByHop(lower) && !lower.startsWith('access-control-')) names.add(name);
  }
  return names.size === 0 ? undefined : [...names].join(', ');
}

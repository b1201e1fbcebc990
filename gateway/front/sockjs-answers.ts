/** What SockJS clients are told besides frames: where they are, what there is, and which pages may read it (protocol 0.3.3). */
import { createHash, randomBytes } from 'node:crypto';
import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Reply } from '../core/exchange.ts';
import { isHeaderValue, withoutHeaders, type HeaderDraft, type HeaderList } from '../core/headers.ts';
import type { SockJsTerms } from '../core/route.ts';

const plainText = 'text/plain; charset=UTF-8';
const yearSeconds = 31_536_000;
const kept = ['Cache-Control', `public, max-age=${yearSeconds}`];
const unkept = ['Cache-Control', 'no-store, no-cache, no-transform, must-revalidate, max-age=0'];

interface Content {
  readonly type: string;
  readonly text: string;
}

export function answerGreeting(response: ServerResponse): void {
  answer(response, 200, unkept, { type: plainText, text: 'Welcome to SockJS!\n' });
}

export function answerInfo(request: IncomingMessage, response: ServerResponse, { cookie }: SockJsTerms): void {
  const entropy = randomBytes(4).readUInt32BE();
  const text = JSON.stringify({ websocket: true, origins: ['*:*'], cookie_needed: cookie, entropy });
  answer(response, 200, openHeaders(request), { type: 'application/json; charset=UTF-8', text });
}

/** The page through which very old browsers reach another origin. */
export function answerIframe(request: IncomingMessage, response: ServerResponse, clientUrl: string): void {
  const text = iframePage(clientUrl);
  const tag = `"${createHash('sha256').update(text).digest('base64url')}"`;
  const headers = [...kept, 'ETag', tag];
  if (request.headers['if-none-match'] === tag) answer(response, 304, headers);
  else answer(response, 200, headers, { type: 'text/html; charset=UTF-8', text });
}

/** A preflight: any page may ask; whether it may connect is said by policies. */
export function answerPreflight(request: IncomingMessage, response: ServerResponse, method: string): void {
  const asked = request.headers['access-control-request-headers'];
  const allowed = asked !== undefined && isHeaderValue(asked) ? ['Access-Control-Allow-Headers', asked] : [];
  const methods = ['Access-Control-Allow-Methods', `OPTIONS, ${method}`, 'Access-Control-Max-Age', String(yearSeconds)];
  answer(response, 204, [...kept, ...crossOrigin(request), ...methods, ...allowed]);
}

export function answerText(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  text: string,
  headers: HeaderList = openHeaders(request),
): void {
  answer(response, status, headers, { type: plainText, text });
}

export function answerNotFound(request: IncomingMessage, response: ServerResponse): void {
  answerText(request, response, 404, 'Not found.');
}

/** Only its head says something. */
export function answerEmpty(response: ServerResponse, status: number, headers: HeaderList): void {
  answer(response, status, ['Content-Type', plainText, ...headers]);
}

/** An answer that was made for a handshake, readable for the page that asked. */
export function crossOriginReply(request: IncomingMessage, reply: Reply): Reply {
  return { ...reply, headers: [...openHeaders(request), ...withoutCrossOrigin(reply.headers)] };
}

/** Said once, or browsers believe none of it. */
export function withoutCrossOrigin(headers: HeaderList): HeaderDraft {
  return withoutHeaders(headers, (name) => name === 'cache-control' || name.startsWith('access-control-allow-'));
}

/** Of every answer of a session. */
export function sessionHeaders(request: IncomingMessage, { cookie }: SockJsTerms): HeaderDraft {
  const headers = [...openHeaders(request), 'X-Content-Type-Options', 'nosniff'];
  return cookie ? [...headers, 'Set-Cookie', `JSESSIONID=${stickyValue(request.headers.cookie)}; Path=/`] : headers;
}

/** Of every answer that changes from request to request. */
export function openHeaders(request: IncomingMessage): HeaderDraft {
  return [...unkept, ...crossOrigin(request)];
}

function crossOrigin({ headers: { origin } }: IncomingMessage): readonly string[] {
  if (origin === undefined || origin === 'null' || !isHeaderValue(origin)) return ['Access-Control-Allow-Origin', '*'];
  return ['Access-Control-Allow-Origin', origin, 'Access-Control-Allow-Credentials', 'true', 'Vary', 'Origin'];
}

/** The client's own, so that it stays with its process. */
function stickyValue(cookies = ''): string {
  return /(?:^|;\s*)JSESSIONID=([\w.~!-]{1,128})(?:;|$)/.exec(cookies)?.[1] ?? 'dummy';
}

function answer(response: ServerResponse, status: number, headers: HeaderList, content?: Content): void {
  if (response.destroyed) return;
  const body = Buffer.from(content?.text ?? '');
  const type = content === undefined ? [] : ['Content-Type', content.type];
  const length = status === 204 || status === 304 ? [] : ['Content-Length', String(body.length)];
  response.writeHead(status, STATUS_CODES[status], [...type, ...headers, ...length]);
  response.end(body);
}

function iframePage(clientUrl: string): string {
  return `<!DOCTYPE html>
<html>
<head>
  <meta http-equiv="X-UA-Compatible" content="IE=edge" />
  <meta http-equiv="Content-Type" content="text/html; charset=UTF-8" />
  <script src="${clientUrl.replaceAll('&', '&amp;')}"></script>
  <script>
    document.domain = document.domain;
    SockJS.bootstrap_iframe();
  </script>
</head>
<body>
  <h2>Don't panic!</h2>
  <p>This is a SockJS hidden iframe. It's used for cross domain magic.</p>
</body>
</html>
`;
}

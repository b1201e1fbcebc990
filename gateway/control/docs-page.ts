/**
 * `/docs`: a page to read the document of this API, and to try its calls. Swagger UI draws it, from files of this machine: the
 * page loads nothing from elsewhere and sends nothing to elsewhere, and its Content-Security-Policy holds the browser to that.
 */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Response } from 'express';
import { docsFiles } from '../../openapi/control/control-schemas.ts';
import type { MaybePromise } from '../core/promise.ts';
import { problemAnswer, send, type Answer } from './answer.ts';
import type { Operation } from './operation.ts';

export function docsOperations(): readonly Operation[] {
  return [
    { method: 'get', path: '/docs', handle: (_request, response) => send(response, page) },
    { method: 'get', path: '/docs/:file', handle: ({ params }, response) => sendPart(response, String(params['file'])) },
  ];
}

/** Nothing but what comes from here, and no frame around it. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const noSniffing = ['X-Content-Type-Options', 'nosniff'];
const pageHeaders = ['Content-Security-Policy', policy, 'Referrer-Policy', 'no-referrer', ...noSniffing];

const page: Answer = {
  status: 200,
  type: 'text/html; charset=utf-8',
  headers: pageHeaders,
  text: `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>Foregate control API</title>
    <link rel="icon" href="data:," />
    <link rel="stylesheet" href="/docs/swagger-ui.css" />
  </head>
  <body>
    <div id="api"></div>
    <noscript>This page needs JavaScript. The document itself: <a href="/openapi.json">/openapi.json</a></noscript>
    <script src="/docs/swagger-ui-bundle.js"></script>
    <script type="module" src="/docs/start.js"></script>
  </body>
</html>
`,
};

/** Calls go to where the page came from, whatever the document says of servers; the validator of the library's makers is not asked. */
const start: Answer = {
  status: 200,
  type: 'text/javascript; charset=utf-8',
  headers: noSniffing,
  text: `const answer = await fetch('/openapi.json');
const spec = { ...(await answer.json()), servers: [{ url: location.origin }] };
SwaggerUIBundle({ spec, dom_id: '#api', deepLinking: true, validatorUrl: 'none', queryConfigEnabled: false });
`,
};

const unknownFile = problemAnswer(404, 'The page has no such file.');

function sendPart(response: Response, name: string): MaybePromise<void> {
  if (name === 'start.js') return send(response, start);
  return docsFiles.some((file) => file === name) ? sendFile(response, name) : send(response, unknownFile);
}

/** A browser keeps them, and asks each time whether they have changed. */
const fileOptions = {
  cacheControl: false,
  headers: { 'Cache-Control': 'private, no-cache', 'X-Content-Type-Options': 'nosniff' },
};

/** Rejects where the file cannot be read; a client that goes away meanwhile is no fault. */
function sendFile(response: Response, name: string): Promise<void> {
  return new Promise((resolve, reject) =>
    response.sendFile(name, { root: libraryFolder(), ...fileOptions }, (error: Error | undefined) =>
      error && !response.headersSent ? reject(error) : resolve(),
    ),
  );
}

/** The build puts the files of the library beside this one; sources that run as they are find the library itself. */
function libraryFolder(): string {
  const built = join(import.meta.dirname, 'swagger-ui');
  return existsSync(built) ? built : dirname(fileURLToPath(import.meta.resolve('swagger-ui-dist/package.json')));
}

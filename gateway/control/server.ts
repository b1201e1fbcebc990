/** The server of the control API, with a bound on everything a caller can take up (GRIP 6.1). */
import { createServer, type Server, type ServerOptions } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Duplex } from 'node:stream';
import { limits } from '../core/limits.ts';
import { createControl, type ControlParts } from './app.ts';

/** PEM texts. With `ca`, a client certificate that it vouches for is one way to be let in. */
export interface ControlTls {
  readonly cert: string;
  readonly key: string;
  readonly ca?: string;
}

/** Request line and header fields. */
const headerBytes = 10_000;
const headersTimeoutMs = 10_000;
const requestTimeoutMs = 30_000;
/** How long an unused connection of a publisher is kept. */
const keepAliveTimeoutMs = 30_000;

/**
 * Makes the server; it does not listen yet. Callers without a certificate get through the handshake, since probes have none:
 * they are refused by the API.
 * @throws ForegateError `bad-request` for a key in `auth` that is none
 */
export function controlServer(parts: ControlParts, { tls }: { readonly tls?: ControlTls | undefined } = {}): Server {
  const listener = createControl({ ...parts, auth: { ...parts.auth, mtls: tls?.ca !== undefined } });
  const server = tls
    ? createTlsServer({ ...serverOptions, ...tlsOptions(tls) }, listener)
    : createServer(serverOptions, listener);
  server.maxConnections = limits.controlConnections;
  // The listener asks for the body itself, once it knows that it wants it.
  server.on('checkContinue', listener);
  server.on('clientError', answerClientError);
  return server;
}

/** Times and sizes of servers that are not for clients. */
export const serverOptions: ServerOptions = {
  maxHeaderSize: headerBytes,
  headersTimeout: headersTimeoutMs,
  requestTimeout: requestTimeoutMs,
  keepAliveTimeout: keepAliveTimeoutMs,
  connectionsCheckingInterval: 1000,
};

function tlsOptions({ cert, key, ca }: ControlTls) {
  return ca === undefined ? { cert, key } : { cert, key, ca, requestCert: true, rejectUnauthorized: false };
}

/** What could not be read as a request is answered in the form of GRIP publishers. */
function answerClientError(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (!socket.writable || error.code === 'ECONNRESET') return void socket.destroy();
  const [status, line] = clientErrors.get(error.code ?? '') ?? ['400 Bad Request', 'Bad request.'];
  const head = `HTTP/1.1 ${status}\r\nContent-Type: text/plain\r\nContent-Length: ${line.length + 1}\r\nConnection: close\r\n\r\n`;
  socket.end(`${head}${line}\n`, () => socket.destroy());
}

const clientErrors: ReadonlyMap<string, readonly [status: string, line: string]> = new Map([
  ['HPE_HEADER_OVERFLOW', ['400 Bad Request', 'Request header too large.']],
  ['ERR_HTTP_REQUEST_TIMEOUT', ['408 Request Timeout', 'Request timeout.']],
]);

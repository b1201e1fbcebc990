/** Where clients arrive: HTTP and HTTPS servers on ports and Unix sockets with their bounds, HTTP/2 beside them, and the upgrade. */
import { createServer, type IncomingMessage, type Server, type ServerOptions } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Log } from '../core/log.ts';
import { createCertificates, type Certificates, type CertificateSettings } from './certificates.ts';
import type { Front } from './front.ts';
import { Http2Server } from './http2-server.ts';
import { clearPlace, listenOnSocket, nameUnixPeer } from './unix-socket.ts';

export interface ListenerSettings {
  /** Port 0: any free one. */
  readonly at: { readonly host: string; readonly port: number } | { readonly socket: string; readonly mode: number };
  readonly tls: CertificateSettings | undefined;
  /** Beside HTTP/1.1, on ports with TLS. */
  readonly http2: boolean;
  readonly headerBytes: number;
}

/** How long a client may take for its header fields. */
const headersTimeoutMs = 60_000;
/** Longer than the usual 60 s of load balancers in front, so that they close first. */
const keepAliveTimeoutMs = 75_000;

export class Listener {
  readonly #settings: ListenerSettings;
  readonly #shared: boolean;
  readonly #server: Server;
  readonly #certificates: Certificates | undefined;
  readonly #http2: Http2Server | undefined;

  /** `shared`: other processes listen there, too, and a Unix socket has its place ready (`clearPlace`). */
  constructor(settings: ListenerSettings, front: Front, log: Log, shared: boolean) {
    this.#settings = settings;
    this.#shared = shared;
    // `shouldUpgradeCallback` is known to Node 24.9 and later.
    const options: ServerOptions & { shouldUpgradeCallback: (request: IncomingMessage) => boolean } = {
      maxHeaderSize: settings.headerBytes,
      headersTimeout: headersTimeoutMs,
      requestTimeout: 0, // Uploads may take their time; their target has a deadline of its own.
      keepAliveTimeout: keepAliveTimeoutMs,
      noDelay: true,
      shouldUpgradeCallback: isWebSocketUpgrade,
    };
    const { tls, headerBytes } = settings;
    this.#certificates = tls === undefined ? undefined : createCertificates(tls, log);
    this.#http2 = settings.http2 ? new Http2Server({ headerBytes, idleMs: keepAliveTimeoutMs }, front) : undefined;
    this.#server = this.#certificates === undefined ? createServer(options) : this.#tlsServer(this.#certificates, options);
    if ('socket' in settings.at)
      this.#server.prependListener(tls === undefined ? 'connection' : 'secureConnection', nameUnixPeer);
    this.#server.maxHeadersCount = 0; // Counted by the front, which refuses; Node would drop the rest without a word.
    this.#server.on('request', front.request).on('upgrade', front.upgrade);
  }

  #tlsServer({ options: tls }: Certificates, options: ServerOptions): TlsServer {
    const http2 = this.#http2;
    if (http2 === undefined) return createTlsServer({ ...options, ...tls });
    const server = createTlsServer({ ...options, ...tls, ALPNProtocols: ['h2', 'http/1.1'] });
    // The one listener there is: where an HTTPS server takes its connections.
    const [takeHttp1] = server.listeners('secureConnection');
    server.removeAllListeners('secureConnection').on('secureConnection', (socket: TLSSocket) => {
      if (socket.alpnProtocol === 'h2') http2.take(socket);
      else takeHttp1?.call(server, socket);
    });
    return server;
  }

  /** Rejects with the system's error, such as EADDRINUSE. */
  async listen(): Promise<void> {
    const { at } = this.#settings;
    await this.#certificates?.open(this.#server as TlsServer, 'port' in at ? at.port : 0);
    if ('port' in at) await listenOnPort(this.#server, at);
    else await this.#listenOnSocket(at.socket, at.mode);
  }

  async #listenOnSocket(path: string, mode: number): Promise<void> {
    if (!this.#shared) await clearPlace(path);
    await listenOnSocket(this.#server, path, mode);
  }

  /** `http://127.0.0.1:7999`, or https, or `unix:/run/foregate.socket`. */
  get address(): string {
    const { at, tls } = this.#settings;
    if ('socket' in at) return `unix:${at.socket}`;
    const { address, family, port } = this.#server.address() as AddressInfo; // A TCP server that listens has one.
    const host = family === 'IPv6' ? `[${address}]` : address;
    return `${tls === undefined ? 'http' : 'https'}://${host}:${port}`;
  }

  /** Takes no new connection; those that are idle between requests are closed. */
  stopAccepting(): void {
    this.#server.close();
    this.#server.closeIdleConnections();
    this.#http2?.stopAccepting();
    this.#certificates?.close();
  }

  /** Ends what is left. Sockets that were upgraded belong to their sessions. */
  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
    this.#http2?.close();
  }
}

function listenOnPort(server: Server, at: { readonly host: string; readonly port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ ...at, backlog: 4096 }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** Other upgrades (`h2c`) are declined by answering as if they had not been asked for (RFC 9110 section 7.8). */
function isWebSocketUpgrade({ headers }: IncomingMessage): boolean {
  return headers.upgrade?.toLowerCase() === 'websocket';
}

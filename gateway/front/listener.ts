/** The ports where clients arrive: HTTP or HTTPS servers with their bounds, and the upgrade. */
import { createServer, type IncomingMessage, type Server, type ServerOptions } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Front } from './front.ts';

interface ListenerTls {
  readonly cert: string;
  readonly key: string;
  /** Of client certificates. */
  readonly ca?: string | undefined;
  readonly clientCertificates?: 'request' | 'require' | undefined;
}

export interface ListenerSettings {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly tls?: ListenerTls | undefined;
  readonly headerBytes: number;
}

/** How long a client may take for its header fields. */
const headersTimeoutMs = 60_000;
/** Longer than the usual 60 s of load balancers in front, so that they close first. */
const keepAliveTimeoutMs = 75_000;

export class Listener {
  readonly #settings: ListenerSettings;
  readonly #server: Server;

  constructor(settings: ListenerSettings, front: Front) {
    this.#settings = settings;
    // `shouldUpgradeCallback` is known to Node 24.9 and later.
    const options: ServerOptions & { shouldUpgradeCallback: (request: IncomingMessage) => boolean } = {
      maxHeaderSize: settings.headerBytes,
      headersTimeout: headersTimeoutMs,
      requestTimeout: 0, // Uploads may take their time; their target has a deadline of its own.
      keepAliveTimeout: keepAliveTimeoutMs,
      noDelay: true,
      shouldUpgradeCallback: isWebSocketUpgrade,
    };
    this.#server =
      settings.tls === undefined ? createServer(options) : createTlsServer({ ...options, ...tlsOptions(settings.tls) });
    this.#server.maxHeadersCount = 0; // Counted by the front, which refuses; Node would drop the rest without a word.
    this.#server.on('request', front.request).on('upgrade', front.upgrade);
  }

  /** Rejects with the system's error, such as EADDRINUSE. */
  async listen(): Promise<void> {
    const { host, port } = this.#settings;
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ host, port, backlog: 4096 }, () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
  }

  /** `http://127.0.0.1:7999`, or https. */
  get address(): string {
    const { address, family, port } = this.#server.address() as AddressInfo; // A TCP server that listens has one.
    const host = family === 'IPv6' ? `[${address}]` : address;
    return `${this.#settings.tls === undefined ? 'http' : 'https'}://${host}:${port}`;
  }

  /** Takes no new connection; those that are idle between requests are closed. */
  stopAccepting(): void {
    this.#server.close();
    this.#server.closeIdleConnections();
  }

  /** Ends what is left. Sockets that were upgraded belong to their sessions. */
  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

function tlsOptions({ cert, key, ca, clientCertificates }: ListenerTls) {
  if (ca === undefined) return { cert, key };
  return { cert, key, ca, requestCert: true, rejectUnauthorized: clientCertificates !== 'request' };
}

/** Other upgrades (`h2c`) are declined by answering as if they had not been asked for (RFC 9110 section 7.8). */
function isWebSocketUpgrade({ headers }: IncomingMessage): boolean {
  return headers.upgrade?.toLowerCase() === 'websocket';
}

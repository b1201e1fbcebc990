/** A backend of bytes: hands every connection to the test, which reads and writes as it wants. */
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';
import { RawSocket } from '../support/raw-socket.ts';

export interface TcpBackend {
  readonly origin: string;
  readonly port: number;
  /** All connections so far. */
  readonly connections: readonly RawSocket[];
  /** The next connection that was not taken. @throws Error after three seconds */
  next(): Promise<RawSocket>;
  stop(): Promise<void>;
}

export async function startTcpBackend(tls?: TlsOptions): Promise<TcpBackend> {
  const connections: RawSocket[] = [];
  let taken = 0;
  let wake = (): void => undefined;
  const accept = (socket: Socket): void => {
    socket.setNoDelay(true);
    connections.push(new RawSocket(socket));
    wake();
  };
  const server: Server = tls === undefined ? createServer(accept) : createTlsServer(tls, accept);
  server.on('tlsClientError', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // A TCP server has no other kind of address.
  return {
    origin: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    port,
    connections,
    async next() {
      const deadline = Date.now() + 3000;
      while (connections.length <= taken) {
        if (Date.now() > deadline) throw new Error('No connection came.');
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, 50);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
      taken += 1;
      return connections[taken - 1] ?? Promise.reject(new Error('It is gone.'));
    },
    async stop() {
      server.close();
      for (const { socket } of connections) socket.destroy();
      await once(server, 'close');
    },
  };
}

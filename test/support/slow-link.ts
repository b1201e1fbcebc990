/** A TCP relay that takes its time: what goes through it arrives later, or not at all. */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export interface SlowLink {
  readonly port: number;
  /** Each way, for what comes from now on. */
  delayMs: number;
  /** Pieces that came from the clients' side. */
  readonly pieces: number;
  /** Accepted so far. */
  readonly connections: number;
  /** Swallows from now on what goes through the connections there are, in both directions, and leaves them open. */
  mute(): void;
  stop(): Promise<void>;
}

export async function startSlowLink(targetPort: number, delayMs = 0): Promise<SlowLink> {
  const sockets = new Set<Socket>();
  let muted = new WeakSet<Socket>();
  const link = { delayMs, pieces: 0, connections: 0 };
  const carry = (from: Socket, to: Socket): void => {
    sockets.add(from);
    from.on('data', (piece) => {
      setTimeout(() => {
        if (!muted.has(from) && to.writable) to.write(piece);
      }, link.delayMs);
    });
    from.on('error', () => to.destroy());
    from.on('close', () => {
      sockets.delete(from);
      to.destroy();
    });
  };
  const server = createServer((client) => {
    link.connections += 1;
    const target = connect(targetPort, '127.0.0.1');
    client.on('data', () => (link.pieces += 1));
    carry(client, target);
    carry(target, client);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return Object.assign(link, {
    port: (server.address() as AddressInfo).port, // A TCP server has no other kind of address.
    mute: () => {
      muted = new WeakSet(sockets);
    },
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  });
}

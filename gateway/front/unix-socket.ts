/** A Unix socket for clients, in place of what a crash has left there, and for those only who may use it. */
import { chmod, lstat, unlink } from 'node:fs/promises';
import { connect, type Server, type Socket } from 'node:net';
import { unixAddress } from '../core/address-list.ts';

/** Rejects with the system's error. */
export async function listenOnSocket(server: Server, path: string, mode: number): Promise<void> {
  await bound(server, path);
  await chmod(path, mode);
}

/** Policies, lists and forwarding fields ask for an address. */
export function nameUnixPeer(socket: Socket): void {
  Object.defineProperty(socket, 'remoteAddress', { value: unixAddress });
}

/** Nobody but its owner can connect until the mode is set. */
function bound(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    const before = process.umask(0o177);
    try {
      // The socket is made before this returns.
      server.listen({ path, backlog: 4096 }, () => {
        server.off('error', reject);
        resolve();
      });
    } finally {
      process.umask(before);
    }
  });
}

/** Removes what a crash has left. Rejects with EADDRINUSE where another process answers or the path is no socket. */
export async function clearPlace(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined) return;
  if (!found.isSocket()) throw inUse(path, 'something that is no socket');
  if (await answers(path)) throw inUse(path, 'another process, which answers');
  await unlink(path);
}

/** Rejects where the answer cannot be known, such as with EACCES. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED') resolve(false);
      else reject(error);
    });
  });
}

function inUse(path: string, by: string): Error {
  const error = new Error(`The socket ${path} is taken by ${by}.`);
  return Object.assign(error, { code: 'EADDRINUSE', syscall: 'listen', address: path });
}

/** Word when a target is back. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { ReturnWatch } from '../../gateway/downstream/return-watch.ts';

const closers: (() => void)[] = [];

afterEach(() => {
  for (const close of closers.splice(0)) close();
});

async function listen(port = 0): Promise<{ port: number; server: Server }> {
  const server = createServer((socket) => socket.on('error', () => undefined)).listen(port, '127.0.0.1');
  await once(server, 'listening');
  closers.push(() => server.close());
  const address = server.address();
  return { server, port: typeof address === 'object' && address !== null ? address.port : 0 };
}

async function closedPort(): Promise<number> {
  const { port, server } = await listen();
  server.close();
  await once(server, 'close');
  return port;
}

function watchOf(port: number): ReturnWatch {
  const watch = new ReturnWatch(`http://127.0.0.1:${port}`, 1000, {});
  closers.push(() => watch.close());
  return watch;
}

describe('the watch for a target that is away', () => {
  it('tells everybody who waits as soon as it takes connections', async () => {
    const port = await closedPort();
    const watch = watchOf(port);
    const waiting = Promise.all([watch.wait(3000), watch.wait(3000)]);
    await new Promise((resolve) => setTimeout(resolve, 50));
    await listen(port);
    assert.deepEqual(await waiting, [true, true]);
  });

  it('gives up after the time', async () => {
    const watch = watchOf(await closedPort());
    const start = performance.now();
    assert.equal(await watch.wait(80), false);
    assert.ok(performance.now() - start < 400);
  });

  it('is told by a request that was answered', async () => {
    const watch = watchOf(await closedPort());
    const waiting = watch.wait(3000);
    watch.returned();
    assert.equal(await waiting, true);
  });

  it('makes one connection at a time, however many wait, and none when nobody does', async () => {
    const { port, server } = await listen();
    let connections = 0;
    server.on('connection', () => (connections += 1));
    const watch = watchOf(port);
    await Promise.all(Array.from({ length: 50 }, () => watch.wait(3000)));
    await new Promise((resolve) => setTimeout(resolve, 700));
    assert.equal(connections, 1);
  });

  it('lets everybody go when it is closed', async () => {
    const watch = watchOf(await closedPort());
    const waiting = watch.wait(3000);
    watch.close();
    assert.equal(await waiting, false);
  });
});

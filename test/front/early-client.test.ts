/** A client between its handshake and the answer to it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { limits } from '../../gateway/core/limits.ts';
import { EarlyClient } from '../../gateway/front/early-client.ts';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('an early client', () => {
  it('has what it sent handed on, with what came with the handshake first', async () => {
    const socket = new PassThrough();
    const early = new EarlyClient(socket, Buffer.from('a'));
    socket.write('b');
    await turn();
    socket.write('c');
    await turn();
    assert.equal(early.release().toString(), 'abc');
    assert.equal(early.left, false);
  });

  it('is not read beyond its limit', async () => {
    const socket = new PassThrough();
    const early = new EarlyClient(socket, Buffer.alloc(0));
    socket.write(Buffer.alloc(limits.earlyBytes));
    await turn();
    assert.equal(socket.isPaused(), true);
    socket.write('more');
    await turn();
    assert.equal(early.release().length, limits.earlyBytes);
  });

  it('is not read at all when the limit came with the handshake', () => {
    const socket = new PassThrough();
    assert.equal(new EarlyClient(socket, Buffer.alloc(limits.earlyBytes)).left, false);
    assert.equal(socket.isPaused(), true);
  });

  it('is seen leaving, by its end or its loss', async () => {
    for (const leave of [(socket: PassThrough) => void socket.end(), (socket: PassThrough) => void socket.destroy()]) {
      const socket = new PassThrough();
      const early = new EarlyClient(socket, Buffer.alloc(0));
      const closed = once(socket, 'close');
      leave(socket);
      await closed;
      assert.equal(early.left, true);
    }
  });

  it('that breaks is not an error of ours', async () => {
    const socket = new PassThrough();
    const early = new EarlyClient(socket, Buffer.alloc(0));
    socket.destroy(new Error('reset'));
    await turn();
    assert.equal(early.left, true);
  });

  it('remains for a time, or until it leaves', async () => {
    const socket = new PassThrough();
    const early = new EarlyClient(socket, Buffer.alloc(0));
    await early.remains(10);
    assert.equal(early.left, false);
    const remaining = early.remains(60_000);
    socket.destroy();
    await remaining;
    await early.remains(60_000);
    assert.equal(early.left, true);
  });
});

import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import * as fc from 'fast-check';
import { WebSocket, WebSocketServer } from 'ws';
import type { Message } from '../../gateway/core/event.ts';
import { encodeFrames, frameBytes, writeFrame } from '../../gateway/wire/websocket-frame.ts';

function message(kind: Message['kind'], data: string | Buffer): Message {
  return { kind, data: Buffer.from(data) };
}

/** Lengths at which the form of the length changes. */
const edges = [0, 1, 125, 126, 127, 65_535, 65_536, 70_000];

describe('WebSocket frames', () => {
  it('are written as in the examples of RFC 6455 section 5.7', () => {
    assert.equal(encodeFrames([message('text', 'Hello')]).toString('hex'), '810548656c6c6f');
    assert.equal(encodeFrames([message('ping', 'Hello')]).toString('hex'), '890548656c6c6f');
    assert.equal(
      encodeFrames([message('binary', Buffer.alloc(256))])
        .subarray(0, 4)
        .toString('hex'),
      '827e0100',
    );
    assert.equal(
      encodeFrames([message('binary', Buffer.alloc(65_536))])
        .subarray(0, 10)
        .toString('hex'),
      '827f0000000000010000',
    );
    assert.equal(encodeFrames([message('pong', ''), message('text', '')]).toString('hex'), '8a008100');
  });

  it('have the length that was foretold', () => {
    for (const length of edges) assert.equal(encodeFrames([message('binary', Buffer.alloc(length))]).length, frameBytes(length));
    assert.equal(frameBytes(2 ** 32), 2 ** 32 + 10);
  });

  it('are written where there is room, touching nothing else', () => {
    const into = Buffer.alloc(12, 0xee);
    assert.equal(writeFrame(into, 2, message('text', 'abc')), 7);
    assert.equal(into.toString('hex'), 'eeee8103616263eeeeeeeeee');
  });

  it('are none for no messages', () => assert.equal(encodeFrames([]).length, 0));

  it('carry at most 125 bytes in a ping or pong', () => {
    for (const kind of ['ping', 'pong'] as const) {
      assert.equal(encodeFrames([message(kind, Buffer.alloc(125))]).length, 127);
      assert.throws(() => encodeFrames([message(kind, Buffer.alloc(126))]), { name: 'ForegateError', code: 'internal' });
    }
  });

  describe('read by a WebSocket client', () => {
    let server: WebSocketServer;
    let client: WebSocket;
    let socket: Duplex;
    const got: Message[] = [];

    before(async () => {
      server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
      server.on('connection', (_, request) => (socket = request.socket));
      await once(server, 'listening');
      client = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`, { autoPong: false });
      client.on('message', (data: Buffer, isBinary) => got.push({ kind: isBinary ? 'binary' : 'text', data }));
      client.on('ping', (data) => got.push({ kind: 'ping', data }));
      client.on('pong', (data) => got.push({ kind: 'pong', data }));
      await once(client, 'open');
    });

    after(() => {
      client.terminate();
      server.close();
    });

    async function roundTrip(messages: readonly Message[]): Promise<void> {
      got.length = 0;
      const end = message('pong', 'end');
      socket.write(encodeFrames([...messages, end]));
      await once(client, 'pong', { signal: AbortSignal.timeout(5_000) });
      while (!got.at(-1)?.data.equals(end.data)) await once(client, 'pong'); // oxlint-disable-line no-await-in-loop
      assert.deepEqual(got, [...messages, end]);
    }

    it('come back as they were, at every form of the length', async () => {
      await roundTrip(
        edges.flatMap((length) => [message('text', 'x'.repeat(length)), message('binary', Buffer.alloc(length, 7))]),
      );
    });

    it('come back as they were, whatever they are', async () => {
      const any = fc.oneof(
        fc.string({ unit: 'grapheme' }).map((text) => message('text', text)),
        fc.uint8Array({ maxLength: 300 }).map((bytes) => message('binary', Buffer.from(bytes))),
        fc
          .record({ kind: fc.constantFrom('ping' as const, 'pong' as const), bytes: fc.uint8Array({ maxLength: 125 }) })
          .map(({ kind, bytes }) => message(kind, Buffer.from(bytes))),
      );
      await fc.assert(fc.asyncProperty(fc.array(any, { maxLength: 50 }), roundTrip), { numRuns: 50 });
    });
  });
});

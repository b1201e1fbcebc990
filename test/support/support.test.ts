/** The tools of the tests, tested: against `ws` and `node:http`, which are known to be right. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';
import { encodeEvents, eventsMediaType } from '../../gateway/wire/websocket-events.ts';
import { binary, startBackend, text, type Backend } from './backend.ts';
import { openClient, refusedClient } from './client.ts';
import { need } from './debian.ts';
import { freePort, runProcess, startProcess, waitForPort } from './processes.ts';
import {
  clientFrame,
  closeFrame,
  closePayload,
  fragments,
  opcodes,
  openRawWebSocket,
  parseFrame,
  RawSocket,
} from './raw-socket.ts';
import { closingLine } from './reporter.ts';

describe('a raw WebSocket', () => {
  let server: WebSocketServer;
  let port: number;

  before(async () => {
    server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    server.on('connection', (socket) => {
      socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
      socket.on('error', () => {}); // Most of these clients misbehave on purpose.
    });
    await once(server, 'listening');
    port = (server.address() as AddressInfo).port; // It listens on TCP.
  });
  after(() => {
    for (const socket of server.clients) socket.terminate();
    server.close();
  });

  for (const length of [0, 1, 125, 126, 65_535, 65_536]) {
    it(`sends and reads a message of ${length} bytes`, async () => {
      const socket = await openRawWebSocket(port);
      const payload = Buffer.alloc(length, 'ä');
      socket.send(clientFrame(opcodes.binary, payload));
      assert.deepEqual(await socket.takeFrame(), { fin: true, reserved: 0, opcode: opcodes.binary, masked: false, payload });
      socket.destroy();
    });
  }

  it('sends a message in fragments', async () => {
    const socket = await openRawWebSocket(port);
    socket.send(fragments(opcodes.text, ['one ', 'two ', 'three']));
    assert.equal((await socket.takeFrame()).payload.toString(), 'one two three');
    socket.destroy();
  });

  it('sends byte after byte', async () => {
    const socket = await openRawWebSocket(port);
    await socket.sendSlowly(clientFrame(opcodes.text, 'slow'));
    assert.equal((await socket.takeFrame()).payload.toString(), 'slow');
    socket.destroy();
  });

  const wrong = {
    'no mask': clientFrame(opcodes.text, 'x', { mask: 'none' }),
    'a reserved bit': clientFrame(opcodes.text, 'x', { reserved: 4 }),
    'an unknown opcode': clientFrame(3, 'x'),
    'a ping in fragments': clientFrame(opcodes.ping, 'x', { fin: false }),
    'a long ping': clientFrame(opcodes.ping, Buffer.alloc(126)),
    'a continuation of nothing': clientFrame(opcodes.continuation, 'x'),
    'a close code that must not be sent': closeFrame(1005),
  };
  for (const [name, frame] of Object.entries(wrong)) {
    it(`can break the rules with ${name}`, async () => {
      const socket = await openRawWebSocket(port);
      socket.send(frame);
      const { opcode, payload } = await socket.takeFrame();
      assert.equal(opcode, opcodes.close);
      assert.equal(payload.readUInt16BE(0), 1002);
      socket.destroy();
    });
  }

  it('closes in good order', async () => {
    const socket = await openRawWebSocket(port);
    socket.send(closeFrame(1000, 'bye'));
    assert.deepEqual((await socket.takeFrame()).payload, closePayload(1000, 'bye'));
    await socket.takeEnd();
  });

  it('waits no longer than it is told, and says what came instead', async () => {
    const socket = await openRawWebSocket(port);
    socket.send(clientFrame(opcodes.text, 'answer'));
    await assert.rejects(socket.takeUntil('question', 50), /50 ms passed.*answer/);
    socket.destroy();
  });

  it('reads nothing from half a frame', () => {
    const frame = clientFrame(opcodes.text, 'hello', { lengthBytes: 2 });
    for (let i = 0; i < frame.length; i += 1) assert.equal(parseFrame(frame.subarray(0, i)), undefined);
    assert.equal(parseFrame(Buffer.concat([frame, frame]))?.size, frame.length);
    assert.equal(parseFrame(frame)?.frame.payload.toString(), 'hello');
  });
});

describe('the backend for tests', () => {
  let backend: Backend;

  beforeEach(async () => {
    backend = await startBackend();
  });
  afterEach(() => backend.stop());

  it('keeps events and echoes them', async () => {
    const events = [{ kind: 'open' } as const, text('hi'), binary(Buffer.of(0, 255))];
    const body = new Uint8Array(encodeEvents(events));
    const response = await fetch(`${backend.origin}/a?b`, { method: 'POST', headers: { 'Content-Type': eventsMediaType }, body });
    assert.deepEqual(new Uint8Array(await response.arrayBuffer()), body);
    assert.deepEqual(backend.events(), events);
    assert.deepEqual({ path: backend.requests[0]?.path, method: backend.requests[0]?.method }, { path: '/a?b', method: 'POST' });
  });

  it('counts connections, and cuts them', async () => {
    const socket = await RawSocket.connect(backend.port);
    socket.send('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    assert.equal((await socket.takeHead()).status, 200);
    assert.equal(backend.connections, 1);
    backend.disconnectAll();
    await socket.takeEnd();
  });

  it('says what it waited for in vain', async () => {
    await assert.rejects(
      backend.until(() => backend.requests.length === 3, 30),
      /requests\.length === 3/,
    );
  });

  it('refuses a WebSocket as any HTTP server does', async () => {
    backend.answer = () => ({ status: 418, headers: { 'X-Why': 'teapot' }, body: 'no' });
    // Without a listener for upgrades Node answers them as requests.
    const refusal = await refusedClient(`ws://127.0.0.1:${backend.port}/`);
    assert.deepEqual(
      { status: refusal.status, why: refusal.headers['x-why'], body: refusal.body },
      { status: 418, why: 'teapot', body: 'no' },
    );
    await assert.rejects(openClient(`ws://127.0.0.1:${backend.port}/`));
  });
});

describe('processes of tests', () => {
  it('are stopped, and their output is kept', async () => {
    const port = await freePort();
    const script = `console.log('up'); require('net').createServer().listen(${port}, '127.0.0.1')`;
    const started = startProcess(process.execPath, ['--eval', script]);
    await waitForPort(port, started);
    await started.stop();
    assert.equal(await started.ended, 'SIGTERM');
    assert.equal(started.output(), 'up\n');
  });

  it('report a failure with what was written', async () => {
    await assert.rejects(
      runProcess(process.execPath, ['--eval', 'console.error("oh no"); process.exit(3)']),
      /ended with 3:\noh no/,
    );
    await assert.rejects(
      waitForPort(await freePort(), startProcess(process.execPath, ['--version'])),
      /ended with 0 before it listened/,
    );
    await assert.rejects(runProcess('/does/not/exist', []), /ENOENT/);
  });

  it('name the line that installs a missing program', () => {
    // The list of programs is closed; a name outside it stands for one that is not installed.
    assert.throws(() => need('no-such-program' as 'nginx'), /apt-get install -y --no-install-recommends no-such-program/);
  });
});

describe('the closing line', () => {
  it('names skipped tests only where there are any', () => {
    assert.equal(closingLine({ passes: 12, failures: 0, pending: 0 }), '12 passed, 0 failed');
    assert.equal(closingLine({ passes: 12, failures: 1, pending: 3 }), '12 passed, 1 failed, 3 skipped');
  });
});

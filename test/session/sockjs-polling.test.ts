/** What of SockJS sessions takes time: heartbeats, and clients that do not ask any more or do not read. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { noMetrics, type CounterName } from '../../gateway/core/metrics.ts';
import type { ClientWebSocket, SocketListener } from '../../gateway/session/client-websocket.ts';
import { Poll, type PollForm } from '../../gateway/session/sockjs-poll.ts';
import { SockJsPolling } from '../../gateway/session/sockjs-polling.ts';
import { SockJsWebSocket } from '../../gateway/session/sockjs-websocket.ts';
import { ManualClock } from '../../gateway/testing/manual-clock.ts';
import { element } from '../../gateway/wire/sockjs-frames.ts';
import { eventually, onClear, clearStage } from '../protocol/stage.ts';

const xhr: PollForm = { contentType: 'text/plain', prelude: undefined, wrap: (frame) => `${frame}\n` };
const streaming: PollForm = { ...xhr, prelude: '-\n' };

class Listener implements SocketListener {
  readonly calls: string[] = [];
  received({ kind, data }: { kind: string; data: Buffer }): void {
    this.calls.push(`${kind} ${data.toString()}`);
  }
  closing(): void {
    this.calls.push('closing');
  }
  closeAnswered(code: number | undefined): void {
    this.calls.push(`answered ${code}`);
  }
  violated(code: number): void {
    this.calls.push(`violated ${code}`);
  }
  gone(): void {
    this.calls.push('gone');
  }
}

interface Asked {
  readonly poll: Poll;
  body(): string;
  /** Reads nothing more, or goes on. */
  reads(on: boolean): void;
}

/** Requests for frames over real connections, whose answers are given by the test. */
async function startPolls(): Promise<(form: PollForm) => Promise<Asked>> {
  const responses: ServerResponse[] = [];
  const server = createServer((_, response) => void responses.push(response)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onClear(() => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo; // A TCP server has no other kind of address.
  return async (form) => {
    const socket = connect(port, '127.0.0.1');
    onClear(() => void socket.destroy());
    let bytes = '';
    socket.on('data', (chunk) => (bytes += chunk.toString())).on('error', () => undefined);
    socket.write('POST / HTTP/1.0\r\n\r\n');
    await eventually(() => responses.length > 0);
    const response = responses.pop();
    if (response === undefined) throw new Error('No request came.');
    return {
      poll: new Poll(response, form, []),
      body: () => bytes.slice(bytes.indexOf('\r\n\r\n') + 4),
      reads: (on) => void (on ? socket.resume() : socket.pause()),
    };
  };
}

async function setPolling(form = xhr) {
  const clock = new ManualClock();
  const listener = new Listener();
  const forgotten: string[] = [];
  const counted: string[] = [];
  const metrics = { count: (name: CounterName, by = 1) => void counted.push(`${name} ${by}`) };
  const polling = new SockJsPolling({ clock, metrics, ended: () => true, forget: () => void forgotten.push('forgotten') });
  const ask = await startPolls();
  const first = await ask(form);
  polling.asked(first.poll);
  polling.accepted(listener);
  await eventually(() => first.body().endsWith('o\n'));
  return { clock, listener, polling, ask, first, forgotten, counted };
}

describe('a SockJS session that asks', () => {
  afterEach(clearStage);

  it('hears a heartbeat when there is nothing else, again and again', async () => {
    const { clock, polling, ask, listener } = await setPolling();
    for (let i = 0; i < 3; i += 1) {
      const asked = await ask(xhr);
      polling.asked(asked.poll);
      clock.advance(24_999);
      assert.equal(asked.body(), '');
      clock.advance(1);
      await eventually(() => asked.body() === 'h\n');
    }
    assert.deepEqual(listener.calls, []);
  });

  it('hears them in a stream, too', async () => {
    const { clock, polling, first } = await setPolling(streaming);
    for (const heard of ['h\n', 'h\nh\n']) {
      await eventually(() => polling.unsentBytes === 0);
      clock.advance(25_000);
      await eventually(() => first.body() === `-\no\n${heard}`);
    }
    polling.writeFrames(polling.encode([{ kind: 'text', data: Buffer.from('x') }]));
    clock.advance(24_999);
    await eventually(() => first.body() === '-\no\nh\nh\na["x"]\n');
  });

  it('is gone five seconds after its last answer, and forgotten five seconds later', async () => {
    const { clock, listener, polling, ask, forgotten } = await setPolling();
    await eventually(() => clock.pending === 1);
    clock.advance(4999);
    assert.equal(polling.open, true);
    clock.advance(1);
    await eventually(() => listener.calls.join() === 'gone');
    const late = await ask(xhr);
    polling.asked(late.poll);
    await eventually(() => late.body() === 'c[1002,"Connection interrupted"]\n');
    clock.advance(4999);
    assert.deepEqual(forgotten, []);
    clock.advance(1);
    assert.deepEqual(forgotten, ['forgotten']);
    assert.equal(clock.pending, 0);
  });

  it('may take its time to read an answer, but not when it is closed', async () => {
    const { clock, listener, polling, ask } = await setPolling();
    const slow = await ask(xhr);
    slow.reads(false);
    polling.asked(slow.poll);
    const large = 'x'.repeat(20_000_000);
    polling.writeFrames(polling.encode([{ kind: 'text', data: Buffer.from(large) }]));
    assert.ok(polling.unsentBytes > 1_000_000);
    clock.advance(60_000);
    assert.deepEqual([polling.open, listener.calls], [true, []]);
    polling.startClose(4000, 'too slow');
    clock.advance(5000);
    await eventually(() => listener.calls.join() === 'gone');
  });

  it('tells when everything was taken', async () => {
    const { polling, ask } = await setPolling();
    let taken = 0;
    polling.drained(() => (taken += 1));
    assert.equal(taken, 1);
    polling.writeFrames(element({ kind: 'text', data: Buffer.from('x') }) ?? Buffer.alloc(0));
    assert.equal(polling.unsentBytes, 4);
    polling.drained(() => (taken += 1));
    assert.equal(taken, 1);
    const asked = await ask(xhr);
    polling.asked(asked.poll);
    await eventually(() => taken === 2);
    assert.equal(asked.body(), 'a["x"]\n');
    polling.writeFrames(Buffer.from('"y",'));
    polling.drained(() => (taken += 1));
    polling.drop();
    assert.equal(taken, 3);
  });

  it('gives everything in its order when much waits in small pieces', async () => {
    const { polling, ask } = await setPolling();
    for (let i = 0; i < 1000; i += 1) polling.writeFrames(Buffer.from(`"${i}",`));
    const asked = await ask(xhr);
    polling.asked(asked.poll);
    await eventually(() => asked.body().endsWith(']\n'));
    assert.deepEqual(
      JSON.parse(asked.body().slice(1)),
      Array.from({ length: 1000 }, (_, i) => String(i)),
    );
  });

  it('answers pings itself, and counts what it cannot carry', async () => {
    const { polling, listener, counted } = await setPolling();
    const elements = polling.encode([
      { kind: 'ping', data: Buffer.from('p') },
      { kind: 'pong', data: Buffer.from('q') },
      { kind: 'binary', data: Buffer.from([0xff]) },
    ]);
    assert.equal(elements.length, 0);
    assert.deepEqual(listener.calls, ['pong p']);
    assert.deepEqual(counted, ['deliveries_dropped 1']);
  });

  it('lets bodies that wait go when it ends', async () => {
    const { polling } = await setPolling();
    let answered = 0;
    polling.pause();
    polling.sent([], () => (answered += 1));
    assert.equal(answered, 0);
    polling.drop();
    assert.equal(answered, 1);
  });

  it('tells of its end later, as sockets do', async () => {
    const { polling, listener, ask } = await setPolling();
    const waiting = await ask(xhr);
    polling.asked(waiting.poll);
    polling.startClose(4000, 'x');
    assert.deepEqual(listener.calls, []);
    await eventually(() => listener.calls.join() === 'answered 4000,gone');
    assert.equal(waiting.body(), 'c[4000,"x"]\n');
  });

  it('breaks off without a word when it is dropped, and says so to who comes back', async () => {
    const { polling, listener, ask } = await setPolling();
    const waiting = await ask(xhr);
    polling.asked(waiting.poll);
    polling.drop();
    await eventually(() => listener.calls.join() === 'gone');
    const back = await ask(xhr);
    await eventually(() => {
      polling.asked(back.poll);
      return back.body().startsWith('c[1006');
    });
    assert.equal(waiting.body(), '');
  });
});

describe('a SockJS session over WebSocket', () => {
  it('hears a heartbeat every 25 seconds, and none while it has not taken what there is, or is gone', () => {
    const clock = new ManualClock();
    const written: string[] = [];
    const socket = { unsentBytes: 0, writeFrames: (frames: Buffer) => void written.push(frames.toString('latin1', 2)) };
    const listener = new Listener();
    const framed = new SockJsWebSocket(socket as unknown as ClientWebSocket, listener, { clock, metrics: noMetrics });
    clock.advance(50_000);
    assert.deepEqual(written, ['o', 'h', 'h']);
    socket.unsentBytes = 1;
    clock.advance(50_000);
    socket.unsentBytes = 0;
    clock.advance(25_000);
    assert.deepEqual(written, ['o', 'h', 'h', 'h']);
    framed.gone();
    assert.deepEqual([clock.pending, listener.calls], [0, ['gone']]);
  });
});

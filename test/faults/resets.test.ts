/** Clients and publishers that go away in the middle of anything: the rest goes on, and nothing of them is left. */
import assert from 'node:assert/strict';
import type { BackendReply, BackendRequest } from '../support/backend.ts';
import { clientFrame, closeFrame, handshakeRequest, opcodes, RawSocket } from '../support/raw-socket.ts';
import { echo } from '../support/backend.ts';
import { held, requestText, setHoldStage, stream, type HoldStage } from '../protocol/holds.ts';
import { clearStage, eventually, gate, isOpening, onClear, said, type Gate } from '../protocol/stage.ts';

afterEach(clearStage);

/** Where a client is when it is reset, and what the backend hears of it then. */
interface Phase {
  readonly name: string;
  /** Goes there; what is slow waits for the gate. */
  go(stage: HoldStage, socket: RawSocket): Promise<void>;
  readonly hears: readonly string[];
}

const seen = (stage: HoldStage, path: string): Promise<void> => stage.backend.until(() => stage.at(path).length > 0);

const phases: readonly Phase[] = [
  { name: 'before it says anything', go: async () => {}, hears: [] },
  {
    name: 'in the middle of its head',
    go: async (_, socket) => socket.send(handshakeRequest().slice(0, 60)),
    hears: [],
  },
  {
    name: 'while OPEN is under way',
    go: async (stage, socket) => {
      socket.send(handshakeRequest({ path: '/slow' }));
      await seen(stage, '/slow');
    },
    hears: ['OPEN', 'DISCONNECT'],
  },
  { name: 'right after the handshake', go: (_, socket) => opened(socket), hears: ['OPEN', 'DISCONNECT'] },
  {
    name: 'in the middle of a frame',
    go: async (_, socket) => {
      await opened(socket);
      socket.send(clientFrame(opcodes.text, 'half').subarray(0, 7));
    },
    hears: ['OPEN', 'DISCONNECT'],
  },
  {
    name: 'while its message is under way',
    go: async (stage, socket) => {
      await opened(socket);
      socket.send(clientFrame(opcodes.text, 'slow'));
      await stage.backend.until(() => said(stage.backend.events()).includes('TEXT slow'));
    },
    hears: ['OPEN', 'TEXT slow', 'DISCONNECT'],
  },
  {
    name: 'while its close is under way',
    go: async (stage, socket) => {
      await opened(socket);
      socket.send(closeFrame(4000));
      await stage.backend.until(() => said(stage.backend.events()).length === 2);
    },
    hears: ['OPEN', 'CLOSE 4000'],
  },
  {
    name: 'in the middle of an upload',
    go: async (_, socket) => socket.send('POST /plain HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nhalf'),
    hears: [],
  },
  {
    name: 'while a plain request is under way',
    go: async (stage, socket) => {
      socket.send(requestText('/slow-plain'));
      await seen(stage, '/slow-plain');
    },
    hears: [],
  },
  { name: 'in a long-poll', go: (stage, socket) => holding(stage, socket, '/poll'), hears: [] },
  { name: 'in a stream', go: (stage, socket) => holding(stage, socket, '/events'), hears: [] },
  {
    name: 'while its request is made once more',
    go: async (stage, socket) => {
      await holding(stage, socket, '/again');
      await stage.item('c', { 'http-response': { action: 'hint' } });
      await stage.backend.until(() => stage.at('/again').length === 2);
    },
    hears: [],
  },
  {
    name: 'while its next link is fetched',
    go: async (stage, socket) => {
      await holding(stage, socket, '/linked');
      await stage.item('c', { 'http-stream': { action: 'hint' } });
      await seen(stage, '/slow-link');
    },
    hears: [],
  },
];

async function opened(socket: RawSocket): Promise<void> {
  assert.equal((await socket.handshake({ path: '/socket' })).status, 101);
}

async function holding(stage: HoldStage, socket: RawSocket, path: string): Promise<void> {
  socket.send(requestText(path));
  await stage.joined('c', 1);
}

function answerFor(open: Gate) {
  let again = 0;
  return async (request: BackendRequest): Promise<BackendReply | undefined> => {
    const isSlow =
      request.path.startsWith('/slow') || said(request.events)[0] === 'TEXT slow' || request.events[0]?.kind === 'close';
    if (isSlow || (request.path === '/again' && (again += 1) > 1)) await open.passed;
    if (request.method === 'POST' && (isOpening(request) || request.events.length > 0)) return echo(request);
    if (request.path === '/poll' || request.path === '/again') return held('c');
    if (request.path === '/linked') return stream('c', { 'Grip-Link': '</slow-link>; rel=next' });
    return request.path === '/events' || request.path === '/slow-link' ? stream('c') : { body: 'plain' };
  };
}

describe('a client that is reset', () => {
  for (const { name, go, hears } of phases)
    it(name, async () => {
      const open = gate();
      const stage = await setHoldStage({ answer: answerFor(open) });
      const socket = await stage.connect();
      await go(stage, socket);
      socket.socket.resetAndDestroy();
      open.open();
      await eventually(async () => (await sessions(stage)) === 0 && (await stage.members('c')) === 0);
      await eventually(() => said(stage.backend.events()).length >= hears.length);
      const other = await stage.open('/socket');
      other.send('still there');
      assert.equal(await other.nextText(), 'still there');
      assert.deepEqual(said(stage.backend.events()).slice(0, -2), hears);
    });
});

async function sessions(stage: HoldStage): Promise<number> {
  const list: unknown = await (await fetch(`${stage.controlUrl}/connections?limit=10`)).json();
  return Array.isArray(list) ? list.length : -1;
}

describe('a publisher that dies', () => {
  it('in the middle of its body publishes nothing, and the next one is served', async () => {
    const stage = await setHoldStage({ answer: answerFor(gate()) });
    const client = await stage.request('/events');
    await stage.joined('c');
    await client.takeHead();
    const item = JSON.stringify({ items: [{ channel: 'c', formats: { 'http-stream': { content: 'half' } } }] });
    for (let n = 0; n < 200; n += 1) {
      const publisher = await RawSocket.connect(Number(new URL(stage.controlUrl).port));
      onClear(() => publisher.destroy());
      publisher.send(`POST /publish/ HTTP/1.1\r\nHost: a\r\nContent-Length: ${item.length + 1}\r\n\r\n${item}`);
      if (n % 2 === 0) publisher.socket.resetAndDestroy();
      else publisher.socket.end();
    }
    await stage.streamed('c', 'whole');
    await client.takeUntil('whole');
    assert.ok(!client.received.includes('half'));
  });
});

describe('a link that answers 503 for ever', () => {
  it('ends its stream cleanly after the fifth repeat, and no other', async function () {
    this.timeout(60_000);
    const stage = await setHoldStage({
      answer: (request) => {
        if (request.path === '/events') return stream('c');
        return request.path === '/linked' ? stream('d', { 'Grip-Link': '</broken>; rel=next' }) : { status: 503 };
      },
    });
    const healthy = await stage.request('/events');
    await healthy.takeHead();
    const broken = await stage.request('/linked');
    await broken.takeHead();
    await stage.joined('d');
    await stage.item('d', { 'http-stream': { action: 'hint' } });
    await stage.streamed('d', 'still delivered');
    await broken.takeUntil('still delivered');
    await broken.takeUntil('0\r\n\r\n', 45_000);
    assert.equal(stage.at('/broken').length, 6);
    await stage.streamed('c', 'healthy');
    await healthy.takeUntil('healthy');
  });
});

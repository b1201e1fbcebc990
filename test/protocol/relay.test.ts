/** GRIP 2.13: a WebSocket backend behind the gateway, frame by frame. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { WebSocketServer, type WebSocket } from 'ws';
import type { Client } from '../support/client.ts';
import { refusedClient } from '../support/client.ts';
import { clientFrame, closeFrame, fragments, handshakeRequest, opcodes } from '../support/raw-socket.ts';
import { clearStage, eventually, onClear, pause, setStage, type Stage, type StageTerms } from './stage.ts';

afterEach(clearStage);

/** One connection at the backend, with what came on it: `text hello`, `close 4000 bye`. */
interface BackendSide {
  readonly socket: WebSocket;
  readonly request: IncomingMessage;
  readonly heard: string[];
}

interface Relayed extends Stage {
  readonly sides: readonly BackendSide[];
  readonly server: Server;
}

interface RelayTerms extends Omit<StageTerms, 'answer'> {
  /** Fields of the 101. */
  readonly headers?: readonly string[];
  /** Refuses with these bytes. */
  readonly refusal?: string;
  /** Before the 101. */
  readonly delayMs?: number;
}

async function setRelay({ headers = [], refusal, delayMs = 0, ...terms }: RelayTerms = {}): Promise<Relayed> {
  const sides: BackendSide[] = [];
  const server = createServer();
  const sockets = new WebSocketServer({
    noServer: true,
    autoPong: false,
    handleProtocols: (offered) => [...offered].at(-1) ?? false,
  });
  sockets.on('headers', (lines) => void lines.push(...headers));
  server.on('upgrade', (request, socket, head) => {
    socket.on('error', () => undefined);
    if (refusal !== undefined) {
      socket.end(refusal);
      return;
    }
    setTimeout(
      () => sockets.handleUpgrade(request, socket, head, (accepted) => sides.push(watch(accepted, request))),
      delayMs,
    ).unref();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onClear(() => {
    for (const { socket } of sides) socket.terminate();
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const stage = await setStage({ ...terms, targets: [{ url: `ws://127.0.0.1:${port}`, ...terms.target }] });
  return { ...stage, sides, server };
}

function watch(socket: WebSocket, request: IncomingMessage): BackendSide {
  const heard: string[] = [];
  socket.on('message', (data: Buffer, isBinary) => heard.push(`${isBinary ? 'binary' : 'text'} ${data.toString()}`));
  socket.on('ping', (data) => heard.push(`ping ${data.toString()}`)).on('pong', (data) => heard.push(`pong ${data.toString()}`));
  socket.on('close', (code, reason) => heard.push(`close ${code} ${reason.toString()}`.trim())).on('error', () => undefined);
  return { socket, request, heard };
}

/** Opens a client, and what the backend has of it. */
async function pair(stage: Relayed, path = '/'): Promise<{ client: Client; side: BackendSide }> {
  const client = await stage.open(path);
  await eventually(() => stage.sides.length > 0);
  return { client, side: stage.sides.at(-1) ?? assert.fail() };
}

const grip = ['Sec-WebSocket-Extensions: grip'];
const subscribe = 'c:{"type":"subscribe","channel":"a"}';

describe('the handshake of a relayed connection (GRIP 2.13)', () => {
  it("goes to the backend with the client's fields, cleaned and extended", async () => {
    const stage = await setRelay({ route: { headers: { 'X-Key': 'k1' } }, settings: { grip: { issuer: 'gw', key: 'secret' } } });
    await stage.openRaw({
      path: '/a/../b?c=%7E',
      headers: [
        'Cookie: a=1',
        'Origin: https://app.example',
        'Grip-Sig: forged',
        'Meta-User: forged',
        'X-Custom: v',
        'Sec-WebSocket-Extensions: permessage-deflate',
      ],
    });
    const { request } = stage.sides[0] ?? assert.fail();
    assert.equal(request.method, 'GET');
    assert.equal(request.url, '/a/../b?c=%7E');
    assert.equal(request.headers.cookie, 'a=1');
    assert.equal(request.headers.origin, 'https://app.example');
    assert.equal(request.headers['x-custom'], 'v');
    assert.equal(request.headers['x-key'], 'k1');
    assert.equal(request.headers['x-forwarded-for'], '127.0.0.1');
    assert.equal(request.headers['sec-websocket-extensions'], 'grip');
    assert.match(String(request.headers['grip-sig']), /^ey/);
    assert.equal(JSON.stringify(request.rawHeaders).includes('forged'), false);
  });

  it('gives the fields of the 101 to the client, the extension not among them, the subprotocol among them', async () => {
    const stage = await setRelay({ headers: [...grip, 'Set-Cookie: a=1', 'X-Custom: v', 'Grip-Whatever: x'] });
    const head = await (await stage.connect()).handshake({ headers: ['Sec-WebSocket-Protocol: p1, p2'] });
    assert.equal(head.status, 101);
    assert.equal(head.headers.get('set-cookie'), 'a=1');
    assert.equal(head.headers.get('x-custom'), 'v');
    assert.equal(head.headers.get('sec-websocket-protocol'), 'p2');
    assert.equal(head.headers.get('sec-websocket-accept'), 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
    for (const name of ['sec-websocket-extensions', 'grip-whatever']) assert.equal(head.headers.has(name), false, name);
  });

  it('hands a refusal to the client as it is', async () => {
    const stage = await setRelay({
      refusal:
        'HTTP/1.1 403 Not You\r\nContent-Type: application/json\r\nSet-Cookie: a=1\r\nContent-Length: 11\r\n\r\n{"no":true}',
    });
    const refusal = await refusedClient(stage.url.replace('http', 'ws'));
    assert.equal(refusal.status, 403);
    assert.equal(refusal.body, '{"no":true}');
    assert.deepEqual(refusal.headers['set-cookie'], ['a=1']);
  });

  it('goes to the next target when the first cannot be reached', async () => {
    const good = await setRelay();
    const address = good.server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const stage = await setStage({ targets: [{ url: 'ws://127.0.0.1:1' }, { url: `ws://127.0.0.1:${port}` }] });
    await stage.open();
    assert.equal(good.sides.length, 1);
  });

  it('is answered with 502 when no backend is there, and 504 when it does not answer', async () => {
    const away = await setStage({ targets: [{ url: 'ws://127.0.0.1:1' }] });
    assert.equal((await refusedClient(away.url.replace('http', 'ws'))).status, 502);
    const slow = await setRelay({ delayMs: 10_000, target: { timeout: '100ms' } });
    assert.equal((await refusedClient(slow.url.replace('http', 'ws'))).status, 504);
  });

  it('keeps early frames, and notices a client that left meanwhile', async () => {
    const stage = await setRelay({ delayMs: 60 });
    const client = await stage.connect();
    client.send(Buffer.concat([Buffer.from(handshakeRequest()), clientFrame(opcodes.text, 'early')]));
    assert.equal((await client.takeHead()).status, 101);
    await eventually(() => stage.sides[0]?.heard[0] === 'text early');
    const left = await stage.connect();
    left.send(handshakeRequest());
    await pause(20);
    left.destroy();
    await eventually(() => stage.sides.length === 2 && (stage.sides[1]?.heard.length ?? 0) > 0);
    assert.match(stage.sides[1]?.heard[0] ?? '', /^close/);
  });
});

describe('frames of a relayed connection (GRIP 2.13)', () => {
  it('go both ways as they are: text, binary, ping and pong, empty ones too', async () => {
    const stage = await setRelay();
    const client = await stage.openRaw();
    await eventually(() => stage.sides.length === 1);
    const { socket, heard } = stage.sides[0] ?? assert.fail();
    client.send(
      Buffer.concat([
        clientFrame(opcodes.text, 'hé'),
        clientFrame(opcodes.binary, 'b'),
        clientFrame(opcodes.ping, 'p'),
        clientFrame(opcodes.pong, 'q'),
        clientFrame(opcodes.text),
      ]),
    );
    await eventually(() => heard.length === 5);
    assert.deepEqual(heard, ['text hé', 'binary b', 'ping p', 'pong q', 'text ']);
    socket.send('hé');
    socket.send(Buffer.from([0, 255]));
    socket.ping('p');
    socket.pong('q');
    socket.send('');
    const frames = [];
    for (let i = 0; i < 5; i += 1) frames.push(await client.takeFrame());
    assert.deepEqual(
      frames.map(({ opcode }) => opcode),
      [opcodes.text, opcodes.binary, opcodes.ping, opcodes.pong, opcodes.text],
    );
    assert.deepEqual(
      frames.map(({ payload }) => payload.toString('latin1')),
      ['hÃ©', '\x00ÿ', 'p', 'q', ''],
    );
  });

  it('are joined where they were fragments, a ping between them first', async () => {
    const stage = await setRelay();
    const client = await stage.openRaw();
    client.send(fragments(opcodes.text, ['a', 'b', 'c']));
    client.send(clientFrame(opcodes.text, 'd', { fin: false }));
    client.send(clientFrame(opcodes.ping, 'p'));
    client.send(clientFrame(opcodes.continuation, 'e'));
    await eventually(() => stage.sides[0]?.heard.length === 3);
    assert.deepEqual(stage.sides[0]?.heard, ['text abc', 'ping p', 'text de']);
  });

  it('keep their order, however many', async () => {
    const { client, side } = await pair(await setRelay());
    for (let i = 0; i < 1000; i += 1) {
      client.send(String(i));
      side.socket.send(String(i));
    }
    for (let i = 0; i < 1000; i += 1) assert.equal(await client.nextText(), String(i));
    await eventually(() => side.heard.length === 1000);
    assert.deepEqual(
      side.heard,
      Array.from({ length: 1000 }, (_, i) => `text ${i}`),
    );
  });

  it('are ordinary when they begin with c: and GRIP is not on', async () => {
    const stage = await setRelay();
    const { client, side } = await pair(stage);
    side.socket.send(subscribe);
    assert.equal(await client.nextText(), subscribe);
    assert.equal(await stage.members('a'), 0);
  });

  it('pass the policies of the route', async () => {
    const stage = await setRelay({
      policy: {
        message: (_session, message) =>
          message.data.toString() === 'bad' ? { kind: 'deny', code: 'forbidden', detail: 'no', action: 'drop' } : undefined,
      },
    });
    const { client, side } = await pair(stage);
    for (const data of ['1', 'bad', '2']) client.send(data);
    await eventually(() => side.heard.length === 2);
    assert.deepEqual(side.heard, ['text 1', 'text 2']);
  });

  it('of the backend pass the policies of the route, too: one may drop a message, or be waited for, and the order stays', async () => {
    const seen: string[] = [];
    const { client, side } = await pair(
      await setRelay({
        headers: grip,
        policy: {
          response(_session, reply, [step]) {
            const data = step !== undefined && 'data' in step ? step.data.toString() : step?.kind;
            seen.push(`${reply.status} ${data}`);
            if (data === 'm:bad') return { kind: 'deny', code: 'bad-reply', detail: 'no', action: 'drop' };
            return data === 'm:slow' ? { kind: 'delay', ms: 50 } : undefined;
          },
        },
      }),
    );
    for (const data of ['m:1', 'm:slow', 'm:bad', 'm:2']) side.socket.send(data);
    for (const data of ['1', 'slow', '2']) assert.equal(await client.nextText(), data);
    assert.deepEqual(seen, ['101 accept', '101 m:1', '101 m:slow', '101 m:bad', '101 m:2']);
    side.socket.close(4000, 'bye');
    assert.deepEqual(await client.closed(), { code: 4000, reason: 'bye' });
  });

  it('of the backend that a policy does not let through close both sides', async () => {
    const { client, side } = await pair(
      await setRelay({
        policy: {
          response: (_session, _reply, steps) =>
            steps.some((step) => step.kind === 'text') ? { kind: 'deny', code: 'bad-reply', detail: 'not this' } : undefined,
        },
      }),
    );
    side.socket.send('secret');
    assert.deepEqual(await client.closed(), { code: 1011, reason: 'not this' });
    await assert.rejects(client.next());
    await eventually(() => side.heard.length === 1);
  });

  it('of the backend are limited by message-size and checked by message-schema', async () => {
    const inline = { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] };
    const { client, side } = await pair(
      await setRelay({
        headers: grip,
        route: {
          policies: [
            { use: 'message-size', textBytes: 30, from: 'backend', over: 'drop' },
            { use: 'message-schema', schemas: { tick: { inline } }, from: 'backend', over: 'drop' },
          ],
        },
      }),
    );
    for (const data of ['{"type":"tick","n":1}', '{"type":"tick"}', 'text', '{"type":"tick","n":2,"more":"than fits"}'])
      side.socket.send(`m:${data}`);
    side.socket.send('m:{"type":"tick","n":3}');
    for (const n of [1, 3]) assert.equal(await client.nextText(), `{"type":"tick","n":${n}}`);
  });

  it('do not flow at all where a policy refuses the answer to the handshake', async () => {
    const stage = await setRelay({
      headers: ['X-Mood: bad'],
      policy: {
        response: (_session, reply) =>
          reply.headers.includes('X-Mood') ? { kind: 'deny', code: 'forbidden', detail: 'no' } : undefined,
      },
    });
    assert.equal((await refusedClient(stage.url.replace('http', 'ws'))).status, 403);
    await eventually(() => stage.sides[0]?.heard.length === 1);
  });

  // Of the small ones many arrive at once, also after the backend was told to wait.
  for (const size of [50_000, 2000])
    it(`are held back at the backend while the client does not read, and come later: ${size} bytes`, async () => {
      const stage = await setRelay();
      const client = await stage.openRaw();
      await eventually(() => stage.sides.length === 1);
      const { socket } = stage.sides[0] ?? assert.fail();
      client.socket.pause();
      const total = 20_000_000 / size;
      for (let i = 0; i < total; i += 1) socket.send(Buffer.alloc(size, i % 256));
      await pause(300);
      assert.ok(socket.bufferedAmount > 1_000_000, `${socket.bufferedAmount} bytes wait at the backend`);
      client.socket.resume();
      for (let i = 0; i < total; i += 1) {
        const { payload } = await client.takeFrame();
        assert.deepEqual([payload.length, payload[0]], [size, i % 256]);
      }
    });

  it('are held back at the client while the backend does not read, and come later', async () => {
    const stage = await setRelay();
    const client = await stage.openRaw();
    await eventually(() => stage.sides.length === 1);
    const { socket, heard } = stage.sides[0] ?? assert.fail();
    socket.pause();
    const frame = clientFrame(opcodes.text, 'x'.repeat(50_000));
    const total = 400;
    for (let i = 0; i < total; i += 1) client.send(frame);
    await pause(300);
    assert.ok(client.socket.writableLength > 1_000_000, `${client.socket.writableLength} bytes wait at the client`);
    socket.resume();
    await eventually(() => heard.length === total, 8000);
  });
});

describe('the end of a relayed connection (GRIP 2.13)', () => {
  for (const [code, reason, atBackend] of [
    [4000, 'bye', 'close 4000 bye'],
    [1000, '', 'close 1000'],
    [1001, 'away', 'close 1001 away'],
    [undefined, '', 'close 1005'],
  ] as const) {
    it(`by the client with ${String(code)} reaches the backend, and its answer the client`, async () => {
      const stage = await setRelay();
      const client = await stage.openRaw();
      await eventually(() => stage.sides.length === 1);
      client.send(closeFrame(code, reason));
      const frame = await client.takeFrame();
      assert.equal(frame.opcode, opcodes.close);
      if (code !== undefined) assert.equal(frame.payload.readUInt16BE(), code);
      await client.takeEnd();
      await eventually(() => stage.sides[0]?.heard.length === 1);
      assert.deepEqual(stage.sides[0]?.heard, [atBackend]);
    });

    it(`by the backend with ${String(code)} reaches the client, and its answer the backend`, async () => {
      const { client, side } = await pair(await setRelay());
      if (code === undefined) side.socket.close();
      else side.socket.close(code, reason);
      const closing = await client.closed();
      if (code !== undefined) assert.deepEqual(closing, { code, reason });
      await eventually(() => side.heard.length === 1);
      if (code !== undefined) assert.match(side.heard[0] ?? '', new RegExp(`^close ${code}`));
    });
  }

  it('by the loss of the client is the loss of the backend', async () => {
    const stage = await setRelay();
    const { client, side } = await pair(stage);
    client.socket.terminate();
    await eventually(() => side.heard.length === 1);
    assert.deepEqual(side.heard, ['close 1006']);
  });

  it('by the loss of the backend closes the client with 1011, or drops it where the route wants it so', async () => {
    for (const [closeFrames, code] of [
      [true, 1011],
      [false, 1006],
    ] as const) {
      const { client, side } = await pair(await setRelay({ route: { closeFrames } }));
      side.socket.terminate();
      assert.equal((await client.closed()).code, code);
      await clearStage();
    }
  });

  it('by a breach of the client is told to it, and the backend sees it go', async () => {
    const stage = await setRelay();
    const client = await stage.openRaw();
    await eventually(() => stage.sides.length === 1);
    client.send(clientFrame(opcodes.text, Buffer.from([0xff])));
    assert.equal((await client.takeFrame()).payload.readUInt16BE(), 1007);
    await eventually(() => stage.sides[0]?.heard.length === 1);
  });

  it('by a message of the backend that is too large closes the client with 1011', async () => {
    const { client, side } = await pair(await setRelay({ route: { limits: { replyBytes: 1000 } } }));
    side.socket.send('x'.repeat(1001));
    assert.equal((await client.closed()).code, 1011);
    await eventually(() => side.heard.length === 1);
  });

  it('leaves no connection behind', async () => {
    const stage = await setRelay();
    const { client } = await pair(stage);
    await client.close();
    await eventually(async () => (await (await fetch(`${stage.controlUrl}/connections`)).text()).trim() === '[]');
  });

  it('by the end of the program closes both', async () => {
    const stage = await setRelay();
    const { client, side } = await pair(stage);
    await stage.foregate.stop();
    assert.equal((await client.closed()).code, 1012);
    await eventually(() => side.heard.length === 1);
  });
});

describe('GRIP in a relayed connection (GRIP 2.13, 3)', () => {
  it('is turned on by the 101, and works as it does elsewhere', async () => {
    const stage = await setRelay({ headers: grip });
    const { client, side } = await pair(stage);
    for (const data of [subscribe, 'dropped', 'm:hello']) side.socket.send(data);
    assert.equal(await client.nextText(), 'hello');
    await stage.say('a', 'published');
    assert.equal(await client.nextText(), 'published');
    side.socket.send('c:{"type":"unsubscribe","channel":"a"}');
    await eventually(async () => (await stage.members('a')) === 0);
  });

  it('takes another prefix', async () => {
    const { client, side } = await pair(await setRelay({ headers: ['Sec-WebSocket-Extensions: grip; message-prefix=""'] }));
    side.socket.send('plain');
    assert.equal(await client.nextText(), 'plain');
  });

  it('detaches: the backend gets a close, the client stays for publications', async () => {
    const stage = await setRelay({ headers: grip });
    const { client, side } = await pair(stage);
    side.socket.send(subscribe);
    side.socket.send('c:{"type":"detach"}');
    await eventually(() => side.heard.length === 1);
    assert.equal(side.heard[0], 'close 1005');
    client.send('nobody hears this');
    await pause(30);
    assert.equal(client.closing, undefined);
    await stage.say('a', 'still here');
    assert.equal(await client.nextText(), 'still here');
    await client.close();
  });

  it('lets a publisher close both', async () => {
    const stage = await setRelay({ headers: grip });
    const { client, side } = await pair(stage);
    side.socket.send(subscribe);
    await eventually(async () => (await stage.members('a')) === 1);
    await stage.publish('a', { action: 'close', code: 4001, reason: 'over' });
    assert.deepEqual(await client.closed(), { code: 4001, reason: 'over' });
    await eventually(() => side.heard.length === 1);
    assert.equal(side.heard[0], 'close 1005');
  });

  it('joins the channels of the target', async () => {
    const stage = await setRelay({ target: { channels: ['all'] } });
    const { client } = await pair(stage);
    await stage.say('all', 'hello');
    assert.equal(await client.nextText(), 'hello');
  });
});

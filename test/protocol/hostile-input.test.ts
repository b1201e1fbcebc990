/** Clients, backends and publishers that mean no good, or are broken: one pays for it, nobody else. */
import assert from 'node:assert/strict';
import { echo, reply, text } from '../support/backend.ts';
import { clientFrame, closeFrame, handshakeRequest, opcodes, type FrameTerms } from '../support/raw-socket.ts';
import { eventsReply, startRawBackend, type RawRequest } from './raw-backend.ts';
import {
  accepted,
  acceptedWithGrip,
  afterOpen,
  clearStage,
  eventually,
  isOpening,
  nothing,
  pause,
  said,
  setStage,
  type Stage,
} from './stage.ts';

afterEach(clearStage);

/** Opens a second client; the returned function proves that it is served as ever. */
async function bystander({ open }: Stage): Promise<() => Promise<void>> {
  const client = await open('/bystander');
  return async () => {
    client.send('still here?');
    assert.equal(await client.nextText(), 'still here?');
  };
}

/** Behaves as told for everybody but the bystander. */
function badlyFor(others: Parameters<typeof afterOpen>[0], open = accepted()): Parameters<typeof afterOpen>[0] {
  return (request) => (request.path === '/bystander' ? echo(request) : afterOpen(others, open)(request));
}

describe('frames that break the protocol (RFC 6455)', () => {
  const frame = (opcode: number, payload: Buffer | string = '', terms: FrameTerms = {}): Buffer =>
    clientFrame(opcode, payload, terms);
  const cases: readonly [string, Buffer, number][] = [
    ['text that is not UTF-8', frame(opcodes.text, Buffer.from([0xc3, 0x28])), 1007],
    ['text cut inside a character', frame(opcodes.text, Buffer.from([0xe2, 0x82])), 1007],
    ['a surrogate in UTF-8', frame(opcodes.text, Buffer.from([0xed, 0xa0, 0x80])), 1007],
    [
      'fragments that are no UTF-8 together',
      Buffer.concat([frame(opcodes.text, Buffer.from([0xc3]), { fin: false }), frame(opcodes.continuation, Buffer.from([0x28]))]),
      1007,
    ],
    ['RSV1', frame(opcodes.text, 'x', { reserved: 4 }), 1002],
    ['RSV2', frame(opcodes.text, 'x', { reserved: 2 }), 1002],
    ['RSV3', frame(opcodes.text, 'x', { reserved: 1 }), 1002],
    ['a reserved opcode', frame(3, 'x'), 1002],
    ['a reserved control opcode', frame(11, 'x'), 1002],
    ['a frame that is not masked', frame(opcodes.text, 'x', { mask: 'none' }), 1002],
    ['a fragmented ping', frame(opcodes.ping, 'x', { fin: false }), 1002],
    ['a ping of 126 bytes', frame(opcodes.ping, Buffer.alloc(126)), 1002],
    ['a close frame of 126 bytes', frame(opcodes.close, Buffer.alloc(126, 3)), 1002],
    ['a continuation of nothing', frame(opcodes.continuation, 'x'), 1002],
    ['a new message inside another', Buffer.concat([frame(opcodes.text, 'x', { fin: false }), frame(opcodes.text, 'y')]), 1002],
    ['a close frame of one byte', frame(opcodes.close, 'x'), 1002],
    ['a close code that must not be sent', closeFrame(1005), 1002],
    ['a close code of nobody', closeFrame(999), 1002],
    ['a close reason that is not UTF-8', frame(opcodes.close, Buffer.from([0x03, 0xe8, 0xff])), 1007],
    ['a length beyond numbers', frame(opcodes.binary, '', { statedLength: 2 ** 53, lengthBytes: 8 }), 1009],
  ];
  for (const [what, bytes, code] of cases) {
    it(`end the connection with ${code}: ${what}`, async () => {
      const stage = await setStage();
      const stillServed = await bystander(stage);
      const client = await stage.openRaw({ path: '/bad' });
      client.send(bytes);
      const answer = await client.takeFrame();
      assert.equal(answer.opcode, opcodes.close);
      assert.equal(answer.payload.readUInt16BE(), code);
      await client.takeEnd();
      const seen = () => stage.backend.requests.filter(({ path }) => path === '/bad').map(({ events }) => said(events).join());
      await stage.backend.until(() => seen().length === 2);
      assert.deepEqual(seen(), ['OPEN', 'DISCONNECT']);
      await stillServed();
    });
  }

  it('let what came before them pass', async () => {
    const { backend, openRaw } = await setStage({ answer: afterOpen(() => nothing) });
    const client = await openRaw();
    client.send(frame(opcodes.text, 'good'));
    await backend.until(() => backend.requests.length === 2);
    client.send(frame(opcodes.text, 'bad', { reserved: 7 }));
    await client.takeEnd();
    await backend.until(() => backend.requests.length === 3);
    assert.deepEqual(said(backend.events()), ['OPEN', 'TEXT good', 'DISCONNECT']);
  });
});

describe('requests that break HTTP', () => {
  const fields = (count: number): string[] => Array.from({ length: count }, (_, i) => `X-${i}: ${i}`);
  const cases: readonly [string, string, number | 'closed'][] = [
    ['65 header fields', handshakeRequest({ headers: fields(60) }), 431],
    ['65 header fields of a plain request', `GET / HTTP/1.1\r\nHost: a\r\n${fields(64).join('\r\n')}\r\n\r\n`, 431],
    ['2000 header fields', handshakeRequest({ headers: fields(2000) }), 431],
    ['20000 bytes of header fields', handshakeRequest({ headers: [`X-Long: ${'x'.repeat(20_000)}`] }), 431],
    ['a request line without end', `GET /${'x'.repeat(30_000)}`, 431],
    [
      'Content-Length beside Transfer-Encoding',
      'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
    ],
    ['two lengths', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!', 400],
    ['lines that end in a bare LF', 'GET / HTTP/1.1\nHost: a\n\n', 400],
    ['a bare LF inside the head', 'GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n', 400],
    ['a space before the colon', 'GET / HTTP/1.1\r\nHost : a\r\n\r\n', 400],
    ['a folded line', 'GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n', 400],
    ['NUL in a value', 'GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n', 400],
    ['no Host', 'GET / HTTP/1.1\r\n\r\n', 400],
    ['an absolute target', 'GET http://elsewhere.example/ HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['no HTTP at all', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc', 400],
    ['CONNECT', 'CONNECT elsewhere.example:443 HTTP/1.1\r\nHost: elsewhere.example:443\r\n\r\n', 'closed'],
  ];
  for (const [what, request, expected] of cases) {
    it(`are answered with ${expected}: ${what}`, async () => {
      const stage = await setStage();
      const stillServed = await bystander(stage);
      const client = await stage.connect();
      client.send(Buffer.from(request, 'latin1'));
      if (expected === 'closed') await client.takeEnd();
      else assert.equal((await client.takeHead()).status, expected);
      assert.ok(stage.backend.requests.every(({ path }) => path === '/bystander'));
      await stillServed();
    });
  }

  it('and handshakes that never end hold nobody up', async () => {
    const stage = await setStage();
    const slow = await Promise.all(Array.from({ length: 50 }, () => stage.connect()));
    for (const client of slow) client.send('GET / HTTP/1.1\r\nHost: local');
    const stillServed = await bystander(stage);
    await stillServed();
    for (const client of slow)
      client.send(
        'host\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
      );
    for (const client of slow) assert.equal((await client.takeHead()).status, 101);
  });

  it('and handshakes with a body are no way to smuggle a request', async () => {
    const stage = await setStage();
    const stillServed = await bystander(stage);
    const client = await stage.connect();
    client.send(handshakeRequest({ headers: ['Content-Length: 44'] }));
    client.send('GET /smuggled HTTP/1.1\r\nHost: a\r\nX-Y: 1234\r\n\r\n');
    await client.takeUntil('\r\n\r\n');
    await pause(30);
    assert.ok(stage.backend.requests.every(({ path }) => path !== '/smuggled'));
    await stillServed();
  });

  it('and connections that are cut in the middle of anything are forgotten', async () => {
    const stage = await setStage({ answer: badlyFor(async (request) => (await pause(10), echo(request))) });
    const stillServed = await bystander(stage);
    const bytes = Buffer.concat([Buffer.from(handshakeRequest()), clientFrame(opcodes.text, 'hello'), closeFrame(1000)]);
    for (let cut = 0; cut <= bytes.length; cut += 7) {
      const client = await stage.connect();
      client.send(bytes.subarray(0, cut));
      await pause(cut % 3);
      if (cut % 2 === 0) client.socket.resetAndDestroy();
      else client.destroy();
    }
    await stillServed();
    await eventually(async () => (await sessionsOf(stage)) === 1);
  });

  it('and random bytes harm nobody', async () => {
    const stage = await setStage();
    const stillServed = await bystander(stage);
    for (let round = 0; round < 20; round += 1) {
      const http = await stage.connect();
      http.send(Buffer.from(Array.from({ length: 300 }, () => Math.floor(Math.random() * 256))));
      const socket = await stage.openRaw();
      socket.send(Buffer.from(Array.from({ length: 300 }, () => Math.floor(Math.random() * 256))));
    }
    await pause(50);
    await stillServed();
  });
});

async function sessionsOf({ controlUrl }: Stage): Promise<number> {
  const sessions: unknown = await (await fetch(`${controlUrl}/connections`)).json();
  return Array.isArray(sessions) ? sessions.length : -1;
}

describe('backends that misbehave', () => {
  const typed = 'Content-Type: application/websocket-events';
  const cases: readonly [string, number, (request: RawRequest) => void][] = [
    ['a reply that never comes', 1013, () => undefined],
    ['a head that never ends', 1013, ({ socket }) => drip(socket, 'HTTP/1.1 200 OK\r\nX: ', 'x')],
    [
      'a body that comes byte by byte, for ever',
      1013,
      ({ socket }) => drip(socket, `HTTP/1.1 200 OK\r\n${typed}\r\nContent-Length: 10000\r\n\r\n`, 'x'),
    ],
    [
      'a body without end',
      1011,
      ({ socket }) => stream(socket, `HTTP/1.1 200 OK\r\n${typed}\r\n\r\n`, Buffer.alloc(65_536, 'x')),
    ],
    [
      'a chunked body without end',
      1011,
      ({ socket }) =>
        stream(
          socket,
          `HTTP/1.1 200 OK\r\n${typed}\r\nTransfer-Encoding: chunked\r\n\r\n`,
          Buffer.from(`4000\r\n${'x'.repeat(16_384)}\r\n`),
        ),
    ],
    [
      'a body of a gigabyte, as it says',
      1011,
      ({ socket }) => stream(socket, `HTTP/1.1 200 OK\r\n${typed}\r\nContent-Length: 1000000000\r\n\r\n`, Buffer.alloc(65_536)),
    ],
    [
      'an error page without end',
      1011,
      ({ socket }) => stream(socket, 'HTTP/1.1 500 Oops\r\nContent-Type: text/html\r\n\r\n', Buffer.alloc(65_536, 'x')),
    ],
    [
      'interim replies without end',
      1013,
      ({ socket }) => stream(socket, '', Buffer.from('HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(100))),
    ],
    [
      'header fields without end',
      1011,
      ({ socket }) => stream(socket, 'HTTP/1.1 200 OK\r\n', Buffer.from('X-Field: value\r\n'.repeat(100))),
    ],
    ['a head of 100000 bytes', 1011, ({ socket }) => socket.write(eventsReply('', `X-Long: ${'x'.repeat(100_000)}`))],
    [
      'a chunk size that is none',
      1011,
      ({ socket }) => socket.write(`HTTP/1.1 200 OK\r\n${typed}\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n`),
    ],
    ['a status that is none', 1011, ({ socket }) => socket.write('HTTP/1.1 99999 What\r\n\r\n')],
    [
      'a compressed body',
      1011,
      ({ socket }) => socket.write(eventsReply(Buffer.from([0x1f, 0x8b, 8, 0, 0, 0]), 'Content-Encoding: gzip')),
    ],
    [
      'an upgrade nobody asked for',
      1011,
      ({ socket }) => socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n'),
    ],
  ];
  for (const [what, code, answer] of cases) {
    it(`end one connection with ${code}: ${what}`, async () => {
      const backend = await startRawBackend((request) => {
        if (request.head.includes('/bystander')) request.socket.write(eventsReply(request.body));
        else answer(request);
      });
      const stage = await setStage({ targets: [{ url: backend.origin, timeout: '400ms', retry: 'never' }] });
      const stillServed = await bystander(stage);
      const client = await stage.open('/bad');
      const before = process.memoryUsage().rss;
      client.send('x');
      assert.equal((await client.closed()).code, code);
      await stillServed();
      assert.ok(process.memoryUsage().rss - before < 150_000_000, 'memory');
    });
  }

  it('take little time with a hundred thousand events in one reply', async () => {
    const stage = await setStage({
      answer: badlyFor(() => ({ headers: { 'Content-Type': 'application/websocket-events' }, body: 'NEW\r\n'.repeat(199_000) })),
    });
    const stillServed = await bystander(stage);
    const client = await stage.open('/bad');
    const start = performance.now();
    client.send('x');
    await stage.backend.until(() => stage.backend.requests.length === 3);
    await pause(20);
    await stillServed();
    assert.ok(performance.now() - start < 2000, `${performance.now() - start} ms`);
  });

  it('cannot fill the memory with metadata', async () => {
    const { backend, open } = await setStage({
      answer: ({ events }) =>
        reply(
          events[0]?.kind === 'open' ? events : [],
          Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`Set-Meta-${Math.random()}-${i}`, 'x'.repeat(20)])),
        ),
    });
    const client = await open();
    for (let i = 2; i < 6; i += 1) {
      client.send('x');
      await backend.until(() => backend.requests.length === i);
      await pause(5);
    }
    const names = Object.keys(backend.requests.at(-1)?.headers ?? {}).filter((name) => name.startsWith('meta-'));
    assert.ok(names.length <= 64, `${names.length} items`);
  });

  it('cannot break the head of the next request with metadata', async () => {
    const backend = await startRawBackend(({ socket, index }) => {
      socket.write(index === 1 ? eventsReply('', 'Set-Meta-A: b\tc', 'Set-Meta-Caf\xe9: x') : eventsReply('TEXT 2\r\nok\r\n'));
    });
    const { open } = await setStage({ targets: [{ url: backend.origin }] });
    const client = await open();
    client.send('x');
    await eventually(() => backend.requests.length === 2);
    assert.equal((await client.closed()).code, 1011);
  });
});

function drip(socket: RawRequest['socket'], start: string, piece: string): void {
  socket.write(start);
  const dripping = setInterval(() => socket.write(piece), 20);
  socket.once('close', () => clearInterval(dripping));
}

function stream(socket: RawRequest['socket'], start: string, piece: Buffer): void {
  socket.write(start);
  const more = (): void => {
    while (!socket.destroyed && socket.write(piece));
  };
  socket.on('drain', more);
  more();
}

describe('clients that do not read', () => {
  const joined = acceptedWithGrip([text('c:{"type":"subscribe","channel":"a"}')]);
  const flood = { content: 'x'.repeat(60_000) };

  it('are closed with 1013 when too much is published for them, and only they', async () => {
    const stage = await setStage({ answer: (request) => (isOpening(request) ? joined : nothing) });
    const [slow, good] = [await stage.openRaw(), await stage.open()];
    slow.socket.pause();
    let published = 0;
    for (; published < 400 && (await stage.members('a')) === 2; published += 1) {
      await stage.publish('a', flood);
      assert.equal((await good.nextText()).length, 60_000);
    }
    assert.ok(published < 400, 'nobody was closed');
    slow.socket.resume();
    let frame = await slow.takeFrame();
    while (frame.opcode === opcodes.text) {
      assert.equal(frame.payload.length, 60_000);
      frame = await slow.takeFrame();
    }
    assert.equal(frame.payload.readUInt16BE(), 1013);
    await stage.backend.until(() => said(stage.backend.events()).includes('DISCONNECT') || slow.ended);
    assert.equal(good.closing, undefined);
  });

  it('lose items, but never a part of one, where the route says drop-newest', async () => {
    const stage = await setStage({
      answer: (request) => (isOpening(request) ? joined : nothing),
      route: { slowClients: 'drop-newest' },
    });
    const [slow, good] = [await stage.openRaw(), await stage.open()];
    slow.socket.pause();
    for (let i = 0; i < 150; i += 1) {
      await stage.publish('a', flood);
      assert.equal((await good.nextText()).length, 60_000);
    }
    assert.equal(await stage.members('a'), 2);
    slow.socket.resume();
    let received = 0;
    await pause(200);
    await stage.say('a', 'end');
    for (let frame = await slow.takeFrame(); frame.payload.toString() !== 'end'; frame = await slow.takeFrame()) {
      assert.equal(frame.payload.length, 60_000);
      received += 1;
    }
    assert.ok(received < 150, `${received} items`);
  });
});

describe('policies under stress', () => {
  const burst = (messages: number) =>
    Buffer.concat(Array.from({ length: messages }, (_, i) => clientFrame(opcodes.text, String(i))));
  const limited = (over: string) => ({
    route: { policies: [{ use: 'rate-limit', messages: 3, window: '10s', by: 'session', over }] },
  });

  it('rate-limit closes with 4429 over the limit', async () => {
    const stage = await setStage(limited('close'));
    const stillServed = await bystander(stage);
    const client = await stage.openRaw();
    client.send(burst(5));
    const frames = [];
    for (let frame = await client.takeFrame(); ; frame = await client.takeFrame()) {
      frames.push(frame);
      if (frame.opcode === opcodes.close) break;
    }
    assert.equal(frames.at(-1)?.payload.readUInt16BE(), 4429);
    await stillServed();
  });

  it('rate-limit drops what is over the limit', async () => {
    const stage = await setStage(limited('drop'));
    const client = await stage.openRaw();
    client.send(burst(5));
    for (const expected of ['0', '1', '2']) assert.equal((await client.takeFrame()).payload.toString(), expected);
    await assert.rejects(client.takeFrame(50));
    assert.deepEqual(said(stage.backend.events()), ['OPEN', 'TEXT 0', 'TEXT 1', 'TEXT 2']);
  });

  it('rate-limit answers what is over the limit', async () => {
    const stage = await setStage(limited('answer'));
    const client = await stage.openRaw();
    client.send(burst(4));
    const texts = [];
    for (let i = 0; i < 4; i += 1) texts.push((await client.takeFrame()).payload.toString());
    assert.equal(texts.filter((one) => one.includes('"code":"rate-limited"')).length, 1);
  });

  it('rate-limit of connections refuses the handshake with 429', async () => {
    const stage = await setStage({ route: { policies: [{ use: 'rate-limit', connections: 1, window: '10s' }] } });
    await stage.open();
    const head = await (await stage.connect()).handshake();
    assert.equal(head.status, 429);
    assert.ok(Number(head.headers.get('retry-after')) > 0);
    assert.equal(stage.backend.requests.length, 1);
  });

  for (const [how, fail] of [
    [
      'throws',
      () => {
        throw new Error('broken');
      },
    ],
    ['rejects', () => Promise.reject(new Error('broken'))],
  ] as const) {
    it(`a policy that ${how} in connect refuses with 500`, async () => {
      const { backend, connect } = await setStage({ policy: { connect: fail } });
      assert.equal((await (await connect()).handshake()).status, 500);
      assert.equal(backend.requests.length, 0);
    });

    it(`a policy that ${how} in message closes with 1011, and the message goes no further`, async () => {
      const { backend, open } = await setStage({ policy: { message: fail } });
      const client = await open();
      client.send('x');
      assert.equal((await client.closed()).code, 1011);
      await backend.until(() => backend.requests.length === 2);
      assert.deepEqual(said(backend.events()), ['OPEN', 'DISCONNECT']);
    });

    it(`a policy that ${how} in subscribe keeps the client out of the channel`, async () => {
      const { open, members } = await setStage({
        policy: { subscribe: fail },
        answer: afterOpen(() => nothing, acceptedWithGrip([text('c:{"type":"subscribe","channel":"a"}'), text('m:ok')])),
      });
      const client = await open();
      await Promise.race([client.next(), client.closed()]);
      assert.equal(await members('a'), 0);
    });

    it(`a policy that ${how} in request lets nothing out`, async () => {
      const { backend, connect } = await setStage({ policy: { request: fail } });
      assert.equal((await (await connect()).handshake()).status, 500);
      assert.equal(backend.requests.length, 0);
    });

    it(`a policy that ${how} in response lets nothing in`, async () => {
      let opened = false;
      const { open } = await setStage({
        answer: afterOpen(() => reply([text('secret')])),
        policy: { response: () => (opened ? fail() : void (opened = true)) },
      });
      const client = await open();
      client.send('x');
      assert.equal((await client.closed()).code, 1011);
    });
  }

  it('a policy that throws in disconnect harms nobody', async () => {
    const stage = await setStage({
      policy: {
        disconnect: () => {
          throw new Error('broken');
        },
      },
    });
    const stillServed = await bystander(stage);
    const client = await stage.open();
    await client.close();
    await stillServed();
  });

  it('verdicts that take their time keep the order of the messages and of the close', async () => {
    const { backend, openRaw } = await setStage({
      policy: { message: async (_session, message) => (await pause(message.data.toString() === '0' ? 60 : 5), undefined) },
    });
    const client = await openRaw();
    client.send(Buffer.concat([burst(3), closeFrame(4000)]));
    await backend.until(() => said(backend.events()).includes('CLOSE 4000'));
    assert.deepEqual(said(backend.events()), ['OPEN', 'TEXT 0', 'TEXT 1', 'TEXT 2', 'CLOSE 4000']);
  });

  it('subscriptions that take their time keep an early message behind what the opening asked for', async () => {
    let running = 0;
    let most = 0;
    const { backend, connect } = await setStage({
      answer: async (request) => {
        running += 1;
        most = Math.max(most, running);
        await pause(20);
        running -= 1;
        return isOpening(request) ? accepted({}, [text('welcome')]) : echo(request);
      },
      target: { channels: ['all'] },
      policy: { subscribe: async () => (await pause(50), undefined) },
    });
    const client = await connect();
    client.send(Buffer.concat([Buffer.from(handshakeRequest()), clientFrame(opcodes.text, 'early')]));
    assert.equal((await client.takeHead()).status, 101);
    assert.equal((await client.takeFrame()).payload.toString(), 'welcome');
    assert.equal((await client.takeFrame()).payload.toString(), 'early');
    assert.deepEqual(said(backend.events()), ['OPEN', 'TEXT early']);
    assert.equal(most, 1);
  });

  it('a client that leaves while its subscription is decided is in no channel', async () => {
    const { open, members } = await setStage({
      answer: afterOpen(() => nothing, acceptedWithGrip([text('c:{"type":"subscribe","channel":"a"}')])),
      policy: { subscribe: async () => (await pause(60), undefined) },
    });
    const client = await open();
    client.socket.terminate();
    await pause(120);
    assert.equal(await members('a'), 0);
  });

  it('a policy ends a connection whose handshake is open', async () => {
    const { backend, connect } = await setStage({
      answer: async () => (await pause(150), accepted()),
      policy: {
        connect: (session) =>
          void setTimeout(() => session.end({ kind: 'deny', code: 'expired-token', detail: 'Too late.' }), 30),
      },
    });
    const client = await connect();
    const { status } = await client.handshake();
    assert.equal(status, 401);
    await backend.until(() => backend.requests.length === 2);
    assert.deepEqual(said(backend.events()), ['OPEN', 'DISCONNECT']);
  });
});

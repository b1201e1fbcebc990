/** GRIP 2.10: what fails after the opening, what it means for the client, and what is tried again. */
import assert from 'node:assert/strict';
import { reply, startBackend, text, type Answer, type BackendReply } from '../support/backend.ts';
import { clientFrame, opcodes } from '../support/raw-socket.ts';
import { eventsReply, startRawBackend, type RawRequest } from './raw-backend.ts';
import { acceptedWithGrip, afterOpen, clearStage, nothing, onClear, pause, said, setStage } from './stage.ts';

afterEach(clearStage);

const eventsType = { 'Content-Type': 'application/websocket-events' };

describe('errors after the opening (GRIP 2.10)', () => {
  const bad: readonly [string, BackendReply, number][] = [
    ['a 201', { status: 201, headers: eventsType }, 1011],
    ['a 204', { status: 204, headers: eventsType }, 1011],
    ['a redirect', { status: 302, headers: { Location: '/' } }, 1011],
    ['a 404', { status: 404 }, 1011],
    ['a 500', { status: 500 }, 1011],
    ['a 503', { status: 503, headers: { 'Retry-After': '5' } }, 1011],
    ['a 401', { status: 401 }, 4401],
    ['a 403', { status: 403 }, 4403],
    ['a 413', { status: 413 }, 1009],
    ['a 429', { status: 429 }, 4429],
    ['a web page', { headers: { 'Content-Type': 'text/html' }, body: '<h1>' }, 1011],
    ['no type', { body: '' }, 1011],
    ['a malformed body', { headers: eventsType, body: 'TEXT 2\nhi' }, 1011],
    ['content without CRLF behind it', { headers: eventsType, body: 'TEXT 2\r\nhi' }, 1011],
    ['content cut short', { headers: eventsType, body: 'TEXT 5\r\nhi\r\n' }, 1011],
    ['a length that is no number', { headers: eventsType, body: 'TEXT x\r\nhi\r\n' }, 1011],
    ['something behind the length', { headers: eventsType, body: 'TEXT 2;a=b\r\nhi\r\n' }, 1011],
    ['OPEN again', { headers: eventsType, body: 'OPEN\r\n' }, 1011],
    [
      'more than 1000000 bytes',
      {
        headers: eventsType,
        body: Buffer.concat([Buffer.from('BINARY f4240\r\n'), Buffer.alloc(1_000_000), Buffer.from('\r\n')]),
      },
      1011,
    ],
    ['text that is not UTF-8', { headers: eventsType, body: Buffer.from('TEXT 2\r\n\xff\xfe\r\n', 'latin1') }, 1011],
    ['a ping of 126 bytes', { headers: eventsType, body: `PING 7e\r\n${'x'.repeat(126)}\r\n` }, 1011],
  ];
  for (const [what, answer, code] of bad) {
    it(`${what} closes with ${code}, and no DISCONNECT follows`, async () => {
      const { backend, open } = await setStage({ answer: afterOpen(() => answer) });
      const client = await open();
      client.send('x');
      assert.equal((await client.closed()).code, code);
      await pause(20);
      assert.equal(backend.requests.length, 2);
    });
  }

  it('drops the client without a close frame where the route wants it so', async () => {
    const { backend, openRaw } = await setStage({ answer: afterOpen(() => ({ status: 500 })), route: { closeFrames: false } });
    const client = await openRaw();
    client.send(clientFrame(opcodes.text, 'x'));
    await client.takeEnd();
    assert.equal(client.received.length, 0);
    await pause(20);
    assert.equal(backend.requests.length, 2);
  });

  it('delivers nothing of a reply that is malformed behind good events', async () => {
    const { openRaw } = await setStage({ answer: afterOpen(() => ({ headers: eventsType, body: 'TEXT 2\r\nhi\r\nTEXT' })) });
    const client = await openRaw();
    client.send(clientFrame(opcodes.text, 'x'));
    assert.equal((await client.takeFrame()).opcode, opcodes.close);
  });

  it('makes one DISCONNECT after a failure where the route asks for it', async () => {
    for (const answer of [{ status: 500 }, { headers: eventsType, body: 'TEXT' }]) {
      const { backend, open } = await setStage({
        answer: afterOpen(({ events }) => (events[0]?.kind === 'text' ? answer : nothing)),
        route: { notifyAfterFailure: true },
      });
      const client = await open();
      client.send('x');
      assert.equal((await client.closed()).code, 1011);
      await backend.until(() => backend.requests.length === 3);
      await pause(20);
      assert.deepEqual(said(backend.events()), ['OPEN', 'TEXT x', 'DISCONNECT']);
      await clearStage();
    }
  });

  it('tells the client nothing of what stood in the answer', async () => {
    const { open } = await setStage({ answer: afterOpen(() => ({ status: 500, body: 'secret stack trace' })) });
    const client = await open();
    client.send('x');
    assert.doesNotMatch((await client.closed()).reason, /secret/);
  });

  it('makes no DISCONNECT after an error of DISCONNECT itself', async () => {
    const { backend, open } = await setStage({ answer: afterOpen(() => ({ status: 500 })) });
    (await open()).socket.terminate();
    await backend.until(() => backend.requests.length === 2);
    await pause(30);
    assert.equal(backend.requests.length, 2);
  });

  for (const action of ['drop', 'answer'] as const) {
    it(`goes on after a refused message where the route says ${action}`, async () => {
      const { backend, open } = await setStage({
        answer: afterOpen(({ events }) =>
          said(events)[0] === 'TEXT bad' ? { status: 429, headers: { 'Retry-After': '7' } } : reply(events),
        ),
        route: { onFault: { throttled: action } },
      });
      const client = await open();
      client.send('bad');
      await backend.until(() => backend.requests.length === 2);
      await pause(20);
      client.send('good');
      if (action === 'answer') {
        const answer: unknown = JSON.parse(await client.nextText());
        assert.deepEqual(answer, {
          type: 'error',
          code: 'rate-limited',
          detail: 'The gateway has seen too many requests.',
          retryAfterMs: 7000,
        });
      }
      assert.equal(await client.nextText(), 'good');
    });
  }

  it('waits for a slow reply', async () => {
    const { open } = await setStage({ answer: afterOpen(async ({ events }) => (await pause(500), reply(events))) });
    const client = await open();
    client.send('x');
    assert.equal(await client.nextText(), 'x');
  });

  it('closes with 1013 when no reply comes in time, and does not repeat the request', async () => {
    const { backend, open } = await setStage({ answer: afterOpen(() => undefined), target: { timeout: '150ms' } });
    const client = await open();
    client.send('x');
    assert.equal((await client.closed()).code, 1013);
    await pause(30);
    assert.equal(backend.requests.length, 2);
  });
});

describe('a backend that is lost (GRIP 2.10)', () => {
  const losses: readonly [string, (request: RawRequest) => void][] = [
    ['closes', ({ socket }) => socket.end()],
    ['resets', ({ socket }) => socket.resetAndDestroy()],
    ['closes after half a head', ({ socket }) => socket.end('HTTP/1.1 200 OK\r\nContent-')],
    [
      'closes after half a body',
      ({ socket }) =>
        socket.end('HTTP/1.1 200 OK\r\nContent-Type: application/websocket-events\r\nContent-Length: 12\r\n\r\nTEXT 2'),
    ],
    [
      'resets after half a chunk',
      ({ socket }) =>
        socket.write(
          'HTTP/1.1 200 OK\r\nContent-Type: application/websocket-events\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nTEXT',
          () => socket.resetAndDestroy(),
        ),
    ],
    ['answers no HTTP', ({ socket }) => socket.write('220 smtp.example ESMTP\r\n')],
    [
      'answers HTTP that is broken',
      ({ socket }) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd'),
    ],
  ];
  for (const [how, lose] of losses) {
    it(`closes the client with 1011 when it ${how} on a new connection, and nothing is repeated`, async () => {
      const backend = await startRawBackend((request) => lose(request));
      const { open } = await setStage({ targets: [{ url: backend.origin, idle: '50ms' }] });
      const client = await open();
      await pause(200); // The connection of the opening is let go, so that the message gets one of its own.
      client.send('x');
      assert.equal((await client.closed()).code, 1011);
      await pause(30);
      assert.equal(backend.requests.length, 2);
      assert.equal(backend.connections, 2);
    });
  }

  it('repeats a request once when a kept connection turns out to be closed, without a byte of a reply', async () => {
    const backend = await startRawBackend(({ index, socket }) => {
      if (index === 1) socket.resetAndDestroy();
      else socket.write(eventsReply('TEXT 2\r\nhi\r\n'));
    });
    const { open } = await setStage({ targets: [{ url: backend.origin }] });
    const client = await open();
    client.send('x');
    assert.equal(await client.nextText(), 'hi');
    assert.deepEqual(
      backend.requests.map(({ body }) => body.toString()),
      ['OPEN\r\n', 'TEXT 1\r\nx\r\n', 'TEXT 1\r\nx\r\n'],
    );
    assert.deepEqual(
      backend.requests.map(({ connection }) => connection),
      [0, 0, 1],
    );
  });

  it('repeats it at most once', async () => {
    const backend = await startRawBackend(({ socket }) => socket.resetAndDestroy());
    const { open } = await setStage({ targets: [{ url: backend.origin }] });
    const client = await open();
    client.send('x');
    assert.equal((await client.closed()).code, 1011);
    await pause(50);
    assert.equal(backend.requests.length, 3);
  });

  it('does not repeat it after a byte of a reply', async () => {
    const backend = await startRawBackend(({ socket }) => socket.write('HTTP/1.1 2', () => socket.resetAndDestroy()));
    const { open } = await setStage({ targets: [{ url: backend.origin }] });
    const client = await open();
    client.send('x');
    assert.equal((await client.closed()).code, 1011);
    await pause(50);
    assert.equal(backend.requests.length, 2);
  });

  it('does not repeat it where the target says never', async () => {
    const backend = await startRawBackend(({ socket }) => socket.resetAndDestroy());
    const { open } = await setStage({ targets: [{ url: backend.origin, retry: 'never' }] });
    const client = await open();
    client.send('x');
    assert.equal((await client.closed()).code, 1011);
    await pause(50);
    assert.equal(backend.requests.length, 2);
  });

  it('makes a new connection when the backend has closed the old one after its reply', async () => {
    const backend = await startRawBackend(({ socket }) => socket.end(eventsReply('TEXT 2\r\nhi\r\n', 'Connection: close')));
    const { open } = await setStage({ targets: [{ url: backend.origin, retry: 'never' }] });
    const client = await open();
    for (let i = 0; i < 3; i += 1) {
      client.send('x');
      assert.equal(await client.nextText(), 'hi');
    }
    assert.equal(backend.connections, 3);
  });
});

describe('a backend that is away (GRIP 2.10)', () => {
  it('gets what waited for it when it is back, in order and once, while the client may go on sending', async () => {
    const { backend, open } = await setStage();
    const client = await open();
    const away = await leave(backend);
    client.send('1');
    await pause(50);
    client.send('2');
    client.send('3');
    const back = await away.comeBack();
    await back.until(() => said(back.events()).length === 3);
    for (const expected of ['1', '2', '3']) assert.equal(await client.nextText(), expected);
    assert.deepEqual(
      back.requests.map(({ events }) => said(events).join()),
      ['TEXT 1', 'TEXT 2,TEXT 3'],
    );
  });

  it('hears of a client that left meanwhile by DISCONNECT, after what was on its way', async () => {
    const { backend, open } = await setStage();
    const client = await open();
    const away = await leave(backend);
    client.send('1');
    await pause(50);
    client.socket.terminate();
    await pause(50);
    const back = await away.comeBack();
    await back.until(() => back.requests.length === 2);
    assert.deepEqual(
      back.requests.map(({ events }) => said(events).join()),
      ['TEXT 1', 'DISCONNECT'],
    );
  });

  it('is not replaced by the next target', async () => {
    const other = await startBackend();
    onClear(() => other.stop());
    const first = await startBackend();
    const { open } = await setStage({ targets: [{ url: first.origin }, { url: other.origin }] });
    const client = await open();
    const away = await leave(first);
    client.send('1');
    await pause(50);
    await away.comeBack();
    assert.equal(await client.nextText(), '1');
    assert.equal(other.requests.length, 0);
  });

  it('lets the client be read no further than the queue goes', async () => {
    const { backend, openRaw } = await setStage({ answer: afterOpen(() => nothing), route: { limits: { queueBytes: 1000 } } });
    const client = await openRaw();
    const away = await leave(backend);
    const frame = clientFrame(opcodes.binary, Buffer.alloc(60_000));
    const total = 400;
    for (let i = 0; i < total; i += 1) client.send(frame);
    await pause(200);
    assert.ok(client.socket.writableLength > 0, 'everything was read');
    const back = await away.comeBack(afterOpen(() => nothing));
    await back.until(() => back.events().length === total, 8000);
  });
});

describe('steps of a reply before a failure (GRIP 2.3)', () => {
  it('sends what stood before the text that is not UTF-8', async () => {
    const { openRaw } = await setStage({
      answer: afterOpen(() => ({ headers: eventsType, body: Buffer.from('TEXT 2\r\nhi\r\nTEXT 1\r\n\xff\r\n', 'latin1') })),
    });
    const client = await openRaw();
    client.send(clientFrame(opcodes.text, 'x'));
    assert.equal((await client.takeFrame()).payload.toString(), 'hi');
    const frame = await client.takeFrame();
    assert.equal(frame.opcode, opcodes.close);
    assert.equal(frame.payload.readUInt16BE(), 1011);
  });

  it('counts a message for the client only after its prefix', async () => {
    const { open } = await setStage({ answer: afterOpen(() => reply([text('unprefixed'), text('m:ok')]), acceptedWithGrip()) });
    const client = await open();
    client.send('x');
    assert.equal(await client.nextText(), 'ok');
  });
});

interface Away {
  /** A new backend on the same port. */
  comeBack(answer?: Answer): ReturnType<typeof startBackend>;
}

async function leave(backend: { readonly port: number; stop(): Promise<void> }): Promise<Away> {
  const { port } = backend;
  await backend.stop();
  return {
    async comeBack(answer) {
      const back = await startBackend(answer, port);
      onClear(() => back.stop());
      return back;
    },
  };
}

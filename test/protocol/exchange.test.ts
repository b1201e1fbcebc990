/** GRIP 2.2, 2.3 and 2.5: the request, its reply, and when a request is made. */
import assert from 'node:assert/strict';
import { isMessage } from '../../gateway/core/event.ts';
import { binary, echo, reply, text, type BackendRequest } from '../support/backend.ts';
import { clientFrame, closeFrame, fragments, opcodes } from '../support/raw-socket.ts';
import { startBareBackend } from './raw-backend.ts';
import { accepted, afterOpen, clearStage, gate, isOpening, nothing, pause, said, setStage, type Gate } from './stage.ts';

afterEach(clearStage);

/** Accepts OPEN, holds the reply to the first other request until the gate opens, and says nothing to any. */
function holdFirst(held: Gate, then: (request: BackendRequest) => ReturnType<typeof reply> = () => nothing) {
  let first = true;
  return afterOpen(async (request) => {
    if (first) {
      first = false;
      await held.passed;
    }
    return then(request);
  });
}

describe('the request (GRIP 2.2)', () => {
  it('is a POST to the URL of the handshake, every time', async () => {
    const { backend, open } = await setStage();
    const client = await open('/chat?room=7');
    client.send('one');
    await client.next();
    client.send('two');
    await client.next();
    await client.close();
    assert.deepEqual(
      backend.requests.map(({ method, path }) => `${method} ${path}`),
      Array(4).fill('POST /chat?room=7'),
    );
  });

  it('bears the headers of the protocol, once each, and one id all along', async () => {
    const { backend, open } = await setStage();
    const client = await open('/', { headers: { Accept: 'text/html', 'Content-Type': 'text/plain', 'Connection-Id': 'forged' } });
    client.send('hi');
    await client.next();
    await client.close();
    const ids = backend.requests.map(({ headers }) => headers['connection-id']);
    assert.match(String(ids[0]), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.equal(new Set(ids).size, 1);
    for (const { rawHeaders, body, headers } of backend.requests) {
      assert.deepEqual(valuesOf(rawHeaders, 'content-type'), ['application/websocket-events']);
      assert.deepEqual(valuesOf(rawHeaders, 'accept'), ['application/websocket-events']);
      assert.deepEqual(valuesOf(rawHeaders, 'content-length'), [String(body.length)]);
      assert.equal(headers['transfer-encoding'], undefined);
      assert.equal(headers['content-bytes-replayed'], undefined);
    }
  });

  it('gives each connection an id of its own', async () => {
    const { backend, open } = await setStage();
    await open();
    await open();
    assert.notEqual(backend.requests[0]?.headers['connection-id'], backend.requests[1]?.headers['connection-id']);
  });

  it('keeps back what belongs to the hop, to compression and to gateways', async () => {
    const { backend, openRaw } = await setStage();
    await openRaw({
      headers: [
        'Keep-Alive: timeout=5',
        'Accept-Encoding: gzip',
        'Content-Encoding: gzip',
        'Expect: x',
        'Meta-User: forged',
        'Meta_User: forged',
        'Grip-Sig: forged',
        'Grip-Feature: forged',
        'Grip-Anything: forged',
        'Sec-WebSocket-Extensions: permessage-deflate',
        'TE: trailers',
        'Content-Bytes-Replayed: 5',
        'X-Consumer-Username: admin',
      ],
    });
    const { headers } = backend.requests[0] ?? assert.fail();
    const names = [
      'keep-alive',
      'content-encoding',
      'expect',
      'meta-user',
      'meta_user',
      'grip-sig',
      'grip-anything',
      'upgrade',
      'te',
    ];
    for (const name of [...names, 'content-bytes-replayed', 'x-consumer-username']) assert.equal(headers[name], undefined, name);
    assert.notEqual(headers['accept-encoding'], 'gzip');
    assert.notEqual(headers['grip-feature'], 'forged');
    assert.equal(headers['sec-websocket-extensions'], 'grip');
  });

  it('passes everything else on, every time', async () => {
    const { backend, openRaw } = await setStage();
    const client = await openRaw({
      headers: [
        'Origin: https://app.example',
        'Cookie: a=1; b=2',
        'Authorization: Bearer t',
        'User-Agent: me',
        'Sec-WebSocket-Protocol: p1, p2',
        'X-Custom: v',
        'X-Custom: w',
      ],
    });
    client.send(clientFrame(opcodes.text, 'hi'));
    await client.takeFrame();
    for (const { headers } of backend.requests) {
      assert.equal(headers['origin'], 'https://app.example');
      assert.equal(headers['cookie'], 'a=1; b=2');
      assert.equal(headers['authorization'], 'Bearer t');
      assert.equal(headers['user-agent'], 'me');
      assert.equal(headers['sec-websocket-key'], 'dGhlIHNhbXBsZSBub25jZQ==');
      assert.equal(headers['sec-websocket-version'], '13');
      assert.equal(headers['sec-websocket-protocol'], 'p1, p2');
      assert.equal(headers['x-custom'], 'v, w');
      assert.equal(headers['host'], 'localhost');
    }
  });

  it('has the fields of the route, and the host of the target', async () => {
    const { backend, open } = await setStage({ route: { headers: { 'X-Key': 'k1' } }, target: { host: 'api.internal' } });
    const client = await open('/', { headers: { 'X-Key': 'forged' } });
    client.send('hi');
    await client.next();
    for (const { headers, rawHeaders } of backend.requests) {
      assert.deepEqual(valuesOf(rawHeaders, 'x-key'), ['k1']);
      assert.equal(headers.host, 'api.internal');
    }
  });

  it('says nothing of GRIP on a route without it', async () => {
    const { backend, open } = await setStage({ route: { grip: false }, settings: { grip: { issuer: 'fg', key: 'k' } } });
    await open();
    const { headers } = backend.requests[0] ?? assert.fail();
    for (const name of ['grip-sig', 'grip-feature', 'sec-websocket-extensions']) assert.equal(headers[name], undefined, name);
  });
});

describe('events on their way (GRIP 2.1)', () => {
  it('carries text, binary, ping and pong both ways, byte for byte', async () => {
    const { backend, openRaw } = await setStage();
    const client = await openRaw();
    const sent: readonly [number, Buffer][] = [
      [opcodes.text, Buffer.from('hé€😀')],
      [opcodes.binary, Buffer.from([0, 13, 10, 255])],
      [opcodes.ping, Buffer.from('x')],
      [opcodes.pong, Buffer.alloc(125, 1)],
      [opcodes.ping, Buffer.alloc(0)],
    ];
    for (const [opcode, payload] of sent) client.send(clientFrame(opcode, payload));
    for (const [opcode, payload] of sent) {
      const frame = await client.takeFrame();
      assert.equal(frame.opcode, opcode);
      assert.deepEqual(frame.payload, payload);
      assert.equal(frame.masked, false);
    }
    assert.equal(backend.events().filter(isMessage).length, sent.length);
  });

  it('writes them as the protocol has them', async () => {
    const held = gate();
    const { backend, openRaw } = await setStage({ answer: holdFirst(held) });
    const client = await openRaw();
    client.send(clientFrame(opcodes.text, 'first'));
    await backend.until(() => backend.requests.length === 2);
    client.send(Buffer.concat([clientFrame(opcodes.text, 'hé'), clientFrame(opcodes.ping, 'x'), closeFrame(4000, 'bye')]));
    await pause(30);
    held.open();
    await backend.until(() => backend.requests.length === 3);
    assert.equal(
      backend.requests[2]?.body.toString('latin1'),
      'TEXT 3\r\nh\xc3\xa9\r\nPING 1\r\nx\r\nCLOSE 5\r\n\x0f\xa0bye\r\n',
    );
  });

  it('keeps empty messages, both ways', async () => {
    const { backend, openRaw } = await setStage();
    const client = await openRaw();
    client.send(Buffer.concat([clientFrame(opcodes.text), clientFrame(opcodes.binary)]));
    assert.deepEqual([(await client.takeFrame()).opcode, (await client.takeFrame()).opcode], [opcodes.text, opcodes.binary]);
    assert.equal(backend.requests[1]?.body.toString(), 'TEXT 0\r\n\r\nBINARY 0\r\n\r\n');
  });

  it('joins the fragments of a message', async () => {
    const { backend, openRaw } = await setStage();
    const client = await openRaw();
    client.send(fragments(opcodes.text, ['on', '', 'e']));
    assert.equal((await client.takeFrame()).payload.toString(), 'one');
    assert.deepEqual(said(backend.events()), ['OPEN', 'TEXT one']);
  });

  it('forwards a ping between two fragments first', async () => {
    const { backend, openRaw } = await setStage();
    const client = await openRaw();
    client.send(clientFrame(opcodes.text, 'on', { fin: false }));
    client.send(clientFrame(opcodes.ping, 'p'));
    client.send(clientFrame(opcodes.continuation, 'e'));
    assert.equal((await client.takeFrame()).opcode, opcodes.ping);
    assert.equal((await client.takeFrame()).payload.toString(), 'one');
    assert.deepEqual(said(backend.events()), ['OPEN', 'PING p', 'TEXT one']);
  });

  it('skips events of unknown type', async () => {
    const { open } = await setStage({
      answer: (request) =>
        isOpening(request)
          ? accepted()
          : { headers: { 'Content-Type': 'application/websocket-events' }, body: 'NEW 3\r\nabc\r\nNOISE\r\nTEXT 2\r\nhi\r\n' },
    });
    const client = await open();
    client.send('x');
    assert.equal(await client.nextText(), 'hi');
  });

  it('sends the events of one reply in one write', async () => {
    const { openRaw } = await setStage({ answer: afterOpen(() => reply([text('a'), text('b'), binary(Buffer.from('c'))])) });
    const client = await openRaw();
    const chunks: Buffer[] = [];
    client.socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    client.send(clientFrame(opcodes.text, 'x'));
    await client.takeFrame();
    assert.equal(chunks.length, 1);
    assert.equal(chunks[0]?.length, 9);
  });
});

describe('the reply (GRIP 2.3)', () => {
  it('may be chunked, with trailers', async () => {
    const backend = await startBareBackend(({ body, socket }) => {
      const content = body.toString() === 'OPEN\r\n' ? 'OPEN\r\n' : 'TEXT 2\r\nhi\r\n';
      const chunks = content
        .split('')
        .map((letter) => `1\r\n${letter}\r\n`)
        .join('');
      socket.write(
        `HTTP/1.1 200 OK\r\nContent-Type: application/websocket-events\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}0\r\nX-Trailer: 1\r\n\r\n`,
      );
    });
    const { open } = await setStage({ targets: [{ url: backend.origin }] });
    const client = await open();
    client.send('x');
    assert.equal(await client.nextText(), 'hi');
  });

  it('may end with its connection', async () => {
    const backend = await startBareBackend(({ body, socket }) => {
      const content = body.toString() === 'OPEN\r\n' ? 'OPEN\r\n' : 'TEXT 2\r\nhi\r\n';
      socket.end(`HTTP/1.1 200 OK\r\nContent-Type: application/websocket-events\r\nConnection: close\r\n\r\n${content}`);
    });
    const { open } = await setStage({ targets: [{ url: backend.origin }] });
    const client = await open();
    client.send('x');
    assert.equal(await client.nextText(), 'hi');
  });

  it('says nothing with an empty body', async () => {
    const { open, backend } = await setStage({ answer: afterOpen(() => nothing) });
    const client = await open();
    client.send('one');
    await backend.until(() => backend.requests.length === 2);
    client.send('two');
    await backend.until(() => backend.requests.length === 3);
    assert.equal(client.closing, undefined);
  });

  it('is obeyed up to CLOSE; what stands behind it is ignored', async () => {
    const { open } = await setStage({
      answer: afterOpen(() => reply([text('before'), { kind: 'close', code: 4000, reason: '' }, text('after')])),
    });
    const client = await open();
    client.send('x');
    assert.equal(await client.nextText(), 'before');
    assert.deepEqual(await client.closed(), { code: 4000, reason: '' });
  });

  it('delivers what stands before DISCONNECT, then drops the client without a close frame', async () => {
    const { backend, openRaw } = await setStage({
      answer: afterOpen(() => reply([text('last words'), { kind: 'disconnect' }, text('after')])),
    });
    const client = await openRaw();
    client.send(clientFrame(opcodes.text, 'x'));
    assert.equal((await client.takeFrame()).payload.toString(), 'last words');
    await client.takeEnd();
    assert.equal(client.received.length, 0);
    await pause(30);
    assert.equal(backend.requests.length, 2);
  });
});

describe('when a request is made (GRIP 2.5)', () => {
  it('sends the first message at once', async () => {
    const { backend, open } = await setStage();
    const client = await open();
    const start = performance.now();
    client.send('now');
    await backend.until(() => backend.requests.length === 2);
    assert.ok(performance.now() - start < 200);
  });

  it('sends what came in meanwhile in the next request, in order', async () => {
    const held = gate();
    const { backend, open } = await setStage({ answer: holdFirst(held) });
    const client = await open();
    client.send('0');
    await backend.until(() => backend.requests.length === 2);
    for (let i = 1; i <= 5; i += 1) client.send(String(i));
    client.socket.ping('p');
    await pause(50);
    assert.equal(backend.requests.length, 2);
    held.open();
    await backend.until(() => backend.requests.length === 3);
    assert.deepEqual(said(backend.requests[2]?.events ?? []), ['TEXT 1', 'TEXT 2', 'TEXT 3', 'TEXT 4', 'TEXT 5', 'PING p']);
  });

  it('never has two requests of one connection in flight', async () => {
    let running = 0;
    let most = 0;
    const { backend, open } = await setStage({
      answer: afterOpen(async () => {
        running += 1;
        most = Math.max(most, running);
        await pause(5);
        running -= 1;
        return nothing;
      }),
    });
    const client = await open();
    for (let i = 0; i < 30; i += 1) {
      client.send(String(i));
      await pause(2);
    }
    await backend.until(() => said(backend.events()).includes('TEXT 29'));
    assert.equal(most, 1);
    assert.deepEqual(
      said(backend.events()).slice(1),
      Array.from({ length: 30 }, (_, i) => `TEXT ${i}`),
    );
  });

  it('brings a burst of 100 messages in one request', async () => {
    const { backend, openRaw } = await setStage();
    const client = await openRaw();
    client.send(Buffer.concat(Array.from({ length: 100 }, (_, i) => clientFrame(opcodes.text, `m${i}`))));
    for (let i = 0; i < 100; i += 1) assert.equal((await client.takeFrame()).payload.toString(), `m${i}`);
    assert.deepEqual(
      backend.requests.map(({ events }) => events.length),
      [1, 100],
    );
  });

  it('loses nothing when 200 clients send at the same moment', async () => {
    const { backend, open } = await setStage({ answer: async (request) => (await pause(5), echo(request)) });
    const clients = await Promise.all(Array.from({ length: 200 }, () => open()));
    for (const [i, client] of clients.entries()) client.send(`from ${i}`);
    const answers = await Promise.all(clients.map((client) => client.nextText(8000)));
    assert.deepEqual(
      answers,
      clients.map((_, i) => `from ${i}`),
    );
    assert.equal(backend.requests.length, 400);
  });

  it('loses nothing when 200 clients send bursts over ten connections to the backend', async () => {
    const { backend, open } = await setStage({ target: { connections: 10 } });
    const clients = await Promise.all(Array.from({ length: 200 }, () => open()));
    for (const client of clients) for (let i = 0; i < 10; i += 1) client.send(String(i));
    for (const client of clients) for (let i = 0; i < 10; i += 1) assert.equal(await client.nextText(8000), String(i));
    assert.ok(backend.connections <= 10, `${backend.connections} connections`);
  });

  it('puts one event into a request where the target says so, CLOSE alone too', async () => {
    const held = gate();
    const { backend, open } = await setStage({ answer: holdFirst(held, echo), target: { oneEventPerRequest: true } });
    const client = await open();
    for (const message of ['0', '1', '2']) client.send(message);
    await backend.until(() => backend.requests.length === 2);
    client.socket.close(1000);
    await pause(30);
    held.open();
    await backend.until(() => backend.requests.length === 5);
    assert.deepEqual(
      backend.requests.map(({ events }) => said(events).join()),
      ['OPEN', 'TEXT 0', 'TEXT 1', 'TEXT 2', 'CLOSE 1000'],
    );
  });

  it('asks at once when told to refresh, and remembers it while a request is in flight', async () => {
    const held = gate();
    const { backend, open, refresh } = await setStage({ answer: holdFirst(held) });
    const client = await open();
    const id = String(backend.requests[0]?.headers['connection-id']);
    client.send('x');
    await backend.until(() => backend.requests.length === 2);
    assert.equal(await refresh(id), true);
    await pause(30);
    assert.equal(backend.requests.length, 2);
    held.open();
    await backend.until(() => backend.requests.length === 3);
    assert.equal(backend.requests[2]?.body.length, 0);
    assert.equal(await refresh(id), true);
    await backend.until(() => backend.requests.length === 4);
    assert.equal(backend.requests[3]?.headers['content-length'], '0');
  });

  it('forwards pings and does not answer them', async () => {
    const { backend, openRaw } = await setStage({ answer: afterOpen(() => nothing) });
    const client = await openRaw();
    client.send(clientFrame(opcodes.ping, 'x'));
    await backend.until(() => backend.requests.length === 2);
    await pause(30);
    assert.equal(client.received.length, 0);
  });

  it('answers pings itself where the route says so, and keeps them to itself', async () => {
    const { backend, openRaw } = await setStage({ route: { pings: 'answer' } });
    const client = await openRaw();
    client.send(clientFrame(opcodes.ping, 'x'));
    const frame = await client.takeFrame();
    assert.deepEqual([frame.opcode, frame.payload.toString()], [opcodes.pong, 'x']);
    assert.equal(backend.requests.length, 1);
  });
});

function valuesOf(rawHeaders: readonly string[], lowerName: string): string[] {
  return rawHeaders.filter((_, i) => i % 2 === 1 && rawHeaders[i - 1]?.toLowerCase() === lowerName);
}

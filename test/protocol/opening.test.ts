/** GRIP 2.4: the opening, from the handshake to the first frame. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { deny } from '../../gateway/core/policy.ts';
import { binary, echo, reply, text } from '../support/backend.ts';
import { refusedClient } from '../support/client.ts';
import { clientFrame, handshakeRequest, opcodes } from '../support/raw-socket.ts';
import { eventsReply, httpReply, startBareBackend } from './raw-backend.ts';
import { accepted, clearStage, eventually, gate, isOpening, nothing, onClear, pause, said, setStage } from './stage.ts';

afterEach(clearStage);

const eventsType = { 'Content-Type': 'application/websocket-events' };

describe('opening (GRIP 2.4)', () => {
  it('sends OPEN and nothing else, to the path and query of the handshake', async () => {
    const { backend, openRaw } = await setStage();
    await openRaw({ path: '/chat/../%7Eroom?room=7&x=%20' });
    assert.equal(backend.requests.length, 1);
    assert.equal(backend.requests[0]?.method, 'POST');
    assert.equal(backend.requests[0]?.path, '/chat/../%7Eroom?room=7&x=%20');
    assert.equal(backend.requests[0]?.body.toString(), 'OPEN\r\n');
  });

  it('answers the handshake only after the reply', async () => {
    const held = gate();
    const { backend, connect } = await setStage({
      answer: async () => {
        await held.passed;
        return accepted();
      },
    });
    const client = await connect();
    client.send(handshakeRequest());
    await backend.until(() => backend.requests.length === 1);
    await pause(50);
    assert.equal(client.received.length, 0);
    held.open();
    assert.equal((await client.takeHead()).status, 101);
  });

  it('gives the reply headers to the client, cookies and subprotocol too, without its own and those of the hop', async () => {
    const { port, connect } = await setStage({
      answer: () => ({
        headers: {
          ...eventsType,
          'Set-Cookie': ['a=1; Path=/', 'b=2'],
          'Sec-WebSocket-Protocol': 'chat.v2',
          'Sec-WebSocket-Extensions': 'grip; message-prefix=""',
          'X-Custom': 'kept',
          'Keep-Alive-Interval': '60',
          'Keep-Alive': 'timeout=5',
          'Content-Bytes-Accepted': '0',
          'Set-Meta-User': '42',
          'Grip-Hold': 'stream',
          'Sec-WebSocket-Accept': 'forged',
        },
        body: 'OPEN\r\n',
      }),
    });
    assert.ok(port > 0);
    const client = await connect();
    const head = await client.handshake({ headers: ['Sec-WebSocket-Protocol: chat.v1, chat.v2'] });
    assert.equal(head.status, 101);
    assert.equal(head.reason, 'Switching Protocols');
    assert.equal(head.headers.get('set-cookie'), 'a=1; Path=/, b=2');
    assert.equal(head.headers.get('sec-websocket-protocol'), 'chat.v2');
    assert.equal(head.headers.get('x-custom'), 'kept');
    assert.equal(head.headers.get('sec-websocket-accept'), 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
    assert.equal(head.headers.get('upgrade')?.toLowerCase(), 'websocket');
    assert.equal(head.headers.get('connection')?.toLowerCase(), 'upgrade');
    const names = ['content-length', 'content-type', 'keep-alive-interval', 'keep-alive', 'content-bytes-accepted'];
    for (const name of [...names, 'set-meta-user', 'grip-hold', 'sec-websocket-extensions']) {
      assert.equal(head.headers.has(name), false, name);
    }
  });

  it('keeps fields back that the reply names in Connection', async () => {
    const backend = await startBareBackend(({ socket }) => {
      socket.write(eventsReply('OPEN\r\n', 'Connection: x-hop', 'X-Hop: 1', 'X-End: 2'));
    });
    const { connect } = await setStage({ targets: [{ url: backend.origin }] });
    const { headers } = await (await connect()).handshake();
    assert.equal(headers.has('x-hop'), false);
    assert.equal(headers.get('x-end'), '2');
  });

  it('sends the further events of the reply as frames', async () => {
    const { open } = await setStage({ answer: () => accepted({}, [text('one'), binary(Buffer.from([0, 255]))]) });
    const client = await open();
    assert.equal(await client.nextText(), 'one');
    assert.deepEqual(await client.next(), { data: Buffer.from([0, 255]), binary: true });
  });

  it('closes after the 101 when the reply says OPEN and CLOSE', async () => {
    const { open } = await setStage({
      answer: (request) =>
        isOpening(request) ? accepted({}, [text('bye'), { kind: 'close', code: 4001, reason: 'no' }]) : nothing,
    });
    const client = await open();
    assert.equal(await client.nextText(), 'bye');
    assert.deepEqual(await client.closed(), { code: 4001, reason: 'no' });
  });

  it('takes the type with parameters and in any case', async () => {
    const { open } = await setStage({
      answer: () => ({ headers: { 'Content-Type': 'Application/WebSocket-Events; charset=utf-8' }, body: 'OPEN\r\n' }),
    });
    await open();
  });

  for (const status of [302, 400, 401, 403, 404, 429, 500, 503]) {
    it(`hands a refusal with ${status} to the client as it is`, async () => {
      const { url } = await setStage({
        answer: () => ({
          status,
          headers: {
            'Content-Type': 'application/json',
            Location: 'https://elsewhere.example/',
            'Set-Cookie': ['a=1', 'b=2'],
            'X-Why': 'because',
          },
          body: '{"no":true}',
        }),
      });
      const refusal = await refusedClient(url.replace('http', 'ws'));
      assert.equal(refusal.status, status);
      assert.equal(refusal.body, '{"no":true}');
      assert.equal(refusal.headers['content-type'], 'application/json');
      assert.equal(refusal.headers['location'], 'https://elsewhere.example/');
      assert.deepEqual(refusal.headers['set-cookie'], ['a=1', 'b=2']);
      assert.equal(refusal.headers['x-why'], 'because');
    });
  }

  it('hands on the reason of a refusal, never what is meant for gateways', async () => {
    const backend = await startBareBackend(({ socket }) => {
      socket.write(
        'HTTP/1.1 418 Short And Stout\r\nContent-Length: 3\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nGrip-Hold: stream\r\nSet-Meta-A: b\r\n\r\nno!',
      );
    });
    const { connect } = await setStage({ targets: [{ url: backend.origin }] });
    const client = await connect();
    const { status, reason, headers } = await client.handshake();
    assert.equal(status, 418);
    assert.equal(reason, 'Short And Stout');
    for (const name of ['x-hop', 'grip-hold', 'set-meta-a']) assert.equal(headers.has(name), false, name);
    await client.takeEnd();
    assert.equal(client.received.toString(), 'no!');
  });

  it('takes a 403 with the type of events for a refusal', async () => {
    const { url } = await setStage({ answer: () => ({ status: 403, headers: eventsType, body: 'OPEN\r\n' }) });
    assert.equal((await refusedClient(url.replace('http', 'ws'))).status, 403);
  });

  it('takes a 200 that is a web page for a refusal', async () => {
    const { url } = await setStage({ answer: () => ({ headers: { 'Content-Type': 'text/html' }, body: '<h1>Hi</h1>' }) });
    const refusal = await refusedClient(url.replace('http', 'ws'));
    assert.equal(refusal.status, 200);
    assert.equal(refusal.body, '<h1>Hi</h1>');
  });

  for (const status of [201, 202, 204]) {
    it(`takes a ${status} with the right type for a refusal`, async () => {
      const { url } = await setStage({ answer: () => ({ status, headers: eventsType, body: status === 204 ? '' : 'OPEN\r\n' }) });
      assert.equal((await refusedClient(url.replace('http', 'ws'))).status, status);
    });
  }

  it('follows no redirect', async () => {
    const { backend, url } = await setStage({ answer: () => ({ status: 307, headers: { Location: '/elsewhere' } }) });
    assert.equal((await refusedClient(url.replace('http', 'ws'))).status, 307);
    assert.equal(backend.requests.length, 1);
  });

  it('hands on a refusal of 100000 bytes and answers 502 for a longer one', async () => {
    const { backend, url } = await setStage({ answer: () => ({ status: 403, body: 'x'.repeat(100_000) }) });
    assert.equal((await refusedClient(url.replace('http', 'ws'))).body.length, 100_000);
    backend.answer = () => ({ status: 403, body: 'x'.repeat(100_001) });
    const refusal = await refusedClient(url.replace('http', 'ws'));
    assert.equal(refusal.status, 502);
    assert.ok(refusal.body.length < 100);
  });

  const broken: readonly [string, string][] = [
    ['an empty body and no interval', ''],
    ['a first event that is not OPEN', 'TEXT 2\r\nhi\r\n'],
    ['OPEN twice', 'OPEN\r\nOPEN\r\n'],
    ['a malformed body', 'OPEN\nTEXT'],
    ['an OPEN cut short', 'OPEN\r'],
  ];
  for (const [what, body] of broken) {
    it(`answers 502 for ${what}`, async () => {
      const { backend, url } = await setStage({ answer: () => ({ headers: eventsType, body }) });
      const refusal = await refusedClient(url.replace('http', 'ws'));
      assert.equal(refusal.status, 502);
      assert.equal(refusal.body, 'Error while proxying to origin.\n');
      assert.equal(backend.requests.length, 1);
    });
  }

  it('answers 502 for a reply of more than 1000000 bytes', async () => {
    const { url } = await setStage({
      answer: () => ({ headers: eventsType, body: `OPEN\r\nTEXT f4240\r\n${'x'.repeat(1_000_000)}\r\n` }),
    });
    assert.equal((await refusedClient(url.replace('http', 'ws'))).status, 502);
  });

  it('says what is wrong in debug mode', async () => {
    const { url } = await setStage({ answer: () => ({ headers: eventsType, body: 'TEXT 2\r\nhi\r\n' }), route: { debug: true } });
    assert.match((await refusedClient(url.replace('http', 'ws'))).body, /first event is not OPEN/);
  });

  it('goes to the next target when the first cannot be reached, and stays there', async () => {
    const first = await freePort();
    const second = await setStage();
    const { open } = await setStage({ targets: [{ url: `http://127.0.0.1:${first}` }, { url: second.backend.origin }] });
    const client = await open();
    client.send('hi');
    assert.equal(await client.nextText(), 'hi');
    assert.deepEqual(said(second.backend.events()), ['OPEN', 'TEXT hi']);
  });

  it('does not go to the next target when the first has answered, or has been lost', async () => {
    const other = await setStage();
    const { backend, url } = await setStage({ answer: ({ response }) => void response.destroy() });
    const { url: both } = await setStage({ targets: [{ url: backend.origin }, { url: other.backend.origin }] });
    assert.equal((await refusedClient(both.replace('http', 'ws'))).status, 502);
    assert.equal((await refusedClient(url.replace('http', 'ws'))).status, 502);
    assert.equal(other.backend.requests.length, 0);
  });

  it('does not retry OPEN', async () => {
    const { backend, url } = await setStage({ answer: ({ response }) => void response.destroy() });
    assert.equal((await refusedClient(url.replace('http', 'ws'))).status, 502);
    await pause(50);
    assert.equal(backend.requests.length, 1);
  });

  it('answers 502 when no target is left', async () => {
    const { url } = await setStage({
      targets: [{ url: `http://127.0.0.1:${await freePort()}` }, { url: `http://127.0.0.1:${await freePort()}` }],
    });
    const refusal = await refusedClient(url.replace('http', 'ws'));
    assert.equal(refusal.status, 502);
    assert.equal(refusal.body, 'Error while proxying to origin.\n');
  });

  it('answers 504 when the backend does not answer in time', async () => {
    const { url } = await setStage({ answer: () => undefined, target: { timeout: '100ms' } });
    assert.equal((await refusedClient(url.replace('http', 'ws'))).status, 504);
  });

  it('answers 404 where there is no route', async () => {
    const { url } = await setStage({ route: { match: { path: '/chat' } } });
    const refusal = await refusedClient(`${url.replace('http', 'ws')}/other`);
    assert.equal(refusal.status, 404);
    assert.equal(refusal.body, 'Route not found\n');
  });

  it('keeps frames that come before the reply, and sends them after it', async () => {
    const held = gate();
    const { backend, connect } = await setStage({
      answer: async (request) => {
        if (isOpening(request)) await held.passed;
        return echo(request);
      },
    });
    const client = await connect();
    client.send(Buffer.concat([Buffer.from(handshakeRequest()), clientFrame(opcodes.text, 'early')]));
    await backend.until(() => backend.requests.length === 1);
    client.send(clientFrame(opcodes.text, 'later'));
    await pause(30);
    held.open();
    assert.equal((await client.takeHead()).status, 101);
    assert.equal((await client.takeFrame()).payload.toString(), 'early');
    assert.equal((await client.takeFrame()).payload.toString(), 'later');
    assert.deepEqual(said(backend.events()), ['OPEN', 'TEXT early', 'TEXT later']);
    assert.equal(backend.requests.length, 2);
  });

  it('keeps no more than a bounded number of early bytes, and loses none', async () => {
    const held = gate();
    const { backend, connect } = await setStage({
      answer: async (request) => {
        if (isOpening(request)) await held.passed;
        return isOpening(request) ? accepted() : nothing;
      },
    });
    const client = await connect();
    client.send(handshakeRequest());
    await backend.until(() => backend.requests.length === 1);
    const frame = clientFrame(opcodes.binary, Buffer.alloc(50_000, 7));
    for (let i = 0; i < 100; i += 1) client.send(frame);
    await pause(50);
    held.open();
    await backend.until(() => backend.events().length === 101);
    assert.equal(
      backend.events().reduce((sum, event) => sum + ('data' in event ? event.data.length : 0), 0),
      5_000_000,
    );
  });

  it('tells the backend with DISCONNECT when the client left before it accepted, metadata included', async () => {
    const held = gate();
    const { backend, connect } = await setStage({
      answer: async (request) => {
        if (!isOpening(request)) return nothing;
        await held.passed;
        return accepted({ 'Set-Meta-User': '42' });
      },
    });
    const client = await connect();
    client.send(handshakeRequest());
    await backend.until(() => backend.requests.length === 1);
    client.destroy();
    await pause(30);
    held.open();
    await backend.until(() => backend.requests.length === 2);
    assert.deepEqual(said(backend.requests[1]?.events ?? []), ['DISCONNECT']);
    assert.equal(backend.requests[1]?.headers['meta-user'], '42');
    await pause(50);
    assert.equal(backend.requests.length, 2);
  });

  it('tells it nothing when the client left and it then refuses', async () => {
    const held = gate();
    const { backend, connect } = await setStage({
      answer: async () => {
        await held.passed;
        return { status: 403 };
      },
    });
    const client = await connect();
    client.send(handshakeRequest());
    await backend.until(() => backend.requests.length === 1);
    client.destroy();
    await pause(30);
    held.open();
    await pause(50);
    assert.equal(backend.requests.length, 1);
  });

  it('ends the connection of a client that only closed its sending side while OPEN was pending', async () => {
    const held = gate();
    const { backend, connect } = await setStage({
      answer: async (request) => {
        if (isOpening(request)) await held.passed;
        return isOpening(request) ? accepted() : nothing;
      },
    });
    const client = await connect();
    client.send(handshakeRequest());
    await backend.until(() => backend.requests.length === 1);
    client.socket.end();
    await pause(30);
    held.open();
    await client.takeEnd();
    await backend.until(() => backend.requests.length === 2);
    assert.deepEqual(said(backend.requests[1]?.events ?? []), ['DISCONNECT']);
  });

  it('lets go of the connection of a client whose handshake was refused', async () => {
    const { port, connect } = await setStage({ answer: () => ({ status: 403, body: 'no' }) });
    const before = openSockets();
    for (let i = 0; i < 10; i += 1) {
      const client = await connect();
      assert.equal((await client.handshake()).status, 403);
      client.send(clientFrame(opcodes.text, 'not read'));
      await client.takeEnd();
      client.destroy();
    }
    for (let i = 0; i < 10; i += 1) {
      const client = await connect();
      client.send(`GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`);
      await client.takeEnd();
      client.destroy();
    }
    assert.ok(port > 0);
    await eventually(() => openSockets() <= before + 2);
  });

  it('answers a pending handshake and asks no more when the program stops', async () => {
    const { foregate, backend, connect } = await setStage({ answer: () => reply([], { 'Keep-Alive-Interval': '20' }) });
    const client = await connect();
    client.send(handshakeRequest());
    await backend.until(() => backend.requests.length === 1);
    await pause(20);
    await foregate.stop();
    const head = await client.takeHead(500);
    assert.equal(head.status, 503);
  });
});

describe('a policy that refuses the reply to OPEN', () => {
  const policy = { response: () => deny('forbidden', 'Not today.') };

  it('has a backend that accepted told that the client is gone', async () => {
    const { backend, url } = await setStage({ policy, answer: () => accepted() });
    assert.equal((await refusedClient(url.replace('http', 'ws'))).status, 403);
    await backend.until(() => backend.requests.length === 2);
    assert.deepEqual(
      backend.requests.map(({ body }) => body.toString()),
      ['OPEN\r\n', 'DISCONNECT\r\n'],
    );
  });

  it('has nothing told to one that wants to be asked later', async () => {
    const { backend, url } = await setStage({ policy, answer: () => reply([], { 'Keep-Alive-Interval': '20' }) });
    assert.equal((await refusedClient(url.replace('http', 'ws'))).status, 403);
    await pause(50);
    assert.equal(backend.requests.length, 1);
  });
});

describe('handshakes (RFC 6455 4.2)', () => {
  const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==';
  const cases: readonly [string, readonly string[], number][] = [
    ['no key', ['Sec-WebSocket-Version: 13'], 400],
    ['a key that is too short', ['Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: c2hvcnQ='], 400],
    ['two keys', ['Sec-WebSocket-Version: 13', key, key], 400],
    ['another version', ['Sec-WebSocket-Version: 8', key], 426],
    ['no version', [key], 426],
    ['a subprotocol twice', ['Sec-WebSocket-Version: 13', key, 'Sec-WebSocket-Protocol: a, a'], 400],
    ['a subprotocol that is no token', ['Sec-WebSocket-Version: 13', key, 'Sec-WebSocket-Protocol: a b'], 400],
  ];
  for (const [what, lines, status] of cases) {
    it(`refuses ${what} with ${status}, before the backend hears of it`, async () => {
      const { backend, connect } = await setStage();
      const client = await connect();
      client.send(
        ['GET / HTTP/1.1', 'Host: localhost', 'Connection: Upgrade', 'Upgrade: websocket', ...lines, '', ''].join('\r\n'),
      );
      const head = await client.takeHead();
      assert.equal(head.status, status);
      if (status === 426) assert.equal(head.headers.get('sec-websocket-version'), '13');
      await client.takeEnd();
      assert.equal(backend.requests.length, 0);
    });
  }

  it('refuses a POST', async () => {
    const { connect } = await setStage();
    const client = await connect();
    client.send(handshakeRequest().replace('GET', 'POST'));
    assert.equal((await client.takeHead()).status, 405);
  });

  it('negotiates no compression', async () => {
    const { connect } = await setStage();
    const { headers } = await (await connect()).handshake({ headers: ['Sec-WebSocket-Extensions: permessage-deflate'] });
    assert.equal(headers.has('sec-websocket-extensions'), false);
  });

  it('names no subprotocol that the client has not offered', async () => {
    const { connect } = await setStage({ answer: () => accepted({ 'Sec-WebSocket-Protocol': 'other' }) });
    const { status, headers } = await (await connect()).handshake({ headers: ['Sec-WebSocket-Protocol: mine'] });
    assert.equal(status, 101);
    assert.equal(headers.has('sec-websocket-protocol'), false);
  });

  it('takes a handshake that comes byte by byte', async () => {
    const { connect } = await setStage();
    const client = await connect();
    await client.sendSlowly(handshakeRequest());
    assert.equal((await client.takeHead()).status, 101);
  });

  it('passes on a backend that answers 101 to OPEN as 502', async () => {
    const backend = await startBareBackend(({ socket }) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
    });
    const { connect } = await setStage({ targets: [{ url: backend.origin }] });
    assert.equal((await (await connect()).handshake()).status, 502);
  });

  it('reads past interim replies', async () => {
    const backend = await startBareBackend(({ socket }) => {
      socket.write(
        Buffer.concat([
          Buffer.from('HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'),
          eventsReply('OPEN\r\n'),
        ]),
      );
    });
    const { connect } = await setStage({ targets: [{ url: backend.origin }] });
    assert.equal((await (await connect()).handshake()).status, 101);
  });

  it('gives a refusal without a body when the backend gave none', async () => {
    const backend = await startBareBackend(({ socket }) => void socket.write(httpReply(403, '')));
    const { connect } = await setStage({ targets: [{ url: backend.origin }] });
    const client = await connect();
    const { status, headers } = await client.handshake();
    assert.equal(status, 403);
    assert.equal(headers.get('content-length'), '0');
  });
});

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  onClear(() => undefined);
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** File descriptors of this process, where the system shows them. */
function openSockets(): number {
  return existsSync('/proc/self/fd') ? readdirSync('/proc/self/fd').length : 0;
}

/** GRIP 4.2, 4.6: answers that go on. What stands on the wire is compared byte by byte. */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import jsonwebtoken from 'jsonwebtoken';
import { byPath, held, instruct, requestText, setHoldStage, stream, takeAnswer, takeChunk, takeText } from './holds.ts';
import { clearStage, eventually, onClear, pause } from './stage.ts';

afterEach(clearStage);

describe('a stream (GRIP 4.6)', () => {
  it('begins with head and body at once, and then has each item as a chunk of its own, as it was published', async () => {
    const stage = await setHoldStage({
      answer: byPath({
        '/events': {
          ...stream('c', { 'Content-Type': 'text/event-stream', 'Grip-Status': '203 Fine', 'Grip-X': 'y' }, 'event: open\n\n'),
          status: 500,
        },
      }),
    });
    const socket = await stage.request('/events');
    const head = await socket.takeHead();
    assert.deepEqual([head.status, head.reason], [203, 'Fine']);
    const names = [...head.headers.keys()].filter(
      (name) => name.startsWith('grip') || name === 'content-length' || name === 'date',
    );
    assert.deepEqual(
      names.filter((name) => name !== 'date'),
      [],
    );
    assert.equal(head.headers.get('transfer-encoding'), 'chunked');
    assert.equal(head.headers.get('content-type'), 'text/event-stream');
    assert.equal(await takeChunk(socket), 'event: open\n\n');
    await stage.joined('c');
    await stage.streamed('c', 'data: é\n');
    assert.equal((await socket.take(14)).toString(), '9\r\ndata: é\n\r\n');
    await stage.item('c', { 'http-stream': { 'content-bin': 'AAD/' } });
    assert.deepEqual(await socket.take(8), Buffer.from('3\r\n\0\0\xff\r\n', 'latin1'));
    await stage.streamed('c', ''); // An empty chunk would end the body.
    await stage.answered('c', 'not for it');
    await stage.streamed('c', 'x'.repeat(300));
    assert.equal((await socket.takeUntil('\r\n')).toString(), '12c\r\n');
    await socket.take(302);
    assert.equal(socket.received.length, 0);
  });

  it('ends cleanly at close, and the connection serves the next request', async () => {
    const stage = await setHoldStage({ answer: byPath({ '/events': stream('c'), '/plain': { body: 'plain' } }) });
    const socket = await stage.request('/events');
    await socket.takeHead();
    await stage.joined('c');
    await stage.streamed('c', 'last');
    await stage.item('c', { 'http-stream': { action: 'close', content: 'ignored' } });
    assert.equal((await socket.takeUntil('0\r\n\r\n')).toString(), '4\r\nlast\r\n0\r\n\r\n');
    await stage.joined('c', 0);
    await stage.streamed('c', 'nobody');
    socket.send(requestText('/plain'));
    assert.equal((await takeAnswer(socket)).body, 'plain');
    socket.send(requestText('/events'));
    await socket.takeHead();
    await stage.joined('c');
    await stage.streamed('c', 'again');
    assert.equal(await takeChunk(socket), 'again');
  });

  it('has no framing for HTTP/1.0, and ends with the connection', async () => {
    const stage = await setHoldStage({ answer: byPath({ '/events': stream('c', {}, 'first ') }) });
    const socket = await stage.request('/events', { version: '1.0', host: '' });
    const head = await socket.takeHead();
    assert.deepEqual([head.headers.has('transfer-encoding'), head.headers.get('connection')], [false, 'close']);
    await stage.joined('c');
    await stage.streamed('c', 'second');
    await stage.item('c', { 'http-stream': { action: 'close' } });
    await socket.takeEnd();
    assert.equal(socket.received.toString(), 'first second');
  });

  it('reaches curl, with HTTP/1.0 and 1.1', async () => {
    const stage = await setHoldStage({ answer: byPath({ '/events': stream('c', {}, 'first ') }) });
    const run = promisify(execFile);
    const done = ['--http1.0', '--http1.1'].map((version) => run('curl', ['-sS', '-N', version, `${stage.url}/events`]));
    await stage.joined('c', 2);
    await stage.streamed('c', 'second');
    await stage.item('c', { 'http-stream': { action: 'close' } });
    assert.deepEqual(
      (await Promise.all(done)).map(({ stdout }) => stdout),
      ['first second', 'first second'],
    );
  });

  it('has the head alone for HEAD, and for a status without a body', async () => {
    const stage = await setHoldStage({
      answer: byPath({ '/events': stream('c'), '/204': stream('c', { 'Grip-Status': '204' }), '/plain': { body: 'p' } }),
    });
    for (const [path, method, status] of [
      ['/events', 'HEAD', 200],
      ['/204', 'GET', 204],
    ] as const) {
      const socket = await stage.request(path, { method });
      assert.equal((await socket.takeHead()).status, status);
      await stage.streamed('c', 'nothing for it');
      socket.send(requestText('/plain'));
      assert.equal((await takeAnswer(socket)).body, 'p');
    }
    assert.equal(await stage.members('c'), 0);
  });

  it('may come as a document in JSON', async () => {
    const document = {
      hold: { mode: 'stream', channels: [{ name: 'c' }] },
      response: { code: 201, headers: { 'X-Doc': 'd' }, body: 'first' },
    };
    const stage = await setHoldStage({ answer: byPath({ '/events': instruct(document) }) });
    const socket = await stage.request('/events');
    const head = await socket.takeHead();
    assert.deepEqual([head.status, head.headers.get('x-doc')], [201, 'd']);
    assert.equal(await takeChunk(socket), 'first');
    await stage.joined('c');
    await stage.streamed('c', 'second');
    assert.equal(await takeChunk(socket), 'second');
  });

  it('has a large first body too, as the client takes it, and items after it', async () => {
    const body = 'abcdefghij'.repeat(60_000);
    const stage = await setHoldStage({ answer: byPath({ '/events': stream('c', {}, body) }) });
    const socket = await stage.request('/events');
    await socket.takeHead();
    await takeText(socket, body);
    await stage.joined('c');
    await stage.streamed('c', 'after');
    assert.equal(await takeChunk(socket), 'after');
  });

  it('is cut where a large first body breaks off', async () => {
    const stage = await setHoldStage({
      answer: ({ response }) => {
        response.writeHead(200, { 'Grip-Hold': 'stream', 'Grip-Channel': 'c', 'Content-Length': '500000' });
        response.write('x'.repeat(200_000), () => setTimeout(() => response.destroy(), 50));
        return undefined;
      },
    });
    const socket = await stage.request('/events');
    await socket.takeHead();
    await socket.takeEnd();
    assert.equal(socket.received.includes('\r\n0\r\n\r\n'), false);
    assert.equal(await stage.members('c'), 0);
  });

  it('waits for its turn where a client sends its next request before it has its answers', async () => {
    const stage = await setHoldStage({
      answer: byPath({ '/first': stream('a'), '/second': stream('b', {}, 'body'), '/third': { body: 'plain' } }),
    });
    const socket = await stage.request('/first');
    await stage.joined('a');
    socket.send(requestText('/second') + requestText('/third'));
    await stage.joined('b');
    await stage.streamed('b', 'item');
    await stage.streamed('a', 'one');
    await socket.takeHead();
    assert.equal(await takeChunk(socket), 'one');
    await pause(50);
    assert.equal(socket.received.length, 0);
    await stage.item('a', { 'http-stream': { action: 'close' } });
    assert.equal(await takeChunk(socket), '');
    await socket.takeHead();
    await takeText(socket, 'bodyitem');
    await stage.streamed('b', 'late');
    assert.equal(await takeChunk(socket), 'late');
    await stage.item('b', { 'http-stream': { action: 'close' } });
    assert.equal(await takeChunk(socket), '');
    assert.equal((await takeAnswer(socket)).body, 'plain');
  });

  it('that is over before its turn is complete all the same', async () => {
    const stage = await setHoldStage({ answer: byPath({ '/first': stream('a'), '/second': stream('b', {}, 'body') }) });
    const socket = await stage.request('/first');
    await stage.joined('a');
    socket.send(requestText('/second'));
    await stage.joined('b');
    await stage.item('b', { 'http-stream': { action: 'close' } });
    await stage.joined('b', 0);
    await stage.item('a', { 'http-stream': { action: 'close' } });
    await socket.takeHead();
    assert.equal(await takeChunk(socket), '');
    await socket.takeHead();
    assert.deepEqual([await takeChunk(socket), await takeChunk(socket)], ['body', '']);
  });

  it('whose turn has not come is left when the client goes', async () => {
    const stage = await setHoldStage({ answer: byPath({ '/first': stream('a'), '/second': stream('b'), '/poll': held('b') }) });
    const socket = await stage.request('/first');
    await stage.joined('a');
    socket.send(requestText('/second') + requestText('/poll'));
    await stage.joined('b', 2);
    socket.destroy();
    await stage.joined('b', 0);
    await stage.joined('a', 0);
    assert.equal((await (await fetch(`${stage.controlUrl}/connections`)).text()).trim(), '[]');
  });

  it('leaves no listeners behind on a connection that is used again and again', async () => {
    const warnings: Error[] = [];
    const warn = (warning: Error): void => void warnings.push(warning);
    process.on('warning', warn);
    onClear(() => void process.off('warning', warn));
    const stage = await setHoldStage({ answer: byPath({ '/events': stream('c') }) });
    const socket = await stage.connect();
    for (let i = 0; i < 15; i += 1) {
      socket.send(requestText('/events'));
      await socket.takeHead();
      await stage.joined('c');
      await stage.item('c', { 'http-stream': { action: 'close' } });
      assert.equal(await takeChunk(socket), '');
      await stage.joined('c', 0);
    }
    assert.deepEqual(warnings, []);
  });

  it('passes its filters, also over its first body', async () => {
    const filters = 'c; filter=skip-self; filter=build-id';
    const meta = { 'Grip-Set-Meta': 'user="42", id_format="%(c)s"' };
    const stage = await setHoldStage({
      answer: byPath({ '/events': stream(filters, meta, 'id: %(start)I %%\n'), '/wrong': stream(filters, meta, '%I') }),
    });
    const socket = await stage.request('/events');
    await socket.takeHead();
    assert.equal(await takeChunk(socket), 'id: start %\n');
    await stage.joined('c');
    await stage.streamed('c', 'own', { meta: { sender: '42' }, id: '1' });
    await stage.streamed('c', 'id: %I', { id: '2' });
    assert.equal(await takeChunk(socket), 'id: 2');
    assert.equal((await takeAnswer(await stage.request('/wrong'))).status, 502);
  });

  it('drops what comes twice, and waits for no item with no-seq', async () => {
    const stage = await setHoldStage({ answer: byPath({ '/events': stream('c') }) });
    const socket = await stage.request('/events');
    await socket.takeHead();
    await stage.joined('c');
    await stage.streamed('c', 'a', { id: '1' });
    await stage.streamed('c', 'twice', { id: '1' });
    await stage.streamed('c', 'c', { id: '3', 'prev-id': '2' });
    await stage.streamed('c', 'x', { id: '9', 'prev-id': '8', 'no-seq': true });
    await stage.streamed('c', 'b', { id: '2', 'prev-id': '1' });
    await takeText(socket, 'axbc');
  });

  it('stands in the list of sessions', async () => {
    const stage = await setHoldStage({ answer: byPath({ '/events': stream('c') }) });
    await stage.request('/events');
    await stage.joined('c');
    const [session] = (await (await fetch(`${stage.controlUrl}/connections`)).json()) as Record<string, unknown>[];
    assert.equal(session?.['transport'], 'stream');
  });

  it('is left when the client goes, and the gone link is told', async () => {
    const stage = await setHoldStage({
      answer: byPath({ '/events': stream('c', { 'Grip-Link': '</gone>; rel=gone' }), '/gone': {} }),
    });
    const socket = await stage.request('/events');
    await stage.joined('c');
    socket.destroy();
    await stage.joined('c', 0);
    await stage.backend.until(() => stage.at('/gone').length === 1);
  });
});

describe('keep-alives of a stream (GRIP 4.2)', () => {
  it('come after silence or at regular times, decoded', async () => {
    const stage = await setHoldStage({
      answer: byPath({
        '/idle': stream('idle', { 'Grip-Keep-Alive': String.raw`:\r\n\x41\\; format=cstring; timeout=2` }),
        '/interval': stream('interval', { 'Grip-Keep-Alive': 'AAEC; format=base64; timeout=2; mode=interval' }),
        '/raw': stream('raw', { 'Grip-Keep-Alive': String.raw`\n; timeout=0` }),
        '/json': instruct({ hold: { mode: 'stream', channels: [{ name: 'json' }], 'keep-alive': { content: 'k', timeout: 1 } } }),
      }),
    });
    const open = async (path: string) => {
      const socket = await stage.request(path);
      await socket.takeHead();
      return socket;
    };
    const [idle, interval, raw, json] = [await open('/idle'), await open('/interval'), await open('/raw'), await open('/json')];
    const start = performance.now();
    await stage.joined('interval');
    const chatter = setInterval(() => void Promise.all([stage.streamed('idle', 'i'), stage.streamed('interval', 'i')]), 300);
    try {
      assert.equal(await takeChunk(raw), String.raw`\n`);
      assert.equal(await takeChunk(json), 'k');
      let chunk = await takeChunk(interval);
      while (chunk === 'i') chunk = await takeChunk(interval);
      assert.equal(chunk, '\0\x01\x02');
      const tookMs = performance.now() - start;
      assert.ok(tookMs > 800 && tookMs < 2300, `${tookMs} ms`);
      await pause(2300 - tookMs);
    } finally {
      clearInterval(chatter);
    }
    await pause(50);
    const silentSince = performance.now();
    assert.match(idle.received.toString(), /^(1\r\ni\r\n)+$/);
    await idle.takeUntil('5\r\n:\r\nA\\\r\n');
    const silentMs = performance.now() - silentSince;
    assert.ok(silentMs > 600 && silentMs < 2200, `${silentMs} ms`);
  });
});

describe('many and slow clients of streams', () => {
  it('a thousand get one item once, though a target has fewer connections, and other requests pass', async function () {
    this.timeout(30_000);
    const stage = await setHoldStage({
      answer: byPath({ '/events': stream('c'), '/plain': { body: 'plain' } }),
      settings: { limits: { sessions: 2000 } },
    });
    const sockets = await Promise.all(Array.from({ length: 1000 }, () => stage.request('/events')));
    await Promise.all(sockets.map((socket) => socket.takeHead(10_000)));
    await stage.joined('c', 1000);
    assert.equal((await takeAnswer(await stage.request('/plain'))).body, 'plain');
    await stage.streamed('c', 'item');
    for (const socket of sockets) assert.equal(await takeChunk(socket, 5000), 'item');
    await stage.streamed('c', 'next');
    for (const socket of sockets) assert.equal((await socket.take(9, 5000)).toString(), '4\r\nnext\r\n');
  });

  for (const slowClients of ['close', 'drop-newest', 'drop-oldest', 'latest'] as const) {
    it(`one that reads nothing is bounded: ${slowClients}`, async function () {
      this.timeout(20_000);
      const stage = await setHoldStage({
        answer: byPath({ '/events': stream('c') }),
        route: { slowClients, limits: { unsentBytes: 50_000 } },
      });
      const slow = await stage.request('/events');
      await slow.takeHead();
      const quick = await stage.request('/events');
      await quick.takeHead();
      await stage.joined('c', 2);
      slow.socket.pause();
      const content = 'x'.repeat(100_000);
      for (let i = 0; i < 150; i += 1) {
        await stage.streamed('c', content);
        await takeText(quick, content);
      }
      const left = slowClients === 'close' ? 1 : 2;
      await stage.joined('c', left);
      slow.socket.resume();
      if (slowClients === 'close') {
        await slow.takeEnd();
        assert.ok(slow.received.length < 14_000_000);
        return;
      }
      // Whole items only, and later ones arrive.
      await eventually(() => slow.received.length > 100_000);
      await pause(300);
      await stage.streamed('c', 'later');
      await slow.takeUntil('5\r\nlater\r\n', 5000);
      assert.ok(stage.backend.requests.length === 2);
    });
  }
});

describe('policies and the end of the program, for streams', () => {
  it('a token that expires ends a stream cleanly, and an ordinary answer stays', async function () {
    this.timeout(15_000);
    const secret = 'a secret of thirty-two bytes or more';
    const stage = await setHoldStage({
      answer: byPath({
        '/events': stream('c', {}, 'first'),
        '/poll': held('c'),
        '/slow': async () => {
          await pause(2500);
          return { body: 'slow' };
        },
      }),
      route: { policies: [{ use: 'jwt', secret, clockTolerance: '0s' }] },
    });
    const token = jsonwebtoken.sign({ sub: 'ann', exp: Math.floor(Date.now() / 1000) + 2 }, secret);
    const headers = [`Authorization: Bearer ${token}`];
    const events = await stage.request('/events', { headers });
    const poll = await stage.request('/poll', { headers });
    const slow = await stage.request('/slow', { headers });
    await stage.joined('c', 2);
    await events.takeHead();
    assert.deepEqual([await takeChunk(events), await takeChunk(events)], ['first', '']);
    assert.equal((await takeAnswer(poll)).status, 401);
    assert.equal((await takeAnswer(slow)).body, 'slow');
    await stage.joined('c', 0);
  });

  it('ends streams cleanly when the program stops', async () => {
    const stage = await setHoldStage({ answer: byPath({ '/events': stream('c', {}, 'first') }) });
    const socket = await stage.request('/events');
    await socket.takeHead();
    await stage.joined('c');
    await stage.foregate.stop();
    await socket.takeEnd();
    assert.equal(socket.received.toString(), '5\r\nfirst\r\n0\r\n\r\n');
  });

  it('a client that is cut off by its system is noticed', async () => {
    const stage = await setHoldStage({ answer: byPath({ '/events': stream('c') }) });
    const client = spawn('curl', ['-sS', '-N', `${stage.url}/events`], { stdio: 'ignore' });
    await stage.joined('c');
    client.kill('SIGKILL');
    await once(client, 'exit');
    await stage.joined('c', 0);
  });
});

import assert from 'node:assert/strict';
import type { Server } from 'node:http';
import { controlServer } from '../../gateway/control/server.ts';
import { noHooks } from '../../gateway/core/policy.ts';
import { RawSocket } from '../support/raw-socket.ts';
import { controlParts, FakeHost, gate, listen, publishBody } from './fake-host.ts';

describe('control server', () => {
  let host: FakeHost;
  let server: Server;
  let port: number;
  let socket: RawSocket;

  async function start(more: Parameters<typeof controlParts>[1] = {}): Promise<void> {
    host = new FakeHost();
    server = controlServer(controlParts(host, more));
    port = await listen(server);
    socket = await RawSocket.connect(port);
  }

  afterEach(() => {
    socket.destroy();
    server.closeAllConnections();
    server.close();
  });

  const request = (body: string, ...fields: readonly string[]): string =>
    ['POST /publish/ HTTP/1.1', 'Host: x', `Content-Length: ${Buffer.byteLength(body)}`, ...fields, '', body].join('\r\n');

  /** The next answer: its status, whether the connection stays, and its body. */
  async function answer(): Promise<{ status: number; closes: boolean; body: string }> {
    const head = await socket.takeHead();
    const body = await socket.take(Number(head.headers.get('content-length') ?? 0));
    return { status: head.status, closes: head.headers.get('connection') === 'close', body: body.toString() };
  }

  const published = { status: 200, closes: false, body: 'Published\n' };

  it('takes publish after publish on one connection', async () => {
    await start();
    for (const channel of ['a', 'b']) {
      socket.send(request(publishBody(channel)));
      assert.deepEqual(await answer(), published);
    }
    assert.deepEqual(host.publishedTo, ['a', 'b']);
  });

  it('keeps the connection after a refusal', async () => {
    await start();
    socket.send(request('null') + request(publishBody('a')));
    assert.deepEqual(await answer(), { status: 400, closes: false, body: 'Invalid format.\n' });
    assert.deepEqual(await answer(), published);
  });

  it('keeps the order of pipelined publishes', async () => {
    await start();
    const channels = Array.from({ length: 50 }, (_, i) => `c${i}`);
    socket.send(channels.map((channel) => request(publishBody(channel))).join(''));
    for (let i = 0; i < channels.length; i += 1) assert.deepEqual(await answer(), published);
    assert.deepEqual(host.publishedTo, channels);
  });

  it('keeps the order of pipelined publishes whose policies take their time', async () => {
    let first = true;
    const slowFirst = async (): Promise<undefined> => {
      const ms = first ? 30 : 0;
      first = false;
      await new Promise((resolve) => setTimeout(resolve, ms));
    };
    await start({ hooks: { ...noHooks, publish: [slowFirst] } });
    socket.send(['a', 'b', 'c'].map((channel) => request(publishBody(channel))).join(''));
    for (let i = 0; i < 3; i += 1) assert.deepEqual(await answer(), published);
    assert.deepEqual(host.publishedTo, ['a', 'b', 'c']);
  });

  it('refuses a pipeline that grows without end behind a slow policy', async () => {
    const { passed, open } = gate();
    await start({ hooks: { ...noHooks, publish: [() => passed] } });
    socket.send(request(publishBody('a')).repeat(70));
    await new Promise((resolve) => setTimeout(resolve, 50));
    open();
    for (let i = 0; i < 64; i += 1) assert.deepEqual(await answer(), published);
    assert.deepEqual(await answer(), { status: 503, closes: true, body: 'Too much is waiting.\n' });
    await socket.takeEnd();
    assert.equal(host.published.length, 64);
  });

  it('writes head and body of an answer together', async () => {
    await start();
    let writes = 0;
    socket.socket.on('data', () => (writes += 1));
    socket.send(request(publishBody('a')));
    await answer();
    assert.equal(writes, 1);
  });

  it('reads a body that arrives byte by byte', async () => {
    await start();
    await socket.sendSlowly(request(publishBody('ä')), 7);
    assert.deepEqual(await answer(), published);
    assert.deepEqual(host.publishedTo, ['ä']);
  });

  it('publishes nothing of a body that is cut short', async () => {
    await start();
    socket.send(request(publishBody('a')).slice(0, -5));
    await new Promise((resolve) => setTimeout(resolve, 20));
    socket.destroy();
    const next = await RawSocket.connect(port);
    next.send(request(publishBody('b')));
    await next.takeHead();
    next.destroy();
    assert.deepEqual(host.publishedTo, ['b']);
  });

  it('wants to know the length', async () => {
    await start();
    socket.send('POST /publish/ HTTP/1.1\r\nHost: x\r\n\r\n');
    assert.deepEqual(await answer(), { status: 411, closes: false, body: 'Request requires Content-Length.\n' });
    socket.send(request(publishBody('a')));
    assert.deepEqual(await answer(), published);
  });

  it('wants to know the length of a chunked body, and closes', async () => {
    await start();
    socket.send('POST /publish/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n');
    assert.deepEqual(await answer(), { status: 411, closes: true, body: 'Request requires Content-Length.\n' });
    socket.send('0\r\n\r\n');
    await socket.takeEnd();
  });

  it('takes a body of exactly the limit', async () => {
    await start();
    const body = publishBody('a');
    socket.send(request(body + ' '.repeat(1_000_000 - body.length)));
    assert.deepEqual(await answer(), published);
  });

  it('refuses one byte more before it is sent, and closes', async () => {
    await start();
    socket.send('POST /publish/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1000001\r\n\r\n');
    assert.deepEqual(await answer(), { status: 400, closes: true, body: 'Request body too large.\n' });
    await socket.takeEnd();
  });

  it('lets a client finish that goes on sending after the refusal', async () => {
    await start();
    const broken: Error[] = [];
    socket.socket.on('error', (error) => broken.push(error));
    socket.send('POST /publish/ HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n');
    assert.deepEqual(await answer(), { status: 400, closes: true, body: 'Request body too large.\n' });
    await socket.sendSlowly(Buffer.alloc(3_000_000, 'x'), 100_000);
    await socket.takeEnd();
    assert.deepEqual(broken, []);
  });

  it('asks for a body that waits to be asked for', async () => {
    await start();
    const body = publishBody('a');
    socket.send(request('', 'Expect: 100-continue').replace('Content-Length: 0', `Content-Length: ${body.length}`));
    assert.equal((await socket.takeHead()).status, 100);
    socket.send(body);
    assert.deepEqual(await answer(), published);
  });

  it('does not ask for a body that is too large', async () => {
    await start();
    socket.send('POST /publish/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1000001\r\nExpect: 100-continue\r\n\r\n');
    assert.deepEqual(await answer(), { status: 400, closes: true, body: 'Request body too large.\n' });
    await socket.takeEnd();
  });

  it('asks for the body of other calls, too', async () => {
    await start();
    host.add('s1', []);
    const body = '{"cid":"s1"}';
    socket.send(`POST /refresh/ HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: ${body.length}\r\n\r\n`);
    assert.equal((await socket.takeHead()).status, 100);
    socket.send(body);
    assert.deepEqual(await answer(), { status: 200, closes: false, body: '{"message":"Refreshed"}\n' });
  });

  it('refuses a header above 10,000 bytes', async () => {
    await start();
    socket.send(`GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(10_000)}\r\n\r\n`);
    assert.deepEqual(await answer(), { status: 400, closes: true, body: 'Request header too large.\n' });
    await socket.takeEnd();
  });

  for (const bytes of [
    '\u0000\u0001\u0002\r\n\r\n',
    'POST /publish/ HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n',
    'POST /publish/ HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n',
  ]) {
    it(`refuses ${JSON.stringify(bytes)}`, async () => {
      await start();
      socket.send(bytes);
      assert.deepEqual(await answer(), { status: 400, closes: true, body: 'Bad request.\n' });
      await socket.takeEnd();
    });
  }

  it('holds no more than 128 connections', async () => {
    await start();
    const others = await Promise.all(Array.from({ length: 130 }, () => RawSocket.connect(port)));
    const last = others.at(-1);
    await last?.takeEnd();
    assert.ok(others.filter((other) => other.ended).length >= 3);
    for (const other of others) other.destroy();
  });
});

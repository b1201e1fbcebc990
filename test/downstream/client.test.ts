/** The client for short requests: connections that are kept, limits, deadlines, and what exactly failed (GRIP 2.10). */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { ForegateError, type ErrorCode } from '../../gateway/core/errors.ts';
import type { Reply } from '../../gateway/core/exchange.ts';
import { header } from '../../gateway/core/headers.ts';
import { HttpDownstream, type ClientSettings } from '../../gateway/downstream/client.ts';
import type { RawSocket } from '../support/raw-socket.ts';
import { clientCertificate, clientKey, serverCertificate, serverKey } from './certificates.ts';
import { startTcpBackend, type TcpBackend } from './tcp-backend.ts';

const closers: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

async function backendOf(...args: Parameters<typeof startTcpBackend>): Promise<TcpBackend> {
  const backend = await startTcpBackend(...args);
  closers.push(() => backend.stop());
  return backend;
}

interface Caller {
  send(body?: string, terms?: { replyBytes?: number; timeoutMs?: number }): Promise<Reply>;
  readonly downstream: HttpDownstream;
}

function clientOf(origin: string, settings: Partial<ClientSettings> = {}): Caller {
  const downstream = new HttpDownstream({
    publicOnly: false,
    origin,
    connections: 4,
    idleMs: 2000,
    connectTimeoutMs: 1000,
    retry: 'once',
    tls: {},
    ...settings,
  });
  closers.push(() => downstream.close());
  return {
    downstream,
    send(body = 'hello', { replyBytes = 1000, timeoutMs = 2000 } = {}) {
      const headers = ['Host', 'backend', 'X-Case', 'Kept', 'Content-Length', String(body.length)];
      return downstream.send(
        { method: 'POST', path: '/p/../%7e?q=1', headers, body: Buffer.from(body) },
        { replyBytes, timeoutMs },
      );
    },
  };
}

/** Takes a request; its head and body. */
async function takeRequest(socket: RawSocket): Promise<{ head: string; body: string }> {
  const head = (await socket.takeUntil('\r\n\r\n')).toString('latin1');
  const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
  return { head, body: (await socket.take(length)).toString() };
}

/** Answers every request on every connection with its body. */
function answerAll(backend: TcpBackend): void {
  void (async () => {
    for (;;) {
      const socket = await backend.next();
      void (async () => {
        for (;;) {
          const { body } = await takeRequest(socket);
          socket.send(ok(body));
        }
      })().catch(() => undefined);
    }
  })().catch(() => undefined);
}

function ok(body: string, ...lines: string[]): string {
  return ['HTTP/1.1 200 OK', `Content-Length: ${body.length}`, ...lines, '', body].join('\r\n');
}

async function failsWith(code: ErrorCode, sending: Promise<unknown>): Promise<void> {
  await assert.rejects(sending, (error) => {
    assert.ok(error instanceof ForegateError, String(error));
    assert.equal(error.code, code);
    return true;
  });
}

describe('the client for short requests', () => {
  it('sends path and fields as they are, in one write, and reads the reply', async () => {
    const backend = await backendOf();
    const { send } = clientOf(backend.origin);
    const sending = send();
    const socket = await backend.next();
    const { head, body } = await takeRequest(socket);
    assert.match(head, /^POST \/p\/\.\.\/%7e\?q=1 HTTP\/1\.1\r\n/);
    assert.match(head, /\r\nX-Case: Kept\r\n/);
    assert.equal(head.match(/^host:/gim)?.length, 1);
    assert.equal(head.match(/^content-length:/gim)?.length, 1);
    assert.doesNotMatch(head, /transfer-encoding/i);
    assert.equal(body, 'hello');
    socket.send(ok('world', 'X-A: 1', 'x-a: \xe9'));
    const reply = await sending;
    assert.deepEqual([reply.status, reply.reason, reply.body.toString()], [200, 'OK', 'world']);
    assert.equal(header(reply.headers, 'x-a'), '1');
  });

  it('hands over any status, with its body', async () => {
    const backend = await backendOf();
    const { send } = clientOf(backend.origin);
    const sending = send();
    (await backend.next()).send('HTTP/1.1 503 Service Busy\r\nContent-Length: 2\r\n\r\nno');
    const { status, reason, body } = await sending;
    assert.deepEqual([status, reason, body.toString()], [503, 'Service Busy', 'no']);
  });

  it('reads chunked bodies, bodies without length, and bodies in many pieces', async () => {
    const backend = await backendOf();
    const { send } = clientOf(backend.origin);
    const chunked = send();
    const socket = await backend.next();
    await takeRequest(socket);
    await socket.sendSlowly('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n');
    assert.equal((await chunked).body.toString(), 'hello');
    const endless = send();
    await takeRequest(socket);
    socket.socket.end('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end');
    assert.equal((await endless).body.toString(), 'until the end');
  });

  it('uses a connection again, one request at a time', async () => {
    const backend = await backendOf();
    answerAll(backend);
    const { send } = clientOf(backend.origin);
    for (let i = 0; i < 5; i += 1) assert.equal((await send(`n${i}`)).body.toString(), `n${i}`);
    assert.equal(backend.connections.length, 1);
    await Promise.all([send(), send(), send()]);
    assert.equal(backend.connections.length, 3);
  });

  it('lets what is beyond its connections wait, in order', async () => {
    const backend = await backendOf();
    answerAll(backend);
    const { send } = clientOf(backend.origin, { connections: 2 });
    const replies = await Promise.all(Array.from({ length: 50 }, (_, i) => send(String(i))));
    assert.deepEqual(
      replies.map(({ body }) => body.toString()),
      Array.from({ length: 50 }, (_, i) => String(i)),
    );
    assert.equal(backend.connections.length, 2);
  });

  it('gives up what has waited too long for a connection, and goes on with the rest', async () => {
    const backend = await backendOf();
    const { send } = clientOf(backend.origin, { connections: 1 });
    const first = send('first', { timeoutMs: 2000 });
    const second = send('second', { timeoutMs: 50 });
    const third = send('third', { timeoutMs: 2000 });
    const socket = await backend.next();
    await takeRequest(socket);
    await new Promise((resolve) => setTimeout(resolve, 100));
    socket.send(ok('1'));
    await first;
    await failsWith('downstream-timeout', second);
    assert.equal((await takeRequest(socket)).body, 'third');
    socket.send(ok('3'));
    assert.equal((await third).body.toString(), '3');
  });

  it('closes a connection that was not used for the idle time, whatever the backend promises', async () => {
    const backend = await backendOf();
    const { send } = clientOf(backend.origin, { idleMs: 100 });
    const sending = send();
    const socket = await backend.next();
    await takeRequest(socket);
    socket.send(ok('x', 'Keep-Alive: timeout=600'));
    await sending;
    await socket.takeEnd();
    void send().catch(() => undefined);
    await takeRequest(await backend.next());
  });

  it('makes a new connection when the reply ends the old one', async () => {
    const backend = await backendOf();
    const { send } = clientOf(backend.origin);
    for (let i = 0; i < 3; i += 1) {
      const sending = send(String(i));
      const socket = await backend.next();
      await takeRequest(socket);
      socket.socket.end(ok('x', 'Connection: close'));
      await sending;
    }
    assert.equal(backend.connections.length, 3);
  });
});

describe('failures of short requests', () => {
  it('are downstream-unreachable where nothing listens', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    server.close();
    await once(server, 'close');
    const { send } = clientOf(`http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`);
    await failsWith('downstream-unreachable', send());
    await failsWith('downstream-unreachable', send());
  });

  it('are downstream-unreachable where the name is unknown', async () => {
    await failsWith('downstream-unreachable', clientOf('http://does-not-exist.invalid:80').send());
  });

  it('are downstream-lost where a new connection ends without a reply, and nothing is sent again', async () => {
    const backend = await backendOf();
    const { send } = clientOf(backend.origin);
    const sending = send();
    const socket = await backend.next();
    await takeRequest(socket);
    socket.destroy();
    await failsWith('downstream-lost', sending);
    assert.equal(backend.connections.length, 1);
  });

  /** A client whose next request goes on a connection that was used before. */
  async function used(settings: Partial<ClientSettings> = {}) {
    const backend = await backendOf();
    const caller = clientOf(backend.origin, settings);
    const sending = caller.send();
    const socket = await backend.next();
    await takeRequest(socket);
    socket.send(ok('x'));
    await sending;
    return { backend, socket, ...caller };
  }

  it('are tried again once where a used connection ends without a byte', async () => {
    const { backend, socket, send } = await used();
    const sending = send('again');
    await takeRequest(socket);
    socket.destroy();
    const second = await backend.next();
    assert.equal((await takeRequest(second)).body, 'again');
    second.send(ok('done'));
    assert.equal((await sending).body.toString(), 'done');
  });

  it('are not tried a third time', async () => {
    const { backend, socket, send } = await used();
    const sending = send();
    await takeRequest(socket);
    socket.destroy();
    const second = await backend.next();
    await takeRequest(second);
    second.destroy();
    await failsWith('downstream-lost', sending);
    assert.equal(backend.connections.length, 2);
  });

  it('are not tried again where the settings say never', async () => {
    const { backend, socket, send } = await used({ retry: 'never' });
    const sending = send();
    await takeRequest(socket);
    socket.destroy();
    await failsWith('downstream-lost', sending);
    assert.equal(backend.connections.length, 1);
  });

  for (const begun of [
    'H',
    'HTTP/1.1 200 OK\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe',
    'HTTP/1.1 103 Early Hints\r\n\r\n',
  ]) {
    it(`are not tried again after ${JSON.stringify(begun.slice(-12))}`, async () => {
      const { backend, socket, send } = await used();
      const sending = send();
      await takeRequest(socket);
      socket.socket.end(begun);
      await failsWith('downstream-lost', sending);
      assert.equal(backend.connections.length, 1);
    });
  }

  it('are downstream-timeout where no reply comes, and the connection is not used again', async () => {
    const { backend, socket, send } = await used();
    const sending = send('late', { timeoutMs: 80 });
    await takeRequest(socket);
    await failsWith('downstream-timeout', sending);
    await socket.takeEnd();
    const next = send('next');
    const second = await backend.next();
    assert.equal((await takeRequest(second)).body, 'next');
    second.send(ok('y'));
    assert.equal((await next).body.toString(), 'y');
  });

  it('are downstream-timeout where the body does not end', async () => {
    const { socket, send } = await used();
    const sending = send('x', { timeoutMs: 80 });
    await takeRequest(socket);
    socket.send('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf');
    await failsWith('downstream-timeout', sending);
  });

  it('have the whole time for each request on a kept connection', async () => {
    const { socket, send } = await used();
    for (let i = 0; i < 3; i += 1) {
      const sending = send('x', { timeoutMs: 150 });
      await takeRequest(socket);
      await new Promise((resolve) => setTimeout(resolve, 90));
      socket.send(ok('y'));
      await sending;
    }
  });

  it('are reply-too-large at the first byte over the limit', async () => {
    const { socket, send } = await used();
    const exact = send('x', { replyBytes: 10 });
    await takeRequest(socket);
    socket.send(ok('0123456789'));
    assert.equal((await exact).body.length, 10);
    const over = send('x', { replyBytes: 10 });
    await takeRequest(socket);
    socket.send('HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n01234567890');
    await failsWith('reply-too-large', over);
    await socket.takeEnd();
  });

  it('are reply-too-large for refusals, too', async () => {
    const { socket, send } = await used();
    const sending = send('x', { replyBytes: 10 });
    await takeRequest(socket);
    socket.send('HTTP/1.1 500 Oops\r\n\r\n01234567890');
    await failsWith('reply-too-large', sending);
  });

  for (const rubbish of [
    'SSH-2.0-OpenSSH\r\n',
    'HTTP/1.1 200 OK\r\nBad Header: x\r\n\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnot hex\r\n',
    'HTTP/1.1 20 OK\r\n\r\n',
  ]) {
    it(`are bad-reply for ${JSON.stringify(rubbish.slice(0, 50))}`, async () => {
      const { socket, send } = await used();
      const sending = send();
      await takeRequest(socket);
      socket.send(rubbish);
      await failsWith('bad-reply', sending);
    });
  }

  it('are shutting-down after the end', async () => {
    const { send, downstream, socket } = await used();
    const pending = send();
    await takeRequest(socket);
    await downstream.close();
    await assert.rejects(pending, ForegateError);
    await failsWith('shutting-down', send());
  });
});

describe('short requests over TLS', () => {
  const server = { cert: serverCertificate, key: serverKey };

  it('go to a server whose authority is trusted', async () => {
    const backend = await backendOf(server);
    answerAll(backend);
    assert.equal((await clientOf(backend.origin, { tls: { ca: serverCertificate } }).send('secret')).body.toString(), 'secret');
  });

  it('do not go to a stranger, and could be tried elsewhere', async () => {
    const backend = await backendOf(server);
    answerAll(backend);
    await failsWith('downstream-unreachable', clientOf(backend.origin).send());
    await failsWith(
      'downstream-unreachable',
      clientOf(backend.origin, { tls: { ca: serverCertificate, servername: 'another.example' } }).send(),
    );
  });

  it('are not led astray by the Host of a request, nor does it cost the connection', async () => {
    const backend = await backendOf(server);
    answerAll(backend);
    const named = clientOf(backend.origin, { tls: { ca: serverCertificate, servername: 'localhost' } });
    for (const host of ['a.example', 'b.example', 'localhost']) {
      const draft = { method: 'POST', path: '/', headers: ['Host', host, 'Content-Length', '1'], body: Buffer.from('x') };
      assert.equal((await named.downstream.send(draft, { replyBytes: 100, timeoutMs: 1000 })).status, 200);
    }
    assert.equal(backend.connections.length, 1);
    const other = clientOf(backend.origin, { tls: { ca: serverCertificate, servername: 'other.example' } });
    const draft = { method: 'POST', path: '/', headers: ['Host', 'localhost', 'Content-Length', '1'], body: Buffer.from('x') };
    await failsWith('downstream-unreachable', other.downstream.send(draft, { replyBytes: 100, timeoutMs: 1000 }));
  });

  it('go to a stranger where the check is turned off', async () => {
    const backend = await backendOf(server);
    answerAll(backend);
    assert.equal((await clientOf(backend.origin, { tls: { rejectUnauthorized: false } }).send()).status, 200);
  });

  it('show the certificate of the client where one is asked for', async () => {
    const backend = await backendOf({ ...server, ca: clientCertificate, requestCert: true, rejectUnauthorized: true });
    answerAll(backend);
    const trusted = { ca: serverCertificate };
    assert.equal(
      (await clientOf(backend.origin, { tls: { ...trusted, cert: clientCertificate, key: clientKey } }).send()).status,
      200,
    );
    await assert.rejects(clientOf(backend.origin, { tls: trusted }).send(), ForegateError);
  });

  it('are downstream-unreachable where nobody answers the TLS handshake', async () => {
    const backend = await backendOf();
    const { send } = clientOf(backend.origin.replace('http', 'https'), { connectTimeoutMs: 200 });
    await failsWith('downstream-unreachable', send());
  });

  it('end a deadline that passes while the connection is made with the time for connecting', async () => {
    const backend = await backendOf();
    const { send } = clientOf(backend.origin.replace('http', 'https'), { connectTimeoutMs: 500 });
    const start = performance.now();
    await failsWith('downstream-timeout', send('x', { timeoutMs: 100 }));
    assert.ok(performance.now() - start < 2500);
  });
});

/** Plain HTTP from end to end over loopback: raw sockets where bytes count, `node:http` where only the meaning does. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  createServer,
  request as httpRequest,
  Agent,
  type IncomingMessage,
  type RequestListener,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { createServer as createTcpServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { realClock } from '../../gateway/core/clock.ts';
import { errors } from '../../gateway/core/errors.ts';
import type { HeaderList } from '../../gateway/core/headers.ts';
import { silentLog } from '../../gateway/core/log.ts';
import { deny, noHooks } from '../../gateway/core/policy.ts';
import type { Route, Target } from '../../gateway/core/route.ts';
import { createPassThrough, isEventRequest, type PassThroughTerms } from '../../gateway/downstream/pass-through.ts';
import { RawSocket } from '../support/raw-socket.ts';
import { clientCertificate, clientKey, serverCertificate, serverKey } from './certificates.ts';
import { plainProfile, testRoute, testSession, testTarget } from './routes.ts';

const closers: (() => void)[] = [];

afterEach(() => {
  for (const close of closers.splice(0)) close();
});

async function listen(server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return (server.address() as AddressInfo).port; // A TCP server has no other kind of address.
}

/** A backend of bytes: keeps what came on each connection, and answers with what the test wants. */
interface TcpBackend {
  readonly origin: string;
  readonly connections: RawSocket[];
  next(): Promise<RawSocket>;
}

async function startTcpBackend(): Promise<TcpBackend> {
  const connections: RawSocket[] = [];
  const arrived: RawSocket[] = [];
  const waiting: ((socket: RawSocket) => void)[] = [];
  const port = await listen(
    createTcpServer((socket) => {
      const raw = new RawSocket(socket);
      connections.push(raw);
      const first = waiting.shift();
      if (first) first(raw);
      else arrived.push(raw);
    }),
  );
  return {
    origin: `http://127.0.0.1:${port}`,
    connections,
    next: async () => arrived.shift() ?? (await new Promise((resolve) => waiting.push(resolve))),
  };
}

async function startHttpBackend(listener: RequestListener): Promise<string> {
  const server = createServer({ keepAliveTimeout: 60_000 }, listener);
  return `http://127.0.0.1:${await listen(server)}`;
}

/** Ports where nobody listens. */
async function closedOrigin(): Promise<string> {
  const server = createTcpServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // As above.
  server.close();
  await once(server, 'close');
  return `http://127.0.0.1:${port}`;
}

interface FrontTerms {
  readonly route?: Partial<Route>;
  readonly target?: Partial<Target>;
  readonly terms?: Partial<PassThroughTerms>;
  readonly answerHeaders?: HeaderList;
}

/** The smallest front there is: every request is a plain one. */
async function startFront(origins: readonly string[], given: FrontTerms = {}): Promise<number> {
  const passThrough = createPassThrough({ clock: realClock, log: silentLog, ...given.terms });
  const [first = '', ...others] = origins;
  const targetOf = (origin: string): Target => testTarget({ origin, ...given.target });
  const route = testRoute({ targets: [targetOf(first), ...others.map(targetOf)], ...given.route });
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    const session = testSession({
      method: request.method ?? '',
      path: request.url ?? '',
      headers: request.rawHeaders,
      address: '127.0.0.1',
      secure: false,
    });
    passThrough.handle({
      request,
      response,
      route,
      session,
      answerHeaders: given.answerHeaders ?? [],
      refuse: (denial) => {
        response.writeHead(errors[denial.code].status, { 'Content-Type': 'text/plain' });
        response.end(denial.detail);
      },
      tally: undefined,
      takeOver: ({ reply }) => {
        reply.resume();
        response.writeHead(299).end();
      },
    });
  });
  server.on('upgrade', (_request, socket) => socket.destroy());
  return listen(server);
}

interface Answer {
  readonly status: number;
  readonly reason: string;
  readonly headers: IncomingMessage['headers'];
  readonly rawHeaders: readonly string[];
  readonly trailers: IncomingMessage['trailers'];
  readonly body: string;
}

interface Ask {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Record<string, string>;
  readonly body?: Buffer | string;
  readonly agent?: Agent;
}

async function ask(port: number, { method = 'GET', path = '/', headers = {}, body, agent }: Ask = {}): Promise<Answer> {
  const request = httpRequest({ host: '127.0.0.1', port, method, path, headers, ...(agent ? { agent } : { agent: false }) });
  request.end(body);
  const [reply] = (await once(request, 'response')) as [IncomingMessage]; // What the event carries.
  const chunks: Buffer[] = [];
  for await (const chunk of reply as AsyncIterable<Buffer>) chunks.push(chunk); // No encoding is set.
  return {
    status: reply.statusCode ?? 0,
    reason: reply.statusMessage ?? '',
    headers: reply.headers,
    rawHeaders: reply.rawHeaders,
    trailers: reply.trailers,
    body: Buffer.concat(chunks).toString(),
  };
}

const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

describe('pass-through: the request', () => {
  for (const path of [
    '/chat/%2e%2e/admin?x=%2Fy',
    '//double//slash',
    '/../up/./here',
    '/a b'.replace(' ', '%20'),
    '/?',
    '/#x',
    '/a?b?c=//&d',
    '/[x]{y}|"<>\\^`',
    '/%',
    '/a;b=1?q=http://x/../y',
    '//evil.example/x',
    '*',
  ]) {
    it(`has the path as the client sent it: ${path}`, async () => {
      const backend = await startTcpBackend();
      const client = await RawSocket.connect(await startFront([backend.origin]));
      client.send(`${path === '*' ? 'OPTIONS' : 'GET'} ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
      const upstream = await backend.next();
      assert.equal((await upstream.takeUntil('\r\n')).toString(), `${path === '*' ? 'OPTIONS' : 'GET'} ${path} HTTP/1.1\r\n`);
      upstream.send(ok);
      assert.equal((await client.takeHead()).status, 200);
      client.destroy();
    });
  }

  it('has the fields of the plain head and those of its own connection, and no others', async () => {
    const backend = await startTcpBackend();
    const client = await RawSocket.connect(await startFront([backend.origin], { route: { headers: ['X-Route', 'r'] } }));
    client.send(
      'GET /x HTTP/1.1\r\nhOST: Api.Example\r\nX-A: 1\r\nCookie: a=1\r\nX-A: 2\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nTE: trailers\r\n' +
        'Expect: 100-continue\r\nGrip-Sig: forged\r\nUpgrade-Insecure-Requests: 1\r\nX-Forwarded-For: 9.9.9.9\r\nAccept-Encoding: br\r\n\r\n',
    );
    const upstream = await backend.next();
    const head = (await upstream.takeUntil('\r\n\r\n')).toString().trimEnd().split('\r\n');
    const expected = [
      'GET /x HTTP/1.1',
      'Host: api.example',
      'X-A: 1',
      'X-A: 2',
      'Cookie: a=1',
      'Upgrade-Insecure-Requests: 1',
      'Accept-Encoding: br',
      'X-Forwarded-For: 127.0.0.1',
      'X-Forwarded-Proto: http',
      'X-Forwarded-Host: api.example',
      'X-Forwarded-Port: 80',
      'X-Route: r',
      'Connection: keep-alive',
    ];
    assert.deepEqual(head.toSorted(), expected.toSorted());
    upstream.send(ok);
    client.destroy();
  });

  it('carries a signature made for it where the route has a key', async () => {
    const backend = await startTcpBackend();
    const client = await RawSocket.connect(
      await startFront([backend.origin], { route: { grip: { signer: { sign: () => 'signed' } } } }),
    );
    client.send('GET / HTTP/1.1\r\nHost: a\r\nGrip-Sig: forged\r\n\r\n');
    const upstream = await backend.next();
    const head = await upstream.takeHead();
    assert.equal(head.headers.get('grip-sig'), 'signed');
    assert.equal(head.headers.get('accept-encoding'), 'identity');
    upstream.send(ok);
    client.destroy();
  });

  it('keeps the length of a body, and its bytes', async () => {
    const backend = await startTcpBackend();
    const client = await RawSocket.connect(await startFront([backend.origin]));
    client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Type: text/plain\r\n\r\n');
    client.send(Buffer.from('a\0\xff\r\n', 'latin1'));
    const upstream = await backend.next();
    const head = await upstream.takeHead();
    assert.equal(head.headers.get('content-length'), '5');
    assert.equal(head.headers.get('transfer-encoding'), undefined);
    assert.equal((await upstream.take(5)).toString('latin1'), 'a\0\xff\r\n');
    upstream.send(ok);
    client.destroy();
  });

  for (const method of ['POST', 'GET', 'DELETE', 'OPTIONS', 'PATCH']) {
    it(`keeps a body in chunks, with ${method}`, async () => {
      const backend = await startTcpBackend();
      const client = await RawSocket.connect(await startFront([backend.origin]));
      client.send(`${method} / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`);
      const upstream = await backend.next();
      const head = await upstream.takeHead();
      assert.equal(head.headers.get('transfer-encoding'), 'chunked');
      assert.equal(head.headers.get('content-length'), undefined);
      assert.equal((await upstream.takeUntil('0\r\n\r\n')).toString(), '3\r\nabc\r\n0\r\n\r\n');
      upstream.send(ok);
      assert.equal((await client.takeHead()).status, 200);
      client.destroy();
    });
  }

  it('has no body where the client sent none', async () => {
    const backend = await startTcpBackend();
    const port = await startFront([backend.origin]);
    for (const [method, length] of [
      ['GET', undefined],
      ['POST', '0'],
      ['DELETE', '0'],
    ] as const) {
      const client = await RawSocket.connect(port);
      client.send(`${method} / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
      const upstream = await backend.next();
      const head = await upstream.takeHead();
      assert.equal(head.headers.get('content-length'), length, method);
      assert.equal(head.headers.get('transfer-encoding'), undefined, method);
      upstream.send('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
      upstream.socket.end();
      await client.takeEnd();
    }
  });

  it('says 100 Continue here, and nothing of it downstream', async () => {
    const backend = await startTcpBackend();
    const client = await RawSocket.connect(await startFront([backend.origin]));
    client.send('POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n');
    assert.equal((await client.takeHead()).status, 100);
    client.send('hi');
    const upstream = await backend.next();
    assert.equal((await upstream.takeHead()).headers.get('expect'), undefined);
    assert.equal((await upstream.take(2)).toString(), 'hi');
    upstream.send(ok);
    assert.equal((await client.takeHead()).status, 200);
    client.destroy();
  });

  it('may come by HTTP/1.0 without a host', async () => {
    const backend = await startTcpBackend();
    const client = await RawSocket.connect(await startFront([backend.origin]));
    client.send('GET / HTTP/1.0\r\n\r\n');
    const upstream = await backend.next();
    const head = await upstream.takeHead();
    assert.equal(head.headers.get('host'), backend.origin.slice('http://'.length));
    upstream.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n');
    await client.takeEnd();
    const text = client.received.toString();
    assert.match(text, /^HTTP\/1\.1 200 OK\r\n/);
    assert.doesNotMatch(text, /chunked/);
    assert.match(text, /\r\n\r\nok$/);
  });

  for (const type of [
    'application/websocket-events',
    'Application/WebSocket-Events; charset=utf-8',
    'text/plain, application/websocket-events',
  ]) {
    it(`is refused when it pretends to be one of a gateway: ${type}`, async () => {
      const backend = await startTcpBackend();
      const answer = await ask(await startFront([backend.origin]), {
        method: 'POST',
        headers: { 'content-type': type },
        body: 'OPEN\r\n',
      });
      assert.equal(answer.status, 403);
      assert.equal(answer.body, 'Client not allowed to send WebSocket events directly.\n');
      assert.equal(backend.connections.length, 0);
    });
  }

  it('is known for one of a gateway by any spelling of the field', () => {
    assert.equal(isEventRequest(['Content_Type', 'application/websocket-events']), true);
    assert.equal(isEventRequest(['X', '1', 'CONTENT-TYPE', 'x']), false);
  });
});

describe('pass-through: the reply', () => {
  it('comes back with status, reason, fields and bytes, without those of the hop and of GRIP', async () => {
    const backend = await startTcpBackend();
    const client = await RawSocket.connect(await startFront([backend.origin], { answerHeaders: ['RateLimit', 'a'] }));
    client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    const upstream = await backend.next();
    await upstream.takeHead();
    upstream.send(
      'HTTP/1.1 418 Short and stout\r\nContent-Length: 3\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nGrip-Hold: stream\r\nGrip-Channel: x\r\nKeep-Alive: timeout=9\r\nX-Hop: 1\r\nConnection: X-Hop\r\n\r\n\0\xff!',
    );
    const head = (await client.takeUntil('\r\n\r\n')).toString().trimEnd().split('\r\n');
    assert.deepEqual(head, [
      'HTTP/1.1 418 Short and stout',
      'Content-Length: 3',
      'Set-Cookie: a=1',
      'set-cookie: b=2',
      'RateLimit: a',
      'Connection: keep-alive',
      'Keep-Alive: timeout=5',
    ]);
    client.destroy();
  });

  it('comes through while it is made, with its trailers', async () => {
    const backend = await startTcpBackend();
    const client = await RawSocket.connect(await startFront([backend.origin]));
    client.send('GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n\r\n');
    const upstream = await backend.next();
    await upstream.takeHead();
    upstream.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n');
    await client.takeUntil('first');
    upstream.send('4\r\nlast\r\n0\r\nX-Sum: 9\r\n\r\n');
    assert.match((await client.takeUntil('\r\n\r\n')).toString(), /last\r\n0\r\nX-Sum: 9\r\n\r\n$/);
    client.destroy();
  });

  it('ends with the connection where the backend said no length', async () => {
    const backend = await startTcpBackend();
    const port = await startFront([backend.origin]);
    const answered = ask(port);
    const upstream = await backend.next();
    await upstream.takeHead();
    upstream.send('HTTP/1.1 200 OK\r\n\r\nall of it');
    upstream.socket.end();
    assert.equal((await answered).body, 'all of it');
  });

  for (const [method, status] of [
    ['HEAD', 200],
    ['GET', 204],
    ['GET', 304],
  ] as const) {
    it(`has no body: ${method} ${status}`, async () => {
      const backend = await startTcpBackend();
      const client = await RawSocket.connect(await startFront([backend.origin]));
      client.send(`${method} / HTTP/1.1\r\nHost: a\r\n\r\n`);
      const upstream = await backend.next();
      await upstream.takeHead();
      upstream.send(`HTTP/1.1 ${status} Yes\r\n${status === 204 ? '' : 'Content-Length: 7\r\n'}ETag: "1"\r\n\r\n`);
      const head = await client.takeHead();
      assert.equal(head.status, status);
      assert.equal(head.headers.get('etag'), '"1"');
      assert.equal(head.headers.get('content-length'), status === 204 ? undefined : '7');
      client.send('GET /next HTTP/1.1\r\nHost: a\r\n\r\n');
      assert.match((await upstream.takeUntil('\r\n\r\n')).toString(), /^GET \/next/);
      upstream.send(ok);
      assert.equal((await client.takeHead()).status, 200);
      client.destroy();
    });
  }

  it('may be announced by early hints', async () => {
    const backend = await startTcpBackend();
    const client = await RawSocket.connect(await startFront([backend.origin]));
    client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    const upstream = await backend.next();
    await upstream.takeHead();
    upstream.send('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n');
    const hint = await client.takeHead();
    assert.equal(hint.status, 103);
    assert.equal(hint.headers.get('link'), '</a.css>; rel=preload');
    upstream.send(`HTTP/1.1 103 Early Hints\r\nLink: nonsense\r\n\r\n${ok}`);
    assert.equal((await client.takeHead()).status, 200);
    client.destroy();
  });

  it('is not followed when it is a redirect', async () => {
    const origin = await startHttpBackend((_request, response) =>
      response.writeHead(302, { Location: 'http://127.0.0.1:1/x' }).end(),
    );
    const answer = await ask(await startFront([origin]));
    assert.equal(answer.status, 302);
    assert.equal(answer.headers.location, 'http://127.0.0.1:1/x');
    assert.equal(answer.headers.date !== undefined, true);
  });

  it('may come before all of the request was sent', async () => {
    const origin = await startHttpBackend((_request, response) =>
      response.writeHead(413, { Connection: 'close' }).end('too large'),
    );
    const port = await startFront([origin]);
    const client = await RawSocket.connect(port);
    client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nbeginning');
    assert.equal((await client.takeHead()).status, 413);
    await client.takeUntil('too large');
    client.destroy();
  });
});

describe('pass-through: large bodies', () => {
  it('go both ways whole, with a backend that reads slowly', async () => {
    const size = 20_000_000;
    const origin = await startHttpBackend((request, response) => {
      let received = 0;
      request.on('data', (chunk: Buffer) => {
        received += chunk.length;
        request.pause();
        setImmediate(() => request.resume());
      });
      request.on('end', () => response.end(String(received)));
    });
    const answer = await ask(await startFront([origin]), { method: 'POST', body: Buffer.alloc(size, 1) });
    assert.equal(answer.body, String(size));
  });

  it('wait for a client that does not read', async () => {
    let written = 0;
    const origin = await startHttpBackend((_request, response) => {
      const more = (): void => {
        while (written < 200_000_000) {
          written += 65_536;
          if (!response.write(Buffer.alloc(65_536))) return;
        }
        response.end();
      };
      response.on('drain', more);
      more();
    });
    const client = await RawSocket.connect(await startFront([origin]));
    client.socket.pause();
    client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.ok(written < 50_000_000, `${written} bytes were taken from the backend`);
    client.destroy();
  });
});

describe('pass-through: ends that come too early', () => {
  it('the client leaves while it waits: the request downstream is broken off', async () => {
    const backend = await startTcpBackend();
    const client = await RawSocket.connect(await startFront([backend.origin]));
    client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    const upstream = await backend.next();
    await upstream.takeHead();
    client.destroy();
    await upstream.takeEnd();
  });

  it('the client leaves in the middle of its upload: the backend sees no end of the body', async () => {
    const backend = await startTcpBackend();
    const client = await RawSocket.connect(await startFront([backend.origin]));
    client.send('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n');
    const upstream = await backend.next();
    await upstream.takeUntil('abc');
    client.destroy();
    await upstream.takeEnd();
    assert.doesNotMatch(upstream.received.toString(), /0\r\n\r\n/);
  });

  it('the client leaves in the middle of the reply: the backend is told', async () => {
    const backend = await startTcpBackend();
    const client = await RawSocket.connect(await startFront([backend.origin]));
    client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    const upstream = await backend.next();
    await upstream.takeHead();
    upstream.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n');
    await client.takeUntil('first');
    client.destroy();
    await upstream.takeEnd();
  });

  for (const [what, head, body] of [
    ['with a length', 'Content-Length: 100', 'part'],
    ['in chunks', 'Transfer-Encoding: chunked', '4\r\npart\r\n'],
  ] as const) {
    it(`the backend breaks off a reply ${what}: the client sees that it is not whole`, async () => {
      const backend = await startTcpBackend();
      const answered = ask(await startFront([backend.origin]));
      const upstream = await backend.next();
      await upstream.takeHead();
      upstream.send(`HTTP/1.1 200 OK\r\n${head}\r\n\r\n${body}`);
      upstream.socket.end();
      await assert.rejects(answered, { code: 'ECONNRESET' });
    });
  }

  it('the backend breaks off a reply that HTTP/1.0 ends with the connection: the client sees a reset', async () => {
    const backend = await startTcpBackend();
    const client = await RawSocket.connect(await startFront([backend.origin]));
    const failed = once(client.socket, 'error');
    client.send('GET / HTTP/1.0\r\n\r\n');
    const upstream = await backend.next();
    await upstream.takeHead();
    upstream.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n');
    await client.takeUntil('part');
    upstream.socket.end();
    const [error] = (await failed) as [NodeJS.ErrnoException]; // What the event carries.
    assert.equal(error.code, 'ECONNRESET');
  });

  it('the backend closes without an answer: 502', async () => {
    const backend = await startTcpBackend();
    const answered = ask(await startFront([backend.origin]), { method: 'POST', body: 'x' });
    const upstream = await backend.next();
    await upstream.takeHead();
    upstream.socket.end();
    const answer = await answered;
    assert.equal(answer.status, 502);
    assert.equal(answer.body, 'Error while proxying to origin.\n');
    assert.equal(answer.headers['content-type'], 'text/plain');
    assert.equal(backend.connections.length, 1);
  });

  for (const nonsense of [
    'SSH-2.0-x\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
    'HTTP/1.1 099 X\r\n\r\n',
    'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n',
  ]) {
    it(`the backend speaks nonsense: 502 (${JSON.stringify(nonsense.slice(0, 24))})`, async () => {
      const backend = await startTcpBackend();
      const answered = ask(await startFront([backend.origin]));
      const upstream = await backend.next();
      await upstream.takeHead();
      upstream.send(nonsense);
      assert.equal((await answered).status, 502);
    });
  }
});

describe('pass-through: deadlines', () => {
  it('a backend that does not answer: 504, and its connection is closed', async () => {
    const backend = await startTcpBackend();
    const answered = ask(await startFront([backend.origin], { target: { timeoutMs: 100 } }));
    const upstream = await backend.next();
    assert.equal((await answered).status, 504);
    await upstream.takeEnd();
  });

  it('an upload that moves is not late; its deadline starts when it has ended', async () => {
    const backend = await startTcpBackend();
    const client = await RawSocket.connect(await startFront([backend.origin], { target: { timeoutMs: 150 } }));
    client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n');
    for (let i = 0; i < 6; i += 1) {
      await new Promise((resolve) => setTimeout(resolve, 60));
      client.send('x');
    }
    const upstream = await backend.next();
    await upstream.takeUntil('xxxxxx');
    await new Promise((resolve) => setTimeout(resolve, 90));
    upstream.send(ok);
    assert.equal((await client.takeHead()).status, 200);
    client.destroy();
  });

  it('an upload that stands still is late', async () => {
    const backend = await startTcpBackend();
    const client = await RawSocket.connect(await startFront([backend.origin], { target: { timeoutMs: 80 } }));
    client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nx');
    assert.equal((await client.takeHead()).status, 504);
    client.destroy();
  });

  it('a reply that has begun may be quiet for the idle time of the route, and no longer', async () => {
    const backend = await startTcpBackend();
    const port = await startFront([backend.origin], { target: { timeoutMs: 60 }, route: { idleMs: 200 } });
    const started = Date.now();
    const answered = ask(port);
    const upstream = await backend.next();
    await upstream.takeHead();
    upstream.send('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc');
    await assert.rejects(answered, { code: 'ECONNRESET' });
    assert.ok(Date.now() - started >= 200);
    await upstream.takeEnd();
  });
});

describe('pass-through: connections and targets', () => {
  it('uses a connection again, and drops it when it was idle', async () => {
    const backend = await startTcpBackend();
    const port = await startFront([backend.origin], { terms: { idleMs: 100 } });
    const agent = new Agent({ keepAlive: true });
    const first = ask(port, { agent });
    const upstream = await backend.next();
    for (const answered of [first, ask(port, { agent })]) {
      await upstream.takeHead();
      upstream.send(ok);
      assert.equal((await answered).body, 'ok');
    }
    assert.equal(backend.connections.length, 1);
    await upstream.takeEnd();
    agent.destroy();
  });

  it('takes the next target when one cannot be reached, body and all, with the host of that target', async () => {
    const seen: string[] = [];
    const origin = await startHttpBackend((request, response) => {
      seen.push(request.headers.host ?? '');
      request.pipe(response);
    });
    const port = await startFront([await closedOrigin(), await closedOrigin(), origin]);
    const client = await RawSocket.connect(port);
    client.send('POST / HTTP/1.0\r\nContent-Length: 8\r\n\r\nthe body');
    await client.takeEnd();
    assert.match(client.received.toString(), /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\nthe body$/);
    assert.deepEqual(seen, [origin.slice('http://'.length)]);
  });

  it('answers 502 when no target can be reached', async () => {
    const answer = await ask(await startFront([await closedOrigin(), await closedOrigin()]));
    assert.equal(answer.status, 502);
    assert.equal(answer.body, 'Error while proxying to origin.\n');
  });

  it('names the targets in debug mode', async () => {
    const origin = await closedOrigin();
    const answer = await ask(await startFront([origin], { route: { debug: true } }));
    assert.equal(answer.body, `Unable to connect to any targets. Tried: ${origin.slice('http://'.length)}\n`);
  });

  it('sends a request again whose kept connection turned out to be closed, if that can do no harm', async () => {
    const backend = await startTcpBackend();
    const port = await startFront([backend.origin]);
    for (const [method, connections, status] of [
      ['GET', 2, 200],
      ['POST', 3, 502],
    ] as const) {
      const before = ask(port);
      const upstream = backend.connections.at(-1) ?? (await backend.next());
      await upstream.takeHead();
      upstream.send(ok);
      await before;
      const answered = ask(port, { method });
      await upstream.takeHead();
      upstream.destroy();
      if (status === 200) {
        const again = await backend.next();
        await again.takeHead();
        again.send(ok);
      }
      assert.equal((await answered).status, status);
      assert.ok(backend.connections.length <= connections);
    }
  });

  it('lets no more requests run at once than it may, and keeps the order of the others', async () => {
    const order: string[] = [];
    const waiting: ServerResponse[] = [];
    let running = 0;
    let most = 0;
    const origin = await startHttpBackend((request, response) => {
      order.push(request.url ?? '');
      running += 1;
      most = Math.max(most, running);
      waiting.push(response);
      setTimeout(() => {
        running -= 1;
        waiting.shift()?.end();
      }, 20);
    });
    const port = await startFront([origin], { terms: { connections: 2 } });
    const clients = await Promise.all(Array.from({ length: 6 }, () => RawSocket.connect(port)));
    for (const [i, client] of clients.entries()) client.send(`GET /${i} HTTP/1.1\r\nHost: a\r\n\r\n`);
    clients[4]?.destroy();
    for (const [i, client] of clients.entries()) if (i !== 4) assert.equal((await client.takeHead()).status, 200);
    assert.equal(most, 2);
    assert.ok(order.length >= 5);
    for (const client of clients) client.destroy();
  });

  it('gives up a connection that does not come about', async () => {
    const silent = await startTcpBackend();
    const origin = await startHttpBackend((_request, response) => response.end('second'));
    const port = await startFront([silent.origin.replace('http:', 'https:'), origin], { terms: { connectMs: 100 } });
    assert.equal((await ask(port, { method: 'POST', body: 'x' })).body, 'second');
    await (await silent.next()).takeEnd();
  });
});

describe('pass-through: TLS to the target', () => {
  const listener: RequestListener = (request, response) => {
    const { socket } = request;
    assert.ok(socket instanceof TLSSocket);
    const { subject } = socket.getPeerCertificate();
    response.end(`${request.headers.host} ${String(socket.servername)} ${JSON.stringify(subject?.CN)}`);
  };

  async function startTlsBackend(): Promise<string> {
    const server = createTlsServer(
      { cert: serverCertificate, key: serverKey, ca: clientCertificate, requestCert: true, rejectUnauthorized: false },
      listener,
    );
    return `https://127.0.0.1:${await listen(server)}`;
  }

  it('checks the certificate', async () => {
    assert.equal((await ask(await startFront([await startTlsBackend()]))).status, 502);
  });

  it('shows one, and asks for the name it was told', async () => {
    const tls = { ca: serverCertificate, cert: clientCertificate, key: clientKey, servername: 'localhost' };
    const port = await startFront([await startTlsBackend()], { target: { tls } });
    assert.equal((await ask(port, { headers: { host: 'api.example' } })).body, 'api.example localhost "client"');
  });

  it('asks for no name of the client when it was told none', async () => {
    const port = await startFront([await startTlsBackend()], { target: { tls: { rejectUnauthorized: false } } });
    assert.equal((await ask(port, { headers: { host: 'api.example' } })).body, 'api.example false undefined');
  });
});

describe('pass-through: policies and profiles', () => {
  it('may change path and fields on the way out', async () => {
    const backend = await startTcpBackend();
    const route: Partial<Route> = {
      hooks: {
        ...noHooks,
        request: [
          (_session, draft) => {
            draft.path = '/changed%2F?a';
            draft.headers.push('X-Policy', '1', 'Content-Length', '99', 'Transfer-Encoding', 'chunked', 'Connection', 'X-Policy');
            return undefined;
          },
        ],
      },
    };
    const client = await RawSocket.connect(await startFront([backend.origin], { route }));
    client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    const upstream = await backend.next();
    const head = (await upstream.takeUntil('\r\n\r\n')).toString();
    assert.match(head, /^GET \/changed%2F\?a HTTP\/1\.1\r\n/);
    assert.match(head, /\r\nX-Policy: 1\r\n/);
    assert.doesNotMatch(head, /Content-Length|Transfer-Encoding|Connection: X-Policy/);
    upstream.send(ok);
    client.destroy();
  });

  for (const [what, change] of [
    ['path', { path: '/x HTTP/1.1\r\nX: y\r\n\r\nGET /z' }],
    ['relative path', { path: 'x' }],
    ['value', { value: 'a\r\nX-Evil: 1' }],
  ] as const) {
    it(`may not make two requests of one: ${what}`, async () => {
      const backend = await startTcpBackend();
      const hook: (typeof noHooks.request)[number] = (_session, draft) => {
        if ('path' in change) draft.path = change.path;
        else draft.headers.push('X-Policy', change.value);
        return undefined;
      };
      const answer = await ask(await startFront([backend.origin], { route: { hooks: { ...noHooks, request: [hook] } } }));
      assert.equal(answer.status, 500);
      for (const upstream of backend.connections) assert.equal(upstream.received.length, 0);
    });
  }

  it('may refuse before anything was sent, also later', async () => {
    const backend = await startTcpBackend();
    for (const verdict of [deny('rate-limited', 'Slower.'), Promise.resolve(deny('rate-limited', 'Slower.'))]) {
      const answer = await ask(
        await startFront([backend.origin], { route: { hooks: { ...noHooks, request: [() => verdict] } } }),
      );
      assert.equal(answer.status, 429);
      assert.equal(answer.body, 'Slower.');
    }
    assert.equal(backend.connections.length, 0);
  });

  it('may wait, and then go on', async () => {
    const origin = await startHttpBackend((_request, response) => response.end('ok'));
    const started = Date.now();
    const answer = await ask(
      await startFront([origin], { route: { hooks: { ...noHooks, request: [() => ({ kind: 'delay', ms: 60 })] } } }),
    );
    assert.equal(answer.body, 'ok');
    assert.ok(Date.now() - started >= 55);
  });

  it('see the head of a reply, and may refuse it', async () => {
    const origin = await startHttpBackend((_request, response) => response.writeHead(200, { 'X-Secret': '1' }).end('secret'));
    const seen: unknown[] = [];
    const port = await startFront([origin], {
      route: {
        hooks: {
          ...noHooks,
          response: [
            async (_session, { reply, steps }) => {
              seen.push(reply.status, reply.body.length, steps.length, reply.headers.includes('X-Secret'));
              return deny('forbidden', 'Not this.');
            },
          ],
        },
      },
    });
    const answer = await ask(port);
    assert.equal(answer.status, 403);
    assert.equal(answer.body, 'Not this.');
    assert.equal(answer.headers['x-secret'], undefined);
    assert.deepEqual(seen, [200, 0, 0, true]);
  });

  it('may refuse a reply that has no end: the client keeps its answer, the backend its connection no more', async () => {
    const origin = await startTcpBackend();
    const port = await startFront([origin.origin], {
      route: { hooks: { ...noHooks, response: [() => deny('forbidden', 'Not this.')] } },
    });
    const answered = ask(port);
    const upstream = await origin.next();
    await upstream.takeHead();
    upstream.send(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n`);
    assert.equal((await answered).body, 'Not this.');
    await upstream.takeEnd();
  });

  it('let a reply wait for their word', async () => {
    const origin = await startHttpBackend((_request, response) => response.end('x'.repeat(300_000)));
    const later = async (): Promise<undefined> => {
      await new Promise((resolve) => setTimeout(resolve, 30));
      return undefined;
    };
    const answer = await ask(await startFront([origin], { route: { hooks: { ...noHooks, response: [later] } } }));
    assert.equal(answer.body.length, 300_000);
  });

  it('profiles move credentials, also later', async () => {
    const origin = await startHttpBackend((request, response) =>
      response.end(`${request.url} ${String(request.headers['apikey'])}`),
    );
    const profile: typeof plainProfile = {
      ...plainProfile,
      prepare: async (head) => {
        head.path = '/moved';
        head.headers.push('apikey', 'k1');
      },
    };
    assert.equal((await ask(await startFront([origin], { target: { profile } }))).body, '/moved k1');
  });

  it('a profile that throws is an error of ours', async () => {
    const backend = await startTcpBackend();
    const profile: typeof plainProfile = {
      ...plainProfile,
      prepare: () => {
        throw new Error('broken');
      },
    };
    assert.equal((await ask(await startFront([backend.origin], { target: { profile } }))).status, 500);
  });
});

/** The relay's leg to a backend: against `ws` where meaning counts, against bytes where a backend misbehaves. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { WebSocketServer, type WebSocket } from 'ws';
import type { HeaderList } from '../../gateway/core/headers.ts';
import { ForegateError } from '../../gateway/core/errors.ts';
import { connectBackend, messageBytes, type BackendTerms, type OpenBackend } from '../../gateway/downstream/websocket-client.ts';
import { RawSocket } from '../support/raw-socket.ts';
import { serverCertificate, serverKey } from './certificates.ts';
import { lines } from './routes.ts';

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

/** A backend that is given each connection's head, as text, and answers in bytes. */
async function rawBackend(answer: (head: string, socket: RawSocket) => void): Promise<string> {
  const port = await listen(
    createServer((socket) => {
      const raw = new RawSocket(socket);
      void raw.takeUntil('\r\n\r\n').then(
        (head) => answer(head.toString('latin1'), raw),
        () => undefined,
      );
    }),
  );
  return `http://127.0.0.1:${port}`;
}

function accepting(head: string, ...fields: string[]): string {
  const key = /\r\nSec-WebSocket-Key: (\S+)/i.exec(head)?.[1] ?? '';
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  return [
    'HTTP/1.1 101 Switching Protocols',
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Accept: ${accept}`,
    ...fields,
    '',
    '',
  ].join('\r\n');
}

async function wsBackend(onSocket: (socket: WebSocket) => void): Promise<string> {
  const server = new WebSocketServer({ noServer: true, autoPong: false });
  const http = createHttpServer();
  http.on('upgrade', (request, socket, head) => server.handleUpgrade(request, socket, head, onSocket));
  return `http://127.0.0.1:${await listen(http)}`;
}

function termsFor(origin: string, headers: HeaderList = ['Host', 'api.example'], path = '/'): BackendTerms {
  return {
    target: { origin, publicOnly: false, tls: {} },
    head: { path, headers: [...headers] },
    maxPayload: 1000,
    timeoutMs: 2000,
  };
}

async function open(terms: BackendTerms): Promise<OpenBackend> {
  const opened = await connectBackend(terms);
  if (opened.kind !== 'open') throw new Error(`Refused with ${opened.reply.status}.`);
  closers.push(() => opened.socket.terminate());
  return opened;
}

/** The code that a backend saw at the end of a connection. */
class Closing {
  resolve: (code: number) => void = () => undefined;
  readonly code = new Promise<number>((resolve) => (this.resolve = resolve));
}

function failsWith(code: string): (error: unknown) => boolean {
  return (error) => error instanceof ForegateError && error.code === code;
}

describe('the handshake with a WebSocket backend', () => {
  it('is the head it was given, with a key of its own', async () => {
    let head = '';
    const origin = await rawBackend((text, socket) => {
      head = text;
      socket.send(accepting(text));
    });
    const headers = [
      'Host',
      'api.example:81',
      'Origin',
      'https://app.example',
      'Cookie',
      'a=1',
      'X-A',
      '1',
      'X-A',
      '2',
      'Sec-WebSocket-Key',
      'theirs',
      'Sec-WebSocket-Version',
      '13',
      'Sec-WebSocket-Extensions',
      'grip',
      'Connection',
      'X-A',
      'Grip-Sig',
      's',
    ];
    await open(termsFor(origin, headers, '/chat/%2e%2e/x?y=%2Fz&a%20b'));
    const [first, ...rest] = head.trimEnd().split('\r\n');
    assert.equal(first, 'GET /chat/%2e%2e/x?y=%2Fz&a%20b HTTP/1.1');
    const key = rest.find((line) => line.startsWith('Sec-WebSocket-Key: ')) ?? '';
    assert.notEqual(key, 'Sec-WebSocket-Key: theirs');
    assert.deepEqual(
      rest.filter((line) => line !== key).toSorted(),
      [
        'Host: api.example:81',
        'Origin: https://app.example',
        'Cookie: a=1',
        'X-A: 1',
        'X-A: 2',
        'Sec-WebSocket-Version: 13',
        'Sec-WebSocket-Extensions: grip',
        'Grip-Sig: s',
        'Connection: Upgrade',
        'Upgrade: websocket',
      ].toSorted(),
    );
  });

  it('tells the raw answer to GRIP, and hides nothing of it', async () => {
    const origin = await rawBackend((head, socket) =>
      socket.send(accepting(head, 'Sec-WebSocket-Extensions: grip; message-prefix=""', 'Set-Cookie: a=1')),
    );
    const { headers } = await open(termsFor(origin, ['Sec-WebSocket-Extensions', 'grip']));
    assert.ok(lines(headers).includes('Sec-WebSocket-Extensions: grip; message-prefix=""'));
    assert.ok(lines(headers).includes('Set-Cookie: a=1'));
  });

  it('tells the subprotocol that the backend chose, or that it chose none', async () => {
    const choosing = await rawBackend((head, socket) => socket.send(accepting(head, 'Sec-WebSocket-Protocol: v2')));
    assert.equal((await open(termsFor(choosing, ['Sec-WebSocket-Protocol', 'v1, v2']))).subprotocol, 'v2');
    const silent = await rawBackend((head, socket) => socket.send(accepting(head)));
    assert.equal((await open(termsFor(silent, ['Sec-WebSocket-Protocol', 'v1']))).subprotocol, undefined);
  });

  for (const [what, field, offered] of [
    ['compression', 'Sec-WebSocket-Extensions: permessage-deflate', ['Sec-WebSocket-Extensions', 'grip']],
    ['GRIP', 'Sec-WebSocket-Extensions: grip', []],
    ['a subprotocol', 'Sec-WebSocket-Protocol: v3', ['Sec-WebSocket-Protocol', 'v1, v2']],
    ['a subprotocol of none', 'Sec-WebSocket-Protocol: v1', []],
    ['two subprotocols', 'Sec-WebSocket-Protocol: v1\r\nSec-WebSocket-Protocol: v1', ['Sec-WebSocket-Protocol', 'v1']],
  ] as const) {
    it(`fails when ${what} is answered that was not offered`, async () => {
      const origin = await rawBackend((head, socket) => socket.send(accepting(head, field)));
      await assert.rejects(connectBackend(termsFor(origin, offered)), failsWith('bad-reply'));
    });
  }

  it('fails when the answer has the wrong key', async () => {
    const origin = await rawBackend((_head, socket) => socket.send(accepting('\r\nSec-WebSocket-Key: other')));
    await assert.rejects(connectBackend(termsFor(origin)), failsWith('bad-reply'));
  });

  it('relays a refusal with its fields and its body', async () => {
    const origin = await rawBackend((_head, socket) =>
      socket.send('HTTP/1.1 403 Not You\r\nContent-Length: 5\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\n\r\nsorry'),
    );
    const refused = await connectBackend(termsFor(origin));
    assert.ok(refused.kind === 'refused');
    assert.equal(refused.reply.status, 403);
    assert.equal(refused.reply.reason, 'Not You');
    assert.deepEqual(refused.reply.headers.slice(2), ['Set-Cookie', 'a=1', 'set-cookie', 'b=2']);
    assert.equal(refused.reply.body.toString(), 'sorry');
  });

  it('relays a redirect and does not follow it', async () => {
    const origin = await rawBackend((_head, socket) =>
      socket.send('HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n'),
    );
    const refused = await connectBackend(termsFor(origin));
    assert.ok(refused.kind === 'refused');
    assert.equal(refused.reply.status, 302);
  });

  it('fails for a refusal that is too long', async () => {
    const origin = await rawBackend((_head, socket) =>
      socket.send(`HTTP/1.1 403 No\r\nContent-Length: 20\r\n\r\n${'x'.repeat(20)}`),
    );
    await assert.rejects(connectBackend({ ...termsFor(origin), refusalBytes: 10 }), failsWith('reply-too-large'));
  });

  it('fails for a refusal that breaks off', async () => {
    const origin = await rawBackend((_head, socket) => {
      socket.send('HTTP/1.1 403 No\r\nContent-Length: 20\r\n\r\nx');
      socket.socket.end();
    });
    await assert.rejects(connectBackend(termsFor(origin)), failsWith('downstream-lost'));
  });

  it('fails when nobody listens', async () => {
    const server = createServer();
    const port = await listen(server);
    server.close();
    await once(server, 'close');
    await assert.rejects(connectBackend(termsFor(`http://127.0.0.1:${port}`)), failsWith('downstream-unreachable'));
  });

  it('fails when the connection closes without an answer', async () => {
    const origin = await rawBackend((_head, socket) => socket.socket.end());
    await assert.rejects(connectBackend(termsFor(origin)), failsWith('downstream-lost'));
  });

  it('fails when the answer is not HTTP', async () => {
    const origin = await rawBackend((_head, socket) => socket.send('SSH-2.0-x\r\n'));
    await assert.rejects(connectBackend(termsFor(origin)), failsWith('bad-reply'));
  });

  it('fails when there is no answer in time, and closes the connection', async () => {
    const sockets: RawSocket[] = [];
    const origin = await rawBackend((_head, socket) => sockets.push(socket));
    await assert.rejects(connectBackend({ ...termsFor(origin), timeoutMs: 50 }), failsWith('downstream-timeout'));
    await sockets[0]?.takeEnd();
  });

  it('fails in time when a refusal trickles', async () => {
    const origin = await rawBackend((_head, socket) => {
      socket.send('HTTP/1.1 403 No\r\nContent-Length: 2000\r\n\r\n');
      const timer = setInterval(() => socket.send('x'), 10);
      socket.socket.once('close', () => clearInterval(timer));
    });
    await assert.rejects(connectBackend({ ...termsFor(origin), timeoutMs: 80 }), failsWith('downstream-timeout'));
  });

  for (const [what, headers, path] of [
    ['a field', ['X-A', 'a\r\nX-B: c'], '/'],
    ['a path', [], '/ HTTP/1.1\r\nX: y'],
    ['no path', [], 'x'],
  ] as const) {
    it(`sends nothing for ${what} that would break the head`, async () => {
      let reached = false;
      const origin = await rawBackend(() => (reached = true));
      await assert.rejects(connectBackend(termsFor(origin, headers, path)), failsWith('internal'));
      assert.equal(reached, false);
    });
  }

  it('checks the certificate of a target by TLS', async () => {
    const server = createTlsServer({ cert: serverCertificate, key: serverKey });
    const sockets = new WebSocketServer({ noServer: true });
    server.on('upgrade', (request, socket, head) => sockets.handleUpgrade(request, socket, head, () => undefined));
    const origin = `https://127.0.0.1:${await listen(server)}`;
    await assert.rejects(connectBackend(termsFor(origin)), failsWith('downstream-unreachable'));
    await open({
      ...termsFor(origin),
      target: { origin, publicOnly: false, tls: { ca: serverCertificate, servername: 'localhost' } },
    });
  });
});

describe('a WebSocket to a backend', () => {
  it('loses nothing that came with the handshake', async () => {
    const origin = await rawBackend((head, socket) =>
      socket.send(Buffer.concat([Buffer.from(accepting(head)), Buffer.from('\x81\x02hi\x81\x03you', 'latin1')])),
    );
    const { socket } = await open(termsFor(origin));
    await new Promise((resolve) => setTimeout(resolve, 20));
    const messages: string[] = [];
    socket.on('message', (data) => messages.push(messageBytes(data).toString()));
    socket.resume();
    await once(socket, 'message');
    if (messages.length < 2) await once(socket, 'message');
    assert.deepEqual(messages, ['hi', 'you']);
  });

  it('answers no ping by itself', async () => {
    let pongs = 0;
    const origin = await wsBackend((backend) => {
      backend.on('pong', () => (pongs += 1));
      backend.on('message', () => backend.send('echo'));
      backend.ping('x');
    });
    const { socket } = await open(termsFor(origin));
    socket.resume();
    const [data] = (await once(socket, 'ping')) as [Buffer]; // What the event carries.
    assert.equal(data.toString(), 'x');
    socket.send('after the ping');
    await once(socket, 'message');
    assert.equal(pongs, 0);
  });

  it('reports a close frame, and answers it only when told', async () => {
    let answered: unknown[] | undefined;
    const origin = await wsBackend((backend) => {
      backend.on('close', (code, reason) => (answered = [code, reason.toString()]));
      backend.close(4001, 'enough');
    });
    const { socket } = await open(termsFor(origin));
    const frame = new Promise((resolve) => (socket.onCloseFrame = (code, reason) => resolve([code, reason])));
    socket.resume();
    assert.deepEqual(await frame, [4001, 'enough']);
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(answered, undefined);
    socket.closeWith(4002, 'yes');
    await once(socket, 'close');
    await new Promise((resolve) => setTimeout(resolve, 10));
    assert.deepEqual(answered, [4002, 'yes']);
  });

  it('knows a close frame without a code from one with 1000', async () => {
    for (const [sent, code] of [
      [undefined, undefined],
      [1000, 1000],
    ] as const) {
      const origin = await wsBackend((backend) => backend.close(sent));
      const { socket } = await open(termsFor(origin));
      const frame = new Promise((resolve) => (socket.onCloseFrame = (got, reason) => resolve([got, reason])));
      socket.resume();
      assert.deepEqual(await frame, [code, '']);
    }
  });

  it('closes itself, with and without a code', async () => {
    for (const [code, seen] of [
      [4003, 4003],
      [undefined, 1005],
    ] as const) {
      const closed = new Closing();
      const origin = await wsBackend((backend) => backend.on('close', (got) => closed.resolve(got)));
      const { socket } = await open(termsFor(origin));
      socket.onCloseFrame = () => assert.fail('The answer to our own close is none of the backend’s.');
      socket.resume();
      socket.closeWith(code, '');
      assert.equal(await closed.code, seen);
    }
  });

  it('ends with 1009 for a message that is too large', async () => {
    const closed = new Closing();
    const origin = await wsBackend((backend) => {
      backend.on('close', (code) => closed.resolve(code));
      backend.send('x'.repeat(1001));
    });
    const { socket } = await open(termsFor(origin));
    socket.onCloseFrame = () => assert.fail('The backend closed nothing.');
    const failed = once(socket, 'error');
    socket.resume();
    await failed;
    assert.equal(await closed.code, 1009);
  });

  it('tells that the connection was lost', async () => {
    const origin = await wsBackend((backend) => backend.terminate());
    const { socket } = await open(termsFor(origin));
    socket.resume();
    const [code] = (await once(socket, 'close')) as [number]; // What the event carries.
    assert.equal(code, 1006);
  });
});

/** Where clients arrive: certificates by the name they ask for, from files that change, and Unix sockets. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, statSync } from 'node:fs';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { connect as connectTcp, createServer as createTcpServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { ConfigError } from '../../gateway/core/problem.ts';
import type { Log } from '../../gateway/core/log.ts';
import { createForegate, type Foregate } from '../../gateway/foregate.ts';
import { clientCertificate, clientKey, serverCertificate, serverKey } from '../downstream/certificates.ts';
import { startBackend, type Backend } from '../support/backend.ts';
import { openClient } from '../support/client.ts';
import { loadSettings } from '../support/gateway.ts';
import { clearStage, eventually, onClear } from './stage.ts';

afterEach(clearStage);

const one = { cert: serverCertificate, key: serverKey, name: 'localhost' };
const other = { cert: clientCertificate, key: clientKey, name: 'client' };

interface Site {
  readonly folder: string;
  readonly backend: Backend;
  readonly foregate: Foregate;
  readonly ports: readonly number[];
  /** Events of the log. */
  readonly logged: string[];
  control(path: string): Promise<Response>;
}

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'foregate-listen-'));
  onClear(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

async function startSite(folder: string, listen: readonly object[], more: object = {}): Promise<Site> {
  const backend = await startBackend();
  onClear(() => backend.stop());
  const logged: string[] = [];
  const tell = (event: string): void => void logged.push(event);
  const log: Log = { error: tell, warn: tell, info: tell, debug: tell };
  const routes = [{ id: 'test', target: backend.origin }];
  const loaded = await loadSettings({ listen: listen.map(onLoopback), drain: '200ms', ...more, routes });
  const foregate = await createForegate(loaded, { log });
  onClear(() => foregate.stop());
  await foregate.start();
  const ports = foregate.addresses.clients.map((url) => (url.startsWith('unix:') ? 0 : Number(new URL(url).port)));
  return { folder, backend, foregate, ports, logged, control: (path) => fetch(foregate.addresses.control + path) };
}

function onLoopback(listener: object): object {
  return 'socket' in listener ? listener : { host: '127.0.0.1', port: 0, ...listener };
}

interface Pair {
  readonly cert: string;
  readonly key: string;
}

/** As tools do that know what they are doing: the new file takes the place of the old one. */
async function put(folder: string, name: string, { cert, key }: Pair): Promise<void> {
  for (const [end, text] of [
    ['.crt', cert],
    ['.key', key],
  ] as const) {
    await writeFile(join(folder, `${name}${end}.new`), text);
    await rename(join(folder, `${name}${end}.new`), join(folder, name + end));
  }
}

async function handshake(port: number, servername?: string): Promise<TLSSocket> {
  const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, servername: servername ?? '' });
  onClear(() => void socket.destroy());
  await once(socket, 'secureConnect');
  return socket;
}

/** Whose certificate a client gets, or how the handshake fails. */
async function shownTo(port: number, servername?: string): Promise<string> {
  try {
    return String((await handshake(port, servername)).getPeerCertificate().subject.CN);
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error);
  }
}

const alert = 'ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE';

describe('certificates by name', () => {
  it('are those of the host, else of its parent domain, else the default of the port, else the default', async () => {
    const folder = await newFolder();
    await put(folder, 'a.example.com', one);
    await put(folder, '_.example.com', other);
    const { ports } = await startSite(folder, [{ tls: { folder } }]);
    const [port = 0] = ports;
    const shown = async (names: readonly (string | undefined)[]): Promise<string[]> =>
      Promise.all(names.map((name) => shownTo(port, name)));
    assert.deepEqual(await shown(['a.example.com', 'A.Example.COM', 'b.example.com']), ['localhost', 'localhost', 'client']);
    assert.deepEqual(await shown(['x.b.example.com', 'example.com', 'other', undefined]), [alert, alert, alert, alert]);
    await put(folder, 'default', other);
    await eventually(async () => (await shownTo(port)) === 'client', 8000);
    assert.deepEqual(await shown(['x.b.example.com', 'other', 'a.example.com']), ['client', 'client', 'localhost']);
  });

  it('prefer the default of the port', async () => {
    const folder = await newFolder();
    const port = await freePort();
    await put(folder, `default_${port}`, one);
    await put(folder, 'default', other);
    await startSite(folder, [{ port, tls: { folder } }]);
    assert.equal(await shownTo(port), 'localhost');
  });

  it('never make a path of what a client says', async () => {
    const folder = await newFolder();
    await put(folder, 'secret', one);
    await put(folder, 'a.example.com', one);
    const { ports } = await startSite(folder, [{ tls: { folder } }]);
    const [port = 0] = ports;
    const names = [
      '../secret',
      '..',
      '.',
      '/etc/passwd',
      '_',
      '_.',
      '*.example.com',
      'a.example.com/',
      'a'.repeat(255),
      'ä.example',
      '%2e%2e',
    ];
    for (const name of names) assert.match(await shownTo(port, name), /ALERT|ERR_|ECONN/, name);
    await sendHello(port, `a.example.com\0`);
    await sendHello(port, `..\u0000/../secret`);
    await sendHello(port, 'x'.repeat(15_000));
    assert.equal(await shownTo(port, 'a.example.com'), 'localhost');
  });
});

describe('certificates in files that change', () => {
  it('hold from the next handshake on, while connections stay', async () => {
    const folder = await newFolder();
    await put(folder, 'a.example.com', one);
    await put(folder, 'default', one);
    const { ports } = await startSite(folder, [{ tls: { folder } }]);
    const [port = 0] = ports;
    const named = { rejectUnauthorized: false, servername: 'a.example.com' };
    const open = await openClient(`wss://127.0.0.1:${port}/`, named);
    onClear(() => open.socket.terminate());
    await put(folder, 'a.example.com', other);
    await eventually(async () => (await shownTo(port, 'a.example.com')) === 'client', 8000);
    assert.equal(await shownTo(port), 'localhost');
    open.send('still here');
    assert.equal(await open.nextText(), 'still here');
    await put(folder, 'default', other);
    await eventually(async () => (await shownTo(port)) === 'client', 8000);
    await rm(join(folder, 'a.example.com.crt'));
    await rm(join(folder, 'a.example.com.key'));
    await put(folder, '_.example.com', one);
    await eventually(async () => (await shownTo(port, 'a.example.com')) === 'localhost', 8000);
  });

  it('are kept when the new ones cannot be used, which is told once', async () => {
    const folder = await newFolder();
    await put(folder, 'a.example.com', one);
    const { ports, logged } = await startSite(folder, [{ tls: { folder } }]);
    const [port = 0] = ports;
    const told = (): number => logged.filter((event) => event === 'certificate.refused').length;
    assert.equal(await shownTo(port, 'a.example.com'), 'localhost');
    const broken = [
      { file: 'a.example.com.crt', text: serverCertificate.slice(0, 300) },
      { file: 'a.example.com.key', text: '' },
    ];
    for (const [index, { file, text }] of broken.entries()) {
      await writeFile(join(folder, file), text);
      await eventually(() => told() === index + 1, 8000);
      assert.equal(await shownTo(port, 'a.example.com'), 'localhost');
    }
    await rm(join(folder, 'a.example.com.key'));
    await eventually(() => told() === 3, 8000);
    // Another file of the folder changes: nothing is told again.
    await put(folder, 'default', other);
    await eventually(async () => (await shownTo(port)) === 'client', 8000);
    assert.deepEqual([told(), await shownTo(port, 'a.example.com')], [3, 'localhost']);
    await put(folder, 'a.example.com', other);
    await eventually(async () => (await shownTo(port, 'a.example.com')) === 'client', 8000);
  });

  it('are read again where cert and key are named themselves', async () => {
    const folder = await newFolder();
    await put(folder, 'mine', one);
    const tls = { cert: join(folder, 'mine.crt'), key: `file:${join(folder, 'mine.key')}` };
    const { ports, logged } = await startSite(folder, [{ tls }]);
    const [port = 0] = ports;
    assert.equal(await shownTo(port), 'localhost');
    // Half of a pair does not fit the other half.
    await writeFile(join(folder, 'mine.crt'), other.cert);
    await eventually(() => logged.includes('certificate.refused'), 8000);
    assert.equal(await shownTo(port), 'localhost');
    await writeFile(join(folder, 'mine.key'), other.key);
    await eventually(async () => (await shownTo(port)) === 'client', 8000);
  });

  it('survive that their folder goes away and comes back', async () => {
    const folder = await newFolder();
    await put(folder, 'default', one);
    const { ports, logged } = await startSite(folder, [{ tls: { folder } }]);
    const [port = 0] = ports;
    await rename(folder, `${folder}-away`);
    onClear(() => rm(`${folder}-away`, { recursive: true, force: true }));
    await eventually(() => logged.includes('certificates.unreadable'), 8000);
    assert.equal(await shownTo(port), 'localhost');
    await rename(`${folder}-away`, folder);
    await put(folder, 'default', other);
    await eventually(async () => (await shownTo(port)) === 'client', 8000);
  });
});

describe('Unix sockets', () => {
  it('serve requests and WebSockets, to those who may, and are removed at the stop', async () => {
    const folder = await newFolder();
    const path = join(folder, 'clients.sock');
    const { foregate, backend, control } = await startSite(folder, [{ socket: path, socketMode: '0600' }, {}]);
    assert.equal(foregate.addresses.clients[0], `unix:${path}`);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    const client = await openClient(`ws+unix:${path}:/chat`);
    client.send('hello');
    assert.equal(await client.nextText(), 'hello');
    const sessions = (await (await control('/connections')).json()) as { readonly address: string }[];
    assert.deepEqual(
      sessions.map(({ address }) => address),
      ['unix'],
    );
    await client.close();
    backend.answer = () => ({ body: 'plain' });
    assert.equal(await get(path, '/'), 'plain');
    await foregate.stop();
    assert.equal(existsSync(path), false);
  });

  it('are for the owner and the group unless it is said otherwise', async () => {
    const folder = await newFolder();
    const path = join(folder, 'clients.sock');
    await startSite(folder, [{ socket: path }]);
    assert.equal(statSync(path).mode & 0o777, 0o660);
  });

  it('tell backends of a peer without address, and believe it when told to', async () => {
    const folder = await newFolder();
    const path = join(folder, 'clients.sock');
    const said = { 'X-Forwarded-For': '10.1.2.3', Forwarded: 'for=10.1.2.3' };
    const strange = await startSite(folder, [{ socket: path }]);
    await get(path, '/', said);
    const [asked] = strange.backend.requests;
    assert.deepEqual([asked?.headers['x-forwarded-for'], asked?.headers['forwarded']], ['unknown', undefined]);
    await strange.foregate.stop();
    const trusted = await startSite(folder, [{ socket: path }], { trustedProxies: ['unix'] });
    await get(path, '/', said);
    const { 'x-forwarded-for': chain, forwarded } = trusted.backend.requests[0]?.headers ?? {};
    assert.deepEqual([chain, forwarded], ['10.1.2.3, unknown', 'for=10.1.2.3, for=unknown']);
  });

  it('are peers without address to the rules of forwarded, too', async () => {
    const folder = await newFolder();
    const path = join(folder, 'clients.sock');
    const forwarded = { for: { keep: 1, append: true } };
    const { backend } = await startSite(folder, [{ socket: path }], { forwarded });
    await get(path, '/', { 'X-Forwarded-For': '10.1.2.3, 10.1.2.4' });
    assert.equal(backend.requests[0]?.headers['x-forwarded-for'], '10.1.2.4, unknown');
  });

  it('go through policies that look at addresses', async () => {
    const folder = await newFolder();
    const path = join(folder, 'clients.sock');
    const policies = [
      { use: 'origin', allow: ['https://a.example'] },
      { use: 'rate-limit', messages: 2, window: '1m' },
    ];
    const { backend } = await startSite(folder, [{ socket: path }], { defaults: { policies } });
    backend.answer = () => ({ body: 'in' });
    const origin = { Origin: 'https://a.example' };
    assert.deepEqual([await get(path, '/', origin), await get(path, '/', origin)], ['in', 'in']);
    assert.match(await get(path, '/', origin), /^(?!in)/);
    assert.equal(backend.requests.length, 2);
  });

  it('speak TLS, too', async () => {
    const folder = await newFolder();
    const path = join(folder, 'clients.sock');
    const { backend } = await startSite(folder, [{ socket: path, tls: { cert: one.cert, key: one.key } }]);
    backend.answer = () => ({ body: 'ok' });
    const text = await curl('--http2', '-k', '--unix-socket', path, 'https://x/');
    assert.deepEqual([text, backend.requests[0]?.headers['x-forwarded-for']], ['ok', 'unknown']);
  });

  it('take the place of what a crash has left, and of nothing else', async () => {
    const folder = await newFolder();
    const path = join(folder, 'clients.sock');
    // A socket that nobody listens on is what is left of a process that was killed.
    await left(path);
    const { foregate, backend } = await startSite(folder, [{ socket: path }]);
    backend.answer = () => ({ body: 'ok' });
    await assert.rejects(startSite(folder, [{ socket: path }]), { code: 'EADDRINUSE' });
    assert.equal(await get(path, '/'), 'ok');
    await foregate.stop();
    await writeFile(path, 'precious');
    await assert.rejects(startSite(folder, [{ socket: path }]), /no socket/);
    assert.equal(existsSync(path), true);
  });
});

describe('several listeners', () => {
  it('serve side by side: a port, one with TLS, one with a folder, a socket', async () => {
    const folder = await newFolder();
    await put(folder, 'default', other);
    const path = join(folder, 'clients.sock');
    const site = await startSite(folder, [{}, { tls: { cert: one.cert, key: one.key } }, { tls: { folder } }, { socket: path }]);
    site.backend.answer = () => ({ body: 'ok' });
    const [plain = 0, tls = 0, byName = 0] = site.ports;
    assert.equal(await (await fetch(`http://127.0.0.1:${plain}/`)).text(), 'ok');
    for (const version of ['--http1.1', '--http2'])
      for (const port of [tls, byName]) assert.equal(await curl(version, '-k', `https://127.0.0.1:${port}/`), 'ok');
    assert.deepEqual([await shownTo(tls), await shownTo(byName)], ['localhost', 'client']);
    assert.equal(await get(path, '/'), 'ok');
    assert.equal(site.backend.requests.length, 6);
  });
});

describe('listeners that cannot be', () => {
  const cases: readonly [string, object, RegExp][] = [
    ['a socket and a port', { socket: '/tmp/x', port: 1 }, /listen\[0\]\.port +stands beside "socket"/],
    ['a mode without a socket', { socketMode: '0600' }, /listen\[0\]\.socketMode +needs a "socket"/],
    ['a mode that is none', { socket: '/tmp/x', socketMode: '0999' }, /listen\[0\]\.socketMode/],
    ['a socket with a long path', { socket: `/${'x'.repeat(107)}` }, /listen\[0\]\.socket +must be at most 107 bytes/],
    [
      'a certificate without a key',
      { tls: { cert: serverCertificate } },
      /listen\[0\]\.tls +needs "cert" and "key", or "folder"/,
    ],
    ['a certificate and a folder', { tls: { cert: 'x', folder: 'y' } }, /listen\[0\]\.tls\.folder +stands beside/],
    [
      'a key of another certificate',
      { tls: { cert: serverCertificate, key: clientKey } },
      /listen\[0\]\.tls +has a "cert" and a "key"/,
    ],
    ['a folder that is not there', { tls: { folder: '/nowhere' } }, /:\d+:\d+ +listen\[0\]\.tls\.folder .*cannot be read/],
    ['HTTP/2 without TLS', { http2: true }, /listen\[0\]\.http2 +needs "tls"/],
  ];
  for (const [what, listener, expected] of cases)
    it(`are refused with their place: ${what}`, () => refused([listener], expected));

  it('are refused with their place: a folder without a certificate', async () => {
    const folder = await newFolder();
    await writeFile(join(folder, 'a.crt'), serverCertificate);
    await writeFile(join(folder, 'b.crt'), serverCertificate);
    await writeFile(join(folder, 'b.key'), clientKey);
    await refused([{ tls: { folder } }], /listen\[0\]\.tls\.folder .*no certificate that can be used/);
  });

  it('are refused with their place: a socket that stands twice', () =>
    refused([{ socket: '/tmp/x' }, { socket: '/tmp/../tmp/x' }], /listen\[1\]\.socket +is taken by another/));
});

async function refused(listen: readonly object[], expected: RegExp): Promise<void> {
  await assert.rejects(loadSettings({ listen, routes: [{ id: 'a', target: 'http://127.0.0.1:1' }] }), (error) => {
    assert.ok(error instanceof ConfigError);
    assert.match(error.message, expected);
    return true;
  });
}

async function freePort(): Promise<number> {
  const server = createTcpServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** A socket file without a process: whoever makes it is ended before it could remove it. */
async function left(path: string): Promise<void> {
  const script = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
  await new Promise<void>((resolve) => {
    execFile(process.execPath, ['-e', script], () => resolve());
  });
  assert.ok(existsSync(path));
}

function get(socketPath: string, path: string, headers: Readonly<Record<string, string>> = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    httpRequest({ socketPath, path, headers: { Host: 'x', ...headers } }, (reply: IncomingMessage) => {
      let body = '';
      reply.setEncoding('utf8').on('data', (part: string) => (body += part));
      reply.once('end', () => resolve(body));
    })
      .once('error', reject)
      .end();
  });
}

function curl(...given: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile('curl', ['-sS', '--max-time', '5', ...given], (error, out) => (error ? reject(error) : resolve(out)));
  });
}

/** A hello of TLS 1.2 with a name that no library would send; resolves when the server has ended it. */
async function sendHello(port: number, name: string): Promise<void> {
  const socket: Socket = connectTcp({ port, host: '127.0.0.1' });
  onClear(() => void socket.destroy());
  socket.on('error', () => undefined);
  socket.resume();
  socket.write(helloOf(name));
  await once(socket, 'close');
}

function helloOf(name: string): Buffer {
  const host = Buffer.from(name, 'latin1');
  const entry = Buffer.concat([Buffer.of(0), sized(host, 2)]);
  const extension = Buffer.concat([Buffer.of(0, 0), sized(sized(entry, 2), 2)]);
  const body = Buffer.concat([
    Buffer.of(3, 3),
    Buffer.alloc(32, 1),
    Buffer.of(0),
    sized(Buffer.of(0xc0, 0x2b), 2),
    Buffer.of(1, 0),
    sized(extension, 2),
  ]);
  return Buffer.concat([Buffer.of(22, 3, 1), sized(Buffer.concat([Buffer.of(1), sized(body, 3)]), 2)]);
}

function sized(bytes: Buffer, lengthBytes: number): Buffer {
  const length = Buffer.alloc(lengthBytes);
  length.writeUIntBE(bytes.length, 0, lengthBytes);
  return Buffer.concat([length, bytes]);
}

/** HTTP/2 with clients (RFC 9113), and WebSockets over it (RFC 8441): what HTTP/1.1 does, and what is HTTP/2's own. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  connect,
  constants,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http2';
import { connect as connectTls } from 'node:tls';
import { chromium } from 'playwright-core';
import { echo, type BackendRequest } from '../support/backend.ts';
import { openClient } from '../support/client.ts';
import { need } from '../support/debian.ts';
import { FrameClient, frame, frameFlags, frameTypes, request as requestBlock } from '../support/http2-frames.ts';
import { startTcpBackend } from '../downstream/tcp-backend.ts';
import { clientFrame, closeFrame, opcodes, parseFrame, type ServerFrame } from '../support/raw-socket.ts';
import { serverCertificate, serverKey } from '../downstream/certificates.ts';
import { byPath, held, setHoldStage, stream, type HoldStage } from './holds.ts';
import { clearStage, eventually, gate, onClear, pause, said, type StageTerms } from './stage.ts';

afterEach(clearStage);

const tls = { cert: serverCertificate, key: serverKey };

function setHttp2Stage({ settings, ...terms }: StageTerms = {}, listen: object = {}): Promise<HoldStage> {
  return setHoldStage({ ...terms, settings: { listen: [{ host: '127.0.0.1', port: 0, tls, ...listen }], ...settings } });
}

function session(stage: HoldStage): ClientHttp2Session {
  const opened = connect(stage.url, { rejectUnauthorized: false });
  opened.on('error', () => undefined); // What it means for a request is seen at the request.
  onClear(() => opened.destroy());
  return opened;
}

interface Answer {
  readonly headers: IncomingHttpHeaders;
  readonly status: number;
  readonly body: Buffer;
  readonly trailers: IncomingHttpHeaders | undefined;
}

/** A whole answer. @throws Error where it broke off. */
async function answerOf(sent: ClientHttp2Stream): Promise<Answer> {
  let headers: IncomingHttpHeaders = {};
  let trailers: IncomingHttpHeaders | undefined;
  sent.once('response', (got) => (headers = got));
  sent.once('trailers', (got) => (trailers = got));
  const chunks: Buffer[] = [];
  for await (const chunk of sent as AsyncIterable<Buffer>) chunks.push(chunk);
  if (!sent.closed) await once(sent, 'close');
  if (sent.rstCode !== 0) throw new Error(`reset with ${sent.rstCode}`);
  return { headers, status: Number(headers[':status']), body: Buffer.concat(chunks), trailers };
}

async function get(stage: HoldStage, path: string, more: OutgoingHttpHeaders = {}): Promise<Answer> {
  return answerOf(session(stage).request({ ':path': path, ...more }));
}

/** Reads a stream piece by piece. */
function textOf(sent: ClientHttp2Stream): { readonly text: string } {
  let text = '';
  sent.setEncoding('utf8').on('data', (part: string) => (text += part));
  sent.on('error', () => undefined);
  return {
    get text() {
      return text;
    },
  };
}

describe('plain requests over HTTP/2', () => {
  it('reach the backend as those of HTTP/1.1 do', async () => {
    const stage = await setHttp2Stage({ answer: () => ({ body: 'ok' }) });
    const { status, body } = await get(stage, '/x?a=b', {
      ':authority': 'client.example:444',
      cookie: ['a=1', 'b=2'],
      'x-own': 'é',
      te: 'trailers',
    });
    assert.deepEqual([status, body.toString()], [200, 'ok']);
    const [asked] = stage.backend.requests;
    assert.deepEqual([asked?.method, asked?.path], ['GET', '/x?a=b']);
    const { host, cookie, te, 'x-own': own, 'x-forwarded-proto': proto, 'x-forwarded-host': told } = asked?.headers ?? {};
    assert.deepEqual(
      [host, cookie, te, own, proto, told],
      ['client.example:444', 'a=1; b=2', undefined, 'é', 'https', 'client.example:444'],
    );
    assert.deepEqual(
      asked?.rawHeaders.filter((name) => name.startsWith(':')),
      [],
    );
    assert.equal(asked?.headers['transfer-encoding'], undefined);
  });

  it('are answered without fields of a connection, with all cookies, and with a status beyond 599 as 502', async () => {
    const answers = byPath({
      '/a': ({ response }) => {
        response.writeHead(418, 'Short', [
          'Set-Cookie',
          'a=1',
          'Set-Cookie',
          'b=2',
          'X-B',
          'c',
          'Content-Type',
          'a/b',
          'Content-Type',
          'c/d',
        ]);
        response.end('tea');
        return undefined;
      },
      '/b': ({ response }) => {
        response.writeHead(777, 'x');
        response.end('?');
        return undefined;
      },
    });
    const stage = await setHttp2Stage({ answer: answers });
    const { status, headers, body } = await get(stage, '/a');
    assert.deepEqual([status, body.toString(), headers['set-cookie'], headers['x-b']], [418, 'tea', ['a=1', 'b=2'], 'c']);
    for (const name of ['connection', 'keep-alive', 'transfer-encoding']) assert.equal(headers[name], undefined);
    assert.equal((await get(stage, '/b')).status, 502);
  });

  it('may ask for the head alone, and get answers without a body', async () => {
    const answers = byPath({ '/head': { headers: { 'X-A': 'b' }, body: 'four' }, '/none': { status: 204 } });
    const stage = await setHttp2Stage({ answer: answers });
    const head = await get(stage, '/head', { ':method': 'HEAD' });
    assert.deepEqual([head.status, head.headers['content-length'], head.body.length], [200, '4', 0]);
    const none = await get(stage, '/none');
    assert.deepEqual([none.status, none.body.length], [204, 0]);
  });

  it('carry large bodies both ways, with a length and without', async () => {
    const stage = await setHttp2Stage({ answer: ({ body }) => ({ body }) });
    const body = Buffer.alloc(3_000_000, 'abc');
    for (const more of [{}, { 'content-length': body.length }]) {
      const sent = session(stage).request({ ':method': 'POST', ':path': '/', ...more });
      sent.end(body);
      const answer = await answerOf(sent);
      assert.ok(answer.body.equals(body));
    }
    assert.deepEqual(
      stage.backend.requests.map(({ headers }) => [headers['content-length'], headers['transfer-encoding']]),
      [
        [undefined, 'chunked'],
        ['3000000', undefined],
      ],
    );
  });

  it('do not read a backend faster than the client reads', async () => {
    let backend: BackendRequest | undefined;
    const answer = (request: BackendRequest): undefined => {
      backend = request;
      request.response.write(Buffer.alloc(50_000_000));
    };
    const stage = await setHttp2Stage({ answer });
    const opened = session(stage);
    const slow = opened.request({ ':path': '/' });
    slow.on('error', () => undefined);
    await once(slow, 'response');
    slow.pause();
    await pause(300);
    assert.ok((backend?.response.writableLength ?? 0) > 30_000_000);
    // Another request of the connection is not held up.
    stage.backend.answer = () => ({ body: 'quick' });
    assert.equal((await answerOf(opened.request({ ':path': '/' }))).body.toString(), 'quick');
  });

  it('get early hints and trailers', async () => {
    const stage = await setHttp2Stage({
      answer: ({ response }) => {
        response.writeEarlyHints({ link: '</a.css>; rel=preload' });
        response.writeHead(200, { Trailer: 'X-Sum' });
        response.write('a');
        response.addTrailers({ 'X-Sum': '9' });
        response.end();
        return undefined;
      },
    });
    const sent = session(stage).request({ ':path': '/' });
    const hints: IncomingHttpHeaders[] = [];
    sent.on('headers', (hint) => hints.push(hint));
    const { trailers } = await answerOf(sent);
    assert.deepEqual([hints[0]?.[':status'], hints[0]?.['link'], trailers?.['x-sum']], [103, '</a.css>; rel=preload', '9']);
  });

  it('end at the backend when the client resets them, and a body that is cut has no end there', async () => {
    const backend = await startTcpBackend();
    onClear(() => backend.stop());
    const stage = await setHttp2Stage({ targets: [{ url: backend.origin }] });
    const client = await FrameClient.connect(stage.port);
    onClear(() => void client.socket.destroy());
    client.send(frame(frameTypes.headers, frameFlags.endHeaders, 1, requestBlock('/', [], 'POST')));
    client.send(frame(frameTypes.data, 0, 1, 'part'));
    const asked = await backend.next();
    await asked.takeUntil('part\r\n');
    client.send(frame(frameTypes.reset, 0, 1, Buffer.of(0, 0, 0, constants.NGHTTP2_CANCEL)));
    await asked.takeEnd();
    assert.doesNotMatch(asked.received.toString(), /0\r\n\r\n$/);
  });

  it('look broken when the backend breaks off its reply', async () => {
    const stage = await setHttp2Stage({
      answer: ({ response }) => {
        response.write('part');
        setTimeout(() => response.destroy(), 50);
        return undefined;
      },
    });
    const sent = session(stage).request({ ':path': '/' });
    await assert.rejects(answerOf(sent));
    assert.equal(sent.rstCode, constants.NGHTTP2_INTERNAL_ERROR);
  });

  it('are refused while their body is still on its way', async () => {
    const stage = await setHttp2Stage({ route: { match: { path: '/only/' } } });
    const sent = session(stage).request({ ':method': 'POST', ':path': '/other' });
    sent.on('error', () => undefined);
    sent.write(Buffer.alloc(1000));
    const [headers] = (await once(sent, 'response')) as [IncomingHttpHeaders];
    assert.equal(headers[':status'], 404);
    sent.end();
    assert.equal((await get(stage, '/other')).status, 404);
  });

  it('have HTTP/1.1 beside them on the same port, WebSockets included', async () => {
    const stage = await setHttp2Stage();
    const client = await openClient(`${stage.url.replace('https', 'wss')}/`, { rejectUnauthorized: false });
    client.send('hello');
    assert.equal(await client.nextText(), 'hello');
    await client.close();
  });

  it('can be turned off', async () => {
    const stage = await setHttp2Stage({}, { http2: false });
    const socket = connectTls({
      port: stage.port,
      host: '127.0.0.1',
      ALPNProtocols: ['h2', 'http/1.1'],
      rejectUnauthorized: false,
    });
    onClear(() => void socket.destroy());
    await once(socket, 'secureConnect');
    assert.notEqual(socket.alpnProtocol, 'h2');
  });
});

describe('held requests over HTTP/2 (GRIP 4)', () => {
  it('are streams and polls on one connection', async () => {
    const stage = await setHttp2Stage({ answer: byPath({ '/s': stream('a', {}, 'first '), '/p': held('a') }) });
    const opened = session(stage);
    const one = opened.request({ ':path': '/s' });
    const read = textOf(one);
    const poll = answerOf(opened.request({ ':path': '/p' }));
    await stage.joined('a', 2);
    await stage.item('a', { 'http-stream': { content: 'second' }, 'http-response': { code: 201, body: 'polled' } });
    const { status, body } = await poll;
    assert.deepEqual([status, body.toString()], [201, 'polled']);
    await eventually(() => read.text === 'first second');
    await stage.item('a', { 'http-stream': { action: 'close' } });
    await once(one, 'close');
    assert.equal(one.rstCode, 0);
  });

  it('leave their channels when the client resets them', async () => {
    const stage = await setHttp2Stage({ answer: byPath({ '/s': stream('a') }) });
    const opened = session(stage);
    const sent = [1, 2].map(() => opened.request({ ':path': '/s' }));
    for (const one of sent) one.on('error', () => undefined);
    await stage.joined('a', 2);
    sent[0]?.close(constants.NGHTTP2_CANCEL);
    await stage.joined('a', 1);
    opened.destroy();
    await stage.joined('a', 0);
  });

  it('are cut when the client does not read, one by one', async () => {
    const stage = await setHttp2Stage({ answer: byPath({ '/s': stream('a') }) });
    const opened = session(stage);
    const slow = opened.request({ ':path': '/s' });
    slow.on('error', () => undefined);
    const other = textOf(opened.request({ ':path': '/s' }));
    await stage.joined('a', 2);
    slow.pause();
    let sent = 0;
    while ((await stage.members('a')) === 2) {
      await stage.streamed('a', 'x'.repeat(90_000));
      sent += 90_000;
      await eventually(() => other.text.length === sent);
      assert.ok(sent < 5_000_000, 'it was never cut');
    }
    assert.equal(await stage.members('a'), 1);
  });
});

describe('what routes say over HTTP/2', () => {
  it('lets pages of other origins read answers of all kinds', async () => {
    const answer = byPath({ '/': { headers: { 'X-Total': '7' }, body: 'x' }, '/events': stream('c') });
    const stage = await setHttp2Stage({ route: { cors: true }, answer });
    const told = (headers: IncomingHttpHeaders): unknown[] =>
      ['origin', 'expose-headers', 'max-age'].map(
        (name) => headers[`access-control-${name === 'origin' ? 'allow-origin' : name}`],
      );
    const origin = 'https://app.example';
    const plain = await get(stage, '/', { origin });
    assert.deepEqual(told(plain.headers), [origin, 'X-Total, Date', '3600']);
    assert.equal(told((await get(stage, '/missing', { origin })).headers)[0], origin);
    const sent = session(stage).request({ ':path': '/events', origin });
    const [headers] = (await once(sent, 'response')) as [IncomingHttpHeaders];
    assert.equal(told(headers)[0], origin);
  });

  it('makes scripts of answers, held ones included', async () => {
    const stage = await setHttp2Stage({
      route: { jsonp: {} },
      answer: byPath({ '/a': { status: 201, headers: { 'X-Total': '7' }, body: 'x' }, '/held': held('c') }),
    });
    const called = ({ body }: Answer): { code: number; body: string } => {
      const [, argument = ''] = /^\/\*\*\/cb\((.*)\);\n$/.exec(body.toString()) ?? assert.fail(body.toString());
      return JSON.parse(argument) as { code: number; body: string };
    };
    const got = await get(stage, '/a?callback=cb');
    assert.deepEqual([got.status, got.headers['content-type']], [200, 'application/javascript']);
    const { code, body } = called(got);
    assert.deepEqual([code, body], [201, 'x']);
    const opened = session(stage);
    const waiting = answerOf(opened.request({ ':path': '/held?callback=cb' }));
    await eventually(async () => (await stage.members('c')) === 1);
    assert.equal(called(await answerOf(opened.request({ ':path': '/a?callback=cb' }))).code, 201);
    const item = { channel: 'c', formats: { 'http-response': { body: 'news' } } };
    await fetch(`${stage.controlUrl}/publish/`, { method: 'POST', body: JSON.stringify({ items: [item] }) });
    assert.equal(called(await waiting).body, 'news');
    assert.equal((await get(stage, '/a?callback=cb()')).status, 400);
  });

  it('counts as TLS', async () => {
    const stage = await setHttp2Stage({ route: { match: { tls: true } }, answer: () => ({ body: 'secure' }) });
    assert.equal((await get(stage, '/')).body.toString(), 'secure');
  });
});

describe('SockJS over HTTP/2', () => {
  const terms = { route: { sockjs: { path: '/sock' }, limits: { messageBytes: 100 } } };
  const post = (opened: ClientHttp2Session, way: string, body = ''): ClientHttp2Stream =>
    opened.request({ ':method': 'POST', ':path': `/sock/000/one/${way}` }).end(body);
  const bodyOf = async (sent: ClientHttp2Stream): Promise<string> => (await answerOf(sent)).body.toString();

  it('polls and streams on one connection', async () => {
    const stage = await setHttp2Stage(terms);
    const opened = session(stage);
    assert.equal(await bodyOf(post(opened, 'xhr')), 'o\n');
    const waiting = bodyOf(post(opened, 'xhr'));
    const sent = await answerOf(post(opened, 'xhr_send', '["a"]'));
    assert.deepEqual([sent.status, sent.headers['access-control-allow-origin']], [204, '*']);
    assert.equal(await waiting, 'a["a"]\n');
    const streaming = textOf(post(opened, 'xhr_streaming'));
    for (const message of ['b', 'c']) await answerOf(post(opened, 'xhr_send', `["${message}"]`));
    await eventually(() => streaming.text.endsWith('h\na["b"]\na["c"]\n'));
  });

  it('is over when a poll is reset', async () => {
    const stage = await setHttp2Stage(terms);
    const opened = session(stage);
    assert.equal(await bodyOf(post(opened, 'xhr')), 'o\n');
    const waiting = post(opened, 'xhr_streaming').on('error', () => undefined);
    assert.equal(await bodyOf(post(opened, 'xhr')), 'c[2010,"Another connection still open"]\n');
    waiting.close(constants.NGHTTP2_CANCEL);
    await stage.backend.until(() => said(stage.backend.events()).includes('DISCONNECT'));
  });

  it('lets go of a body that is too large, before it has come in', async () => {
    const stage = await setHttp2Stage(terms);
    const opened = session(stage);
    assert.equal(await bodyOf(post(opened, 'xhr')), 'o\n');
    const large = opened.request({ ':method': 'POST', ':path': '/sock/000/one/xhr_send' });
    large.write('x'.repeat(101));
    const [headers] = (await once(large.resume(), 'response')) as [IncomingHttpHeaders];
    assert.equal(headers[':status'], 413);
    await eventually(() => large.closed);
    assert.equal(large.rstCode, constants.NGHTTP2_NO_ERROR);
    assert.equal(await bodyOf(post(opened, 'xhr')), 'c[1009,""]\n');
  });

  it('has its frames in WebSockets', async () => {
    const stage = await setHttp2Stage(terms);
    const { sent, frames } = await tunnel(stage, { ':path': '/sock/000/one/websocket' });
    sent.write(clientFrame(opcodes.text, '["a"]'));
    await eventually(() => frames.length === 2);
    assert.deepEqual(
      frames.map(({ payload }) => payload.toString()),
      ['o', 'a["a"]'],
    );
    assert.equal((await tunnel(stage, { ':path': '/sock/000/one/none' })).headers[':status'], 404);
  });
});

interface Tunnel {
  readonly sent: ClientHttp2Stream;
  readonly headers: IncomingHttpHeaders;
  readonly frames: ServerFrame[];
}

async function tunnel(stage: HoldStage, more: OutgoingHttpHeaders = {}, opened = session(stage)): Promise<Tunnel> {
  if (opened.remoteSettings === undefined || opened.connecting) await once(opened, 'remoteSettings');
  const sent = opened.request({
    ':method': 'CONNECT',
    ':protocol': 'websocket',
    ':path': '/chat',
    'sec-websocket-version': '13',
    ...more,
  });
  sent.on('error', () => undefined);
  const frames: ServerFrame[] = [];
  let bytes = Buffer.alloc(0);
  sent.on('data', (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk]);
    for (let next = parseFrame(bytes); next !== undefined; next = parseFrame(bytes)) {
      frames.push(next.frame);
      bytes = bytes.subarray(next.size);
    }
  });
  const [headers] = (await once(sent, 'response')) as [IncomingHttpHeaders];
  return { sent, headers, frames };
}

describe('WebSockets over HTTP/2 (RFC 8441)', () => {
  it('are announced, opened with 200, echoed and closed', async () => {
    const stage = await setHttp2Stage();
    const opened = session(stage);
    const [settings] = (await once(opened, 'remoteSettings')) as [{ enableConnectProtocol: boolean }];
    assert.equal(settings.enableConnectProtocol, true);
    const { sent, headers, frames } = await tunnel(stage, { origin: 'https://a.example' }, opened);
    assert.equal(headers[':status'], 200);
    for (const name of ['sec-websocket-accept', 'upgrade', 'connection']) assert.equal(headers[name], undefined);
    sent.write(clientFrame(opcodes.text, 'hello'));
    await eventually(() => frames.length === 1);
    assert.deepEqual([frames[0]?.payload.toString(), frames[0]?.masked], ['hello', false]);
    sent.write(closeFrame(1000));
    await eventually(() => frames.length === 2);
    assert.equal(frames[1]?.opcode, opcodes.close);
    sent.end();
    await eventually(() => sent.closed);
    assert.equal(sent.rstCode, 0);
    const [open] = stage.backend.requests;
    assert.deepEqual([open?.method, open?.path, open?.headers['origin']], ['POST', '/chat', 'https://a.example']);
    assert.deepEqual(said(stage.backend.events()), ['OPEN', 'TEXT hello', 'CLOSE 1000']);
  });

  it('are closed with an answer when the client ends its side with its close frame', async () => {
    const stage = await setHttp2Stage();
    const { sent, frames } = await tunnel(stage);
    sent.end(closeFrame(4000, 'bye'));
    await eventually(() => sent.closed);
    assert.deepEqual([frames[0]?.opcode, frames[0]?.payload.readUInt16BE(), sent.rstCode], [opcodes.close, 4000, 0]);
  });

  it('are several on one connection, which a reset ends one by one: DISCONNECT', async () => {
    const stage = await setHttp2Stage();
    const opened = session(stage);
    const one = await tunnel(stage, {}, opened);
    const two = await tunnel(stage, {}, opened);
    one.sent.close(constants.NGHTTP2_CANCEL);
    await stage.backend.until(() => said(stage.backend.events()).includes('DISCONNECT'));
    two.sent.write(clientFrame(opcodes.text, 'still'));
    await eventually(() => two.frames[0]?.payload.toString() === 'still');
  });

  it('are ended by a revocation', async () => {
    const keyed = { use: 'api-key', keys: [{ key: 'the-key-of-ann', name: 'ann' }] };
    const stage = await setHttp2Stage({ route: { policies: [keyed] } });
    const { frames } = await tunnel(stage, { 'x-api-key': 'the-key-of-ann' });
    const body = JSON.stringify({ key: 'ann' });
    const response = await fetch(`${stage.controlUrl}/revoke`, { method: 'POST', body });
    assert.deepEqual([response.status, ((await response.json()) as { ended: number }).ended], [200, 1]);
    await eventually(() => frames.length === 1);
    assert.deepEqual([frames[0]?.opcode, frames[0]?.payload.readUInt16BE()], [opcodes.close, 4401]);
  });

  it('are refused with the answer of the backend, which never seems to accept', async () => {
    const stage = await setHttp2Stage({ answer: () => ({ status: 403, headers: { 'X-Why': 'no' }, body: 'not you' }) });
    const { sent, headers } = await tunnel(stage);
    assert.deepEqual([headers[':status'], headers['x-why'], headers['content-length']], [403, 'no', '7']);
    await eventually(() => sent.closed);
    assert.equal(sent.rstCode, 0);
    stage.backend.answer = () => ({ headers: { 'Content-Type': 'text/html' }, body: 'a page' });
    assert.equal((await tunnel(stage)).headers[':status'], 502);
  });

  it('must name a version, and a protocol that is known', async () => {
    const stage = await setHttp2Stage();
    assert.equal((await tunnel(stage, { 'sec-websocket-version': '8' })).headers[':status'], 426);
    assert.equal((await tunnel(stage, { ':protocol': 'connect-udp' })).headers[':status'], 501);
    assert.deepEqual(stage.backend.requests, []);
  });

  it('need no key, and one that is sent means nothing', async () => {
    const stage = await setHttp2Stage();
    assert.equal((await tunnel(stage, { 'sec-websocket-key': 'none' })).headers[':status'], 200);
  });

  it('are not accepted when the client has left before the answer', async () => {
    const { passed, open } = gate();
    const stage = await setHttp2Stage({
      answer: async (asked) => {
        await passed;
        return echo(asked);
      },
    });
    const opened = session(stage);
    await once(opened, 'remoteSettings');
    const sent = opened.request({ ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/', 'sec-websocket-version': '13' });
    let answered = false;
    sent.on('error', () => undefined).on('response', () => (answered = true));
    await stage.backend.until(() => stage.backend.requests.length === 1);
    sent.end();
    await pause(50);
    open();
    await eventually(() => sent.closed);
    assert.deepEqual([answered, sent.rstCode], [false, constants.NGHTTP2_CANCEL]);
  });

  it('get their subprotocol, and what is published', async () => {
    const stage = await setHttp2Stage({ target: { channels: ['a'] }, answer: openedAs('v2') });
    const { headers, frames } = await tunnel(stage, { 'sec-websocket-protocol': 'v1, v2' });
    assert.equal(headers['sec-websocket-protocol'], 'v2');
    await stage.joined('a');
    await stage.say('a', 'news');
    await eventually(() => frames[0]?.payload.toString() === 'news');
  });
});

describe('a browser', function () {
  this.timeout(30_000);

  it('uses one HTTP/2 connection for its page, a stream and a WebSocket', async () => {
    const page = { headers: { 'Content-Type': 'text/html' }, body: '<p>hello' };
    const stage = await setHttp2Stage({
      answer: (asked) => (asked.events.length > 0 ? echo(asked) : byPath({ '/': page, '/s': stream('a', {}, 'first') })(asked)),
    });
    const browser = await chromium.launch({
      executablePath: need('chromium'),
      args: ['--headless', '--no-sandbox', '--disable-quic'],
    });
    onClear(() => browser.close());
    const tab = await (await browser.newContext({ ignoreHTTPSErrors: true })).newPage();
    await tab.goto(`${stage.url}/`);
    assert.deepEqual(await tab.evaluate(inPage), ['h2', 'first', 'open', 'hello', '4000 true']);
    assert.deepEqual(said(stage.backend.events()), ['OPEN', 'TEXT hello', 'CLOSE 4000 bye']);
  });

  /** Runs in the browser, as text: what it means there is unknown here. */
  const inPage = `new Promise(async (resolve) => {
    const seen = [performance.getEntriesByType('navigation')[0].nextHopProtocol];
    const reader = (await fetch('/s')).body.getReader();
    seen.push(new TextDecoder().decode((await reader.read()).value));
    const socket = new WebSocket(location.href.replace('https', 'wss') + 'chat');
    socket.onopen = () => { seen.push('open'); socket.send('hello'); };
    socket.onmessage = ({ data }) => { seen.push(data); socket.close(4000, 'bye'); };
    socket.onclose = ({ code, wasClean }) => { seen.push(code + ' ' + wasClean); resolve(seen); };
  })`;
});

describe('the bounds of HTTP/2', () => {
  async function client(stage: HoldStage): Promise<FrameClient> {
    const opened = await FrameClient.connect(stage.port);
    onClear(() => void opened.socket.destroy());
    return opened;
  }

  const isGoaway = ({ type }: { readonly type: number }): boolean => type === frameTypes.goaway;

  async function lives(stage: HoldStage): Promise<void> {
    assert.equal((await get(stage, '/')).status, 200);
  }

  it('are told: streams and the size of a header', async () => {
    const stage = await setHttp2Stage({ answer: () => ({ body: '' }), settings: { limits: { headerBytes: 2048 } } });
    const opened = session(stage);
    const [settings] = (await once(opened, 'remoteSettings')) as [{ maxConcurrentStreams: number; maxHeaderListSize: number }];
    assert.deepEqual([settings.maxConcurrentStreams, settings.maxHeaderListSize], [128, 2048 + 32 * 256]);
  });

  it('refuse a larger header, by 431 or by a reset, and nothing else', async () => {
    const stage = await setHttp2Stage({ answer: () => ({ body: '' }), settings: { limits: { headerBytes: 2048 } } });
    assert.equal((await get(stage, '/', { 'x-a': 'a'.repeat(2048) })).status, 431);
    const long = requestBlock('/', [['x-a', 'a'.repeat(12_000)]]);
    const ended = frameFlags.endHeaders | frameFlags.endStream;
    const opened = await client(stage);
    // Before the settings are acknowledged they do not hold.
    opened.send(frame(frameTypes.headers, ended, 1, long));
    await opened.find(({ type, stream: id }) => type === frameTypes.headers && id === 1);
    opened.send(frame(frameTypes.settings, frameFlags.ack, 0), frame(frameTypes.headers, ended, 3, long));
    await opened.find(({ type, stream: id }) => type === frameTypes.reset && id === 3);
    assert.deepEqual(stage.backend.requests, []);
    opened.send(frame(frameTypes.headers, ended, 5, requestBlock('/')));
    await opened.find(({ type, stream: id }) => type === frameTypes.headers && id === 5);
    assert.equal(stage.backend.requests.length, 1);
  });

  it('answer too many fields with 431', async () => {
    const stage = await setHttp2Stage({ answer: () => ({ body: '' }), settings: { limits: { headerFields: 20 } } });
    const many = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`x-${i}`, 'a']));
    assert.equal((await get(stage, '/', many)).status, 431);
    await lives(stage);
  });

  it('end a connection that opens and resets requests without end (CVE-2023-44487)', async () => {
    const stage = await setHttp2Stage({ answer: () => ({ body: '' }) });
    const opened = await client(stage);
    const block = requestBlock('/');
    for (let i = 0; i < 3000; i += 1) {
      const id = 2 * i + 1;
      opened.send(
        frame(frameTypes.headers, frameFlags.endHeaders | frameFlags.endStream, id, block),
        frame(frameTypes.reset, 0, id, Buffer.of(0, 0, 0, constants.NGHTTP2_CANCEL)),
      );
    }
    await Promise.race([opened.find(isGoaway, 20_000), opened.ended(20_000)]);
    await lives(stage);
  });

  it('end a connection that floods: pings, settings, continuations, bytes that are none', async () => {
    const stage = await setHttp2Stage({ answer: () => ({ body: '' }) });
    const floods: readonly (() => Buffer[])[] = [
      () => Array.from({ length: 20_000 }, () => frame(frameTypes.ping, 0, 0, Buffer.alloc(8))),
      () => Array.from({ length: 20_000 }, () => frame(frameTypes.settings, 0, 0)),
      () => [
        frame(frameTypes.headers, 0, 1, requestBlock('/')),
        ...Array.from({ length: 5000 }, () => frame(frameTypes.continuation, 0, 1, Buffer.alloc(0))),
      ],
      () => [Buffer.alloc(100_000, 0xff)],
    ];
    for (const flood of floods) {
      const opened = await client(stage);
      opened.socket.pause(); // So that answers pile up, where there are any.
      opened.send(...flood());
      await lives(stage);
      opened.socket.destroy();
    }
    await lives(stage);
  });

  it('forget connections that are cut in the middle of anything', async () => {
    const stage = await setHttp2Stage({ answer: byPath({ '/s': stream('a'), '/': { body: '' } }) });
    for (const path of ['/s', '/', '/s']) {
      const opened = await client(stage);
      const id = 1;
      opened.send(
        frame(frameTypes.headers, frameFlags.endHeaders, id, requestBlock(path, [], 'POST')),
        frame(frameTypes.data, 0, id, 'a'),
      );
      await pause(30);
      opened.socket.destroy();
    }
    await eventually(async () => (await stage.members('a')) === 0);
    await lives(stage);
  });

  it('plain CONNECT is not a way through', async () => {
    const stage = await setHttp2Stage();
    const sent = session(stage).request({ ':method': 'CONNECT', ':authority': 'other.example:443' });
    sent.on('error', () => undefined);
    const [headers] = (await once(sent, 'response')) as [IncomingHttpHeaders];
    assert.equal(headers[':status'], 405);
    assert.deepEqual(stage.backend.requests, []);
  });

  it('send GOAWAY when the program stops, after which streams end cleanly', async () => {
    const stage = await setHttp2Stage({ answer: byPath({ '/s': stream('a', {}, 'first') }) });
    const opened = session(stage);
    const sent = opened.request({ ':path': '/s' });
    const read = textOf(sent);
    await stage.joined('a');
    await eventually(() => read.text === 'first');
    const told = once(opened, 'goaway');
    const ended = once(sent, 'close');
    const stopping = stage.foregate.stop();
    assert.equal((await told)[0], constants.NGHTTP2_NO_ERROR);
    await ended;
    assert.equal(sent.rstCode, 0);
    await stopping;
  });
});

function openedAs(subprotocol: string) {
  return () => ({
    headers: { 'Content-Type': 'application/websocket-events', 'Sec-WebSocket-Protocol': subprotocol },
    body: 'OPEN\r\n',
  });
}

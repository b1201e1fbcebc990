/** What the log tells of connections and messages of a route that asks for it, over real sockets. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';
import { silentLog, type Log, type LogFields } from '../../gateway/core/log.ts';
import { reply, text, type Backend } from '../support/backend.ts';
import { refusedClient } from '../support/client.ts';
import { byPath, held, setHoldStage, stream } from './holds.ts';
import { acceptedWithGrip, afterOpen, clearStage, eventually, nothing, onClear, setStage } from './stage.ts';

afterEach(clearStage);

function listen() {
  const lines: (LogFields & { readonly event: string })[] = [];
  const log: Log = { ...silentLog, info: (event, fields) => void lines.push({ event, ...fields }) };
  /** The next line of an event; `session` and `ms` are checked and left out. */
  const next = async (event: string): Promise<LogFields> => {
    await eventually(() => lines.some((line) => line.event === event));
    const [line] = lines.splice(
      lines.findIndex((one) => one.event === event),
      1,
    );
    const { session, ms, ...rest } = line ?? assert.fail();
    assert.match(String(session), /^[0-9a-f-]{36}$/);
    assert.ok(event !== 'connection.closed' || (typeof ms === 'number' && ms >= 0 && ms < 60_000), String(ms));
    return rest;
  };
  return { log, lines, next };
}

const connections = { log: { connections: true } };
const base = { event: 'connection.closed', route: 'test', address: '127.0.0.1' };
const none = { messagesIn: 0, bytesIn: 0, messagesOut: 0, bytesOut: 0, requests: 0 };

describe('the line of a WebSocket in the log', () => {
  it('has what it carried, published items among it, and no query', async () => {
    const { log, next } = listen();
    const stage = await setStage({
      log,
      route: connections,
      answer: afterOpen((request) => reply(request.events), acceptedWithGrip([text('c:{"type":"subscribe","channel":"a"}')])),
    });
    const client = await stage.open('/chat?token=secret');
    client.send('m:héllo');
    assert.equal(await client.nextText(), 'héllo');
    await eventually(async () => (await stage.members('a')) === 1);
    await stage.say('a', 'news');
    await client.nextText();
    client.socket.close(4001, 'secret');
    await client.closed();
    assert.deepEqual(await next('connection.closed'), {
      ...base,
      transport: 'websocket',
      path: '/chat',
      messagesIn: 1,
      bytesIn: 8,
      messagesOut: 2,
      bytesOut: 2 + 6 + 2 + 4,
      requests: 3,
      code: 4001,
      by: 'client',
    });
  });

  for (const [who, code, end] of [
    ['backend', 4002, (backend: Backend) => (backend.answer = () => reply([{ kind: 'close', code: 4002, reason: '' }]))],
    ['backend', 1006, (backend: Backend) => (backend.answer = () => reply([{ kind: 'disconnect' }]))],
    ['foregate', 1011, (backend: Backend) => (backend.answer = () => ({ status: 500 }))],
  ] as const)
    it(`says that it was ended by the ${who} with ${code}`, async () => {
      const { log, next } = listen();
      const stage = await setStage({ log, route: connections });
      const client = await stage.open();
      end(stage.backend);
      client.send('x');
      await client.closed();
      const { by, code: told } = await next('connection.closed');
      assert.deepEqual([by, told], [who, code]);
    });

  it('says that the client was lost, that a publisher or Foregate closed it', async () => {
    const { log, next } = listen();
    const stage = await setStage({
      log,
      route: { ...connections, limits: { messageBytes: 100 } },
      answer: afterOpen(() => nothing, acceptedWithGrip([text('c:{"type":"subscribe","channel":"a"}')])),
    });
    (await stage.open()).socket.terminate();
    assert.deepEqual(pick(await next('connection.closed')), ['client', 1006]);
    const closed = await stage.open();
    await eventually(async () => (await stage.members('a')) === 1);
    await stage.publish('a', { action: 'close', code: 4003 });
    await closed.closed();
    assert.deepEqual(pick(await next('connection.closed')), ['publisher', 4003]);
    const large = await stage.open();
    large.send('x'.repeat(101));
    await large.closed();
    assert.deepEqual(pick(await next('connection.closed')), ['foregate', 1009]);
  });

  it('has the status of a refusal in place of a close code', async () => {
    const { log, next } = listen();
    const stage = await setStage({ log, route: connections, answer: () => ({ status: 403 }) });
    await refusedClient(stage.url.replace('http', 'ws'));
    assert.deepEqual(await next('connection.closed'), {
      ...base,
      ...none,
      transport: 'websocket',
      path: '/',
      requests: 1,
      status: 403,
    });
  });

  it('is there for WebSocket backends, too', async () => {
    const server = createServer();
    new WebSocketServer({ server }).on('connection', (socket) => socket.on('message', () => socket.close(4009)));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    onClear(() => void server.close());
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const { log, next } = listen();
    const stage = await setStage({ log, route: connections, targets: [{ url: `ws://127.0.0.1:${port}` }] });
    const client = await stage.open();
    client.send('bye');
    await client.closed();
    const line = { messagesIn: 1, bytesIn: 3, requests: 1, code: 4009, by: 'backend', transport: 'websocket', path: '/' };
    assert.deepEqual(await next('connection.closed'), { ...base, ...none, ...line });
  });
});

describe('the line of a request in the log', () => {
  it('has its method, status and sizes, and who it is by', async () => {
    const { log, next } = listen();
    const stage = await setStage({
      log,
      route: connections,
      answer: () => ({ status: 201, body: 'made it' }),
    });
    await (await fetch(`${stage.url}/a?b=secret`, { method: 'POST', body: 'four' })).text();
    assert.deepEqual(await next('connection.closed'), {
      ...base,
      ...none,
      transport: 'request',
      method: 'POST',
      path: '/a',
      bytesIn: 4,
      bytesOut: 7,
      requests: 1,
      status: 201,
    });
  });

  it('says that the client left, or the backend broke off', async () => {
    const { log, next } = listen();
    const stage = await setStage({ log, route: connections, answer: () => undefined });
    const leaving = new AbortController();
    const asked = fetch(stage.url, { signal: leaving.signal });
    await stage.backend.until(() => stage.backend.requests.length === 1);
    leaving.abort();
    await assert.rejects(asked);
    assert.equal((await next('connection.closed'))['by'], 'client');
    stage.backend.answer = ({ response }) => {
      response.writeHead(200, { 'Content-Length': '1000' });
      response.write('part', () => response.destroy());
      return undefined;
    };
    await assert.rejects(fetch(stage.url).then((response) => response.text()));
    const { by, status, bytesOut } = await next('connection.closed');
    assert.deepEqual([by, status, bytesOut], ['backend', 200, 4]);
  });

  it('counts what a hold wrote, and says who ended it', async () => {
    const { log, next } = listen();
    const stage = await setHoldStage({
      log,
      route: connections,
      answer: byPath({ '/stream': stream('s', {}, 'begin'), '/poll': held('p') }),
    });
    const streaming = await stage.request('/stream');
    await stage.joined('s');
    await stage.streamed('s', 'item');
    await stage.item('s', { 'http-stream': { action: 'close' } });
    await streaming.takeUntil('0\r\n\r\n');
    const line = { ...base, ...none, method: 'GET', requests: 1, status: 200, by: 'publisher', messagesOut: 1 };
    assert.deepEqual(await next('connection.closed'), { ...line, transport: 'stream', path: '/stream', bytesOut: 5 + 9 });
    const polling = await stage.request('/poll');
    await stage.joined('p');
    await stage.answered('p', 'news');
    await polling.takeUntil('news');
    assert.deepEqual(await next('connection.closed'), { ...line, transport: 'response', path: '/poll', bytesOut: 4 });
    const left = await stage.request('/stream');
    await stage.joined('s');
    left.destroy();
    assert.equal((await next('connection.closed'))['by'], 'client');
  });
});

describe('messages in the log', () => {
  const messages = (more: object) => ({ log: { messages: { sample: 1, ...more } } });

  it('have kind and size, and content only where it is asked for and looked through', async () => {
    const { log, next, lines } = listen();
    const stage = await setStage({ log, route: messages({ bytes: 60, redact: ['**.pin'] }) });
    const client = await stage.open();
    client.send('{"user":{"pin":"1234"},"n":1}');
    await client.next();
    const line = {
      event: 'message.sampled',
      route: 'test',
      kind: 'text',
      bytes: 29,
      content: '{"user":{"pin":"[redacted]"},"n":1}',
    };
    assert.deepEqual(await next('message.sampled'), { ...line, direction: 'in' });
    assert.deepEqual(await next('message.sampled'), { ...line, direction: 'out' });
    client.send('pin=1234');
    await client.next();
    assert.deepEqual(await next('message.sampled'), {
      event: 'message.sampled',
      route: 'test',
      kind: 'text',
      bytes: 8,
      direction: 'in',
    });
    assert.equal(JSON.stringify(lines).includes('1234'), false);
  });

  it('have no content by themselves', async () => {
    const { log, next } = listen();
    const stage = await setStage({ log, route: messages({}) });
    const client = await stage.open();
    client.send('{"n":1}');
    await client.next();
    assert.equal((await next('message.sampled'))['content'], undefined);
  });

  it('are not there for routes that want none', async () => {
    const { log, lines } = listen();
    const stage = await setStage({ log });
    const client = await stage.open();
    client.send('x');
    await client.next();
    await client.close();
    await (await fetch(stage.url)).text();
    assert.deepEqual(
      lines.filter(({ event }) => event !== 'session.ended'),
      [],
    );
  });
});

function pick({ by, code }: LogFields): unknown[] {
  return [by, code];
}

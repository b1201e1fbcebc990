/** What is counted, seen from outside: `GET /stats`, and the metrics under Pushpin's names (GRIP 8.8). */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';
import type { StatisticsReport } from '../../gateway/core/control-host.ts';
import {
  onClear,
  acceptedWithGrip,
  afterOpen,
  clearStage,
  eventually,
  isOpening,
  nothing,
  setStage,
  stageConfig,
  type Stage,
} from './stage.ts';
import { byPath, held, requestText, setHoldStage, stream, takeAnswer, takeText } from './holds.ts';
import { refusedClient } from '../support/client.ts';
import { reply, text } from '../support/backend.ts';

afterEach(clearStage);

async function report({ controlUrl }: Stage): Promise<StatisticsReport> {
  return (await (await fetch(`${controlUrl}/stats`)).json()) as StatisticsReport;
}

async function routeOf(stage: Stage, id = 'test'): Promise<StatisticsReport['routes'][number]> {
  const found = (await report(stage)).routes.find(({ route }) => route === id);
  assert.ok(found);
  return found;
}

async function metric(url: string, name: string): Promise<number> {
  const page = await (await fetch(url)).text();
  return Number(new RegExp(`^${name} (.*)$`, 'm').exec(page)?.[1]);
}

const subscribing = acceptedWithGrip([text('c:{"type":"subscribe","channel":"a"}')]);

describe('statistics', () => {
  it('count the messages of a WebSocket both ways, and their content', async () => {
    const stage = await setStage();
    const client = await stage.open();
    for (const content of ['12345', 'äöü']) {
      client.send(content);
      await client.nextText();
    }
    assert.deepEqual(await routeOf(stage), {
      route: 'test',
      connections: 1,
      connectionsHighest: 1,
      connectionMinutes: 1,
      sessions: { websocket: 1, stream: 0, response: 0 },
      requestsReceived: 1,
      sent: 0,
      httpResponseSent: 0,
      clientMessagesReceived: 2,
      clientMessagesSent: 2,
      clientContentBytesReceived: 11,
      serverMessagesReceived: 2,
      serverMessagesSent: 2,
      serverContentBytesReceived: 11,
      serverContentBytesSent: 11,
    });
    const { total, intervalSeconds, since, durationMs } = await report(stage);
    assert.deepEqual([total.clientMessagesReceived, total.connections, intervalSeconds], [2, 1, 10]);
    assert.ok(durationMs >= 0 && Date.now() - Date.parse(since) >= durationMs);
  });

  it('count the frames of a relayed WebSocket in the same way', async () => {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    onClear(() => server.close());
    server.on('connection', (socket) => socket.on('message', (data: Buffer) => socket.send(`${data.toString()}!`)));
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const stage = await setStage({ targets: [{ url: `ws://127.0.0.1:${port}` }] });
    const client = await stage.open();
    client.send('12345');
    assert.equal(await client.nextText(), '12345!');
    const counted = await routeOf(stage);
    assert.deepEqual([counted.clientMessagesReceived, counted.serverMessagesSent, counted.serverContentBytesSent], [1, 1, 5]);
    assert.deepEqual([counted.serverMessagesReceived, counted.serverContentBytesReceived, counted.clientMessagesSent], [1, 6, 1]);
    await client.close();
  });

  it('do not count what a policy drops as handed on', async () => {
    const deny = { kind: 'deny', code: 'forbidden', detail: 'No.', action: 'drop' } as const;
    const stage = await setStage({ policy: { message: (_session, { data }) => (data.length > 3 ? deny : undefined) } });
    const client = await stage.open();
    client.send('long message');
    client.send('ok');
    assert.equal(await client.nextText(), 'ok');
    const { clientMessagesReceived, serverMessagesSent, serverContentBytesSent } = await routeOf(stage);
    assert.deepEqual([clientMessagesReceived, serverMessagesSent, serverContentBytesSent], [2, 1, 2]);
  });

  it('count a connection until the client has left, and its minute for good', async () => {
    const stage = await setStage();
    const clients = [await stage.open(), await stage.open()];
    assert.equal((await routeOf(stage)).connections, 2);
    for (const client of clients) await client.close();
    await eventually(async () => (await routeOf(stage)).connections === 0);
    const { connectionsHighest, connectionMinutes, sessions } = await routeOf(stage);
    assert.deepEqual([connectionsHighest, connectionMinutes, sessions.websocket], [2, 2, 0]);
  });

  it('count published items once, and what was sent of them by subscriber', async () => {
    const stage = await setStage({ answer: afterOpen(() => nothing, subscribing) });
    const clients = [await stage.open(), await stage.open()];
    await eventually(async () => (await stage.members('a')) === 2);
    await stage.publish('a', { content: 'x' }, { id: '1' });
    await stage.publish('a', { content: 'x' }, { id: '1' }); // A second time: neither received nor sent.
    await stage.publish('nobody', { content: 'x' });
    for (const client of clients) assert.equal(await client.nextText(), 'x');
    const { total, routes } = await report(stage);
    assert.deepEqual([total.received, total.sent, total.channels, total.subscriptions], [2, 2, 1, 2]);
    assert.deepEqual([routes[0]?.sent, routes[0]?.clientMessagesSent, routes[0]?.httpResponseSent], [2, 2, 0]);
  });

  it('count holds by their kind, and items that answer one', async () => {
    const stage = await setHoldStage({
      answer: byPath({ '/poll': held('p', {}, 'nothing'), '/stream': stream('s', {}, 'begin\n') }),
    });
    const [poll, streaming] = [await stage.request('/poll'), await stage.request('/stream')];
    await stage.joined('p');
    await stage.joined('s');
    assert.deepEqual((await routeOf(stage)).sessions, { websocket: 0, stream: 1, response: 1 });
    await stage.answered('p', 'news');
    await stage.streamed('s', 'more\n');
    assert.equal((await takeAnswer(poll)).body, 'news');
    await streaming.takeHead();
    await takeText(streaming, 'begin\nmore\n');
    poll.destroy();
    streaming.destroy();
    await eventually(async () => (await routeOf(stage)).connections === 0);
    const { sent, httpResponseSent, requestsReceived, serverContentBytesReceived, connectionMinutes } = await routeOf(stage);
    assert.deepEqual([sent, httpResponseSent, requestsReceived, connectionMinutes], [2, 1, 2, 2]);
    assert.equal(serverContentBytesReceived, 'nothing'.length + 'begin\n'.length);
  });

  it('count the bodies of plain requests', async () => {
    const stage = await setStage({ answer: () => ({ body: '0123456789' }) });
    const socket = await stage.connect();
    socket.send(requestText('/x', { method: 'POST', body: 'four' }));
    await takeAnswer(socket);
    await eventually(async () => (await routeOf(stage)).connections === 0);
    const counted = await routeOf(stage);
    assert.deepEqual(
      [counted.clientContentBytesReceived, counted.serverContentBytesSent, counted.serverContentBytesReceived],
      [4, 4, 10],
    );
    assert.deepEqual([counted.requestsReceived, counted.clientMessagesReceived, counted.connectionsHighest], [1, 0, 1]);
  });

  it('count a handshake that the backend refuses as a request, and leave no connection', async () => {
    const stage = await setStage({ answer: () => ({ status: 403 }) });
    assert.equal((await refusedClient(stage.url.replace('http', 'ws'))).status, 403);
    const { requestsReceived, connections, sessions } = await routeOf(stage);
    assert.deepEqual([requestsReceived, connections, sessions.websocket], [1, 0, 0]);
  });

  it('do not count requests that no route takes', async () => {
    const stage = await setStage({ route: { match: { path: '/only' } } });
    assert.equal((await fetch(`${stage.url}/other`)).status, 404);
    assert.equal((await report(stage)).total.requestsReceived, 0);
  });

  it('go on through a reload, and keep the sum of a route that is gone', async () => {
    const stage = await setStage();
    const client = await stage.open();
    client.send('1');
    await client.nextText();
    const targets = [{ url: stage.backend.origin }];
    await stage.foregate.reload(await stageConfig({}, targets));
    client.send('2');
    await client.nextText();
    assert.equal((await routeOf(stage)).clientMessagesReceived, 2);
    await stage.foregate.reload(await stageConfig({ route: { id: 'other' } }, targets));
    client.send('3');
    await client.nextText();
    assert.equal((await routeOf(stage)).clientMessagesReceived, 3);
    await client.close();
    await eventually(async () => (await report(stage)).routes.every(({ route }) => route === 'other'));
    assert.equal((await report(stage)).total.clientMessagesReceived, 3);
  });

  it('are the numbers of the metrics under the names of Pushpin, also at a port of their own', async () => {
    const stage = await setStage({
      answer: afterOpen((request) => (isOpening(request) ? subscribing : reply([])), subscribing),
      settings: { metrics: { prefix: 'pp_', port: 0 } },
    });
    const client = await stage.open();
    await eventually(async () => (await stage.members('a')) === 1);
    await stage.say('a', 'x');
    await client.nextText();
    const { metrics } = stage.foregate.addresses;
    assert.match(metrics ?? '', /^http:\/\/127\.0\.0\.1:\d+$/);
    for (const url of [`${stage.controlUrl}/metrics`, `${metrics}/any/path`]) {
      assert.equal(await metric(url, 'pp_request_received'), 1);
      assert.equal(await metric(url, 'pp_connection_connected'), 1);
      assert.equal(await metric(url, 'pp_connection_minute'), 1);
      assert.equal(await metric(url, 'pp_message_received'), 1);
      assert.equal(await metric(url, 'pp_message_sent'), 1);
      assert.equal(await metric(url, 'foregate_sessions'), 1);
    }
    await stage.foregate.stop();
    await assert.rejects(fetch(`${metrics}/`));
  });
});

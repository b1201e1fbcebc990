/** A backend that goes away and comes back under many sockets and streams: nobody is disconnected, nothing is lost (GRIP 2.10, 4.6). */
import assert from 'node:assert/strict';
import { get, type ClientRequest } from 'node:http';
import { WebSocket } from 'ws';
import { echo, reply, startBackend, text, type BackendReply, type BackendRequest } from '../support/backend.ts';
import { startForegate, type RunningForegate } from '../support/gateway.ts';
import { eventually } from './stage.ts';

const each = 300;

describe('a backend that is restarted under sockets and streams', () => {
  let foregate: RunningForegate;
  const sockets: WebSocket[] = [];
  const streams: ClientRequest[] = [];
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.terminate();
    for (const stream of streams.splice(0)) stream.destroy();
    await foregate.stop();
  });

  it('loses none of them, and no event, item or publication', async () => {
    const first = await startBackend(answer);
    foregate = await startForegate({ routes: [{ id: 'all', target: first.origin }] });
    const seen = { echoes: 0, pushed: 0, streamed: 0, closed: 0 };
    await Promise.all(Array.from({ length: each }, () => openSocket(seen)));
    await Promise.all(Array.from({ length: each }, () => openStream(seen)));

    await publish('1', '0');
    await eventually(() => seen.pushed === each && seen.streamed === each);

    await first.stop();
    for (const socket of sockets) socket.send('sent while the backend is away');
    await publish('2', '1');
    await eventually(() => seen.pushed === 2 * each && seen.streamed === 2 * each);
    assert.equal(seen.echoes, 0);

    const second = await startBackend(answer, first.port);
    await eventually(() => seen.echoes === each, 8000);
    assert.deepEqual(seen, { echoes: each, pushed: 2 * each, streamed: 2 * each, closed: 0 });
    await second.stop();
  }).timeout(20_000);

  function openSocket(seen: { echoes: number; pushed: number; closed: number }): Promise<void> {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(`${foregate.socketUrl}/socket`);
      sockets.push(socket);
      socket.on('open', resolve).on('error', reject);
      socket.on('message', (data) => {
        if (Buffer.isBuffer(data) && data.toString() === 'item') seen.pushed += 1;
        else seen.echoes += 1;
      });
      socket.on('close', () => (seen.closed += 1));
    });
  }

  function openStream(seen: { streamed: number; closed: number }): Promise<void> {
    return new Promise((resolve, reject) => {
      const stream = get(`${foregate.url}/stream`, { agent: false }, (response) => {
        response.on('data', () => (seen.streamed += 1)).on('end', () => (seen.closed += 1));
        response.on('error', () => undefined);
        resolve();
      });
      streams.push(stream);
      stream.on('error', reject);
    });
  }

  async function publish(id: string, previousId: string): Promise<void> {
    const formats = { 'ws-message': { content: 'item' }, 'http-stream': { content: 'item\n' } };
    const body = JSON.stringify({ items: [{ channel: 'room', id, 'prev-id': previousId, formats }] });
    const response = await fetch(`${foregate.controlUrl}/publish/`, { method: 'POST', body });
    assert.equal(response.status, 200);
  }
});

function answer(request: BackendRequest): BackendReply {
  if (request.path === '/stream') {
    return {
      headers: { 'Grip-Hold': 'stream', 'Grip-Channel': 'room; prev-id=0', 'Grip-Link': '</next>; rel=next; timeout=60' },
    };
  }
  const opening = request.events[0]?.kind === 'open';
  const subscribe = text('c:{"type":"subscribe","channel":"room"}');
  if (opening) return reply([{ kind: 'open' }, subscribe], { 'Sec-WebSocket-Extensions': 'grip; message-prefix=""' });
  return echo(request);
}

/** What a backend needs so that nothing is lost over WebSockets: ids in subscriptions, links, and clients that come back. */
import assert from 'node:assert/strict';
import { createPublisher, webSocketEvents, type EventHandlers, type MissedSocket } from '../../gateway/backend/express.ts';
import { eventsMediaType } from '../../gateway/wire/websocket-events.ts';
import { openClient } from '../support/client.ts';
import { startForegate } from '../support/gateway.ts';
import { listen, sendEvents, stopServers } from './event-request.ts';

const control = (message: object): string => `text c:${JSON.stringify(message)}`;
const last = { 'grip-last': 'room; last-id=7' };

async function exchange(handlers: EventHandlers, headers: Readonly<Record<string, string>> = {}) {
  return sendEvents(`${await listen(webSocketEvents(handlers))}/chat`, [{ kind: 'open' }], { headers });
}

async function link(
  missed: (socket: MissedSocket) => void,
  terms: { headers?: Readonly<Record<string, string>>; path?: string } = {},
) {
  const origin = await listen(webSocketEvents({ missed }, { path: '/chat', onError: () => undefined }));
  return sendEvents(`${origin}${terms.path ?? '/chat?user=42'}`, [], { method: 'GET', headers: { ...last, ...terms.headers } });
}

afterEach(stopServers);

describe('webSocketEvents: ids', () => {
  it('go into the subscription, with the link', async () => {
    const answer = await exchange({
      open: (socket) => socket.subscribe('room', { previousId: '7', next: '/chat?a', filters: ['x'] }),
    });
    assert.deepEqual(answer.events, [
      'open',
      control({ type: 'subscribe', channel: 'room', filters: ['x'], 'prev-id': '7', next: '/chat?a' }),
    ]);
  });

  it('are refused where Foregate would not take them', async () => {
    const errors: unknown[] = [];
    for (const options of [{ previousId: 'x'.repeat(1025) }, { next: 'a b' }, { next: 'ftp://x/' }])
      await exchange({
        open(socket) {
          try {
            socket.subscribe('room', options);
          } catch (error) {
            errors.push(error);
          }
        },
      });
    assert.equal(errors.filter((error) => error instanceof TypeError).length, 3);
  });

  it('that a client has are known when it comes back', async () => {
    const seen: (readonly [string, string])[][] = [];
    const open: EventHandlers['open'] = (socket) => void seen.push([...socket.lastIds]);
    await exchange({ open }, { 'grip-last': 'room; last-id=7, b; last-id="x;y"' });
    await exchange({ open });
    await exchange({ open }, { 'grip-last': 'nonsense' });
    assert.deepEqual(seen, [
      [
        ['room', '7'],
        ['b', 'x;y'],
      ],
      [],
      [],
    ]);
  });
});

describe('webSocketEvents: what was missed', () => {
  it('is answered with messages and where it goes on, and is not to be cached', async () => {
    const answer = await link((socket) => {
      socket.send(`after ${socket.lastIds.get('room')} for ${socket.request.url}`);
      socket.subscribe('room', { previousId: '9' });
    });
    assert.deepEqual(
      [answer.status, answer.headers.get('content-type'), answer.headers.get('cache-control')],
      [200, eventsMediaType, 'no-store'],
    );
    assert.deepEqual(answer.events, [
      'text m:after 7 for /chat?user=42',
      control({ type: 'subscribe', channel: 'room', 'prev-id': '9' }),
    ]);
  });

  it('may be unknown: 410', async () => {
    assert.equal((await link((socket) => socket.unknown())).status, 410);
  });

  it('gets 500 where the handler fails', async () => {
    assert.equal((await link(() => assert.fail('broken'))).status, 500);
  });

  it('is asked at the path of the events, by GET, with their media type, and only if there is a handler', async () => {
    const ok = (): undefined => undefined;
    assert.equal((await link(ok, { path: '/other' })).status, 404);
    assert.equal((await link(ok, { headers: { accept: 'text/html' } })).status, 405);
    const origin = await listen(webSocketEvents({}));
    assert.equal((await sendEvents(origin, [], { method: 'GET' })).status, 405);
  });

  it('is for signed requests where signatures are asked for', async () => {
    const origin = await listen(webSocketEvents({ missed: () => assert.fail('unsigned') }, { signature: { key: 'secret' } }));
    assert.equal((await sendEvents(origin, [], { method: 'GET' })).status, 401);
  });

  it('reaches a client that comes back, and one whose item got lost on its way', async () => {
    const items = ['one', 'two', 'three'];
    const origin = await listen(
      webSocketEvents({
        open: (socket) =>
          socket.subscribe('room', {
            next: '/chat',
            ...(socket.lastIds.has('room') ? {} : { previousId: String(items.length) }),
          }),
        missed(socket) {
          const from = Number(socket.lastIds.get('room'));
          if (Number.isNaN(from)) return socket.unknown();
          for (const [i, item] of items.entries()) if (i >= from) socket.send(`${i + 1} ${item}`);
          socket.subscribe('room', { previousId: String(items.length) });
        },
      }),
    );
    const gateway = await startForegate({ routes: [{ id: 'chat', target: origin }], publish: { waitForEarlier: '100ms' } });
    try {
      const publisher = createPublisher(gateway.controlUrl);
      const say = async (text: string): Promise<void> => {
        const id = items.push(text);
        await publisher.publish('room', { message: `${id} ${text}`, id: String(id), previousId: String(id - 1) });
      };
      const client = await openClient(`${gateway.socketUrl}/chat?foregate-last=room;last-id=1`);
      assert.deepEqual([await client.nextText(), await client.nextText()], ['2 two', '3 three']);
      await say('four');
      assert.equal(await client.nextText(), '4 four');
      items.push('five'); // Its publication got lost.
      await say('six');
      assert.deepEqual([await client.nextText(), await client.nextText()], ['5 five', '6 six']);
      await client.close();
      const stranger = await openClient(`${gateway.socketUrl}/chat?foregate-last=room;last-id=x`);
      assert.equal((await stranger.closed()).code, 4410);
    } finally {
      await gateway.stop();
    }
  });
});

/** What a route adds to event streams beyond GRIP (`eventStream`). */
import assert from 'node:assert/strict';
import type { BackendReply } from '../support/backend.ts';
import { byPath, setHoldStage, stream, takeChunk, type HoldStage } from './holds.ts';
import { clearStage } from './stage.ts';

afterEach(clearStage);

const events = (body: string, more: Readonly<Record<string, string>> = {}): BackendReply =>
  stream('c', { 'Content-Type': 'text/event-stream', ...more }, body);

const setEventStage = (eventStream: object, answers: Parameters<typeof byPath>[0]): Promise<HoldStage> =>
  setHoldStage({ route: { eventStream }, answer: byPath(answers) });

describe('conveniences of event streams', () => {
  it('tells clients how long to wait before they come back, not all alike', async () => {
    const stage = await setEventStage({ retry: '2s' }, { '/events': events('data: first\n\n') });
    const waits = new Set<number>();
    for (let n = 0; n < 5; n += 1) {
      const socket = await stage.request('/events');
      await socket.takeHead();
      const [, ms] = /^retry: (\d+)\n\n$/.exec(await takeChunk(socket)) ?? [];
      assert.ok(Number(ms) >= 2000 && Number(ms) <= 3000, `${ms}`);
      waits.add(Number(ms));
      assert.equal(await takeChunk(socket), 'data: first\n\n');
    }
    assert.ok(waits.size > 1);
  });

  it('sends a comment after silence, unless the backend has a keep-alive of its own', async () => {
    const stage = await setEventStage(
      { heartbeat: '1s' },
      {
        '/events': events(''),
        '/own': events('', { 'Grip-Keep-Alive': 'event: own\\n\\n; format=cstring; timeout=1' }),
      },
    );
    const socket = await stage.request('/events');
    await socket.takeHead();
    assert.equal(await takeChunk(socket, 5000), ':\n\n');
    const other = await stage.request('/own');
    await other.takeHead();
    assert.equal(await takeChunk(other, 5000), 'event: own\n\n');
  });

  it('asks proxies in front not to buffer', async () => {
    const stage = await setEventStage({ unbuffered: true }, { '/events': events('') });
    const head = await (await stage.request('/events')).takeHead();
    assert.equal(head.headers.get('x-accel-buffering'), 'no');
  });

  it('adds nothing to other answers, nor where the route does not ask', async () => {
    const all = { retry: '2s', heartbeat: '1s', unbuffered: true, lastEventId: true };
    const stage = await setEventStage(all, { '/text': stream('c', {}, 'first') });
    const socket = await stage.request('/text');
    assert.equal((await socket.takeHead()).headers.get('x-accel-buffering'), undefined);
    assert.equal(await takeChunk(socket), 'first');
    await clearStage();
    const plain = await setHoldStage({ answer: byPath({ '/events': events('first') }) });
    const other = await plain.request('/events');
    assert.equal((await other.takeHead()).headers.get('x-accel-buffering'), undefined);
    assert.equal(await takeChunk(other), 'first');
  });
});

describe('Last-Event-ID in recovery', () => {
  const link = { 'Grip-Link': '</more>; rel=next; timeout=1' };

  it('is the last id that the client was sent, whoever sent it', async () => {
    const stage = await setEventStage(
      { lastEventId: true },
      { '/events': events('id: 1\ndata: a\n\n', link), '/more': events('') },
    );
    const socket = await stage.request('/events', { headers: ['Last-Event-ID: 0'] });
    await socket.takeHead();
    await takeChunk(socket);
    await stage.joined('c');
    await stage.streamed('c', 'id: 2\ndata: b\n\n');
    await takeChunk(socket);
    await stage.item('c', { 'http-stream': { action: 'hint' } });
    await stage.backend.until(() => stage.at('/more').length === 1);
    assert.equal(stage.at('/more')[0]?.headers['last-event-id'], '2');
  });

  it('is the one the client came with, as long as it was sent none', async () => {
    const stage = await setEventStage({ lastEventId: true }, { '/events': events('data: a\n\n', link), '/more': events('') });
    const socket = await stage.request('/events', { headers: ['Last-Event-ID: 41'] });
    await socket.takeHead();
    await stage.backend.until(() => stage.at('/more').length === 1, 5000);
    assert.equal(stage.at('/more')[0]?.headers['last-event-id'], '41');
  });

  it('is not sent unless the route asks', async () => {
    const stage = await setHoldStage({ answer: byPath({ '/events': events('id: 1\n\n', link), '/more': events('') }) });
    const socket = await stage.request('/events', { headers: ['Last-Event-ID: 41'] });
    await socket.takeHead();
    await stage.backend.until(() => stage.at('/more').length === 1, 5000);
    assert.equal(stage.at('/more')[0]?.headers['last-event-id'], undefined);
  });
});

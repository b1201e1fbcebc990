/** The package `eventsource`: another's reading of event streams, which reconnects by itself. */
import assert from 'node:assert/strict';
import { EventSource } from 'eventsource';
import type { BackendRequest } from '../support/backend.ts';
import { byPath, setHoldStage, stream, type HoldStage } from '../protocol/holds.ts';
import { clearStage, eventually } from '../protocol/stage.ts';

afterEach(clearStage);

interface Listening {
  readonly data: string[];
  readonly ids: string[];
  opens: number;
  close(): void;
}

const opened: Listening[] = [];
afterEach(() => {
  for (const listening of opened.splice(0)) listening.close();
});

function listen(stage: HoldStage, path: string): Listening {
  const source = new EventSource(`http://127.0.0.1:${stage.port}${path}`);
  const listening: Listening = { data: [], ids: [], opens: 0, close: () => source.close() };
  source.addEventListener('open', () => (listening.opens += 1));
  source.addEventListener('message', ({ data, lastEventId }) => {
    listening.data.push(String(data));
    listening.ids.push(lastEventId);
  });
  opened.push(listening);
  return listening;
}

const events = (body: string, more: Readonly<Record<string, string>> = {}) =>
  stream('c', { 'Content-Type': 'text/event-stream', ...more }, body);

describe('EventSource (the package)', () => {
  it('reads the first body, what is published, and events of several lines', async () => {
    const stage = await setHoldStage({ answer: byPath({ '/events': events('retry: 50\ndata: first\n\n') }) });
    const { data, ids } = listen(stage, '/events');
    await stage.joined('c');
    await stage.streamed('c', 'id: 7\ndata: two\ndata: lines é\n\n');
    await stage.streamed('c', ': a comment\n\n');
    await stage.streamed('c', 'data: last\n\n');
    await eventually(() => data.length === 3);
    assert.deepEqual(data, ['first', 'two\nlines é', 'last']);
    assert.equal(ids[1], '7');
  });

  it('comes back with its last id after the stream was closed, and the backend sees it', async () => {
    const seen: unknown[] = [];
    const answer = (request: BackendRequest) => {
      seen.push(request.headers['last-event-id']);
      return events('retry: 20\n\n');
    };
    const stage = await setHoldStage({ answer: byPath({ '/events': answer }) });
    const listening = listen(stage, '/events');
    await stage.joined('c');
    await stage.streamed('c', 'id: 41\ndata: x\n\n');
    await eventually(() => listening.data.length === 1);
    await stage.item('c', { 'http-stream': { action: 'close' } });
    await eventually(() => listening.opens === 2);
    assert.deepEqual(seen, [undefined, '41']);
    await stage.joined('c');
    await stage.streamed('c', 'data: y\n\n');
    await eventually(() => listening.data.length === 2);
  });

  it('gets what a link brings as a part of the same stream', async () => {
    const stage = await setHoldStage({
      answer: byPath({
        '/events': events('data: a\n\n', { 'Grip-Channel': 'c; prev-id=1', 'Grip-Link': '</more>; rel=next' }),
        '/more': events('data: c\n\n', { 'Grip-Channel': 'c; prev-id=3', 'Grip-Link': '</more>; rel=next' }),
      }),
    });
    const listening = listen(stage, '/events');
    await stage.joined('c');
    await stage.streamed('c', 'data: b\n\n', { id: '2', 'prev-id': '1' });
    await stage.streamed('c', 'data: missed\n\n', { id: '9', 'prev-id': '8', 'no-seq': true });
    await eventually(() => listening.data.length === 3);
    assert.deepEqual([listening.data, listening.opens], [['a', 'b', 'c'], 1]);
  });
});

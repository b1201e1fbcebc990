/** GRIP 4.5, 11: what is published between a request and its subscription is not lost, and only then the backend is asked again. */
import assert from 'node:assert/strict';
import { byPath, held, setHoldStage, stream, takeAnswer, takeChunk, type HoldStage } from './holds.ts';
import { clearStage, pause } from './stage.ts';

afterEach(clearStage);

/** A backend that publishes while it answers, as if it had read its data before. */
async function stageThatPublishes(
  answers: Parameters<typeof byPath>[0],
  publish: (stage: HoldStage, path: string) => Promise<void>,
  settings: object = {},
): Promise<HoldStage> {
  const answer = byPath(answers);
  const stage: HoldStage = await setHoldStage({
    settings,
    answer: async (request) => {
      await publish(stage, request.path);
      return answer(request);
    },
  });
  return stage;
}

const first = (paths: string[], path: string): boolean => paths.push(path) === 1;

describe('an item between a request and its subscription (GRIP 4.5)', () => {
  it('makes a long-poll ask again at once', async () => {
    const paths: string[] = [];
    const stage = await stageThatPublishes(
      { '/poll': () => (paths.length === 1 ? held('c') : { body: 'the item' }) },
      async ({ answered }, path) => {
        if (first(paths, path)) await answered('c', 'nobody gets this');
      },
    );
    const socket = await stage.request('/poll');
    assert.equal((await takeAnswer(socket)).body, 'the item');
    assert.equal(stage.at('/poll').length, 2);
  });

  it('makes a stream with a next link fetch it, once', async () => {
    const paths: string[] = [];
    const stage = await stageThatPublishes(
      { '/events': stream('c', { 'Grip-Link': '</more>; rel=next' }, 'first'), '/more': stream('c', {}, 'the item') },
      async ({ streamed }, path) => {
        if (first(paths, path)) await streamed('c', 'nobody gets this');
      },
    );
    const socket = await stage.request('/events');
    await socket.takeHead();
    assert.equal(await takeChunk(socket), 'first');
    assert.equal(await takeChunk(socket), 'the item');
    await stage.streamed('c', 'later');
    assert.equal(await takeChunk(socket), 'later');
    assert.deepEqual(paths, ['/events', '/more']);
  });

  it('counts for the channels that a link adds', async () => {
    const paths: string[] = [];
    const stage = await stageThatPublishes(
      {
        '/events': stream('c', { 'Grip-Link': '</more>; rel=next; timeout=1' }),
        '/more': stream('c, d', { 'Grip-Link': '</last>; rel=next' }),
        '/last': stream('c, d', {}, 'the item'),
      },
      async ({ streamed }, path) => {
        paths.push(path);
        if (path === '/more') await streamed('d', 'nobody gets this');
      },
    );
    const socket = await stage.request('/events');
    await socket.takeHead();
    assert.equal(await takeChunk(socket, 5000), 'the item');
    assert.deepEqual(paths, ['/events', '/more', '/last']);
  });

  it('does not count if it is the one the body contains', async () => {
    const stage = await stageThatPublishes({ '/poll': held('c; prev-id=7', { 'Grip-Timeout': '5' }) }, ({ answered }) =>
      answered('c', 'contained', { id: '7' }),
    );
    const socket = await stage.request('/poll');
    await stage.joined('c');
    await pause(100);
    await stage.answered('c', 'next', { id: '8', 'prev-id': '7' });
    assert.equal((await takeAnswer(socket)).body, 'next');
    assert.equal(stage.at('/poll').length, 1);
  });

  it('does not count if it came before the request', async () => {
    const stage = await setHoldStage({ answer: byPath({ '/poll': held('c') }) });
    await stage.answered('c', 'before');
    await pause(20);
    const socket = await stage.request('/poll');
    await stage.joined('c');
    await pause(100);
    await stage.answered('c', 'the answer');
    assert.equal((await takeAnswer(socket)).body, 'the answer');
    assert.equal(stage.at('/poll').length, 1);
  });

  it('does not count on a channel of somebody else', async () => {
    const stage = await stageThatPublishes({ '/poll': held('c') }, ({ answered }) => answered('d', 'other'));
    const socket = await stage.request('/poll');
    await stage.joined('c');
    await pause(100);
    await stage.answered('c', 'the answer');
    assert.equal((await takeAnswer(socket)).body, 'the answer');
    assert.equal(stage.at('/poll').length, 1);
  });

  it('is not looked for with `holds.recheck: false`', async () => {
    const stage = await stageThatPublishes({ '/poll': held('c') }, ({ answered }) => answered('c', 'lost'), {
      holds: { recheck: false },
    });
    const socket = await stage.request('/poll');
    await stage.joined('c');
    await pause(100);
    await stage.answered('c', 'the answer');
    assert.equal((await takeAnswer(socket)).body, 'the answer');
    assert.equal(stage.at('/poll').length, 1);
  });
});

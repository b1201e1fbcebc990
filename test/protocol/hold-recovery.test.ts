/** GRIP 4.6, 6.1, 6.4: nothing is lost and nothing comes twice, though items and replies cross each other. */
import assert from 'node:assert/strict';
import type { BackendReply } from '../support/backend.ts';
import { byPath, held, setHoldStage, stream, takeAnswer, takeChunk, takeText } from './holds.ts';
import { clearStage, gate, pause } from './stage.ts';

afterEach(clearStage);

/** A stream that has the items up to this id. */
const upTo = (id: number, body: string, more: Readonly<Record<string, string>> = {}): BackendReply =>
  stream(`c; prev-id=${id}`, { 'Grip-Link': `</items?after=${id}>; rel=next`, ...more }, body);

describe('recovery of a stream (GRIP 4.6)', () => {
  it('delivers what follows, and at a gap fetches the link with the id the client has; the item itself is in the reply', async () => {
    const stage = await setHoldStage({ answer: byPath({ '/events': upTo(7, 'to 7'), '/items': upTo(10, '9,10') }) });
    const socket = await stage.request('/events');
    await socket.takeHead();
    assert.equal(await takeChunk(socket), 'to 7');
    await stage.joined('c');
    await stage.streamed('c', '8', { id: '8', 'prev-id': '7' });
    assert.equal(await takeChunk(socket), '8');
    await stage.streamed('c', 'not this', { id: '10', 'prev-id': '9', 'no-seq': true });
    assert.equal(await takeChunk(socket), '9,10');
    const [link] = stage.at('/items?after=7');
    assert.equal(link?.headers['grip-last'], 'c; last-id=8');
    await pause(50);
    await stage.streamed('c', '11', { id: '11', 'prev-id': '10', 'no-seq': true });
    assert.equal(await takeChunk(socket), '11');
    assert.equal(stage.backend.requests.length, 2);
  });

  it('waits five seconds for an item that others wait for, then fetches the link', async function () {
    this.timeout(12_000);
    const stage = await setHoldStage({ answer: byPath({ '/events': upTo(1, ''), '/items': upTo(4, '3,4') }) });
    const socket = await stage.request('/events');
    await socket.takeHead();
    await stage.joined('c');
    await stage.streamed('c', '2', { id: '2', 'prev-id': '1' });
    assert.equal(await takeChunk(socket), '2');
    const start = performance.now();
    await stage.streamed('c', '4', { id: '4', 'prev-id': '3' });
    assert.equal(await takeChunk(socket, 8000), '3,4');
    const tookMs = performance.now() - start;
    assert.ok(tookMs > 4800 && tookMs < 6500, `${tookMs} ms`);
    assert.equal(stage.at('/items?after=1')[0]?.headers['grip-last'], 'c; last-id=2');
  });

  it('an item without a previous id is a gap too; one without an id ends the checks', async () => {
    const stage = await setHoldStage({ answer: byPath({ '/events': upTo(1, ''), '/items': upTo(2, 'two') }) });
    const socket = await stage.request('/events');
    await socket.takeHead();
    await stage.joined('c');
    await stage.streamed('c', 'not this', { id: '2' });
    assert.equal(await takeChunk(socket), 'two');
    await pause(50);
    await stage.streamed('c', 'no id', { 'prev-id': '2' });
    await stage.streamed('c', 'anything', { id: '9', 'prev-id': '8' });
    await takeText(socket, 'no idanything');
    assert.equal(stage.backend.requests.length, 2);
  });

  it('lets items wait while the link is fetched, and drops those that the reply contains', async () => {
    const open = gate();
    const stage = await setHoldStage({
      answer: byPath({
        '/events': upTo(1, ''),
        '/items': async () => {
          await open.passed;
          return upTo(4, '2,3,4 ');
        },
      }),
    });
    const socket = await stage.request('/events');
    await socket.takeHead();
    await stage.joined('c');
    const publish = (id: number) => stage.streamed('c', `<${id}>`, { id: String(id), 'prev-id': String(id - 1) });
    await stage.streamed('c', '<3>', { id: '3', 'prev-id': '2', 'no-seq': true });
    await stage.backend.until(() => stage.at('/items?after=1').length === 1);
    for (const id of [4, 5, 6]) await publish(id);
    await pause(50);
    assert.equal(socket.received.length, 0);
    open.open();
    await takeText(socket, '2,3,4 <5><6>');
    await publish(7);
    assert.equal(await takeChunk(socket), '<7>');
    await pause(1200);
    assert.equal(stage.backend.requests.length, 2); // The ids fit: nothing more is to be fetched.
    assert.equal(socket.received.length, 0);
  });

  it('keeps at most 100 items waiting', async () => {
    const open = gate();
    const stage = await setHoldStage({
      answer: byPath({
        '/events': upTo(1, ''),
        '/items': async () => {
          await open.passed;
          return upTo(1, 'N');
        },
      }),
    });
    const socket = await stage.request('/events');
    await socket.takeHead();
    await stage.joined('c');
    await stage.recover();
    await stage.backend.until(() => stage.at('/items?after=1').length === 1);
    for (let id = 2; id <= 110; id += 1) await stage.streamed('c', '.', { id: String(id), 'prev-id': String(id - 1) });
    open.open();
    await takeText(socket, `N${'.'.repeat(100)}`);
  });

  it('begins at once where the last id that is known is another one', async () => {
    const stage = await setHoldStage({
      answer: byPath({ '/other': stream('c'), '/events': upTo(1, 'to 1 '), '/items': upTo(2, 'two') }),
    });
    const other = await stage.request('/other');
    await other.takeHead();
    await stage.joined('c');
    await stage.streamed('c', 'x', { id: '2', 'prev-id': '1' });
    assert.equal(await takeChunk(other), 'x');
    const socket = await stage.request('/events');
    await socket.takeHead();
    await takeText(socket, 'to 1 two');
    assert.equal(stage.at('/items?after=1')[0]?.headers['grip-last'], 'c; last-id=1');
    await pause(1200);
    assert.equal(stage.backend.requests.length, 3);
  });

  it('asks a backend that is behind once a second, not without a pause', async () => {
    const stage = await setHoldStage({
      answer: byPath({ '/other': stream('c'), '/events': upTo(1, ''), '/items': upTo(1, '') }),
    });
    await stage.request('/other');
    await stage.joined('c');
    await stage.streamed('c', 'x', { id: '2', 'prev-id': '1' });
    await stage.request('/events');
    await pause(1500);
    const { length } = stage.at('/items?after=1');
    assert.ok(length >= 1 && length <= 2, `${length} requests`);
  });

  it('is asked for by POST /recover/, for every stream that has a link', async () => {
    const stage = await setHoldStage({
      answer: byPath({ '/events': upTo(1, ''), '/items': upTo(2, 'two'), '/plain': stream('p'), '/poll': held('q') }),
    });
    const sockets = await Promise.all(['/events', '/plain'].map((path) => stage.request(path)));
    for (const socket of sockets) await socket.takeHead();
    await stage.joined('c');
    await stage.joined('p');
    await stage.recover();
    const [socket] = sockets;
    assert.ok(socket);
    assert.equal(await takeChunk(socket), 'two');
    assert.equal(stage.at('/items?after=1')[0]?.headers['grip-last'], 'c; last-id=1');
    assert.equal(stage.backend.requests.length, 3);
  });

  it('does not start for what was forgotten by POST /recover/', async () => {
    const stage = await setHoldStage({ answer: byPath({ '/other': stream('c'), '/events': upTo(1, 'to 1') }) });
    await stage.request('/other');
    await stage.joined('c');
    await stage.streamed('c', 'x', { id: '2', 'prev-id': '1' });
    await stage.recover();
    const socket = await stage.request('/events');
    await socket.takeHead();
    assert.equal(await takeChunk(socket), 'to 1');
    await stage.joined('c', 2);
    await pause(100);
    assert.equal(stage.backend.requests.length, 2);
  });

  it('builds ids from the ids a client has', async () => {
    const filter = { 'Grip-Channel': 'a; prev-id=1; filter=build-id, b; prev-id=7; filter=build-id' };
    const meta = { 'Grip-Set-Meta': 'id_format="%(a)s-%(b)s"', 'Grip-Link': '</next>; rel=next' };
    const stage = await setHoldStage({
      answer: byPath({ '/events': { headers: { 'Grip-Hold': 'stream', ...filter, ...meta } } }),
    });
    const socket = await stage.request('/events');
    await socket.takeHead();
    await stage.joined('b');
    await stage.streamed('a', '[%I]', { id: '2', 'prev-id': '1' });
    await stage.streamed('b', '[%I]', { id: '8', 'prev-id': '7' });
    await takeText(socket, '[2-7][2-8]');
  });

  it('sends ids and channels in quotes where they need them', async () => {
    const channel = String.raw`c; prev-id="a;b\"c"`;
    const stage = await setHoldStage({
      answer: byPath({ '/events': stream(channel, { 'Grip-Link': '</next>; rel=next' }), '/next': {} }),
    });
    const socket = await stage.request('/events');
    await socket.takeHead();
    await stage.joined('c');
    await stage.recover();
    await stage.backend.until(() => stage.at('/next').length === 1);
    assert.equal(stage.at('/next')[0]?.headers['grip-last'], String.raw`c; last-id="a;b\"c"`);
  });
});

describe('recovery of a client that polls (GRIP 4.5)', () => {
  it('a poll that comes back finds out what was published in between', async () => {
    const answers = ['1', '1', '2'];
    const stage = await setHoldStage({
      answer: byPath({
        '/poll': ({ headers }) => (headers['grip-last'] ? { body: 'missed' } : held(`c; prev-id=${answers.shift() ?? ''}`)),
      }),
    });
    const first = await stage.request('/poll');
    await stage.joined('c');
    await stage.answered('c', 'two', { id: '2', 'prev-id': '1' });
    assert.equal((await takeAnswer(first)).body, 'two');
    await stage.joined('c', 0);
    // Nobody is there, but the channel is remembered.
    await stage.answered('c', 'three', { id: '3', 'prev-id': '2' });
    assert.equal((await takeAnswer(await stage.request('/poll'))).body, 'missed');
    assert.equal(stage.backend.requests.at(-1)?.headers['grip-last'], 'c; last-id=1');
  });

  it('items that arrive during the request again do not get lost', async () => {
    const open = gate();
    const stage = await setHoldStage({
      answer: byPath({
        '/poll': async ({ headers }) => {
          if (headers['grip-last'] === undefined) return held('c; prev-id=1');
          await open.passed;
          return held('c; prev-id=3');
        },
      }),
    });
    const socket = await stage.request('/poll');
    await stage.joined('c');
    await stage.answered('c', 'gap', { id: '3', 'prev-id': '2' });
    await stage.backend.until(() => stage.backend.requests.length === 2);
    await stage.answered('c', 'four', { id: '4', 'prev-id': '3' });
    await pause(50);
    assert.equal(socket.received.length, 0);
    open.open();
    assert.equal((await takeAnswer(socket)).body, 'four');
    assert.equal(stage.backend.requests.length, 2);
  });
});

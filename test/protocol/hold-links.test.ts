/** GRIP 4.6: links, which make one long answer of several replies and refresh streams. */
import assert from 'node:assert/strict';
import { ForegateError } from '../../gateway/core/errors.ts';
import { silentLog } from '../../gateway/core/log.ts';
import { newRouteStatistics } from '../../gateway/core/route-statistics.ts';
import { HoldRequests } from '../../gateway/session/hold-requests.ts';
import type { HoldParts } from '../../gateway/session/parts.ts';
import { ManualClock } from '../../gateway/testing/index.ts';
import { startBackend, type BackendReply } from '../support/backend.ts';
import { byPath, held, instruct, requestText, setHoldStage, stream, takeAnswer, takeChunk, takeText } from './holds.ts';
import { clearStage, eventually, gate, onClear, pause } from './stage.ts';

afterEach(clearStage);

/** A reply that goes on with another. */
const page = (uri: string, body: string, more: Readonly<Record<string, string>> = {}): BackendReply => ({
  headers: { 'Grip-Link': `<${uri}>; rel=next`, ...more },
  body,
});

describe('links (GRIP 4.6)', () => {
  it('make one answer of a chain, each resolved against the one before; the last page ends it', async () => {
    const stage = await setHoldStage({
      answer: byPath({
        '/a/one': page('two?x=1', '1', { 'X-First': 'f' }),
        '/a/two': page('../b/three', '2', { 'X-Second': 's' }),
        '/b/three': page('?page=4', '3'),
        '/last': { body: '5' },
        '/plain': { body: 'plain' },
      }),
      settings: { grip: { key: 'secret' } },
    });
    stage.backend.answer = ((before) => (request) => (request.path === '/b/three?page=4' ? page('/last', '4') : before(request)))(
      stage.backend.answer,
    );
    const socket = await stage.request('/a/one', {
      headers: ['Cookie: a=b', 'Authorization: x', 'X-Own: 1', 'X-Forwarded-For: 1.2.3.4'],
    });
    const head = await socket.takeHead();
    assert.deepEqual(
      [head.headers.get('x-first'), head.headers.has('x-second'), head.headers.has('grip-link')],
      ['f', false, false],
    );
    await takeText(socket, '12345');
    assert.equal(await takeChunk(socket), '');
    assert.deepEqual(
      stage.backend.requests.map(({ path }) => path),
      ['/a/one', '/a/two?x=1', '/b/three', '/b/three?page=4', '/last'],
    );
    const link = stage.backend.requests[1];
    const names = Object.keys(link?.headers ?? {}).filter((name) => name !== 'connection');
    assert.deepEqual(names.toSorted(), ['grip-feature', 'grip-sig', 'host']);
    assert.deepEqual([link?.method, link?.headers.host], ['GET', stage.backend.requests[0]?.headers.host]);
    assert.ok(link?.headers['grip-sig']);
    socket.send(requestText('/plain'));
    assert.equal((await takeAnswer(socket)).body, 'plain');
  });

  it('may lead into a stream, whose instructions count from then on', async () => {
    const stage = await setHoldStage({
      answer: byPath({
        '/start': page('/hold', 'a'),
        '/hold': stream('c; filter=skip-self', { 'Grip-Set-Meta': 'user="42"' }, 'b'),
      }),
    });
    const socket = await stage.request('/start');
    await socket.takeHead();
    await takeText(socket, 'ab');
    await stage.joined('c');
    await stage.streamed('c', 'own', { meta: { sender: '42' } });
    await stage.streamed('c', 'c');
    assert.equal(await takeChunk(socket), 'c');
  });

  it('of a stream are fetched when not all channels had an item for so long; what is joined changes by difference', async () => {
    let times = 0;
    const stage = await setHoldStage({
      answer: byPath({
        '/events': stream('a, b', { 'Grip-Link': '</next>; rel=next; timeout=1', 'Grip-Keep-Alive': 'old; timeout=1' }),
        '/next': () => {
          times += 1;
          return stream('b, c', { 'Grip-Link': '</next>; rel=next; timeout=3600' }, `next ${times}`);
        },
      }),
    });
    const socket = await stage.request('/events');
    await socket.takeHead();
    await stage.joined('a');
    await pause(300);
    await stage.streamed('a', 'A'); // The other had none.
    await socket.takeUntil('next 1\r\n');
    await stage.joined('c');
    await stage.joined('a', 0);
    assert.equal(await stage.members('b'), 1);
    await stage.streamed('a', 'not any more');
    await stage.streamed('b', 'B');
    await socket.takeUntil('1\r\nB\r\n');
    await pause(1200);
    assert.equal(socket.received.length, 0); // Neither the old keep-alive nor the old time counts.
    assert.equal(times, 1);
  });

  it('of a stream wait as long again after an item on every channel', async () => {
    const stage = await setHoldStage({
      answer: byPath({ '/events': stream('a, b', { 'Grip-Link': '</next>; rel=next; timeout=1' }), '/next': { body: 'end' } }),
    });
    const start = performance.now();
    const socket = await stage.request('/events');
    await stage.joined('b');
    await pause(500);
    await stage.streamed('a', 'A');
    await stage.streamed('b', 'B');
    await socket.takeUntil('end');
    assert.ok(performance.now() - start > 1450);
  });

  it('are fetched at a hint; without one a hint does nothing', async () => {
    const stage = await setHoldStage({
      answer: byPath({ '/events': stream('c', { 'Grip-Link': '</next>; rel=next' }), '/next': stream('c', {}, 'N') }),
    });
    const socket = await stage.request('/events');
    await socket.takeHead();
    await stage.joined('c');
    await stage.item('c', { 'http-stream': { action: 'hint' } });
    assert.equal(await takeChunk(socket), 'N');
    await pause(50);
    await stage.item('c', { 'http-stream': { action: 'hint' } });
    await stage.streamed('c', 'item');
    assert.equal(await takeChunk(socket), 'item');
    assert.equal(stage.at('/next').length, 1);
  });

  it('end the answer with a response hold, with wrong instructions, and with a document', async function () {
    const stage = await setHoldStage({
      answer: byPath({
        '/to-hold': page('/hold', 'a'),
        '/hold': held('c', {}, 'not shown'),
        '/to-wrong': page('/wrong', 'a'),
        '/wrong': { headers: { 'Grip-Hold': 'forever' }, body: 'not shown' },
      }),
    });
    for (const path of ['/to-hold', '/to-wrong']) {
      const socket = await stage.request(path);
      await socket.takeHead();
      assert.deepEqual([await takeChunk(socket), await takeChunk(socket)], ['a', ''], path);
    }
  });

  it('say what is wrong in debug mode, behind two line ends', async () => {
    const stage = await setHoldStage({
      answer: byPath({
        '/to-wrong': page('/wrong', 'a'),
        '/wrong': { headers: { 'Grip-Hold': 'forever' } },
        '/no-link': stream('p; prev-id=1', {}, 'a'),
      }),
      route: { debug: true, channelPrefix: 'x-' },
    });
    for (const [path, message] of [
      ['/to-wrong', "Grip-Hold must be set to either 'response' or 'stream'"],
      ['/no-link', "channel 'p' specifies prev-id, but no next link found"],
    ] as const) {
      const socket = await stage.request(path);
      await socket.takeHead();
      await takeText(socket, `a\n\n${message}\n`);
      assert.equal(await takeChunk(socket), '');
    }
  });

  it('are needed where a channel has a previous id: without one the stream ends', async () => {
    const stage = await setHoldStage({ answer: byPath({ '/events': stream('c; prev-id=1', {}, 'first') }) });
    const socket = await stage.request('/events');
    await socket.takeHead();
    assert.deepEqual([await takeChunk(socket), await takeChunk(socket)], ['first', '']);
    await stage.joined('c', 0);
  });

  it('are fetched again a second after a failure, and the stream goes on meanwhile', async () => {
    let times = 0;
    const stage = await setHoldStage({
      answer: byPath({
        '/events': stream('c', { 'Grip-Link': '</next>; rel=next' }),
        '/next': () => {
          times += 1;
          return times === 1 ? { status: 503, headers: { 'Grip-Hold': 'stream' }, body: 'not shown' } : stream('c', {}, 'N');
        },
      }),
    });
    const socket = await stage.request('/events');
    await socket.takeHead();
    await stage.joined('c');
    const start = performance.now();
    await stage.item('c', { 'http-stream': { action: 'hint' } });
    await stage.backend.until(() => stage.at('/next').length === 1);
    await stage.streamed('c', 'meanwhile');
    assert.equal(await takeChunk(socket), 'meanwhile');
    assert.equal(await takeChunk(socket, 4000), 'N');
    const tookMs = performance.now() - start;
    assert.ok(tookMs > 950 && tookMs < 2500, `${tookMs} ms`);
  });

  it('are given up after five more tries, 1, 2, 4, 8 and 16 s and up to a second apart', async () => {
    const clock = new ManualClock();
    const triedAt: number[] = [];
    const start = clock.now();
    const requests = requestsOn(clock, () => triedAt.push(clock.now() - start));
    const given = requests.follow('/next');
    for (let ms = 0; ms < 40_000; ms += 100) {
      clock.advance(100);
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(await given, undefined);
    assert.equal(triedAt.length, 6);
    for (const [i, seconds] of [1, 2, 4, 8, 16].entries()) {
      const waited = (triedAt[i + 1] ?? 0) - (triedAt[i] ?? 0);
      assert.ok(waited >= seconds * 1000 - 100 && waited <= seconds * 1000 + 1200, `${waited} ms for ${seconds} s`);
    }
  });

  it('to the origin of the client go to the target of the route, others over the network', async () => {
    const other = await startBackend(() => ({ body: 'other' }));
    onClear(() => other.stop());
    const stage = await setHoldStage({
      answer: byPath({
        '/own': page('http://client.example/here?x=1', 'a'),
        '/here': { body: 'here' },
        '/other': page(`${other.origin}/there`, 'a'),
      }),
      settings: { grip: { key: 'secret' } },
    });
    const own = await stage.request('/own');
    await own.takeHead();
    await takeText(own, 'ahere');
    const foreign = await stage.request('/other', { headers: ['Cookie: a=b'] });
    await foreign.takeHead();
    await takeText(foreign, 'aother');
    assert.equal(await takeChunk(foreign), '');
    const [request] = other.requests;
    assert.deepEqual([request?.path, request?.method, request?.headers.cookie], ['/there', 'GET', undefined]);
    assert.equal(request?.headers.host, new URL(other.origin).host);
  });

  it('stay with the target whatever path and host a client names', async () => {
    const trap = await startBackend(() => ({ body: 'trap' }));
    onClear(() => trap.stop());
    const stage = await setHoldStage({
      answer: ({ path }) => (path.endsWith('/x') ? page('next', 'a') : { body: `at ${path}` }),
    });
    const { host } = new URL(trap.origin);
    for (const path of [`//${host}/x`, `//user@${host}/x`, `/\\${host}/x`]) {
      const socket = await stage.request(path);
      await socket.takeHead();
      assert.equal(await takeChunk(socket), 'a', path);
      assert.match(await takeChunk(socket), /^at /, path);
    }
    for (const name of ['a b', '[', 'x:99999', 'user@x', '%']) {
      const socket = await stage.request('//y/x', { host: name });
      const head = await socket.takeHead();
      if (head.status !== 200) continue;
      assert.equal(await takeChunk(socket), 'a', name);
      assert.match(await takeChunk(socket), /^at /, name);
    }
    const old = await stage.request('//y/x', { version: '1.0', host: '' });
    await old.takeHead();
    await old.takeUntil('at /');
    assert.equal(trap.requests.length, 0);
  });

  it('that lead nowhere end the answer, and as gone links are left out', async () => {
    const stage = await setHoldStage({
      answer: byPath({
        '/mail': page('mailto:x@y', 'a'),
        '/gone': stream('c', { 'Grip-Link': '<ftp://x/y>; rel=gone' }),
        '/plain': { body: 'p' },
      }),
    });
    const socket = await stage.request('/mail');
    await socket.takeHead();
    assert.deepEqual([await takeChunk(socket), await takeChunk(socket)], ['a', '']);
    const gone = await stage.request('/gone');
    await stage.joined('c');
    gone.destroy();
    await stage.joined('c', 0);
    assert.equal((await takeAnswer(await stage.request('/plain'))).body, 'p');
  });

  it('of several clients are one request if they are equal in all, and one each otherwise', async () => {
    const open = gate();
    const stage = await setHoldStage({
      answer: byPath({
        '/events': ({ path }) => stream('c', { 'Grip-Link': `</next${path.slice('/events'.length)}>; rel=next` }),
        '/next': async ({ path }) => {
          await open.passed;
          return { body: path };
        },
      }),
    });
    const sockets = await Promise.all(['?u=1', '?u=1', '?u=2'].map((query) => stage.request(`/events${query}`)));
    for (const socket of sockets) await socket.takeHead();
    await stage.joined('c', 3);
    await stage.item('c', { 'http-stream': { action: 'hint' } });
    await stage.backend.until(() => stage.backend.requests.length === 5);
    await pause(50);
    assert.equal(stage.backend.requests.length, 5);
    open.open();
    for (const [i, query] of ['?u=1', '?u=1', '?u=2'].entries()) {
      const socket = sockets[i];
      assert.ok(socket);
      assert.equal(await takeChunk(socket), `/next${query}`);
    }
  });

  it('of a client that leaves meanwhile are of no effect', async () => {
    const open = gate();
    const stage = await setHoldStage({
      answer: byPath({
        '/events': page('/next', 'a'),
        '/next': async () => {
          await open.passed;
          return stream('c', {}, 'late');
        },
      }),
    });
    const socket = await stage.request('/events');
    await stage.backend.until(() => stage.at('/next').length === 1);
    socket.destroy();
    await eventually(async () => (await (await fetch(`${stage.controlUrl}/connections`)).text()).trim() === '[]');
    open.open();
    await pause(50);
    assert.equal(await stage.members('c'), 0);
  });

  it('are not taken from a gone link of a later reply', async () => {
    const stage = await setHoldStage({
      answer: byPath({
        '/events': stream('c', { 'Grip-Link': '</next>; rel=next, </gone-1>; rel=gone' }),
        '/next': stream('c', { 'Grip-Link': '</gone-2>; rel=gone' }, 'N'),
        '/gone-1': {},
      }),
    });
    const socket = await stage.request('/events');
    await socket.takeHead();
    await stage.joined('c');
    await stage.item('c', { 'http-stream': { action: 'hint' } });
    assert.equal(await takeChunk(socket), 'N');
    await pause(50);
    await stage.item('c', { 'http-stream': { action: 'close' } });
    await stage.backend.until(() => stage.at('/gone-1').length === 1);
    await pause(50);
    assert.equal(stage.at('/gone-2').length, 0);
  });

  it('given by a document of the first reply count', async () => {
    const stage = await setHoldStage({
      answer: byPath({
        '/events': instruct({ response: { body: 'a' } }, { 'Grip-Link': '</next>; rel=next' }),
        '/next': { body: 'b' },
      }),
    });
    const socket = await stage.request('/events');
    await socket.takeHead();
    await takeText(socket, 'ab');
  });
});

/** Requests of a hold whose backend always fails. */
function requestsOn(clock: ManualClock, tried: () => void): HoldRequests {
  const fetch: HoldParts['links']['fetch'] = () => {
    tried();
    return Promise.reject(new ForegateError('downstream-unreachable'));
  };
  const parts = { clock, log: silentLog, hub: { release: () => undefined }, links: { fetch } };
  const caller = {
    live: true,
    id: 's',
    route: { channelPrefix: '', statistics: newRouteStatistics(0) },
    view: { request: { secure: false, headers: [], path: '/' } },
  };
  const first = { draft: { method: 'GET', path: '/', headers: ['Host', 'x'], body: undefined } };
  // Of all these, that is what following a link needs.
  return new HoldRequests(...([parts, caller, first] as unknown as ConstructorParameters<typeof HoldRequests>));
}

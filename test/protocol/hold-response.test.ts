/** GRIP 4.1-4.5: requests whose answer waits (long polling), and replies whose instructions are wrong. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { deny } from '../../gateway/core/policy.ts';
import { byPath, held, instruct, requestText, setHoldStage, takeAnswer } from './holds.ts';
import { clearStage, eventually, onClear, pause } from './stage.ts';

afterEach(clearStage);

describe('a held response (GRIP 4.5)', () => {
  it("is the instruction's own at the timeout, and a shorter one than 5 s acts as 5 s", async function () {
    this.timeout(12_000);
    const stage = await setHoldStage({
      answer: byPath({
        '/own': held('c', { 'Grip-Timeout': '1', 'Grip-Status': '299 Still Nothing', 'X-Own': 'x', 'Grip-Other': 'y' }),
        '/json': instruct({ hold: { channels: [{ name: 'c' }], timeout: 0 }, response: { code: 203, body: 'json' } }),
        '/204': held('c', { 'Grip-Timeout': '5', 'Grip-Status': '204' }, ''),
        '/304': held('c', { 'Grip-Timeout': '5', 'Grip-Status': '304', ETag: '"1"' }, ''),
        '/no-channels': { headers: { 'Grip-Hold': 'response', 'Grip-Timeout': '5' }, body: 'alone' },
        '/hops': held('c', { 'Grip-Timeout': '5', 'Keep-Alive-Interval': '20' }),
      }),
    });
    const start = performance.now();
    const paths = ['/own', '/json', '/204', '/304', '/no-channels', '/hops'];
    const sockets = await Promise.all([...paths.map((path) => stage.request(path)), stage.request('/own', { method: 'HEAD' })]);
    await stage.joined('c', 6);
    assert.equal(sockets[0]?.received.length, 0);
    const [own, json, noContent, notModified, alone] = await Promise.all(
      sockets.slice(0, 5).map((socket) => takeAnswer(socket, 8000)),
    );
    const tookMs = performance.now() - start;
    assert.ok(tookMs >= 4900 && tookMs < 6500, `${tookMs} ms`);
    assert.deepEqual([own?.status, own?.reason, own?.body, own?.headers.get('x-own')], [299, 'Still Nothing', 'nothing\n', 'x']);
    assert.deepEqual(
      [...(own?.headers.keys() ?? [])].filter((name) => name.startsWith('grip')),
      [],
    );
    assert.deepEqual([json?.status, json?.body, json?.headers.get('content-type')], [203, 'json', undefined]);
    assert.deepEqual([noContent?.status, noContent?.headers.has('content-length'), noContent?.body], [204, false, '']);
    assert.deepEqual(
      [notModified?.status, notModified?.headers.get('etag'), notModified?.headers.has('content-length')],
      [304, '"1"', false],
    );
    assert.equal(alone?.body, 'alone');
    const [, , , , , , head] = sockets;
    assert.ok(head);
    assert.equal((await head.takeHead()).status, 299);
    // The connection is good for another request: no byte of a body has come.
    head.send(requestText('/unknown'));
    assert.equal((await takeAnswer(head)).status, 404);
    await stage.joined('c', 0);
  });

  it('is made of the first item for its channel: code, reason, body, and fields in place of those of the same name', async () => {
    const stage = await setHoldStage({
      answer: byPath({ '/poll': held('a, b', { 'X-Kept': '1', 'X-Both': 'own', 'Set-Cookie': ['a=1', 'b=2'] }) }),
    });
    const socket = await stage.request('/poll');
    await stage.joined('b');
    const headers = [
      ['x-both', 'item'],
      ['Content-Type', 'application/json'],
      ['Grip-Secret', 'x'],
      ['Content-Length', '99'],
      ['X-New', 'n'],
    ];
    await stage.streamed('b', 'not for it');
    await stage.item('b', { 'http-response': { code: '418', reason: 'Short', headers, body: '{"n":1}' } });
    await stage.answered('b', 'second');
    const answer = await takeAnswer(socket);
    assert.deepEqual([answer.status, answer.reason, answer.body], [418, 'Short', '{"n":1}']);
    const expected = {
      'x-kept': '1',
      'x-both': 'item',
      'content-type': 'application/json',
      'x-new': 'n',
      'set-cookie': 'a=1, b=2',
    };
    for (const [name, value] of Object.entries(expected)) assert.equal(answer.headers.get(name), value, name);
    assert.equal(answer.headers.get('content-length'), '7');
    assert.equal(answer.headers.has('grip-secret'), false);
    await stage.joined('b', 0);
    assert.equal(socket.received.length, 0);
    // The same connection polls again.
    socket.send(requestText('/poll'));
    await stage.joined('b');
    await stage.answered('a', 'again');
    assert.equal((await takeAnswer(socket)).body, 'again');
  });

  it('of a HEAD request has no body, and close and refresh do nothing', async () => {
    const stage = await setHoldStage({ answer: byPath({ '/poll': held('c') }) });
    const socket = await stage.request('/poll', { method: 'HEAD' });
    await stage.joined('c');
    for (const action of ['close', 'refresh']) await stage.item('c', { 'http-response': { action } });
    await stage.answered('c', 'body');
    const head = await socket.takeHead();
    assert.deepEqual([head.status, head.headers.get('content-length')], [200, '4']);
    socket.send(requestText('/unknown'));
    assert.equal((await takeAnswer(socket)).status, 404);
  });

  it('of 204 has no length, though the item has a body', async () => {
    const stage = await setHoldStage({ answer: byPath({ '/poll': held('c') }) });
    const socket = await stage.request('/poll');
    await stage.joined('c');
    await stage.item('c', { 'http-response': { code: 204, body: 'ignored' } });
    assert.equal((await socket.takeHead()).headers.has('content-length'), false);
    socket.send(requestText('/unknown'));
    assert.equal((await takeAnswer(socket)).status, 404);
  });

  it('is patched, compact and with sorted members; a patch that does not fit is a 502', async () => {
    const stage = await setHoldStage({
      answer: byPath({ '/poll': held('c', {}, '{"z": 1, "a": [1]}\n'), '/text': held('c', {}, 'no JSON') }),
    });
    const json = await stage.request('/poll');
    const text = await stage.request('/text');
    await stage.joined('c', 2);
    await stage.item('c', { 'http-response': { 'body-patch': [{ op: 'add', path: '/a/-', value: 2 }] } });
    assert.equal((await takeAnswer(json)).body, '{"a":[1,2],"z":1}\n');
    const bad = await takeAnswer(text);
    assert.deepEqual([bad.status, bad.body], [502, 'Error while proxying to origin.\n']);
  });

  it('keeps the fields that are exposed, its own and those of an item', async () => {
    const stage = await setHoldStage({
      answer: byPath({
        '/plain': { headers: { 'Grip-Expose-Headers': 'X-Seen', 'X-Seen': '1', 'X-Hidden': '2' }, body: 'now' },
        '/poll': held('c', { 'X-Seen': '1', 'X-Hidden': '2' }),
      }),
    });
    const plain = await takeAnswer(await stage.request('/plain'));
    assert.deepEqual([...plain.headers.keys()].toSorted(), ['connection', 'content-length', 'keep-alive', 'x-seen']);
    assert.equal(plain.body, 'now');
    const socket = await stage.request('/poll');
    await stage.joined('c');
    await stage.item('c', { 'http-response': { body: 'x', headers: { 'Grip-Expose-Headers': 'X-Seen' } } });
    const answer = await takeAnswer(socket);
    assert.deepEqual([answer.headers.get('x-seen'), answer.headers.has('x-hidden')], ['1', false]);
  });

  it('passes its filters', async () => {
    const stage = await setHoldStage({
      answer: byPath({ '/poll': held('c; filter=skip-self; filter=var-subst', { 'Grip-Set-Meta': 'user="42"' }) }),
    });
    const socket = await stage.request('/poll');
    await stage.joined('c');
    await stage.item('c', { 'http-response': { body: 'own' } }, { meta: { sender: '42' } });
    await stage.item('c', { 'http-response': { body: 'other form', 'content-filters': ['build-id'] } });
    await stage.item(
      'c',
      { 'http-response': { body: 'for %(user)s', 'content-filters': ['var-subst'] } },
      { meta: { sender: '43' } },
    );
    assert.equal((await takeAnswer(socket)).body, 'for 42');
  });

  it('is forgotten when the client leaves: nobody is told but a gone link', async () => {
    const stage = await setHoldStage({
      answer: byPath({ '/poll': held('c', { 'Grip-Link': '</gone?user=1>; rel=gone' }), '/gone': {} }),
    });
    const socket = await stage.request('/poll', { headers: ['Cookie: a=b'] });
    await stage.joined('c');
    socket.destroy();
    await stage.joined('c', 0);
    await stage.backend.until(() => stage.at('/gone?user=1').length === 1);
    const [gone] = stage.at('/gone?user=1');
    assert.deepEqual(
      [gone?.method, gone?.body.length, gone?.headers['content-length'], gone?.headers.cookie],
      ['POST', 0, '0', undefined],
    );
    assert.equal(stage.backend.requests.length, 2);
  });

  it('tells the gone link for each client, also when many leave at once', async () => {
    const stage = await setHoldStage({
      answer: byPath({ '/poll': held('c', { 'Grip-Link': '</gone>; rel=gone' }), '/gone': {} }),
    });
    const sockets = await Promise.all([1, 2, 3].map(() => stage.request('/poll')));
    await stage.joined('c', 3);
    for (const socket of sockets) socket.destroy();
    await stage.backend.until(() => stage.at('/gone').length === 3);
  });

  it('joins the channels of the target and those with the prefix of the route', async () => {
    const stage = await setHoldStage({
      answer: byPath({ '/poll': held('c') }),
      route: { channelPrefix: 'p-' },
      target: { channels: ['everybody'] },
    });
    const socket = await stage.request('/poll');
    await stage.joined('p-c');
    await stage.joined('everybody');
    await stage.answered('c', 'no');
    await stage.answered('everybody', 'yes');
    assert.equal((await takeAnswer(socket)).body, 'yes');
  });

  it('stands in the list of sessions', async () => {
    const stage = await setHoldStage({ answer: byPath({ '/poll': held('c') }) });
    await stage.request('/poll?token=x');
    await stage.joined('c');
    const [session] = (await (await fetch(`${stage.controlUrl}/connections`)).json()) as Record<string, unknown>[];
    assert.deepEqual([session?.['transport'], session?.['path'], session?.['channels']], ['response', '/poll', ['c']]);
  });
});

describe('the request again (GRIP 4.5)', () => {
  it('is made at a hint with method, path, fields and body of the first, and its plain reply is the answer', async () => {
    const body = 'x'.repeat(90_000);
    let times = 0;
    const stage = await setHoldStage({
      answer: byPath({
        '/poll': () => {
          times += 1;
          return times === 1 ? held('a; prev-id=1, b') : { status: 201, headers: { 'X-Plain': 'p' }, body: 'plain' };
        },
      }),
      settings: { grip: { key: 'secret' } },
    });
    const socket = await stage.request('/poll?q=1', { method: 'POST', headers: ['X-Own: 1', 'Content-Type: text/plain'], body });
    await stage.joined('a');
    await stage.item('a', { 'http-response': { action: 'hint' } }, { id: '2', 'prev-id': '1' });
    const answer = await takeAnswer(socket);
    assert.deepEqual([answer.status, answer.body, answer.headers.get('x-plain')], [201, 'plain', 'p']);
    const [first, second] = stage.at('/poll?q=1');
    assert.equal(second?.method, 'POST');
    assert.equal(first?.body.toString(), body);
    assert.equal(second?.body.toString(), body);
    assert.match(String(second?.headers['grip-last']), /^a; last-id=[12]$/);
    for (const name of ['x-own', 'content-type', 'host', 'content-length'])
      assert.equal(second?.headers[name], first?.headers[name], name);
    assert.ok(second?.headers['grip-sig']);
    assert.equal(second?.rawHeaders.filter((name) => name.toLowerCase() === 'grip-sig').length, 1);
    assert.equal(first?.headers['grip-last'], undefined);
  });

  it('has the whole body, though the backend answered before it had come', async () => {
    const server = createServer((request, response) => {
      if (request.headers['grip-last'] === undefined) {
        response.writeHead(200, { 'Grip-Hold': 'response', 'Grip-Channel': 'c; prev-id=1' }).end();
        request.resume();
        return;
      }
      let bytes = 0;
      request.on('data', (part: Buffer) => (bytes += part.length)).on('end', () => response.end(String(bytes)));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    onClear(() => void server.close());
    onClear(() => server.closeAllConnections());
    const { port } = server.address() as AddressInfo;
    const early = await setHoldStage({ targets: [{ url: `http://127.0.0.1:${port}` }] });
    const socket = await early.request('/', { method: 'POST', headers: ['Content-Length: 20'] });
    socket.send('x'.repeat(10));
    await pause(100);
    socket.send('x'.repeat(10));
    await early.joined('c');
    await early.item('c', { 'http-response': { action: 'hint' } }, { 'prev-id': '1', id: '2' });
    assert.equal((await takeAnswer(socket)).body, '20');
  });

  it('is made when an item does not follow the id the client has, whose body then may be anything', async () => {
    let times = 0;
    const stage = await setHoldStage({
      answer: byPath({
        '/poll': () => {
          times += 1;
          return held(`p-c; prev-id=${times === 1 ? '1' : '4'}`, { 'Grip-Link': '</gone>; rel=gone' });
        },
        '/gone': {},
      }),
      route: { channelPrefix: 'x-' },
    });
    const socket = await stage.request('/poll');
    await stage.joined('x-p-c');
    await stage.answered('x-p-c', 'a gap', { id: '4', 'prev-id': '3', 'no-seq': true });
    await stage.backend.until(() => stage.at('/poll').length === 2);
    assert.equal(stage.at('/poll')[1]?.headers['grip-last'], 'p-c; last-id=1');
    await stage.backend.until(() => stage.at('/gone').length === 1); // The first hold is over.
    await stage.answered('x-p-c', 'follows', { id: '5', 'prev-id': '4' });
    assert.equal((await takeAnswer(socket)).body, 'follows');
    await stage.backend.until(() => stage.at('/gone').length === 2);
  });

  it('is made at once if the last id that is known differs, at most once a second', async () => {
    const stage = await setHoldStage({ answer: byPath({ '/poll': held('c; prev-id=1'), '/other': held('c') }) });
    await stage.request('/other');
    await stage.joined('c');
    await stage.answered('c', 'x', { id: '2' });
    await stage.joined('c', 0);
    // The backend is behind for ever.
    const start = performance.now();
    const socket = await stage.request('/poll');
    await stage.backend.until(() => stage.at('/poll').length === 3);
    const tookMs = performance.now() - start;
    assert.ok(tookMs > 900 && tookMs < 2500, `${tookMs} ms`);
    assert.equal(stage.at('/poll')[1]?.headers['grip-last'], 'c; last-id=1');
    assert.equal(socket.received.length, 0);
  });

  it('is made for every held response by POST /recover/', async () => {
    let times = 0;
    const stage = await setHoldStage({
      answer: byPath({ '/poll': () => ((times += 1) < 3 ? held('c') : { body: 'recovered' }) }),
    });
    const socket = await stage.request('/poll');
    await stage.joined('c');
    await stage.recover();
    await stage.backend.until(() => stage.at('/poll').length === 2);
    await pause(50); // Until its reply is taken: nothing can be seen of that.
    await stage.recover();
    assert.equal((await takeAnswer(socket)).body, 'recovered');
  });

  it('may become a stream, and a fault of the backend is a 502', async () => {
    let times = 0;
    const stage = await setHoldStage({
      answer: byPath({
        '/poll': () => {
          times += 1;
          return times === 1
            ? held('c', { 'Grip-Timeout': '5' })
            : { headers: { 'Grip-Hold': 'stream', 'Grip-Channel': 'd' }, body: 'first' };
        },
        '/broken': ({ response }) => {
          if (stage.at('/broken').length === 1) return held('e');
          response.destroy();
          return undefined;
        },
      }),
    });
    const socket = await stage.request('/poll');
    await stage.joined('c');
    await stage.item('c', { 'http-response': { action: 'hint' } });
    assert.equal((await socket.takeHead()).headers.get('transfer-encoding'), 'chunked');
    await stage.joined('d');
    await stage.joined('c', 0);
    await stage.streamed('d', 'more');
    assert.equal((await socket.takeUntil('more\r\n')).toString(), '5\r\nfirst\r\n4\r\nmore\r\n');
    const switched = performance.now();
    const broken = await stage.request('/broken');
    await stage.joined('e');
    await stage.item('e', { 'http-response': { action: 'hint' } });
    assert.equal((await takeAnswer(broken)).status, 502);
    // The time of the hold before does not end the stream.
    await pause(5200 - (performance.now() - switched));
    await stage.streamed('d', 'still');
    assert.equal((await socket.takeUntil('still\r\n')).toString(), '5\r\nstill\r\n');
  });
});

describe('the form in JSON (GRIP 4.3)', () => {
  it('holds, its answer is that of the document, and fields of the reply are not shown', async () => {
    const document = {
      hold: { mode: 'response', channels: [{ name: 'c', filters: ['skip-self'] }], meta: { user: '42' } },
      response: {
        code: 200,
        headers: [
          ['X-Doc', 'd'],
          ['Grip-No', 'x'],
        ],
        body: 'own',
      },
    };
    const stage = await setHoldStage({
      answer: byPath({ '/poll': instruct(document, { 'X-Reply': 'r', 'Grip-Channel': 'd' }) }),
    });
    const socket = await stage.request('/poll');
    await stage.joined('c');
    await stage.joined('d');
    await stage.item('c', { 'http-response': { body: 'own item' } }, { meta: { sender: '42' } });
    await stage.answered('d', 'item');
    const answer = await takeAnswer(socket);
    assert.deepEqual([answer.body, answer.headers.get('x-doc')], ['item', 'd']);
    assert.deepEqual([answer.headers.has('x-reply'), answer.headers.has('grip-no')], [false, false]);
  });

  it('may say no more than an answer', async () => {
    const stage = await setHoldStage({
      answer: byPath({ '/now': instruct({ response: { code: 201, 'body-bin': 'AAE=' } }), '/empty': instruct({}) }),
    });
    const answer = await takeAnswer(await stage.request('/now'));
    assert.deepEqual([answer.status, answer.body], [201, '\0\x01']);
    assert.deepEqual([(await takeAnswer(await stage.request('/empty'))).status], [200]);
  });
});

describe('instructions that cannot be followed (GRIP 4.1, 4.4)', () => {
  const wrong: readonly (readonly [string, Readonly<Record<string, string>>, string])[] = [
    ['another mode', { 'Grip-Hold': 'forever' }, "Grip-Hold must be set to either 'response' or 'stream'"],
    ['a timeout that is no number', { 'Grip-Hold': 'response', 'Grip-Timeout': 'soon' }, 'failed to parse Grip-Timeout'],
    ['an empty keep-alive', { 'Grip-Hold': 'stream', 'Grip-Keep-Alive': '; timeout=5' }, 'Grip-Keep-Alive cannot be empty'],
    ['a link without brackets', { 'Grip-Link': '/x; rel=next' }, 'failed to parse Grip-Link value'],
    [
      'six filters',
      { 'Grip-Hold': 'response', 'Grip-Channel': `c${'; filter=a'.repeat(6)}` },
      "too many filters for channel 'c'",
    ],
    [
      'a document that is none',
      { 'Content-Type': 'application/grip-instruct' },
      'failed to parse application/grip-instruct content as JSON',
    ],
  ];
  for (const [what, headers, message] of wrong) {
    it(`are a 502: ${what}`, async () => {
      const stage = await setHoldStage({ answer: () => ({ headers, body: '{' }) });
      const answer = await takeAnswer(await stage.request('/'));
      assert.deepEqual([answer.status, answer.body], [502, 'Error while proxying to origin.\n']);
      assert.match(answer.headers.get('content-type') ?? '', /^text\/plain/);
    });

    it(`say what is wrong in debug mode: ${what}`, async () => {
      const stage = await setHoldStage({ answer: () => ({ headers, body: '{' }), route: { debug: true } });
      const answer = await takeAnswer(await stage.request('/'));
      assert.deepEqual([answer.status, answer.body], [502, `Failed to parse accept instructions: ${message}\n`]);
    });
  }

  it('are a 502 where the document is not the body of a 200, and a 400 where the request was too large to be made again', async () => {
    const stage = await setHoldStage({
      answer: byPath({
        '/500': { ...instruct({ response: { body: 'x' } }), status: 500 },
        '/large': held('c'),
        '/plain': { body: 'fine' },
      }),
    });
    assert.equal((await takeAnswer(await stage.request('/500'))).status, 502);
    const large = await takeAnswer(await stage.request('/large', { method: 'POST', body: 'x'.repeat(100_001) }));
    assert.deepEqual([large.status, large.body], [400, 'Request too large to accept GRIP instruct.\n']);
    assert.equal((await takeAnswer(await stage.request('/plain', { method: 'POST', body: 'x'.repeat(300_000) }))).body, 'fine');
    const fits = await stage.request('/large', { method: 'POST', body: 'x'.repeat(100_000) });
    await stage.joined('c');
    await stage.answered('c', 'held');
    assert.equal((await takeAnswer(fits)).body, 'held');
  });

  it('are a 502 where the body of a response hold or a document is above 100000 bytes', async () => {
    const body = 'x'.repeat(100_001);
    const stage = await setHoldStage({
      answer: byPath({
        '/hold': held('c', {}, body),
        '/document': instruct({ response: { body } }),
        '/build-id': { ...held('c; filter=build-id', { 'Grip-Hold': 'stream' }, body) },
        '/plain': { headers: { 'Grip-Status': '201' }, body },
      }),
    });
    for (const path of ['/hold', '/document', '/build-id', '/plain'])
      assert.equal((await takeAnswer(await stage.request(path))).status, 502, path);
  });

  it('hold nothing on a route without GRIP, and are not shown there either', async () => {
    const stage = await setHoldStage({ answer: () => held('c'), route: { grip: false } });
    const answer = await takeAnswer(await stage.request('/'));
    assert.deepEqual([answer.body, answer.headers.has('grip-hold')], ['nothing\n', false]);
  });

  it('come with any status in the form of fields', async () => {
    const stage = await setHoldStage({ answer: () => ({ ...held('c', {}, 'own'), status: 500 }) });
    const socket = await stage.request('/');
    await stage.joined('c');
    await stage.item('c', { 'http-response': { body: 'x' } });
    assert.equal((await takeAnswer(socket)).status, 200);
  });
});

describe('policies and the end of the program, for held responses', () => {
  it('a subscription that is denied is left out, and a policy that closes is the answer', async () => {
    const stage = await setHoldStage({
      answer: byPath({ '/poll': held('open, secret'), '/closed': held('closed') }),
      policy: {
        subscribe: (_session, channel) => {
          if (channel === 'secret') return deny('forbidden', 'Not for you.', { action: 'drop' });
          return channel === 'closed' ? deny('forbidden', 'Not for you at all.', { action: 'close' }) : undefined;
        },
      },
    });
    const socket = await stage.request('/poll');
    await stage.joined('open');
    assert.equal(await stage.members('secret'), 0);
    await stage.answered('open', 'fine');
    assert.equal((await takeAnswer(socket)).body, 'fine');
    const closed = await takeAnswer(await stage.request('/closed'));
    assert.deepEqual([closed.status, JSON.parse(closed.body).detail], [403, 'Not for you at all.']);
  });

  it('policies see one session from connect to disconnect, which becomes a held one', async () => {
    const seen: unknown[] = [];
    const kinds: string[] = [];
    const stage = await setHoldStage({
      answer: byPath({ '/poll': held('c', { 'Grip-Set-Meta': 'user="42"' }) }),
      policy: {
        connect: (session) => {
          seen.push(session);
          kinds.push(session.transport);
        },
        subscribe: (session) => {
          seen.push(session);
          kinds.push(`${session.transport} ${session.meta.get('user')}`);
          return undefined;
        },
        disconnect: (session) => void seen.push(session),
      },
    });
    const socket = await stage.request('/poll');
    await stage.joined('c');
    socket.destroy();
    await eventually(() => seen.length === 3);
    assert.equal(new Set(seen).size, 1);
    assert.deepEqual(kinds, ['request', 'response 42']);
  });

  it('are answered with their own answer when the program stops', async () => {
    const stage = await setHoldStage({ answer: byPath({ '/poll': held('c', {}, 'own') }) });
    const socket = await stage.request('/poll');
    await stage.joined('c');
    await stage.foregate.stop();
    assert.equal((await takeAnswer(socket)).body, 'own');
  });

  it('are sent whole when the program stops, and gone links are told', async () => {
    const body = 'x'.repeat(100_000);
    const stage = await setHoldStage({
      answer: byPath({ '/poll': held('c', { 'Grip-Link': '</gone>; rel=gone' }, body), '/gone': {} }),
    });
    const sockets = await Promise.all([1, 2, 3].map(() => stage.request('/poll')));
    await stage.joined('c', 3);
    await stage.foregate.stop();
    for (const socket of sockets) assert.equal((await takeAnswer(socket)).body, body);
    await stage.backend.until(() => stage.at('/gone').length === 3);
  });

  it('count as sessions: above the limit the answer is 503', async () => {
    const stage = await setHoldStage({ answer: byPath({ '/poll': held('c') }), settings: { limits: { sessions: 1 } } });
    await stage.request('/poll');
    await stage.joined('c');
    assert.equal((await takeAnswer(await stage.request('/poll'))).status, 503);
  });
});

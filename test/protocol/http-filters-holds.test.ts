/** GRIP 5, `http-check` and `http-modify` for held requests: streams with their ids and links, and answers. */
import assert from 'node:assert/strict';
import type { Answer, BackendReply, BackendRequest } from '../support/backend.ts';
import { byPath, held, setHoldStage, stream, takeAnswer, takeChunk, takeText, type HoldStage } from './holds.ts';
import { clearStage, eventually, gate, pause } from './stage.ts';

afterEach(clearStage);

const route = { filterRequests: 1000 };
const checked = 'a; filter=http-check';
const modified = 'a; filter=http-modify';

/** The stage's backend answers questions of filters by `says`, everything else by path. */
function setAsking(says: Answer, answers: Parameters<typeof byPath>[0], more: object = {}): Promise<HoldStage> {
  const others = byPath(answers);
  return setHoldStage({
    route: { ...route, ...more },
    answer: (request) => (isQuestion(request) ? says(request) : others(request)),
  });
}

function isQuestion({ headers }: BackendRequest): boolean {
  return headers['sub-meta'] !== undefined;
}

function questions({ backend }: HoldStage): BackendRequest[] {
  return backend.requests.filter(isQuestion);
}

const drop: BackendReply = { headers: { Action: 'drop' } };
const linked = (last: string, channels = `a; prev-id=${last}; filter=http-check`, body = ''): BackendReply =>
  stream(channels, { 'Grip-Set-Meta': 'url="ask"', 'Grip-Link': `</more?after=${last}>; rel=next` }, body);

describe('filters that ask, for streams', () => {
  it('check and change what is published, in order', async () => {
    const says: Answer = async ({ path, body }) => {
      if (path === '/dir/slow') await new Promise((resolve) => setTimeout(resolve, 20));
      return body.toString() === '3' ? drop : { body: `<${body.toString()}>` };
    };
    const stage = await setAsking(says, {
      '/dir/stream': stream(`${modified}, b`, { 'Grip-Set-Meta': 'url="slow", user="ann"' }),
    });
    const socket = await stage.request('/dir/stream', { headers: ['Cookie: a=b'] });
    await socket.takeHead();
    await stage.joined('a');
    for (const [channel, content] of [
      ['a', '1'],
      ['b', '2'],
      ['a', '3'],
      ['b', '4'],
      ['a', '5'],
    ] as const)
      await stage.streamed(channel, content, { meta: { n: content } });
    await takeText(socket, '<1>24<5>');
    const [question] = questions(stage);
    assert.deepEqual([question?.method, question?.headers.cookie], ['POST', undefined]);
    assert.deepEqual(JSON.parse(String(question?.headers['sub-meta'])), { url: 'slow', user: 'ann' });
    assert.deepEqual(JSON.parse(String(question?.headers['pub-meta'])), { n: '1' });
  });

  it('tell the ids that the client has, without the prefix of the route', async () => {
    const { passed, open: answer } = gate();
    const stage = await setAsking(
      () => passed.then(() => ({})),
      {
        '/stream': stream('a; prev-id=7; filter=http-check, b; prev-id="x y"', {
          'Grip-Set-Meta': 'url="/ask"',
          'Grip-Link': '</more>; rel=next',
        }),
      },
      { channelPrefix: 'p-' },
    );
    const socket = await stage.request('/stream');
    await socket.takeHead();
    await stage.joined('p-a');
    await stage.streamed('p-a', '8', { id: '8', 'prev-id': '7' });
    await stage.streamed('p-a', '9', { id: '9', 'prev-id': '8' });
    await stage.backend.until(() => questions(stage).length === 1);
    answer();
    await takeText(socket, '89');
    const lasts = questions(stage).map(({ rawHeaders }) =>
      rawHeaders.filter((_, i) => rawHeaders[i - 1] === 'Grip-Last').toSorted(),
    );
    assert.deepEqual(lasts, [
      ['a; last-id=7', 'b; last-id="x y"'],
      ['a; last-id=8', 'b; last-id="x y"'],
    ]);
  });

  it('go on from an item that was dropped, and see gaps when its turn has come', async () => {
    const stage = await setAsking(({ headers }) => (headers['pub-meta'] === '{"n":"8"}' ? drop : {}), {
      '/stream': linked('7'),
      '/more': linked('11', undefined, 'link'),
    });
    const socket = await stage.request('/stream');
    await socket.takeHead();
    await stage.joined('a');
    await stage.streamed('a', '8', { id: '8', 'prev-id': '7', meta: { n: '8' } });
    await stage.streamed('a', '9', { id: '9', 'prev-id': '8' });
    await takeText(socket, '9');
    assert.equal(stage.at('/more?after=7').length, 0);
    await stage.streamed('a', '11', { id: '11', 'prev-id': '10', 'no-seq': true });
    await takeText(socket, 'link');
    assert.equal(stage.at('/more?after=7')[0]?.headers['grip-last'], 'a; last-id=9');
    assert.equal(questions(stage).length, 2);
  });

  it('ask once more after a link that was fetched meanwhile, unless its body contains the item', async () => {
    const gates = [gate(), gate(), gate()];
    let asked = 0;
    const stage = await setAsking(
      async () => {
        asked += 1;
        await gates[asked - 1]?.passed;
        return {};
      },
      {
        '/stream': linked('7'),
        '/more': ({ path }) => (path.endsWith('7') ? linked('8', undefined, 'first ') : linked('8', undefined, 'second ')),
      },
    );
    const socket = await stage.request('/stream');
    await socket.takeHead();
    await stage.joined('a');
    await stage.streamed('a', 'eight ', { id: '8', 'prev-id': '7' });
    await eventually(() => asked === 1);
    await stage.recover();
    await takeText(socket, 'first ');
    gates[0]?.open();
    await stage.streamed('a', 'nine ', { id: '9', 'prev-id': '8' });
    await eventually(() => asked === 2);
    await stage.recover();
    await takeText(socket, 'second ');
    gates[1]?.open();
    await eventually(() => asked === 3);
    gates[2]?.open();
    await takeText(socket, 'nine ');
    assert.equal(asked, 3);
  });

  it('bring no request of a link for what waits while they ask', async () => {
    const [linkAnswered, filterAnswered] = [gate(), gate()];
    const stage = await setAsking(() => filterAnswered.passed.then(() => ({})), {
      '/stream': linked('7'),
      '/more': () => linkAnswered.passed.then(() => linked('8', undefined, 'eight ')),
    });
    const socket = await stage.request('/stream');
    await socket.takeHead();
    await stage.joined('a');
    await stage.recover();
    await eventually(() => stage.at('/more?after=7').length === 1);
    await stage.streamed('a', 'nine ', { id: '9', 'prev-id': '8' });
    linkAnswered.open();
    await takeText(socket, 'eight ');
    await eventually(() => questions(stage).length === 1);
    await pause(1100); // A link is asked again after a second.
    assert.equal(stage.at('/more?after=8').length, 0);
    filterAnswered.open();
    await takeText(socket, 'nine ');
  });

  it('resolve their url against the last link', async () => {
    const stage = await setAsking(() => ({}), {
      '/one/stream': { headers: { 'Grip-Link': '</two/page>; rel=next' }, body: 'one ' },
      '/two/page': stream(checked, { 'Grip-Set-Meta': 'url="ask"' }, 'two '),
    });
    const socket = await stage.request('/one/stream');
    await socket.takeHead();
    await takeText(socket, 'one two ');
    await stage.joined('a');
    await stage.streamed('a', 'x');
    await takeText(socket, 'x');
    assert.equal(questions(stage)[0]?.path, '/two/ask');
  });

  it('end the stream with their reason in debug mode', async () => {
    const stage = await setAsking(
      () => ({ status: 404 }),
      { '/': stream(checked, { 'Grip-Set-Meta': 'url="/ask"' }) },
      { debug: true },
    );
    const socket = await stage.request('/');
    await socket.takeHead();
    await stage.joined('a');
    await stage.streamed('a', 'x');
    await takeText(socket, '\n\nThe filter http-check failed: The backend answered with the status 404.\n');
    assert.equal(await takeChunk(socket), '');
  });

  it('leave nothing behind for a client that goes while they ask', async () => {
    const { passed, open: answer } = gate();
    const stage = await setAsking(() => passed.then(() => ({})), { '/': stream(checked, { 'Grip-Set-Meta': 'url="/ask"' }) });
    const socket = await stage.request('/');
    await socket.takeHead();
    await stage.joined('a');
    for (const content of ['1', '2']) await stage.streamed('a', content);
    await stage.backend.until(() => questions(stage).length === 1);
    socket.destroy();
    await stage.joined('a', 0);
    answer();
    const next = await stage.request('/');
    await next.takeHead();
    await stage.joined('a');
    await stage.streamed('a', '3');
    await takeText(next, '3');
    assert.equal(questions(stage).length, 2);
  });
});

describe('filters that ask, for held answers', () => {
  const meta = { 'Grip-Set-Meta': 'url="/ask"' };

  it('drop, change and let pass; the first that passes is the answer', async () => {
    const answers: BackendReply[] = [drop, { status: 500 }, { body: 'changed' }];
    const stage = await setAsking(() => answers.shift(), { '/': held(modified, meta) });
    const socket = await stage.request('/');
    await stage.joined('a');
    for (const body of ['1', '2', '3', '4']) await stage.answered('a', body);
    const answer = await takeAnswer(socket);
    assert.deepEqual([answer.status, answer.body], [200, 'changed']);
    assert.deepEqual(
      questions(stage).map(({ body }) => body.toString()),
      ['1', '2', '3'],
    );
  });

  it('may check a patch, but not change it', async () => {
    const stage = await setAsking(() => ({}), {
      '/check': held(checked, meta, '{"n":1}'),
      '/modify': held(modified, meta, '{"n":1}'),
    });
    const [check, modify] = [await stage.request('/check'), await stage.request('/modify')];
    await stage.joined('a', 2);
    await stage.item('a', { 'http-response': { 'body-patch': [{ op: 'replace', path: '/n', value: 2 }] } });
    assert.equal((await takeAnswer(check)).body, '{"n":2}');
    await stage.answered('a', 'whole');
    assert.equal((await takeAnswer(modify)).body, '');
    assert.deepEqual(
      questions(stage).map(({ body }) => body.toString()),
      ['', 'whole'],
    );
  });

  it('let the hint wait its turn', async () => {
    const { passed, open: answer } = gate();
    let asked = 0;
    const stage = await setAsking(() => passed.then(() => drop), {
      '/': () => ((asked += 1) === 1 ? held(checked, meta) : { body: 'again' }),
    });
    const socket = await stage.request('/');
    await stage.joined('a');
    await stage.answered('a', 'x');
    await stage.backend.until(() => questions(stage).length === 1);
    await stage.item('a', { 'http-response': { action: 'hint' } });
    assert.equal(asked, 1);
    answer();
    assert.equal((await takeAnswer(socket)).body, 'again');
  });

  it('ask again where the hold becomes a stream meanwhile', async () => {
    const { passed, open: answer } = gate();
    let asked = 0;
    const stage = await setAsking(({ body }) => passed.then(() => ({ body: `<${body.toString()}>` })), {
      '/': () => ((asked += 1) === 1 ? held(modified, meta) : stream(modified, meta)),
    });
    const socket = await stage.request('/');
    await stage.joined('a');
    await stage.item('a', { 'http-response': { body: 'response' }, 'http-stream': { content: 'stream' } });
    await stage.backend.until(() => questions(stage).length === 1);
    await stage.recover();
    await socket.takeHead();
    answer();
    await takeText(socket, '<stream>');
    assert.equal(questions(stage).length, 2);
  });

  it('give way to the timeout of the hold', async () => {
    const stage = await setAsking(() => undefined, { '/': held(checked, { ...meta, 'Grip-Timeout': '5' }) });
    const socket = await stage.request('/');
    await stage.joined('a');
    await stage.answered('a', 'x');
    assert.equal((await takeAnswer(socket, 8000)).body, 'nothing\n');
    await eventually(async () => (await stage.members('a')) === 0);
  }).timeout(12_000);

  it('answer 502 with their reason in debug mode', async () => {
    const stage = await setAsking(() => ({ status: 201 }), { '/': held(checked, meta) }, { debug: true });
    const socket = await stage.request('/');
    await stage.joined('a');
    await stage.answered('a', 'x');
    const answer = await takeAnswer(socket);
    assert.equal(answer.status, 502);
    assert.match(answer.body, /The filter http-check failed: The backend answered with the status 201\./);
  });

  it('drop every item where the route has them off, a patch too', async () => {
    const stage = await setAsking(
      () => ({}),
      { '/check': held(checked, meta, '{"n":1}'), '/modify': held(modified, meta, '{"n":1}') },
      { filterRequests: 0 },
    );
    const sockets = [await stage.request('/check'), await stage.request('/modify')];
    await stage.joined('a', 2);
    await stage.item('a', { 'http-response': { 'body-patch': [{ op: 'replace', path: '/n', value: 2 }] } });
    await stage.answered('a', 'x');
    for (const socket of sockets) await assert.rejects(takeAnswer(socket, 100));
    assert.equal(questions(stage).length, 0);
  });
});

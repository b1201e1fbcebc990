import assert from 'node:assert/strict';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import jsonwebtoken from 'jsonwebtoken';
import { reply, text } from '../support/backend.ts';
import { refusedClient } from '../support/client.ts';
import {
  acceptedWithGrip,
  afterOpen,
  clearStage,
  eventually,
  gate,
  onClear,
  pause,
  said,
  setStage,
  stageConfig,
} from './stage.ts';
import type { Stage } from './stage.ts';

const route = { sockjs: { path: '/sock', asPath: '/ws', clientUrl: 'https://static.example/sockjs.js?a=1&b=2' } };

interface Got {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

interface Pending {
  /** The whole answer. */
  readonly answer: Promise<Got>;
  /** What has come so far. */
  body(): string;
  leave(): void;
}

interface AskTerms {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
}

function start({ port }: Stage, path: string, { method = 'POST', headers = {}, body }: AskTerms = {}): Pending {
  let got = '';
  const request = httpRequest({ host: '127.0.0.1', port, path, method, headers, agent: false });
  const answer = new Promise<Got>((resolve, reject) => {
    request.once('error', reject);
    request.once('response', (response) => {
      response.setEncoding('utf8').on('data', (chunk: string) => (got += chunk));
      response.once('error', reject);
      response.once('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: got }));
    });
  });
  answer.catch(() => undefined);
  request.end(body);
  onClear(() => void request.destroy());
  return { answer, body: () => got, leave: () => request.destroy() };
}

function ask(stage: Stage, path: string, terms: AskTerms = {}): Promise<Got> {
  return start(stage, path, terms).answer;
}

const get = (stage: Stage, path: string, headers: Readonly<Record<string, string>> = {}): Promise<Got> =>
  ask(stage, path, { method: 'GET', headers });

/** Opens a session by polling. */
async function opened(stage: Stage, id = 'one', terms: AskTerms = {}): Promise<void> {
  const first = await ask(stage, `/sock/000/${id}/xhr`, terms);
  assert.deepEqual([first.status, first.body], [200, 'o\n']);
}

async function frame(stage: Stage, id = 'one', terms: AskTerms = {}): Promise<string> {
  return (await ask(stage, `/sock/000/${id}/xhr`, terms)).body;
}

const subscribeNews = text('c:{"type":"subscribe","channel":"news"}');

/** The messages of a frame of a poll. */
function elements(body: string): string[] {
  assert.match(body, /^a\[.*\]\n$/);
  return JSON.parse(body.slice(1)) as string[];
}

async function connections({ controlUrl }: Stage): Promise<unknown> {
  return (await fetch(`${controlUrl}/connections`)).json();
}

const send = (stage: Stage, body: string | Buffer, id = 'one', headers: Readonly<Record<string, string>> = {}): Promise<Got> =>
  ask(stage, `/sock/000/${id}/xhr_send`, { body, headers });

describe('SockJS: what there is', () => {
  afterEach(clearStage);

  it('greets at its base, and tells what it can', async () => {
    const stage = await setStage({ route });
    for (const path of ['/sock', '/sock/']) {
      const { status, body, headers } = await get(stage, path);
      assert.deepEqual([status, body, headers['content-type']], [200, 'Welcome to SockJS!\n', 'text/plain; charset=UTF-8']);
    }
    const one = await get(stage, '/sock/info?t=1');
    const two = await get(stage, '/sock/info');
    const { entropy, ...info } = JSON.parse(one.body) as Record<string, unknown>;
    assert.deepEqual(info, { websocket: true, origins: ['*:*'], cookie_needed: false });
    assert.equal(typeof entropy, 'number');
    assert.notEqual(one.body, two.body);
    assert.match(one.headers['cache-control'] ?? '', /no-store/);
    assert.equal(stage.backend.requests.length, 0);
  });

  it('takes nothing but what is below its path', async () => {
    const stage = await setStage({ route, answer: () => ({ body: 'backend' }) });
    for (const path of ['/', '/sockets', '/sock2/info', '/soc', '/ws'])
      assert.equal((await get(stage, path)).body, 'backend', path);
    for (const path of [
      '/sock/x',
      '/sock//',
      '/sock/a/b',
      '/sock/a/b/c',
      '/sock/a/b/xhr/',
      '/sock/a/b.c/xhr',
      '/sock/a.b/c/xhr',
      '/sock//b/xhr',
      '/sock/iframe.htm',
      '/sock/info/',
      '/sock/a/b/htmlfile',
      '/sock/a/b/constructor',
    ])
      assert.equal((await get(stage, path)).status, 404, path);
    assert.equal(stage.backend.requests.length, 5);
  });

  it('is not there on a route without it', async () => {
    const stage = await setStage({ answer: () => ({ body: 'backend' }) });
    assert.equal((await get(stage, '/sock/info')).body, 'backend');
  });

  it('has a page for iframes that is kept, if it knows the script', async () => {
    const stage = await setStage({ route });
    const page = await get(stage, '/sock/iframe-1.2.html?x');
    assert.match(page.body, /<script src="https:\/\/static\.example\/sockjs\.js\?a=1&amp;b=2"><\/script>/);
    assert.match(page.body, /SockJS\.bootstrap_iframe/);
    assert.equal(page.headers['cache-control'], 'public, max-age=31536000');
    const tag = page.headers.etag ?? '';
    const again = await get(stage, '/sock/iframe.html', { 'If-None-Match': tag });
    assert.deepEqual([again.status, again.body, again.headers['content-type']], [304, '', undefined]);
    await clearStage();
    const without = await setStage({ route: { sockjs: { path: '/sock' } } });
    assert.equal((await get(without, '/sock/iframe.html')).status, 404);
  });

  it('lets pages of other origins read, with cookies if they say who they are', async () => {
    const stage = await setStage({ route });
    const known = await get(stage, '/sock/info', { Origin: 'https://app.example' });
    assert.equal(known.headers['access-control-allow-origin'], 'https://app.example');
    assert.equal(known.headers['access-control-allow-credentials'], 'true');
    for (const headers of [{ Origin: 'null' }, {}] as const) {
      const unknown = await get(stage, '/sock/info', headers);
      assert.equal(unknown.headers['access-control-allow-origin'], '*');
      assert.equal(unknown.headers['access-control-allow-credentials'], undefined);
    }
  });

  it('answers preflights, to be kept', async () => {
    const stage = await setStage({ route });
    for (const [path, method] of [
      ['/sock/0/a/xhr', 'POST'],
      ['/sock/0/a/xhr_send', 'POST'],
      ['/sock/0/a/eventsource', 'GET'],
      ['/sock/info', 'GET'],
    ] as const) {
      const headers = { Origin: 'https://app.example', 'Access-Control-Request-Headers': 'a, b' };
      const answer = await ask(stage, path, { method: 'OPTIONS', headers });
      assert.deepEqual([answer.status, answer.body], [204, '']);
      assert.equal(answer.headers['access-control-allow-methods'], `OPTIONS, ${method}`);
      assert.equal(answer.headers['access-control-allow-headers'], 'a, b');
      assert.equal(answer.headers['access-control-max-age'], '31536000');
      assert.equal(answer.headers['access-control-allow-origin'], 'https://app.example');
      assert.match(answer.headers['cache-control'] ?? '', /public/);
    }
    assert.equal(stage.backend.requests.length, 0);
  });

  it('names the right method to those who use another', async () => {
    const stage = await setStage({ route });
    for (const [path, method, allow] of [
      ['/sock/0/a/xhr', 'GET', 'OPTIONS, POST'],
      ['/sock/0/a/jsonp?c=x', 'POST', 'OPTIONS, GET'],
      ['/sock/info', 'PUT', 'OPTIONS, GET'],
      ['/sock', 'DELETE', 'OPTIONS, GET'],
    ] as const) {
      const answer = await ask(stage, path, { method });
      assert.deepEqual([answer.status, answer.headers.allow, answer.body], [405, allow, '']);
    }
    for (const path of ['/sock/websocket', '/sock/0/a/websocket']) assert.equal((await get(stage, path)).status, 400);
  });

  it('sets the cookie that balancers want only if told so', async () => {
    const plain = await setStage({ route });
    assert.equal((await ask(plain, '/sock/0/a/xhr', { headers: { Cookie: 'JSESSIONID=abc' } })).headers['set-cookie'], undefined);
    await clearStage();
    const stage = await setStage({ route: { sockjs: { path: '/sock', cookie: true } } });
    assert.equal((JSON.parse((await get(stage, '/sock/info')).body) as { cookie_needed: boolean }).cookie_needed, true);
    const cookie = async (id: string, value?: string): Promise<unknown> =>
      (await ask(stage, `/sock/0/${id}/xhr`, { headers: value === undefined ? {} : { Cookie: value } })).headers['set-cookie'];
    assert.deepEqual(await cookie('a'), ['JSESSIONID=dummy; Path=/']);
    assert.deepEqual(await cookie('b', 'x=1; JSESSIONID=node-7'), ['JSESSIONID=node-7; Path=/']);
    assert.deepEqual(await cookie('c', 'JSESSIONID=a b"<'), ['JSESSIONID=dummy; Path=/']);
  });
});

describe('SockJS by polling', () => {
  afterEach(clearStage);

  it('opens, takes messages, and gives what came meanwhile in one frame', async () => {
    const stage = await setStage({ route });
    const first = await ask(stage, '/sock/000/one/xhr');
    assert.equal(first.headers['content-type'], 'application/javascript; charset=UTF-8');
    assert.match(first.headers['cache-control'] ?? '', /no-store.*no-transform/);
    const sent = await send(stage, '["a","b"]');
    assert.deepEqual([sent.status, sent.body, sent.headers['content-type']], [204, '', 'text/plain; charset=UTF-8']);
    await stage.backend.until(() => stage.backend.events().length === 3);
    assert.equal(await frame(stage), 'a["a","b"]\n');
  });

  it('does not care for the name of the server', async () => {
    const stage = await setStage({ route });
    await opened(stage);
    await ask(stage, '/sock/another/one/xhr_send', { body: '["x"]' });
    assert.equal((await ask(stage, '/sock/third/one/xhr')).body, 'a["x"]\n');
    assert.equal(stage.backend.events().filter(({ kind }) => kind === 'open').length, 1);
  });

  it('waits until there is something', async () => {
    const stage = await setStage({
      route,
      answer: afterOpen(() => reply([]), acceptedWithGrip([subscribeNews])),
    });
    await opened(stage);
    const waiting = start(stage, '/sock/000/one/xhr');
    await eventually(async () => (await stage.members('news')) === 1);
    await stage.say('news', 'item');
    assert.equal((await waiting.answer).body, 'a["item"]\n');
  });

  it('tells a second request for frames that there is one already, whose turn it stays', async () => {
    const stage = await setStage({ route });
    await opened(stage);
    const waiting = start(stage, '/sock/000/one/xhr');
    await eventually(async () => (await frame(stage)) === 'c[2010,"Another connection still open"]\n');
    await send(stage, '["x"]');
    assert.equal((await waiting.answer).body, 'a["x"]\n');
  });

  it('tells the same to a second request while the first waits for the backend, and asks that once', async () => {
    const { passed, open } = gate();
    const stage = await setStage({ route, answer: () => passed.then(() => acceptedWithGrip()) });
    const first = start(stage, '/sock/000/one/xhr');
    await stage.backend.until(() => stage.backend.requests.length === 1);
    assert.equal(await frame(stage), 'c[2010,"Another connection still open"]\n');
    assert.equal((await send(stage, '["x"]')).status, 404);
    open();
    assert.equal((await first.answer).body, 'o\n');
    assert.equal(stage.backend.requests.length, 1);
  });

  it('ends with a client that breaks off, and tells whoever comes back', async () => {
    const stage = await setStage({ route });
    await opened(stage);
    const waiting = start(stage, '/sock/000/one/xhr');
    await eventually(async () => (await frame(stage)).includes('2010'));
    waiting.leave();
    await stage.backend.until(() => stage.backend.events().at(-1)?.kind === 'disconnect');
    for (let i = 0; i < 2; i += 1) assert.equal(await frame(stage), 'c[1002,"Connection interrupted"]\n');
    assert.equal((await send(stage, '["x"]')).status, 404);
    assert.equal(stage.backend.events().filter(({ kind }) => kind === 'open').length, 1);
  });

  it('opens nothing for a client that left before the backend had answered', async () => {
    const { passed, open } = gate();
    const stage = await setStage({ route, answer: (request) => passed.then(() => reply(request.events)) });
    const first = start(stage, '/sock/000/one/xhr');
    await stage.backend.until(() => stage.backend.requests.length === 1);
    first.leave();
    await eventually(async () => (await frame(stage)).startsWith('c[1002'));
    open();
    await stage.backend.until(() => said(stage.backend.events()).join() === 'OPEN,DISCONNECT');
  });

  it('does not ask the backend again for a client that left meanwhile', async () => {
    const stage = await setStage({ route, answer: () => reply([], { 'Keep-Alive-Interval': '20' }), settings: { drain: '20s' } });
    const first = start(stage, '/sock/000/one/xhr');
    await stage.backend.until(() => stage.backend.requests.length === 1);
    await pause(20);
    first.leave();
    await eventually(async () => (await frame(stage)).startsWith('c[1002'));
    const stopping = performance.now();
    await stage.foregate.stop();
    assert.ok(performance.now() - stopping < 5000);
    assert.equal(stage.backend.requests.length, 1);
  });

  it('repeats how it ended', async () => {
    const stage = await setStage({
      route,
      answer: afterOpen(({ events }) =>
        reply([...events.filter(({ kind }) => kind === 'text'), { kind: 'close', code: 3000, reason: 'Go away!' }]),
      ),
    });
    await opened(stage);
    await send(stage, '["x"]');
    assert.equal(await frame(stage), 'a["x"]\n');
    for (let i = 0; i < 3; i += 1) assert.equal(await frame(stage), 'c[3000,"Go away!"]\n');
    await stage.backend.until(() => said(stage.backend.events()).join() === 'OPEN,TEXT x,CLOSE 3000 Go away!');
  });

  it('is over when its client does not ask any more, and the backend hears of it', async function () {
    this.timeout(15_000);
    const stage = await setStage({ route });
    await opened(stage);
    await stage.backend.until(() => said(stage.backend.events()).join() === 'OPEN,DISCONNECT', 9000);
    assert.equal(await (await fetch(`${stage.controlUrl}/connections`)).text().then((list) => JSON.parse(list).length), 0);
  });

  it('gives the answer of whoever refuses, readable for the page', async () => {
    const stage = await setStage({
      route,
      answer: () => ({ status: 403, headers: { 'X-Why': 'rules', 'Access-Control-Allow-Origin': 'no' }, body: 'not you' }),
    });
    const refused = await ask(stage, '/sock/0/one/xhr', { headers: { Origin: 'https://app.example' } });
    assert.deepEqual([refused.status, refused.body, refused.headers['x-why']], [403, 'not you', 'rules']);
    assert.equal(refused.headers['access-control-allow-origin'], 'https://app.example');
    stage.backend.answer = () => acceptedWithGrip();
    await opened(stage);
  });

  it('gives the fields of the acceptance with the first frame, but those that say something of this answer', async () => {
    const fields = { 'Set-Cookie': 'a=1', 'X-Own': 'y', 'Access-Control-Allow-Origin': 'no', 'Content-Encoding': 'gzip' };
    const stage = await setStage({ route, answer: () => acceptedWithGrip([], fields) });
    const { headers, body } = await ask(stage, '/sock/0/one/xhr', { headers: { Origin: 'https://app.example' } });
    assert.deepEqual([headers['set-cookie'], headers['x-own'], body], [['a=1'], 'y', 'o\n']);
    assert.equal(headers['access-control-allow-origin'], 'https://app.example');
    assert.equal(headers['content-encoding'], undefined);
  });

  it('does not know a session that nobody opened', async () => {
    const stage = await setStage({ route });
    assert.equal((await send(stage, '["x"]', 'nobody')).status, 404);
    assert.equal((await ask(stage, '/sock/0/nobody/jsonp_send', { body: 'd=%5B%22x%22%5D' })).status, 404);
    assert.equal(stage.backend.requests.length, 0);
  });

  it('goes on after bodies that are none', async () => {
    const stage = await setStage({ route });
    await opened(stage);
    for (const [body, answer] of [
      ['', 'Payload expected.'],
      ['["x', 'Broken JSON encoding.'],
      ['[1]', 'Payload expected.'],
      ['["a",["b"]]', 'Payload expected.'],
      ['{"0":"a"}', 'Payload expected.'],
      ['null', 'Payload expected.'],
      ['"x"', 'Payload expected.'],
      [Buffer.from([0x5b, 0x22, 0xff, 0x22, 0x5d]), 'Broken JSON encoding.'],
    ] as const) {
      const refused = await send(stage, body);
      assert.deepEqual([refused.status, refused.body], [400, answer], String(body));
    }
    assert.equal((await send(stage, '[]')).status, 204);
    for (const type of ['text/plain', 'T', 'application/json', 'application/x-www-form-urlencoded'])
      assert.equal((await send(stage, '["a"]', 'one', { 'Content-Type': type })).status, 204);
    await stage.backend.until(() => said(stage.backend.events()).join() === 'OPEN,TEXT a,TEXT a,TEXT a,TEXT a');
  });

  it('ends with a body that is too large, as with a frame that is', async () => {
    const stage = await setStage({ route: { ...route, limits: { messageBytes: 1000 } } });
    await opened(stage, 'stated');
    assert.equal((await send(stage, `["${'x'.repeat(1_000_000)}"]`, 'stated')).status, 413);
    assert.equal(await frame(stage, 'stated'), 'c[1009,""]\n');
    await opened(stage, 'chunked');
    const chunked = await ask(stage, '/sock/0/chunked/xhr_send', {
      headers: { 'Transfer-Encoding': 'chunked' },
      body: `["${'x'.repeat(5000)}"]`,
    });
    assert.equal(chunked.status, 413);
    assert.equal(await frame(stage, 'chunked'), 'c[1009,""]\n');
    assert.deepEqual(said(stage.backend.events()).toSorted(), ['DISCONNECT', 'DISCONNECT', 'OPEN', 'OPEN']);
  });

  it('ends with more messages in a body than may wait', async () => {
    const stage = await setStage({ route });
    await opened(stage);
    assert.equal((await send(stage, JSON.stringify(Array.from({ length: 10_001 }, () => '')))).status, 413);
    assert.equal(await frame(stage), 'c[1009,""]\n');
  });

  it('answers a body when the session reads on, and refuses more than eight that wait', async () => {
    const { passed, open } = gate();
    const stage = await setStage({
      route: { ...route, limits: { queueBytes: 5 } },
      answer: afterOpen(() => passed.then(() => reply([]))),
    });
    await opened(stage);
    assert.equal((await send(stage, '["in flight"]')).status, 204);
    await stage.backend.until(() => stage.backend.requests.length === 2);
    const waiting = Array.from({ length: 8 }, () => start(stage, '/sock/0/one/xhr_send', { body: '["waits behind"]' }));
    await eventually(async () => (await send(stage, '[]')).status === 503);
    open();
    for (const { answer } of waiting) assert.equal((await answer).status, 204);
  });

  for (const [slowClients, kept] of [
    ['drop-newest', '0123'],
    ['drop-oldest', '0134'],
    ['latest', '014'],
  ] as const) {
    it(`holds no more for a client than may wait for it: ${slowClients}`, async () => {
      const answer = afterOpen(() => reply([text('m:end')]), acceptedWithGrip([subscribeNews]));
      const stage = await setStage({ route: { ...route, limits: { unsentBytes: 100 }, slowClients }, answer });
      await opened(stage);
      await eventually(async () => (await stage.members('news')) === 1);
      // As elements they are 23 bytes: the client is handed two, two more may wait.
      for (let i = 0; i < 5; i += 1) await stage.say('news', `${i}${'x'.repeat(19)}`);
      const [{ unsentBytes }] = (await connections(stage)) as [{ unsentBytes: number }];
      assert.equal(unsentBytes, kept.length * 23);
      assert.equal((await send(stage, '["x"]')).status, 204);
      const all = elements(await frame(stage));
      assert.equal(all.length, 2);
      while (all.at(-1) !== 'end') all.push(...elements(await frame(stage)));
      assert.equal(all.map(([number]) => number).join(''), `${kept}e`);
    });
  }

  it('ends a client for which too much waits, where the route says so', async () => {
    const answer = afterOpen(() => reply([]), acceptedWithGrip([subscribeNews]));
    const closing = await setStage({ route: { ...route, limits: { unsentBytes: 100 } }, answer });
    await opened(closing);
    await eventually(async () => (await closing.members('news')) === 1);
    for (let i = 0; i < 5; i += 1) await closing.say('news', `${i}${'x'.repeat(39)}`);
    assert.equal(JSON.parse((await frame(closing)).slice(1)).length, 2);
    assert.match(await frame(closing), /^c\[1013,/);
  });

  it('counts as a session, and no more are let in than there may be', async () => {
    const stage = await setStage({ route, settings: { limits: { sessions: 20 } } });
    const answers = await Promise.all(Array.from({ length: 200 }, (_, i) => ask(stage, `/sock/0/s${i}/xhr`)));
    assert.equal(answers.filter(({ status }) => status === 200).length, 20);
    const refused = answers.filter(({ status }) => status === 503);
    assert.equal(refused.length, 180);
    assert.equal(refused[0]?.headers['access-control-allow-origin'], '*');
    assert.equal(stage.backend.requests.length, 20);
  });

  it('goes on under the route that it has when the configuration changes', async () => {
    const stage = await setStage({ route });
    await opened(stage);
    await stage.foregate.reload(await stageConfig({ route }, [{ url: stage.backend.origin }]));
    await send(stage, '["x"]');
    assert.equal(await frame(stage), 'a["x"]\n');
  });

  it('is told of a restart', async () => {
    const stage = await setStage({ route });
    await opened(stage);
    const waiting = start(stage, '/sock/000/one/xhr');
    await eventually(async () => (await frame(stage)).includes('2010'));
    const stopping = stage.foregate.stop();
    assert.match((await waiting.answer).body, /^c\[1012,/);
    await stopping;
  });
});

describe('SockJS by a callback', () => {
  afterEach(clearStage);

  it('calls back, and takes messages from a form', async () => {
    const stage = await setStage({ route });
    const first = await get(stage, '/sock/0/one/jsonp?c=_jp.a%62c');
    assert.deepEqual([first.status, first.body], [200, '/**/_jp.abc("o");\r\n']);
    assert.equal(first.headers['content-type'], 'application/javascript; charset=UTF-8');
    assert.equal(first.headers['x-content-type-options'], 'nosniff');
    const form = { 'Content-Type': 'application/x-www-form-urlencoded' };
    const sent = await ask(stage, '/sock/0/one/jsonp_send', {
      headers: form,
      body: `d=${encodeURIComponent('["x \u2028 </script>"]')}`,
    });
    assert.deepEqual([sent.status, sent.body], [200, 'ok']);
    assert.equal((await get(stage, '/sock/0/one/jsonp?c=x')).body, '/**/x("a[\\"x \\\\u2028 </script>\\"]");\r\n');
    assert.equal(
      (await ask(stage, '/sock/0/one/jsonp_send', { headers: { 'Content-Type': 'text/plain' }, body: '["y"]' })).body,
      'ok',
    );
    assert.equal((await get(stage, '/sock/0/one/jsonp?c=x')).body, '/**/x("a[\\"y\\"]");\r\n');
    for (const [body, answer] of [
      ['', 'Payload expected.'],
      ['d=', 'Payload expected.'],
      ['d=%5B', 'Broken JSON encoding.'],
      ['p=p', 'Payload expected.'],
    ] as const) {
      const refused = await ask(stage, '/sock/0/one/jsonp_send', { headers: form, body });
      assert.deepEqual([refused.status, refused.body], [400, answer]);
    }
    assert.deepEqual(
      stage.backend.requests.map(({ path }) => path).filter((path) => path !== '/ws'),
      [],
    );
  });

  it('takes no callback that could be more than a name', async () => {
    const stage = await setStage({ route });
    for (const query of [
      '',
      '?c=',
      '?c=alert()',
      '?c=a%3Balert(1)',
      '?c=a%0Ab',
      '?c=a..b',
      '?c=1a',
      '?c=%2f**%2f',
      '?c=a&c=b',
      `?c=${'a'.repeat(256)}`,
      '?c=%F0%9F%98%80',
      '?c=%ff',
    ])
      assert.equal((await get(stage, `/sock/0/one/jsonp${query}`)).status, 400, query);
    assert.equal(stage.backend.requests.length, 0);
  });
});

describe('SockJS by a stream', () => {
  afterEach(clearStage);

  it('goes on until there is much, and then has its client ask again', async () => {
    const stage = await setStage({ route });
    const stream = start(stage, '/sock/0/one/xhr_streaming');
    await eventually(() => stream.body().endsWith('o\n'));
    assert.equal(stream.body(), `${'h'.repeat(2048)}\no\n`);
    const long = 'x'.repeat(50_000);
    for (let i = 0; i < 3; i += 1) await send(stage, JSON.stringify([long]));
    const { body, headers } = await stream.answer;
    assert.deepEqual(body.split('\n').slice(2), [...Array.from({ length: 3 }, () => `a["${long}"]`), '']);
    assert.equal(headers['content-type'], 'application/javascript; charset=UTF-8');
    await send(stage, '["more"]');
    const second = start(stage, '/sock/0/one/xhr_streaming');
    await eventually(() => second.body().endsWith('a["more"]\n'));
  });

  it('is an event stream, too', async () => {
    const stage = await setStage({ route });
    const stream = start(stage, '/sock/0/one/eventsource', { method: 'GET' });
    await eventually(() => stream.body().includes('data: o'));
    await send(stage, '["a\\nb"]');
    await eventually(() => stream.body().endsWith('data: a["a\\nb"]\r\n\r\n'));
    assert.equal(stream.body(), '\r\ndata: o\r\n\r\ndata: a["a\\nb"]\r\n\r\n');
  });

  it('ends with its client', async () => {
    const stage = await setStage({ route });
    const stream = start(stage, '/sock/0/one/xhr_streaming');
    await eventually(() => stream.body().endsWith('o\n'));
    stream.leave();
    await stage.backend.until(() => said(stage.backend.events()).join() === 'OPEN,DISCONNECT');
  });
});

describe('SockJS over WebSocket', () => {
  afterEach(clearStage);

  const path = '/sock/000/one/websocket';

  it('wraps messages, and ignores empty frames', async () => {
    const stage = await setStage({ route });
    const client = await stage.open(path);
    assert.equal(await client.nextText(), 'o');
    for (const sent of ['', '[]', '["a","b"]']) client.send(sent);
    assert.deepEqual([await client.nextText(), await client.nextText()], ['a["a"]', 'a["b"]']);
    const same = await stage.open(path);
    assert.equal(await same.nextText(), 'o');
  });

  for (const [what, sent, code] of [
    ['broken JSON', '["a', 1007],
    ['what is no array of strings', '[{}]', 1007],
    ['a text alone', '"a"', 1007],
    ['binary data', Buffer.from('["a"]'), 1003],
    ['too many messages', JSON.stringify(Array.from({ length: 10_001 }, () => '')), 1009],
    ['too much', `["${'x'.repeat(1_000_000)}"]`, 1009],
  ] as const) {
    it(`ends with ${what}`, async () => {
      const stage = await setStage({ route });
      const client = await stage.open(path);
      await client.nextText();
      client.send(sent);
      assert.equal(await client.nextText(), `c[${code},""]`);
      assert.equal((await client.closed()).code, code);
      await stage.backend.until(() => said(stage.backend.events()).join() === 'OPEN,DISCONNECT');
    });
  }

  it('passes the code of a close both ways', async () => {
    const stage = await setStage({ route });
    const client = await stage.open(path);
    await client.nextText();
    client.socket.close(4005, 'mine');
    assert.deepEqual(await client.closed(), { code: 4005, reason: 'mine' });
    assert.deepEqual(said(stage.backend.events()), ['OPEN', 'CLOSE 4005 mine']);
  });

  it('leaves a WebSocket without frames of its own as it is', async () => {
    const stage = await setStage({ route });
    const raw = await stage.open('/sock/websocket?x=1');
    raw.send('["a"]');
    assert.equal(await raw.nextText(), '["a"]');
    raw.send(Buffer.from([1, 2]));
    assert.deepEqual(await raw.next(), { data: Buffer.from([1, 2]), binary: true });
    const base = await stage.open('/sock');
    base.send('plain');
    assert.equal(await base.nextText(), 'plain');
    assert.deepEqual([...new Set(stage.backend.requests.map((request) => request.path))], ['/ws?x=1', '/sock']);
  });

  it('is nowhere else', async () => {
    const stage = await setStage({ route });
    for (const other of ['/sock/x', '/sock/info', '/sock/0/one/xhr']) {
      assert.equal((await refusedClient(`${stage.url.replace('http', 'ws')}${other}`)).status, 404);
    }
    assert.equal(stage.backend.requests.length, 0);
  });

  it('is refused with the answer of the backend', async () => {
    const stage = await setStage({ route, answer: () => ({ status: 401, body: 'who?' }) });
    const { status, body } = await refusedClient(`${stage.url.replace('http', 'ws')}${path}`);
    assert.deepEqual([status, body], [401, 'who?']);
  });
});

describe('SockJS and policies', () => {
  afterEach(clearStage);

  const keyed = {
    ...route,
    policies: [
      {
        use: 'api-key',
        from: { header: 'apikey', query: 'apikey', cookie: 'apikey' },
        keys: [
          { name: 'alice', key: 'key-of-alice' },
          { name: 'bob', key: 'key-of-bob' },
        ],
      },
    ],
  };

  it('asks them before a session opens, and does not pass on what they used up', async () => {
    const stage = await setStage({ route: keyed });
    assert.equal((await ask(stage, '/sock/0/one/xhr')).status, 401);
    await opened(stage, 'two', { headers: { apikey: 'key-of-alice' } });
    assert.equal(stage.backend.requests[0]?.headers['apikey'], undefined);
    assert.equal(stage.backend.requests.length, 1);
  });

  it('lets nobody go on with the session of another', async () => {
    const stage = await setStage({ route: keyed });
    const alice = { headers: { apikey: 'key-of-alice' } };
    await opened(stage, 'one', alice);
    for (const headers of [{}, { apikey: 'key-of-bob' }] as const) {
      assert.equal((await ask(stage, '/sock/0/one/xhr', { headers })).status, 404);
      assert.equal((await send(stage, '["x"]', 'one', headers)).status, 404);
    }
    assert.equal((await send(stage, '["x"]', 'one', alice.headers)).status, 204);
    assert.equal(await frame(stage, 'one', alice), 'a["x"]\n');
  });

  it('knows the caller by a parameter, a cookie or what the gateway will check, too', async () => {
    const stage = await setStage({ route: keyed });
    assert.equal((await ask(stage, '/sock/0/query/xhr?apikey=key-of-alice')).body, 'o\n');
    assert.equal((await ask(stage, '/sock/0/query/xhr_send?apikey=key-of-bob', { body: '["x"]' })).status, 404);
    assert.equal((await ask(stage, '/sock/0/query/xhr_send?apikey=key-of-alice', { body: '["x"]' })).status, 204);
    await opened(stage, 'cookie', { headers: { Cookie: 'a=1; apikey=key-of-alice' } });
    assert.equal((await send(stage, '["x"]', 'cookie', { Cookie: 'apikey=key-of-bob' })).status, 404);
    assert.equal((await send(stage, '["x"]', 'cookie', { Cookie: 'b=2; apikey=key-of-alice' })).status, 204);
    await clearStage();
    const open = await setStage({ route });
    await opened(open, 'bearer', { headers: { Authorization: 'Bearer one' } });
    assert.equal((await send(open, '["x"]', 'bearer', { Authorization: 'Bearer two' })).status, 404);
    assert.equal((await send(open, '["x"]', 'bearer', { Authorization: 'Bearer one' })).status, 204);
  });

  it('asks them for every message', async () => {
    const stage = await setStage({
      route,
      policy: {
        message: (_, { data }) =>
          data.toString() === 'bad' ? { kind: 'deny', code: 'forbidden', detail: 'Not that.', action: 'drop' } : undefined,
      },
    });
    await opened(stage);
    await send(stage, '["a","bad","b"]');
    await stage.backend.until(() => said(stage.backend.events()).join() === 'OPEN,TEXT a,TEXT b');
  });

  it('shows them the path towards the backend, and a WebSocket', async () => {
    const seen: string[] = [];
    const stage = await setStage({
      route,
      policy: {
        connect: ({ request, transport }) => {
          seen.push(`${transport} ${request.method} ${request.path}`);
          return undefined;
        },
      },
    });
    await ask(stage, '/sock/0/a/xhr?k=v&t=123');
    await get(stage, '/sock/0/b/jsonp?c=x');
    await stage.open('/sock/0/c/websocket?k=v');
    assert.deepEqual(seen, ['websocket GET /ws?k=v', 'websocket GET /ws', 'websocket GET /ws?k=v']);
  });

  it('lets no page open a session by a script that may not by a WebSocket', async () => {
    const stage = await setStage({ route: { ...route, policies: [{ use: 'origin', allow: ['https://app.example'] }] } });
    for (const [id, headers] of Object.entries({
      none: {},
      other: { Referer: 'https://evil.example/https://app.example/' },
      broken: { Referer: 'x' },
      named: { Origin: 'https://evil.example', Referer: 'https://app.example/' },
    } as Record<string, Record<string, string>>)) {
      assert.equal((await get(stage, `/sock/0/${id}/jsonp?c=x`, headers)).status, 403, id);
      assert.equal((await get(stage, `/sock/0/${id}/eventsource`, headers)).status, 403, id);
    }
    assert.equal((await get(stage, '/sock/0/good/jsonp?c=x', { Referer: 'https://app.example/page' })).status, 200);
    assert.equal((await ask(stage, '/sock/0/xhr/xhr', { headers: { Origin: 'https://evil.example' } })).status, 403);
  });
});

describe('SockJS beside other things', () => {
  afterEach(clearStage);

  it('says once who may read its answers, where the route says it of all', async () => {
    const stage = await setStage({ route: { ...route, cors: true } });
    const headers = { Origin: 'https://app.example' };
    const told = (got: Got): unknown[] =>
      ['access-control-allow-origin', 'vary', 'access-control-max-age', 'access-control-expose-headers'].map(
        (name) => got.headers[name],
      );
    for (const got of [
      await get(stage, '/sock/info', headers),
      await ask(stage, '/sock/000/one/xhr', { headers }),
      await send(stage, '["a"]', 'one', headers),
      await send(stage, '["a"]', 'nobody', headers),
    ])
      assert.deepEqual(told(got), ['https://app.example', 'Origin', undefined, undefined], got.body);
    const preflight = await ask(stage, '/sock/000/one/xhr', { method: 'OPTIONS', headers });
    assert.equal(preflight.headers['access-control-allow-methods'], 'OPTIONS, POST');
    assert.equal((await get(stage, '/elsewhere', headers)).headers['access-control-max-age'], '3600');
  });

  it('is called back as SockJS has it, where the route has JSONP as well', async () => {
    const stage = await setStage({ route: { ...route, jsonp: { callback: 'c' } } });
    const { status, body } = await get(stage, '/sock/000/one/jsonp?c=cb');
    assert.deepEqual([status, body], [200, '/**/cb("o");\r\n']);
    assert.match((await get(stage, '/elsewhere?c=cb')).body, /^\/\*\*\/cb\(/);
  });

  it('is found by the id that a request names', async () => {
    const match = { host: 'nowhere.example', byId: 'also' };
    const stage = await setStage({ route: { ...route, match }, settings: { routeHeader: 'X-Route' } });
    const headers = { 'X-Route': 'test' };
    await opened(stage, 'one', { headers });
    assert.equal((await send(stage, '["a"]', 'one', headers)).status, 204);
    assert.equal((await send(stage, '["a"]')).status, 404);
    assert.equal(await frame(stage, 'one', { headers }), 'a["a"]\n');
    const client = await stage.open('/sock/000/two/websocket', { headers });
    assert.equal(await client.nextText(), 'o');
  });

  it('speaks GRIP here, also behind a gateway, which is believed all the same', async () => {
    const key = 'the key of the gateway in front';
    const stage = await setStage({
      route,
      settings: { grip: { issuer: 'inner', key: 'own', upstreamKey: key } },
      answer: afterOpen(() => reply([]), acceptedWithGrip([subscribeNews])),
    });
    const signature = jsonwebtoken.sign({ iss: 'outer', exp: Math.floor(Date.now() / 1000) + 3600 }, key);
    const headers = { 'Grip-Sig': signature, 'X-Forwarded-For': '1.1.1.1', 'Sec-WebSocket-Extensions': 'grip' };
    await opened(stage, 'one', { headers });
    const client = await stage.open('/sock/000/two/websocket', { headers, perMessageDeflate: false });
    assert.equal(await client.nextText(), 'o');
    await eventually(async () => (await stage.members('news')) === 2);
    await stage.say('news', 'hello');
    assert.equal(await frame(stage, 'one', { headers }), 'a["hello"]\n');
    assert.equal(await client.nextText(), 'a["hello"]');
    for (const request of stage.backend.requests) {
      assert.equal(request.headers['x-forwarded-for'], '1.1.1.1, 127.0.0.1');
      assert.equal(Object(jsonwebtoken.decode(String(request.headers['grip-sig'])))['iss'], 'inner');
    }
    await stage.openRaw({ path: '/sock/websocket', headers: [`Grip-Sig: ${signature}`] });
    assert.equal(stage.backend.requests.at(-1)?.headers['grip-sig'], signature);
  });
});

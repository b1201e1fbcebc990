/** CORS and JSONP (GRIP 8.6). */
import assert from 'node:assert/strict';
import type { Answer, BackendReply } from '../support/backend.ts';
import { byPath, held, setHoldStage, stream, takeAnswer, type HoldStage, type RequestTerms, type WholeAnswer } from './holds.ts';
import { clearStage } from './stage.ts';

afterEach(clearStage);

const ask = async (stage: HoldStage, path: string, terms?: RequestTerms): Promise<WholeAnswer> =>
  takeAnswer(await stage.request(path, terms));

describe('CORS', () => {
  const cors = (answer: Answer): Promise<HoldStage> => setHoldStage({ route: { cors: true }, answer });
  const origin = ['Origin: https://app.example'];

  it('is added to every answer, for the origin that asks', async () => {
    const stage = await cors(byPath({ '/': { headers: { 'X-Total': '7', 'Content-Type': 'text/plain' }, body: 'x' } }));
    for (const [path, status] of [
      ['/', 200],
      ['/missing', 404],
    ] as const) {
      const { headers, status: answered } = await ask(stage, path, { headers: origin });
      assert.equal(answered, status);
      assert.equal(headers.get('access-control-allow-origin'), 'https://app.example');
      assert.equal(headers.get('access-control-allow-credentials'), 'true');
      assert.equal(headers.get('access-control-allow-methods'), 'OPTIONS, HEAD, GET, POST, PUT, DELETE');
      assert.equal(headers.get('access-control-max-age'), '3600');
      assert.equal(headers.get('vary'), 'Origin');
    }
    const { headers } = await ask(stage, '/', { headers: origin });
    assert.match(headers.get('access-control-expose-headers') ?? '', /\bX-Total\b/);
  });

  it('says what a preflight asks for, which the backend answers', async () => {
    const stage = await cors(byPath({ '/': { status: 204 } }));
    const { status, headers } = await ask(stage, '/', {
      method: 'OPTIONS',
      headers: [...origin, 'Access-Control-Request-Method: PATCH', 'Access-Control-Request-Headers: x-token, content-type'],
    });
    assert.equal(status, 204);
    assert.equal(headers.get('access-control-allow-methods'), 'PATCH');
    assert.equal(headers.get('access-control-allow-headers'), 'x-token, content-type');
    assert.equal(stage.backend.requests[0]?.method, 'OPTIONS');
  });

  it('answers a preflight itself where a policy would refuse it, as browsers send no credentials', async () => {
    const apiKey = { use: 'api-key', keys: [{ key: 'k1', name: 'ann' }], from: { header: 'apikey' } };
    const stage = await setHoldStage({ route: { cors: true, policies: [apiKey] }, answer: byPath({ '/': { body: 'x' } }) });
    const asked = [...origin, 'Access-Control-Request-Method: GET', 'Access-Control-Request-Headers: apikey'];
    const { status, headers } = await ask(stage, '/', { method: 'OPTIONS', headers: asked });
    assert.equal(status, 204);
    assert.equal(headers.get('access-control-allow-headers'), 'apikey');
    assert.equal(headers.get('access-control-allow-origin'), 'https://app.example');
    assert.equal(stage.backend.requests.length, 0);
    // Whatever is no preflight needs the key.
    for (const others of [origin, ['Access-Control-Request-Method: GET'], []])
      assert.equal((await ask(stage, '/', { method: 'OPTIONS', headers: others })).status, 401);
    assert.equal((await ask(stage, '/', { headers: [...asked] })).status, 401);
  });

  it('stands on streams, held answers and errors of Foregate too', async () => {
    const answers: Record<string, BackendReply> = {
      '/events': stream('c', { 'X-Own': '1' }),
      '/poll': held('c'),
      '/bad': { headers: { 'Grip-Hold': 'nonsense' } },
    };
    const stage = await cors(byPath(answers));
    const events = await stage.request('/events', { headers: origin });
    const head = await events.takeHead();
    assert.equal(head.headers.get('access-control-allow-origin'), 'https://app.example');
    assert.match(head.headers.get('access-control-expose-headers') ?? '', /\bX-Own\b/);
    const poll = await stage.request('/poll', { headers: origin });
    await stage.joined('c', 2);
    await stage.answered('c', 'now');
    assert.equal((await takeAnswer(poll)).headers.get('access-control-allow-origin'), 'https://app.example');
    const bad = await ask(stage, '/bad', { headers: origin });
    assert.deepEqual([bad.status, bad.headers.get('access-control-allow-origin')], [502, 'https://app.example']);
  });

  it('leaves what the backend has written', async () => {
    const own = { 'Access-Control-Allow-Origin': 'https://one.example', 'access-control-max-age': '5' };
    const stage = await cors(byPath({ '/': { headers: own, body: 'x' } }));
    const { headers } = await ask(stage, '/', { headers: origin });
    assert.equal(headers.get('access-control-allow-origin'), 'https://one.example');
    assert.equal(headers.get('access-control-max-age'), '5');
  });

  it('allows everybody where no origin is told, and adds nothing where the route does not ask', async () => {
    const stage = await cors(byPath({ '/': { body: 'x' } }));
    assert.equal((await ask(stage, '/')).headers.get('access-control-allow-origin'), '*');
    await clearStage();
    const plain = await setHoldStage({ answer: byPath({ '/': { body: 'x' } }) });
    const { headers } = await ask(plain, '/', { headers: origin });
    assert.deepEqual(
      [...headers.keys()].filter((name) => name.startsWith('access-control')),
      [],
    );
  });
});

describe('JSONP', () => {
  const jsonp = (settings: object, answer: Answer): Promise<HoldStage> => setHoldStage({ route: { jsonp: settings }, answer });
  const page: BackendReply = {
    status: 201,
    headers: { 'Content-Type': 'application/json', 'Cache-Control': 'no-cache', 'Set-Cookie': 'a=b', 'X-Total': '7' },
    body: '{"n":1}\n',
  };
  const called = (body: string, name: string): unknown => {
    const [, argument = ''] = new RegExp(`^/\\*\\*/${name}\\((.*)\\);\\n$`, 's').exec(body) ?? [];
    return JSON.parse(argument);
  };

  it('answers with a script: status, fields and body, always under 200', async () => {
    const stage = await jsonp({}, () => page);
    const { status, headers, body } = await ask(stage, '/?callback=app.on%5Fdata&x=1');
    assert.equal(status, 200);
    assert.equal(headers.get('content-type'), 'application/javascript');
    assert.equal(headers.get('cache-control'), 'no-cache');
    assert.equal(headers.get('set-cookie'), 'a=b');
    const { headers: shown, ...rest } = called(body, 'app\\.on_data') as { headers: Record<string, string> };
    assert.deepEqual(rest, { code: 201, reason: 'Created', body: '{"n":1}\n' });
    assert.equal(shown['X-Total'], '7');
    assert.equal(stage.backend.requests[0]?.path, '/?x=1');
  });

  it('makes the request that its parameters describe', async () => {
    const stage = await jsonp({}, () => page);
    const fieldsText = encodeURIComponent(JSON.stringify({ 'X-One': '1', Host: 'evil', 'Content-Length': '9', 'Grip-Sig': 'x' }));
    await ask(stage, `/a?_method=PUT&_headers=${fieldsText}&_body=h%C3%A9+llo&callback=cb`, { headers: ['Cookie: s=1'] });
    const [request] = stage.backend.requests;
    assert.deepEqual([request?.method, request?.path, request?.body.toString()], ['PUT', '/a', 'hé llo']);
    assert.deepEqual(
      ['x-one', 'host', 'content-length', 'grip-sig', 'cookie'].map((name) => request?.headers[name]),
      ['1', 'client.example', '7', undefined, 's=1'],
    );
  });

  it('gives the body alone in basic mode, by POST unless said otherwise', async () => {
    const stage = await jsonp({ mode: 'basic', body: 'data', callback: 'fn', defaultCallback: 'handle' }, () => page);
    assert.equal((await ask(stage, '/?fn=cb&data=%7B%22a%22:1%7D')).body, '/**/cb({"n":1});\n');
    assert.equal((await ask(stage, '/?data=1')).body, '/**/handle({"n":1});\n');
    const [first] = stage.backend.requests;
    assert.deepEqual(
      [first?.method, first?.headers['content-type'], first?.body.toString()],
      ['POST', 'application/json', '{"a":1}'],
    );
  });

  it('never lets a body run as a script', async () => {
    const stage = await jsonp({ mode: 'basic', method: 'GET' }, () => ({ body: 'alert(1)' }));
    assert.equal((await ask(stage, '/?callback=cb')).body, '/**/cb("alert(1)");\n');
    await clearStage();
    const lines = await jsonp({ mode: 'basic', method: 'GET' }, () => ({ body: '"a\u2028b"' }));
    assert.equal((await ask(lines, '/?callback=cb')).body, '/**/cb("a\\u2028b");\n');
  });

  for (const [query, text] of [
    ['callback=', 'Invalid callback parameter.'],
    ['callback=alert(1);cb', 'Invalid callback parameter.'],
    ['callback=%ff', 'Invalid callback parameter.'],
    [`callback=${'a'.repeat(256)}`, 'Invalid callback parameter.'],
    ['callback=cb&_method=', 'Invalid _method parameter.'],
    ['callback=cb&_method=A%0d%0aB', 'Invalid _method parameter.'],
    ['callback=cb&_method=CONNECT', 'Invalid _method parameter.'],
    ['callback=cb&_headers=[]', 'Invalid _headers parameter.'],
    ['callback=cb&_headers={"a":1}', 'Invalid _headers parameter.'],
    ['callback=cb&_headers={"a":"b%0d%0ac:d"}', 'Invalid _headers parameter.'],
    ['callback=cb&_headers={', 'Invalid _headers parameter.'],
    ['callback=cb&_body=%ff', 'Invalid _body parameter.'],
  ] as const)
    it(`refuses ${query.slice(0, 40)}`, async () => {
      const stage = await jsonp({}, () => page);
      const { status, body } = await ask(stage, `/?${query.replaceAll('"', '%22')}`);
      assert.deepEqual([status, body], [400, `${text}\n`]);
      assert.equal(stage.backend.requests.length, 0);
    });

  it('waits for a held answer', async () => {
    const stage = await jsonp({}, (request) => (request.method === 'POST' ? held('c', {}, 'nothing') : undefined));
    const socket = await stage.request('/?callback=cb&_method=POST&_body=again');
    await stage.joined('c');
    await stage.item('c', { 'http-response': { action: 'hint' } });
    await stage.backend.until(() => stage.backend.requests.length === 2);
    assert.equal(stage.backend.requests[1]?.body.toString(), 'again');
    await stage.answered('c', 'the item');
    const { body } = called((await takeAnswer(socket)).body, 'cb') as { body: string };
    assert.equal(body, 'the item');
  });

  it('cannot be a stream, and tells errors as a script too', async () => {
    const stage = await jsonp({}, () => stream('c'));
    const { code } = called((await ask(stage, '/?callback=cb')).body, 'cb') as { code: number };
    assert.equal(code, 502);
  });

  it('has a largest answer', async () => {
    const stage = await setHoldStage({
      route: { jsonp: {}, limits: { replyBytes: 1000 } },
      answer: () => ({ body: 'x'.repeat(1001) }),
    });
    const { code, body } = called((await ask(stage, '/?callback=cb')).body, 'cb') as { code: number; body: string };
    assert.deepEqual([code, body], [502, 'The answer is too large.\n']);
  });

  it('leaves other requests alone: without callback, by another method, on another route', async () => {
    const stage = await jsonp({}, () => page);
    assert.equal((await ask(stage, '/?x=1')).body, '{"n":1}\n');
    assert.equal((await ask(stage, '/?callback=cb', { method: 'POST' })).body, '{"n":1}\n');
    await clearStage();
    const plain = await setHoldStage({ answer: () => page });
    assert.equal((await ask(plain, '/?callback=cb')).body, '{"n":1}\n');
    assert.equal(plain.backend.requests[0]?.path, '/?callback=cb');
  });

  it('serves many calls on one connection', async () => {
    const stage = await jsonp({}, () => page);
    const socket = await stage.request('/?callback=one');
    assert.match((await takeAnswer(socket)).body, /^\/\*\*\/one\(/);
    socket.send('GET /?callback=two HTTP/1.1\r\nHost: client.example\r\n\r\n');
    assert.match((await takeAnswer(socket)).body, /^\/\*\*\/two\(/);
  });
});

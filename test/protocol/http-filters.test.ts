/** GRIP 5, `http-check` and `http-modify` for WebSockets: the backend is asked about each item, and others do not wait for it. */
import assert from 'node:assert/strict';
import { limits } from '../../gateway/core/limits.ts';
import { silentLog, type Log } from '../../gateway/core/log.ts';
import { echo, startBackend, text, type Answer, type BackendReply, type BackendRequest } from '../support/backend.ts';
import type { Client } from '../support/client.ts';
import { acceptedWithGrip, clearStage, eventually, gate, isOpening, onClear, pause, setStage } from './stage.ts';
import type { Stage, StageTerms } from './stage.ts';

afterEach(clearStage);

interface FilterTerms extends Omit<StageTerms, 'answer'> {
  readonly filters?: readonly string[];
  readonly meta?: Readonly<Record<string, string>>;
  /** What the backend says to a filter. */
  readonly says?: Answer;
}

/** A stage whose clients join `a` with these filters and `plain` without; `?name=value` adds metadata. */
function asking({ filters = ['http-check'], meta = { url: 'ask' }, says = () => ({}), route, ...terms }: FilterTerms = {}) {
  return setStage({
    ...terms,
    route: { filterRequests: 1000, ...route },
    answer: (request) => {
      if (isQuestion(request)) return says(request);
      if (!isOpening(request)) return echo(request);
      const own = Object.fromEntries(new URL(request.path, 'http://x').searchParams);
      const items = Object.entries({ ...meta, ...own }).map(([name, value]) => control({ type: 'set-meta', name, value }));
      const joins = [control({ type: 'subscribe', channel: 'a', filters }), control({ type: 'subscribe', channel: 'plain' })];
      return acceptedWithGrip([...items, ...joins]);
    },
  });
}

function control(message: object) {
  return text(`c:${JSON.stringify(message)}`);
}

function isQuestion({ headers }: BackendRequest): boolean {
  return headers['sub-meta'] !== undefined;
}

function questions({ backend }: Stage): BackendRequest[] {
  return backend.requests.filter(isQuestion);
}

/** What the client gets before `end`, which comes by the channel without filters, behind all else. */
async function heard({ say }: Stage, client: Client): Promise<string[]> {
  await say('plain', 'end');
  const messages: string[] = [];
  for (let message = await client.nextText(); message !== 'end'; message = await client.nextText()) messages.push(message);
  return messages;
}

async function counted({ controlUrl }: Stage, name: string): Promise<number> {
  const metrics = await (await fetch(`${controlUrl}/metrics`)).text();
  return Number(new RegExp(`^foregate_${name}(?:_total)? (\\d+)$`, 'm').exec(metrics)?.[1]);
}

const drop: BackendReply = { headers: { Action: 'drop' } };

describe('http-check (GRIP 5)', () => {
  it('asks with a POST without body that says who and what it is about', async () => {
    const stage = await asking({ meta: { url: 'ask?x=1', user: 'ann' }, settings: { grip: { key: 'secret' } } });
    const client = await stage.open('/rooms/one', { headers: { Cookie: 'a=b', Authorization: 'x', Host: 'app.example' } });
    await stage.publish('a', { content: 'hi' }, { id: '7', meta: { sender: 'bob' } });
    assert.equal(await client.nextText(), 'hi');
    const [question] = questions(stage);
    assert.ok(question);
    assert.deepEqual([question.method, question.path, question.body.length], ['POST', '/rooms/ask?x=1', 0]);
    assert.deepEqual(JSON.parse(String(question.headers['sub-meta'])), { url: 'ask?x=1', user: 'ann' });
    assert.deepEqual(JSON.parse(String(question.headers['pub-meta'])), { sender: 'bob' });
    assert.deepEqual([question.headers['content-length'], question.headers.host], ['0', 'app.example']);
    assert.match(String(question.headers['grip-sig']), /^ey/);
    for (const name of ['cookie', 'authorization', 'connection-id', 'grip-last'])
      assert.equal(question.headers[name], undefined, name);
  });

  it('lets an item pass on 200 and 204, whatever the body, and drops it on the action drop', async () => {
    const answers: BackendReply[] = [{ status: 200, body: 'other' }, { status: 204 }, drop, { ...drop, status: 204 }];
    const stage = await asking({ says: () => answers.shift() });
    const client = await stage.open();
    for (const content of ['a', 'b', 'c', 'd']) await stage.say('a', content);
    assert.deepEqual(await heard(stage, client), ['a', 'b']);
    assert.deepEqual([await counted(stage, 'filter_requests'), await counted(stage, 'filter_requests_failed')], [4, 0]);
    assert.equal(await counted(stage, 'deliveries_dropped'), 0);
  });

  it('asks for each subscriber, and nobody about actions or where a filter before it has dropped the item', async () => {
    const stage = await asking({ filters: ['skip-self', 'http-check'] });
    const [ann, bob] = [await stage.open('/?user=ann'), await stage.open('/?user=bob')];
    await stage.publish('a', { content: 'x' }, { meta: { sender: 'ann' } });
    assert.deepEqual(await Promise.all([heard(stage, ann), bob.nextText()]), [[], 'x']);
    await stage.publish('a', { action: 'close', code: 4000, reason: 'over' });
    assert.deepEqual(await ann.closed(), { code: 4000, reason: 'over' });
    assert.deepEqual(
      questions(stage).map(({ headers }) => (JSON.parse(String(headers['sub-meta'])) as { user: string }).user),
      ['bob'],
    );
  });

  it('carries metadata that no header field can hold, and a url that no URL can', async () => {
    const strange = 'é\r\nX-Forged: 1\u0000\u007f\u2028 \ud83d\ude00 "\\';
    const stage = await asking({ meta: { url: '/ask/é\r\n?x= y', strange, __proto: '1' } });
    const client = await stage.open();
    await stage.publish('a', { content: 'hi' }, { meta: { strange } });
    assert.equal(await client.nextText(), 'hi');
    const [question] = questions(stage);
    assert.deepEqual([question?.path, question?.headers['x-forged']], ['/ask/%C3%A9?x=%20y', undefined]);
    for (const name of ['sub-meta', 'pub-meta']) {
      const { strange: came } = JSON.parse(String(question?.headers[name])) as { readonly strange: string };
      assert.equal(came, strange, name);
    }
  });

  it('may ask elsewhere, and the backend only if the url is its own', async () => {
    const other = await startBackend(() => drop);
    onClear(() => other.stop());
    const stage = await asking({ meta: { url: `${other.origin}/elsewhere` } });
    const client = await stage.open();
    await stage.say('a', 'x');
    assert.deepEqual(await heard(stage, client), []);
    assert.deepEqual(
      other.requests.map(({ method, path, headers }) => [method, path, headers.host]),
      [['POST', '/elsewhere', `127.0.0.1:${other.port}`]],
    );
    assert.equal(questions(stage).length, 0);
    const own = await stage.open(`/?url=${encodeURIComponent('http://own.example/mine')}`, { headers: { Host: 'own.example' } });
    await stage.say('a', 'y');
    assert.equal(await own.nextText(), 'y');
    assert.equal(questions(stage)[0]?.path, '/mine');
  });

  for (const [what, url] of [
    ['none', ''],
    ['one of no scheme that can be asked', 'file:///etc/passwd'],
    ['no URL', 'http://:x'],
  ] as const) {
    it(`drops every item where the url is ${what}`, async () => {
      const stage = await asking({ meta: { url } });
      const client = await stage.open();
      await stage.say('a', 'x');
      assert.deepEqual(await heard(stage, client), []);
      assert.equal(questions(stage).length, 0);
      assert.equal(await counted(stage, 'filter_requests_failed'), 1);
    });
  }
});

describe('http-modify (GRIP 5)', () => {
  it('sends the content, and puts the body of a 200 in its place', async () => {
    const says: Answer = ({ body }) => ({ body: `${body.toString()}, or not` });
    const stage = await asking({ filters: ['http-modify'], says });
    const client = await stage.open();
    await stage.say('a', 'tö be');
    assert.equal(await client.nextText(), 'tö be, or not');
    const [question] = questions(stage);
    assert.deepEqual([question?.body.toString(), question?.headers['content-length']], ['tö be', '6']);
  });

  it('leaves it as it is on 204, drops it on the action drop, and may make nothing of it', async () => {
    const answers: BackendReply[] = [{ status: 204 }, { ...drop, body: 'unseen' }, { status: 200, body: '' }];
    const stage = await asking({ filters: ['http-modify'], says: () => answers.shift() });
    const client = await stage.open();
    for (const content of ['a', 'b', 'c']) await stage.say('a', content);
    assert.deepEqual(await heard(stage, client), ['a', '']);
  });

  it('stands in a row with others: each gets what those before it have made', async () => {
    const says: Answer = ({ body, headers }) =>
      headers['content-length'] === '0' ? {} : { body: `<${body.toString()} %(user)s>` };
    const filters = ['var-subst', 'http-modify', 'http-check', 'var-subst', 'http-modify'];
    const stage = await asking({ filters, says, meta: { url: '/ask', user: 'ann' } });
    const client = await stage.open();
    await stage.say('a', 'hi %(user)s');
    assert.equal(await client.nextText(), '<<hi ann ann> %(user)s>');
    assert.deepEqual(
      questions(stage).map(({ body }) => body.toString()),
      ['hi ann', '', '<hi ann ann>'],
    );
  });

  it('is a filter that changes content, http-check is not', async () => {
    const stage = await asking({ filters: ['http-check', 'http-modify'], says: () => ({ status: 204 }) });
    const client = await stage.open();
    await stage.publish('a', { content: '1', 'content-filters': [] });
    await stage.publish('a', { content: '2', 'content-filters': ['http-check', 'http-modify'] });
    await stage.publish('a', { content: '3', 'content-filters': ['http-modify'] });
    await stage.publish('a', { content: '4' });
    assert.deepEqual(await heard(stage, client), ['3', '4']);
    assert.equal(questions(stage).length, 4);
  });

  it('takes bodies of up to 100000 bytes', async () => {
    const sizes = [limits.filterReplyBytes, limits.filterReplyBytes + 1];
    const stage = await asking({ filters: ['http-modify'], says: () => ({ body: 'x'.repeat(sizes.shift() ?? 0) }) });
    const client = await stage.open();
    for (const content of ['a', 'b']) await stage.say('a', content);
    assert.deepEqual(
      (await heard(stage, client)).map(({ length }) => length),
      [limits.filterReplyBytes],
    );
  });

  it('drops what would be no valid frame', async () => {
    const stage = await asking({ filters: ['http-modify'], says: () => ({ body: Buffer.from([0xff, 0xfe]) }) });
    const client = await stage.open();
    await stage.say('a', 'x');
    assert.deepEqual(await heard(stage, client), []);
  });
});

describe('an answer that is not sound', () => {
  const endless: Answer = ({ response }) => {
    response.writeHead(200);
    const write = (error?: Error | null): void => {
      if (!error && !response.destroyed) setImmediate(() => response.write(Buffer.alloc(65_536), write));
    };
    write();
    return undefined;
  };
  const faults: readonly (readonly [what: string, says: Answer])[] = [
    ['201', () => ({ status: 201 })],
    ['a redirect, which is not followed', () => ({ status: 302, headers: { Location: '/yes' } })],
    ['404', () => ({ status: 404 })],
    ['500 with a drop', () => ({ status: 500, ...drop })],
    ['a reset', ({ response }) => void response.destroy()],
    [
      'a reset in the middle',
      ({ response }) => void response.writeHead(200, { 'Content-Length': 9 }).write('x', () => response.destroy()),
    ],
    ['no answer', () => undefined],
    ['a head and no end', ({ response }) => void response.writeHead(200, { 'Content-Length': 9 }).write('x')],
    [
      'more than fits, told before',
      ({ response }) => void response.writeHead(200, { 'Content-Length': 2 ** 30 }).write('x'.repeat(200_000)),
    ],
    ['more than fits, without an end', endless],
    ['no HTTP', ({ response }) => void response.socket?.end('what?\r\n\r\n')],
  ];
  for (const filter of ['http-check', 'http-modify']) {
    for (const [what, says] of faults) {
      it(`drops the item for ${filter}, and only this: ${what}`, async () => {
        const events: string[] = [];
        const log: Log = { ...silentLog, warn: (event) => events.push(event) };
        let bad = true;
        const stage = await asking({
          filters: [filter],
          says: (request) => (bad ? says(request) : { status: 204 }),
          target: { timeout: '300ms', retry: 'never' },
          log,
        });
        const client = await stage.open();
        await stage.say('a', 'bad');
        await eventually(async () => (await counted(stage, 'filter_requests_failed')) === 1);
        bad = false;
        await stage.say('a', 'good');
        assert.deepEqual(await heard(stage, client), ['good']);
        assert.deepEqual(events, ['filter.failed']);
        assert.equal(await counted(stage, 'deliveries_dropped'), 1);
        assert.equal(client.closing, undefined);
      });
    }
  }

  it('drops a body that is encoded', async () => {
    const says: Answer = () => ({ headers: { 'Content-Encoding': 'gzip' }, body: 'x' });
    const stage = await asking({ filters: ['http-modify'], says });
    const client = await stage.open();
    await stage.say('a', 'x');
    assert.deepEqual(await heard(stage, client), []);
  });

  it('ends the session with its reason in debug mode', async () => {
    const stage = await asking({ says: () => ({ status: 500 }), route: { debug: true } });
    const client = await stage.open();
    await stage.say('a', 'x');
    const reason = 'The filter http-check failed: The backend answered with the status 500.';
    assert.deepEqual(await client.closed(), { code: 1011, reason });
  });
});

describe('while a filter asks', () => {
  it('what is published after the item waits, of all channels; other clients do not', async () => {
    const { passed, open: answer } = gate();
    const says: Answer = async ({ headers }) => (String(headers['sub-meta']).includes('slow') ? passed.then(() => ({})) : {});
    const stage = await asking({ says });
    const [slow, fast] = [await stage.open('/?who=slow'), await stage.open('/?who=fast')];
    await stage.say('a', '1');
    await stage.say('plain', '2');
    await stage.say('a', '3');
    for (const content of ['1', '2', '3']) assert.equal(await fast.nextText(), content);
    slow.send('m:echo');
    assert.equal(await slow.nextText(), 'echo'); // Of the published items none.
    answer();
    for (const content of ['1', '2', '3']) assert.equal(await slow.nextText(), content);
  });

  it('asks about one item of a client at a time', async () => {
    let open = 0;
    let most = 0;
    const says: Answer = async ({ headers }) => {
      if (!String(headers['sub-meta']).includes('counted')) return {};
      open += 1;
      most = Math.max(most, open);
      await pause(5);
      open -= 1;
      return {};
    };
    const stage = await asking({ says });
    const [client, other] = [await stage.open('/?who=counted'), await stage.open()];
    const contents = Array.from({ length: 20 }, (_, i) => String(i));
    for (const content of contents) await stage.say('a', content);
    assert.deepEqual(await heard(stage, client), contents);
    for (const content of contents) assert.equal(await other.nextText(), content);
    assert.equal(most, 1);
  });

  for (const [what, action] of [
    ['a refresh keeps its place', { action: 'refresh' }],
    ['a close keeps its place', { action: 'close', code: 4000 }],
  ] as const) {
    it(what, async () => {
      const { passed, open: answer } = gate();
      const stage = await asking({ says: () => passed.then(() => ({})) });
      const { backend } = stage;
      const client = await stage.open();
      await stage.say('a', '1');
      await backend.until(() => questions(stage).length === 1);
      await stage.publish('plain', action);
      await stage.say('plain', '2');
      await pause(50);
      assert.deepEqual([client.closing, backend.requests.length], [undefined, 2]);
      answer();
      assert.equal(await client.nextText(), '1');
      if (action.action === 'close') assert.equal((await client.closed()).code, action.code);
      else assert.equal(await client.nextText(), '2');
      await backend.until(() => backend.requests.length === 3);
      assert.equal(backend.requests[2]?.body.toString(), action.action === 'close' ? 'CLOSE\r\n' : '');
    });
  }

  it('so many items wait; further ones are dropped and counted, but a close finds room', async () => {
    const { passed, open: answer } = gate();
    const stage = await asking({ says: () => passed.then(() => ({})) });
    const client = await stage.open();
    await stage.say('a', 'first');
    await stage.backend.until(() => questions(stage).length === 1);
    for (let i = 0; i < limits.heldItems + 4; i += 1) await stage.say('plain', String(i));
    await eventually(async () => (await counted(stage, 'deliveries_dropped')) === 5);
    await stage.publish('plain', { action: 'close', code: 4000 });
    await eventually(async () => (await counted(stage, 'deliveries_dropped')) === 4 + limits.heldItems);
    answer();
    assert.equal(await client.nextText(), 'first');
    assert.equal((await client.closed()).code, 4000);
  });

  it('a client may leave: nothing is delivered, asked or kept for it', async () => {
    const { passed, open: answer } = gate();
    const events: string[] = [];
    const note = (event: string): void => void events.push(event);
    const stage = await asking({
      says: () => passed.then(() => ({ status: 500 })),
      log: { ...silentLog, warn: note, error: note },
    });
    const [one, two] = [await stage.open(), await stage.open()];
    for (const content of ['1', '2', '3']) await stage.say('a', content);
    await stage.backend.until(() => questions(stage).length === 2);
    await one.close();
    two.socket.terminate();
    await eventually(async () => (await stage.members('a')) === 0);
    answer();
    const last = await stage.open();
    await stage.say('plain', 'alive');
    assert.equal(await last.nextText(), 'alive');
    await pause(30);
    assert.deepEqual([questions(stage).length, events], [2, []]);
    assert.equal(await counted(stage, 'filter_requests_failed'), 0);
  });

  it('a backend may take the subscription away', async () => {
    const { passed, open: answer } = gate();
    const stage = await asking({ says: () => passed.then(() => ({})) });
    const client = await stage.open();
    await stage.say('a', 'x');
    await stage.backend.until(() => questions(stage).length === 1);
    client.send(`c:${JSON.stringify({ type: 'unsubscribe', channel: 'a' })}`);
    await eventually(async () => (await stage.members('a')) === 0);
    answer();
    assert.deepEqual(await heard(stage, client), []);
  });

  it('a stop does not wait for the answer', async () => {
    const stage = await asking({ says: () => undefined });
    await stage.open();
    await stage.say('a', 'x');
    await stage.backend.until(() => questions(stage).length === 1);
    const before = Date.now();
    await stage.foregate.stop();
    assert.ok(Date.now() - before < limits.filterTimeoutMs / 2);
  });
});

describe('the setting filterRequests', () => {
  it('lets so many requests a second to a URL begin, the others wait', async () => {
    const times: number[] = [];
    const says: Answer = ({ path }) => {
      if (path === '/ask') times.push(performance.now());
      return {};
    };
    const stage = await asking({ says, meta: { url: '/ask' }, route: { filterRequests: 2 } });
    const clients = [await stage.open(), await stage.open(), await stage.open()];
    const elsewhere = await stage.open('/?url=/other');
    await stage.say('a', 'x');
    assert.equal(await elsewhere.nextText(), 'x');
    for (const client of clients) assert.equal(await client.nextText(), 'x');
    const [first = 0, , third = 0] = times;
    assert.ok(third - first > 900, `${third - first} ms`);
  });

  it('makes no request for a client that leaves while it waits', async () => {
    const stage = await asking({ meta: { url: '/ask' }, route: { filterRequests: 1 } });
    const [first, second, third] = [await stage.open('/?n=1'), await stage.open('/?n=2'), await stage.open('/?n=3')];
    await stage.say('a', 'x');
    assert.equal(await first.nextText(), 'x');
    await second.close();
    assert.equal(await third.nextText(), 'x');
    assert.deepEqual(
      questions(stage).map(({ headers }) => (JSON.parse(String(headers['sub-meta'])) as { n: string }).n),
      ['1', '3'],
    );
  });

  it('puts the two filters among the features of the route', async () => {
    for (const filterRequests of [0, 5]) {
      const stage = await asking({ route: { filterRequests } });
      await stage.open();
      const features = String(stage.backend.requests[0]?.headers['grip-feature']).split(', ');
      for (const filter of ['filter:http-check', 'filter:http-modify'])
        assert.equal(features.includes(filter), filterRequests > 0, filter);
      await clearStage();
    }
  });

  for (const filter of ['http-check', 'http-modify']) {
    it(`is off by default: then ${filter} drops every item, tells so once, and lets actions pass`, async () => {
      const events: string[] = [];
      const log: Log = { ...silentLog, warn: (event) => events.push(event) };
      const stage = await asking({ filters: [filter], route: { filterRequests: undefined }, log });
      const client = await stage.open();
      client.send(`c:${JSON.stringify({ type: 'subscribe', channel: 'b', filters: [filter] })}`);
      await eventually(async () => (await stage.members('b')) === 1);
      await stage.say('a', 'x');
      await stage.say('b', 'y');
      assert.deepEqual(await heard(stage, client), []);
      assert.deepEqual([questions(stage).length, events], [0, ['subscription.filters-off']]);
      await stage.publish('a', { action: 'close', code: 4000 });
      assert.equal((await client.closed()).code, 4000);
    });
  }
});

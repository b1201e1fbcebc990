/** What happens over a limit or against a rule: the same words with the same meaning, whatever the policy counts. */
import assert from 'node:assert/strict';
import jsonwebtoken from 'jsonwebtoken';
import { ConfigError, createForegate, loadText } from '../../gateway/index.ts';
import {
  accepted,
  acceptedWithGrip,
  afterOpen,
  clearStage,
  eventually,
  isOpening,
  nothing,
  setStage,
  type Stage,
} from '../protocol/stage.ts';
import { refusedClient } from '../support/client.ts';

interface Case {
  readonly name: string;
  /** Refuses what comes second. */
  readonly options: object;
  readonly code: number;
}

const jwtSecret = 'a secret of thirty-two bytes or more';
const schema = { schemas: { chat: { inline: { required: ['a'] } } } };
const messageCases: readonly (Case & { readonly good: string; readonly bad: string })[] = [
  { name: 'rate-limit of messages', options: { use: 'rate-limit', messages: 1, window: '1h' }, code: 4429, good: 'a', bad: 'b' },
  { name: 'rate-limit of bytes', options: { use: 'rate-limit', bytes: 1, window: '1h' }, code: 4429, good: 'a', bad: 'b' },
  { name: 'quota', options: { use: 'quota', messages: 1, period: 'month' }, code: 4429, good: 'a', bad: 'b' },
  { name: 'message-size', options: { use: 'message-size', textBytes: 1 }, code: 1009, good: 'a', bad: 'bb' },
  {
    name: 'message-schema',
    options: { use: 'message-schema', ...schema },
    code: 4400,
    good: '{"type":"chat","a":1}',
    bad: '{"type":"chat"}',
  },
];

const staged = (policy: object, more: object = {}): Promise<Stage> => setStage({ route: { policies: [policy], ...more } });

describe('over a limit for messages', () => {
  afterEach(clearStage);

  for (const { name, options, code, good, bad } of messageCases) {
    it(`${name}: close`, async () => {
      const client = await (await staged({ ...options, over: 'close' })).open();
      client.send(good);
      assert.equal(await client.nextText(), good);
      client.send(bad);
      assert.equal((await client.closed()).code, code);
    });

    it(`${name}: close with the code of the route, for its subprotocol`, async () => {
      const error = code === 4429 ? 'rate-limited' : code === 1009 ? 'message-too-large' : 'bad-request';
      const closeCodes = [
        { error, code: 4000 },
        { error, subprotocol: 'b', code: 4001 },
        { error: 'internal', code: 4002 },
      ];
      for (const [protocols, expected] of [
        [['a'], 4000],
        [['b'], 4001],
      ] as const) {
        const stage = await setStage({
          route: { policies: [{ ...options, over: 'close' }], closeCodes },
          answer: (request) =>
            isOpening(request)
              ? accepted({ 'Sec-WebSocket-Protocol': request.headers['sec-websocket-protocol'] ?? '' })
              : nothing,
        });
        const client = await stage.open('/', { protocols: [...protocols] });
        client.send(bad);
        client.send(bad);
        assert.equal((await client.closed()).code, expected);
      }
    });

    it(`${name}: drop, which is counted`, async () => {
      const stage = await staged({ ...options, over: 'drop' });
      const client = await stage.open();
      for (const message of [good, bad, bad]) client.send(message);
      assert.equal(await client.nextText(), good);
      await eventually(async () => /^foregate_messages_dropped_total 2$/m.test(await metricsOf(stage)));
    });

    it(`${name}: answer with a text of the route`, async () => {
      const stage = await staged({ ...options, over: 'answer', text: '{"no":"{detail}","wait":{wait}}' });
      const client = await stage.open();
      client.send(good);
      assert.equal(await client.nextText(), good);
      client.send(bad);
      const answer = JSON.parse(await client.nextText()) as { readonly no: string; readonly wait: number };
      assert.match(answer.no, /\.$/);
      assert.equal(answer.wait > 0, code === 4429);
    });
  }

  it('delay: waits for room, in messages and bytes', async () => {
    for (const unit of ['messages', 'bytes']) {
      const client = await (await staged({ use: 'rate-limit', [unit]: 20, burst: 1, over: 'delay' })).open();
      for (const message of ['a', 'b', 'c']) client.send(message);
      for (const message of ['a', 'b', 'c']) assert.equal(await client.nextText(), message);
    }
  });
});

describe('over a limit for connections', () => {
  afterEach(clearStage);

  const perHour = { use: 'rate-limit', connections: 1, window: '1h' };
  for (const [name, options] of [
    ['rate-limit', perHour],
    ['concurrency', { use: 'concurrency', max: 1 }],
  ] as const) {
    it(`${name}: refuse, with problem details and the wait`, async () => {
      const stage = await staged({ ...options, over: 'refuse' });
      await stage.open();
      const { status, headers, body } = await refusedClient(stage.url.replace(/^http/, 'ws'));
      assert.equal(status, 429);
      assert.equal(headers['content-type'], 'application/problem+json');
      const problem = JSON.parse(body) as Readonly<Record<string, unknown>>;
      assert.deepEqual(
        { ...problem, detail: '' },
        { type: 'about:blank', title: 'Too Many Requests', status: 429, detail: '', code: 'rate-limited' },
      );
      if (name === 'rate-limit') assert.match(headers['retry-after'] ?? '', /^3(600|59\d)$/);
    });

    it(`${name}: close, which the backend does not hear of, and whose place is free again`, async () => {
      const stage = await staged({ ...options, over: 'close' });
      const first = await stage.open();
      const second = await stage.open('/', { protocols: ['x', 'y'] });
      assert.equal((await second.closed()).code, 4429);
      assert.equal(stage.backend.requests.filter(({ body }) => body.toString() === 'OPEN\r\n').length, 1);
      await eventually(async () => (await sessionsOf(stage)) === 1);
      await first.close();
      assert.ok(stage.backend.requests.every(({ headers }) => headers['connection-id'] !== undefined));
    });

    it(`${name}: answer, then close`, async () => {
      const stage = await staged({ ...options, over: 'answer', text: '{"wait":{wait},"detail":"{detail}"}' });
      await stage.open();
      const second = await stage.open();
      assert.match(await second.nextText(), /^\{"wait":\d+,"detail":"Too many connections/);
      assert.equal((await second.closed()).code, 4429);
    });

    it(`${name}: plain requests are refused whatever is said`, async () => {
      for (const over of ['refuse', 'close', 'answer']) {
        const stage = await staged({ ...options, over });
        await stage.open();
        const response = await fetch(stage.url);
        assert.deepEqual([response.status, response.headers.get('content-type')], [429, 'application/problem+json']);
        await clearStage();
      }
    });
  }

  it('rate-limit: delay, until there is room', async () => {
    const stage = await staged({ use: 'rate-limit', connections: 10, burst: 1, over: 'delay' });
    const start = performance.now();
    await Promise.all([stage.open(), stage.open(), stage.open()]);
    assert.ok(performance.now() - start >= 180, 'nobody waited');
  });

  it('rate-limit: delay, and refuses who would wait too long', async () => {
    const stage = await staged({ use: 'rate-limit', connections: 1, window: '1h', over: 'delay' });
    await stage.open();
    assert.equal((await refusedClient(stage.url.replace(/^http/, 'ws'))).status, 429);
  });

  it('closes SockJS clients in their own words', async () => {
    const stage = await staged({ ...perHour, over: 'answer', text: 'wait {wait} s' }, { sockjs: { path: '/sock' } });
    const poll = async (session: string): Promise<string> =>
      (await fetch(`${stage.url}/sock/0/${session}/xhr`, { method: 'POST' })).text();
    assert.equal(await poll('one'), 'o\n');
    const heard = [await poll('two'), await poll('two'), await poll('two')];
    assert.match(heard.join(''), /^o\na\["wait \d+ s"\]\nc\[4429,"Too many connections[^"]*"\]\n/);
  });

  it('takes no credential for the subprotocol of who is turned away', async () => {
    const stage = await setStage({
      route: {
        policies: [
          { use: 'jwt', secret: jwtSecret, from: { subprotocol: 'token' }, required: false },
          { ...perHour, over: 'close' },
        ],
      },
    });
    const token = jsonwebtoken.sign({ sub: 'ann' }, jwtSecret);
    await stage.open();
    const second = await stage.open('/', { protocols: [`token.${token}`, 'chat'] });
    assert.equal(second.socket.protocol, 'chat');
    assert.equal((await second.closed()).code, 4429);
  });
});

describe('over a limit for published items', () => {
  afterEach(clearStage);

  it('drop, which is counted, and in dry run is not', async () => {
    for (const dryRun of [false, true]) {
      const policies = [{ use: 'rate-limit', publishes: 1, window: '1h', over: 'drop', dryRun }];
      const stage = await setStage({ settings: { control: { host: '127.0.0.1', port: 0, policies } } });
      for (const text of ['one', 'two', 'three']) await stage.say('a', text);
      const dropped = dryRun ? 0 : 2;
      assert.match(await metricsOf(stage), new RegExp(`^foregate_publications_dropped_total ${dropped}$`, 'm'));
    }
  });
});

describe('over a limit for subscriptions', () => {
  afterEach(clearStage);

  const control = (channel: string) => ({
    kind: 'text' as const,
    data: Buffer.from(`c:${JSON.stringify({ type: 'subscribe', channel })}`),
  });
  for (const [name, options] of [
    ['rate-limit', { use: 'rate-limit', subscriptions: 1, window: '1h' }],
    ['channels', { use: 'channels', allow: ['a'] }],
  ] as const) {
    it(`${name}: answer, and the session goes on`, async () => {
      const stage = await setStage({
        route: { policies: [{ ...options, over: 'answer', text: '{"no":"{detail}"}' }] },
        answer: afterOpen(() => nothing, acceptedWithGrip([control('a'), control('b')])),
      });
      const client = await stage.open();
      assert.match(await client.nextText(), /^\{"no":"[^"]+"\}$/);
      assert.deepEqual([await stage.members('a'), await stage.members('b')], [1, 0]);
    });
  }
});

describe('a word that would mean nothing', () => {
  const impossible: readonly (readonly [options: string, reason: RegExp])[] = [
    ['{ use: rate-limit, messages: 1, over: refuse }', /no HTTP answer.*always/],
    ['{ use: rate-limit, publishes: 1, over: delay }', /told how long to wait/],
    ['{ use: rate-limit, subscriptions: 1, over: delay }', /would be missed/],
    ['{ use: rate-limit, connections: 1, over: drop }', /come again at once/],
    ['{ use: quota, messages: 1, over: delay }', /for hours/],
    ['{ use: concurrency, max: 1, over: delay }', /Nobody knows when/],
    ['{ use: message-size, textBytes: 1, over: delay }', /no smaller later/],
    ['{ use: message-schema, schemas: { a: { inline: {} } }, over: delay }', /no better later/],
    ['{ use: channels, allow: [a], over: delay }', /no other later/],
  ];
  for (const [options, reason] of impossible) {
    it(`is refused with its place and the reason: ${options}`, async () => {
      const text = `routes:\n  - id: a\n    target: http://127.0.0.1:1\n    policies:\n      - ${options}\n`;
      await assert.rejects(
        async () => createForegate(await loadText(text)),
        (thrown) => {
          assert.ok(thrown instanceof ConfigError);
          const [problem] = thrown.problems;
          assert.equal(problem?.line, 5);
          assert.match(problem.message, /^"over: \w+" is not possible for .*; it may be /);
          assert.match(problem.message, reason);
          return true;
        },
      );
    });
  }

  it('and a close code that may not be sent', async () => {
    const text =
      'routes:\n  - id: a\n    target: http://127.0.0.1:1\n    closeCodes:\n      - { error: internal, code: 1006 }\n      - { error: intern, code: 4000 }\n';
    await assert.rejects(
      async () => loadText(text),
      (thrown) => {
        assert.ok(thrown instanceof ConfigError);
        assert.deepEqual(
          thrown.problems.map(({ line }) => line),
          [5, 6],
        );
        return true;
      },
    );
  });
});

async function metricsOf({ controlUrl }: Stage): Promise<string> {
  return (await fetch(`${controlUrl}/metrics`)).text();
}

async function sessionsOf({ controlUrl }: Stage): Promise<number> {
  const listed = (await (await fetch(`${controlUrl}/connections`)).json()) as readonly unknown[];
  return listed.length;
}

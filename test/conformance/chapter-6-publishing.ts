/** Chapter 6: publishing, and the control API. */
import assert from 'node:assert/strict';
import { Publisher, Push, Request } from 'zeromq';
import type { Case, Chapter } from './case.ts';
import { waitMs, type SocketClient } from './connection.ts';
import { accepting, controlled, grip, held, stream } from './replies.ts';
import { allFormats, type Stage } from './stage.ts';

const streamed = (content: string): object => ({ formats: { 'http-stream': { content } } });
const sent = (format: object): object => ({ formats: { 'ws-message': format } });

/** A WebSocket on the case's channel. */
async function listening(stage: Stage): Promise<SocketClient> {
  stage.answer(accepting({ headers: grip, more: controlled('subscribe', { channel: stage.channel }) }));
  const socket = await stage.open();
  await stage.joined(socket);
  return socket;
}

const empty = '{"items":[]}';

const server: Case[] = [
  ...['/publish/', '/publish'].map((path): Case => ({
    id: `6.1-post-${path === '/publish' ? 'publish' : 'publish-slash'}`,
    rule: `POST ${path}: 200 Published`,
    run: async (stage) => {
      const { status, body, headers } = await stage.call(path, empty);
      assert.deepEqual([status, body, headers.get('content-type')], [200, 'Published\n', 'text/plain']);
    },
  })),
  ...['GET', 'PUT', 'DELETE'].map((method): Case => ({
    id: `6.1-method-${method.toLowerCase()}`,
    rule: `${method} /publish/: 405 with Allow`,
    run: async (stage) => {
      const { status, body, headers } = await stage.call('/publish/', '', [], method);
      assert.deepEqual([status, body, headers.get('allow')], [405, `Method not allowed: ${method}.\n`, 'POST']);
    },
  })),
  {
    id: '6.1-recover-method',
    rule: 'GET /recover/: 405',
    run: async (stage) => {
      assert.equal((await stage.call('/recover/', '', [], 'GET')).status, 405);
    },
  },
  {
    id: '6.1-root',
    rule: 'GET / says which gateway it is',
    differs: { foregate: 'says Foregate API', pushpin: 'says Pushpin API', reason: 'it is the name of the gateway' },
    run: async (stage) => {
      const { status, body } = await stage.call('/', '', [], 'GET');
      assert.equal(status, 200);
      assert.match(body, stage.pick({ foregate: /Foregate/, pushpin: /^Pushpin API\n$/ }));
    },
  },
  ...['/other', '/publish/x', '/publish/?a=b'].map((path): Case => ({
    id: `6.1-not-found-${path.replaceAll(/[^a-z]/g, '')}`,
    rule: `POST ${path}: 404`,
    run: async (stage) => {
      const { status, body } = await stage.call(path, empty);
      assert.deepEqual([status, body], [404, 'Not Found\n']);
    },
  })),
  ...(
    [
      ['text', 'text/plain', 'text/plain'],
      ['text-any', 'text/*', 'text/plain'],
      ['any', '*/*', 'text/plain'],
      ['json', 'application/json', 'application/json'],
      ['application-any', 'application/*', 'application/json'],
      ['list', 'text/html, application/json', 'application/json'],
    ] as const
  ).map(([name, accept, type]): Case => ({
    id: `6.1-accept-${name}`,
    rule: `Accept: ${accept} is answered as ${type}`,
    run: async (stage) => {
      const { headers, body } = await stage.call('/publish/', empty, [`Accept: ${accept}`]);
      assert.equal(headers.get('content-type')?.split(';')[0], type);
      assert.equal(body, type === 'text/plain' ? 'Published\n' : '{"message":"Published"}\n');
    },
  })),
  {
    id: '6.1-accept-several',
    rule: 'of several types in Accept',
    differs: {
      foregate: 'the one with the highest q counts, then the first',
      pushpin: 'the last counts',
      reason: 'it is what the field means',
    },
    run: async (stage) => {
      const { body } = await stage.call('/publish/', empty, ['Accept: application/json, text/plain;q=0.5']);
      assert.equal(body, stage.pick({ foregate: '{"message":"Published"}\n', pushpin: 'Published\n' }));
    },
  },
  {
    id: '6.1-not-acceptable',
    rule: 'no type that is known: 406',
    run: async (stage) => {
      const { status, body } = await stage.call('/publish/', empty, ['Accept: image/png']);
      assert.deepEqual([status, body], [406, 'Not Acceptable. Supported formats are text/plain and application/json.\n']);
    },
  },
  {
    id: '6.1-any-content-type',
    rule: 'the Content-Type of a request is not looked at',
    run: async (stage) => {
      assert.equal((await stage.call('/publish/', empty, ['Content-Type: image/png'])).status, 200);
    },
  },
  {
    id: '6.1-expect',
    rule: 'Expect: 100-continue is honoured',
    run: async (stage) => {
      const head = `POST /publish/ HTTP/1.1\r\nHost: c\r\nExpect: 100-continue\r\nContent-Length: ${empty.length}\r\n\r\n`;
      const raw = await stage.connectControl();
      raw.send(head);
      assert.equal((await raw.takeHead(waitMs)).status, 100);
      raw.send(empty);
      assert.equal((await raw.takeHead(waitMs)).status, 200);
    },
  },
  {
    id: '6.1-no-length',
    rule: 'a body without a length, chunked too, is refused: 411',
    run: async (stage) => {
      const head = 'POST /publish/ HTTP/1.1\r\nHost: c\r\n';
      const bare = await stage.control(`${head}\r\n`);
      assert.deepEqual([bare.status, bare.body], [411, 'Request requires Content-Length.\n']);
      const chunked = await stage.control(`${head}Transfer-Encoding: chunked\r\n\r\nc\r\n${empty}\r\n0\r\n\r\n`);
      assert.equal(chunked.status, 411);
    },
  },
  {
    id: '6.1-large-body',
    rule: 'a body above 1000000 bytes is refused: 400',
    run: async (stage) => {
      const { status, body } = await stage.control(`POST /publish/ HTTP/1.1\r\nHost: c\r\nContent-Length: 1000001\r\n\r\n`);
      assert.deepEqual([status, body], [400, 'Request body too large.\n']);
    },
  },
  {
    id: '6.1-large-header',
    rule: 'a header above 10000 bytes is refused',
    run: async (stage) => {
      const { status } = await stage.call('/publish/', empty, [`X-Large: ${'x'.repeat(20_000)}`]);
      assert.match(String(status), /^4/);
    },
  },
  {
    id: '6.1-connection-close',
    rule: 'the connection after an answer',
    differs: {
      foregate: 'may be used again',
      pushpin: 'is closed',
      reason: 'publishers save a connection for each call; a client may still close',
    },
    run: async (stage) => {
      const { headers } = await stage.call('/publish/', empty);
      assert.equal(headers.get('connection'), stage.pick({ foregate: 'keep-alive', pushpin: 'close' }));
    },
  },
];

const item = (more: object): string => JSON.stringify({ items: [{ channel: 'c', ...more }] });
const inFormats = (name: string, format: unknown): string => item({ formats: { [name]: format } });

/** Bodies that are refused, and what is said of them. */
const refused: readonly (readonly [string, string, string])[] = [
  ['syntax', '{', 'Body is not valid JSON.'],
  ['list', '[]', 'Invalid format.'],
  ['no-items', '{}', "object does not contain 'items'"],
  ['items-type', '{"items":1}', "object contains 'items' with wrong type"],
  ['item-type', '{"items":[1]}', 'publish item object is not an object'],
  ['no-channel', '{"items":[{}]}', "publish item object does not contain 'channel'"],
  ['channel-type', '{"items":[{"channel":1}]}', "publish item object contains 'channel' with wrong type"],
  ['channel-null', '{"items":[{"channel":null}]}', "publish item object contains 'channel' with wrong type"],
  ['id-type', item({ id: 1 }), "publish item object contains 'id' with wrong type"],
  ['prev-id-type', item({ 'prev-id': 1 }), "publish item object contains 'prev-id' with wrong type"],
  ['formats-type', item({ formats: 1 }), "publish item object contains 'formats' with wrong type"],
  ['no-formats', item({}), 'no formats specified'],
  ['format-type', inFormats('http-stream', 1), "'http-stream' is not an object"],
  ['stream-empty', inFormats('http-stream', {}), "'http-stream' does not contain 'content' or 'content-bin'"],
  ['stream-content-type', inFormats('http-stream', { content: 1 }), "'http-stream' contains 'content' with wrong type"],
  ['response-empty', inFormats('http-response', {}), "'http-response' does not contain 'body', 'body-bin', or 'body-patch'"],
  ['response-code', inFormats('http-response', { code: 1000, body: '' }), "'http-response' contains 'code' with invalid value"],
  ['response-headers', inFormats('http-response', { headers: [1], body: '' }), 'headers contains element with wrong type'],
  [
    'response-header-size',
    inFormats('http-response', { headers: [['a']], body: '' }),
    'headers contains list with wrong number of elements',
  ],
  [
    'response-header-name',
    inFormats('http-response', { headers: [[1, 'a']], body: '' }),
    'header contains name element with wrong type',
  ],
  [
    'response-header-value',
    inFormats('http-response', { headers: [['a', 1]], body: '' }),
    'header contains value element with wrong type',
  ],
  ['response-header-object', inFormats('http-response', { headers: { k: 1 }, body: '' }), "headers contains 'k' with wrong type"],
  ['message-empty', inFormats('ws-message', {}), "'ws-message' does not contain 'content' or 'content-bin'"],
  ['message-type', inFormats('ws-message', { content: 'x', type: 'odd' }), "'ws-message' contains 'type' with unknown value"],
  ['message-code', inFormats('ws-message', { action: 'close', code: -1 }), "'ws-message' contains 'code' with invalid value"],
  ['meta-type', item({ meta: 1, ...allFormats('x') }), "publish item object contains 'meta' with wrong type"],
  ['meta-value', item({ meta: { k: 1 }, ...allFormats('x') }), "'meta' contains 'k' with wrong type"],
  ['size', item({ size: -1, ...allFormats('x') }), "publish item object contains 'size' with invalid value"],
  [
    'filters',
    inFormats('ws-message', { content: 'x', 'content-filters': [1] }),
    'content-filters contains element with wrong type',
  ],
  ['action', inFormats('http-stream', { action: 'odd', content: 'x' }), ''],
];

const bodies: Case[] = [
  ...refused.map(([name, body, message]): Case => ({
    id: `6.3-refused-${name}`,
    rule: `400: ${message || 'an empty message'}`,
    run: async (stage) => {
      const answer = await stage.call('/publish/', body);
      const whole = message.endsWith('.') ? message : `Invalid format: ${message}`;
      assert.deepEqual([answer.status, answer.body], [400, `${whole}\n`]);
    },
  })),
  {
    id: '6.2-all-or-nothing',
    rule: 'one bad item refuses the whole request; nothing is published',
    run: async (stage) => {
      const client = await stage.watching();
      const items = [{ channel: stage.channel, ...streamed('first') }, { channel: stage.channel }];
      assert.equal((await stage.call('/publish/', JSON.stringify({ items }))).status, 400);
      await stage.publish({ channel: stage.channel, ...streamed('later') });
      await client.text('later');
    },
  },
  {
    id: '6.2-formats-in-item',
    rule: 'without formats the three may be members of the item itself',
    run: async (stage) => {
      const client = await stage.watching();
      await stage.publish({ channel: stage.channel, 'http-stream': { content: 'inside' } });
      await client.text('inside');
    },
  },
  {
    id: '6.2-unknown-format',
    rule: 'other formats are accepted and ignored',
    run: async (stage) => {
      const client = await stage.watching();
      await stage.publish({ channel: stage.channel, formats: { carrier: 1, 'http-stream': { content: 'x' } } });
      await client.text('x');
    },
  },
  {
    id: '6.2-exact-channel',
    rule: 'receivers are those subscribed to exactly this name',
    run: async (stage) => {
      const client = await stage.watching();
      for (const channel of [`${stage.channel}x`, stage.channel.toUpperCase().replace('EXACT', 'exact')])
        await stage.publish({ channel, ...streamed('no') });
      await stage.publish({ channel: stage.channel, ...streamed('yes') });
      await client.text('yes');
    },
  },
  {
    id: '6.2-size',
    rule: 'size may be a number or a numeric string',
    run: async (stage) => {
      for (const size of [0, 5, '5']) await stage.publish({ channel: stage.channel, size, ...streamed('x') });
    },
  },
];

const formats: Case[] = [
  {
    id: '6.3-response-defaults',
    rule: 'http-response: 200, and the usual reason of another code; fields as a list or an object; body-bin wins over body',
    run: async (stage) => {
      stage.answer(held(stage.channel));
      const one = await stage.answered(await stage.send(), {
        formats: { 'http-response': { body: 'x', headers: [['X-A', '1']] } },
      });
      assert.deepEqual([one.status, one.reason, one.headers.get('x-a')], [200, 'OK', '1']);
      const format = { code: '404', 'body-bin': 'AP8=', body: 'x', headers: { 'X-B': '2' } };
      const two = await stage.answered(await stage.send(), { formats: { 'http-response': format } });
      assert.deepEqual([two.status, two.reason, two.headers.get('x-b'), two.body], [404, 'Not Found', '2', '\x00\xff']);
    },
  },
  {
    id: '6.3-body-patch',
    rule: 'body-patch changes the JSON body of the instruction; written compactly, keys in order, a final newline kept',
    run: async (stage) => {
      stage.answer(held(stage.channel, {}, '{ "z": 1, "a": [1, 2] }\n'));
      const patch = [
        { op: 'replace', path: '/z', value: 'new' },
        { op: 'add', path: '/a/-', value: 3 },
      ];
      const answer = await stage.answered(await stage.send(), { formats: { 'http-response': { 'body-patch': patch } } });
      assert.equal(answer.body, '{"a":[1,2,3],"z":"new"}\n');
    },
  },
  {
    id: '6.3-body-patch-misfit',
    rule: 'body-patch on a body that is no JSON: 502',
    run: async (stage) => {
      stage.answer(held(stage.channel, {}, 'no JSON'));
      const patch = [{ op: 'replace', path: '/z', value: 'new' }];
      const answer = await stage.answered(await stage.send(), { formats: { 'http-response': { 'body-patch': patch } } });
      assert.equal(answer.status, 502);
    },
  },
  {
    id: '6.3-stream-bin',
    rule: 'http-stream: content-bin is base64 and wins over content',
    run: async (stage) => {
      const client = await stage.watching();
      await stage.publish({ channel: stage.channel, formats: { 'http-stream': { 'content-bin': 'AP8=', content: 'x' } } });
      await client.text('\x00\xff');
    },
  },
  ...(
    [
      ['text', { content: 'x' }, 'TEXT x'],
      ['bin', { 'content-bin': 'AP8=', content: 'x' }, 'BINARY \x00\xff'],
      ['typed', { content: 'x', type: 'binary' }, 'BINARY x'],
      ['bin-as-text', { 'content-bin': 'eA==', type: 'text' }, 'TEXT x'],
      ['ping', { content: 'x', type: 'ping' }, 'PING x'],
      ['pong', { content: 'x', type: 'pong' }, 'PONG x'],
      ['close', { action: 'close', code: 4005, reason: 'r' }, 'CLOSE 4005 r'],
      ['close-default', { action: 'close' }, 'CLOSE 1000'],
    ] as const
  ).map(([name, format, expected]): Case => ({
    id: `6.3-message-${name}`,
    rule: `ws-message ${JSON.stringify(format)} is ${JSON.stringify(expected)} for the client`,
    run: async (stage) => {
      const socket = await listening(stage);
      await stage.publish({ channel: stage.channel, ...sent(format) });
      assert.equal(await socket.next(), expected);
    },
  })),
  {
    id: '6.3-message-close-reason-alone',
    rule: 'the reason of a published close is sent only with a code',
    run: async (stage) => {
      const socket = await listening(stage);
      await stage.publish({ channel: stage.channel, ...sent({ action: 'close', reason: 'lost' }) });
      assert.equal(await socket.next(), 'CLOSE 1000');
    },
  },
  {
    id: '6.3-empty-ping',
    rule: 'a ws-message of type ping without content',
    differs: { foregate: 'is sent as an empty ping', pushpin: 'is not sent (1.36)', reason: 'an empty ping is a ping' },
    run: async (stage) => {
      const socket = await listening(stage);
      await stage.publish({ channel: stage.channel, ...sent({ type: 'ping' }) });
      await stage.publish({ channel: stage.channel, ...sent({ content: 'after' }) });
      assert.equal(await socket.next(), stage.pick({ foregate: 'PING', pushpin: 'TEXT after' }));
    },
  },
  {
    id: '6.3-message-hint',
    rule: 'ws-message hint is ignored',
    run: async (stage) => {
      const socket = await listening(stage);
      await stage.publish({ channel: stage.channel, ...sent({ action: 'hint' }) });
      await stage.publish({ channel: stage.channel, ...sent({ content: 'after' }) });
      assert.equal(await socket.next(), 'TEXT after');
    },
  },
  {
    id: '6.3-one-for-all',
    rule: 'one item reaches every kind of client in its format',
    run: async (stage) => {
      stage.answer((request) => {
        if (request.method === 'POST')
          return accepting({ headers: grip, more: controlled('subscribe', { channel: stage.channel }) })(request);
        return request.path.endsWith('/stream') ? stream(stage.channel) : held(stage.channel);
      });
      const socket = await stage.open();
      const streaming = await stage.send('/stream');
      await streaming.head();
      await streaming.text('[open]');
      await Promise.all([stage.joined(socket), stage.joined(streaming)].slice(0, 1));
      const polling = await stage.send('/poll');
      const kinds = { 'http-response': { body: 'r' }, 'http-stream': { content: 's' }, 'ws-message': { content: 'm' } };
      assert.equal((await stage.answered(polling, { formats: kinds })).body, 'r');
      assert.equal(await untilOther(() => socket.next(), 'probe'), 'TEXT m');
      assert.match(await untilOther(() => streaming.some(), 'probe'), /s/);
    },
  },
];

/** The first that is not a probe alone. */
async function untilOther(next: () => Promise<string>, skipped: string): Promise<string> {
  for (;;) {
    const text = await next();
    if (!text.replace(/^(TEXT )?/, '').startsWith(skipped) || text.endsWith('s')) return text;
  }
}

const order: Case[] = [
  {
    id: '6.4-duplicate',
    rule: 'an item whose channel and id were seen is dropped; the answer is still 200',
    run: async (stage) => {
      const client = await stage.watching();
      for (const content of ['first;', 'again;']) await stage.publish({ channel: stage.channel, id: '1', ...streamed(content) });
      await stage.publish({ channel: stage.channel, ...streamed('without id') });
      await client.text('first;without id');
    },
  },
  {
    id: '6.4-duplicate-no-seq',
    rule: 'also with no-seq',
    run: async (stage) => {
      const client = await stage.watching();
      for (const content of ['first;', 'again;'])
        await stage.publish({ channel: stage.channel, id: '1', 'no-seq': true, ...streamed(content) });
      await stage.publish({ channel: stage.channel, ...streamed('end') });
      await client.text('first;end');
    },
  },
  {
    id: '6.4-duplicate-before-anyone',
    rule: 'also when nobody was subscribed the first time',
    run: async (stage) => {
      await stage.publish({ channel: stage.channel, id: '1', ...streamed('unheard') });
      const client = await stage.watching();
      await stage.publish({ channel: stage.channel, id: '1', ...streamed('again') });
      await stage.publish({ channel: stage.channel, ...streamed('end') });
      await client.text('end');
    },
  },
  {
    id: '6.4-other-channel',
    rule: 'the same id on another channel is another item',
    run: async (stage) => {
      const client = await stage.watching();
      await stage.publish(
        { channel: `${stage.channel}-2`, id: '1', ...streamed('x') },
        { channel: stage.channel, id: '1', ...streamed('mine') },
      );
      await client.text('mine');
    },
  },
  {
    id: '6.4-waits-for-earlier',
    rule: 'an item whose prev-id is not the last id waits for the one before it',
    run: async (stage) => {
      const socket = await listening(stage);
      const numbered = (id: string, before: string): object => ({
        channel: stage.channel,
        id,
        'prev-id': before,
        ...sent({ content: id }),
      });
      await stage.publish({ channel: stage.channel, id: '1', ...sent({ content: '1' }) });
      await stage.publish(numbered('3', '2'));
      await stage.publish(numbered('2', '1'));
      assert.deepEqual([await socket.next(), await socket.next(), await socket.next()], ['TEXT 1', 'TEXT 2', 'TEXT 3']);
    },
  },
  {
    id: '6.4-waits-five-seconds',
    rule: 'after message_wait it is sent all the same',
    slow: true,
    run: async (stage) => {
      const socket = await listening(stage);
      await stage.publish({ channel: stage.channel, id: '1', ...sent({ content: '1' }) });
      assert.equal(await socket.next(), 'TEXT 1');
      const started = performance.now();
      await stage.publish({ channel: stage.channel, id: '3', 'prev-id': '2', ...sent({ content: '3' }) });
      assert.equal(await socket.next(15_000), 'TEXT 3');
      assert.ok(performance.now() - started > 3500, 'too early');
    },
  },
  {
    id: '6.4-no-seq',
    rule: 'with no-seq it does not wait',
    run: async (stage) => {
      const socket = await listening(stage);
      await stage.publish({ channel: stage.channel, id: '1', ...sent({ content: '1' }) });
      const started = performance.now();
      await stage.publish({ channel: stage.channel, id: '3', 'prev-id': '2', 'no-seq': true, ...sent({ content: '3' }) });
      assert.deepEqual([await socket.next(), await socket.next()], ['TEXT 1', 'TEXT 3']);
      assert.ok(performance.now() - started < 4500, 'it waited');
    },
  },
  {
    id: '6.4-one-waits',
    rule: 'of two items that wait for the same one the second is dropped',
    run: async (stage) => {
      const socket = await listening(stage);
      await stage.publish({ channel: stage.channel, id: '1', ...sent({ content: '1' }) });
      for (const id of ['3', '3b']) await stage.publish({ channel: stage.channel, id, 'prev-id': '2', ...sent({ content: id }) });
      await stage.publish({ channel: stage.channel, id: '2', 'prev-id': '1', ...sent({ content: '2' }) });
      await stage.publish({ channel: stage.channel, ...sent({ content: 'end' }) });
      const got: string[] = [];
      for (let i = 0; i < 4; i += 1) got.push(await socket.next());
      assert.deepEqual(got, ['TEXT 1', 'TEXT 2', 'TEXT 3', 'TEXT end']);
    },
  },
  {
    id: '6.5-large-item',
    rule: 'a large item arrives whole in a WebSocket, however it is cut into frames',
    run: async (stage) => {
      const socket = await listening(stage);
      const content = 'y'.repeat(100_000);
      await stage.publish({ channel: stage.channel, ...sent({ content }) });
      assert.equal(await socket.next(), `TEXT ${content}`);
    },
  },
  {
    id: '6.5-in-order',
    rule: 'the order for a channel and a connection is that of acceptance',
    run: async (stage) => {
      const socket = await listening(stage);
      const numbers = Array.from({ length: 50 }, (_, i) => String(i));
      await stage.publish(...numbers.map((content) => ({ channel: stage.channel, ...sent({ content }) })));
      for (const number of numbers) assert.equal(await socket.next(), `TEXT ${number}`);
    },
  },
  {
    id: '6.5-no-history',
    rule: 'an item for a channel without subscribers is gone',
    run: async (stage) => {
      await stage.publish({ channel: stage.channel, ...streamed('nobody') });
      const client = await stage.watching();
      await stage.publish({ channel: stage.channel, ...streamed('somebody') });
      await client.text('somebody');
    },
  },
];

/** A tnetstring (GRIP 6.6) of what JSON can say; all numbers are whole. */
function tnet(value: unknown): string {
  if (value === null) return '0:~';
  if (typeof value === 'boolean') return sized(String(value), '!');
  if (typeof value === 'number') return sized(String(value), '#');
  if (typeof value === 'string') return sized(value, ',');
  if (Array.isArray(value)) return sized(value.map(tnet).join(''), ']');
  return sized(
    Object.entries(value as object)
      .flat()
      .map(tnet)
      .join(''),
    '}',
  );
}

function sized(payload: string, type: string): string {
  return `${Buffer.byteLength(payload)}:${payload}${type}`;
}

const door = (stage: Stage, name: string): string => `ipc://${stage.file(`run/${name}`)}`;

/** What a command is answered, as text. */
async function command(stage: Stage, method: string, args: object): Promise<string> {
  const socket = new Request({ linger: 0, receiveTimeout: 5000 });
  try {
    socket.connect(door(stage, 'command'));
    await socket.send(tnet({ id: '1', method, args }));
    return String((await socket.receive())[0]);
  } finally {
    socket.close();
  }
}

const zeroMq: Case[] = [
  ...(['json', 'tnetstring', 'bare tnetstring'] as const).map((form): Case => ({
    id: `6.6-pull-${form.replace(' ', '-')}`,
    rule: `the PULL socket takes an item as ${form}`,
    files: true,
    run: async (stage) => {
      const client = await stage.watching();
      const pushed = { channel: stage.channel, ...streamed('pushed') };
      const socket = new Push({ linger: 0, sendTimeout: 5000 });
      socket.connect(door(stage, 'push-in'));
      try {
        await socket.send(
          { json: `J${JSON.stringify(pushed)}`, tnetstring: `T${tnet(pushed)}`, 'bare tnetstring': tnet(pushed) }[form],
        );
        await client.text('pushed');
      } finally {
        socket.close();
      }
    },
  })),
  {
    id: '6.6-sub',
    rule: 'the SUB socket takes the channel and the item; the channel of the first frame counts',
    files: true,
    run: async (stage) => {
      const client = await stage.watching();
      const socket = new Publisher({ linger: 0 });
      socket.connect(door(stage, 'push-sub'));
      const heard = client.text('by sub');
      try {
        // A publisher is not told when somebody listens to it.
        for (let done = false; !done;) {
          await socket.send([stage.channel, `J${JSON.stringify({ channel: 'another', ...streamed('by sub') })}`]);
          done = await Promise.race([heard.then(() => true), stage.quiet(100).then(() => false)]);
        }
      } finally {
        socket.close();
      }
    },
  },
  {
    id: '6.6-conncheck',
    rule: 'the command conncheck names those of the connections that exist',
    files: true,
    run: async (stage) => {
      await listening(stage);
      const id = String(stage.requests[0]?.headers['connection-id']);
      const answer = await command(stage, 'conncheck', { ids: [id, 'nobody'] });
      assert.ok(answer.includes(tnet('success') + tnet(true)), answer);
      assert.ok(answer.includes(tnet([id])), answer);
    },
  },
  {
    id: '6.6-refresh-unknown',
    rule: 'the command refresh for an unknown connection: item-not-found',
    files: true,
    run: async (stage) => {
      const answer = await command(stage, 'refresh', { cid: 'nobody' });
      assert.ok(answer.includes(tnet('condition') + tnet('item-not-found')), answer);
    },
  },
  {
    id: '6.6-publish',
    rule: 'the command publish publishes',
    files: true,
    run: async (stage) => {
      const client = await stage.watching();
      await command(stage, 'publish', { items: [{ channel: stage.channel, ...streamed('commanded') }] });
      await client.text('commanded');
    },
  },
  {
    id: '6.6-unknown-command',
    rule: 'another command: method-not-found',
    files: true,
    run: async (stage) => {
      const answer = await command(stage, 'dance', {});
      assert.ok(answer.includes(tnet('condition') + tnet('method-not-found')), answer);
    },
  },
];

export const publishing: Chapter = {
  number: 6,
  title: 'Publishing and control',
  cases: [server, bodies, formats, order, zeroMq].flat(),
};

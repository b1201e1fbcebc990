/** Chapter 4: GRIP holds for HTTP. */
import assert from 'node:assert/strict';
import type { Case, Chapter } from './case.ts';
import type { HttpClient, RequestTerms } from './connection.ts';
import { held, instruct, stream } from './replies.ts';
import type { Stage } from './stage.ts';
import type { Reply } from './backend.ts';

const failure = 'Error while proxying to origin.\n';
const published = (body: string, more: object = {}): object => ({ formats: { 'http-response': { body, ...more } } });

/** The answer to a request whose reply says this. */
async function answerTo(stage: Stage, reply: Reply, host?: string) {
  stage.answer(reply);
  const client = await stage.send('', host === undefined ? {} : { host });
  return client.answer();
}

const streamed = (content: string): object => ({ formats: { 'http-stream': { content } } });

/** A stream that has begun, with its first body taken. */
async function begun(stage: Stage, rest = '', terms: RequestTerms = {}): Promise<HttpClient> {
  const client = await stage.send(rest, terms);
  await client.head();
  await client.text('[open]');
  return client;
}

/** Hints until the next link was fetched, and takes its body. */
async function untilLink(stage: Stage, client: HttpClient, body: string): Promise<void> {
  const got = client.text(body);
  const fetched = (): boolean => stage.at('/next').length > 0;
  while (!fetched()) {
    await stage.publish({ channel: stage.channel, formats: { 'http-stream': { action: 'hint' } } });
    await stage.quiet(150);
  }
  await got;
}

/** Publishes a response until the promise is settled. */
async function publishUntil(stage: Stage, done: Promise<unknown>): Promise<void> {
  for (;;) {
    await stage.publish({ channel: stage.channel, ...published('news') });
    if (await Promise.race([done.then(() => true), stage.quiet(150)])) return;
  }
}

const whatIsGrip: Case[] = [
  {
    id: '4.1-plain-reply',
    rule: 'a reply without Grip fields and type goes through unchanged',
    run: async (stage) => {
      const answer = await answerTo(stage, {
        status: 418,
        reason: 'Teapot',
        headers: { 'X-Own': 'a', Location: '/b' },
        body: 'short',
      });
      assert.deepEqual([answer.status, answer.reason, answer.body], [418, 'Teapot', 'short']);
      assert.equal(answer.headers.get('x-own'), 'a');
      assert.equal(answer.headers.get('location'), '/b');
    },
  },
  {
    id: '4.1-signature-and-features',
    rule: 'a request that may be answered with GRIP carries Grip-Sig and Grip-Feature',
    run: async (stage) => {
      await answerTo(stage, { body: 'x' });
      const { headers } = await stage.request(0);
      assert.match(String(headers['grip-sig']), /^[\w-]+\.[\w-]+\.[\w-]+$/);
      assert.match(String(headers['grip-feature']), /status.*link:next.*filter:skip-self/);
    },
  },
  {
    id: '4.1-any-grip-field',
    rule: 'any field that begins with Grip- makes a reply an instruction, and none of them reaches the client',
    run: async (stage) => {
      const answer = await answerTo(stage, {
        headers: { 'Grip-Unheard-Of': 'x', 'grip-status': '203', 'X-Own': 'a' },
        body: 'b',
      });
      assert.equal(answer.status, 203);
      assert.deepEqual(
        [...answer.headers.keys()].filter((name) => name.startsWith('grip')),
        [],
      );
      assert.equal(answer.headers.get('x-own'), 'a');
    },
  },
  {
    id: '4.1-instruct-type-with-parameter',
    rule: 'the type of a JSON instruction is read up to the semicolon',
    run: async (stage) => {
      const reply = instruct({ response: { body: 'said' } });
      const answer = await answerTo(stage, { ...reply, headers: { 'Content-Type': 'application/grip-instruct; charset=utf-8' } });
      assert.equal(answer.body, 'said');
    },
  },
  {
    id: '4.1-no-grip-route',
    rule: 'with no_grip on the route the reply goes through with its Grip fields, and nothing is signed',
    run: async (stage) => {
      const answer = await answerTo(stage, held('c'), 'no-grip.example');
      assert.equal(answer.body, 'nothing\n');
      assert.equal((await stage.request(0)).headers['grip-sig'], undefined);
    },
  },
  {
    id: '4.1-large-request',
    rule: 'a request body above 100000 bytes cannot be held: 400',
    run: async (stage) => {
      stage.answer(held(stage.channel));
      const client = await stage.send('', { method: 'POST', body: 'x'.repeat(100_001) });
      const answer = await client.answer();
      assert.deepEqual([answer.status, answer.body], [400, 'Request too large to accept GRIP instruct.\n']);
    },
  },
  {
    id: '4.1-request-of-100000',
    rule: 'a request body of 100000 bytes can be held',
    run: async (stage) => {
      stage.answer(held(stage.channel));
      const client = await stage.send('', { method: 'POST', body: 'x'.repeat(100_000) });
      assert.equal((await stage.answered(client, published('now'))).body, 'now');
    },
  },
  {
    id: '4.1-large-response-hold',
    rule: 'the reply of a response hold may not be above 100000 bytes: 502',
    run: async (stage) => {
      const answer = await answerTo(stage, held(stage.channel, {}, 'x'.repeat(100_001)));
      assert.deepEqual([answer.status, answer.body], [502, failure]);
    },
  },
  {
    id: '4.1-large-stream-start',
    rule: 'a stream may begin with more than 100000 bytes; the hold begins at their end',
    run: async (stage) => {
      const body = 'y'.repeat(150_000);
      stage.answer(stream(stage.channel, {}, body));
      const client = await stage.send();
      await client.head();
      await client.text(body);
      await stage.joined(client);
      await stage.say('after');
      await client.text('after');
    },
  },
];

const lists: Case[] = [
  {
    id: '4.2-channels-repeated-and-listed',
    rule: 'Grip-Channel may be repeated and may be a list',
    run: async (stage) => {
      const [a, b, c] = ['a', 'b', 'c'].map((name) => `${stage.channel}-${name}`);
      const headers: [string, string][] = [
        ['Grip-Hold', 'stream'],
        ['Grip-Channel', `${a}, ${b}`],
        ['Grip-Channel', String(c)],
      ];
      stage.answer({ headers, body: '[open]' });
      const client = await begun(stage);
      await stage.joined(client, a);
      for (const channel of [a, b, c]) await stage.publish({ channel, ...streamed(`to ${channel};`) });
      await client.text(`to ${a};to ${b};to ${c};`);
    },
  },
  {
    id: '4.2-quoted-parameter',
    rule: 'a quoted parameter of a channel is unquoted; a comma and a semicolon in quotes do not separate',
    run: async (stage) => {
      stage.answer(stream(`${stage.channel}; x="a, b; c"; filter="skip-self"`, { 'Grip-Set-Meta': 'user="me"' }));
      const client = await begun(stage);
      await stage.joined(client);
      await stage.publish({ channel: stage.channel, meta: { sender: 'me' }, ...streamed('mine') });
      await stage.publish({ channel: stage.channel, meta: { sender: 'you' }, ...streamed('yours') });
      await client.text('yours');
    },
  },
  {
    id: '4.2-quoted-channel',
    rule: 'quotes around a channel name stay part of it',
    run: async (stage) => {
      stage.answer(stream(`"${stage.channel}"`));
      const client = await begun(stage);
      await stage.joined(client, `"${stage.channel}"`);
    },
  },
  {
    id: '4.2-no-channels',
    rule: 'a hold without channels is legal',
    run: async (stage) => {
      stage.answer({ headers: { 'Grip-Hold': 'stream' }, body: '[open]' });
      const client = await begun(stage);
      await stage.quiet();
      assert.equal(client.raw.ended, false);
    },
  },
  {
    id: '4.2-twenty-channels',
    rule: 'of more than 20 channels the surplus is ignored',
    run: async (stage) => {
      const names = Array.from({ length: 21 }, (_, i) => `${stage.channel}-${i + 1}`);
      stage.answer(stream(names.join(', ')));
      const client = await begun(stage);
      await stage.joined(client, names[19]);
      await stage.publish({ channel: names[20], ...streamed('surplus') });
      await stage.publish({ channel: names[0], ...streamed('first') });
      await client.text('first');
    },
  },
  {
    id: '4.2-status-code',
    rule: 'Grip-Status gives the status; its reason is the usual one',
    run: async (stage) => {
      const answer = await answerTo(stage, { headers: { 'Grip-Status': '404' }, body: 'x' });
      assert.deepEqual([answer.status, answer.reason], [404, 'Not Found']);
    },
  },
  {
    id: '4.2-status-reason',
    rule: 'Grip-Status may give a reason',
    run: async (stage) => {
      const answer = await answerTo(stage, { headers: { 'Grip-Status': '299 Odd But Fine' }, body: 'x' });
      assert.deepEqual([answer.status, answer.reason], [299, 'Odd But Fine']);
    },
  },
  {
    id: '4.2-status-unknown',
    rule: 'an unknown Grip-Status without a reason gets Undefined Reason',
    run: async (stage) => {
      const answer = await answerTo(stage, { headers: { 'Grip-Status': '299' }, body: 'x' });
      assert.deepEqual([answer.status, answer.reason], [299, 'Undefined Reason']);
    },
  },
  {
    id: '4.2-status-of-hold',
    rule: 'Grip-Status is the status of a hold, too',
    run: async (stage) => {
      stage.answer(stream(stage.channel, { 'Grip-Status': '206 Some' }));
      const { status, reason } = await (await stage.send()).head();
      assert.deepEqual([status, reason], [206, 'Some']);
    },
  },
  {
    id: '4.2-expose-headers',
    rule: 'with Grip-Expose-Headers only the named fields reach the client; Content-Type has to be named, too',
    run: async (stage) => {
      const headers = {
        'Grip-Expose-Headers': 'X-One, x-two',
        'X-One': '1',
        'X-Two': '2',
        'X-Three': '3',
        'Content-Type': 'a/b',
      };
      const answer = await answerTo(stage, { headers, body: 'x' });
      assert.deepEqual(
        ['x-one', 'x-two', 'x-three', 'content-type'].map((name) => answer.headers.get(name)),
        ['1', '2', undefined, undefined],
      );
    },
  },
  {
    id: '4.2-any-status',
    rule: 'instructions in fields may come with any status: 500 with a stream is a stream',
    run: async (stage) => {
      stage.answer({ ...stream(stage.channel), status: 500 });
      const client = await stage.send();
      assert.equal((await client.head()).status, 500);
      await client.text('[open]');
      await stage.joined(client);
    },
  },
  {
    id: '4.2-link-without-parameters',
    rule: 'a Grip-Link without parameters is ignored',
    run: async (stage) => {
      const answer = await answerTo(stage, { headers: { 'Grip-Link': '</next>' }, body: 'only this' });
      assert.deepEqual([answer.body, stage.requests.length], ['only this', 1]);
    },
  },
  {
    id: '4.2-six-filters',
    rule: 'a channel has at most 5 filters (from Pushpin 2.0)',
    absent: 'pushpin',
    differs: { foregate: 'answers 502', pushpin: 'takes any number (1.36)', reason: 'the limit is of Pushpin 2.0' },
    run: async (stage) => {
      const filters = Array.from({ length: 6 }, () => 'filter=skip-self').join('; ');
      assert.equal((await answerTo(stage, held(`${stage.channel}; ${filters}`))).status, 502);
    },
  },
];

/** Every field of a keep-alive, by what the client gets about every second. */
const keepAlives: Case[] = [
  ['raw', 'beat; timeout=1', 'beat'],
  ['cstring', '\\\\a\\r\\n\\x41\\q-; format=cstring; timeout=1', '\\a\r\nA-'],
  ['base64', 'YmVhdA==; format=base64; timeout=1', 'beat'],
  ['timeout-zero', 'beat; timeout=1; mode=interval', 'beat'],
].map(([name = '', field = '', beat = '']) => ({
  id: `4.2-keep-alive-${name}`,
  rule: `Grip-Keep-Alive: ${field}`,
  slow: true,
  run: async (stage) => {
    stage.answer(stream(stage.channel, { 'Grip-Keep-Alive': field }));
    const client = await begun(stage);
    await client.text(beat + beat);
  },
}));

const documents: Case[] = [
  {
    id: '4.3-hold',
    rule: 'a JSON document holds in response mode by itself; response gives status, reason, fields as a list, and body',
    slow: true,
    run: async (stage) => {
      const response = {
        code: 203,
        reason: 'Waited',
        headers: [
          ['X-A', '1'],
          ['X-B', '2'],
        ],
        body: 'late',
      };
      stage.answer(instruct({ hold: { channels: [{ name: stage.channel }], timeout: 5 }, response }, { 'X-Http': 'no' }));
      const answer = await (await stage.send()).answer(20_000);
      assert.deepEqual([answer.status, answer.reason, answer.body], [203, 'Waited', 'late']);
      assert.deepEqual(
        ['x-a', 'x-b', 'x-http'].map((name) => answer.headers.get(name)),
        ['1', '2', undefined],
      );
    },
  },
  {
    id: '4.3-headers-object',
    rule: 'the fields may be an object; without a code it is 200',
    run: async (stage) => {
      const answer = await answerTo(stage, instruct({ response: { headers: { 'X-A': '1' }, body: 'b' } }));
      assert.deepEqual([answer.status, answer.headers.get('x-a'), answer.body], [200, '1', 'b']);
    },
  },
  {
    id: '4.3-body-bin',
    rule: 'body-bin is base64 and wins over body',
    run: async (stage) => {
      const answer = await answerTo(stage, instruct({ response: { body: 'text', 'body-bin': 'AAH/' } }));
      assert.equal(answer.body, '\x00\x01\xff');
    },
  },
  {
    id: '4.3-stream',
    rule: 'mode stream begins a stream; meta and filters are of the subscription',
    run: async (stage) => {
      const channels = [{ name: stage.channel, filters: ['skip-self'] }];
      stage.answer(instruct({ hold: { mode: 'stream', channels, meta: { user: 'me' } }, response: { body: '[open]' } }));
      const client = await begun(stage);
      await stage.joined(client);
      await stage.publish({ channel: stage.channel, meta: { sender: 'me' }, ...streamed('mine') });
      await stage.publish({ channel: stage.channel, ...streamed('other') });
      await client.text('other');
    },
  },
  {
    id: '4.3-keep-alive',
    rule: 'a stream may have a keep-alive, content or content-bin',
    slow: true,
    run: async (stage) => {
      const hold = {
        mode: 'stream',
        channels: [{ name: stage.channel }],
        'keep-alive': { 'content-bin': 'YmVhdA==', timeout: 1 },
      };
      stage.answer(instruct({ hold, response: { body: '[open]' } }));
      const client = await begun(stage);
      await client.text('beatbeat');
    },
  },
  {
    id: '4.3-with-header-fields',
    rule: 'Grip fields are read as well: channels are added to those of the document, meta is combined',
    run: async (stage) => {
      const [inDocument, inField] = [`${stage.channel}-a`, `${stage.channel}-b; filter=skip-self`];
      const headers = { 'Grip-Channel': inField, 'Grip-Set-Meta': 'user=me' };
      stage.answer(
        instruct({ hold: { mode: 'stream', channels: [{ name: inDocument }] }, response: { body: '[open]' } }, headers),
      );
      const client = await begun(stage);
      await stage.joined(client, inDocument);
      await stage.publish({ channel: `${stage.channel}-b`, meta: { sender: 'me' }, ...streamed('mine') });
      await stage.publish({ channel: `${stage.channel}-b`, ...streamed('b') });
      await client.text('b');
    },
  },
  {
    id: '4.3-hold-in-field',
    rule: 'Grip-Hold works with a document that has no hold',
    run: async (stage) => {
      const headers = { 'Grip-Hold': 'stream', 'Grip-Channel': stage.channel };
      stage.answer(instruct({ response: { body: '[open]' } }, headers));
      const client = await begun(stage);
      await stage.joined(client);
    },
  },
  {
    id: '4.3-nothing',
    rule: 'a document with neither hold nor response body',
    differs: {
      foregate: 'takes it for an empty 200',
      pushpin: 'answers 502',
      reason: 'the document says nothing wrong, and an empty reply is what it means',
    },
    run: async (stage) => {
      const answer = await answerTo(stage, instruct({}));
      assert.deepEqual([answer.status, answer.body], stage.pick({ foregate: [200, ''], pushpin: [502, failure] }));
    },
  },
];

const channel = (more: object): object => ({ channels: [{ name: 'c' }], ...more });

/** Instructions that are wrong, and what is said of them in debug mode. */
const wrong: readonly (readonly [string, Reply, string])[] = [
  ['hold', { headers: { 'Grip-Hold': 'maybe' } }, "Grip-Hold must be set to either 'response' or 'stream'"],
  ['timeout', held('c', { 'Grip-Timeout': 'soon' }), 'failed to parse Grip-Timeout'],
  ['timeout-negative', held('c', { 'Grip-Timeout': '-1' }), 'Grip-Timeout has invalid value'],
  ['keep-alive-empty', stream('c', { 'Grip-Keep-Alive': '; timeout=5' }), 'Grip-Keep-Alive cannot be empty'],
  ['keep-alive-mode', stream('c', { 'Grip-Keep-Alive': 'x; mode=odd' }), "no such Grip-Keep-Alive mode 'odd'"],
  ['keep-alive-timeout', stream('c', { 'Grip-Keep-Alive': 'x; timeout=y' }), 'failed to parse Grip-Keep-Alive timeout value'],
  ['keep-alive-negative', stream('c', { 'Grip-Keep-Alive': 'x; timeout=-1' }), 'Grip-Keep-Alive timeout has invalid value'],
  [
    'keep-alive-cstring',
    stream('c', { 'Grip-Keep-Alive': 'x\\x4; format=cstring' }),
    'failed to parse Grip-Keep-Alive cstring format',
  ],
  ['keep-alive-format', stream('c', { 'Grip-Keep-Alive': 'x; format=odd' }), "no such Grip-Keep-Alive format 'odd'"],
  ['status', { headers: { 'Grip-Status': '1000' } }, 'Grip-Status contains invalid status code'],
  ['link', { headers: { 'Grip-Link': '/next; rel=next' } }, 'failed to parse Grip-Link value'],
  ['link-empty', { headers: { 'Grip-Link': '<http://a:b:c/>; rel=next' } }, 'Grip-Link contains invalid link'],
  ['link-timeout', { headers: { 'Grip-Link': '</n>; rel=next; timeout=x' } }, 'failed to parse Grip-Link timeout value'],
  ['link-negative', { headers: { 'Grip-Link': '</n>; rel=next; timeout=-1' } }, 'Grip-Link timeout has invalid value'],
  ['json-status', { ...instruct({}), status: 201 }, 'response code for application/grip-instruct content must be 200'],
  ['json-syntax', instruct('{'), 'failed to parse application/grip-instruct content as JSON'],
  ['json-list', instruct('[]'), 'instruct must be an object'],
  ['json-hold', instruct({ hold: 1 }), "instruct contains 'hold' with wrong type"],
  ['json-mode', instruct({ hold: channel({ mode: 'odd' }) }), "hold 'mode' must be set to either 'response' or 'stream'"],
  ['json-channels', instruct({ hold: {} }), "hold does not contain 'channels'"],
  ['json-channels-type', instruct({ hold: { channels: 1 } }), "hold contains 'channels' with wrong type"],
  ['json-timeout', instruct({ hold: channel({ timeout: [] }) }), "hold contains 'timeout' with wrong type"],
  ['json-timeout-negative', instruct({ hold: channel({ timeout: -1 }) }), "hold contains 'timeout' with invalid value"],
  ['json-code', instruct({ response: { code: [], body: '' } }), "response contains 'code' with wrong type"],
  ['json-body', instruct({ response: { body: 1 } }), "response contains 'body' with wrong type"],
];

const invalid: Case[] = [
  {
    id: '4.4-quiet',
    rule: 'without debug an invalid instruction is told to nobody: 502 as plain text',
    run: async (stage) => {
      const answer = await answerTo(stage, { headers: { 'Grip-Hold': 'maybe' } });
      assert.deepEqual([answer.status, answer.headers.get('content-type'), answer.body], [502, 'text/plain', failure]);
    },
  },
  {
    id: '4.4-meta-empty',
    rule: 'an empty Grip-Set-Meta',
    differs: {
      foregate: 'answers 502, `Grip-Set-Meta cannot be empty`',
      pushpin: 'ignores it (1.36)',
      reason: 'Pushpin has the message, and a field without a value is a mistake of the backend',
    },
    run: async (stage) => {
      stage.answer(stream(stage.channel, { 'Grip-Set-Meta': '' }));
      const { status } = await (await stage.send()).head();
      assert.equal(status, stage.pick({ foregate: 502, pushpin: 200 }));
    },
  },
  {
    id: '4.4-json-response',
    rule: 'a response of the wrong type in a JSON document',
    differs: {
      foregate: "says `instruct contains 'response' with wrong type`",
      pushpin: 'gives an empty message (1.36)',
      reason: 'the message is the one of all other members',
    },
    run: async (stage) => {
      const answer = await answerTo(stage, instruct({ response: 1 }), 'debug.example');
      const message = stage.pick({ foregate: "instruct contains 'response' with wrong type", pushpin: '' });
      assert.deepEqual([answer.status, answer.body], [502, `Failed to parse accept instructions: ${message}\n`]);
    },
  },
  ...wrong.map(([name, reply, message]): Case => ({
    id: `4.4-${name}`,
    rule: message,
    run: async (stage) => {
      const answer = await answerTo(stage, reply, 'debug.example');
      assert.deepEqual([answer.status, answer.body], [502, `Failed to parse accept instructions: ${message}\n`]);
    },
  })),
];

const responses: Case[] = [
  {
    id: '4.5-publish-answers',
    rule: 'a published http-response answers a held request with its code, reason and body, and with a length',
    run: async (stage) => {
      stage.answer(held(stage.channel));
      const client = await stage.send();
      const answer = await stage.answered(client, published('news', { code: 202, reason: 'Heard' }));
      assert.deepEqual([answer.status, answer.reason, answer.body], [202, 'Heard', 'news']);
      assert.equal(answer.headers.get('content-length'), '4');
    },
  },
  {
    id: '4.5-headers',
    rule: "the answer has the instruction's fields, minus names that the item has, plus the item's; no Grip fields",
    run: async (stage) => {
      stage.answer(held(stage.channel, { 'X-Kept': 'k', 'X-Both': 'instruction' }));
      const client = await stage.send();
      const headers = { 'X-Both': 'item', 'X-New': 'n', 'Grip-Secret': 's' };
      const answer = await stage.answered(client, published('news', { headers }));
      assert.equal(answer.headers.get('x-kept'), 'k');
      assert.equal(answer.headers.get('x-both'), 'item');
      assert.equal(answer.headers.get('x-new'), 'n');
      assert.equal(answer.headers.get('grip-secret'), undefined);
    },
  },
  {
    id: '4.5-timeout',
    rule: "at the timeout the client gets the instruction's own response; below 5 acts as 5",
    slow: true,
    run: async (stage) => {
      stage.answer({ ...held(stage.channel, { 'Grip-Timeout': '1', 'X-Own': 'a' }), status: 201 });
      const started = performance.now();
      const client = await stage.send();
      const answer = await client.answer(20_000);
      assert.deepEqual([answer.status, answer.body, answer.headers.get('x-own')], [201, 'nothing\n', 'a']);
      assert.ok(performance.now() - started >= 4000, 'too early');
    },
  },
  {
    id: '4.5-timeout-default',
    rule: 'without a timeout the answer comes after 55 seconds',
    slow: true,
    run: async (stage) => {
      stage.answer(held(stage.channel));
      const started = performance.now();
      const client = await stage.send();
      assert.equal((await client.answer(59_000)).body, 'nothing\n');
      const seconds = (performance.now() - started) / 1000;
      assert.ok(seconds > 53.9, `after ${seconds} s`);
    },
  },
  {
    id: '4.5-timeout-204',
    rule: 'a timeout with 204 has no body',
    slow: true,
    run: async (stage) => {
      stage.answer({ ...held(stage.channel, { 'Grip-Timeout': '5', 'Grip-Status': '204' }, 'body'), status: 200 });
      const client = await stage.send();
      const { status } = await client.head(20_000);
      await stage.quiet();
      assert.deepEqual([status, client.raw.received.toString()], [204, '']);
    },
  },
  {
    id: '4.5-other-formats',
    rule: 'items without http-response, and close and refresh, are ignored',
    run: async (stage) => {
      stage.answer(held(stage.channel));
      const client = await stage.send();
      await stage.quiet();
      await stage.publish({ channel: stage.channel, formats: { 'http-stream': { content: 'x' } } });
      await stage.publish({ channel: stage.channel, formats: { 'http-response': { action: 'close' } } });
      assert.equal((await stage.answered(client, published('at last'))).body, 'at last');
    },
  },
  {
    id: '4.5-hint',
    rule: "a hint makes the client's request again: method, URI, fields and body as the first time",
    run: async (stage) => {
      let hinted = false;
      stage.answer(() => (hinted ? { body: 'fresh' } : held(stage.channel)));
      const client = await stage.send('?q=1', { method: 'POST', headers: ['X-Own: a'], body: 'asked' });
      await stage.request(0);
      await stage.quiet(1500); // So that the first subscription is over.
      hinted = true;
      const answer = await stage.answered(client, { formats: { 'http-response': { action: 'hint' } } });
      assert.equal(answer.body, 'fresh');
      const last = stage.requests.at(-1);
      assert.ok(last && stage.requests.length > 1);
      assert.deepEqual([last.method, last.path, last.body], ['POST', `${stage.path}?q=1`, 'asked']);
      assert.deepEqual([last.headers['x-own'], last.headers['grip-last']], ['a', undefined]);
    },
  },
  {
    id: '4.5-mismatch',
    rule: 'an item whose prev-id is not what the channel holds makes the request again, with Grip-Last',
    run: async (stage) => {
      stage.answer((request) =>
        request.headers['grip-last'] === undefined
          ? held(`${stage.channel}; prev-id=1`)
          : { body: String(request.headers['grip-last']) },
      );
      const client = await stage.send();
      const answer = await stage.answered(client, { 'prev-id': '5', ...published('not this') });
      assert.equal(answer.body, `${stage.channel}; last-id=1`);
    },
  },
  {
    id: '4.5-match',
    rule: 'an item whose prev-id is what the channel holds is the answer',
    run: async (stage) => {
      stage.answer(held(`${stage.channel}; prev-id=1`));
      const client = await stage.send();
      assert.equal((await stage.answered(client, { 'prev-id': '1', ...published('this') })).body, 'this');
    },
  },
  {
    id: '4.5-known-last-id',
    rule: 'a hold whose prev-id differs from the last id that is known asks again at once',
    run: async (stage) => {
      const watcher = `${stage.path}/watch`;
      stage.answer((request) => {
        if (request.path === watcher) return stream(stage.channel);
        return request.headers['grip-last'] === undefined ? held(`${stage.channel}; prev-id=1`) : { body: 'missed' };
      });
      const watch = await begun(stage, '/watch');
      await stage.joined(watch);
      await stage.publish({ channel: stage.channel, id: '2', 'prev-id': '1', ...streamed('two') });
      await watch.text('two');
      assert.equal((await (await stage.send()).answer()).body, 'missed');
    },
  },
  {
    id: '4.5-first-subscription',
    rule: 'one second after the first subscription of a channel its holds ask again once',
    slow: true,
    differs: {
      foregate: 'asks once',
      pushpin: 'asks the backend again a second after the first subscription',
      reason: 'every first long-poll on a quiet channel would cost two requests; prev-id closes the same gap for nothing',
    },
    run: async (stage) => {
      stage.answer(held(stage.channel));
      await stage.send();
      await stage.request(0);
      await stage.quiet(3000);
      assert.equal(stage.requests.length, stage.pick({ foregate: 1, pushpin: 2 }));
    },
  },
  {
    id: '4.5-head',
    rule: 'a HEAD request that is held and answered by an item',
    differs: {
      foregate: 'answers without a body',
      pushpin: 'answers with the body',
      reason: 'HTTP forbids it, and the client would take the body for the next answer',
    },
    run: async (stage) => {
      stage.answer(held(stage.channel));
      const client = await stage.send('', { method: 'HEAD' });
      const head = client.head();
      await Promise.race([head, publishUntil(stage, head)]);
      await stage.quiet();
      assert.equal(client.raw.received.toString(), stage.pick({ foregate: '', pushpin: 'news' }));
    },
  },
  {
    id: '4.5-item-expose-headers',
    rule: 'Grip-Expose-Headers among the fields of a published item',
    differs: {
      foregate: 'lets only the fields it names through',
      pushpin: 'removes the fields it names',
      reason: 'it is the reverse of what the field means elsewhere',
    },
    run: async (stage) => {
      stage.answer(held(stage.channel, { 'X-One': '1', 'X-Two': '2' }));
      const client = await stage.send();
      const answer = await stage.answered(client, published('x', { headers: { 'Grip-Expose-Headers': 'X-One' } }));
      assert.equal(answer.headers.get('grip-expose-headers'), undefined);
      assert.equal(answer.headers.get('x-one'), stage.pick({ foregate: '1', pushpin: undefined }));
      assert.equal(answer.headers.get('x-two'), stage.pick({ foregate: undefined, pushpin: '2' }));
    },
  },
  {
    id: '4.5-client-leaves',
    rule: 'a client that leaves is forgotten without a word to the backend',
    run: async (stage) => {
      stage.answer(held(stage.channel));
      const client = await stage.send();
      await stage.request(0);
      await stage.quiet(1500);
      const before = stage.requests.length;
      client.raw.destroy();
      await stage.quiet();
      await stage.publish({ channel: stage.channel, ...published('x') });
      assert.equal(stage.requests.length, before);
    },
  },
  {
    id: '4.5-recover',
    rule: 'POST /recover/ makes held requests again',
    alone: true,
    run: async (stage) => {
      let recovered = false;
      stage.answer(() => (recovered ? { body: 'again' } : held(stage.channel)));
      const client = await stage.send();
      await stage.request(0);
      await stage.quiet(1500);
      recovered = true;
      const { status, body } = await stage.call('/recover/', '');
      assert.deepEqual([status, body], [200, 'Updated\n']);
      assert.equal((await client.answer()).body, 'again');
    },
  },
  {
    id: '4.5-reply-may-be-anything',
    rule: 'the reply to the repeated request may hold again',
    run: async (stage) => {
      stage.answer((request) =>
        request.headers['grip-last'] === undefined ? held(`${stage.channel}; prev-id=1`) : held(`${stage.channel}; prev-id=9`),
      );
      const client = await stage.send();
      await stage.request(0);
      await stage.quiet(1500);
      await stage.publish({ channel: stage.channel, id: '9', 'prev-id': '8', ...published('mismatch') });
      await stage.until(() => stage.requests.at(-1)?.headers['grip-last'] !== undefined);
      assert.equal((await stage.answered(client, { 'prev-id': '9', ...published('ten') })).body, 'ten');
    },
  },
];

const streams: Case[] = [
  {
    id: '4.6-start',
    rule: 'status, fields without Content-Length and the body go out at once, in chunks that the fields announce',
    run: async (stage) => {
      stage.answer(stream(stage.channel, { 'X-Own': 'a' }));
      const client = await stage.send();
      const { status, headers } = await client.head();
      await client.text('[open]');
      assert.deepEqual(
        [status, headers.get('x-own'), headers.get('content-length'), headers.get('transfer-encoding')],
        [200, 'a', undefined, 'chunked'],
      );
    },
  },
  {
    id: '4.6-start-connection',
    rule: 'Connection in the head of a stream',
    differs: {
      foregate: 'is keep-alive',
      pushpin: 'is Transfer-Encoding',
      reason: 'that field needs no mention, and the connection may be used again',
    },
    run: async (stage) => {
      stage.answer(stream(stage.channel));
      const { headers } = await (await stage.send()).head();
      assert.equal(headers.get('connection'), stage.pick({ foregate: 'keep-alive', pushpin: 'Transfer-Encoding' }));
    },
  },
  {
    id: '4.6-http-1.0',
    rule: 'a client of HTTP/1.0 gets a stream without chunks, until the connection closes',
    run: async (stage) => {
      stage.answer(stream(stage.channel));
      const client = await stage.send('', { version: '1.0' });
      assert.equal((await client.head()).headers.get('transfer-encoding'), undefined);
      await client.text('[open]');
      await stage.joined(client);
      await stage.publish({ channel: stage.channel, formats: { 'http-stream': { action: 'close' } } });
      assert.equal(await client.rest(), '');
      assert.equal(client.raw.ended, true);
    },
  },
  {
    id: '4.6-item',
    rule: 'published content is appended as it is',
    run: async (stage) => {
      const client = await stage.watching();
      await stage.publish({ channel: stage.channel, ...streamed('data: 1\n\n') });
      await stage.publish({ channel: stage.channel, formats: { 'http-stream': { 'content-bin': 'AP8=' } } });
      await client.text('data: 1\n\n\x00\xff');
    },
  },
  {
    id: '4.6-close',
    rule: 'close ends the response cleanly, its content is ignored, and the connection may be used again',
    run: async (stage) => {
      const client = await stage.watching();
      await stage.publish({ channel: stage.channel, formats: { 'http-stream': { action: 'close', content: 'ignored' } } });
      assert.equal(await client.rest(), '');
      client.send(stage.path);
      assert.equal((await client.head()).status, 200);
    },
  },
  {
    id: '4.6-hint-without-link',
    rule: 'a hint for a stream without a next link does nothing',
    run: async (stage) => {
      const client = await stage.watching();
      const before = stage.requests.length;
      await stage.publish({ channel: stage.channel, formats: { 'http-stream': { action: 'hint' } } });
      await stage.publish({ channel: stage.channel, ...streamed('after') });
      await client.text('after');
      assert.equal(stage.requests.length, before);
    },
  },
  {
    id: '4.6-keep-alive-idle',
    rule: 'an idle keep-alive starts again with every item',
    slow: true,
    run: async (stage) => {
      const client = await stage.watching({ 'Grip-Keep-Alive': 'beat; timeout=4' });
      for (let i = 0; i < 8; i += 1) {
        await stage.publish({ channel: stage.channel, ...streamed('item') });
        await client.text('item');
        await stage.quiet(800);
      }
      await client.text('beat');
    },
  },
  {
    id: '4.6-keep-alive-interval',
    rule: 'an interval keep-alive comes whatever else is sent',
    slow: true,
    run: async (stage) => {
      const client = await stage.watching({ 'Grip-Keep-Alive': 'beat; timeout=3; mode=interval' });
      let got = '';
      for (let i = 0; i < 8 && !got.includes('beat'); i += 1) {
        await stage.publish({ channel: stage.channel, ...streamed('item') });
        got += await client.some();
        await stage.quiet(800);
      }
      assert.match(got, /beat/);
    },
  },
  {
    id: '4.6-silence',
    rule: 'without a keep-alive nothing is sent in silence',
    slow: true,
    run: async (stage) => {
      const client = await stage.watching();
      await stage.quiet(3000);
      assert.equal(client.raw.received.toString(), '');
      await stage.publish({ channel: stage.channel, ...streamed('still here') });
      await client.text('still here');
    },
  },
  {
    id: '4.6-head',
    rule: 'a HEAD request with a stream gets the head',
    run: async (stage) => {
      stage.answer(stream(stage.channel));
      const client = await stage.send('', { method: 'HEAD' });
      assert.equal((await client.head()).status, 200);
      await stage.quiet();
      assert.equal(client.raw.received.toString(), '');
    },
  },
];

/** A page of a stream that goes on with another. */
function page(stage: Stage, body: string, next?: string, headers: Readonly<Record<string, string>> = {}): Reply {
  const link = next === undefined ? {} : { 'Grip-Link': `<${next}>; rel=next` };
  return { headers: { 'Content-Type': 'text/plain', 'Grip-Channel': stage.channel, ...link, ...headers }, body };
}

const unusable = {
  foregate: 'ends it without the body of that reply',
  pushpin: 'appends the body first (1.36)',
  reason: 'the reply cannot be used, so no part of it is',
};

const links: Case[] = [
  {
    id: '4.6-link-chain',
    rule: 'without a hold a next link is fetched at once, each resolved against the one before: one long response',
    run: async (stage) => {
      stage.answers({
        '/one/': page(stage, 'one ', 'two/'),
        '/one/two/': page(stage, 'two ', `../three?x=1`),
        '/one/three': { headers: { 'Content-Type': 'text/plain' }, body: 'three' },
      });
      const client = await stage.send('/one/');
      await client.head();
      assert.equal(await client.rest(), 'one two three');
      assert.equal(stage.at('/one/three')[0]?.path, `${stage.path}/one/three?x=1`);
    },
  },
  {
    id: '4.6-link-request',
    rule: 'the request for a link is a GET with Host, Grip-Sig, Grip-Feature and Grip-Last only',
    run: async (stage) => {
      stage.answers({
        '': stream(`${stage.channel}; prev-id=7`, { 'Grip-Link': `<${stage.path}/next>; rel=next` }),
        '/next': stream(`${stage.channel}; prev-id=9`, {}, '[next]'),
      });
      const client = await begun(stage, '', { method: 'POST', headers: ['Cookie: a=b', 'X-Own: a'], body: 'x' });
      await stage.publish({ channel: stage.channel, id: '9', 'prev-id': '8', ...streamed('nine') });
      await client.text('[next]', 20_000);
      const [next] = stage.at('/next');
      assert.ok(next);
      assert.deepEqual([next.method, next.body], ['GET', '']);
      assert.equal(next.headers['grip-last'], `${stage.channel}; last-id=7`);
      assert.equal(next.headers.host, 'client.example');
      const others = Object.keys(next.headers).filter((name) => !/^(host|grip-.*|connection|accept|accept-encoding)$/.test(name));
      assert.deepEqual(others, []);
      assert.ok(['*/*', undefined].includes(next.headers.accept), 'a field of the HTTP client in use');
    },
  },
  {
    id: '4.6-hint',
    rule: 'a hint fetches the next link at once; its body is appended and its instruction replaces the old one',
    run: async (stage) => {
      const other = `${stage.channel}-other`;
      stage.answers({
        '': stream(stage.channel, { 'Grip-Link': `<${stage.path}/next>; rel=next` }),
        '/next': stream(other, {}, '[next]'),
      });
      const client = await begun(stage);
      await untilLink(stage, client, '[next]');
      await stage.joined(client, other);
      await stage.publish({ channel: stage.channel, ...streamed('to the old channel') });
      await stage.publish({ channel: other, ...streamed('to the new') });
      await client.text('to the new');
    },
  },
  {
    id: '4.6-link-timeout',
    rule: 'the next link is fetched after its timeout without an item',
    slow: true,
    run: async (stage) => {
      stage.answers({
        '': stream(stage.channel, { 'Grip-Link': `<${stage.path}/next>; rel=next; timeout=2` }),
        '/next': stream(stage.channel, {}, '[next]'),
      });
      const client = await begun(stage);
      await client.text('[next]', 20_000);
    },
  },
  {
    id: '4.6-match-moves-on',
    rule: 'an item with the right prev-id is delivered and its id becomes the current one',
    run: async (stage) => {
      stage.answers({
        '': stream(`${stage.channel}; prev-id=7`, { 'Grip-Link': `<${stage.path}/next>; rel=next` }),
        '/next': stream(`${stage.channel}; prev-id=7`, { 'Grip-Link': `<${stage.path}/next>; rel=next` }, ''),
      });
      const client = await begun(stage);
      await stage.publish({ channel: stage.channel, id: '8', 'prev-id': '7', ...streamed('eight;') });
      await stage.publish({ channel: stage.channel, id: '9', 'prev-id': '8', ...streamed('nine;') });
      await client.text('eight;nine;');
    },
  },
  {
    id: '4.6-last-page',
    rule: 'a link reply without hold and link is the last page: the response ends',
    run: async (stage) => {
      stage.answers({
        '': stream(stage.channel, { 'Grip-Link': `<${stage.path}/next>; rel=next` }),
        '/next': { headers: { 'Content-Type': 'text/plain' }, body: '[last]' },
      });
      const client = await begun(stage);
      await untilLink(stage, client, '[last]');
      assert.equal(await client.rest(), '');
    },
  },
  {
    id: '4.6-link-response-hold',
    rule: 'a link reply with a response hold ends the response',
    differs: unusable,
    run: async (stage) => {
      stage.answers({
        '': page(stage, 'one ', `${stage.path}/next`),
        '/next': held(stage.channel, {}, 'two'),
      });
      const client = await stage.send();
      await client.head();
      assert.equal(await client.rest(), stage.pick({ foregate: 'one ', pushpin: 'one two' }));
    },
  },
  {
    id: '4.6-link-query',
    rule: 'links in flight at the same time that differ in the query',
    differs: {
      foregate: 'are two requests',
      pushpin: 'may be one, whose reply goes to both clients',
      reason: 'the query may say whose data it is',
    },
    run: async (stage) => {
      stage.answer(async ({ path }) => {
        const user = path.slice(-1);
        if (!path.includes('/next')) return page(stage, 'for ', `${stage.path}/next?user=${user}`);
        await stage.quiet(1000);
        return { headers: { 'Content-Type': 'text/plain' }, body: user };
      });
      const clients = await Promise.all([stage.send('?user=1'), stage.send('?user=2')]);
      const bodies = await Promise.all(clients.map(async (client) => (await client.answer()).body));
      assert.match(bodies.join(), stage.pick({ foregate: /^for 1,for 2$/, pushpin: /^for [12],for [12]$/ }));
    },
  },
  {
    id: '4.6-link-invalid',
    rule: 'a link reply with an invalid instruction ends the response',
    differs: unusable,
    run: async (stage) => {
      stage.answers({
        '': page(stage, 'one ', `${stage.path}/next`),
        '/next': { headers: { 'Grip-Hold': 'odd' }, body: 'two' },
      });
      const client = await stage.send();
      await client.head();
      assert.equal(await client.rest(), stage.pick({ foregate: 'one ', pushpin: 'one two' }));
    },
  },
  {
    id: '4.6-start-known-last-id',
    rule: 'a stream whose prev-id differs from the last id that is known fetches its link at once',
    run: async (stage) => {
      const link = { 'Grip-Link': `<${stage.path}/next>; rel=next` };
      stage.answers({
        '/watch': stream(stage.channel),
        '': stream(`${stage.channel}; prev-id=1`, link),
        '/next': stream(`${stage.channel}; prev-id=2`, link, '[missed]'),
      });
      const watch = await begun(stage, '/watch');
      await stage.joined(watch);
      await stage.publish({ channel: stage.channel, id: '2', 'prev-id': '1', ...streamed('two') });
      await watch.text('two');
      const client = await begun(stage);
      await client.text('[missed]');
    },
  },
  {
    id: '4.6-link-retry',
    rule: 'a link that fails is fetched again after a second or two',
    slow: true,
    run: async (stage) => {
      let count = 0;
      stage.answers({
        '': page(stage, 'one ', `${stage.path}/next`),
        '/next': () => {
          count += 1;
          return count === 1 ? { status: 500, body: 'broken' } : { headers: { 'Content-Type': 'text/plain' }, body: 'two' };
        },
      });
      const client = await stage.send();
      await client.head();
      assert.equal(await client.rest(20_000), 'one two');
      const [first, second] = stage.at('/next');
      assert.ok(first && second && second.at - first.at > 900, 'too early');
    },
  },
  {
    id: '4.6-link-gives-up',
    rule: 'after the fifth retry, 1, 2, 4, 8 and 16 seconds apart or up to a second more, the stream ends cleanly',
    slow: true,
    run: async (stage) => {
      stage.answers({ '': page(stage, 'one', `${stage.path}/next`), '/next': { status: 503, body: 'away' } });
      const client = await stage.send();
      await client.head();
      assert.equal(await client.rest(50_000), 'one');
      const tries = stage.at('/next').map(({ at }) => at);
      assert.equal(tries.length, 6);
      for (const [index, least] of [1, 2, 4, 8, 16].entries()) {
        const seconds = ((tries[index + 1] ?? 0) - (tries[index] ?? 0)) / 1000;
        assert.ok(seconds > least - 0.1 && seconds < least + 3, `${seconds} s before retry ${index + 1}`);
      }
    },
  },
  {
    id: '4.6-slow-client',
    rule: 'a client that does not read delays no other, and no publisher',
    run: async (stage) => {
      const slow = await stage.watching();
      const quick = await stage.watching();
      slow.raw.socket.pause();
      for (let i = 0; i < 200; i += 1) {
        const content = String(i % 10).repeat(50_000);
        await stage.publish({ channel: stage.channel, formats: { 'http-stream': { content } } });
        await quick.text(content);
      }
    },
  },
  {
    id: '4.6-prev-id-without-link',
    rule: 'a prev-id without a next link ends the stream after the first body',
    run: async (stage) => {
      stage.answer(stream(`${stage.channel}; prev-id=1`));
      const client = await stage.send();
      await client.head();
      assert.equal(await client.rest(), '[open]');
    },
  },
  {
    id: '4.6-prev-id-without-link-debug',
    rule: 'in debug mode it says why',
    run: async (stage) => {
      stage.answer(stream(`${stage.channel}; prev-id=1`));
      const client = await stage.send('', { host: 'debug.example' });
      await client.head();
      assert.equal(
        (await client.rest()).trim().replaceAll(/\s+/g, ' '),
        `[open] channel '${stage.channel}' specifies prev-id, but no next link found`,
      );
    },
  },
  {
    id: '4.6-recover',
    rule: 'POST /recover/ makes streams fetch their next link',
    alone: true,
    run: async (stage) => {
      stage.answers({
        '': stream(stage.channel, { 'Grip-Link': `<${stage.path}/next>; rel=next` }),
        '/next': stream(stage.channel, { 'Grip-Link': `<${stage.path}/next>; rel=next` }, '[next]'),
      });
      const client = await begun(stage);
      await stage.quiet(1500);
      const before = stage.at('/next').length;
      await stage.call('/recover/', '');
      await stage.until(() => stage.at('/next').length > before);
      await client.text('[next]');
    },
  },
  {
    id: '4.6-gone',
    rule: 'when the hold ends the gone link gets a POST with an empty body (from Pushpin 1.41)',
    absent: 'pushpin',
    differs: { foregate: 'sends it', pushpin: 'knows no gone links (1.36)', reason: 'they are of Pushpin 1.41' },
    run: async (stage) => {
      stage.answers({ '': stream(stage.channel, { 'Grip-Link': `<${stage.path}/gone>; rel=gone` }), '/gone': {} });
      const client = await begun(stage);
      client.raw.destroy();
      await stage.until(() => stage.at('/gone').length === 1);
      const [gone] = stage.at('/gone');
      assert.deepEqual([gone?.method, gone?.body], ['POST', '']);
    },
  },
  {
    id: '4.7-no-hold',
    rule: 'an instruction without hold and link is an ordinary response: channels and meta have no effect',
    run: async (stage) => {
      const answer = await answerTo(stage, { headers: { 'Grip-Channel': 'c', 'Grip-Set-Meta': 'a=b', 'X-Own': 'a' }, body: 'x' });
      assert.deepEqual([answer.status, answer.headers.get('x-own'), answer.body], [200, 'a', 'x']);
    },
  },
];

export const holds: Chapter = {
  number: 4,
  title: 'GRIP holds for HTTP',
  cases: [...whatIsGrip, ...lists, ...keepAlives, ...documents, ...invalid, ...responses, ...streams, ...links],
};

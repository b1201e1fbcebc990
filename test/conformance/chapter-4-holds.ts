/** Chapter 4: GRIP holds for HTTP. */
import assert from 'node:assert/strict';
import type { Case, Chapter } from './case.ts';
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
    known: 'Grip-Feature lists the filters only, not status and link:next',
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
];

export const holds: Chapter = { number: 4, title: 'GRIP holds for HTTP', cases: [...whatIsGrip, ...responses] };

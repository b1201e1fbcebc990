/** What is too large, in bytes and inside, and what happens then over real sockets. */
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import type { Message } from '../../gateway/core/event.ts';
import { createPolicy, testSession } from '../../gateway/testing/index.ts';
import { exceeded } from '../../policies/json-extent.ts';
import { messageSize } from '../../policies/message-size.ts';
import { clearStage, setStage } from '../protocol/stage.ts';

afterEach(clearStage);

async function passes(options: object, kind: Message['kind'], content: string | Buffer): Promise<boolean> {
  const policy = await createPolicy(messageSize, options);
  const verdict = policy.message?.(testSession(), { kind, data: Buffer.from(content) });
  assert.ok(verdict === undefined || ('kind' in verdict && verdict.kind === 'deny' && verdict.code === 'message-too-large'));
  return verdict === undefined;
}

describe('message-size in bytes', () => {
  const cases: readonly (readonly [options: object, kind: Message['kind'], content: string, passes: boolean])[] = [
    [{ textBytes: 4 }, 'text', 'abcd', true],
    [{ textBytes: 4 }, 'text', 'abcde', false],
    [{ textBytes: 4 }, 'text', 'äö', true],
    [{ textBytes: 4 }, 'text', 'äöx', false],
    [{ textBytes: 4 }, 'binary', 'abcde', true],
    [{ textBytes: 0 }, 'text', '', true],
    [{ textBytes: 0 }, 'ping', 'abcde', true],
    [{ binaryBytes: 4 }, 'binary', 'abcd', true],
    [{ binaryBytes: 4 }, 'binary', 'abcde', false],
    [{ binaryBytes: 4 }, 'text', 'abcde', true],
    [{ binaryBytes: 0 }, 'binary', 'a', false],
    [{ binaryBytes: 0 }, 'pong', 'a', true],
  ];
  for (const [options, kind, content, expected] of cases) {
    it(`${expected ? 'passes' : 'refuses'} ${kind} "${content}" by ${JSON.stringify(options)}`, async () => {
      assert.equal(await passes(options, kind, content), expected);
    });
  }
});

describe('message-size of JSON', () => {
  const cases: readonly (readonly [options: object, content: string, passes: boolean])[] = [
    [{ jsonDepth: 2 }, '{"a":[1]}', true],
    [{ jsonDepth: 2 }, '{"a":[{}]}', false],
    [{ jsonDepth: 2 }, '[[],[],{"a":{}}]', false],
    [{ jsonDepth: 2 }, '[[],[],{},{},[]]', true],
    [{ jsonDepth: 0 }, '"[{"', true],
    [{ jsonDepth: 0 }, '[]', false],
    [{ jsonDepth: 0 }, '"\\"["', true],
    [{ jsonDepth: 0 }, '"\\\\"[', false],
    [{ jsonDepth: 0 }, '"\\\\\\"["', true],
    [{ jsonDepth: 0 }, '"\\', true],
    [{ jsonDepth: 0 }, '\ufeff[]', false],
    [{ jsonDepth: 0 }, ' \t\r\n[]', false],
    [{ jsonDepth: 0 }, '"é"[', false],
    [{ jsonDepth: 0 }, ']]]]]', true],
    [{ jsonDepth: 1 }, ']]]][[', false],
    [{ jsonKeys: 2 }, '{"a":1,"b":{}}', true],
    [{ jsonKeys: 2 }, '{"a":1,"b":{"c":1}}', false],
    [{ jsonKeys: 2 }, '[{"a":1},{"a":1},{"a":1}]', false],
    [{ jsonKeys: 2 }, '{":::":":::"}', true],
    [{ jsonKeys: 0 }, '{"a":1}', false],
    [{ jsonKeys: 0 }, '[1,2,3]', true],
    [{ jsonDepth: 1, jsonKeys: 1 }, '{"a":1}', true],
    [{ jsonDepth: 1, textBytes: 2 }, '[]', true],
    [{ jsonDepth: 1, textBytes: 2 }, '[1]', false],
  ];
  for (const [options, content, expected] of cases) {
    it(`${expected ? 'passes' : 'refuses'} ${JSON.stringify(content)} by ${JSON.stringify(options)}`, async () => {
      assert.equal(await passes(options, 'text', content), expected);
      assert.equal(await passes(options, 'binary', content), true);
    });
  }

  it('is done with depth and keys without end before a parser would begin', async () => {
    const policy = await createPolicy(messageSize, { jsonDepth: 32, jsonKeys: 1000 });
    const say = (content: string) => policy.message?.(testSession(), { kind: 'text', data: Buffer.from(content) });
    const deep = await say(`${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`);
    assert.match(deep?.kind === 'deny' ? deep.detail : '', /32 levels/);
    const wide = await say(`{${Array.from({ length: 1_000_000 }, (_, i) => `"${i}":1`).join()}}`);
    assert.match(wide?.kind === 'deny' ? wide.detail : '', /1000 members/);
  });

  it('counts as a parser does, whatever is in the text', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), fc.nat(6), fc.nat(12), (value, depth, keys) => {
        const over = exceeded(Buffer.from(JSON.stringify(value)), { depth, keys });
        assert.equal(over === undefined, depthOf(value) <= depth && keysOf(value) <= keys);
      }),
      { numRuns: 1000 },
    );
  });

  const bombs: readonly (readonly [name: string, content: string])[] = [
    ['10000 levels', '['.repeat(10_000)],
    ['10000 levels of objects', '{"a":'.repeat(10_000)],
    ['1000000 keys', `{${Array.from({ length: 1_000_000 }, (_, i) => `"${i}":0`).join(',')}}`],
    ['10 MB of quotes', '"'.repeat(10_000_001)],
    ['10 MB of backslashes in a string', `"${'\\'.repeat(10_000_000)}`],
  ];
  for (const [name, content] of bombs) {
    it(`is done with ${name} in time, without growing`, async () => {
      const data = Buffer.from(content);
      const policy = await createPolicy(messageSize, { jsonDepth: 32, jsonKeys: 1000 });
      const before = process.memoryUsage().heapUsed;
      const started = performance.now();
      const verdict = policy.message?.(testSession(), { kind: 'text', data });
      assert.ok(performance.now() - started < 3000);
      assert.ok(process.memoryUsage().heapUsed - before < 5_000_000);
      assert.equal(verdict !== undefined, !/MB/.test(name));
    });
  }
});

describe('the policy message-size over sockets', () => {
  const rules = { use: 'message-size', textBytes: 20, jsonDepth: 2 };

  it('closes with 1009', async () => {
    const { backend, open } = await setStage({ route: { policies: [rules] } });
    const client = await open();
    client.send('[[1]]');
    assert.equal(await client.nextText(), '[[1]]');
    client.send('[[[1]]]');
    assert.deepEqual(await client.closed(), { code: 1009, reason: 'A message may have 2 levels of arrays and objects.' });
    assert.ok(backend.events().every((event) => !('data' in event) || event.data.toString() === '[[1]]'));
  });

  it('drops what is too large and goes on, pieces of a message counted together', async () => {
    const { open } = await setStage({ route: { policies: [{ ...rules, over: 'drop' }] } });
    const client = await open();
    client.socket.send('a'.repeat(11), { fin: false });
    client.socket.send('a'.repeat(10), { fin: true });
    client.send('next');
    assert.equal(await client.nextText(), 'next');
  });

  it('answers with what is allowed', async () => {
    const { open } = await setStage({ route: { policies: [{ ...rules, over: 'answer' }] } });
    const client = await open();
    client.send('a'.repeat(21));
    assert.deepEqual(JSON.parse(await client.nextText()), {
      type: 'error',
      code: 'message-too-large',
      detail: 'A text message may have 20 bytes.',
    });
    client.send(Buffer.alloc(100));
    assert.equal((await client.next()).data.length, 100);
  });
});

function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}

function keysOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  const own = Array.isArray(value) ? 0 : Object.keys(value).length;
  return Object.values(value).reduce((sum: number, member) => sum + keysOf(member), own);
}

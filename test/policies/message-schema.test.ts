/** Which messages fit, and what happens to others over real sockets: from clients, from backends, and published. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Message } from '../../gateway/core/event.ts';
import { createPolicy, testSession } from '../../gateway/testing/index.ts';
import { messageSchema } from '../../policies/message-schema.ts';
import { acceptedWithGrip, afterOpen, clearStage, eventually, said, setStage } from '../protocol/stage.ts';
import { reply, text } from '../support/backend.ts';
import { refusedClient } from '../support/client.ts';

afterEach(clearStage);

const chat = {
  type: 'object',
  properties: { type: { const: 'chat' }, text: { type: 'string', maxLength: 10 }, to: { type: 'string', format: 'email' } },
  required: ['text'],
  additionalProperties: false,
};
const tree = { type: 'object', properties: { type: {}, next: { $ref: '#' } } };
const schemas = { chat: { inline: chat }, tree: { inline: tree }, 7: { inline: { required: ['n'] } } };

/** What is said of a message; undefined if it passes. */
async function faultOf(options: object, content: string, kind: Message['kind'] = 'text'): Promise<string | undefined> {
  const policy = await createPolicy(messageSchema, { schemas, ...options });
  const verdict = await policy.message?.(testSession(), { kind, data: Buffer.from(content) });
  return verdict?.kind === 'deny' ? verdict.detail : undefined;
}

describe('message-schema', () => {
  const noKind = 'The message is of no known kind.';
  const noJson = 'The message is no JSON.';
  const nested = (levels: number) => `{"type":"tree","next":${'{"next":'.repeat(levels - 2)}{}${'}'.repeat(levels - 1)}`;
  const cases: readonly (readonly [content: string, fault: string | undefined])[] = [
    ['{"type":"chat","text":"hello"}', undefined],
    ['{"text":"hello","type":"chat"}', undefined],
    ['{"type":"chat"}', "The message must have required property 'text'."],
    ['{"type":"chat","text":1}', '/text must be string.'],
    ['{"type":"chat","text":"a","to":"nobody"}', '/to must match format "email".'],
    ['{"type":"chat","text":"a","more":1}', 'The message must NOT have additional properties.'],
    ['{"type":"chat","text":"a","__proto__":{}}', 'The message must NOT have additional properties.'],
    ['{"type":7,"n":1}', undefined],
    ['{"type":7}', "The message must have required property 'n'."],
    ['{"type":"tree","next":{"next":1}}', '/next/next must be object.'],
    [nested(100), undefined],
    [nested(101), 'The message has too many levels.'],
    ['['.repeat(100_000), 'The message has too many levels.'],
    ['{"type":"other"}', noKind],
    ['{"type":"constructor"}', noKind],
    ['{"type":"__proto__"}', noKind],
    ['{"type":""}', noKind],
    ['{"type":["chat"],"text":"a"}', noKind],
    ['{"type":null}', noKind],
    ['{}', noKind],
    ['{"__proto__":{"type":"chat"},"text":"a"}', noKind],
    ['null', noKind],
    [' \t\r\n{"type":"chat"}', "The message must have required property 'text'."],
    [' {"type":"other"}', noKind],
    ['"chat"', noKind],
    ['[{"type":"chat"}]', noKind],
    ['', noJson],
    ['hello', noJson],
    ['{"type":"chat","text":"a"} x', noJson],
    ['{"type":"chat","type":"other","text":"a"}', noKind],
  ];
  for (const [content, fault] of cases) {
    const shown = content.length > 80 ? `${content.slice(0, 77)}...` : content;
    it(`${fault === undefined ? 'passes' : `says "${fault}" of`} ${shown}`, async () => {
      assert.equal(await faultOf({}, content), fault);
      const isUnknown = fault === noKind || fault === noJson;
      assert.equal(await faultOf({ default: 'pass' }, content), isUnknown ? undefined : fault);
    });
  }

  it('treats binary messages as of no kind, and lets pings and pongs pass', async () => {
    assert.equal(await faultOf({}, '{"type":"chat","text":"a"}', 'binary'), 'A binary message has no schema.');
    assert.equal(await faultOf({ default: 'pass' }, 'x', 'binary'), undefined);
    assert.equal(await faultOf({}, 'x', 'ping'), undefined);
    assert.equal(await faultOf({}, 'x', 'pong'), undefined);
  });

  it('finds the kind by a pointer', async () => {
    const options = { schemas: { a: { inline: { required: ['b'] } } } };
    for (const [by, content] of [
      ['/header/type', '{"header":{"type":"a"}}'],
      ['/0', '["a"]'],
      ['/a~1b/~0', '{"a/b":{"~":"a"}}'],
      ['a.b', '{"a.b":"a"}'],
    ] as const)
      assert.match((await faultOf({ ...options, by }, content)) ?? '', content.startsWith('[') ? /^$/ : /property 'b'/, by);
    assert.equal(await faultOf({ ...options, by: '/header/length' }, '{"header":"a"}'), noKind);
    const inherited = { schemas: { Object: { inline: {} } }, by: '/constructor/name' };
    assert.equal(await faultOf(inherited, '{}'), noKind);
  });

  it('says little of a place whose name is long', async () => {
    const inline = { type: 'object', additionalProperties: { type: 'string' } };
    const fault = await faultOf({ schemas: { chat: { inline } } }, `{"type":"chat","${'x'.repeat(10_000)}":1}`);
    assert.ok(fault !== undefined && fault.length < 200);
  });

  it('bears messages of a million members and of any depth', async () => {
    const options = {
      schemas: {
        chat: {
          inline: { $ref: '#/$defs/any', $defs: { any: { type: 'object', additionalProperties: { $ref: '#/$defs/any' } } } },
        },
      },
    };
    const wide = Array.from({ length: 1_000_000 }, (_, i) => `"${i}":1`).join();
    assert.match((await faultOf(options, `{"type":"chat",${wide}}`)) ?? '', /must be object/);
    assert.equal(await faultOf(options, `${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`), 'The message has too many levels.');
  }).timeout(20_000);

  it('takes no longer for patterns, formats and lists that are made to be slow', async () => {
    const inline = {
      properties: {
        text: { type: 'string', pattern: '^(a+)+$' },
        names: { type: 'object', patternProperties: { '^(b|b)*c$': { type: 'number' } } },
        url: { type: 'string', format: 'url' },
      },
    };
    const options = { schemas: { chat: { inline } } };
    const started = performance.now();
    assert.match((await faultOf(options, `{"type":"chat","text":"${'a'.repeat(10_000)}!"}`)) ?? '', /^\/text must match pattern/);
    assert.equal(await faultOf(options, `{"type":"chat","text":"${'a'.repeat(10_000)}"}`), undefined);
    assert.equal(await faultOf(options, `{"type":"chat","names":{"${'b'.repeat(10_000)}":"x"}}`), undefined);
    assert.match(
      (await faultOf(options, `{"type":"chat","url":"http://${':'.repeat(150_000)}"}`)) ?? '',
      /^\/url must match format/,
    );
    assert.equal(await faultOf(options, '{"type":"chat","url":"https://app.example/a?b"}'), undefined);
    assert.ok(performance.now() - started < 5000);
  });

  it('looks at lengths before it looks at what takes long', async () => {
    const inline = {
      properties: {
        text: { type: 'string', pattern: '^a+$', maxLength: 20 },
        list: { type: 'array', uniqueItems: true, maxItems: 10 },
      },
    };
    const started = performance.now();
    const fault = await faultOf({ schemas: { chat: { inline } } }, `{"type":"chat","text":"${'a'.repeat(100)}!"}`);
    assert.equal(fault, '/text must NOT have more than 20 characters.');
    const list = JSON.stringify(Array.from({ length: 20_000 }, (_, i) => ({ i })));
    assert.match((await faultOf({ schemas: { chat: { inline } } }, `{"type":"chat","list":${list}}`)) ?? '', /^\/list/);
    assert.ok(performance.now() - started < 5000);
  });
});

const hello = '{"type":"chat","text":"hello"}';
const wrong = '{"type":"chat","text":1}';
const rules = (more: object = {}) => ({ route: { policies: [{ use: 'message-schema', schemas, ...more }] } });

describe('message-schema for messages of clients', () => {
  for (const [more, code] of [
    [{}, 4400],
    [{ closeCode: 1007 }, 1007],
  ] as const) {
    it(`closes with ${code}`, async () => {
      const { backend, open } = await setStage(rules(more));
      const client = await open();
      client.send(hello);
      assert.equal(await client.nextText(), hello);
      client.send(wrong);
      assert.deepEqual(await client.closed(), { code, reason: '/text must be string.' });
      assert.ok(!said(backend.events()).includes(`TEXT ${wrong}`));
    });
  }

  it('drops what does not fit and goes on', async () => {
    const { open } = await setStage(rules({ over: 'drop' }));
    const client = await open();
    for (const message of [wrong, 'no JSON', hello]) client.send(message);
    assert.equal(await client.nextText(), hello);
  });

  it('answers with the place of the first fault', async () => {
    const { open } = await setStage(rules({ over: 'answer', closeCode: 1007 }));
    const client = await open();
    client.send(wrong);
    const answer = { type: 'error', code: 'invalid-message', detail: '/text must be string.' };
    assert.deepEqual(JSON.parse(await client.nextText()), answer);
    client.send(hello);
    assert.equal(await client.nextText(), hello);
  });

  it('does not look at what backends send', async () => {
    const { open } = await setStage({ ...rules(), answer: () => acceptedWithGrip([text('m:anything')]) });
    assert.equal(await (await open()).nextText(), 'anything');
  });
});

describe('message-schema for messages of backends', () => {
  const later = (...messages: string[]) => afterOpen(() => reply(messages.map(text)), acceptedWithGrip([text(`m:${hello}`)]));
  const subscribe = 'c:{"type":"subscribe","channel":"news"}';

  it('reads them without the prefix of GRIP, and leaves alone what is for Foregate', async () => {
    const stage = await setStage({ ...rules({ from: 'backend' }), answer: later(subscribe, `m:${hello}`, 'dropped anyway') });
    const client = await stage.open();
    assert.equal(await client.nextText(), hello);
    client.send('clients may say anything');
    assert.equal(await client.nextText(), hello);
    await eventually(async () => (await stage.members('news')) === 1);
  });

  it('closes with 1011 and shows nothing of an answer with one that does not fit', async () => {
    const { open } = await setStage({ ...rules({ from: 'backend' }), answer: later(`m:${hello}`, `m:${wrong}`) });
    const client = await open();
    assert.equal(await client.nextText(), hello);
    client.send('x');
    assert.deepEqual(await client.closed(), { code: 1011, reason: '/text must be string.' });
    await assert.rejects(client.next(), /ended/);
  });

  it('refuses the handshake where the first answer has one', async () => {
    const stage = await setStage({ ...rules({ from: 'backend' }), answer: () => acceptedWithGrip([text(`m:${wrong}`)]) });
    assert.equal((await refusedClient(stage.url.replace('http', 'ws'))).status, 502);
  });

  it('drops such an answer where it is told to', async () => {
    const stage = await setStage({ ...rules({ from: 'both', over: 'drop' }), answer: later(`m:${wrong}`) });
    const client = await stage.open();
    assert.equal(await client.nextText(), hello);
    client.send(hello);
    await stage.backend.until(() => stage.backend.requests.length === 2);
    stage.backend.answer = () => reply([text(`m:${hello}`)]);
    client.send(hello);
    assert.equal(await client.nextText(), hello);
  });

  it('reads them as they are where GRIP is off', async () => {
    const { open } = await setStage(rules({ from: 'backend' }));
    const client = await open();
    client.send(hello);
    assert.equal(await client.nextText(), hello);
    client.send(wrong);
    assert.equal((await client.closed()).code, 1011);
  });
});

describe('message-schema for what is published', () => {
  const publishing = (more: object = {}) => ({
    control: { host: '127.0.0.1', port: 0, policies: [{ use: 'message-schema', schemas, from: 'backend', ...more }] },
  });

  it('refuses an item that does not fit with 400, and those beside it', async () => {
    const stage = await setStage({
      settings: publishing(),
      answer: () => acceptedWithGrip([text('c:{"type":"subscribe","channel":"news"}'), text('m:ready')]),
    });
    const client = await stage.open();
    assert.equal(await client.nextText(), 'ready');
    await eventually(async () => (await stage.members('news')) === 1);
    await assert.rejects(stage.say('news', wrong), /400.*\/text must be string/s);
    await stage.say('news', hello);
    assert.equal(await client.nextText(), hello);
  });

  it('is told at the start where it would protect nothing', async () => {
    await assert.rejects(setStage({ settings: publishing({ from: 'client' }) }), /no rule for publishing/);
  });
});

describe('schemas in files', () => {
  let folder: string;
  before(async () => (folder = await mkdtemp(join(tmpdir(), 'message-schema-'))));
  after(() => rm(folder, { recursive: true }));

  it('are read from the folder of the configuration file', async () => {
    await writeFile(join(folder, 'chat.json'), JSON.stringify(chat));
    const policy = await createPolicy(messageSchema, { schemas: { chat: { file: './chat.json' } } }, { directory: folder });
    assert.equal(await policy.message?.(testSession(), text(hello)), undefined);
    assert.ok(await policy.message?.(testSession(), text(wrong)));
  });

  for (const [name, content, told] of [
    ['no JSON', '{', /"bad\.json" cannot be read: .*JSON/],
    ['no object', '[]', /"bad\.json" has no schema/],
    ['text', '"chat"', /"bad\.json" has no schema/],
    ['another format', '{"format":"colour"}', /kind "chat": .*colour/],
    ['a reference to another file', '{"$ref":"chat.json"}', /kind "chat": .*chat\.json/],
  ] as const) {
    it(`are refused with ${name} in them`, async () => {
      await writeFile(join(folder, 'bad.json'), content);
      const options = { schemas: { chat: { file: 'bad.json' } } };
      await assert.rejects(async () => createPolicy(messageSchema, options, { directory: folder }), told);
    });
  }

  it('are refused with the place in the configuration', async () => {
    const policies = [{ use: 'message-schema', schemas: { chat: { inline: { format: 'colour' } } } }];
    await assert.rejects(setStage({ route: { policies } }), /:\d+:\d+.*routes\[0\]\.policies\[0\].*colour/s);
  });
});

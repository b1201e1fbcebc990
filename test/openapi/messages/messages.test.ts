/** What `x-foregate-messages` says becomes policies, and what they do over real sockets. */
import assert from 'node:assert/strict';
import { isMapping, type Mapping } from '../../../gateway/core/mapping.ts';
import { messagePolicies, readMessages } from '../../../openapi/messages/messages.ts';
import { acceptedWithGrip, afterOpen, clearStage, eventually, said, setStage } from '../../protocol/stage.ts';
import { reply, text } from '../../support/backend.ts';
import { linked, told } from '../document/linked-document.ts';

afterEach(clearStage);

const chat = {
  type: 'object',
  properties: { type: { const: 'chat' }, text: { type: 'string', maxLength: 10 } },
  required: ['text'],
};
const leave = { type: 'object', properties: { type: { const: 'leave' } } };
const chatRef = { $ref: '#/components/schemas/Chat' };
const components = { schemas: { Chat: chat, Leave: leave } };

function read(extension: Mapping, root: Mapping = {}) {
  const source = linked({ openapi: '3.1.0', components, ...root });
  const { messages, findings } = readMessages(extension, source);
  return { ...messagePolicies(messages, source), by: messages.by, findings };
}

/** The kinds of one side with their schemas. */
function kindsOf(described: Mapping, more: Mapping = {}): Mapping {
  const { route, findings } = read({ client: described, ...more });
  assert.deepEqual(told(findings), []);
  const schemas = route[0]?.['schemas'];
  assert.ok(isMapping(schemas));
  return Object.fromEntries(Object.entries(schemas).map(([kind, entry]) => [kind, isMapping(entry) && entry['inline']]));
}

describe('kinds of messages', () => {
  it('stand in a mapping', () => {
    assert.deepEqual(kindsOf({ chat, leave: true }), { chat, leave: {} });
    assert.deepEqual(kindsOf({ chat: false }), { chat: { not: {} } });
  });

  it('are found by what a member can only be', () => {
    assert.deepEqual(kindsOf({ oneOf: [chat, leave] }), { chat, leave });
    const many = { properties: { header: { properties: { kind: { enum: ['a', 7] } } } } };
    assert.deepEqual(kindsOf({ anyOf: [{ allOf: [{}, many] }] }, { by: '/header/kind' }), {
      a: { allOf: [{}, many] },
      7: { allOf: [{}, many] },
    });
  });

  it('are found by a discriminator: its mapping, a constant, or the name of the schema', () => {
    const plain = { type: 'object' };
    const oneOf = [chat, leave];
    const mapping = { said: '#/components/schemas/Chat', shouted: 'Chat' };
    assert.deepEqual(kindsOf({ oneOf, discriminator: { propertyName: 'type', mapping } }), { said: chat, shouted: chat, leave });
    const source = linked({ components: { schemas: { Plain: plain } } });
    const client = {
      oneOf: [plain],
      discriminator: { propertyName: 'kind' },
    };
    const { messages, findings } = readMessages({ client }, source);
    assert.deepEqual(
      [told(findings), messages.by, [...(messages.client ?? new Map<string, unknown>()).keys()]],
      [[], 'kind', ['Plain']],
    );
  });

  it('keep what holds for all of them', () => {
    const beside = { type: 'object', required: ['id'] };
    const described = { oneOf: [chat], discriminator: { propertyName: 'type' }, description: 'All.', ...beside };
    assert.deepEqual(kindsOf(described), { chat: { allOf: [beside, chat] } });
  });

  it('may stand behind a reference that is left', () => {
    assert.deepEqual(kindsOf({ oneOf: [chatRef] }), { chat: { $ref: '#/$defs/Chat', $defs: { Chat: chat } } });
  });
});

describe('x-foregate-messages', () => {
  it('becomes an entry for each side, and one for what is published', () => {
    const terms = { default: 'pass', over: 'answer', text: '{detail}', closeCode: 1007 };
    const { route, control, findings } = read({
      ...terms,
      by: 'type',
      client: { chat },
      backend: { leave },
      publish: ['room-*'],
    });
    assert.deepEqual(told(findings), []);
    const schemas = { leave: { inline: leave } };
    assert.deepEqual(route, [
      { use: 'message-schema', from: 'client', by: 'type', ...terms, schemas: { chat: { inline: chat } } },
      { use: 'message-schema', from: 'backend', by: 'type', default: 'pass', over: 'answer', text: '{detail}', schemas },
    ]);
    assert.deepEqual(control, [
      { use: 'message-schema', from: 'backend', by: 'type', default: 'pass', channels: ['room-*'], eventStreams: true, schemas },
    ]);
  });

  const discriminator = { propertyName: 'type' };
  const faults: readonly (readonly [extension: Mapping, ...told: string[]])[] = [
    [{}, 'needs "client" or "backend"'],
    [{ clients: {} }, 'clients (key) is not known here', 'needs "client" or "backend"'],
    [{ client: 1 }, 'client (value) must be a mapping', 'needs "client" or "backend"'],
    [{ client: {} }, 'client (value) needs a schema for each kind of message'],
    [{ client: { chat }, by: '' }, 'by (value) must be text'],
    [{ client: { chat }, default: 'deny' }, 'default (value) must be one of refuse, pass'],
    [{ client: { chat }, over: 'refuse' }, 'over (value) must be one of close, drop, answer'],
    [{ client: { chat }, closeCode: 1008 }, 'closeCode (value) must be one of 4400, 1007'],
    [{ client: { chat }, publish: ['a'] }, 'publish (key) needs "backend", which says what may be published'],
    [{ backend: { chat }, publish: true }, 'publish (value) must be a list of channels'],
    [{ backend: { chat }, publish: [] }, 'publish (value) must be a list of channels'],
    [
      { client: { type: 'object', properties: {} } },
      'type (value) is no schema; there stands one for each kind of message, or one with "oneOf" for all',
    ],
    [{ client: { '': chat } }, ' (key) is no kind: it needs a name'],
    [{ client: { oneOf: [{ type: 'object' }] } }, '0 (value) does not say its kind: it needs a "const" for type'],
    [{ client: { oneOf: [chat, leave, chatRef] } }, '2 (value) is of the kind "chat", as one before it'],
    [{ client: { oneOf: [chat], discriminator: true } }, 'discriminator (value) must be a mapping'],
    [{ client: { oneOf: [chat], discriminator: {} } }, 'discriminator (value) needs "propertyName"'],
    [{ client: { oneOf: [chat], discriminator }, by: 'kind' }, 'propertyName (value) must be kind, as "by" says'],
    [
      { client: { oneOf: [chat], discriminator: { ...discriminator, mapping: [] } } },
      'mapping (value) must be a mapping from kinds to names of schemas',
    ],
    [
      { client: { oneOf: [chat], discriminator: { ...discriminator, mapping: { b: 'Leave' } } } },
      'b (value) leads to no part of "oneOf"',
    ],
    [
      {
        client: { oneOf: [{ properties: { a: { const: 'x' } } }], discriminator: { propertyName: 'a' } },
        backend: { oneOf: [chat] },
      },
      'names the kind of a message by a in "client" and by type in "backend"',
    ],
  ];
  for (const [extension, ...expected] of faults) {
    it(`is refused with "${expected.join('", "')}"`, () => {
      const { findings } = readMessages(extension, linked({ components }));
      assert.deepEqual(told(findings), expected);
    });
  }

  it('names each keyword of its schemas that is none, at the part it stands in', () => {
    const wrong = { type: 'object', proprties: {} };
    const source = linked({ components });
    const { messages } = readMessages({ client: { chat: { items: wrong } }, backend: { chat: wrong } }, source);
    const { findings } = messagePolicies(messages, source);
    assert.deepEqual(
      findings.map(({ owner, key }) => [owner === wrong, key]),
      [
        [true, 'proprties'],
        [true, 'proprties'],
      ],
    );
  });
});

const hello = '{"type":"chat","text":"hello"}';
const wrong = '{"type":"chat","text":1}';

describe('described messages', () => {
  const described = (more: Mapping) => {
    const { route, control, findings } = read({ client: { oneOf: [chat, leave] }, backend: { chat }, ...more });
    assert.deepEqual(told(findings), []);
    const settings = control.length === 0 ? {} : { settings: { control: { host: '127.0.0.1', port: 0, policies: control } } };
    return { route: { policies: route }, ...settings };
  };

  for (const [more, code] of [
    [{}, 4400],
    [{ closeCode: 1007 }, 1007],
  ] as const)
    it(`close with ${code} where they do not fit`, async () => {
      const { backend, open } = await setStage(described(more));
      const client = await open();
      client.send(hello);
      assert.equal(await client.nextText(), hello);
      client.send('{"type":"leave","text":1}');
      client.send(wrong);
      assert.deepEqual(await client.closed(), { code, reason: '/text must be string.' });
      assert.ok(!said(backend.events()).includes(`TEXT ${wrong}`));
    });

  it('are answered with the place of the fault, or dropped', async () => {
    const { open } = await setStage(described({ over: 'answer' }));
    const client = await open();
    client.send(wrong);
    assert.match(await client.nextText(), /"detail":"\/text must be string\."/);
    const dropping = await setStage(described({ over: 'drop' }));
    const other = await dropping.open();
    other.send(wrong);
    other.send(hello);
    assert.equal(await other.nextText(), hello);
  });

  it('of the backend close with 1011', async () => {
    const answer = afterOpen(() => reply([text(wrong)]));
    const { open } = await setStage({ ...described({}), answer });
    const client = await open();
    client.send(hello);
    assert.deepEqual(await client.closed(), { code: 1011, reason: '/text must be string.' });
  });

  it('are published to their channels only if they fit, to sockets and event streams', async () => {
    const subscribe = (channel: string) => text(`c:{"type":"subscribe","channel":"${channel}"}`);
    const answer = () => acceptedWithGrip([subscribe('room-a'), subscribe('news')]);
    const stage = await setStage({ ...described({ publish: ['room-*', 'lobby'] }), answer });
    const client = await stage.open();
    await eventually(async () => (await stage.members('news')) === 1);
    await assert.rejects(stage.say('room-a', wrong), /400.*\/text must be string/s);
    await assert.rejects(stage.say('lobby', 'no JSON'), /400 The message is no JSON/);
    const publishEvent = async (content: string): Promise<string> => {
      const items = [{ channel: 'room-a', formats: { 'http-stream': { content } } }];
      return (await fetch(`${stage.controlUrl}/publish/`, { method: 'POST', body: JSON.stringify({ items }) })).text();
    };
    assert.match(await publishEvent(`event: a\ndata: ${hello}\n\ndata: ${wrong}\n\n`), /\/text must be string/);
    assert.match(await publishEvent(`: comment\n\nid: 1\ndata: ${hello.replace(',', ',\ndata: ')}\n\n`), /Published/);
    await stage.say('news', wrong);
    await stage.say('room-a', hello);
    assert.deepEqual([await client.nextText(), await client.nextText()].toSorted(), [wrong, hello].toSorted());
  });

  it('for channels protect nothing on a route', async () => {
    const policies = read({ backend: { chat }, publish: ['a'] }).control;
    await assert.rejects(setStage({ route: { policies } }), /its place is control\.policies/);
  });
});

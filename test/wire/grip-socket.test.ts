/** GRIP 3.1-3.3: what one message of a backend means while GRIP is on. */
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import type { Message } from '../../gateway/core/event.ts';
import type { Instruction } from '../../gateway/core/instruction.ts';
import { gripExtension, readGripMessage } from '../../gateway/wire/grip-socket.ts';

const grip = { prefix: Buffer.from('m:') };
const text = (data: string | Buffer): Message => ({ kind: 'text', data: Buffer.from(data) });
const read = (message: Message, channelPrefix = ''): Message | Instruction | undefined =>
  readGripMessage(message, grip, channelPrefix);
const control = (fields: object): Message | Instruction | undefined => read(text(`c:${JSON.stringify(fields)}`));

describe('the extension (GRIP 3.1)', () => {
  const table: readonly [string | undefined, string | undefined][] = [
    ['grip', 'm:'],
    ['grip; message-prefix="m:"', 'm:'],
    ['grip; message-prefix=""', ''],
    ['grip; message-prefix="x y"', 'x y'],
    ['grip;message-prefix=abc', 'abc'],
    ['GRIP; Message-Prefix="A"', 'A'],
    ['permessage-deflate; client_max_window_bits, grip', 'm:'],
    ['grip; other=1; message-prefix="q"', 'q'],
    ['grip; message-prefix="a\\"b"', 'a"b'],
    [' grip ', 'm:'],
    [undefined, undefined],
    ['', undefined],
    ['gripper', undefined],
    ['permessage-deflate', undefined],
    ['x-grip', undefined],
  ];
  for (const [field, prefix] of table) {
    it(`${String(field)} has the prefix ${String(prefix)}`, () => assert.equal(gripExtension(field)?.prefix.toString(), prefix));
  }
  it('may have a comma in its prefix', () => {
    assert.equal(gripExtension('grip; message-prefix="a,b"')?.prefix.toString(), 'a,b');
  });
});

describe('messages (GRIP 3.2)', () => {
  it('lose their prefix, text and binary', () => {
    assert.deepEqual(read(text('m:hello')), text('hello'));
    assert.deepEqual(read({ kind: 'binary', data: Buffer.from('m:\xff', 'latin1') }), {
      kind: 'binary',
      data: Buffer.from([255]),
    });
    assert.deepEqual(read(text('m:')), text(''));
  });
  it('without it are dropped', () => {
    for (const data of ['hello', 'm', '', 'M:hello', ' m:hello']) assert.equal(read(text(data)), undefined, data);
    assert.equal(read({ kind: 'binary', data: Buffer.from('c:{"type":"detach"}') }), undefined);
  });
  it('are all for the client where the prefix is empty, but those that begin with c:', () => {
    const none = { prefix: Buffer.alloc(0) };
    assert.deepEqual(readGripMessage(text('hello'), none, ''), text('hello'));
    assert.deepEqual(readGripMessage(text(''), none, ''), text(''));
    assert.deepEqual(readGripMessage(text('c:{"type":"detach"}'), none, ''), { kind: 'detach' });
    assert.equal(readGripMessage(text('c:x'), none, ''), undefined);
    assert.deepEqual(readGripMessage({ kind: 'binary', data: Buffer.from('c:x') }, none, ''), {
      kind: 'binary',
      data: Buffer.from('c:x'),
    });
  });
  it('that begin with c: are control messages though the prefix is c:', () => {
    assert.equal(readGripMessage(text('c:hello'), { prefix: Buffer.from('c:') }, ''), undefined);
  });
  it('are left as they are when they are ping or pong', () => {
    for (const kind of ['ping', 'pong'] as const)
      assert.deepEqual(read({ kind, data: Buffer.from('c:x') }), { kind, data: Buffer.from('c:x') });
  });
});

describe('control messages (GRIP 3.3)', () => {
  const table: readonly [object, unknown][] = [
    [
      { type: 'subscribe', channel: 'a' },
      { kind: 'subscribe', channel: 'a', filters: [] },
    ],
    [
      { type: 'subscribe', channel: 'ä/b c', filters: ['x', 'y'] },
      { kind: 'subscribe', channel: 'ä/b c', filters: ['x', 'y'] },
    ],
    [
      { type: 'subscribe', channel: 'a', extra: true },
      { kind: 'subscribe', channel: 'a', filters: [] },
    ],
    [
      { type: 'subscribe', channel: 'a', 'prev-id': '7', next: '/items/?after=7' },
      { kind: 'subscribe', channel: 'a', filters: [], previousId: '7', next: '/items/?after=7' },
    ],
    [{ type: 'subscribe', channel: 'a', 'prev-id': null }, undefined],
    [{ type: 'subscribe', channel: 'a', next: ['/x'] }, undefined],
    [
      { type: 'unsubscribe', channel: 'a' },
      { kind: 'unsubscribe', channel: 'a' },
    ],
    [
      { type: 'set-meta', name: 'user', value: 'x' },
      { kind: 'set-meta', name: 'user', value: 'x' },
    ],
    [
      { type: 'set-meta', name: 'user', value: '' },
      { kind: 'set-meta', name: 'user', value: '' },
    ],
    [
      { type: 'set-meta', name: 'user' },
      { kind: 'set-meta', name: 'user', value: undefined },
    ],
    [{ type: 'keep-alive' }, { kind: 'keep-alive', keepAlive: undefined }],
    [
      { type: 'keep-alive', content: '' },
      { kind: 'keep-alive', keepAlive: { message: text(''), mode: 'idle', timeoutMs: 55_000 } },
    ],
    [
      { type: 'keep-alive', content: 'x', timeout: 0 },
      { kind: 'keep-alive', keepAlive: { message: text('x'), mode: 'idle', timeoutMs: 55_000 } },
    ],
    [
      { type: 'keep-alive', content: 'x', timeout: 10, mode: 'interval' },
      { kind: 'keep-alive', keepAlive: { message: text('x'), mode: 'interval', timeoutMs: 10_000 } },
    ],
    [
      { type: 'keep-alive', content: 'x', mode: 'odd' },
      { kind: 'keep-alive', keepAlive: { message: text('x'), mode: 'idle', timeoutMs: 55_000 } },
    ],
    [
      { type: 'keep-alive', content: 'x', 'content-bin': 'eQ==' },
      { kind: 'keep-alive', keepAlive: { message: text('y'), mode: 'idle', timeoutMs: 55_000 } },
    ],
    [
      { type: 'keep-alive', content: 'x', 'message-type': 'ping' },
      { kind: 'keep-alive', keepAlive: { message: { kind: 'ping', data: Buffer.from('x') }, mode: 'idle', timeoutMs: 55_000 } },
    ],
    [
      { type: 'send-delayed', content: 'x' },
      { kind: 'send-delayed', message: text('x'), delayMs: 1000 },
    ],
    [
      { type: 'send-delayed', 'content-bin': 'AP8=', 'message-type': 'binary', timeout: 0 },
      { kind: 'send-delayed', message: { kind: 'binary', data: Buffer.from([0, 255]) }, delayMs: 0 },
    ],
    [{ type: 'send-delayed' }, { kind: 'send-delayed', message: text(''), delayMs: 1000 }],
    [{ type: 'flush-delayed' }, { kind: 'flush-delayed' }],
    [{ type: 'detach' }, { kind: 'detach' }],
  ];
  for (const [fields, expected] of table)
    it(`${JSON.stringify(fields)} is understood`, () => assert.deepEqual(control(fields), expected));

  const ignored: readonly object[] = [
    {},
    { type: 'Subscribe', channel: 'a' },
    { type: 'hold' },
    { type: 'session', id: 'x' },
    { type: null },
    { type: 'subscribe' },
    { type: 'subscribe', channel: '' },
    { type: 'subscribe', channel: 1 },
    { type: 'subscribe', channel: 'a\0' },
    { type: 'subscribe', channel: 'x'.repeat(1025) },
    { type: 'subscribe', channel: 'a', filters: {} },
    { type: 'subscribe', channel: 'a', filters: [null] },
    { type: 'unsubscribe' },
    { type: 'unsubscribe', channel: [] },
    { type: 'set-meta' },
    { type: 'set-meta', name: '' },
    { type: 'set-meta', name: 'a', value: 1 },
    { type: 'set-meta', name: 'a', value: 'x'.repeat(4097) },
    { type: 'keep-alive', content: 1 },
    { type: 'keep-alive', 'content-bin': 1 },
    { type: 'keep-alive', content: 'x', timeout: -1 },
    { type: 'keep-alive', content: 'x', timeout: 1.5 },
    { type: 'keep-alive', content: 'x', timeout: '5' },
    { type: 'keep-alive', content: 'x', timeout: 1e9 },
    { type: 'keep-alive', content: 'x', 'message-type': 'close' },
    { type: 'send-delayed', content: {} },
    { type: 'send-delayed', content: 'x', timeout: 1e9 },
    { type: 'send-delayed', content: 'x'.repeat(126), 'message-type': 'ping' },
    { type: 'send-delayed', 'content-bin': '/w==' },
  ];
  for (const fields of ignored)
    it(`${JSON.stringify(fields).slice(0, 80)} is ignored`, () => assert.equal(control(fields), undefined));

  it('that are no JSON objects are ignored', () => {
    for (const data of ['c:', 'c:{', 'c:null', 'c:5', 'c:"detach"', 'c:[]', 'c:[{"type":"detach"}]', 'c: {"type":"detach"} x'])
      assert.equal(read(text(data)), undefined, data);
  });

  it('may have white space around', () => assert.deepEqual(read(text('c: {"type": "detach"} \n')), { kind: 'detach' }));

  it('know nothing of prototypes', () => {
    for (const data of ['c:{"__proto__":{"type":"detach"}}', 'c:{"type":"constructor"}', 'c:{"type":"toString"}'])
      assert.equal(read(text(data)), undefined, data);
  });

  it('get the prefix of their route before the channel', () => {
    assert.deepEqual(read(text('c:{"type":"subscribe","channel":"a"}'), 'p-'), {
      kind: 'subscribe',
      channel: 'p-a',
      filters: [],
    });
    assert.deepEqual(read(text('c:{"type":"unsubscribe","channel":"a"}'), 'p-'), { kind: 'unsubscribe', channel: 'p-a' });
    assert.equal(read(text('c:{"type":"subscribe","channel":""}'), 'p-'), undefined);
  });

  it('larger than 65536 bytes are ignored', () => {
    const sized = (bytes: number): Message => text(`c:{"type":"detach"}`.padEnd(bytes));
    assert.deepEqual(read(sized(65_536)), { kind: 'detach' });
    assert.equal(read(sized(65_537)), undefined);
  });

  it('never throw, whatever they say', () => {
    const types = fc.constantFrom('subscribe', 'unsubscribe', 'set-meta', 'keep-alive', 'send-delayed', 'detach', 'x');
    const members = fc.dictionary(
      fc.constantFrom('channel', 'filters', 'name', 'value', 'content', 'content-bin', 'message-type', 'timeout', 'mode'),
      fc.jsonValue(),
    );
    fc.assert(fc.property(types, members, (type, rest) => void control({ type, ...rest })));
    fc.assert(fc.property(fc.string(), (rest) => void read(text(`c:${rest}`))));
  });
});

/** Tnetstrings, and items that come in them (GRIP 6.6). */
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { ForegateError } from '../../gateway/core/errors.ts';
import { limits } from '../../gateway/core/limits.ts';
import { parsePublishFrame } from '../../gateway/wire/publish-frames.ts';
import { decodeTnetstring, encodeTnetstring, type TnetValue } from '../../gateway/wire/tnetstring.ts';

const { value } = fc.letrec<{ value: TnetValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    fc.uint8Array().map((bytes) => Buffer.from(bytes)),
    fc.maxSafeInteger(),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('value')),
    fc.dictionary(fc.oneof(fc.string({ unit: 'grapheme' }), fc.constantFrom('__proto__', 'constructor', '')), tie('value')),
  ),
}));

const isRefusal = (thrown: unknown): boolean => thrown instanceof ForegateError && thrown.code === 'bad-request';

describe('a tnetstring', () => {
  it('is what Pushpin writes', () => {
    const written = encodeTnetstring({
      id: '1',
      success: true,
      value: null,
      list: ['a'],
      number: -5,
      half: 0.5,
    } as unknown as TnetValue);
    assert.equal(written.toString(), '78:2:id,1:1,7:success,4:true!5:value,0:~4:list,4:1:a,]6:number,2:-5#4:half,3:0.5^}');
  });

  it('is read as it was written', () => {
    fc.assert(fc.property(value, (one) => assert.deepEqual(decodeTnetstring(encodeTnetstring(one)), normal(one))));
  });

  it('is refused when it is cut or something follows', () => {
    fc.assert(
      fc.property(value, fc.nat(), (one, cut) => {
        const whole = encodeTnetstring(one);
        assert.throws(() => decodeTnetstring(whole.subarray(0, cut % whole.length)), isRefusal);
        assert.throws(() => decodeTnetstring(Buffer.concat([whole, Buffer.from('x')])), isRefusal);
      }),
    );
  });

  it('is read or refused, whatever the bytes are', () => {
    const alphabet = fc.constantFrom(...'0123456789:,#^!~}]trufalse-'.split(''));
    const bytes = fc.oneof(fc.uint8Array(), fc.string({ unit: alphabet }));
    fc.assert(
      fc.property(bytes, (any) => {
        try {
          decodeTnetstring(Buffer.from(any as string));
        } catch (thrown) {
          assert.ok(isRefusal(thrown), String(thrown));
        }
      }),
      { numRuns: 2000 },
    );
  });

  for (const text of [
    '',
    ':',
    '1',
    '1:',
    ':,',
    '01:a,',
    '-1:a,',
    '+1:a,',
    ' 1:a,',
    '2:a,',
    '999999999:a,',
    '9999999999:a,',
    '99999999999999999999999:a,',
    '1:a?',
    '1:a~',
    '3:1.5#',
    '1:a#',
    '0:#',
    '17:99999999999999999#',
    '16:9999999999999999#',
    '3:inf^',
    '3:nan^',
    '0:^',
    '5:1e999^',
    '4:TRUE!',
    '0:!',
    '8:1:1#1:a,}',
    '4:1:a,}',
    '8:1:\u00e9,0:~}',
    '5:9:aaa,]',
    '3:1:a]',
  ]) {
    it(`is refused: ${JSON.stringify(text)}`, () => {
      assert.throws(() => decodeTnetstring(Buffer.from(text, 'latin1')), isRefusal);
    });
  }

  it('may have so many levels and no more', () => {
    const nested = (levels: number): Buffer => {
      let text = '0:~';
      for (let i = 0; i < levels; i += 1) text = `${text.length}:${text}]`;
      return Buffer.from(text);
    };
    decodeTnetstring(nested(limits.tnetstringDepth));
    assert.throws(() => decodeTnetstring(nested(limits.tnetstringDepth + 1)), isRefusal);
    assert.throws(() => decodeTnetstring(nested(5000)), isRefusal);
  });

  it('cannot hold what is no number', () => {
    for (const number of [NaN, Infinity, -Infinity]) assert.throws(() => encodeTnetstring(number), TypeError);
  });
});

describe('an item in a frame', () => {
  const frame = (item: unknown): Buffer => encodeTnetstring(item as TnetValue);
  const binary = Buffer.from([0xff, 0x00, 0xfe]);

  it('is the same in each of its three forms', () => {
    const item = {
      channel: 'a',
      id: '2',
      'prev-id': '1',
      meta: { sender: 'me', content: 'x' },
      size: 4,
      'no-seq': true,
      formats: {
        'ws-message': { content: 'hällo', 'content-filters': ['f'] },
        'http-stream': { content: 'hello\n' },
        'http-response': { code: 201, reason: 'Done', headers: [['X-A', 'b']], body: 'body' },
      },
    };
    const json = parsePublishFrame(Buffer.from(`J${JSON.stringify(item)}`));
    assert.deepEqual(parsePublishFrame(frame(item)), json);
    assert.deepEqual(parsePublishFrame(Buffer.concat([Buffer.from('T'), frame(item)])), json);
    const { formats, ...rest } = item;
    assert.deepEqual(parsePublishFrame(frame({ ...rest, ...formats })), json);
  });

  it('has content as it is, not in base64, and text where text is meant', () => {
    const { formats } = parsePublishFrame(
      frame({
        channel: 'a',
        'ws-message': { 'content-bin': binary },
        'http-stream': { content: binary },
        'http-response': { body: binary, headers: { 'X-A': 'b' } },
      }),
    );
    assert.deepEqual(formats.message, { action: 'send', type: 'binary', content: binary });
    assert.deepEqual(formats.stream, { action: 'send', content: binary });
    assert.ok(formats.response?.action === 'send');
    assert.deepEqual([formats.response.body, formats.response.headers], [{ kind: 'bytes', bytes: binary }, ['X-A', 'b']]);
  });

  it('is what the tool of Pushpin publishes', () => {
    const plain =
      '181:7:formats,152:10:ws-message,18:7:content,5:hello,}11:http-stream,19:7:content,6:hello\n,}13:http-response,57:4:body,6:hello\n,7:headers,14:10:3:X-A,1:b,]]4:code,3:200#}}7:channel,1:p,}';
    assert.deepEqual(parsePublishFrame(Buffer.from(plain)), {
      channel: 'p',
      meta: new Map(),
      formats: {
        message: { action: 'send', type: 'text', content: Buffer.from('hello') },
        stream: { action: 'send', content: Buffer.from('hello\n') },
        response: { action: 'send', code: 200, headers: ['X-A', 'b'], body: { kind: 'bytes', bytes: Buffer.from('hello\n') } },
      },
    });
    const full =
      '226:2:id,1:1,7:formats,125:11:http-stream,19:7:content,6:h\u00e4llo,}10:ws-message,19:7:content,6:h\u00e4llo,}13:http-response,29:4:body,6:h\u00e4llo,4:code,3:200#}}6:no-seq,4:true!4:meta,22:1:k,1:v,6:sender,2:me,}7:channel,1:p,7:prev-id,1:0,}';
    const { id, previousId, unsequenced, meta } = parsePublishFrame(Buffer.from(full));
    assert.deepEqual(
      [id, previousId, unsequenced, [...meta]],
      [
        '1',
        '0',
        true,
        [
          ['k', 'v'],
          ['sender', 'me'],
        ],
      ],
    );
    const hint =
      '135:7:channel,1:p,7:formats,106:11:http-stream,16:6:action,4:hint,}13:http-response,16:6:action,4:hint,}10:ws-message,16:6:action,4:hint,}}}';
    assert.deepEqual(parsePublishFrame(Buffer.from(hint)).formats.response, { action: 'hint' });
    const close = '99:7:formats,71:10:ws-message,17:6:action,5:close,}11:http-stream,17:6:action,5:close,}}7:channel,1:p,}';
    assert.deepEqual(parsePublishFrame(Buffer.from(close)).formats, {
      message: { action: 'close', code: 1000, reason: '' },
      stream: { action: 'close' },
    });
  });

  it('has the channel that is given beside it', () => {
    assert.equal(parsePublishFrame(frame({ channel: 'a', 'http-stream': { content: 'x' } }), 'b').channel, 'b');
    assert.equal(parsePublishFrame(frame({ 'http-stream': { content: 'x' } }), 'b').channel, 'b');
    assert.equal(parsePublishFrame(Buffer.from('J{"http-stream":{"content":"x"}}'), 'b').channel, 'b');
  });

  for (const [name, item] of [
    ['without a channel', { 'http-stream': { content: 'x' } }],
    ['with a channel that is no text', { channel: binary, 'http-stream': { content: 'x' } }],
    ['with a number for a channel', { channel: 5, 'http-stream': { content: 'x' } }],
    ['without formats', { channel: 'a' }],
    ['with content that is no text in a text message', { channel: 'a', 'ws-message': { content: binary } }],
    ['with an id that is no text', { channel: 'a', id: binary, 'http-stream': { content: 'x' } }],
    ['with bytes in its meta', { channel: 'a', meta: { content: binary }, 'http-stream': { content: 'x' } }],
    ['with a close code that must not be sent', { channel: 'a', 'ws-message': { action: 'close', code: 1005 } }],
    ['that is a list', ['a']],
    ['that is null', null],
  ] as const) {
    it(`is refused: one ${name}`, () => {
      assert.throws(() => parsePublishFrame(frame(item)), isRefusal);
    });
  }

  for (const text of ['', 'J', 'T', 'J{', 'Jnull', 'J[]', 'X{}', 'hello', 'T1:a', 'J\u0000']) {
    it(`is refused: ${JSON.stringify(text)}`, () => {
      assert.throws(() => parsePublishFrame(Buffer.from(text)), isRefusal);
    });
  }
});

/** As it comes back: objects of no class, text as bytes. */
function normal(one: TnetValue): unknown {
  if (Buffer.isBuffer(one) || typeof one !== 'object' || one === null) return one;
  if (Array.isArray(one)) return one.map((entry: TnetValue) => normal(entry));
  return Object.fromEntries(Object.entries(one).map(([key, member]) => [key, normal(member)]));
}

import assert from 'node:assert/strict';
import { array, assert as holds, property, string } from 'fast-check';
import { channelName } from '../../gateway/core/ids.ts';
import type { MessageFormat, Publication } from '../../gateway/core/publication.ts';
import {
  arrayFrame,
  callbackCall,
  closeFrame,
  element,
  readPayload,
  sockJsElements,
  sockJsFrames,
} from '../../gateway/wire/sockjs-frames.ts';
import { encodeFrames } from '../../gateway/wire/websocket-frame.ts';

const text = (data: string) => ({ kind: 'text', data: Buffer.from(data) }) as const;

function publication(message: MessageFormat): Publication {
  return { channel: channelName('c'), meta: new Map(), formats: { message } };
}

const sending = (type: 'text' | 'binary' | 'ping' | 'pong', content: Buffer | string): Publication =>
  publication({ action: 'send', type, content: Buffer.from(content) });

describe('SockJS frames', () => {
  it('carry any text, alone and behind others', () => {
    holds(
      property(array(string({ unit: 'grapheme' }), { minLength: 1 }), (texts) => {
        const frame = arrayFrame(Buffer.concat(texts.map((one) => element(text(one)) ?? Buffer.alloc(0))));
        assert.equal(frame[0], 'a');
        assert.deepEqual(JSON.parse(frame.slice(1)), texts);
        assert.doesNotMatch(frame, /[\n\r]/);
      }),
    );
  });

  it('write characters that get lost on the way as escapes', () => {
    const fragile = '\u0000\u001f\u200c\u200f\u2028\u2029\u202f\u2060\u206f\ufff0\uffff😀';
    const frame = arrayFrame(element(text(`a${fragile}é\u200b\u2030`)) ?? Buffer.alloc(0));
    assert.equal(
      frame,
      'a["a\\u0000\\u001f\\u200c\\u200f\\u2028\\u2029\\u202f\\u2060\\u206f\\ufff0\\uffff\\ud83d\\ude00é\u200b\u2030"]',
    );
  });

  it('carry binary data that is text, and nothing else', () => {
    assert.equal(element({ kind: 'binary', data: Buffer.from('x') })?.toString(), '"x",');
    assert.equal(element({ kind: 'binary', data: Buffer.from([0xff]) }), undefined);
    assert.equal(element({ kind: 'text', data: Buffer.from([0xff]) }), undefined);
    assert.equal(element({ kind: 'ping', data: Buffer.from('x') }), undefined);
  });

  it('say how it ended', () => {
    assert.equal(closeFrame(3000, 'Go "away"!'), 'c[3000,"Go \\"away\\"!"]');
  });

  it('stand in a call as one string', () => {
    assert.equal(callbackCall('a.b', 'a["\\u2028\\"</script>"]'), '/**/a.b("a[\\"\\\\u2028\\\\\\"</script>\\"]");\r\n');
  });
});

describe('what SockJS clients send', () => {
  it('is an array of strings', () => {
    const payload = readPayload('["a","\\u00e9",""]');
    assert.deepEqual(payload, { kind: 'messages', messages: [text('a'), text('é'), text('')] });
  });

  it('is UTF-8 in any case', () => {
    const payload = readPayload('["\\ud800"]');
    assert.deepEqual(payload, { kind: 'messages', messages: [text('\ufffd')] });
  });

  for (const body of ['', '1', '"a"', 'null', '{}', '[1]', '["a",null]', '[["a"]]', 'true']) {
    it(`is not ${JSON.stringify(body)}`, () => {
      assert.deepEqual(readPayload(body), { kind: 'flaw', text: 'Payload expected.' });
    });
  }

  for (const body of ['[', '["a', 'x', '["a"]]', "['a']", '['.repeat(100_000)]) {
    it(`is not ${JSON.stringify(body.slice(0, 10))}`, () => {
      assert.deepEqual(readPayload(body), { kind: 'flaw', text: 'Broken JSON encoding.' });
    });
  }

  it('is not deep', () => {
    assert.deepEqual(readPayload(`${'['.repeat(100_000)}${']'.repeat(100_000)}`).kind, 'flaw');
  });

  it('is not more than may wait', () => {
    const many = (count: number): string => JSON.stringify(Array.from({ length: count }, () => ''));
    assert.equal(readPayload(many(10_000)).kind, 'messages');
    assert.equal(readPayload(many(10_001)).kind, 'flood');
  });
});

describe('the shapes of SockJS', () => {
  it('make a frame of each item for WebSockets', () => {
    assert.deepEqual(sockJsFrames.encode(sending('text', 'x"')), encodeFrames([text('a["x\\""]')]));
    assert.deepEqual(sockJsFrames.encode(sending('binary', 'x')), encodeFrames([text('a["x"]')]));
    assert.deepEqual(sockJsFrames.encode(sending('ping', 'x')), encodeFrames([{ kind: 'ping', data: Buffer.from('x') }]));
    assert.equal(sockJsFrames.encode(sending('ping', 'x'.repeat(126))), undefined);
    assert.equal(sockJsFrames.encode(sending('binary', Buffer.from([0xff]))), undefined);
  });

  it('make elements of items, to be put into one array', () => {
    const items = ['a', 'b'].map((content) => sockJsElements.encode(sending('text', content)) ?? Buffer.alloc(0));
    assert.equal(arrayFrame(Buffer.concat(items)), 'a["a","b"]');
    assert.equal(sockJsElements.encode(sending('ping', '')), undefined);
    assert.equal(sockJsElements.encode(sending('binary', Buffer.from([0xff]))), undefined);
  });

  it('write nothing for what is no message', () => {
    for (const shape of [sockJsFrames, sockJsElements]) assert.equal(shape.encode(publication({ action: 'refresh' })), undefined);
  });

  it('let filters change the content', () => {
    for (const shape of [sockJsFrames, sockJsElements]) {
      const item = sending('text', 'old');
      assert.equal(shape.content(item)?.toString(), 'old');
      assert.match(shape.encode(shape.withContent(item, Buffer.from('new')))?.toString() ?? '', /"new"/);
    }
  });
});

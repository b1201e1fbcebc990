import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { ForegateError } from '../../gateway/core/errors.ts';
import type { Publication } from '../../gateway/core/publication.ts';
import { parsePublishBody } from '../../gateway/wire/publish-items.ts';
import { publishFaults } from './publish-items-faults.ts';

const limits = { publishItems: 10 };
const parse = (body: string | Buffer): Publication[] => parsePublishBody(Buffer.from(body), limits);

/** The formats of one item with this format. */
function formatsOf(name: string, format: object): Publication['formats'] {
  const [publication] = parse(JSON.stringify({ items: [{ channel: 'a', formats: { [name]: format } }] }));
  assert.ok(publication);
  return publication.formats;
}

function isRefusal(thrown: unknown): boolean {
  return thrown instanceof ForegateError && thrown.code === 'bad-request';
}

describe('publish body', () => {
  describe('refuses with the text of the table', () => {
    for (const [body, text] of publishFaults) {
      it(`${body.length > 90 ? `${body.slice(0, 90)}…` : body} → ${text}`, () => {
        assert.throws(() => parse(body), { code: 'bad-request', message: text });
      });
    }
  });

  it('reads the example of the reference', () => {
    const [publication] = parse(
      JSON.stringify({
        items: [
          {
            channel: 'news',
            id: '11',
            'prev-id': '10',
            meta: { sender: '42' },
            formats: {
              'http-response': { code: 200, headers: [['Content-Type', 'application/json']], body: '{"n":11}\n' },
              'http-stream': { content: 'event: message\ndata: {"n":11}\n\n' },
              'ws-message': { content: '{"n":11}' },
            },
          },
        ],
      }),
    );
    assert.deepEqual(publication, {
      channel: 'news',
      id: '11',
      previousId: '10',
      meta: new Map([['sender', '42']]),
      formats: {
        response: {
          action: 'send',
          code: 200,
          headers: ['Content-Type', 'application/json'],
          body: { kind: 'bytes', bytes: Buffer.from('{"n":11}\n') },
        },
        stream: { action: 'send', content: Buffer.from('event: message\ndata: {"n":11}\n\n') },
        message: { action: 'send', type: 'text', content: Buffer.from('{"n":11}') },
      },
    });
  });

  it('takes an empty list', () => {
    assert.deepEqual(parse('{"items":[]}'), []);
  });

  it('takes formats that stand beside the other members', () => {
    const [publication] = parse('{"items":[{"channel":"a","ws-message":{"content":"x"},"http-stream":{"content":"y"}}]}');
    assert.deepEqual(Object.keys(publication?.formats ?? {}), ['stream', 'message']);
  });

  it('ignores formats beside the other members where there are formats', () => {
    const [publication] = parse('{"items":[{"channel":"a","http-stream":5,"formats":{"ws-message":{"content":"x"}}}]}');
    assert.deepEqual(Object.keys(publication?.formats ?? {}), ['message']);
  });

  it('accepts and ignores formats it does not know', () => {
    assert.deepEqual(formatsOf('carrier-pigeon', { speed: 1 }), {});
  });

  it('reads sizes and the wish for no order', () => {
    const [publication] = parse('{"items":[{"channel":"a","size":12,"no-seq":true,"ws-message":{"content":""}}]}');
    assert.equal(publication?.size, 12);
    assert.equal(publication?.unsequenced, true);
  });

  for (const [text, size] of [
    ['12', 12],
    [' 7 ', 7],
    ['many', 0],
    ['', 0],
    ['1.5', 0],
    ['9'.repeat(400), 0],
  ] as const) {
    it(`reads the size "${text.slice(0, 5)}" as ${size}`, () => {
      const [publication] = parse(JSON.stringify({ items: [{ channel: 'a', size: text, 'ws-message': { content: '' } }] }));
      assert.equal(publication?.size, size);
    });
  }

  it('treats no-seq false as if it were not there', () => {
    const [publication] = parse('{"items":[{"channel":"a","no-seq":false,"ws-message":{"content":""}}]}');
    assert.equal(publication?.unsequenced, undefined);
  });

  it('keeps a meta member called __proto__ as what it is', () => {
    const [publication] = parse('{"items":[{"channel":"a","meta":{"__proto__":"x"},"ws-message":{"content":""}}]}');
    assert.equal(publication?.meta.get('__proto__'), 'x');
  });

  it('does not take members from a prototype', () => {
    assert.throws(() => parse('{"items":[{"channel":"a","__proto__":{"ws-message":{"content":""}}}]}'), {
      message: 'Invalid format: no formats specified',
    });
  });

  it('refuses bytes that are no UTF-8', () => {
    const body = Buffer.concat([Buffer.from('{"items":[{"channel":"'), Buffer.from([0xff]), Buffer.from('"}]}')]);
    assert.throws(() => parse(body), { message: 'Body is not valid JSON.' });
  });

  it('refuses more items than allowed', () => {
    const body = JSON.stringify({ items: Array.from({ length: 11 }, () => 1) });
    assert.throws(() => parse(body), { message: 'Invalid format: too many items (at most 10 per request)' });
  });

  it('survives 100,000 nested arrays and objects', () => {
    const nested = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
    assert.throws(() => parse(nested), { message: 'Invalid format.' });
    assert.throws(() => parse(`${'{"items":'.repeat(100_000)}1${'}'.repeat(100_000)}`), {
      message: "Invalid format: object contains 'items' with wrong type",
    });
    assert.equal(parse(`{"items":[{"channel":"a","x":${nested},"ws-message":{"content":""}}]}`).length, 1);
    assert.throws(() => parse(`{"items":[{"channel":"a","http-response":{"body-patch":${nested}}}]}`), isRefusal);
  });

  it('throws nothing but its refusal, whatever the JSON', () => {
    fc.assert(fc.property(fc.json({ maxDepth: 6 }), onlyRefuses), { numRuns: 200 });
  });

  it('throws nothing but its refusal for what looks nearly right', () => {
    const value = fc.oneof(
      fc.string(),
      fc.integer(),
      fc.constant(null),
      fc.boolean(),
      fc.constantFrom('send', 'close', 'text', 'ping', 'QUI='),
      fc.array(fc.anything({ maxDepth: 1 })),
    );
    const names = [
      'action',
      'content',
      'content-bin',
      'type',
      'code',
      'reason',
      'headers',
      'body',
      'body-bin',
      'body-patch',
      'content-filters',
    ];
    const format = fc.oneof(fc.dictionary(fc.constantFrom(...names), value), value);
    const formats = fc.dictionary(fc.constantFrom('http-response', 'http-stream', 'ws-message', 'x'), format);
    const item = fc.record(
      { channel: fc.oneof(fc.string(), value), id: value, formats, meta: fc.dictionary(fc.string(), value), size: value },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(fc.array(item), (items) => onlyRefuses(JSON.stringify({ items }) ?? 'null')),
      { numRuns: 200 },
    );
  });
});

function onlyRefuses(body: string): void {
  try {
    parse(body);
  } catch (thrown) {
    assert.ok(isRefusal(thrown), String(thrown));
  }
}

describe('ws-message', () => {
  it('is text for content and binary for content-bin', () => {
    assert.deepEqual(formatsOf('ws-message', { content: 'é' }).message, {
      action: 'send',
      type: 'text',
      content: Buffer.from('é'),
    });
    assert.deepEqual(formatsOf('ws-message', { 'content-bin': 'AP8=' }).message, {
      action: 'send',
      type: 'binary',
      content: Buffer.from([0, 255]),
    });
  });

  it('prefers content-bin, and keeps a stated type', () => {
    const { message } = formatsOf('ws-message', { content: 'no', 'content-bin': 'eWVz', type: 'text' });
    assert.deepEqual(message, { action: 'send', type: 'text', content: Buffer.from('yes') });
  });

  it('takes empty content, and pings and pongs without content', () => {
    assert.deepEqual(formatsOf('ws-message', { content: '' }).message, {
      action: 'send',
      type: 'text',
      content: Buffer.alloc(0),
    });
    for (const type of ['ping', 'pong'] as const)
      assert.deepEqual(formatsOf('ws-message', { type }).message, { action: 'send', type, content: Buffer.alloc(0) });
  });

  it('keeps content filters, an empty list too', () => {
    assert.deepEqual(formatsOf('ws-message', { content: '', 'content-filters': ['build-id'] }).message, {
      action: 'send',
      type: 'text',
      content: Buffer.alloc(0),
      contentFilters: ['build-id'],
    });
    assert.deepEqual(formatsOf('ws-message', { content: '', 'content-filters': [] }).message, {
      action: 'send',
      type: 'text',
      content: Buffer.alloc(0),
      contentFilters: [],
    });
  });

  it('closes with 1000 unless another code is given, as number or text', () => {
    assert.deepEqual(formatsOf('ws-message', { action: 'close' }).message, { action: 'close', code: 1000, reason: '' });
    assert.deepEqual(formatsOf('ws-message', { action: 'close', reason: 'lost' }).message, {
      action: 'close',
      code: 1000,
      reason: '',
    });
    assert.deepEqual(formatsOf('ws-message', { action: 'close', code: '4001', reason: 'bye' }).message, {
      action: 'close',
      code: 4001,
      reason: 'bye',
    });
  });

  it('cuts a reason to what a close frame has room for', () => {
    const { message } = formatsOf('ws-message', { action: 'close', code: 1000, reason: 'é'.repeat(100) });
    assert.deepEqual(message, { action: 'close', code: 1000, reason: 'é'.repeat(61) });
  });

  it('knows refresh and hint', () => {
    assert.deepEqual(formatsOf('ws-message', { action: 'refresh' }).message, { action: 'refresh' });
    assert.deepEqual(formatsOf('ws-message', { action: 'hint' }).message, { action: 'hint' });
  });
});

describe('http-stream', () => {
  it('prefers content-bin', () => {
    assert.deepEqual(formatsOf('http-stream', { content: 'no', 'content-bin': 'eWVz' }).stream, {
      action: 'send',
      content: Buffer.from('yes'),
    });
  });

  it('closes as client libraries say it, with empty content', () => {
    assert.deepEqual(formatsOf('http-stream', { action: 'close', content: '' }).stream, { action: 'close' });
  });

  it('takes refresh for a hint', () => {
    assert.deepEqual(formatsOf('http-stream', { action: 'refresh' }).stream, { action: 'hint' });
  });
});

describe('http-response', () => {
  it('reads the code as text, as the JavaScript library sends it', () => {
    const { response } = formatsOf('http-response', { code: '404', body: '' });
    assert.ok(response?.action === 'send');
    assert.equal(response.code, 404);
  });

  it('takes headers as an object and keeps their bytes as UTF-8', () => {
    const { response } = formatsOf('http-response', { headers: { 'X-A': 'é' }, reason: 'Fine', body: '' });
    assert.ok(response?.action === 'send');
    assert.deepEqual(response.headers, ['X-A', 'Ã©']);
    assert.equal(response.reason, 'Fine');
  });

  it('prefers body-bin to body to body-patch', () => {
    const bytes = (text: string) => ({ kind: 'bytes', bytes: Buffer.from(text) });
    const bodyOf = (format: object) => {
      const { response } = formatsOf('http-response', format);
      return response?.action === 'send' ? response.body : undefined;
    };
    const patch = [{ op: 'remove', path: '/a' }];
    assert.deepEqual(bodyOf({ 'body-bin': 'eWVz', body: 'no', 'body-patch': patch }), bytes('yes'));
    assert.deepEqual(bodyOf({ body: 'yes', 'body-patch': patch }), bytes('yes'));
    assert.deepEqual(bodyOf({ 'body-patch': patch }), { kind: 'patch', patch });
  });

  for (const action of ['hint', 'close', 'refresh'] as const) {
    it(`takes ${action} without a body`, () => {
      assert.deepEqual(formatsOf('http-response', { action }).response, { action });
    });
  }
});

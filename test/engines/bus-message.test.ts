/** What processes tell each other over a bus: comes out as it went in, and nothing else comes out whatever comes in. */
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { channelName } from '../../gateway/core/ids.ts';
import type { Publication } from '../../gateway/core/publication.ts';
import { decodeBusMessage, encodeBusMessage, isFrom, type BusMessage } from '../../gateway/engines/bus-message.ts';

const sender = Buffer.from('0123456789abcdef');
const headBytes = 21;
const item = (formats: Publication['formats'] = {}, more: object = {}): BusMessage => ({
  kind: 'item',
  publication: { channel: channelName('c'), meta: new Map(), formats, ...more },
});

/** A message with this text and these contents. */
function framed(value: unknown, contents: Buffer = Buffer.alloc(0)): Buffer {
  const text = Buffer.from(JSON.stringify(value));
  const head = Buffer.concat([Buffer.from([1]), sender, Buffer.alloc(4)]);
  head.writeUInt32BE(text.length, headBytes - 4);
  return Buffer.concat([head, text, contents]);
}

const plain = { kind: 'item', channel: 'c', meta: [], formats: {} };

describe('bus messages', () => {
  it('come out as they went in', () => {
    const bytes = fc.uint8Array().map((array) => Buffer.from(array));
    const own = { noNullPrototype: true };
    const texts = fc.string({ unit: 'binary' });
    const publications = fc.record(
      {
        channel: fc.constant(channelName('größe')),
        id: texts,
        previousId: texts,
        unsequenced: fc.boolean(),
        size: fc.nat(),
        meta: fc.array(fc.tuple(texts, texts)).map((pairs) => new Map(pairs)),
        formats: fc.record(
          {
            message: fc.record(
              { action: fc.constant('send' as const), type: fc.constant('binary' as const), content: bytes },
              own,
            ),
            stream: fc.record({ action: fc.constant('send' as const), content: bytes, contentFilters: fc.array(texts) }, own),
            response: fc.record(
              {
                action: fc.constant('send' as const),
                code: fc.integer({ min: 0, max: 999 }),
                headers: fc.constant(['X-A', 'ÿ', 'x-a', '']),
                body: fc.oneof(
                  fc.record({ kind: fc.constant('bytes' as const), bytes }, own),
                  fc.record(
                    {
                      kind: fc.constant('patch' as const),
                      patch: fc.array(fc.dictionary(fc.constantFrom('op', 'path'), texts, own)),
                    },
                    own,
                  ),
                ),
              },
              own,
            ),
          },
          { requiredKeys: [], noNullPrototype: true },
        ),
      },
      { requiredKeys: ['channel', 'meta', 'formats'], noNullPrototype: true },
    );
    fc.assert(
      fc.property(publications, (publication) => {
        const encoded = encodeBusMessage(sender, { kind: 'item', publication });
        assert.ok(isFrom(sender, encoded) && !isFrom(Buffer.alloc(16), encoded));
        const decoded = decodeBusMessage(encoded);
        assert.deepEqual(decoded, { kind: 'item', publication });
      }),
    );
  });

  it('cost little more than their contents', () => {
    const content = Buffer.alloc(100_000, 0xff);
    const encoded = encodeBusMessage(sender, item({ message: { action: 'send', type: 'binary', content } }));
    assert.ok(encoded.length < content.length + 200, `${encoded.length} bytes`);
  });

  it('are not understood from another version, cut off, or with more behind them', () => {
    const encoded = encodeBusMessage(sender, item({ stream: { action: 'send', content: Buffer.from('abc') } }));
    assert.ok(decodeBusMessage(encoded));
    for (let length = 0; length < encoded.length; length += 1)
      assert.equal(decodeBusMessage(encoded.subarray(0, length)), undefined, String(length));
    assert.equal(decodeBusMessage(Buffer.concat([encoded, Buffer.from('x')])), undefined);
    encoded.writeUInt8(2, 0);
    assert.equal(decodeBusMessage(encoded), undefined);
  });

  it('do not come of any other bytes, and these throw nothing', () => {
    fc.assert(fc.property(fc.uint8Array(), (bytes) => decodeBusMessage(Buffer.from([1, ...bytes])) === undefined));
    fc.assert(fc.property(fc.json(), (json) => decodeBusMessage(framed(JSON.parse(json))) === undefined));
  });

  it('hold nothing that no publisher could have sent', () => {
    assert.ok(decodeBusMessage(framed(plain)));
    const response = { action: 'send', code: 200, headers: [], body: { kind: 'patch', patch: [] } };
    const faults: readonly (readonly [value: unknown, contents?: Buffer])[] = [
      [null],
      [{ ...plain, more: 1 }],
      [{ ...plain, channel: '' }],
      [{ ...plain, channel: 'a\n' }],
      [{ ...plain, id: 1 }],
      [{ ...plain, size: -1 }],
      [{ ...plain, meta: { a: 'b' } }],
      [{ ...plain, formats: { message: { action: 'close', code: 1006, reason: '' } } }],
      [{ ...plain, formats: { message: { action: 'close', code: 1000, reason: 'ü'.repeat(62) } } }],
      [{ ...plain, formats: { message: { action: 'send', type: 'text', content: 1 } } }, Buffer.from([0xff])],
      [{ ...plain, formats: { message: { action: 'send', type: 'ping', content: 126 } } }, Buffer.alloc(126)],
      [{ ...plain, formats: { message: { action: 'send', type: 'text', content: -1 } } }],
      [{ ...plain, formats: { stream: { action: 'send', content: 1.5 } } }],
      [{ ...plain, formats: { stream: { action: 'refresh' } } }],
      [{ ...plain, formats: { response: { ...response, code: 1000 } } }],
      [{ ...plain, formats: { response: { ...response, headers: [['X-A', 'a\r\nX-B: b']] } } }],
      [{ ...plain, formats: { response: { ...response, headers: [['X A', 'a']] } } }],
      [{ ...plain, formats: { response: { ...response, headers: ['X-A', 'a'] } } }],
      [{ ...plain, formats: { response: { ...response, reason: 'a\n' } } }],
      [{ ...plain, formats: { response: { ...response, body: { kind: 'bytes', bytes: 1 } } } }],
      [{ kind: 'notice', notice: { kind: 'recover', more: 1 } }],
      [{ kind: 'notice', notice: { kind: 'refresh-channel', channel: '' } }],
      [{ kind: 'notice', notice: { kind: 'revoke', revocation: { of: 'all', value: 'a', issuedBefore: 1, until: 2 } } }],
      [{ kind: 'notice', notice: { kind: 'revoke', revocation: { of: 'jti', value: 'a', issuedBefore: '1', until: 2 } } }],
    ];
    for (const [value, contents] of faults)
      assert.equal(decodeBusMessage(framed(value, contents)), undefined, JSON.stringify(value));
  });
});

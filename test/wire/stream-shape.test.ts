import assert from 'node:assert/strict';
import { channelName } from '../../gateway/core/ids.ts';
import type { Publication, StreamFormat } from '../../gateway/core/publication.ts';
import { noMetadata } from '../../gateway/core/session.ts';
import { chunk, chunkedStream, lastChunk, plainStream } from '../../gateway/wire/stream-shape.ts';

function publication(stream: StreamFormat): Publication {
  return { channel: channelName('news'), meta: noMetadata, formats: { stream, message: { action: 'hint' } } };
}

function send(content: string): Publication {
  return publication({ action: 'send', content: Buffer.from(content), contentFilters: ['build-id'] });
}

describe('stream shapes', () => {
  it('make one chunk of an item, or leave its bytes alone', () => {
    assert.equal(chunkedStream.encode(send('data: é\n\n'))?.toString(), 'a\r\ndata: é\n\n\r\n');
    assert.equal(chunkedStream.encode(send('x'.repeat(70_000)))?.toString(), `11170\r\n${'x'.repeat(70_000)}\r\n`);
    assert.equal(plainStream.encode(send('data: é\n\n'))?.toString(), 'data: é\n\n');
  });

  it('never end a body by an item without content', () => {
    assert.equal(chunkedStream.encode(send(''))?.length, 0);
    assert.equal(chunk(Buffer.alloc(0)).length, 0);
    assert.equal(plainStream.encode(send(''))?.length, 0);
  });

  it('can be joined', () => {
    assert.ok(chunkedStream.joins && plainStream.joins);
    assert.equal(
      Buffer.concat([chunk(Buffer.from('a')), chunk(Buffer.from('bc')), lastChunk]).toString(),
      '1\r\na\r\n2\r\nbc\r\n0\r\n\r\n',
    );
  });

  for (const [name, shape] of Object.entries({ chunkedStream, plainStream })) {
    it(`have neither bytes nor content for actions and for items of other formats: ${name}`, () => {
      for (const other of [publication({ action: 'close' }), publication({ action: 'hint' }), { ...send(''), formats: {} }]) {
        assert.equal(shape.encode(other), undefined);
        assert.equal(shape.content(other), undefined);
        assert.equal(shape.withContent(other, Buffer.from('b')), other);
      }
    });

    it(`exchange the content and nothing else: ${name}`, () => {
      const original = send('a');
      assert.deepEqual(shape.withContent(original, Buffer.from('b')), send('b'));
      assert.equal(shape.content(original)?.toString(), 'a');
    });
  }
});

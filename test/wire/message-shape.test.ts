import assert from 'node:assert/strict';
import { channelName } from '../../gateway/core/ids.ts';
import type { MessageFormat, Publication } from '../../gateway/core/publication.ts';
import { noMetadata } from '../../gateway/core/session.ts';
import { messageShape } from '../../gateway/wire/message-shape.ts';

function publication(message: MessageFormat): Publication {
  return { channel: channelName('news'), id: '7', meta: noMetadata, formats: { message, stream: { action: 'hint' } } };
}

function send(type: 'text' | 'binary' | 'ping' | 'pong', content: string | Buffer): Publication {
  return publication({ action: 'send', type, content: Buffer.from(content) });
}

describe('message shape', () => {
  it('makes a frame of a message', () => {
    assert.equal(messageShape.encode(send('text', 'hé'))?.toString('hex'), '810368c3a9');
    assert.equal(messageShape.encode(send('binary', Buffer.from([0xff])))?.toString('hex'), '8201ff');
    assert.equal(messageShape.encode(send('ping', ''))?.toString('hex'), '8900');
    assert.equal(messageShape.encode(send('pong', 'x'))?.toString('hex'), '8a0178');
    assert.equal(messageShape.encode(send('text', 'x'.repeat(126)))?.length, 130);
  });

  it('has no bytes for text that is not UTF-8', () => {
    for (const hex of ['ff', 'c3', 'eda080', 'c080'])
      assert.equal(messageShape.encode(send('text', Buffer.from(hex, 'hex'))), undefined, hex);
  });

  it('has no bytes for a ping or pong that is too long', () => {
    for (const type of ['ping', 'pong'] as const) {
      assert.equal(messageShape.encode(send(type, 'x'.repeat(126))), undefined);
      assert.equal(messageShape.encode(send(type, 'x'.repeat(125)))?.length, 127);
    }
  });

  it('has neither bytes nor content for actions and for items of other formats', () => {
    const others = [
      publication({ action: 'close', code: 1000, reason: '' }),
      publication({ action: 'refresh' }),
      publication({ action: 'hint' }),
    ];
    for (const other of [
      ...others,
      { ...send('text', ''), formats: { stream: { action: 'send' as const, content: Buffer.from('a') } } },
    ]) {
      assert.equal(messageShape.encode(other), undefined);
      assert.equal(messageShape.content(other), undefined);
      assert.equal(messageShape.withContent(other, Buffer.from('b')), other);
    }
  });

  it('exchanges the content and nothing else', () => {
    const original = publication({ action: 'send', type: 'text', content: Buffer.from('a'), contentFilters: ['var-subst'] });
    const changed = messageShape.withContent(original, Buffer.from('b'));
    assert.deepEqual(
      changed,
      publication({ action: 'send', type: 'text', content: Buffer.from('b'), contentFilters: ['var-subst'] }),
    );
    assert.equal(messageShape.content(original)?.toString(), 'a');
    assert.equal(messageShape.content(changed)?.toString(), 'b');
  });
});

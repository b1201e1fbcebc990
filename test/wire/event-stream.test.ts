/** Event streams as text: what Foregate adds and what it reads. */
import assert from 'node:assert/strict';
import { eventData, isEventStream, lastEventId, retryField } from '../../gateway/wire/event-stream.ts';

describe('event stream text', () => {
  const idOf = (text: string): string | undefined => lastEventId(Buffer.from(text));

  for (const [text, id] of [
    ['id: 7\ndata: x\n\n', '7'],
    ['id:7\r\ndata: x\r\n\r\n', '7'],
    ['data: x\rid: 7\r\r', '7'],
    ['id: 7\ndata: x\n\nid: 8\ndata: y\n\n', '8'],
    ['id:  two spaces\n', ' two spaces'],
    ['id:\ndata: reset\n\n', ''],
    ['id: 7\nid: a\0b\n\n', '7'],
    ['f\r\nid: 7\ndata: x\n\n\r\n', '7'],
    ['id: 7\ndata: id: 9\n\n', '7'],
    ['id: 7\n\nid: 8', '7'],
    ['data: valid: 9\n\n', undefined],
    ['idx: 9\n\n', undefined],
    ['', undefined],
  ] as const)
    it(`finds ${JSON.stringify(id)} in ${JSON.stringify(text)}`, () => {
      assert.equal(idOf(text), id);
    });

  it('keeps the bytes of an id that is not ASCII', () => {
    assert.equal(idOf('id: é\n'), Buffer.from('é').toString('latin1'));
  });

  it('takes its time in proportion to the bytes, whatever they say', () => {
    assert.equal(idOf('xid:'.repeat(250_000)), undefined);
    assert.equal(idOf(`\nid:${'id:'.repeat(300_000)}`), undefined);
  });

  it('knows event streams by their type alone', () => {
    for (const type of ['text/event-stream', 'Text/Event-Stream; charset=utf-8']) assert.ok(isEventStream(type));
    for (const type of ['text/plain', 'text/event-streams', undefined]) assert.ok(!isEventStream(type));
  });

  it('writes a time to wait', () => {
    assert.equal(retryField(3000.4).toString(), 'retry: 3000\n\n');
  });

  it('finds the data of each event, whatever ends its lines', () => {
    for (const [text, ...data] of [
      ['data: a\n\ndata:b\n\n', 'a', 'b'],
      ['event: x\r\ndata: a\r\nid: 1\r\ndata:  b\r\n\r\n', 'a\n b'],
      ['data: a\rdata: b\r\rdata: c', 'a\nb', 'c'],
      [': comment\n\nid: 1\n\nretry: 10\n\n'],
      ['data\n\n', ''],
      ['datax: a\n data: b\n\n'],
      ['data: é\n\n\n\n', 'é'],
      [''],
    ])
      assert.deepEqual(eventData(Buffer.from(text ?? '')).map(String), data);
  });
});

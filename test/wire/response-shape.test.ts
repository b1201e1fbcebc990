import assert from 'node:assert/strict';
import { ForegateError } from '../../gateway/core/errors.ts';
import type { Instruct } from '../../gateway/core/hold.ts';
import { channelName } from '../../gateway/core/ids.ts';
import type { Publication, ResponseFormat } from '../../gateway/core/publication.ts';
import { noMetadata } from '../../gateway/core/session.ts';
import { responseOf, responseShape } from '../../gateway/wire/response-shape.ts';

type SendFormat = Extract<ResponseFormat, { action: 'send' }>;

function publication(response: ResponseFormat): Publication {
  return { channel: channelName('news'), meta: noMetadata, formats: { response } };
}

function send(more: Partial<SendFormat> = {}): Publication {
  return publication({ action: 'send', code: 200, headers: [], body: { kind: 'bytes', bytes: Buffer.from('item') }, ...more });
}

function instruct(headers: readonly string[], body = ''): Instruct {
  return {
    head: { status: 204, reason: 'Nothing', headers },
    body: Buffer.from(body),
    hold: { mode: 'response', channels: [], meta: noMetadata, timeoutMs: 55_000 },
  };
}

function patch(...operations: unknown[]): Publication {
  return send({ body: { kind: 'patch', patch: operations } });
}

function patched(body: string, ...operations: unknown[]): string {
  return responseOf(patch(...operations), instruct([], body)).body.toString();
}

describe('response shape', () => {
  it('does not join and has no bytes of its own', () => {
    assert.equal(responseShape.joins, false);
    assert.equal(responseShape.encode(send()), undefined);
  });

  it('has the body for content, where it is bytes', () => {
    assert.equal(responseShape.content(send())?.toString(), 'item');
    for (const other of [patch(), publication({ action: 'hint' }), { ...send(), formats: {} }])
      assert.equal(responseShape.content(other), undefined);
  });

  it('exchanges the content and nothing else', () => {
    const changed = responseShape.withContent(send({ code: 201, reason: 'Made' }), Buffer.from('b'));
    assert.deepEqual(changed, send({ code: 201, reason: 'Made', body: { kind: 'bytes', bytes: Buffer.from('b') } }));
    const hint = publication({ action: 'hint' });
    assert.equal(responseShape.withContent(hint, Buffer.from('b')), hint);
  });
});

describe('the answer an item makes', () => {
  it('has its code, reason and body', () => {
    const own = instruct(['X-A', '1'], 'nothing for now\n');
    assert.deepEqual(responseOf(send({ code: 201, reason: 'Made' }), own), {
      status: 201,
      reason: 'Made',
      headers: ['X-A', '1'],
      body: Buffer.from('item'),
    });
    assert.equal(responseOf(send({ code: 404 }), own).reason, 'Not Found');
    assert.equal(responseOf(send({ code: 599 }), own).reason, 'Undefined Reason');
  });

  it('has the fields of the instruction, those of the item in place of the same names', () => {
    const own = instruct(['Content-Type', 'text/plain', 'X-A', '1', 'Set-Cookie', 'a', 'Set-Cookie', 'b', 'X-B', '2']);
    const item = send({ headers: ['content-type', 'application/json', 'SET-COOKIE', 'c', 'Set-Cookie', 'd', 'X-C', '3'] });
    assert.deepEqual(responseOf(item, own).headers, [
      'X-A', '1', 'X-B', '2', 'content-type', 'application/json', 'SET-COOKIE', 'c', 'Set-Cookie', 'd', 'X-C', '3',
    ]); // prettier-ignore
  });

  it('has no length, no framing, no Grip fields, and no encoding of a body it does not have', () => {
    const own = instruct(['Content-Length', '5', 'Transfer-Encoding', 'chunked', 'Content-Encoding', 'gzip', 'X-A', '1']);
    const item = send({
      headers: ['Grip-Hold', 'stream', 'content-length', '9', 'Connection', 'close', 'Upgrade', 'x', 'X-B', '2'],
    });
    assert.deepEqual(responseOf(item, own).headers, ['X-A', '1', 'X-B', '2']);
    assert.deepEqual(responseOf(send({ headers: ['Content-Encoding', 'br'] }), own).headers, [
      'X-A',
      '1',
      'Content-Encoding',
      'br',
    ]);
  });

  it('has only the fields that the item exposes', () => {
    const own = instruct(['X-A', '1', 'X-B', '2']);
    const item = send({ headers: ['X-C', '3', 'X-D', '4', 'Grip-Expose-Headers', 'x-a, X-D'] });
    assert.deepEqual(responseOf(item, own).headers, ['X-A', '1', 'X-D', '4']);
  });

  it('cannot have a code that no final answer has', () => {
    for (const code of [0, 100, 199])
      assert.throws(() => responseOf(send({ code }), instruct([])), {
        code: 'bad-reply',
        message: `An item was published with the code ${code}.`,
      });
  });

  it('cannot be made of an action', () => {
    assert.throws(() => responseOf(publication({ action: 'hint' }), instruct([])), { code: 'internal' });
  });

  describe('by a patch', () => {
    it('is the body of the instruction, changed, compact and in the order of names', () => {
      assert.equal(
        patched('{ "b": [1, 2],\n "a": {"d": 1, "c": 2} }', { op: 'add', path: '/b/-', value: 3 }),
        '{"a":{"c":2,"d":1},"b":[1,2,3]}',
      );
      assert.equal(patched('{"10":1,"9":2}'), '{"10":1,"9":2}');
    });

    it('keeps the line feed at the end', () => {
      assert.equal(patched('{"a":1}\n', { op: 'replace', path: '/a', value: 2 }), '{"a":2}\n');
      assert.equal(patched('{"a":1}\n\n'), '{"a":1}\n');
    });

    it('may replace the whole body', () => {
      assert.equal(patched('{"a":1}', { op: 'replace', path: '', value: 'é' }), '"é"');
    });

    it('leaves the instruction as it is, for the next item', () => {
      const own = instruct([], '{"a":[]}');
      for (let i = 0; i < 2; i += 1)
        assert.equal(responseOf(patch({ op: 'add', path: '/a/0', value: 1 }), own).body.toString(), '{"a":[1]}');
    });

    it('is refused where the patch or the body do not fit', () => {
      const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`;
      for (const [body, operation] of [
        ['', { op: 'add', path: '/a', value: 1 }],
        ['not json', { op: 'add', path: '/a', value: 1 }],
        ['{}', { op: 'remove', path: '/a' }],
        ['{}', 'x'],
        [deep, { op: 'add', path: '/0', value: 1 }],
      ] as const) {
        assert.throws(
          () => patched(body, operation),
          (error) => error instanceof ForegateError && error.code === 'bad-reply' && !error.message.includes('json'),
        );
      }
    });

    it('is refused where the instruction has no body at hand', () => {
      assert.throws(() => responseOf(patch(), { ...instruct([]), body: undefined }), { code: 'bad-reply' });
    });
  });
});

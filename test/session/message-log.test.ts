import assert from 'node:assert/strict';
import { contentOf } from '../../gateway/session/message-log.ts';
import { redactor } from '../../gateway/wire/json-redact.ts';

const redact = redactor(['**.token'], 100);

function shown(text: string, bytes = 100, hides = true): string | undefined {
  return contentOf({ kind: 'text', data: Buffer.from(text) }, { sample: 1, bytes, redact: hides ? redact : undefined });
}

describe('the content of a message in the log', () => {
  it('has no secrets', () => {
    assert.equal(shown('{"a":1,"token":"secret"}'), '{"a":1,"token":"[redacted]"}');
  });

  it('is cut after it was redacted, at whole characters', () => {
    assert.equal(shown('{"token":"secret","b":2}', 20), '{"token":"[redacted]');
    assert.equal(shown('ééé', 5, false), 'éé');
  });

  it('is not there where secrets could not be found: no JSON, a bare text, broken text, binary', () => {
    for (const text of ['token=secret', '"secret"', '{"token":"secret"', '17']) assert.equal(shown(text), undefined);
    assert.equal(contentOf({ kind: 'binary', data: Buffer.from('{}') }, { sample: 1, bytes: 100, redact: undefined }), undefined);
    assert.equal(contentOf({ kind: 'ping', data: Buffer.from('{}') }, { sample: 1, bytes: 100, redact: undefined }), undefined);
  });

  it('is not there unless bytes are asked for', () => {
    assert.equal(shown('{}', 0), undefined);
  });
});

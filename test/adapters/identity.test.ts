/** What of a reply becomes an identity, and what is too odd for that. */
import assert from 'node:assert/strict';
import { identityReading } from '../../adapters/identity.ts';
import type { HeaderList } from '../../gateway/core/headers.ts';
import type { Identity } from '../../gateway/core/session.ts';
import { testSession } from '../../gateway/testing/index.ts';

const settings = {
  use: 'kong',
  credentials: 'relay',
  prefix: '',
  links: 'bare',
  identity: { subject: 'X-Caller', groups: 'X-Groups', claims: { plan: 'X-Plan' } },
} as const;

describe('an identity in a reply', () => {
  it('is read whatever the case of its names, and blanks around it do not count', () => {
    assert.deepEqual(identityOf(['x-caller', ' ann ', 'X-PLAN', 'gold', 'X-Groups', 'a, b', 'x-groups', 'c']), {
      subject: 'ann',
      by: 'adapter kong',
      claims: { plan: 'gold', groups: ['a', 'b', 'c'] },
    });
  });

  it('may be told twice, if it is the same', () => {
    assert.equal(identityOf(['X-Caller', 'ann', 'X-Caller', 'ann'])?.subject, 'ann');
    assert.equal(identityOf(['X-Caller', 'ann', 'X-Caller', 'bob']), undefined);
  });

  it('is none where there is no name, or none that could be one', () => {
    for (const name of ['', ' ', 'a\tb', 'x'.repeat(1025)])
      assert.equal(identityOf(['X-Caller', name, 'X-Plan', 'gold']), undefined, JSON.stringify(name));
    assert.equal(identityOf(['X-Caller', 'x'.repeat(1024)])?.subject.length, 1024);
  });

  it('has a hundred groups at most', () => {
    const names = Array.from({ length: 150 }, (_, i) => `g${i}`);
    assert.deepEqual(identityOf(['X-Caller', 'ann', 'X-Groups', names.join(',')])?.claims?.['groups'], names.slice(0, 100));
  });

  it('is not that of a plain answer, which ends with its session', () => {
    assert.equal(identityOf(['X-Caller', 'ann'], 'request'), undefined);
    assert.equal(identityOf(['X-Caller', 'ann', 'Grip-Hold', 'stream'], 'request')?.subject, 'ann');
  });
});

function identityOf(headers: HeaderList, transport: 'websocket' | 'request' = 'websocket'): Identity | undefined {
  const session = testSession({ transport });
  identityReading(settings).identify?.(session, { status: 200, reason: 'OK', headers, body: Buffer.alloc(0) });
  return session.identity;
}

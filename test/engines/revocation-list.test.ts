/** What is revoked, for how long, and that nothing is forgotten early. */
import assert from 'node:assert/strict';
import type { Revocation } from '../../gateway/core/revocation.ts';
import type { Identity } from '../../gateway/core/session.ts';
import { RevocationList } from '../../gateway/engines/revocation-list.ts';
import { ManualClock } from '../../gateway/testing/index.ts';

describe('the list of revocations', () => {
  let clock: ManualClock;
  let list: RevocationList;

  beforeEach(() => {
    clock = new ManualClock();
    list = new RevocationList(clock, 2);
  });

  const revocation = (of: Revocation['of'], value: string, forMs = 1000): Revocation => ({
    of,
    value,
    issuedBefore: clock.now(),
    until: clock.now() + forMs,
  });
  const holder = (subject: string, claims?: Identity['claims'], by = 'jwt'): Identity => ({
    subject,
    by,
    ...(claims && { claims }),
  });
  const seconds = (): number => Math.floor(clock.now() / 1000);

  it('covers a subject by what was issued before, or does not say when', () => {
    list.add(revocation('subject', 'ann'));
    assert.equal(list.covers(holder('ann', { iat: seconds() - 1 })), true);
    assert.equal(list.covers(holder('ann', { iat: seconds() + 1 })), false);
    assert.equal(list.covers(holder('ann', { iat: '9999999999' })), true);
    assert.equal(list.covers(holder('ann')), true);
    assert.equal(list.covers(holder('bob')), false);
  });

  it('does not take a subject for a token id or a key, and the other way round', () => {
    list.add(revocation('jti', 'x'));
    list.add(revocation('key', 'y'));
    assert.equal(list.covers(holder('x')), false);
    assert.equal(list.covers(holder('y')), false);
    assert.equal(list.covers(holder('ann', { jti: 'y' })), false);
    assert.equal(list.covers(holder('ann', { jti: 'x' })), true);
    assert.equal(list.covers(holder('y', undefined, 'api-key')), true);
  });

  it('knows what it has, and what would add to it', () => {
    const [one, later] = [revocation('jti', 'x'), revocation('jti', 'x', 2000)];
    list.add(one);
    assert.deepEqual(
      [one, later, revocation('key', 'x')].map((each) => list.has(each)),
      [true, false, false],
    );
    list.add(later);
    assert.equal(list.has(one), true);
  });

  it('ends at its time', () => {
    list.add(revocation('jti', 'x'));
    clock.advance(999);
    assert.equal(list.covers(holder('ann', { jti: 'x' })), true);
    clock.advance(1);
    assert.equal(list.covers(holder('ann', { jti: 'x' })), false);
  });

  it('is not weakened by a second one', () => {
    list.add(revocation('subject', 'ann', 5000));
    list.add({ ...revocation('subject', 'ann', 1000), issuedBefore: 0 });
    clock.advance(2000);
    assert.equal(list.covers(holder('ann', { iat: seconds() - 60 })), true);
  });

  it('refuses one too many instead of forgetting another, and has room again when one has ended', () => {
    list.add(revocation('jti', 'a', 1000));
    list.add(revocation('jti', 'b', 9000));
    assert.throws(() => list.add(revocation('jti', 'c')), /Too many revocations/);
    list.add(revocation('jti', 'b', 9000));
    assert.equal(list.covers(holder('', { jti: 'a' })), true);
    clock.advance(1000);
    list.add(revocation('jti', 'c'));
    assert.equal(list.covers(holder('', { jti: 'b' })), true);
    assert.equal(list.covers(holder('', { jti: 'c' })), true);
  });
});

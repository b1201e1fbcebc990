/** Which pages get in, by RFC 6454 origins. */
import assert from 'node:assert/strict';
import { connect, createPolicy, testSession } from '../../gateway/testing/index.ts';
import { origin } from '../../policies/origin.ts';

describe('origin', () => {
  const cases: readonly (readonly [rule: string, given: string, allowed: boolean])[] = [
    ['https://app.example', 'https://app.example', true],
    ['https://app.example', 'https://APP.example', true],
    ['https://App.Example', 'https://app.example', true],
    ['https://app.example', 'http://app.example', false],
    ['https://app.example', 'https://app.example:8443', false],
    ['https://app.example', 'https://app.example:443', true],
    ['https://app.example:443', 'https://app.example', true],
    ['https://app.example', 'https://app.example.evil.test', false],
    ['https://app.example', 'https://evil-app.example', false],
    ['https://app.example', 'https://evil.test/https://app.example', false],
    ['https://app.example', 'https://app.example@evil.test', false],
    ['https://app.example', 'https://appxexample', false],
    ['http://localhost:5173', 'http://localhost:5173', true],
    ['http://localhost:5173', 'http://localhost', false],
    ['app.example', 'https://app.example', true],
    ['app.example', 'http://app.example', true],
    ['app.example', 'ftp://app.example', false],
    ['*.app.example', 'https://a.app.example', true],
    ['*.app.example', 'https://a.b.app.example', true],
    ['*.app.example', 'https://app.example', false],
    ['*.app.example', 'https://evilapp.example', false],
    ['*.app.example', 'https://a.app.example:8443', false],
    ['*.app.example:8443', 'https://a.app.example:8443', true],
    ['https://*.app.example', 'http://a.app.example', false],
    ['https://*.app.example', 'https://*.app.example', false],
    ['https://bücher.example', 'https://xn--bcher-kva.example', true],
    ['http://[::1]:5173', 'http://[::1]:5173', true],
    ['capacitor://localhost', 'capacitor://localhost', true],
    ['null', 'null', true],
    ['https://app.example', 'null', false],
    ['null', 'https://null', false],
    ['https://app.example', '', false],
  ];
  for (const [rule, given, allowed] of cases) {
    it(`${allowed ? 'lets' : 'does not let'} "${given}" in by the rule ${rule}`, async () => {
      const policy = await createPolicy(origin, { allow: [rule] });
      const { verdict } = await connect(policy, testSession({ headers: ['Origin', given] }));
      assert.equal(verdict === undefined, allowed);
    });
  }

  it('refuses with 403 and without repeating what the client sent', async () => {
    const policy = await createPolicy(origin, { allow: ['https://app.example'] });
    const { verdict } = await connect(policy, testSession({ headers: ['Origin', 'https://evil.test'] }));
    assert.ok(verdict?.kind === 'deny');
    assert.equal(verdict.code, 'forbidden');
    assert.doesNotMatch(verdict.detail, /evil/);
  });

  it('lets clients in that name no origin, unless it is required', async () => {
    const lenient = await createPolicy(origin, { allow: ['https://app.example'] });
    assert.equal((await connect(lenient, testSession())).verdict, undefined);
    const strict = await createPolicy(origin, { allow: ['https://app.example'], required: true });
    assert.equal((await connect(strict, testSession())).verdict?.kind, 'deny');
  });

  it('refuses two Origin fields, even if one is allowed', async () => {
    const policy = await createPolicy(origin, { allow: ['https://app.example'] });
    const session = testSession({ headers: ['Origin', 'https://app.example', 'origin', 'https://evil.test'] });
    assert.equal((await connect(policy, session)).verdict?.kind, 'deny');
  });
});

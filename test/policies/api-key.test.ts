/** Who gets in by a key, where the key may stand, and what goes on of it. */
import assert from 'node:assert/strict';
import type { ConnectVerdict, Policy } from '../../gateway/core/policy.ts';
import { connect, createPolicy, testSession } from '../../gateway/testing/index.ts';
import { apiKey } from '../../policies/api-key.ts';

const keys = [
  { key: 'key-of-the-shop', name: 'shop' },
  { key: 'new-key-of-the-shop', name: 'shop' },
  { key: 'key+of/the=press', name: 'press' },
];

describe('api-key', () => {
  let policy: Policy;
  before(async () => {
    policy = await createPolicy(apiKey, { keys });
  });

  it('lets each listed key in under its name', async () => {
    for (const { key, name } of keys) {
      const session = testSession({ headers: ['x-api-key', key] });
      assert.equal((await connect(policy, session)).verdict, undefined);
      assert.deepEqual(session.identity, { subject: name, by: 'api-key' });
    }
  });

  it('removes the key from what goes on, in the spelling the client used', async () => {
    const session = testSession({ headers: ['x-Api-key', 'key-of-the-shop'] });
    await connect(policy, session);
    assert.deepEqual(session.consumed, [{ in: 'header', name: 'x-Api-key' }]);
  });

  it('leaves the key where it is when it shall go on', async () => {
    const session = testSession({ headers: ['X-API-Key', 'key-of-the-shop'] });
    await connect(await createPolicy(apiKey, { keys, forward: true }), session);
    assert.deepEqual(session.consumed, []);
    assert.equal(session.identity?.subject, 'shop');
  });

  it('finds the key in a query, decoded, and names the parameter as it was written', async () => {
    const inQuery = await createPolicy(apiKey, { keys, from: { query: 'key' } });
    const session = testSession({ path: '/chat?room=1&k%65y=key%2Bof%2Fthe%3Dpress' });
    assert.equal((await connect(inQuery, session)).verdict, undefined);
    assert.deepEqual(session.consumed, [{ in: 'query', name: 'k%65y' }]);
  });

  it('finds the key in a cookie, quoted or not, among others', async () => {
    const inCookie = await createPolicy(apiKey, { keys, from: { cookie: 'key' } });
    for (const cookie of ['a=1; key=key-of-the-shop; mykey=2', 'key="key-of-the-shop"']) {
      const session = testSession({ headers: ['Cookie', cookie] });
      assert.equal((await connect(inCookie, session)).verdict, undefined, cookie);
      assert.deepEqual(session.consumed, [{ in: 'cookie', name: 'key' }]);
    }
  });

  it('finds the key behind Bearer in Authorization', async () => {
    const bearer = await createPolicy(apiKey, { keys, from: { header: 'Authorization' } });
    const session = testSession({ headers: ['Authorization', 'Bearer key-of-the-shop'] });
    assert.equal((await connect(bearer, session)).verdict, undefined);
  });

  it('lets the first place decide and removes the key from all of them', async () => {
    const both = await createPolicy(apiKey, { keys, from: { query: 'key', header: 'X-API-Key' } });
    const session = testSession({ path: '/?key=key-of-the-shop', headers: ['X-API-Key', 'anything'] });
    assert.equal((await connect(both, session)).verdict, undefined);
    assert.deepEqual(session.consumed, [
      { in: 'query', name: 'key' },
      { in: 'header', name: 'X-API-Key' },
    ]);
    const wrongFirst = testSession({ path: '/?key=anything', headers: ['X-API-Key', 'key-of-the-shop'] });
    assertRefused((await connect(both, wrongFirst)).verdict);
  });

  const refused: readonly (readonly [what: string, headers: readonly string[]])[] = [
    ['no key', []],
    ['an empty key', ['X-API-Key', '']],
    ['an unknown key', ['X-API-Key', 'another']],
    ['the beginning of a key', ['X-API-Key', 'key-of-the-sho']],
    ['a key with more behind it', ['X-API-Key', 'key-of-the-shop2']],
    ['a key in other letters', ['X-API-Key', 'KEY-OF-THE-SHOP']],
    ['the name instead of the key', ['X-API-Key', 'shop']],
    ['two keys', ['X-API-Key', 'key-of-the-shop', 'X-API-Key', 'new-key-of-the-shop']],
    ['the same key twice', ['X-API-Key', 'key-of-the-shop', 'x-api-key', 'key-of-the-shop']],
    ['two keys in one field', ['X-API-Key', 'key-of-the-shop, key-of-the-shop']],
    ['a key of 100 KB', ['X-API-Key', 'k'.repeat(100_000)]],
    ['a key in a place that was not named', ['Authorization', 'Bearer key-of-the-shop']],
  ];
  for (const [what, headers] of refused) {
    it(`refuses ${what}`, async () => {
      const session = testSession({ headers });
      assertRefused((await connect(policy, session)).verdict);
      assert.equal(session.identity, undefined);
    });
  }

  it('lets in who brings none where none is required, as nobody, and still refuses a wrong one', async () => {
    const optional = await createPolicy(apiKey, { keys, required: false });
    const session = testSession();
    assert.equal((await connect(optional, session)).verdict, undefined);
    assert.equal(session.identity, undefined);
    assertRefused((await connect(optional, testSession({ headers: ['X-API-Key', 'another'] }))).verdict);
  });

  it('refuses the same parameter given twice', async () => {
    const inQuery = await createPolicy(apiKey, { keys, from: { query: 'key' } });
    assertRefused((await connect(inQuery, testSession({ path: '/?key=key-of-the-shop&key=x' }))).verdict);
  });

  it('takes a broken percent-encoding as it stands', async () => {
    const inQuery = await createPolicy(apiKey, { keys, from: { query: 'key' } });
    assertRefused((await connect(inQuery, testSession({ path: '/?%zz=1&key=%zz' }))).verdict);
  });
});

function assertRefused(verdict: ConnectVerdict): void {
  assert.ok(verdict?.kind === 'deny');
  assert.equal(verdict.code, 'unauthorized');
  assert.deepEqual(verdict.headers, ['WWW-Authenticate', 'ApiKey']);
  assert.doesNotMatch(verdict.detail, /key-of|kkk/);
}

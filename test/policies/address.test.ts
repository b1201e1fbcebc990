/** Which addresses get in: of the peer, and of the client that proxies of ours tell about. */
import assert from 'node:assert/strict';
import { addressList } from '../../gateway/core/address-list.ts';
import { connect, createPolicy, testSession } from '../../gateway/testing/index.ts';
import { address } from '../../policies/address.ts';
import { clearStage, setStage } from '../protocol/stage.ts';
import { refusedClient } from '../support/client.ts';

afterEach(clearStage);

describe('address', () => {
  const cases: readonly (readonly [options: object, given: string, allowed: boolean])[] = [
    [{ allow: ['192.0.2.7'] }, '192.0.2.7', true],
    [{ allow: ['192.0.2.7'] }, '192.0.2.70', false],
    [{ allow: ['192.0.2.7'] }, '::ffff:192.0.2.7', true],
    [{ allow: ['192.0.2.7'] }, '::ffff:c000:207', true],
    [{ allow: ['::ffff:192.0.2.0/120'] }, '192.0.2.7', true],
    [{ allow: ['10.0.0.0/8'] }, '10.255.0.1', true],
    [{ allow: ['10.0.0.0/8'] }, '11.0.0.1', false],
    [{ allow: ['10.0.0.0/8'] }, '::1', false],
    [{ allow: ['2001:db8::/32'] }, '2001:DB8:0:0::1', true],
    [{ allow: ['2001:db8::/32'] }, '2001:db9::1', false],
    [{ allow: ['0.0.0.0/0'] }, '::1', false],
    [{ allow: ['fe80::/10'] }, 'fe80::1%eth0', true],
    [{ deny: ['fe80::/10'] }, 'fe80::1%eth0', false],
    [{ deny: ['10.0.0.0/8'] }, '192.0.2.7', true],
    [{ deny: ['10.0.0.0/8'] }, '10.1.2.3', false],
    [{ deny: ['10.0.0.0/8'] }, '::FFFF:10.1.2.3', false],
    [{ deny: ['10.0.0.0/8'] }, '', false],
    [{ allow: ['10.0.0.0/8'], deny: ['10.1.0.0/16'] }, '10.1.2.3', false],
    [{ allow: ['10.0.0.0/8'], deny: ['10.1.0.0/16'] }, '10.2.2.3', true],
    [{ allow: ['10.1.2.3'], deny: ['10.0.0.0/8'] }, '10.1.2.3', false],
    [{ allow: [], deny: ['10.0.0.0/8'] }, '192.0.2.7', true],
  ];
  for (const [options, given, allowed] of cases) {
    it(`${allowed ? 'lets' : 'does not let'} "${given}" in by ${JSON.stringify(options)}`, async () => {
      const policy = await createPolicy(address, options);
      assert.equal((await connect(policy, testSession({ address: given }))).verdict === undefined, allowed);
    });
  }

  it('does not read what a client says of itself, unless it is told to', async () => {
    const policy = await createPolicy(address, { deny: ['10.0.0.1'] }, { trusts: () => true });
    const session = testSession({ address: '192.0.2.1', headers: ['X-Forwarded-For', '10.0.0.1'] });
    assert.equal((await connect(policy, session)).verdict, undefined);
  });
});

describe('address of a forwarded client', () => {
  const proxies = addressList(['10.0.0.0/8', 'fd00::/8']);
  const fields = (...values: string[]) => values.flatMap((value) => ['X-Forwarded-For', value]);
  const cases: readonly (readonly [what: string, peer: string, headers: readonly string[], client: string | undefined])[] = [
    ['the peer where it is nobody of ours', '192.0.2.9', fields('192.0.2.7'), '192.0.2.9'],
    ['the peer where nothing was forwarded', '10.0.0.1', [], '10.0.0.1'],
    ['the only entry', '10.0.0.1', fields('192.0.2.7'), '192.0.2.7'],
    ['the last entry, since clients write the others', '10.0.0.1', fields('192.0.2.1, 192.0.2.7'), '192.0.2.7'],
    ['the last that is none of our proxies', '10.0.0.1', fields('192.0.2.1, 192.0.2.7, 10.0.0.2, fd00::1'), '192.0.2.7'],
    ['the last of several fields', '10.0.0.1', fields('192.0.2.1', '192.0.2.7', '10.0.0.2'), '192.0.2.7'],
    ['the first where all are ours', '10.0.0.1', fields('10.0.0.3, 10.0.0.2'), '10.0.0.3'],
    ['nobody where something else stands there', '10.0.0.1', fields('192.0.2.7, unknown'), undefined],
    ['nobody where it is a name', '10.0.0.1', fields('192.0.2.7.example'), undefined],
    ['an entry with a port', '10.0.0.1', fields('192.0.2.7:4711'), '192.0.2.7'],
    ['an entry in brackets', '10.0.0.1', fields('[2001:db8::1]'), '2001:db8::1'],
    ['an entry in brackets with a port', '10.0.0.1', fields('[2001:db8::1]:4711'), '2001:db8::1'],
    ['an entry in the mapped form', '10.0.0.1', fields('::ffff:192.0.2.7'), '192.0.2.7'],
    ['an entry behind a proxy in the mapped form', '::ffff:10.0.0.1', fields('192.0.2.7, ::ffff:10.0.0.2'), '192.0.2.7'],
    ['an entry among empty ones', '10.0.0.1', fields(' ,192.0.2.7, ,'), '192.0.2.7'],
  ];
  for (const [what, peer, headers, client] of cases) {
    it(`is ${what}`, async () => {
      const seen = async (options: object) => {
        const policy = await createPolicy(address, { from: 'forwarded', ...options }, { trusts: proxies });
        return (await connect(policy, testSession({ address: peer, headers }))).verdict === undefined;
      };
      if (client === undefined) assert.equal(await seen({ deny: ['203.0.113.1'] }), false);
      else assert.deepEqual([await seen({ allow: [client] }), await seen({ deny: [client] })], [true, false]);
    });
  }

  it('is what a gateway says that has signed, whatever its address', async () => {
    const policy = await createPolicy(address, { from: 'forwarded', allow: ['192.0.2.7'] });
    const request = { address: '203.0.113.1', headers: fields('192.0.2.7'), fromGateway: true };
    assert.equal((await connect(policy, testSession(request))).verdict, undefined);
  });
});

describe('the policy address over sockets', () => {
  const own = { use: 'address', from: 'forwarded', allow: ['192.0.2.0/24'] };
  const from = (client: string) => ({ headers: { 'X-Forwarded-For': client } });

  it('refuses handshakes and plain requests with 403 before anything reaches the backend', async () => {
    const { backend, url } = await setStage({ route: { policies: [{ use: 'address', deny: ['127.0.0.1'] }] } });
    assert.equal((await refusedClient(url.replace('http', 'ws'))).status, 403);
    assert.equal((await fetch(url)).status, 403);
    assert.equal(backend.requests.length, 0);
  });

  it('believes trusted proxies', async () => {
    const stage = await setStage({ settings: { trustedProxies: ['127.0.0.1'] }, route: { policies: [own] } });
    await stage.open('/', from('203.0.113.1, 192.0.2.7'));
    const socketUrl = stage.url.replace('http', 'ws');
    assert.equal((await refusedClient(socketUrl, from('192.0.2.7, 203.0.113.1'))).status, 403);
    assert.equal((await refusedClient(socketUrl)).status, 403);
  });

  it('believes nobody else, also where forwarding fields of all pass', async () => {
    for (const settings of [{}, { forwarded: {} }, { trustedProxies: ['127.0.0.2'] }]) {
      const stage = await setStage({ settings, route: { policies: [own] } });
      assert.equal((await refusedClient(stage.url.replace('http', 'ws'), from('192.0.2.7'))).status, 403);
    }
  });
});

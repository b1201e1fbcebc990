import assert from 'node:assert/strict';
import { addressList, normalAddress } from '../../gateway/core/address-list.ts';

describe('a list of addresses', () => {
  it('finds single addresses of both families', () => {
    const listed = addressList(['10.0.0.1', '2001:db8::1']);
    assert.equal(listed('10.0.0.1'), true);
    assert.equal(listed('2001:0db8:0:0::1'), true);
    assert.equal(listed('10.0.0.2'), false);
    assert.equal(listed('2001:db8::2'), false);
  });

  it('finds addresses in ranges', () => {
    const listed = addressList(['10.0.0.0/8', 'fd00::/8', '192.168.1.128/25']);
    assert.equal(listed('10.255.1.2'), true);
    assert.equal(listed('fd12::9'), true);
    assert.equal(listed('192.168.1.129'), true);
    assert.equal(listed('192.168.1.127'), false);
    assert.equal(listed('11.0.0.1'), false);
    assert.equal(listed('fe80::1'), false);
  });

  it('knows an IPv4 address in its mapped form, on either side', () => {
    assert.equal(addressList(['127.0.0.0/8'])('::ffff:127.0.0.1'), true);
    assert.equal(addressList(['::ffff:127.0.0.1'])('127.0.0.1'), true);
    assert.equal(addressList(['::ffff:10.0.0.0/104'])('10.9.9.9'), true);
    assert.equal(addressList(['::ffff:10.0.0.0/104'])('11.0.0.1'), false);
  });

  it('takes the ends of the range of prefixes', () => {
    assert.equal(addressList(['0.0.0.0/0'])('203.0.113.9'), true);
    assert.equal(addressList(['203.0.113.9/32'])('203.0.113.8'), false);
    assert.equal(addressList(['::1/128'])('::1'), true);
  });

  it('is empty without entries, and has no room for what is no address', () => {
    assert.equal(addressList([])('127.0.0.1'), false);
    assert.equal(addressList(['0.0.0.0/0'])('unix'), false);
    assert.equal(addressList(['0.0.0.0/0'])(''), false);
  });

  for (const entry of [
    '',
    'localhost',
    '10.0.0',
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0.0/-1',
    '10.0.0.0/8/8',
    '::1/129',
    '10.0.0.0/8x',
    '::ffff:10.0.0.0/8',
    '1e1.0.0.1',
  ]) {
    it(`names the entry when it cannot be read: "${entry}"`, () => {
      assert.throws(
        () => addressList(['127.0.0.1', entry]),
        (error: Error) => error.message.startsWith(`"${entry}"`),
      );
    });
  }
});

describe('the normal form of an address', () => {
  it('is IPv4 where the address is one', () => {
    assert.equal(normalAddress('::ffff:10.1.2.3'), '10.1.2.3');
    assert.equal(normalAddress('::FFFF:10.1.2.3'), '10.1.2.3');
  });

  it('leaves everything else alone', () => {
    for (const address of ['10.1.2.3', '::1', '::ffff:0:1', 'name']) assert.equal(normalAddress(address), address);
  });
});

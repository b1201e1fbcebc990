import assert from 'node:assert/strict';
import { addressList } from '../../gateway/core/address-list.ts';
import type { HeaderList } from '../../gateway/core/headers.ts';
import type { ClientRequest } from '../../gateway/core/session.ts';
import { buildHead } from '../../gateway/downstream/request-head.ts';
import { lines, testRequest, testRoute, testTarget, usualForwarding } from './routes.ts';

function forwarded(headers: HeaderList, changes: Partial<ClientRequest> = {}): string[] {
  const route = testRoute({
    forwarded: { ...usualForwarding, trusts: addressList(['10.0.0.0/8', '::1']), strip: ['x-forwarded-client-cert'] },
  });
  const head = buildHead(testRequest(['Host', 'api.example', ...headers], changes), route, testTarget(), []);
  return lines(head.headers).filter((line) => /^(x.forwarded|forwarded|x-real)/i.test(line));
}

describe('forwarding fields', () => {
  it('start afresh with a client', () => {
    const forged = [
      'X-Forwarded-For',
      '1.1.1.1',
      'X_Forwarded_For',
      '2.2.2.2',
      'X-Forwarded-Proto',
      'https',
      'Forwarded',
      'for=3.3.3.3',
      'X-Real-IP',
      '4.4.4.4',
    ];
    assert.deepEqual(forwarded(forged), [
      'X-Forwarded-For: 192.0.2.7',
      'X-Forwarded-Proto: http',
      'X-Forwarded-Host: api.example',
      'X-Forwarded-Port: 80',
    ]);
  });

  it('say https for WebSockets by TLS, too', () => {
    const told = forwarded([], { secure: true });
    assert.ok(told.includes('X-Forwarded-Proto: https'));
    assert.ok(told.includes('X-Forwarded-Port: 443'));
  });

  it('go on with a proxy that is trusted: one chain, and its own words where it has some', () => {
    const said = [
      'X-Forwarded-For',
      '1.1.1.1, 2.2.2.2',
      'x-forwarded-for',
      '3.3.3.3',
      'X-Forwarded-Proto',
      'https',
      'X-Real-IP',
      '1.1.1.1',
      'X-Forwarded-Prefix',
      '/p',
    ];
    assert.deepEqual(forwarded(said, { address: '10.0.0.1' }), [
      'X-Forwarded-For: 1.1.1.1, 2.2.2.2, 3.3.3.3, 10.0.0.1',
      'X-Forwarded-Proto: https',
      'X-Real-IP: 1.1.1.1',
      'X-Forwarded-Prefix: /p',
      'X-Forwarded-Host: api.example',
      'X-Forwarded-Port: 80',
    ]);
  });

  it('of a trusted proxy that says nothing are our own', () => {
    assert.equal(forwarded([], { address: '10.0.0.1' })[0], 'X-Forwarded-For: 10.0.0.1');
  });

  it('append to the standard field where a trusted proxy uses it', () => {
    const told = forwarded(['Forwarded', 'for=1.1.1.1;proto=https'], { address: '::1' });
    assert.ok(told.includes('Forwarded: for=1.1.1.1;proto=https, for="[::1]"'));
    assert.ok(told.includes('X-Forwarded-For: ::1'));
  });

  it('vouch for no certificate, not even from a trusted proxy', () => {
    assert.ok(
      !forwarded(['X-Forwarded-Client-Cert', 'x', 'X-Forwarded-For', '1.1.1.1'], { address: '10.0.0.1' }).some((line) =>
        line.endsWith(': x'),
      ),
    );
  });

  it('do not end up in a second, misspelled chain', () => {
    const told = forwarded(['X_Forwarded_For', '6.6.6.6', 'X-Forwarded-For', '1.1.1.1'], { address: '10.0.0.1' });
    assert.deepEqual(
      told.filter((line) => /for:/i.test(line)),
      ['X-Forwarded-For: 1.1.1.1, 10.0.0.1'],
    );
  });

  it('leave out a host that is none', () => {
    const route = testRoute();
    const head = buildHead(testRequest(['Host', 'a b']), route, testTarget(), []);
    assert.ok(!lines(head.headers).some((line) => line.startsWith('X-Forwarded-Host')));
  });
});

/** `publicOnly` of a target, over real sockets: whoever connects, by address or name, with and without TLS. */
import assert from 'node:assert/strict';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { header } from '../../gateway/core/headers.ts';
import { reachOf } from '../../gateway/downstream/public-only.ts';
import { Links } from '../../gateway/session/links.ts';
import { refusedClient } from '../support/client.ts';
import { clearStage, onClear, setStage } from '../protocol/stage.ts';
import { startBackend } from '../support/backend.ts';
import { serverCertificate, serverKey } from './certificates.ts';
import { testRoute, testTarget } from './routes.ts';

afterEach(clearStage);

/** A TLS server that counts who reaches it, also before the handshake. */
async function startTls(): Promise<{ readonly port: number; readonly count: () => number }> {
  let reached = 0;
  const server = createHttpsServer({ cert: serverCertificate, key: serverKey }, (_request, response) => response.end('reached'));
  server.on('connection', () => (reached += 1));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onClear(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, count: () => reached }; // A TCP server has no other kind of address.
}

describe('a target with publicOnly', () => {
  for (const host of ['127.0.0.1', 'localhost', '[::ffff:127.0.0.1]']) {
    for (const secure of [false, true]) {
      const name = `${host}${secure ? ' over TLS' : ''}`;
      const start = async (): Promise<{ port: number; count: () => number }> => {
        if (secure) return startTls();
        const backend = await startBackend(() => ({ body: 'reached' }));
        onClear(() => backend.stop());
        return { port: backend.port, count: () => backend.connections };
      };
      const tls = secure ? { tls: { verify: false } } : {};

      it(`is not reached on this machine: ${name}`, async () => {
        const { port, count } = await start();
        const url = `http${secure ? 's' : ''}://${host}:${port}`;
        const http = await setStage({ targets: [{ url, publicOnly: true, ...tls }] });
        assert.equal((await fetch(http.url)).status, 502);
        assert.equal((await refusedClient(http.url.replace('http', 'ws'))).status, 502);
        const relay = await setStage({ targets: [{ url: url.replace('http', 'ws'), publicOnly: true, ...tls }] });
        assert.equal((await refusedClient(relay.url.replace('http', 'ws'))).status, 502);
        assert.equal(count(), 0);
      });

      it(`would be without: ${name}`, async () => {
        const { port, count } = await start();
        const stage = await setStage({ targets: [{ url: `http${secure ? 's' : ''}://${host}:${port}`, ...tls }] });
        assert.equal(await (await fetch(stage.url)).text(), 'reached');
        assert.notEqual(count(), 0);
      });
    }
  }

  it('gives way to the next one', async () => {
    const backend = await startBackend(({ headers }) => ({ body: String(headers.host) }));
    onClear(() => backend.stop());
    const first = { url: backend.origin, publicOnly: true, host: 'first' };
    const stage = await setStage({ targets: [first, { url: backend.origin, host: 'second' }] });
    assert.equal(await (await fetch(stage.url)).text(), 'second');
  });

  it('has no links to this machine either', async () => {
    const backend = await startBackend(({ rawHeaders }) => ({ body: header(rawHeaders, 'host') ?? '' }));
    onClear(() => backend.stop());
    const links = new Links();
    onClear(() => links.close());
    const follow = (publicOnly: boolean) =>
      links.fetch({
        route: testRoute(),
        target: testTarget({ publicOnly }),
        origin: backend.origin,
        draft: () => ({ method: 'GET', path: '/', headers: ['Host', 'h'], body: undefined }),
      });
    assert.equal((await follow(false)).status, 200);
    await assert.rejects(follow(true), { code: 'downstream-unreachable' });
    assert.equal(backend.requests.length, 1);
  });
});

describe('public addresses', () => {
  const { blockList } = reachOf(true);
  const isPublic = (address: string): boolean => blockList?.check(address, address.includes(':') ? 'ipv6' : 'ipv4') === false;

  it('are those that are no others', () => {
    for (const address of [
      '1.1.1.1',
      '9.255.255.255',
      '100.63.0.1',
      '172.15.0.1',
      '172.32.0.1',
      '192.167.0.1',
      '223.255.255.255',
    ])
      assert.ok(isPublic(address), address);
    for (const address of ['2606:4700:4700::1111', '2001:4860:4860::8888', '2a00::1', '::ffff:1.1.1.1'])
      assert.ok(isPublic(address), address);
  });

  it('are none of these', () => {
    const special =
      '0.0.0.0 10.1.2.3 100.64.0.1 127.255.0.1 169.254.169.254 172.16.0.1 172.31.255.255 192.168.1.1 198.18.0.1 224.0.0.1 255.255.255.255 ' +
      ':: ::1 ::7f00:1 ::ffff:10.0.0.1 ::ffff:7f00:1 64:ff9b::a00:1 2002:a00:1::1 2001::1 fc00::1 fd12:3456::1 fe80::1 ff02::1';
    for (const address of special.split(' ')) assert.ok(!isPublic(address), address);
  });
});
